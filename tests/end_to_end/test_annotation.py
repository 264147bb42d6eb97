"""Two people judge a set in a real Chromium; pages are reloaded and the server is killed under their hands."""

from __future__ import annotations

import json
import os
import shlex
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from browser import chromium
from command_line import started, unitower, write_pdf

from unitower.commands.bench import EXAMPLE

PAGES = [
    "Harbour report of Ullmark. The ferry to the outer islands leaves at noon and returns before dark.",
    "Repairs of the quay. The crane on the north quay lost a cogwheel in the storm of March.",
    "Mooring fees. The lighthouse received a third of the fees, and the smith a goat.",
]
CONFIG = """
name = "harbour"
about = "Questions over the harbour papers."
licence = "CC0-1.0"
[[sources]]
kind = "files"
paths = ["papers"]
[[queries]]
kind = "templates"
per_page = 2
"""
IDLE = "() => JSON.parse(localStorage.getItem(boxKey()) || '[]').length === 0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "papers").mkdir()
    write_pdf(tmp_path / "papers" / "report.pdf", PAGES)
    _, *typed = shlex.split(EXAMPLE)  # what the help shows, with a config under that name
    (tmp_path / typed[-1]).write_text(CONFIG, encoding="utf-8")
    unitower(*typed, cwd=tmp_path)
    return tmp_path


def serving(folder: Path, port: int = 0) -> tuple[Any, str]:
    process = started("bench", "annotate", "harbour", "--port", str(port), cwd=folder)
    assert process.stdout
    return process, process.stdout.readline().strip()


def killed(process: Any) -> None:
    process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    process.wait()
    for stream in (process.stdout, process.stderr):
        stream.close()


def shown(page: Any) -> str:
    return str(page.text_content("#query"))


def test_nothing_is_lost_on_reload_or_when_the_server_is_killed(folder: Path) -> None:
    queries = [row["query"] for row in pq.read_table(folder / "harbour" / "queries").to_pylist()]
    assert len(queries) == 6
    process, address = serving(folder)
    try:
        with chromium() as browser:
            # anna judges with the keyboard, and reloads in between
            anna = browser.new_context().new_page()
            anna.goto(address)
            anna.fill("#me", "anna")
            anna.keyboard.press("Enter")
            anna.wait_for_selector("#query:not(:empty)")
            assert shown(anna) == queries[0]
            assert anna.wait_for_selector("main img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 400
            anna.keyboard.press("a")
            assert shown(anna) == queries[1]
            anna.keyboard.press("r")
            anna.keyboard.press("2")
            assert shown(anna) == queries[2]
            anna.wait_for_function(IDLE)
            anna.reload()
            anna.wait_for_selector("#query:not(:empty)")
            assert shown(anna) == queries[2]
            assert anna.text_content("#progress") == "2 of 6 judged"
            anna.keyboard.press("ArrowLeft")
            assert "on" in anna.get_attribute("#reject", "class").split()
            assert anna.text_content("#reasons .on").startswith("not realistic")
            anna.keyboard.press("ArrowRight")

            # the server is killed; she goes on, reloads nothing, and it comes back
            killed(process)
            anna.keyboard.press("a")
            anna.keyboard.press("w")
            anna.fill("#text", "which smith was paid with a goat?")
            anna.keyboard.press("Control+Enter")
            anna.wait_for_selector("#offline:not([hidden])")
            assert "2 things you did wait" in anna.text_content("#offline")
            process, again = serving(folder, port=int(address.rstrip("/").rpartition(":")[2]))
            assert again == address
            anna.wait_for_function(IDLE)
            anna.wait_for_selector("#offline", state="hidden")
            assert anna.text_content("#progress") == "3 of 6 judged"
            anna.keyboard.press("a")  # the fourth query
            anna.wait_for_function(IDLE)

            # ben judges the same and sees nothing of hers; then both see how far they agree
            ben = browser.new_context().new_page()
            ben.goto(f"{address}?who=ben")
            ben.wait_for_selector("#query:not(:empty)")
            assert ben.text_content("#progress") == "0 of 6 judged"
            for key in ("a", "r", "ArrowRight", "r", "ArrowRight", "a"):
                ben.keyboard.press(key)
            ben.wait_for_function(IDLE)
            ben.wait_for_function("() => document.querySelector('#agreement').textContent.includes('of 4 alike')")
            # anna a r a a, ben a r r a: three of four alike; chance is (3*2 + 1*2) / 16 = 1/2
            assert ben.text_content("#agreement") == "with anna: 75 % of 4 alike, κ 0.50"
    finally:
        killed(process)

    told = unitower("bench", "annotate", "harbour", "--export", "judged", cwd=folder).stdout
    assert "3 documents, 3 queries" in told
    kept = {row["query"]: row["made-by"] for row in pq.read_table(folder / "judged" / "queries").to_pylist()}
    written = "which smith was paid with a goat?"
    assert kept == {queries[0]: "template", queries[3]: "template", written: "person anna"}
    dropped = [json.loads(line) for line in (folder / "judged" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(one["reason"] for one in dropped) == ["judged differently", "not judged", "not judged", "rejected"]
    assert "kappa 0.50" in (folder / "judged" / "README.md").read_text(encoding="utf-8")


def test_a_page_of_the_web_can_neither_read_nor_write(folder: Path) -> None:
    process, address = serving(folder)
    entry = json.dumps({"id": "1", "who": "eve", "do": "judge", "query": "x", "verdict": "accept"}).encode()
    strangers: list[tuple[str, bytes | None, dict[str, str]]] = [
        ("api/set", None, {"Host": "evil.example"}),
        ("api/do", entry, {"Content-Type": "application/json", "Host": "evil.example"}),
        ("api/do", entry, {"Content-Type": "text/plain"}),  # what a form of another page can send
        ("api/do", entry, {"Content-Type": "application/json", "Origin": "https://evil.example"}),
    ]
    try:
        for path, body, headers in strangers:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(address + path, data=body, headers=headers), timeout=10)
            assert refused.value.code == 403
        with pytest.raises(urllib.error.HTTPError) as wrong:
            urllib.request.urlopen(
                urllib.request.Request(address + "api/do", data=entry, headers={"Content-Type": "application/json"}), timeout=10
            )
        assert wrong.value.code == 400  # a query that is not in the set
    finally:
        killed(process)
    assert not (folder / "harbour" / "annotations.jsonl").exists()
