"""`python -m unitower` is the `unitower` command."""

import sys

from unitower.cli import main

sys.exit(main())
