"""PDF: pages as pictures with their text layer; what is broken, endless, insatiable or encrypted."""

import os
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen import canvas

from unitower.errors import UnreadableFile
from unitower.ingest import confined, pdf
from unitower.ingest.pdf_worker import scale_of
from unitower.ingest.signature import LFS
from unitower.ingest.text_layer import readable


def drawn(path, pages, *, title=None, **options):
    """A PDF with one page for each function, which draws on a canvas."""
    sheet = canvas.Canvas(str(path), pagesize=A4, **options)
    if title:
        sheet.setTitle(title)
    for page in pages:
        page(sheet)
        sheet.showPage()
    sheet.save()
    return path


def lines(*texts, size=(595, 842), font_size=12):
    def page(sheet):
        sheet.setPageSize(size)
        sheet.setFont("Helvetica", font_size)
        for row, text in enumerate(texts, start=1):
            sheet.drawString(font_size, size[1] - 2 * font_size * row, text)

    return page


def stream(data, entries=b""):
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(data), data)


def assembled(path, objects):
    """A PDF of hand-written objects; the first is the catalog."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    path.write_bytes(out)
    return path


def page_of(contents, resources=b"", *, number=3):
    return b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents %d 0 R/Resources<<%s>>>>" % (number, resources) if contents else b""


def read(path, **options):
    return list(pdf.read(path, key=path.name, **options))


def refusal(path):
    with pytest.raises(UnreadableFile) as raised:
        read(path)
    assert raised.value.path == str(path)
    return raised.value.reason


def darkness(image, box):
    return float(255 - np.asarray(image.convert("L").crop(box)).mean())


def test_a_page_is_a_picture_at_110_dpi_with_its_text_beside_it(tmp_path):
    path = drawn(tmp_path / "a.pdf", [lines("First page", "of two"), lines("Second")], title="Two pages – ein Test")
    first, second = read(path)
    assert (first.id, first.source.page, first.part, first.modality) == ("a.pdf#page=1", 1, 0, "image")
    assert (second.id, second.source.page, second.part) == ("a.pdf#page=2", 2, 1)
    assert (first.content.size, first.content.mode) == ((910, 1287), "RGB")  # 595 x 842 points at 110/72, rounded up
    assert (first.text, second.text) == ("First page\nof two", "Second")
    assert first.metadata == {"title": "Two pages – ein Test"}
    assert darkness(first.content, (10, 10, 300, 60)) > 1
    assert darkness(first.content, (0, 660, 910, 1287)) == 0
    assert pdf.count(path) == 2


@pytest.mark.parametrize(
    ("size", "pixels"),
    [((595, 842), (910, 1287)), ((60, 40), (800, 534)), ((3, 2), (800, 534)), ((1440, 1440), (2000, 2000)), ((14400, 14400), (2000, 2000))],
)
def test_pages_of_any_size_are_readable_and_no_more_than_four_megapixels(tmp_path, size, pixels):
    (item,) = read(drawn(tmp_path / "a.pdf", [lines("x", size=size, font_size=size[1] / 4)]))
    assert item.content.size == pixels
    assert item.text == "x"


def test_no_page_is_drawn_with_more_than_four_megapixels_or_too_slim():
    rng = np.random.default_rng(0)
    for width, height in np.exp(rng.uniform(-7, 18, size=(500, 2))):
        scale = scale_of(width, height)
        across, down = np.ceil(width * scale), np.ceil(height * scale)
        slim = max(across, down) / 100  # the margin that is added to a slimmer page
        assert max(across, slim) * max(down, slim) <= 4_020_000
        assert max(across, down) >= 799 or min(across, down) * 100 <= max(across, down) + 100


def test_a_page_as_slim_as_a_thread_gets_a_margin(tmp_path):
    (item,) = read(drawn(tmp_path / "a.pdf", [lines("thread", size=(7200, 10), font_size=4)]))
    assert item.content.size == (11000, 110)


def test_a_turned_page_is_upright(tmp_path):
    path = drawn(tmp_path / "a.pdf", [lines("Above")])
    upright = read(path)[0].content
    path.write_bytes(path.read_bytes().replace(b"/Rotate 0", b"/Rotate 90"))
    (turned,) = read(path)
    assert turned.text == "Above"
    assert turned.content.size == upright.size[::-1]
    difference = np.abs(np.asarray(turned.content, int) - np.asarray(upright.transpose(Image.Transpose.ROTATE_270), int))
    assert difference.mean() < 0.5


def test_what_was_typed_into_a_form_is_seen_and_read(tmp_path):
    def form(sheet):
        sheet.acroForm.textfield(name="answer", value="forty-two", x=100, y=700, width=200, height=30)

    (item,) = read(drawn(tmp_path / "a.pdf", [form]))
    assert item.text == "forty-two"
    assert darkness(item.content, (139, 155, 417, 197)) > 1


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("man\x02agement", "management"),
        ("exam-\r\nple", "example"),
        ("exam\u2010\nple", "example"),
        ("so\u00adft hy\u00ad\r\nphens", "soft hyphens"),
        ("well\x02known and well-known", "well-known and well-known"),
        ("Jean\x02Paul", "Jean-Paul"),
        ("ISO-\n8601", "ISO-8601"),
        ("pages 3 -\n5", "pages 3 -\n5"),
        ("a \ufb01ne o\ufb03ce", "a fine office"),
        ("e\u0301te\u0301", "été"),
        ("\ufefb", "لا"),
        ("a\u00a0b   c\t d ", "a b c d"),
        ("one\r\n \r\ntwo\r\n", "one\n\ntwo"),
        ("\x01\x03\ue123\ue045\ufffd\ufffd ab", ""),
        ("", ""),
    ],
)
def test_the_text_layer_reads_as_a_person_would_type_it(raw, text):
    assert readable(raw) == text


def test_words_broken_at_line_ends_are_joined_on_a_real_page(tmp_path):
    (item,) = read(drawn(tmp_path / "a.pdf", [lines("This is a hyph-", "enated word; well-", "known, well-known.")]))
    assert item.text == "This is a hyphenated word; well-known, well-known."


# refusals


def test_an_encrypted_file_is_refused_and_one_without_a_password_is_read(tmp_path):
    assert refusal(drawn(tmp_path / "a.pdf", [lines("x")], encrypt=StandardEncryption("secret", "owner"))) == (
        "encrypted PDF: give the password-free version"
    )
    (item,) = read(drawn(tmp_path / "b.pdf", [lines("open")], encrypt=StandardEncryption("", "owner")))
    assert item.text == "open"


def test_what_is_no_pdf_is_refused_with_what_it_seems_to_be(tmp_path):
    path = tmp_path / "a.pdf"
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    whole = drawn(tmp_path / "whole.pdf", [lines("x")]).read_bytes()
    cases = {
        b"": "empty",
        (tmp_path / "a.png").read_bytes(): "not a PDF: it seems to be a PNG image",
        b"<!DOCTYPE html><p>Not found": "not a PDF: it seems to be an HTML page",
        b"Just text": "not a PDF: it seems to be text",
        bytes(range(256)): "not a PDF",
        b"PK\3\4" + b"\0" * 50: "not a PDF: it seems to be a ZIP archive or an Office document",
        b"version https://git-lfs.github.com/spec/v1\noid x": f"not a PDF: it seems to be {LFS}",
        b"%PDF-1.7\n": "damaged or cut-off PDF: it cannot be opened",
        whole[: len(whole) // 2]: "damaged or cut-off PDF: it cannot be opened",
        whole[:-700]: "damaged or cut-off PDF: it cannot be opened",
    }
    for data, reason in cases.items():
        path.write_bytes(data)
        assert refusal(path) == reason
        with pytest.raises(UnreadableFile):
            pdf.count(path)


def test_junk_before_the_header_is_allowed_for(tmp_path):
    path = drawn(tmp_path / "a.pdf", [lines("x")])
    path.write_bytes(bytes(range(200, 256)) + path.read_bytes())
    assert [item.text for item in read(path)] == ["x"]


def test_a_document_without_pages_is_refused(tmp_path):
    path = assembled(tmp_path / "a.pdf", [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"])
    assert refusal(path) in {"a PDF without pages", "damaged or cut-off PDF: it cannot be opened"}


# pages that cannot be drawn

GOOD = stream(b"0 0 100 100 re f")
ENDLESS = [  # forms within forms, ten times each, nine deep
    stream(
        b"/F Do " * 10 if depth < 8 else b"0 0 9 9 re f",
        b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</F %d 0 R>>>>" % (8 + depth),
    )
    for depth in range(9)
]


def document_with(path, bad_page, *more):
    """Three pages; the one in the middle is given."""
    pages = [page_of(True, number=6), bad_page, page_of(True, number=6)]
    return assembled(path, [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R 4 0 R 5 0 R]/Count 3>>", *pages, GOOD, *more])


def test_one_broken_page_is_passed_over_and_told_of(tmp_path):
    told = []
    path = document_with(tmp_path / "a.pdf", b"(not a page)")
    items = read(path, passed_over=told.append)
    assert [(item.id, item.part, item.source.page) for item in items] == [("a.pdf#page=1", 0, 1), ("a.pdf#page=3", 2, 3)]
    assert told == ["page 2 left out: damaged"]
    assert pdf.count(path) == 3
    assert [item.id for item in read(path, start=1)] == ["a.pdf#page=3"]
    assert [item.id for item in read(path, start=2)] == ["a.pdf#page=3"]


def test_an_endless_page_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "CPU_SECONDS", 1)
    told = []
    endless = page_of(True, b"/XObject<</F 7 0 R>>", number=16)
    path = document_with(tmp_path / "a.pdf", endless, *ENDLESS, stream(b"/F Do"))
    started = time.monotonic()
    assert [item.source.page for item in read(path, passed_over=told.append)] == [1, 3]
    assert time.monotonic() - started < 30
    assert told[0].startswith("page 2 left out: ")


def test_a_page_that_asks_for_gigabytes_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "MEMORY_BYTES", 2**29)
    squeezed = zlib.compressobj(1)
    bomb = zlib.compress(b"".join(squeezed.compress(b" " * 2**20) for _ in range(700)) + squeezed.flush(), 9)
    assert len(bomb) < 20_000
    path = document_with(tmp_path / "a.pdf", page_of(True, number=7), stream(bomb, b"/Filter[/FlateDecode/FlateDecode]"))
    told = []
    assert [item.source.page for item in read(path, passed_over=told.append)] == [1, 3]
    assert told == ["page 2 left out: needs more than 0.5 GB of memory, or breaks the program that reads it"]


def test_a_file_that_claims_pages_it_has_not_is_given_up_after_a_hundred(tmp_path):
    told = []
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 90000>>", page_of(True, number=4), GOOD]
    path = assembled(tmp_path / "a.pdf", objects)
    assert [item.source.page for item in read(path, passed_over=told.append)] == [1]
    assert told == ["pages 2-101 left out: damaged", "pages 102-90000 left out: not tried after so many failures"]


def test_a_document_of_broken_pages_only_is_refused(tmp_path):
    path = assembled(tmp_path / "a.pdf", [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 5>>"])
    assert refusal(path) == "none of its 5 pages can be read: damaged"


# streaming


def test_pages_come_one_at_a_time_and_nothing_is_left_behind(tmp_path):
    path = drawn(tmp_path / "a.pdf", [lines(f"page {number}") for number in range(300)])
    pages = pdf.read(path, key="a.pdf", start=250)
    assert next(pages).text == "page 250"
    children = set(processes_of(os.getpid()))
    pages.close()
    assert len(children - set(processes_of(os.getpid()))) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow_with_the_pages(tmp_path):
    pages, side = 200, 300
    kids = b" ".join(b"%d 0 R" % (3 + 2 * number) for number in range(pages))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages)]
    image = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8" % (side, side)
    show = stream(b"200 0 0 200 0 0 cm /I Do")
    for number in range(pages):
        objects.append(page_of(True, b"/XObject<</I %d 0 R>>" % (4 + 2 * number), number=3 + 2 * pages))
        objects.append(stream(np.random.default_rng(number).bytes(3 * side * side), image))
    path = assembled(tmp_path / "a.pdf", [*objects, show])
    assert path.stat().st_size > 50e6
    before = set(processes_of(os.getpid()))
    peaks = {}
    for item in pdf.read(path, key="a.pdf"):
        (worker,) = set(processes_of(os.getpid())) - before
        peaks[item.part] = (peak_kb(worker), peak_kb(os.getpid()))
    assert peaks[199][0] - peaks[49][0] < 8_000
    assert peaks[199][1] - peaks[49][1] < 8_000


def processes_of(parent):
    """Ids of the child processes of a process."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            yield int(status.parent.name)


def peak_kb(process):
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def test_the_clock_ends_a_worker_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(confined, "CLOCK_SECONDS", 0.5)
    monkeypatch.setattr(pdf, "CPU_SECONDS", 100)
    path = assembled(
        tmp_path / "a.pdf",
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            page_of(True, b"/Pattern<</P 5 0 R>>", number=4),
            stream(b"/Pattern cs /P scn 0 0 200 200 re f"),
            stream(
                b"0 0 1 1 re f",
                b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 0.001/YStep 0.001/Resources<<>>",
            ),
        ],
    )
    assert refusal(path) == "its only page cannot be read: takes more than 0.5 s, or was stopped by the system"
