"""The command line with a fake encoder: what is printed where, and with which exit code."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake import FakeEncoder
from rich.console import Console

from unitower import terminal
from unitower.cli import main, parser, run
from unitower.commands import commands
from unitower.index import Progress
from unitower.types import Hit, Source

COMMANDS = list(commands())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory; the fake encoder stands in for every model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitower.encode.encoder.load", lambda name="nano", **options: FakeEncoder(name=str(name)))
    return tmp_path


@pytest.fixture
def papers(here: Path) -> Path:
    """An index over two texts in the current directory."""
    (here / "papers").mkdir()
    (here / "papers" / "lease.md").write_text("The rent of the mill is due on the first of May.\n", encoding="utf-8")
    (here / "papers" / "räksmörgås.txt").write_text("Bröd, räkor och ägg – 120 kronor.\n", encoding="utf-8")
    assert main(["index", "papers"]) == 0
    return here / "papers"


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; stdout must be empty."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


# Help


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_no_heavy_library(command: str) -> None:
    code = f"""
import sys
from unitower.cli import main
assert main({[*filter(None, [command]), "--help"]!r}) == 0
print(*sys.modules)
"""
    printed = subprocess.run(python(code), capture_output=True, text=True, check=True).stdout
    assert printed.startswith("usage: unitower")
    loaded = printed.splitlines()[-1].split()
    assert {"torch", "numpy", "rich", "lance", "PIL", "pyarrow", "tokenizers"}.isdisjoint(loaded)


def test_help_answers_in_less_than_three_tenths_of_a_second() -> None:
    seconds = []
    for _ in range(5):  # the best of five, so that a busy machine does not count
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "unitower", "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.3


def test_version_is_the_package_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"unitower {version('unitower')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_one_example_that_parses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    (example,) = re.findall(r"^example:\n  (.+)$", capsys.readouterr().out, re.MULTILINE)
    words = shlex.split(example.rpartition("| ")[2])
    assert words[:2] == ["unitower", command]
    parser().parse_args(words[1:])


def test_no_command_prints_the_help_and_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(command in captured.err for command in COMMANDS)


@pytest.mark.parametrize(
    "typed",
    [
        "serch x",
        "search",
        "search x y",
        "search x -k 0",
        "search x -k three",
        "search x --task everything",
        "search x --jso",
        "index",
        "forget",
        "embed",
        "embed --role judge",
        "embed --role query --dim 0",
        "embed --role query --format npz",
        "index . --dtype float16",
        "bench annotate harbour --port 70000",
        "bench annotate harbour --port -1",
        "bench annotate harbour --port http",
    ],
)
def test_a_command_typed_wrong_ends_with_2_and_its_usage(typed: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(typed)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: unitower")
    assert list(here.iterdir()) == []


# A person's mistakes


@pytest.mark.parametrize("typed", ["search x", "search x --json", "status", "status --json", "forget papers"])
def test_without_an_index_a_command_says_how_to_make_one(typed: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(typed)) == 1
    line = error_of(capsys)
    assert line.startswith("unitower: ")
    assert "unitower index" in line
    assert list(here.iterdir()) == []


def test_a_mistyped_path_is_named_and_leaves_no_index_behind(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "paprs"]) == 1
    assert "paprs" in error_of(capsys)
    assert list(here.iterdir()) == []


def test_a_mistyped_path_beside_a_good_one_is_named_and_changes_nothing(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["index", "papers", "paprs"]) == 1
    assert "paprs" in error_of(capsys)


def test_an_empty_query_is_a_mistake(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "  "]) == 1
    assert "empty" in error_of(capsys)


def test_an_error_of_several_lines_is_told_in_one(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(*args: object, **options: object) -> None:
        raise ValueError("first line\n   second line")

    monkeypatch.setattr("unitower.encode.encoder.load", load)
    (here / "a.txt").write_text("a", encoding="utf-8")
    assert main(["index", "a.txt", "--model", "x"]) == 1
    assert error_of(capsys) == "unitower: first line second line"


def test_a_bug_of_ours_keeps_its_traceback(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.index.Index.search", lambda *args, **options: {}["missing"])
    with pytest.raises(KeyError):
        main(["search", "x"])


def test_ctrl_c_ends_with_130_and_says_that_a_new_run_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unitower.index.Index.add", stopped)
    (here / "a.txt").write_text("a", encoding="utf-8")
    assert main(["index", "a.txt"]) == 130
    assert "a new run goes on" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "unitower", "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"unitower: No space left on device\n", done.stderr)


def test_a_reader_that_goes_away_is_no_error() -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    help = subprocess.Popen([sys.executable, "-m", "unitower", "--help"], env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert help.stdout
    help.stdout.close()
    _, err = help.communicate()
    assert (help.returncode, err) == (141, b"")


def test_a_reader_that_goes_away_before_the_results_is_no_error(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    nobody = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writer, "w")), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", nobody)
    assert run(["search", "rent of the mill"]) == 141
    with pytest.raises(BrokenPipeError):
        nobody.close()


def test_an_empty_path_is_told_as_such_where_there_is_no_index_yet(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", ""]) == 1
    assert "path is empty" in error_of(capsys)
    assert not (here / ".unitower").exists()


# What is printed


def test_json_is_one_array_of_objects_with_the_agreed_keys(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "rent of the mill", "--json"]) == 0
    captured = capsys.readouterr()
    hits = json.loads(captured.out)
    assert captured.err == ""
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert all(list(hit)[:8] == ["rank", "score", "id", "path", "page", "lines", "modality", "snippet"] for hit in hits)
    assert hits[0]["path"] == "papers/lease.md"
    assert hits[0]["page"] is None
    assert hits[0]["lines"] == [1, 1]
    assert hits[0]["modality"] == "text"
    assert "rent of the mill" in hits[0]["snippet"]


def test_json_of_nothing_found_is_an_empty_array(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "anything", "--task", "code", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_json_keeps_letters_where_stdout_is_utf_8_and_escapes_them_where_it_is_not(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    main(["search", "räkor", "--json"])
    readable = capsys.readouterr().out
    assert "räksmörgås.txt" in readable
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    assert main(["search", "räkor", "--json"]) == 0
    assert latin.buffer.getvalue().isascii()  # type: ignore[attr-defined]
    assert json.loads(latin.buffer.getvalue()) == json.loads(readable)  # type: ignore[attr-defined]


def test_results_for_people_survive_a_stdout_that_lacks_the_letters(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert main(["search", "räkor"]) == 0
    assert b"r\\xe4ksm\\xf6rg\\xe5s.txt" in narrow.buffer.getvalue()  # type: ignore[attr-defined]


def test_results_for_people_are_plain_lines_where_there_is_no_terminal(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = papers / ("a" * 150 + ".txt")
    long.write_text("mill " * 100, encoding="utf-8")
    main(["index", "papers"])
    capsys.readouterr()
    assert main(["search", "the mill", "-k", "2"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
    assert f"papers/{long.name}" in out
    assert re.search(r"^ 1\. \S+, lines? [\d-]+  \(score 0\.\d{4}, by (words and vectors|vectors and words|vectors|words)\)$", out, re.M)


def test_nothing_found_says_so_and_what_to_do(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["search", "anything", "--task", "code"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Nothing found")
    assert "unitower index" in out


def hit(**values: object) -> Hit:
    return Hit(**{"rank": 1, "score": 0.5, "id": "a", "source": Source(path="a.txt"), "modality": "text", "found_by": ("text",), **values})  # type: ignore[arg-type]


def printed_on_a_terminal(one: Hit, words: set[str], *, width: int = 60) -> str:
    out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system="standard", highlight=False, markup=False, emoji=False)
    terminal.print_hit(one, words=words, out=out)
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_on_a_terminal_the_words_of_the_query_stand_out() -> None:
    shown = printed_on_a_terminal(hit(snippet="The RENT, and rented rooms"), {"rent"})
    assert re.findall(r"\x1b\[1;33m(.*?)\x1b\[0m", shown) == ["RENT"]


def test_on_a_terminal_a_snippet_is_wrapped_under_its_place_and_nothing_is_cut() -> None:
    text = "一二三四五六七八九十" * 10
    lines = printed_on_a_terminal(hit(snippet=text), set(), width=50).splitlines()[1:]
    assert all(line.startswith("    ") for line in lines)
    assert "".join(line.strip() for line in lines) == text
    assert len(lines[0].strip()) * 2 <= 46  # a Chinese character takes two columns


def test_a_file_name_cannot_steer_the_terminal() -> None:
    shown = printed_on_a_terminal(hit(source=Source(path="a\x1b[2Jb\nc\u202egpj.exe", page=2)), set())
    assert "a\\x1b[2Jb\\nc\\u202egpj.exe, page 2" in re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_square_brackets_are_not_taken_for_markup() -> None:
    assert "[bold]x[/bold] :smile:" in printed_on_a_terminal(hit(snippet="[bold]x[/bold] :smile:"), set())


def test_the_summary_names_the_first_skipped_files_and_says_where_the_rest_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "good.txt").write_text("good", encoding="utf-8")
    for number in range(12):
        (here / f"bad{number:02}.pdf").write_bytes(b"%PDF-1.7 broken")
    assert main(["index", "."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 file read (1 page or passage), 0 unchanged, 0 removed, 12 skipped, in ")
    assert [line.split(":")[0] for line in lines[1:11]] == [f"  skipped bad{number:02}.pdf" for number in range(10)]
    assert lines[11] == "  and 2 more: `unitower status` lists them all"
    assert lines[12] == 'Now: unitower search "what you look for"'
    main(["status"])
    assert all(f"bad{number:02}.pdf: " in capsys_out for capsys_out in [capsys.readouterr().out] for number in range(12))


def test_commands_to_type_name_the_index_they_are_about(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.txt").write_text("a", encoding="utf-8")
    main(["index", "a.txt", "--into", "my index"])
    assert capsys.readouterr().out.endswith("\nNow: unitower search \"what you look for\" --in 'my index'\n")


def test_status_tells_files_items_model_and_skipped_files(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (papers / "broken.pdf").write_bytes(b"not a pdf")
    main(["index", "papers"])
    capsys.readouterr()
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^files +2$", out, re.M)
    assert re.search(r"^items +2: 2 passages of text$", out, re.M)
    assert re.search(r"^model +nano, revision 1$", out, re.M)
    assert re.search(r"^skipped +1 file\n  papers/broken\.pdf: .+$", out, re.M)
    assert main(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == 2
    assert told["items"] == {"text": 2}
    assert [one["path"] for one in told["skipped"]] == ["papers/broken.pdf"]


def test_forget_takes_files_out_and_says_how_many(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["forget", "papers/lease.md"]) == 0
    assert capsys.readouterr().out == "1 file forgotten.\n"
    main(["search", "rent", "--json"])
    assert [hit["path"] for hit in json.loads(capsys.readouterr().out)] == ["papers/räksmörgås.txt"]
    assert (papers / "lease.md").exists()


def test_forgetting_what_is_not_in_the_index_says_so(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["forget", "papers/other.md"]) == 1
    assert "papers/other.md" in error_of(capsys)


def test_an_index_is_opened_again_with_the_model_it_was_made_by(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = []

    def load(name: str = "nano", *, revision: str | None = None, **options: object) -> FakeEncoder:
        loaded.append((name, revision, options))
        return FakeEncoder(name=name)

    monkeypatch.setattr("unitower.encode.encoder.load", load)
    (here / "a.txt").write_text("a", encoding="utf-8")
    main(["index", "a.txt", "--model", "some/model"])
    main(["index", "a.txt", "--device", "cpu"])
    assert loaded == [
        ("some/model", None, {"device": None, "dtype": None}),
        ("some/model", "1", {"device": "cpu", "dtype": None}),
    ]


# Progress


def test_progress_off_a_terminal_is_a_calm_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    monkeypatch.setattr("unitower.terminal.time.monotonic", clock)
    with terminal.IndexProgress() as progress:
        progress(Progress(stage="looking", files_done=37, files_total=None, items_done=0, items_total=None, path="a"))
        for done in range(0, 1204, 5):
            progress(Progress(stage="reading", files_done=0, files_total=37, items_done=done, items_total=1204, path="a"))
            clock.now += 0.5  # 10 pages a second
        progress(Progress(stage="finishing", files_done=37, files_total=37, items_done=1204, items_total=1204))
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[0] == "1,204 pages and passages in 37 files"
    assert lines[1] == "100 of 1,204, 10.0 pages/s, 1:50 min left"
    assert len(lines) == 1 + 12  # 120 seconds


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("stage", "done", "total"),
    [("looking", 0, None), ("reading", 0, 0), ("reading", 5, 3), ("finishing", 3, 3)],
)
def test_progress_copes_with_totals_that_are_unknown_or_too_low(stage: str, done: int, total: int | None) -> None:
    with terminal.IndexProgress() as progress:
        progress(Progress(stage=stage, files_done=1, files_total=total, items_done=done, items_total=total))  # type: ignore[arg-type]
        assert progress.describe(Progress(stage="reading", files_done=1, files_total=1, items_done=5, items_total=3)).startswith("5 of 5")


def test_what_is_watched_comes_through_unchanged() -> None:
    assert list(terminal.watched(iter(range(5)))) == list(range(5))
