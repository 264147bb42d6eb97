"""What can go wrong, as a person would name it.

    UnitowerError
    ├── CheckpointError     weights, adapters or configuration that do not fit together
    ├── UnreadableFile      one file that cannot be indexed; a run counts it, names it and goes on
    ├── IndexMismatch       an index made by another encoder, or by another version of its format
    ├── IndexLocked         another process is writing to this index
    └── StoreError          the stored data cannot be read or written

Wrong arguments raise ValueError. A message tells what was wrong, with the value, and what to do. The command line prints
a UnitowerError or ValueError as one line and ends with exit code 1; anything else is a bug of ours and shows its traceback.
"""


class UnitowerError(Exception):
    """Any failure that is told to a person rather than debugged."""


class CheckpointError(UnitowerError):
    """Weights, adapters or configuration that are missing, left over, misshapen or contradictory."""


class UnreadableFile(UnitowerError):
    """A file that cannot be read as what it claims to be: broken, encrypted, empty, too large, or mislabelled.

    path    the file, as the caller named it
    reason  one line in plain words, e.g. "encrypted PDF: give the password-free version"
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


class IndexMismatch(UnitowerError):
    """The index was made by another encoder (model, revision, adapter, prompts, pixel limit, width) or format version."""


class IndexLocked(UnitowerError):
    """Another process holds the index's write lock."""


class StoreError(UnitowerError):
    """The stored vectors or texts cannot be read or written."""
