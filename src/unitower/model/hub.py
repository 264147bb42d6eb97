"""Where a model's files are: the one that ships with the package, a folder, or the Hugging Face Hub; and which revision they are.

Only the files of the released layout are fetched, never code. The Hub's cache, token and offline settings are honoured as
huggingface_hub documents them (HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from unitower.errors import CheckpointError

WEIGHTS = Path(__file__).parents[1] / "weights"
"""Each folder in here is a model that ships with the package, called by the folder's name."""

LAYOUT = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "unitower.json",
    "tasks/*.toml",
    "model*.safetensors",
    "model.safetensors.index.json",
    "adapters/adapter_config.json",
    "adapters/*.safetensors",
)
"""What is fetched of a Hub model."""

HASHED = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "model*.safetensors",
    "adapters/adapter_config.json",
    "adapters/*.safetensors",
)
"""What decides the vectors, and so a folder's revision. Prompts are told apart by the fingerprint itself."""

WHOLE_BYTES = 64 << 20
"""Files up to this size are hashed whole; of larger ones the ends and even samples between, so that 8 GB take a moment."""

SAMPLES = 64
SAMPLE_BYTES = 256 << 10

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def folder_of(name: str | Path, *, revision: str | None = None) -> tuple[Path, str]:
    """The folder that holds a model, and its revision.

    name      a model that ships ("nano"), an existing folder, or a Hub id ("jinaai/jina-embeddings-v4"), tried in this order
    revision  of a Hub model: the commit, branch or tag wanted. Elsewhere: what `revision_of` must give, so that what was built with
              a model is never continued with another in the same place
    returns   the folder, and the commit hash of a Hub model or `revision_of` the folder

    CheckpointError says in one line why there is no such model, or that it is another revision.
    """
    shipped = {folder.name: folder for folder in WEIGHTS.iterdir() if folder.is_dir()}
    folder = shipped.get(str(name)) or Path(name).expanduser()
    if folder.is_dir():
        found = revision_of(folder)
        if revision not in (None, found):
            raise CheckpointError(f"{name} has revision {found}, not {revision}: its weights are not those asked for.")
        return folder, found
    if folder.exists():
        raise CheckpointError(f"{name} is a file; give the folder that holds config.json and the weights.")
    if isinstance(name, Path) or not HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"there is no model {str(name)!r}: it is no folder, no Hub id (owner/name), "
            f"and none that ships with unitower ({', '.join(sorted(shipped))})."
        )
    return _from_hub(name, revision)


def revision_of(folder: Path) -> str:
    """A hash over the names and contents of the files that decide the vectors, 16 hex digits.

    JSON files and weights up to 64 MB count whole. Of a larger file count its size, its first and last 256 kB and 62 pieces
    spread evenly between: training moves every weight, so another training shows, while one byte changed by hand may not.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in HASHED for path in folder.glob(pattern)}):
        size_bytes = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size_bytes}\0".encode())
        with path.open("rb") as file:
            if size_bytes <= WHOLE_BYTES:
                digest.update(file.read())
            else:
                for i in range(SAMPLES):
                    file.seek(i * (size_bytes - SAMPLE_BYTES) // (SAMPLES - 1))
                    digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _from_hub(name: str, revision: str | None) -> tuple[Path, str]:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    # huggingface_hub reads its environment once, when it is first imported; a program may set it later.
    environment = os.environ
    home = environment.get("HF_HOME")
    cache = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or (os.path.join(home, "hub") if home else None)
    offline = environment.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    wanted = f"{name} at revision {revision}" if revision else name
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, cache_dir=cache, local_files_only=offline, allow_patterns=list(LAYOUT)
        )
    except GatedRepoError as error:
        raise CheckpointError(f"{name} is gated: accept its terms on huggingface.co and log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"there is no folder {name!r} here and no model of that name on the Hub (a private one needs HF_TOKEN)."
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{name} has no revision {revision!r} on the Hub.") from error
    except LocalEntryNotFoundError as error:
        why = "HF_HUB_OFFLINE is set" if offline else "the Hub cannot be reached"
        raise CheckpointError(f"{wanted}: no such folder, not in the Hub cache, and {why}.") from error
    except Exception as error:  # the HTTP library beneath, whose exceptions have changed from version to version
        raise CheckpointError(
            f"{wanted} cannot be fetched from the Hub: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
        ) from error
    return Path(folder), Path(folder).name
