"""Plain text: encodings, refusals, and passages of paragraphs."""

import os
import random
import unicodedata

import pytest

from unitower import ingest
from unitower.errors import UnreadableFile
from unitower.ingest import decode, text
from unitower.ingest.decode import text_of
from unitower.ingest.passages import words


def written(folder, data, name="a.txt"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(folder, data, name="a.txt", **options):
    return list(text.read(written(folder, data, name), key=name, **options))


def test_the_language_is_told_where_it_is_clear_and_programs_keep_theirs(tmp_path):
    german = "Die Rechnung wurde am Montag bezahlt, und der Kunde hat die Ware erhalten."
    files = {
        "a.txt": german,
        "b.md": "# Notes\n\nThe invoice was paid on Monday, and the customer has the goods now.",
        "c.csv": "1,2,3\n4,5,6\n",
    }
    files |= {"d.txt": "Hallo", "e.py": f'def paid():\n    """{german}"""\n', "f.txt": "INV-2024-0042 1,200.00 EUR 3 x 400.00 " * 9}
    told = {}
    for name, content in files.items():
        told[name] = [item.metadata.get("lang") for item in ingest.read(written(tmp_path, content, name), key=name)]
    assert told == {"a.txt": ["de"], "b.md": ["en"], "c.csv": [None], "d.txt": [None], "e.py": [None], "f.txt": [None]}


GERMAN = "Größe, Übermaß und «Straße» – naïve façade."


@pytest.mark.parametrize(
    "data",
    [
        GERMAN.encode(),
        b"\xef\xbb\xbf" + GERMAN.encode(),
        GERMAN.encode("utf-16"),
        b"\xff\xfe" + GERMAN.encode("utf-16-le"),
        b"\xfe\xff" + GERMAN.encode("utf-16-be"),
        GERMAN.encode("utf-32"),
        GERMAN.encode("cp1252"),
        unicodedata.normalize("NFD", GERMAN).encode(),
    ],
)
def test_a_text_is_the_same_in_every_encoding_it_may_have(tmp_path, data):
    assert text_of(written(tmp_path, data)) == GERMAN


def test_utf8_that_is_cut_off_within_a_character_is_still_utf8(tmp_path):
    assert text_of(written(tmp_path, ("ä" * 50).encode()[:-1])) == "ä" * 49 + "\ufffd"


def test_the_old_encodings_of_other_scripts_are_refused_rather_than_read_as_gibberish(tmp_path):
    for data in ("Привет, как дела сегодня".encode("cp1251"), "日本語のテキストです".encode("shift_jis"), "中文文本在这里".encode("gbk")):
        with pytest.raises(UnreadableFile, match="encoding that cannot be told: save it as UTF-8"):
            text_of(written(tmp_path, data))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_do_whatever_ends_them(tmp_path, end):
    lines = ["one", "", "two\x0cstill two", "three\u2028still three", "four\x85still four"]
    (item,) = read(tmp_path, end.join(lines))
    assert item.source.lines == (1, 5)
    assert text_of(tmp_path / "a.txt").count("\n") == 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t\r\n \x0c", "no text in it"),
        ("\ufeff\u200b\n".encode(), "no text in it"),
        (b"\xef\xbb\xbf", "no text in it"),
        (bytes(range(256)) * 8, "binary data, not text"),
        (b"some text\0\0\0\0 and then not", "binary data, not text"),
        (b"\xff\xfe" + random.Random(0).randbytes(4000), "binary data or damaged text"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not text: it seems to be a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text: it seems to be a PNG image"),
        (b"\x7fELF\2\1\1\0", "not text: it seems to be an executable"),
        (b"MZ\x90\0\3\0\0\0", "not text: it seems to be an executable"),
        (b"PK\3\4\x14\0\0\0", "not text: it seems to be a ZIP archive"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "not text: it seems to be a JPEG image"),
        (b"{\\rtf1\\ansi hello}", "not text: it seems to be an RTF document"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(tmp_path, data, reason):
    path = written(tmp_path, data)
    with pytest.raises(UnreadableFile) as raised:
        list(text.read(path, key="a.txt"))
    assert raised.value.reason.startswith(reason)
    assert raised.value.path == str(path)


@pytest.mark.parametrize(
    "beginning", ["BM25 is a ranking", "MZ is a postcode", "GIF89a is a format", "RIFF raff", "ID3 tags", "II* notes", "PKZIP"]
)
def test_a_text_that_begins_like_a_binary_file_is_a_text(tmp_path, beginning):
    (item,) = read(tmp_path, beginning)
    assert item.content == beginning


def test_a_file_too_large_is_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_TEXT_BYTES", 2 * 2**20)
    with pytest.raises(UnreadableFile, match="3 MiB of text: more than 2 MiB are not read"):
        read(tmp_path, "a" * (3 * 2**20))


def test_missing_files_folders_and_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.txt").mkdir()
    reasons = {
        "pipe.txt": "not a regular file",
        "folder.txt": "a folder, not a file",
        "missing.txt": "no such file",
        "nul\0.txt": "no such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(UnreadableFile) as raised:
            list(text.read(tmp_path / name, key=name))
        assert raised.value.reason == reason


def test_a_stray_nul_late_in_a_log_becomes_a_space(tmp_path):
    data = b"a line of a log\n" * 5000 + b"power\0lost\n"
    assert text_of(written(tmp_path, data)).endswith("power lost\n")


# passages


def paragraph(rng, count):
    return " ".join(rng.choice(["alpha", "beta", "gamma", "delta", "omega"]) for _ in range(count))


def test_short_paragraphs_are_joined_and_a_passage_names_its_lines(tmp_path):
    items = read(tmp_path, "Title\n\nFirst paragraph\nof two lines.\n\n\n\nSecond.\n")
    assert [(item.id, item.content, item.source.lines, item.part) for item in items] == [
        ("a.txt#L1-L8", "Title\n\nFirst paragraph\nof two lines.\n\nSecond.", (1, 8), 0)
    ]
    assert items[0].text == items[0].content
    assert items[0].modality == "text"


def test_passages_of_paragraphs_have_between_50_and_300_words(tmp_path):
    rng = random.Random(1)
    for _ in range(30):
        sizes = [rng.choice([3, 20, 60, 120, 200, 249]) for _ in range(rng.randint(4, 30))]
        items = read(tmp_path, "\n\n".join(paragraph(rng, size) for size in sizes))
        found = [len(item.content.split()) for item in items]
        assert sum(found) == sum(sizes)
        assert max(found) <= 300
        assert min(found) >= 50 or len(found) == 1


def test_a_tiny_last_paragraph_never_stands_alone(tmp_path):
    rng = random.Random(2)
    data = "\n\n".join(paragraph(rng, size) for size in (125, 125, 40))
    assert [len(item.content.split()) for item in read(tmp_path, data)] == [290]
    data = "\n\n".join(paragraph(rng, size) for size in (40, 60, 150, 45, 10))
    assert [len(item.content.split()) for item in read(tmp_path, data)] == [100, 205]


def test_a_long_paragraph_is_cut_at_line_ends_into_pieces_of_even_length(tmp_path):
    rng = random.Random(3)
    lines = [paragraph(rng, 12) for _ in range(50)]
    items = read(tmp_path, "\n".join(lines))
    assert [len(item.content.split()) for item in items] == [204, 192, 204]
    assert "\n".join(item.content for item in items) == "\n".join(lines)
    assert [item.source.lines for item in items] == [(1, 17), (18, 33), (34, 50)]


def test_a_very_long_line_is_cut_at_sentences_and_every_piece_has_its_own_id(tmp_path):
    sentences = [f"This is sentence number {number} of a line without any end." for number in range(100)]
    items = read(tmp_path, " ".join(sentences))
    assert [item.id for item in items] == ["a.txt#L1-L1", *(f"a.txt#L1-L1;part={part}" for part in range(1, len(items)))]
    assert all(item.content.endswith("end.") and item.content.startswith("This") for item in items)
    assert " ".join(item.content for item in items) == " ".join(sentences)
    assert max(len(item.content.split()) for item in items) <= 300


@pytest.mark.parametrize("unit", ["x", "東", "ก", "😀"])
def test_a_text_without_a_single_space_is_cut_all_the_same(tmp_path, unit):
    items = read(tmp_path, unit * 20_000)
    assert "".join(item.content for item in items) == unit * 20_000
    assert max(words(item.content) for item in items) <= 300
    assert len(items) > 5


def test_hundreds_of_thousands_of_spaces_or_dots_in_a_line_take_no_time(tmp_path):
    for filler in (" ", ".", ". ", '."', "\t.", "\u3000"):
        items = read(tmp_path, "begin" + filler * 300_000 + "end")
        assert items[0].content.startswith("begin")
        assert items[-1].content.endswith("end")


def test_starting_at_a_part_gives_the_same_ids_as_reading_from_the_first(tmp_path):
    data = "no end " * 2000
    items = read(tmp_path, data)
    assert read(tmp_path, data, start=4) == items[4:]
    assert read(tmp_path, data, start=len(items)) == []


def test_words_are_counted_in_scripts_with_and_without_spaces():
    assert words("one two  three\n") == 3
    assert words("") == 0
    assert words("東京都") == 1.5
    assert words("x" * 800) == 100
