"""What every reader owes: one suite for all modules of the folder, the new ones included.

A new reader is found by itself and asked all that can be asked without a file of its kind. Give SAMPLES a maker of one, and the
rest is asked too; until then one test fails and says so.
"""

from __future__ import annotations

import html
import io
import os
import random
import re
import socket
from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen import canvas

from unitower.errors import UnreadableFile
from unitower.ingest import readers
from unitower.types import Item

READERS = readers()


def pdf_sample() -> bytes:
    out = io.BytesIO()
    sheet = canvas.Canvas(out)
    for number in range(5):
        sheet.drawString(72, 720, f"Page {number} of the sample, said twice: {number}")
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def tiff_sample() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), (50 * number, 0, 0)) for number in range(4)]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def prose(paragraphs: int) -> str:
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyzäé東"
    return "\n\n".join(" ".join("".join(rng.choices(letters, k=6)) for _ in range(90)) for _ in range(paragraphs))


def markdown_sample() -> bytes:
    table = "| key | value |\n|---|---|\n" + "\n".join(f"| {number} | {number * number} |" for number in range(20))
    return f"---\ntitle: Sample\n---\n# Top\n\n{prose(6)}\n\n## Under\n\n```sh\nrun it\n```\n\n{table}\n\n{prose(2)}".encode()


def html_sample() -> bytes:
    rows = "".join(f"<tr><td>{number}</td><td>square {number * number}</td></tr>\n" for number in range(20))
    text = prose(6).replace("\n\n", "</p>\n<p>")
    head = "<html><head><title>Sample</title></head>\n"
    return f"{head}<body><h1>Top</h1>\n<p>{text}</p>\n<h2>Under</h2>\n<table>\n{rows}</table></body></html>".encode()


def code_sample() -> bytes:
    steps = "\n".join(f"        total += step({number})  # and on" for number in range(60))
    methods = "\n\n".join(f"    def method_{number}(self):\n{steps}\n        return total" for number in range(4))
    begin = '"""A module."""\n\nimport os\n\n\n# adds\ndef add(a, b):\n    return a + b\n\n\n'
    return f'{begin}class Long:\n    """Says."""\n\n{methods}\n\n\nLAST = add(1, 2)\n'.encode()


SAMPLES = {
    "pdf": ("sample.pdf", pdf_sample),
    "image": ("sample.tif", tiff_sample),
    "text": ("sample.txt", lambda: prose(12).encode()),
    "markdown": ("sample.md", markdown_sample),
    "html": ("sample.html", html_sample),
    "code": ("sample.py", code_sample),
}
"""Reader -> a name, and a maker of the bytes of a file that gives at least three items."""


@pytest.fixture(params=sorted(READERS))
def reader(request):
    return READERS[request.param]


@pytest.fixture
def sample(reader, tmp_path) -> Path:
    name = reader.__name__.rpartition(".")[2]
    if name not in SAMPLES:
        pytest.fail(f"give SAMPLES in {Path(__file__).name} a file that {reader.__name__} reads into three items or more.")
    file, maker = SAMPLES[name]
    path = tmp_path / file
    path.write_bytes(maker())
    return path


def content(item: Item) -> object:
    return item.content if isinstance(item.content, str) else (item.content.mode, item.content.size, item.content.tobytes())


def seen(item: Item) -> object:
    return (item.id, item.part, item.source, item.modality, item.text, dict(item.metadata), content(item))


# what a reader says of itself


def test_suffixes_are_lower_case_with_a_dot_and_no_two_readers_share_one():
    claimed: dict[str, str] = {}
    for name, reader in READERS.items():
        assert reader.SUFFIXES
        for suffix in reader.SUFFIXES:
            assert re.fullmatch(r"\.[^.A-Z\s]+", suffix), f"{name}: {suffix!r}"
            assert suffix not in claimed, f"{suffix} is claimed by {claimed[suffix]} and {name}"
            claimed[suffix] = name


# items


def test_two_readings_give_the_same_items(reader, sample):
    first, second = (list(reader.read(sample, key="k")) for _ in range(2))
    assert len(first) >= 3
    assert list(map(seen, first)) == list(map(seen, second))


def test_ids_are_unique_and_begin_with_the_key(reader, sample):
    ids = [item.id for item in reader.read(sample, key="folder/näme #1.x")]
    assert len(set(ids)) == len(ids)
    assert all(id.startswith("folder/näme #1.x") for id in ids)


def test_parts_count_up_from_zero(reader, sample):
    assert [item.part for item in reader.read(sample, key="k")] == list(range(len(list(reader.read(sample, key="k")))))


def test_starting_later_gives_exactly_the_tail(reader, sample):
    items = [seen(item) for item in reader.read(sample, key="k")]
    for start in (0, 1, len(items) - 1, len(items), len(items) + 5):
        assert [seen(item) for item in reader.read(sample, key="k", start=start)] == items[start:]


def test_no_more_items_come_than_were_counted(reader, sample):
    assert reader.count(sample) >= len(list(reader.read(sample, key="k")))


def test_items_say_what_they_are_and_where_they_come_from(reader, sample):
    for item in reader.read(sample, key="k"):
        assert item.source.path == "k"
        assert item.modality in {"text", "code", "image"}
        if item.modality == "image":
            assert not isinstance(item.content, str)
            assert item.content.mode == "RGB"
            assert min(item.content.size) >= 1
            assert item.source.lines is None
            assert item.source.page == item.part + 1
        else:
            assert isinstance(item.content, str)
            assert item.content.strip()
            assert item.text == item.content
            assert item.source.lines is not None
            assert item.source.page is None
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in item.metadata.items())
        for text in (item.id, item.text, *item.metadata.values()):
            text.encode()  # no lone surrogates: they cannot be stored or printed


def test_the_lines_an_item_names_hold_its_words(reader, sample):
    items = [item for item in reader.read(sample, key="k") if item.source.lines is not None]
    lines = sample.read_text(encoding="utf-8").split("\n") if items else []
    for item in items:
        first, last = item.source.lines
        assert 1 <= first <= last <= len(lines)
        named = "\n".join(lines[first - 1 : last])
        words = set(re.findall(r"\w+", html.unescape(re.sub(r"<[^>]*>", " ", named)))) | set(re.findall(r"\w+", named))
        body = item.content.removeprefix(item.metadata.get("heading", ""))
        assert set(re.findall(r"\w+", body)) <= words
        assert lines[first - 1].strip()
        assert lines[last - 1].strip()


def test_every_word_of_the_file_is_in_some_item(reader, sample):
    items = list(reader.read(sample, key="k"))
    if items[0].source.lines is None:
        found = [item.text for item in items]
        assert not any(found) or len(set(found)) == len(found)
        return
    said = set(re.findall(r"\w+", " ".join(item.content for item in items)))
    whole = sample.read_text(encoding="utf-8")
    if sample.suffix == ".html":
        whole = re.sub(r"<title>.*?</title>|<[^>]*>", " ", whole)
    assert set(re.findall(r"\w+", whole)) <= said


def test_a_name_in_any_script_is_read_like_any_other(reader, sample):
    expected = [seen(item) for item in reader.read(sample, key="k")]
    for stem in ("日本語 ファイル", "e\u0301", "a'b\"c", "~home", "-rf", "%41 #?&", "a\nb"):
        sample = sample.rename(sample.with_name(stem + sample.suffix))
        assert [seen(item) for item in reader.read(sample, key="k")] == expected


def test_a_relative_path_is_read_like_an_absolute_one(reader, sample, monkeypatch):
    expected = [seen(item) for item in reader.read(sample, key="k")]
    monkeypatch.chdir(sample.parent)
    assert [seen(item) for item in reader.read(Path(sample.name), key="k")] == expected


# nothing stays behind


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are looked up in /proc")
@pytest.mark.parametrize("how", ["to its end", "in part", "counted", "refused"])
def test_nothing_holds_the_file_open_afterwards(reader, sample, how):
    if how == "to its end":
        assert list(reader.read(sample, key="k"))
    elif how == "in part":
        items = reader.read(sample, key="k")
        next(items)
        items.close()
    elif how == "counted":
        reader.count(sample)
    else:
        sample.write_bytes(bytes(range(256)) * 8)
        with pytest.raises(UnreadableFile):
            list(reader.read(sample, key="k"))
    assert str(sample) not in open_files()


def open_files() -> set[str]:
    """Files that this process or a child of it has open."""
    mine = {os.getpid()}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                mine.add(int(status.parent.name))
        except OSError:
            continue
    found = set()
    for process in mine:
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                found.add(os.readlink(link))
            except OSError:
                continue
    return found


def test_reading_changes_neither_the_file_nor_its_folder(reader, sample):
    before = (sample.read_bytes(), sample.stat().st_mtime_ns, sorted(sample.parent.iterdir()))
    list(reader.read(sample, key="k"))
    assert (sample.read_bytes(), sample.stat().st_mtime_ns, sorted(sample.parent.iterdir())) == before


# files that cannot be read; asked of every reader, with and without a sample


def refusal(reader, path) -> str:
    """The reason a reader gives for refusing a file, the same for reading as for counting where counting finds it."""
    with pytest.raises(UnreadableFile) as raised:
        list(reader.read(path, key="k"))
    assert raised.value.path == str(path)
    assert str(path) in str(raised.value)
    assert raised.value.reason
    assert "\n" not in raised.value.reason
    return raised.value.reason


@pytest.fixture
def named(reader, tmp_path):
    """A file name of the reader's kind that does not exist yet."""
    return tmp_path / f"file{min(reader.SUFFIXES)}"


def test_an_empty_file_is_refused(reader, named):
    named.write_bytes(b"")
    assert refusal(reader, named) == "empty"


def test_a_missing_file_and_a_folder_are_refused(reader, named):
    assert refusal(reader, named) == "no such file"
    named.mkdir()
    assert refusal(reader, named) == "a folder, not a file"


def test_a_pipe_and_a_socket_are_refused_without_waiting(reader, named, monkeypatch):
    os.mkfifo(named)
    assert refusal(reader, named) == "not a regular file"
    named.unlink()
    monkeypatch.chdir(named.parent)  # the name of a socket may have a hundred bytes only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(named.name)
        assert refusal(reader, named) == "not a regular file"


def test_a_file_that_may_not_be_read_is_refused(reader, named, monkeypatch):
    named.write_bytes(b"x")
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    named.chmod(0)
    assert refusal(reader, named) == "permission denied"


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_refused(reader, named, seed):
    named.write_bytes(random.Random(seed).randbytes(5000))
    refusal(reader, named)
    with pytest.raises(UnreadableFile):
        reader.count(named)


@pytest.mark.parametrize(
    ("data", "seems"),
    [
        (b"\x7fELF\2\1\1\0" + bytes(64), "an executable"),
        (b"PK\3\4" + bytes(64), "a ZIP archive or an Office document"),
        (b"SQLite format 3\0" + bytes(64), "an SQLite database"),
        (b"\x1f\x8b\x08\0" + bytes(64), "a gzip archive"),
    ],
)
def test_a_mislabelled_file_is_refused_with_what_it_seems_to_be(reader, named, data, seems):
    named.write_bytes(data)
    assert refusal(reader, named).endswith(f"it seems to be {seems}")


def test_the_file_of_another_reader_is_refused_or_read_but_never_crashes(reader, named):
    for _, maker in SAMPLES.values():
        named.write_bytes(maker())
        assert_items_or_refused(reader, named)


def test_a_sample_cut_off_anywhere_gives_items_or_is_refused(reader, sample):
    data = sample.read_bytes()
    for tenth in range(1, 10):
        sample.write_bytes(data[: len(data) * tenth // 10])
        assert_items_or_refused(reader, sample)


def assert_items_or_refused(reader, path) -> None:
    items: list[Item] = []
    refused = None
    try:
        items += reader.read(path, key="k")
    except UnreadableFile as error:
        refused = error
    assert items if refused is None else refused.path == str(path)
