"""The smoke recipe through the real command line: it learns, and what it writes loads and finds."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import numpy as np
from command_line import unitower as run

import unitower
from unitower.data import open_source

HELD_OUT = 80


def test_the_smoke_recipe_learns_and_finds_what_it_never_saw(tmp_path: Path) -> None:
    run("train", "smoke", "--out", "model", cwd=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "model" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    pairs = [line["loss"] for line in lines if line["phase"] == "pairs"]
    assert np.mean(pairs[-4:]) < 0.95 * np.mean(pairs[:2])

    enc = unitower.load(tmp_path / "model")
    held_out = open_source("python_docs", sides="summary", split="test", roots=[sysconfig.get_paths()["stdlib"]])
    assert len(held_out) >= HELD_OUT
    rows = [held_out[i] for i in np.random.default_rng(0).permutation(len(held_out))[:HELD_OUT]]
    queries = enc.encode([str(pair.query.content) for pair in rows], role="query")
    documents = enc.encode([str(pair.document.content)[:400] for pair in rows], role="passage")
    first = [int(np.argmax(unitower.maxsim(query, documents.multi))) == i for i, query in enumerate(queries.multi)]
    assert sum(first) >= 6  # chance is 1 of 80


def test_a_mistyped_recipe_or_setting_is_one_line(tmp_path: Path) -> None:
    for arguments, word in ((("nothing",), "smoke"), (("smoke", "--set", "sed=1"), "sed")):
        done = run("train", *arguments, "--out", "model", cwd=tmp_path, code=1)
        assert word in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "model").exists()
