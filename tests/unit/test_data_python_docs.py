"""Docstrings of installed packages: what is paired with what, what is left out, and which packages are tested on."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest
from data_samples import write_files

from unitower.data import BadPair, Pairs, open_source
from unitower.data.python_docs import Docstrings


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))


COUNT = '''"""Counting of things that come one after the other.

This module is small on purpose: it has one function, and a class that nobody needs, to show how counting is done by hand.
"""
import os


@os.cache
def count(things, *, start=0):
    r"""Count how many things there are in an iterable.

    The iterable is read to its end, which takes as long as it is; one that has no end is never counted at all.

    :param things: whatever can be iterated
    """
    number = start

    for _ in things:  # one by one
        text = """
not indented"""
        number += 1
    return number


class Counter:
    """Counts the things that it is given, one by one."""

    def add(self, thing):
        """Add one thing to those that were counted before."""
        self.number += 1
        self.last = thing
'''


def pairs_of(pairs: Pairs) -> dict[str, str]:
    return {str(pairs[i].query.content): str(pairs[i].document.content) for i in range(len(pairs))}


def opened(root: Path, files: dict[str, str], **options: object) -> Pairs:
    write_files(root, files)
    return open_source("python_docs", **{"roots": [root], "licences": ["unknown"], "test_share": 0, **options})


def test_code_stands_without_its_docstring_beside_the_first_paragraph_of_it(tmp_path: Path) -> None:
    found = pairs_of(opened(tmp_path, {"counting/__init__.py": COUNT}))
    assert found == {
        "Count how many things there are in an iterable.": (
            '@os.cache\ndef count(things, *, start=0):\n    number = start\n\n    for _ in things:  # one by one\n        text = """\n'
            'not indented"""\n        number += 1\n    return number'
        ),
        "Add one thing to those that were counted before.": "def add(self, thing):\n    self.number += 1\n    self.last = thing",
    }
    assert all(ast.parse(code) for code in found.values())


def test_summaries_stand_beside_the_prose_that_follows_without_the_parameters(tmp_path: Path) -> None:
    found = pairs_of(opened(tmp_path, {"counting/__init__.py": COUNT}, sides="summary"))
    assert found == {
        "Counting of things that come one after the other.": (
            "This module is small on purpose: it has one function, and a class that nobody needs, to show how counting is done by hand."
        ),
        "Count how many things there are in an iterable.": (
            "The iterable is read to its end, which takes as long as it is; one that has no end is never counted at all."
        ),
    }


def test_items_say_what_they_are_and_where_they_come_from(tmp_path: Path) -> None:
    pairs = opened(tmp_path, {"counting/__init__.py": COUNT})
    pair = pairs[0]
    assert (pair.task, pair.query.modality, pair.document.modality) == ("code", "text", "code")
    assert pair.document.source.path == str(tmp_path / "counting" / "__init__.py")
    first, last = pair.document.source.lines or (0, 0)
    lines = COUNT.split("\n")
    assert (lines[first - 1], lines[last - 1]) == ("@os.cache", "    return number")
    assert pair.document.metadata == {"package": "counting", "licence": "unknown"}
    assert opened(tmp_path, {}, sides="summary")[0].task == "retrieval"


def function(summary: str, *, name: str = "f", body: str = "    x = 1\n    return x\n") -> str:
    return f'def {name}():\n    """{summary}"""\n{body}\n\n'


GOOD = "Return the number of the beast as a plain integer."


@pytest.mark.parametrize(
    "source",
    [
        function("Too short."),
        function("Ein_Wort_das_lang_genug_ist_aber_allein_steht"),
        function(GOOD, body="    raise NotImplementedError\n"),
        function(GOOD, body="    ...\n"),
        function(GOOD, body="    pass\n"),
        function(GOOD, body="    return 666\n"),  # nothing to it: two lines
        function(GOOD, body="    x = 1\n" * 100),
        function(GOOD, body="    x = '" + "y" * 5000 + "'\n    return x\n"),
        f'def f(): "{GOOD}"; return 1\n',
        function(GOOD) + "def broken(:\n",
        "x = 1\n",
        "\0",
        "# -*- coding: no-such-encoding -*-\n" + function(GOOD),
    ],
)
def test_what_teaches_nothing_is_left_out(tmp_path: Path, source: str) -> None:
    assert pairs_of(opened(tmp_path, {"p/a.py": source, "p/b.py": function("Open the window when it is too warm inside.")})) == {
        "Open the window when it is too warm inside.": "def f():\n    x = 1\n    return x"
    }


def test_old_encodings_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(
        b"# -*- coding: latin-1 -*-\r\n" + function("Gib die Größe der Wörter zurück.").replace("\n", "\r\n").encode("latin-1")
    )
    pairs = opened(tmp_path, {})
    assert pairs_of(pairs) == {"Gib die Größe der Wörter zurück.": "def f():\n    x = 1\n    return x"}


def test_tests_and_vendored_copies_are_not_read(tmp_path: Path) -> None:
    names = [
        "p/tests/a.py",
        "p/test/a.py",
        "p/_vendor/q/a.py",
        "p/vendor/a.py",
        "p/test_a.py",
        "p/site-packages/q/a.py",
        "p/conftest.py",
        "p/a.txt",
    ]
    numbers = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]
    files = {
        name: function(f"This is what the {number} of all functions does, and {number} it is.")
        for name, number in zip(names, numbers, strict=True)
    }
    kept = opened(tmp_path, {**files, "p/latest/contest.py": function(GOOD)})
    assert list(pairs_of(kept)) == [GOOD]


def test_of_nearly_the_same_functions_the_first_stays_also_across_packages(tmp_path: Path) -> None:
    body = "".join(f"    value_{chr(97 + i)} = compute(value, width, height)\n" for i in range(12))
    copied = body.replace("value_c", "value_other")
    files = {
        "a/x.py": function("Compute the values of the picture from its size.", body=body),
        "b/x.py": function("Work out what the picture is worth, the other way round.", body=copied),
        "c/x.py": function(
            "Compute the values of the picture from its size!", body="    something = entirely(different)\n    return something\n"
        ),
    }
    assert list(pairs_of(opened(tmp_path, files))) == ["Compute the values of the picture from its size."]


def test_whole_packages_are_kept_to_test_with(tmp_path: Path) -> None:
    words = ["apple", "bread", "candle", "desk", "engine", "flower", "garden", "hammer", "island", "jacket", "kettle", "ladder"]
    files = {
        f"{word}/m{i}.py": function(f"Tell what a {word} does with {other}.", body=f"    {word} = {other}\n    return {other}, {word}\n")
        for word in words
        for i, other in enumerate(words[:4])
    }
    write_files(tmp_path, files)
    train, test = (opened(tmp_path, {}, split=split, test_share=0.4) for split in ("train", "test"))
    sides = [{pairs[i].document.metadata["package"] for i in range(len(pairs))} for pairs in (train, test)]
    assert sides[0].isdisjoint(sides[1])
    assert sides[0]
    assert sides[1]
    chosen = opened(tmp_path, {}, packages=["apple", "desk"])
    assert {chosen[i].document.metadata["package"] for i in range(len(chosen))} == {"apple", "desk"}


def metadata(**fields: str) -> str:
    lines = [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
    return "\n".join(["Metadata-Version: 2.1", "Name: x", "Version: 1", *lines]) + "\n"


def test_licences_come_from_the_metadata_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    texts = {
        name: function(f"Say what the package {name} is good for.", name=name) for name in ("apple", "bread", "candle", "desk", "engine")
    }
    files = {f"{name}/__init__.py": text for name, text in texts.items()} | {
        "apple-1.dist-info/METADATA": metadata(License_Expression="MIT OR Apache-2.0"),
        "apple-1.dist-info/top_level.txt": "apple\n",
        "bread-1.dist-info/METADATA": metadata(Classifier="License :: OSI Approved :: Apache Software License", License="see LICENSE"),
        "bread-1.dist-info/RECORD": "bread/__init__.py,,\n",
        "candle-1.dist-info/METADATA": metadata(License="Zlib"),
        "candle-1.dist-info/top_level.txt": "candle\n",
        "desk-1.dist-info/METADATA": metadata(License="x" * 500),
        "desk-1.dist-info/top_level.txt": "desk\n",
    }
    pairs = opened(tmp_path, files, licences=None)
    told = {pairs[i].document.metadata["package"]: pairs[i].document.metadata["licence"] for i in range(len(pairs))}
    assert told == {"apple": "MIT OR Apache-2.0", "bread": "Apache-2.0", "candle": "Zlib"}
    assert pairs.licence == "(MIT OR Apache-2.0) AND Apache-2.0 AND Zlib"
    assert len(opened(tmp_path, {}, licences=["Zlib", "unknown"])) == 3


def test_files_are_parsed_once_until_one_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import unitower.data.python_docs as module

    root = tmp_path / "root"
    window = function("Open the window when it is too warm inside.", body="    window.unlock()\n    return window.tilt()\n")
    files = {"p/a.py": function(GOOD), "p/b.py": window}
    first = opened(root, files)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_scanned", lambda *_: pytest.fail("the files were parsed again"))
        again = open_source("python_docs", roots=[root], licences=["unknown"], test_share=0)
        summaries = open_source("python_docs", roots=[root], licences=["unknown"], test_share=0, sides="summary")
    assert pairs_of(again) == pairs_of(first)
    assert len(summaries) == 0
    (root / "p" / "a.py").write_text(function("Close the door when it is too cold inside.", body="    door.shut()\n    return door.bolt\n"))
    os.utime(root / "p" / "a.py", ns=(1, 1))
    module._unchanged.cache_clear()
    with pytest.raises(BadPair, match=r"a\.py has changed since it was scanned"):
        first[0]
    assert first[1].query.content.startswith("Open the window")
    changed = open_source("python_docs", roots=[root], licences=["unknown"], test_share=0)
    assert next(iter(pairs_of(changed))) == "Close the door when it is too cold inside."


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sides is 'both'"):
        opened(tmp_path, {}, sides="both")
    with pytest.raises(ValueError, match="there is no folder"):
        open_source("python_docs", roots=[tmp_path / "gone"])


def test_the_standard_library_gives_pairs_whose_code_parses(tmp_path: Path) -> None:
    import json

    pairs = open_source(
        "python_docs", roots=[Path(json.__file__).parents[1]], packages=["json", "textwrap", "calendar", "shlex"], test_share=0
    )
    assert isinstance(pairs, Docstrings)
    assert pairs.licence == "PSF-2.0" if "site-packages" not in json.__file__ else sys.prefix
    assert len(pairs) > 20
    for i in range(len(pairs)):
        pair = pairs[i]
        node = ast.parse(str(pair.document.content)).body[0]
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(node) is None
        assert str(pair.query.content) not in str(pair.document.content)
