"""Pictures: formats and pixel kinds, orientation, transparency, pages of a TIFF, bombs and damage."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from unitower.errors import UnreadableFile
from unitower.ingest import image
from unitower.ingest.confined import Confined
from unitower.ingest.picture import bounded_size, on_paper

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def corner_picture(mode="RGB", size=(40, 20)):
    """White with a red upper left corner."""
    picture = Image.new("RGB", size, "white")
    picture.paste(RED, (0, 0, size[0] // 2, size[1] // 2))
    return picture.convert(mode)


def saved(picture, fmt, **options):
    out = io.BytesIO()
    picture.save(out, fmt, **options)
    return out.getvalue()


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def read(folder, data, name="a.png", **options):
    path = folder / name
    path.write_bytes(data)
    items = list(image.read(path, key=name, **options))
    assert image.count(path) >= len(items)
    return items


def refusal(folder, data, name="a.png"):
    path = folder / name
    path.write_bytes(data)
    with pytest.raises(UnreadableFile) as raised:
        list(image.read(path, key=name))
    assert raised.value.path == str(path)
    return raised.value.reason


def near(pixel, color):
    return max(abs(a - b) for a, b in zip(pixel, color, strict=True)) < 30  # JPEG and WebP are not exact


FORMATS = {
    "a.png": ("PNG", {}),
    "a.jpg": ("JPEG", {"quality": 95}),
    "progressive.JPEG": ("JPEG", {"quality": 95, "progressive": True}),
    "a.tif": ("TIFF", {}),
    "lzw.tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "a.webp": ("WEBP", {"quality": 95}),
    "a.gif": ("GIF", {}),
    "a.bmp": ("BMP", {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_of_any_format_is_one_item(tmp_path, name):
    fmt, options = FORMATS[name]
    (item,) = read(tmp_path, saved(corner_picture(), fmt, **options), name)
    assert (item.id, item.part, item.source.page, item.source.lines, item.text) == (name, 0, None, None, "")
    assert (item.modality, item.content.mode, item.content.size) == ("image", "RGB", (40, 20))
    assert near(item.content.getpixel((5, 5)), RED)
    assert near(item.content.getpixel((35, 15)), WHITE)
    assert list(image.read(tmp_path / name, key=name, start=1)) == []


def test_a_picture_is_known_by_what_it_is_whatever_image_it_is_called(tmp_path):
    (item,) = read(tmp_path, saved(corner_picture(), "PNG"), "a.jpg")
    assert item.content.getpixel((5, 5)) == RED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_in_exif_is_applied(tmp_path, fmt, orientation):
    upright = corner_picture(size=(48, 32))
    turns = {  # what a camera held that way stores
        **{1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM},
        **{5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270},
    }
    stored = upright.transpose(turns[orientation]) if turns[orientation] is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {274: orientation}} if fmt == "TIFF" else {"exif": exif.tobytes()}
    (item,) = read(tmp_path, saved(stored, fmt, **options), f"a.{fmt.lower()}")
    assert item.content.size == (48, 32)
    assert near(item.content.getpixel((5, 5)), RED)
    assert near(item.content.getpixel((43, 27)), WHITE)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA-like", "P with transparency", "RGB with transparency", "L with transparency"])
def test_transparent_pictures_lie_on_white(tmp_path, mode):
    if mode in {"RGBA", "LA"}:
        picture = Image.new(mode, (10, 10), 0)
        data = saved(picture, "PNG")
    elif mode == "PA-like":
        picture = Image.new("RGBA", (10, 10), (0, 0, 0, 0)).quantize(4)
        data = saved(picture, "PNG")
    else:
        picture = Image.new(mode[0] if mode[0] in "PL" else "RGB", (10, 10), 0)
        data = saved(picture, "PNG", transparency=(0, 0, 0) if picture.mode == "RGB" else 0)
    (item,) = read(tmp_path, data)
    assert item.content.getpixel((5, 5)) == WHITE


def test_half_transparent_black_is_gray(tmp_path):
    (item,) = read(tmp_path, saved(Image.new("RGBA", (9, 9), (0, 0, 0, 128)), "PNG"))
    assert item.content.getpixel((4, 4)) == (127, 127, 127)


def test_gray_of_sixteen_bits_keeps_its_shades(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for fmt, name in (("PNG", "a.png"), ("TIFF", "a.tif")):
        (item,) = read(tmp_path, saved(Image.fromarray(ramp), fmt), name)
        assert np.abs(np.asarray(item.content)[..., 0].astype(int).ravel() - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[5.0, np.nan, np.inf]], np.float32), [5, 0, 0]),
    ],
)
def test_gray_of_thirty_two_bits_is_brought_to_eight(tmp_path, values, expected):
    (item,) = read(tmp_path, saved(Image.fromarray(values), "TIFF"), "a.tif")
    shown = np.asarray(item.content)[0, :, 0].tolist()
    assert all(abs(a - b) <= 1 for a, b in zip(shown, expected, strict=True))


@pytest.mark.parametrize(
    ("mode", "fmt"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("P", "BMP"), ("L", "WEBP")]
)
def test_pixels_of_every_kind_become_rgb(tmp_path, mode, fmt):
    picture = Image.new("RGB", (16, 16), "white")
    picture.paste(BLACK, (0, 0, 8, 16))
    (item,) = read(tmp_path, saved(picture.convert(mode), fmt), f"a.{fmt.lower()}")
    assert item.content.mode == "RGB"
    assert near(item.content.getpixel((3, 8)), BLACK)
    assert near(item.content.getpixel((13, 8)), WHITE)


def test_the_first_frame_of_a_moving_picture_counts(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    for fmt, name in (("GIF", "a.gif"), ("WEBP", "a.webp"), ("PNG", "a.png")):
        (item,) = read(tmp_path, saved(frames[0], fmt, save_all=True, append_images=frames[1:]), name)
        assert near(item.content.getpixel((4, 4)), RED)
        assert item.id == name


# pages of a TIFF


def pages(count, size=(12, 8)):
    frames = [Image.new("RGB", size, (number * 20, 0, 0)) for number in range(count)]
    return saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])


def test_the_pages_of_a_tiff_are_items(tmp_path):
    items = read(tmp_path, pages(4), "a.tiff")
    assert [(item.id, item.source.page, item.part) for item in items] == [(f"a.tiff#page={n + 1}", n + 1, n) for n in range(4)]
    assert [item.content.getpixel((0, 0))[0] for item in items] == [0, 20, 40, 60]
    tail = read(tmp_path, pages(4), "a.tiff", start=2)
    assert [item.id for item in tail] == ["a.tiff#page=3", "a.tiff#page=4"]
    assert tail[0].content.tobytes() == items[2].content.tobytes()


def test_a_damaged_page_of_a_tiff_is_passed_over(tmp_path):
    frames = [noise(64, 64) for _ in range(3)]
    data = bytearray(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="tiff_deflate"))
    with Image.open(io.BytesIO(data)) as whole:
        whole.seek(1)
        (start, *_) = whole.tag_v2[273]  # StripOffsets
    data[start : start + 40] = b"\xff" * 40
    told = []
    items = read(tmp_path, bytes(data), "a.tif", passed_over=told.append)
    assert [item.source.page for item in items] == [1, 3]
    assert len(told) == 1
    assert told[0].startswith("page 2 left out: damaged image")


def test_a_tiff_whose_pages_run_in_a_circle_ends(tmp_path):
    data = bytearray(pages(3))
    places = []
    at = struct.unpack_from("<I", data, 4)[0]
    while at:
        entries = struct.unpack_from("<H", data, at)[0]
        places.append(at + 2 + 12 * entries)
        at = struct.unpack_from("<I", data, places[-1])[0]
    struct.pack_into("<I", data, places[-1], struct.unpack_from("<I", data, 4)[0])
    assert len(read(tmp_path, bytes(data), "a.tif")) <= 3


# size


def test_a_large_picture_is_scaled_down_to_four_megapixels(tmp_path):
    for fmt, name in (("PNG", "a.png"), ("JPEG", "a.jpg")):
        (item,) = read(tmp_path, saved(corner_picture(size=(4000, 2000)), fmt), name)
        width, height = item.content.size
        assert 3_900_000 < width * height <= 4_000_000
        assert abs(width / height - 2) < 0.01
        assert near(item.content.getpixel((10, 10)), RED)
        assert near(item.content.getpixel((width - 10, height - 10)), WHITE)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4999, 3), (3, 30_000), (70_000, 1)])
def test_slim_and_tiny_pictures_keep_a_shape_that_can_be_looked_at(tmp_path, size):
    (item,) = read(tmp_path, saved(Image.new("RGB", size), "PNG"))
    width, height = item.content.size
    assert max(width, height) <= 100 * min(width, height)
    assert width * height <= 4_000_000
    assert item.content.getpixel((0, 0)) == BLACK


def test_sizes_stay_within_the_limits_and_keep_their_proportions():
    rng = np.random.default_rng(0)
    for width, height in np.exp(rng.uniform(0, 11, size=(500, 2))).astype(int).tolist():
        across, down = bounded_size((max(1, width), max(1, height)))
        assert on_paper(Image.new("L", (1, 1))).size == (1, 1)
        slim = max(across, down) / 100
        assert max(across, slim) * max(down, slim) <= 4_000_000 + 20_000
        if min(across, down) > 50:
            assert abs(np.log((across / down) / (width / height))) < 0.05


def bomb(width, height):
    """A PNG of white pixels, a few kB long."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((10_000, 9_000), "10,000 x 9,000 pixels: pictures of more than 80 million pixels are not decoded"),
        ((12_000, 12_000), "12,000 x 12,000 pixels: pictures of more than 80 million pixels are not decoded"),
        ((60_000, 60_000), "more than 178,956,970 pixels: pictures of more than 80 million pixels are not decoded"),
    ],
)
def test_decompression_bombs_are_refused_with_the_limit(tmp_path, size, reason):
    assert refusal(tmp_path, bomb(*size)) == reason


def test_a_jpeg_that_is_drawn_over_and_over_is_refused(tmp_path, monkeypatch):
    with Confined("unitower.ingest.image_worker", cpu_seconds=1, memory_bytes=2**31) as worker:
        monkeypatch.setattr(image, "_WORKER", worker)
        data = saved(Image.new("L", (8000, 8000)), "JPEG", progressive=True)
        last_scan = data[data.rindex(b"\xff\xda") : -2]
        assert (
            refusal(tmp_path, data[:-2] + last_scan * 500 + data[-2:], "a.jpg") == "damaged image: decoding it takes more than 1 s of work"
        )
        assert len(read(tmp_path, data, "b.jpg")) == 1


# damage


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "a.gif"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path, name):
    fmt, options = FORMATS[name]
    data = saved(noise(200, 200), fmt, **options)
    for share in (0.3, 0.6, 0.9):
        assert "image" in refusal(tmp_path, data[: int(len(data) * share)], name)


def test_what_is_no_picture_is_refused_with_what_it_seems_to_be(tmp_path):
    wanted = "not a picture of a kind that is read"
    cases = {
        b"": "empty",
        b"<!DOCTYPE html><title>404</title>": f"{wanted}: it seems to be an HTML page",
        b"%PDF-1.4\n": f"{wanted}: it seems to be a PDF",
        b'{"error": "not found"}': f"{wanted}: it seems to be text",
        b"\0\0\0\x18ftypheic\0\0\0\0": f"{wanted}: it seems to be a HEIC image",
        b'<?xml version="1.0"?><svg/>': f"{wanted}: it seems to be an XML document",
        bytes(range(256)): wanted,
        b"\x89PNG\r\n\x1a\n" + bytes(30): "damaged image: its header makes no sense",
    }
    for data, reason in cases.items():
        assert refusal(tmp_path, data) == reason


def test_damaged_exif_leaves_the_picture_as_it_lies(tmp_path):
    data = saved(corner_picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 20)
    (item,) = read(tmp_path, data, "a.jpg")
    assert item.content.size == (40, 20)
