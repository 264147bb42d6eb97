"""unitower: universal embeddings and search. One tower reads text, code and page images.

    enc = unitower.load("nano")
    index = unitower.Index.open(".unitower", encoder=enc)
    index.add(["docs/"])
    hits = index.search("where is the invoice total", k=10)

Names are imported when they are first used, so that `import unitower` loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "load": "unitower.encode.encoder",
    "Encoder": "unitower.encode.encoder",
    "Index": "unitower.index",
    "maxsim": "unitower.scoring",
    "Embeddings": "unitower.types",
    "Fingerprint": "unitower.types",
    "Hit": "unitower.types",
    "Item": "unitower.types",
    "Ragged": "unitower.types",
    "Source": "unitower.types",
    "UnitowerError": "unitower.errors",
}

__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from unitower.encode.encoder import Encoder as Encoder
    from unitower.encode.encoder import load as load
    from unitower.errors import UnitowerError as UnitowerError
    from unitower.index import Index as Index
    from unitower.scoring import maxsim as maxsim
    from unitower.types import Embeddings as Embeddings
    from unitower.types import Fingerprint as Fingerprint
    from unitower.types import Hit as Hit
    from unitower.types import Item as Item
    from unitower.types import Ragged as Ragged
    from unitower.types import Source as Source


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unitower' has no attribute {name!r}")
