"""What every kernel must answer: the definition, and the numpy kernel to the last bit. The C code is compiled here, each path of it."""

import importlib.util
import zlib
from pathlib import Path

import numpy as np
import pytest

from unitower import codes, kernels
from unitower.kernels import compiled
from unitower.scoring import maxsim
from unitower.types import Ragged

ROOT = Path(__file__).parents[2]
WIDTHS = [1, 2, 8, 33, 64, 128, 200]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    target = tmp_path_factory.mktemp("kernels") / "_maxsim.so"
    if not build.compiled(target):
        pytest.skip("no C compiler here")
    return target


@pytest.fixture(params=["plain", "portable", "AVX2", "AVX-512"])
def kernel(request):
    if request.param == "plain":
        return kernels.load("plain")
    level = compiled.LEVELS.index(request.param)
    found = compiled.open(request.getfixturevalue("library"), level=level)
    if found.level < level:
        pytest.skip(f"this processor has no {request.param}")
    assert request.param in found.name
    return found


def pages(rng, width, lengths=(1, 2, 15, 16, 17, 40, 3, 64)):
    return [unit(rng.standard_normal((n, width))) for n in lengths]


def packed(matrices):
    parts = [codes.pack(one) for one in matrices]
    sizes = np.array([len(one) for one in parts])
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum(sizes) - sizes, np.array([len(one) for one in matrices])


def planes(matrices):
    lengths = np.array([len(one) for one in matrices])
    return codes.planes(codes.quantised(np.concatenate(matrices))[0]), np.cumsum(lengths) - lengths, lengths


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tokens", [1, 7, 24])
def test_maxsim_equals_the_definition_on_what_the_codes_stand_for(kernel, width, tokens):
    rng = np.random.default_rng(width)
    matrices, query = pages(rng, width), unit(rng.standard_normal((tokens, width)))
    asked = codes.query(query)
    stands_for = Ragged.of([codes.unpack(codes.pack(one), width) for one in matrices])
    rounded = asked.tokens[:, :width].astype(np.float32) * np.float32(asked.scale)
    np.testing.assert_allclose(kernels.scores(kernel, asked, *packed(matrices)), maxsim(rounded, stands_for), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tokens", [1, 7, 24])
def test_every_kernel_gives_the_bits_of_the_numpy_one(kernel, width, tokens):
    rng = np.random.default_rng(width + 1)
    matrices, asked, plain = pages(rng, width), codes.query(unit(rng.standard_normal((tokens, width)))), kernels.load("plain")
    data, starts, lengths = packed(matrices)
    chosen = rng.permutation(len(matrices))[:5]  # any pages, in any order
    np.testing.assert_array_equal(
        kernel.best(asked, data, starts[chosen], lengths[chosen]), plain.best(asked, data, starts[chosen], lengths[chosen])
    )
    bits, starts, lengths = planes(matrices)
    for look, given in (("hamming", (asked.signs, bits.signs)), ("coarse", (asked, bits))):
        np.testing.assert_array_equal(
            getattr(kernel, look)(*given, starts[chosen], lengths[chosen]), getattr(plain, look)(*given, starts[chosen], lengths[chosen])
        )
    rows = np.zeros((9, codes.padded(width)), np.int8)
    rows[:, :width] = codes.quantised(unit(rng.standard_normal((9, width))))[0]
    one = codes.query(unit(rng.standard_normal((1, width))))
    np.testing.assert_array_equal(kernel.dots(one, rows), plain.dots(one, rows))


@pytest.mark.parametrize("width", [8, 128])
def test_hamming_and_two_bits_equal_brute_force(kernel, width):
    rng = np.random.default_rng(3)
    matrices, query = pages(rng, width), unit(rng.standard_normal((5, width)))
    asked, (bits, starts, lengths) = codes.query(query), planes(matrices)
    wholes = [codes.quantised(one)[0].astype(int) for one in matrices]
    distances = [sum(min(int(((q >= 0) != (d >= 0)).sum()) for d in one) for q in query) for one in wholes]
    assert kernel.hamming(asked.signs, bits.signs, starts, lengths).tolist() == distances
    levels = [np.where(one >= 0, 1, -1) * np.where(one**2 * width > 0.96 * (one**2).sum(1, keepdims=True), 10, 3) for one in wholes]
    coarse = asked.coarse[:, :width].astype(int)
    assert kernel.coarse(asked, bits, starts, lengths).tolist() == [int((coarse @ one.T).max(axis=1).sum()) for one in levels]


def test_products_of_extreme_codes_do_not_overflow(kernel):
    """The largest sums there can be: every element the largest."""
    for width in (4, 128, 1024):
        row = np.full((1, width), width**-0.5, np.float32)
        asked, (data, starts, lengths) = codes.query(row), packed([row, -row])
        np.testing.assert_allclose(kernels.scores(kernel, asked, data, starts, lengths), [1, -1], rtol=2e-3)
        assert asked.tokens.astype(np.int64).max() * 127 * width < 2**24


def test_the_same_page_has_the_same_score_wherever_it_lies(kernel):
    rng = np.random.default_rng(5)
    page, asked = unit(rng.standard_normal((37, 128))), codes.query(unit(rng.standard_normal((9, 128))))
    one = codes.pack(page)
    scores = set()
    for shift in range(5):  # also where a page does not begin at an aligned address
        data = np.frombuffer(b"\x7f" * shift + one + b"\x7f" * 200, np.uint8)
        scores |= set(kernels.scores(kernel, asked, data, np.array([shift]), np.array([37])).tolist())
    assert len(scores) == 1


def test_planes_may_be_parts_of_a_larger_map(kernel):
    rng = np.random.default_rng(6)
    matrices = pages(rng, 128)
    bits, starts, lengths = planes(matrices)
    wide = [np.concatenate([one, one], axis=1)[:, : one.shape[1]] for one in (bits.signs, bits.large)]
    asked = codes.query(matrices[2][:3])
    inside = codes.Planes(signs=wide[0], large=wide[1])
    np.testing.assert_array_equal(kernel.coarse(asked, inside, starts, lengths), kernel.coarse(asked, bits, starts, lengths))
    np.testing.assert_array_equal(
        kernel.hamming(asked.signs, wide[0], starts, lengths), kernel.hamming(asked.signs, bits.signs, starts, lengths)
    )


def test_a_page_may_lie_in_two_runs_one_of_them_empty(kernel):
    rng = np.random.default_rng(8)
    bits, starts, lengths = planes(pages(rng, 128))
    asked = codes.query(unit(rng.standard_normal((9, 128))))
    first = lengths // 3
    runs = np.stack([starts + first, starts], axis=1), np.stack([lengths - first, first], axis=1)
    np.testing.assert_array_equal(kernel.hamming(asked.signs, bits.signs, *runs), kernel.hamming(asked.signs, bits.signs, starts, lengths))
    np.testing.assert_array_equal(kernel.coarse(asked, bits, *runs), kernel.coarse(asked, bits, starts, lengths))


@pytest.mark.parametrize("width", [8, 128, 200])
def test_heads_are_those_that_bring_the_others_nearest(kernel, width):
    rng = np.random.default_rng(width)
    rows = unit(rng.standard_normal((40, width)) + 2 * rng.standard_normal((5, width))[rng.integers(0, 5, 40)])
    signs = codes.planes(codes.quantised(rows)[0]).signs
    between = np.array([[int(np.bitwise_count(signs[:, i] ^ signs[:, j]).sum()) for j in range(40)] for i in range(40)])
    expected, nearest = [], np.full(40, 32 * codes.words(width))
    for _ in range(10):  # by hand: the first of the tokens that leave the least sum of distances
        sums = {i: int(np.minimum(nearest, between[i]).sum()) for i in range(40) if i not in expected}
        expected.append(min(sums, key=lambda i: (sums[i], i)))
        nearest = np.minimum(nearest, between[expected[-1]])
    assert kernel.heads(signs, 10).tolist() == expected


def test_checksums_are_those_of_zlib(kernel):
    data = np.random.default_rng(9).integers(0, 256, 3_000).astype(np.uint8)
    starts = np.arange(0, 1_300, 13)
    sizes = np.arange(len(starts)) * 3 + starts % 17  # below 64 bytes and above, whole sixteens and not
    assert kernel.crcs(data, starts, sizes).tolist() == [zlib.crc32(data[a : a + n].tobytes()) for a, n in zip(starts, sizes, strict=True)]


def test_pages_beyond_the_buffer_are_refused_and_not_read(library):
    kernel, rng = compiled.open(library), np.random.default_rng(7)
    matrices = pages(rng, 128)
    asked, (data, starts, lengths), (bits, firsts, _) = codes.query(matrices[0]), packed(matrices), planes(matrices)
    with pytest.raises(ValueError, match="beyond"):
        kernel.best(asked, data[:-1], starts, lengths)
    with pytest.raises(ValueError, match="beyond"):
        kernel.hamming(asked.signs, bits.signs, firsts, lengths + 1)
    with pytest.raises(ValueError, match="beyond"):
        kernel.crcs(data, starts, np.full(len(starts), len(data)))


def test_no_pages_have_no_scores(kernel):
    asked, none = codes.query(np.eye(2, 8)), np.zeros(0, np.int64)
    assert kernels.scores(kernel, asked, np.zeros(0, np.uint8), none, none).shape == (0,)
    assert kernel.hamming(asked.signs, np.zeros((1, 0), np.uint64), none, none).shape == (0,)


def test_without_a_library_there_is_no_compiled_kernel_and_numpy_is_chosen(tmp_path, monkeypatch):
    assert compiled.open(tmp_path / "none.so") is None
    (tmp_path / "broken.so").write_bytes(b"no library")
    assert compiled.open(tmp_path / "broken.so") is None
    monkeypatch.setattr(compiled, "open", lambda: None)
    assert kernels.chosen.__wrapped__().name == "numpy"


def test_every_file_of_the_folder_is_a_kernel():
    assert kernels.kernels() == ["compiled", "plain"]


def test_a_missing_or_broken_compiler_is_no_error(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    for command in ("", "no-such-compiler", "false"):
        monkeypatch.setenv("CC", command)
        assert not build.compiled(tmp_path / "_maxsim.so")
    assert list(tmp_path.iterdir()) == []
