"""index.json: the format of the folder, the model that made its vectors, and their fingerprint for each task."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitower import codes
from unitower.errors import IndexMismatch, StoreError
from unitower.types import Encodes, Fingerprint

FORMAT = 2
"""Version of everything in the folder; another number is refused. 1 kept token vectors as float16."""

FILE = "index.json"

POOLINGS = (1, 2, 3, 4)

TASKS = ("retrieval", "code")
"""Tasks an index keeps vectors for; code only where the encoder has it."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What to load so as to get the encoder of an index: `unitower.load(name, revision=revision)`."""

    name: str
    revision: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an index knows of the encoder it was made by, and how its vectors are kept.

    pooling  token vectors that are merged into one, on average (`encode.compress`); 1: none are
    """

    model: Model
    fingerprints: Mapping[str, Fingerprint]
    pooling: int = 1

    @classmethod
    def of(cls, encoder: Encodes, *, pooling: int = 1) -> Manifest:
        """The manifest of a new index. ValueError if the encoder has no retrieval task, or for a pooling that is not offered."""
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling}: token vectors can be merged by {', '.join(map(str, POOLINGS))} (1: not at all).")
        if TASKS[0] not in encoder.tasks:
            raise ValueError(f"an index needs an encoder with the task {TASKS[0]!r}, this one has {', '.join(encoder.tasks) or 'none'}.")
        fingerprints = {task: encoder.fingerprint(task=task) for task in TASKS if task in encoder.tasks}
        first = fingerprints[TASKS[0]]
        return cls(model=Model(name=loadable(first.model), revision=first.revision), fingerprints=fingerprints, pooling=pooling)

    def check(self, encoder: Encodes, *, folder: Path) -> None:
        """IndexMismatch naming everything that keeps the vectors of the encoder apart from those in the folder."""
        different = []
        for task, ours in self.fingerprints.items():
            if task not in encoder.tasks:
                different.append(f"no task {task!r}")
            else:
                different += [f"{task}: {line}" for line in ours.difference(encoder.fingerprint(task=task))]
        if different:
            raise IndexMismatch(
                f"{folder} was made by {self.model.name} (revision {self.model.revision}); the encoder at hand differs in "
                f"{'; '.join(different)} (index against encoder). Use the same model and settings, or another folder: --into DIR."
            )

    def write(self, folder: Path) -> None:
        """Write index.json whole or not at all, also when the power fails."""
        values: dict[str, Any] = {
            "format": FORMAT,
            "codes": codes.parameters(),
            "pooling": self.pooling,
            "model": {"name": self.model.name, "revision": self.model.revision},
            "fingerprints": {task: fingerprint.as_dict() for task, fingerprint in self.fingerprints.items()},
        }
        values["check"] = check(values)
        temporary = folder / f"{FILE}.new"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(values, file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / FILE)
        if os.name == "posix":  # the new name must outlive a power cut too
            directory = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder. IndexMismatch for another format version, StoreError if it is damaged."""
        path = folder / FILE
        try:
            values: Any = json.loads(path.read_bytes())
            version, known = values["format"], values.pop("check", None)
            # Other formats may have no check; where there is one, a flipped bit is not taken for another format.
            if (known is not None or version == FORMAT) and known != check(values):
                raise ValueError("its content is not what was written")
            if version == FORMAT:
                model = Model(name=str(values["model"]["name"]), revision=str(values["model"]["revision"]))
                fingerprints = {str(task): Fingerprint.from_dict(fields) for task, fields in values["fingerprints"].items()}
                if TASKS[0] not in fingerprints:
                    raise KeyError(TASKS[0])
                rules, pooling = values["codes"], values["pooling"]
                if pooling not in POOLINGS:
                    raise ValueError(f"pooling is {pooling!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({type(error).__name__}: {error}). Delete the folder {folder} and index again.") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
        if version != FORMAT:
            raise IndexMismatch(
                f"{folder} has format {version!r}, this unitower writes format {FORMAT}. "
                "Use the unitower that made it, or index again into another folder: --into DIR."
            )
        if rules != codes.parameters():
            raise IndexMismatch(
                f"{folder} keeps its vectors by other rules ({rules}) than this unitower ({codes.parameters()}). "
                "Use the unitower that made it, or index again into another folder: --into DIR."
            )
        return cls(model=model, fingerprints=fingerprints, pooling=pooling)


def check(values: Mapping[str, Any]) -> str:
    """What tells a changed manifest from the one that was written."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def loadable(name: str) -> str:
    """The name of a model, absolute if it is a folder's: an index may be used from another directory than it was made in."""
    from unitower.model.hub import WEIGHTS

    shipped = {path.name for path in WEIGHTS.iterdir()}
    folder = Path(name).expanduser()
    return str(folder.absolute()) if name not in shipped and folder.is_dir() else name
