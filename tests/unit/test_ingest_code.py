"""Source code: functions and classes with their lines, in many languages, and nothing lost between them."""

import random
import sys
import sysconfig
from pathlib import Path

import pytest

from unitower.ingest import code
from unitower.ingest.confined import Confined, Died
from unitower.ingest.decode import lines_of, text_of
from unitower.ingest.grammars import GRAMMARS, LANGUAGES


def read(folder, name, text, **options):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    items = list(code.read(path, key=name, **options))
    assert code.count(path) == len(items)
    return items


def places(items):
    return [(*item.source.lines, item.metadata.get("name")) for item in items]


def assert_nothing_is_lost(path, items):
    """Every line that is not blank stands in an item that names it, and an item holds nothing but its heading and the lines it names."""
    lines = lines_of(text_of(path))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            holders = [item for item in items if item.source.lines[0] <= number <= item.source.lines[1]]
            assert any(line.strip() in item.content for item in holders), f"{path}, line {number} is lost: {line!r}"
    for item in items:
        first, last = item.source.lines
        named = {line.strip() for line in lines[first - 1 : last]}
        body = item.content.removeprefix(item.metadata.get("heading", ""))
        assert {line.strip() for line in body.split("\n")} - named <= {""}, f"{item.id} holds what does not stand there"


PYTHON = '''"""About this module."""

import os

LIMIT = 3


# adds two numbers
# and no more
@cache
def add(a, b):
    """Sum."""
    return a + b


async def later(): pass


class Shape:
    """A shape."""

    sides = 0

    @property
    def area(self):
        return 0


try:
    from fast import mul
except ImportError:

    def mul(a, b):
        return a * b


if __name__ == "__main__":
    print(add(1, 2))
'''


def test_python_functions_and_classes_are_items_with_their_decorators_and_comments(tmp_path):
    items = read(tmp_path, "a.py", PYTHON)
    assert places(items) == [
        (1, 5, None),
        (8, 13, "add"),
        (16, 16, "later"),
        (19, 26, "Shape"),
        (29, 31, None),
        (33, 34, "mul"),
        (37, 38, None),
    ]
    assert items[1].content == '# adds two numbers\n# and no more\n@cache\ndef add(a, b):\n    """Sum."""\n    return a + b'
    assert items[1].id == "a.py#L8-L13"
    assert {item.modality for item in items} == {"code"}
    assert {item.metadata["language"] for item in items} == {"python"}
    assert_nothing_is_lost(tmp_path / "a.py", items)


def test_a_long_class_is_told_by_its_head_and_one_item_per_method(tmp_path):
    body = "\n".join(f"        total += self.value_{number} * {number}" for number in range(30))
    methods = "\n".join(f"    @timed\n    def method_{n}(self,\n                 x):\n{body}\n        return total\n" for n in range(5))
    items = read(tmp_path, "a.py", f'class Long(Base):\n    """Says what it is."""\n\n    field = 1\n\n{methods}\n    last = 2\n')
    head, *rest = items
    assert head.source.lines == (1, 181)
    assert head.content.startswith(
        'class Long(Base):\n    """Says what it is."""\n    field = 1\n    def method_0(self,\n                 x):\n'
    )
    assert head.content.endswith("    last = 2")
    assert "value_" not in head.content
    assert [(item.metadata["name"], item.metadata["heading"]) for item in rest] == [
        (f"Long.method_{n}", "class Long(Base):") for n in range(5)
    ]
    assert rest[0].source.lines == (6, 39)
    assert rest[0].content.startswith("class Long(Base):\n\n    @timed\n    def method_0(self,\n")
    assert_nothing_is_lost(tmp_path / "a.py", items)


def test_a_long_function_is_cut_and_every_piece_knows_its_name(tmp_path):
    steps = "\n\n".join(f"    step_{number} = compute(step, number, {number})\n    check(step, {number})" for number in range(120))
    items = read(tmp_path, "a.py", f"# explains\ndef long(step):\n{steps}\n")
    assert len(items) > 2
    assert {item.metadata["name"] for item in items} == {"long"}
    assert items[0].content.startswith("# explains\ndef long(step):\n")
    assert [item.metadata.get("heading") for item in items] == [None, *["def long(step):"] * (len(items) - 1)]
    assert_nothing_is_lost(tmp_path / "a.py", items)


SAMPLES = {
    "a.ts": (
        """\
import { x } from "y";

/** Doc. */
export interface A { x: number }

@Dec({
  a: 1,
})
export abstract class C<T> {
  // about
  @Log()
  constructor(private a: B) {}
}

export const use = async (a: string): Promise<void> => {
  await a;
};

namespace N {
  export function g(): void {}
}
""",
        [(1, 1, None), (3, 4, "A"), (6, 13, "C"), (15, 17, "use"), (19, 21, None), (20, 20, "g")],
    ),
    "a.tsx": (
        """\
export default function App() {
  return <p>hi</p>;
}
""",
        [(1, 3, "App")],
    ),
    "a.js": (
        """\
'use strict';

module.exports.run = function () {
  return 1;
};

class B extends A {
  go() {}
}
""",
        [(1, 1, None), (3, 5, "module.exports.run"), (7, 9, "B")],
    ),
    "a.go": (
        """\
package main

// Greet says hello.
func Greet(name string) string {
\treturn name
}

type A struct {
\tx int
}

func (a *A) M() {}
""",
        [(1, 1, None), (3, 6, "Greet"), (8, 10, "A"), (12, 12, "M")],
    ),
    "a.rs": (
        """\
//! crate
use std::fmt;

/// doc
#[derive(Debug)]
pub struct A { x: i32 }

impl fmt::Display for A {
    fn f(&self) {}
}

mod tests {
    #[test]
    fn works() {}
}
""",
        [(1, 2, None), (4, 6, "A"), (8, 10, "A"), (12, 15, None), (13, 14, "works")],
    ),
    "A.java": (
        """\
package a;

/** Doc. */
@Ann
public class A<T> extends B {
  @Override
  public void f() { }
}

record R(int a) {}
""",
        [(1, 1, None), (3, 8, "A"), (10, 10, "R")],
    ),
    "a.c": (
        """\
#include <x.h>

/* adds */
static int
add (int a)
{
  return a;
}

typedef struct { int a; } S;
int later(int);
""",
        [(1, 1, None), (3, 8, "add"), (10, 10, "S"), (11, 11, None)],
    ),
    "a.h": (
        """\
#ifndef A_H
#define A_H

namespace n {

template <typename T>
class Q : public R {
  int g() const { return 1; }
};

}  // namespace n
#endif  // A_H
""",
        [(1, 12, None), (6, 9, "Q")],
    ),
    "a.cs": (
        """\
using System;
namespace A
{
    /// <summary>x</summary>
    [Attr]
    public class C : D
    {
        public int P { get; set; }
    }
}
""",
        [(1, 10, None), (4, 9, "C")],
    ),
    "a.rb": (
        """\
require 'x'

module M
  # doc
  class A < B
    def f(a)
      1
    end
  end

  def self.top
    2
  end
end
""",
        [(1, 14, None), (4, 9, "A"), (11, 13, "top")],
    ),
    "a.sh": (
        """\
#!/bin/sh
set -e

# greets
greet() {
  echo hi
}

greet
""",
        [(1, 2, None), (4, 7, "greet"), (9, 9, None)],
    ),
    "a.php": (
        """\
<?php
namespace A;

/** doc */
#[Attr]
abstract class C extends D {
  public function f(int $a): int { return 1; }
}

if (!function_exists('g')) {
  function g() { return 2; }
}
""",
        [(1, 2, None), (4, 8, "C"), (10, 12, None), (11, 11, "g")],
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_functions_and_classes_of_other_languages_are_items(tmp_path, name):
    text, expected = SAMPLES[name]
    items = read(tmp_path, name, text)
    assert places(items) == expected
    assert_nothing_is_lost(tmp_path / name, items)


def test_every_grammar_has_a_suffix_and_can_be_loaded():
    assert set(GRAMMARS) <= set(LANGUAGES.values())
    with Confined("unitower.ingest.code_worker", cpu_seconds=20, memory_bytes=2**30) as worker:
        for language in GRAMMARS:
            assert worker.ask({"language": language}, b"x")[0].get("definitions") == [], language


def test_a_language_without_a_grammar_is_read_in_blocks_between_blank_lines(tmp_path):
    text = "\n\n".join("\n".join(f"local value_{block}_{row} = {row}" for row in range(20)) for block in range(10))
    items = read(tmp_path, "a.lua", text)
    assert len(items) > 2
    assert {item.metadata["language"] for item in items} == {"lua"}
    starts = {1 + 21 * block for block in range(10)}
    assert {item.source.lines[0] for item in items} <= starts
    assert_nothing_is_lost(tmp_path / "a.lua", items)


def test_definitions_on_one_line_are_one_item(tmp_path):
    items = read(tmp_path, "a.js", "function a() {} function b() {}\nfunction c() {}\n")
    assert places(items) == [(1, 1, "a, b"), (2, 2, "c")]


def test_what_is_whole_in_a_file_that_is_broken_is_still_found(tmp_path):
    items = read(tmp_path, "a.py", "def good():\n    return 1\n\n\ndef broken(:\n    retrun ((\n\n\n@@@ ??? !!!\n")
    assert (1, 2, "good") in places(items)
    assert_nothing_is_lost(tmp_path / "a.py", items)


def test_minified_code_is_cut_into_pieces_with_their_own_ids(tmp_path):
    items = read(tmp_path, "a.min.js", "!function(){" + "".join(f"var a{n}=function(b){{return b+{n}}};" for n in range(3000)) + "}();")
    assert len(items) > 20
    assert len({item.id for item in items}) == len(items)
    assert sum(len(item.content) for item in items) > 90_000


def test_windows_and_old_mac_line_ends_give_the_same_lines(tmp_path):
    expected = places(read(tmp_path, "a.py", PYTHON))
    for end in ("\r\n", "\r"):
        (tmp_path / "b.py").write_bytes(PYTHON.replace("\n", end).encode())
        assert places(list(code.read(tmp_path / "b.py", key="b.py"))) == expected


def test_code_that_a_grammar_cannot_bear_is_read_in_blocks(tmp_path, monkeypatch):
    worker = Confined("unitower.ingest.code_worker", cpu_seconds=1, memory_bytes=2**29)
    monkeypatch.setattr(code, "_WORKER", worker)
    try:
        text = "a<" * 20_000
        with pytest.raises(Died):  # 40 kB of which the parser makes 4 GB
            worker.ask({"language": "java"}, text.encode())
        items = read(tmp_path, "a.java", text)
        assert "".join(item.content for item in items) == text
        assert places(read(tmp_path, "b.py", "def f():\n    pass\n")) == [(1, 2, "f")]  # and the next file is parsed again
    finally:
        worker.close()


def test_nothing_is_lost_in_the_standard_library(tmp_path):
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(library.glob("*.py"))
    for path in random.Random(0).sample(files, 40):
        items = list(code.read(path, key=path.name))
        assert len({item.id for item in items}) == len(items)
        assert_nothing_is_lost(path, items)


@pytest.mark.skipif(sys.platform == "win32", reason="no processor time limit there")
def test_deeply_nested_code_takes_no_stack(tmp_path):
    for text in (
        "(" * 100_000,
        "if x:\n" * 1 + "[" * 50_000 + "]" * 50_000,
        "def f():\n" + "".join(f"{' ' * n}if x:\n" for n in range(1, 900)),
    ):
        assert read(tmp_path, "a.py", text)
