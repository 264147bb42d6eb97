"""Training runs, one per file: `unitower train NAME` or `unitower train FILE.py`. The reason for each number stands beside it."""
