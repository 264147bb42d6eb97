"""Pictures to RGB: as a person sees them, as the released code takes them, and what happens to files that are no pictures."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unitower.encode.images import as_released, as_seen, fetch_image, from_array, read_image, size_of
from unitower.errors import UnreadableFile

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def test_transparency_is_laid_on_white_as_seen_and_dropped_as_released() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert as_seen(image).getpixel((0, 0)) == WHITE
    assert as_released(image).getpixel((0, 0)) == RED
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert as_seen(half).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "RGBa"])
def test_every_mode_with_alpha_is_laid_on_white(mode: str) -> None:
    assert as_seen(Image.new(mode, (4, 4))).getpixel((0, 0)) == WHITE  # a new picture is clear


def test_a_transparent_colour_of_a_palette_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    seen = read_image(tmp_path / "palette.png", as_seen)
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [WHITE, GREEN]


def test_sixteen_bit_greys_keep_their_range() -> None:
    image = Image.fromarray(np.array([[0, 256, 32_768, 65_535]], dtype=np.uint16))
    assert np.asarray(as_seen(image))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F"])
def test_every_mode_of_pillow_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (4, 4), "white")
    image = image.convert("L").convert(mode) if mode in ("I", "F", "1") else Image.new(mode, (4, 4))
    for convert in (as_seen, as_released):
        assert convert(image).mode == "RGB"


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (2, 1)), (6, (1, 0)), (8, (0, 2))])
def test_photographs_are_turned_upright_as_seen_but_not_as_released(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (3, 2), "black")
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "photo.png", exif=exif)
    seen = read_image(tmp_path / "photo.png", as_seen)
    assert seen.size == ((2, 3) if orientation in (6, 8) else (3, 2))
    assert seen.getpixel(corner) == RED
    assert read_image(tmp_path / "photo.png", as_released).getpixel((0, 0)) == RED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_tag_does_not_spoil_a_good_picture(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), RED).save(
        tmp_path / "photo.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\x12\x01", quality=100, subsampling=0
    )
    red, green, blue = np.asarray(read_image(tmp_path / "photo.jpg", as_seen))[5, 5].astype(int)
    assert red > 240
    assert max(green, blue) < 15


def test_the_callers_picture_is_left_as_it_was() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    as_seen(image)
    assert (image.mode, image.getpixel((0, 0))) == ("RGBA", (255, 0, 0, 0))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)])
def test_arrays_become_pictures(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 7, np.uint8)
    assert from_array(array).size == (4, 5)
    assert as_released(from_array(array)).getpixel((0, 0)) == (7, 7, 7)


def test_an_array_that_is_a_view_of_another_is_read_rightly() -> None:
    array = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)[:, ::-2]
    assert np.array_equal(np.asarray(from_array(array)), array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((3, 40, 40), np.uint8), r"\[3, 40, 40\]"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\]"),
        (np.zeros((4,), np.uint8), r"\[4\]"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_array(array)


# ---- files


def png(size: tuple[int, int] = (64, 64)) -> bytes:
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(data, "png")
    return data.getvalue()


BROKEN = {
    "empty": b"",
    "words": b"not a picture at all",
    "cut short": png()[:2000],
    "cut in its header": png()[:20],
    "spoilt": png()[:100] + bytes(200) + png()[300:],
    "a page": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_are_no_pictures_are_named_with_a_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(UnreadableFile, match=r"page\.png: (not an image|broken image)"):
        read_image(path, as_seen)


def test_a_missing_file_a_folder_and_a_bomb_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        size_of(tmp_path / "nowhere.png")
    with pytest.raises(UnreadableFile, match="a folder"):
        size_of(tmp_path)
    (tmp_path / "large.png").write_bytes(png())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 // 3)
    with pytest.raises(UnreadableFile, match="too many pixels"):
        size_of(tmp_path / "large.png")


def test_the_size_is_read_from_the_header_alone(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(png((40, 30))[:100])
    assert size_of(tmp_path / "page.png") == (40, 30)


# ---- addresses


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"/page.png": png((40, 30)), "/words": b"hello"}.get(self.path)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body or png((40, 30)))

        def log_message(self, *args: object) -> None: ...

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Pages) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()
        thread.join()


def test_a_picture_is_fetched_from_its_address(server: str) -> None:
    assert fetch_image(f"{server}/page.png", as_released).size == (40, 30)


def test_an_error_page_is_not_taken_for_the_picture_even_if_it_is_one(server: str) -> None:
    with pytest.raises(UnreadableFile, match="404"):
        fetch_image(f"{server}/gone.png", as_released)


def test_words_and_closed_doors_behind_an_address_are_told(server: str) -> None:
    with pytest.raises(UnreadableFile, match="not an image"):
        fetch_image(f"{server}/words", as_released)
    with pytest.raises(UnreadableFile, match="cannot be fetched"):
        fetch_image("http://127.0.0.1:1/page.png", as_released)


def test_an_endless_answer_is_cut_off(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unitower.encode.images.FETCH_LIMIT_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="larger than"):
        fetch_image(f"{server}/page.png", as_released)
