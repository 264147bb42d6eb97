"""A set from one's own index, to be kept as a regression test: does search still find what it found?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unitower.builder import config

CONSENSUS_K = 20


def config_of(
    index: Path,
    out: Path,
    *,
    per_page: int = 1,
    languages: Sequence[str] = (),
    endpoint: Mapping[str, Any] | None = None,
) -> config.Config:
    """What to build from an index.

    Queries come from what its texts say, and must be found by words among the first CONSENSUS_K; or from a chat endpoint, which judges
    them too.

    languages  of the queries; left out, those of the pages
    endpoint   see `endpoint.Settings`; None: no endpoint is asked
    """
    ways: dict[str, Any] = {"kind": "templates", "per_page": per_page, "languages": list(languages)}
    if endpoint:
        ways = {"kind": "chat", "endpoint": dict(endpoint), "per_page": per_page, "languages": list(languages)}
    values = {
        "name": out.name,
        "about": f"Queries over what the index in {index.name} holds, to see whether search still finds it.",
        "sources": [{"kind": "index", "path": str(index.resolve())}],
        "queries": [ways],
        "filters": {"judge": dict(endpoint)} if endpoint else {"consensus": {"rankers": ["words"], "k": CONSENSUS_K}},
    }
    return config.made(values, folder=out.resolve().parent, where="from-index")
