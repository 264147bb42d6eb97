"""TOML that people write: a value of the wrong type is named with the one that would be right, and so is a file in another encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from unitower.evaluation import cards, toml

ASKED: dict[str, Any] = {
    "name": str,
    "seed": int,
    "share": float,
    "near": bool,
    "paths": Sequence[str],
    "px": tuple[int, int],
    "shape": Literal["beir", "qa"],
    "subsets": Mapping[str, tuple[str, ...]],
    "sources": Sequence[Mapping[str, Any]],
    "words": str | Mapping[str, Mapping[str, str]],
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", 4711, "file, [a]: name is 4711; it is a text."),
        ("seed", "7", "file, [a]: seed is '7'; it is a whole number."),
        ("seed", True, "file, [a]: seed is True; it is a whole number."),
        ("share", "half", "file, [a]: share is 'half'; it is a number."),
        ("near", 1, "file, [a]: near is 1; it is true or false."),
        ("paths", "papers", "file, [a]: paths is 'papers'; it is a list of texts: [\"papers\"]."),
        ("paths", ["a", 3], "file, [a]: paths is ['a', 3]; it is a list of texts."),
        ("px", [800], "file, [a]: px is [800]; it is a list of 2 whole numbers."),
        ("shape", "bier", "file, [a]: shape is 'bier'; there are beir, qa."),
        ("subsets", ["en"], "file, [a]: subsets is ['en']; it is a table."),
        ("subsets", {"default": "en"}, "file, [a]: subsets.default is 'en'; it is a list of texts: [\"en\"]."),
        ("sources", {"kind": "x"}, "file, [a]: sources is {'kind': 'x'}; it is a list of tables: [[sources]] in place of [sources]."),
        ("words", 3, "file, [a]: words is 3; it is a text or a table."),
        ("words", {"de": {"may": 5}}, "file, [a]: words.de.may is 5; it is a text."),
        ("name", ["word"] * 50, f"file, [a]: name is {str(['word'] * 50)[:59]}…; it is a text."),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_what_would_be_right(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"it is|there are") as wrong:
        toml.check({name: value}, ASKED, where="file, [a]")
    assert str(wrong.value) == message


def test_values_of_the_right_types_pass() -> None:
    right = {
        "name": "",
        "seed": 0,
        "share": 1,
        "near": False,
        "paths": [],
        "px": [800, 600],
        "shape": "qa",
        "subsets": {"default": ["en"], "none": []},
        "sources": [{"kind": 1}],
        "words": {"de": {"may": "Mai"}},
    }
    toml.check(right, ASKED, needed=list(ASKED), where="file")
    toml.check({"share": 0.5, "words": "words.toml"}, ASKED, where="file")


def test_a_file_is_read_with_or_without_a_byte_order_mark_and_named_in_another_encoding(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    for mark in (b"", b"\xef\xbb\xbf"):
        file.write_bytes(mark + 'name = "Größe"\r\n'.encode())
        assert toml.read(file) == {"name": "Größe"}
    file.write_bytes('name = "Größe"\n'.encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8") as wrong:
        toml.read(file)
    assert str(wrong.value) == f"{file} is not UTF-8 (invalid start byte at byte 11): save it as UTF-8."
    file.write_text("name = \n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.toml is no TOML: "):
        toml.read(file)
    with pytest.raises(ValueError, match=r"b\.toml cannot be read: No such file"):
        toml.read(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('subsets = ["en"]', r"card\.toml: subsets is \['en'\]; it is a table"),
        ('[subsets]\ndefault = "en"', r"card\.toml: subsets\.default is 'en'; it is a list of texts: \[\"en\"\]"),
        ('faults = "few"\n[subsets]\ndefault = ["en"]', r"card\.toml: faults is 'few'; it is a list of texts: \[\"few\"\]"),
        ('by = "names"\n[subsets]\ndefault = ["en"]', r"card\.toml: by is 'names'; there are data_dir, name"),
        ('measure = 5\n[subsets]\ndefault = ["en"]', r"card\.toml: measure is 5; it is a text"),
        ('[subsets]\ndefault = ["en"]\n[sizes]\ndefault = 3', r"card\.toml: sizes\.default is 3; it is a table"),
        (
            '[subsets]\ndefault = ["en"]\n[[published]]\nmodel = "m"\nmode = "dense"\nrule = "one page"\nsource = "s"\nscore = "92"',
            r"card\.toml, \[\[published\]\]: score is '92'; it is a number",
        ),
    ],
)
def test_a_card_with_a_value_of_the_wrong_type_is_told(wrong: str, message: str, tmp_path: Path) -> None:
    lines = ['about = "Three texts."', 'shape = "beir"', 'path = "set"', 'licence = "CC0-1.0"', 'citation = "none"', wrong]
    (tmp_path / "card.toml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        cards.read(tmp_path / "card.toml")
