"""A listing of program code as editors and books print it: coloured words, line numbers, comments in the page's language.

The programs are put together from a few functions that make sense by themselves, in Python, JavaScript, Go, Rust and SQL, with
invented names. Passages of the caller's are printed as they are, line by line.
"""

# ruff: noqa: E501  # a program is one string, so that its lines read on

from __future__ import annotations

import re

from unitower.render.canvas import Canvas, Colour, Run
from unitower.render.content import Content
from unitower.render.face import Face
from unitower.render.style import Style, mixed

FACTS = ("file", "function", "language", "constant", "value", "author", "purpose")
STYLE = {"sizes": (5.0, 8.5), "dark": 0.4, "screen": 0.6}

LANGUAGES = {"Python": ("py", "#"), "JavaScript": ("js", "//"), "Go": ("go", "//"), "Rust": ("rs", "//"), "SQL": ("sql", "--")}
KEYWORDS = frozenset(
    [
        "and",
        "as",
        "async",
        "await",
        "break",
        "case",
        "class",
        "const",
        "continue",
        "def",
        "defer",
        "elif",
        "else",
        "except",
        "fn",
        "for",
        "from",
        "func",
        "function",
        "if",
        "impl",
        "import",
        "in",
        "into",
        "is",
        "let",
        "match",
        "mod",
        "mut",
        "new",
        "not",
        "null",
        "None",
        "nil",
        "or",
        "package",
        "pass",
        "pub",
        "range",
        "return",
        "select",
        "self",
        "struct",
        "super",
        "switch",
        "then",
        "this",
        "throw",
        "True",
        "False",
        "true",
        "false",
        "try",
        "type",
        "use",
        "var",
        "where",
        "while",
        "with",
        "yield",
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "ORDER",
        "INSERT",
        "INTO",
        "VALUES",
        "CREATE",
        "TABLE",
        "NOT",
        "NULL",
        "PRIMARY",
        "KEY",
        "AND",
        "OR",
        "AS",
        "JOIN",
        "ON",
        "LIMIT",
        "UPDATE",
        "SET",
        "int",
        "string",
        "float64",
        "f64",
        "i64",
        "str",
        "usize",
        "TEXT",
        "INTEGER",
        "REAL",
    ]
)
TOKEN = re.compile(
    r"(?P<comment>(?:#|//|--).*$)|(?P<string>\"[^\"]*\"|'[^']*')|(?P<number>\b\d[\d_.]*\b)|(?P<word>[A-Za-z_]\w*)|(?P<other>\s+|.)"
)

VERBS = (
    "read",
    "load",
    "count",
    "merge",
    "parse",
    "sort",
    "find",
    "drop",
    "send",
    "split",
    "check",
    "build",
    "store",
    "scan",
    "clean",
    "group",
)
NOUNS = (
    "orders",
    "rows",
    "words",
    "files",
    "prices",
    "users",
    "pages",
    "events",
    "tokens",
    "nodes",
    "samples",
    "readings",
    "stations",
    "invoices",
)
CONSTANTS = (
    "MAX_RETRIES",
    "TIMEOUT_S",
    "CHUNK_SIZE",
    "PAGE_LIMIT",
    "CACHE_DAYS",
    "MIN_SCORE",
    "BATCH",
    "PORT",
    "DEFAULT_WIDTH",
    "RATE_LIMIT",
)

PROGRAMS: dict[str, tuple[str, ...]] = {
    "Python": (
        "def {f}(path, limit={K}):\n    # {c}\n    with open(path) as lines:\n        {n} = [line.strip() for line in lines]\n    return {n}[:limit]",
        'def {f}({n}):\n    """{c}"""\n    if not {n}:\n        return None\n    return max({n}, key=lambda one: one.{a})',
        "def {f}({n}):\n    # {c}\n    seen = {{}}\n    for one in {n}:\n        seen[one] = seen.get(one, 0) + 1\n    return seen",
        "class {T}:\n    # {c}\n    def __init__(self, {a}, {n}=None):\n        self.{a} = {a}\n        self.{n} = {n} or []\n\n    def {f}(self, factor={v}):\n        return round(self.{a} * factor, 2)",
        "def {f}(address):\n    # {c}\n    for attempt in range({K}):\n        try:\n            return connect(address, port={v})\n        except OSError:\n            sleep(2 ** attempt)\n    raise TimeoutError(address)",
    ),
    "JavaScript": (
        "export function {f}({n}) {{\n  // {c}\n  const seen = new Map();\n  for (const one of {n}) {{\n    seen.set(one, (seen.get(one) || 0) + 1);\n  }}\n  return seen;\n}}",
        'async function {f}(url) {{\n  // {c}\n  const reply = await fetch(url, {{ limit: {K} }});\n  if (!reply.ok) {{\n    throw new Error("{a}: " + reply.status);\n  }}\n  return reply.json();\n}}',
        "class {T} {{\n  // {c}\n  constructor({a}) {{\n    this.{a} = {a};\n    this.{n} = [];\n  }}\n\n  {f}(factor = {v}) {{\n    return this.{n}.map((one) => one * factor);\n  }}\n}}",
    ),
    "Go": (
        "// {c}\nfunc {f}({n} []string) map[string]int {{\n\tseen := make(map[string]int)\n\tfor _, one := range {n} {{\n\t\tseen[one]++\n\t}}\n\treturn seen\n}}",
        "type {T} struct {{\n\t{a} string\n\t{n} []float64\n}}\n\n// {c}\nfunc (t *{T}) {f}() float64 {{\n\tsum := 0.0\n\tfor _, x := range t.{n} {{\n\t\tsum += x\n\t}}\n\treturn sum / {v}\n}}",
    ),
    "Rust": (
        "/// {c}\npub fn {f}({n}: &[f64]) -> Option<f64> {{\n    if {n}.len() < {K} {{\n        return None;\n    }}\n    let sum: f64 = {n}.iter().sum();\n    Some(sum / {v} as f64)\n}}",
        "pub struct {T} {{\n    pub {a}: String,\n    {n}: Vec<u64>,\n}}\n\nimpl {T} {{\n    // {c}\n    pub fn {f}(&mut self, one: u64) {{\n        if !self.{n}.contains(&one) {{\n            self.{n}.push(one);\n        }}\n    }}\n}}",
    ),
    "SQL": (
        "-- {c}\nCREATE TABLE {n} (\n    id INTEGER PRIMARY KEY,\n    {a} TEXT NOT NULL,\n    {f} REAL\n);",
        "-- {c}\nSELECT {a}, COUNT(*) AS {f}\nFROM {n}\nWHERE {a} > {v}\nGROUP BY {a}\nORDER BY {f}\nLIMIT {K};",
    ),
}
TITLES = {
    "Python": "{K} = {v}",
    "JavaScript": "const {K} = {v};",
    "Go": "package {n}\n\nconst {K} = {v}",
    "Rust": "const {K}: usize = {v};",
    "SQL": "-- {K} = {v}",
}


def draw(canvas: Canvas, content: Content, style: Style) -> None:
    rng = content.rng
    face = style.face(voice="mono")
    pitch = max(style.pitch(face) * 0.95, face.size * 1.15)
    margin = style.margin * rng.uniform(0.2, 0.8)
    top = canvas.height * rng.uniform(0.02, 0.06)
    language = content.state("language", rng.choice(list(LANGUAGES)))
    if language not in LANGUAGES:
        language = "Python"
    suffix, comment = LANGUAGES[language]
    file = content.state("file", f"{content.latin_brand()}_{rng.choice(NOUNS)}.{suffix}")
    numbered = rng.random() < 0.55
    lines = _source(content, language, comment, count=max(3, int(canvas.height * rng.uniform(0.35, 1) / pitch)))

    # code runs from left to right in every language
    with canvas.unmirrored():
        if rng.random() < 0.6:
            bar = style.pitch(face) * 1.5
            canvas.rectangle(0, top, canvas.width, top + bar, fill=style.shade)
            if rng.random() < 0.5:
                for i, dot in enumerate(((237, 106, 94), (245, 191, 79), (98, 197, 84))):
                    x = margin + i * style.x_height * 2.4
                    canvas.ellipse(
                        x, top + bar / 2 - style.x_height * 0.7, x + style.x_height * 1.4, top + bar / 2 + style.x_height * 0.7, fill=dot
                    )
            shown = f"{file} — {content.facts['language']}"
            canvas.line(shown, canvas.width / 2, top + bar / 2 + face.size * 0.33, face=style.face(0.95), fill=style.ink, align="centre")
            y = top + bar + pitch * 0.6
        else:
            canvas.line(f"{comment} {file} ({content.facts['language']})", margin, top + pitch, face=face, fill=style.muted)
            y = top + pitch * 2
        gutter = face.width("0" * 4) if numbered else 0.0
        colours = _colours(style, plain=rng.random() < 0.15)
        canvas.block()
        for number, line in enumerate(lines, start=1):
            if y + pitch > canvas.height * 0.985:
                break
            at = y + pitch * 0.7
            if numbered:
                _number(canvas, str(number), margin + gutter - face.width("0"), at, face, style.muted)
            bare = line.expandtabs(4)
            indent = len(bare) - len(bare.lstrip())
            x = margin + gutter + indent * face.width("0")
            runs = _coloured(bare.strip(), face, colours, style)
            room = canvas.width - 4 - x
            while runs and sum(run.face.width(run.text) for run in runs) > room:
                runs = _shortened(runs)
            if runs:
                canvas.line(runs, x, at, face=face, fill=style.ink, indent=" " * indent)
            y += pitch


def _number(canvas: Canvas, number: str, x: float, y: float, face: Face, fill: Colour) -> None:
    """A line number: seen on the page, no part of its text."""
    kept = len(canvas.words)
    canvas.line(number, x, y, face=face, fill=fill, align="right")
    del canvas.words[kept:]


def _source(content: Content, language: str, comment: str, *, count: int) -> list[str]:
    """At least so many lines of code; the first function and the constant are stated."""
    rng = content.rng
    passage = next(content.passages, None)
    if passage is not None:
        lines = passage.splitlines()
        for further in content.passages:
            lines += ["", *further.splitlines()]
        return lines
    constant = content.state("constant", rng.choice(CONSTANTS))
    value = content.state("value", str(rng.choice((2, 3, 5, 8, 10, 16, 24, 30, 50, 64, 100, 128, 250, 500, 1024, 4096, 8080))))
    lines = []
    if rng.random() < 0.5:
        lines += [f"{comment} {content.state('author', content.person())}, {content.date(2005)}"]
    lines += [*TITLES[language].format(K=constant, v=value, n=rng.choice(NOUNS)).splitlines(), ""]
    first = True
    while len(lines) < count:
        name = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
        name = name if language != "JavaScript" else re.sub("_(.)", lambda m: m[1].upper(), name)
        purpose = str(content.pick("comments"))
        if first:
            name, purpose = content.state("function", name), content.state("purpose", purpose)
            first = False
        made = rng.choice(PROGRAMS[language]).format(
            f=name,
            n=rng.choice(NOUNS),
            a=rng.choice(("name", "weight", "total", "level", "price", "label", "depth")),
            T=content.latin_brand().title(),
            K=constant,
            v=rng.choice((value, str(rng.randint(2, 900)))),
            c=purpose,
        )
        lines += [*made.splitlines(), ""]
    return lines


def _colours(style: Style, *, plain: bool) -> dict[str, Colour]:
    """Colours of keywords, strings, numbers and comments, on light or dark."""
    if plain:
        return {}
    if style.dark:
        return {
            "keyword": (204, 140, 220),
            "string": (160, 200, 130),
            "number": (220, 170, 110),
            "comment": mixed(style.ink, style.paper, 0.4),
        }
    return {"keyword": mixed(style.accent, (0, 0, 160), 0.5), "string": (150, 40, 30), "number": (10, 110, 90), "comment": (70, 120, 60)}


def _coloured(line: str, face: Face, colours: dict[str, Colour], style: Style) -> list[Run]:
    runs = []
    for match in TOKEN.finditer(line):
        kind = match.lastgroup or "other"
        if kind == "word" and match.group() in KEYWORDS:
            kind = "keyword"
        runs.append(Run(match.group(), face, colours.get(kind, style.ink)))
    return runs


def _shortened(runs: list[Run]) -> list[Run]:
    """The runs without their last letter."""
    last = runs[-1]
    return [*runs[:-1], last._replace(text=last.text[:-1])] if len(last.text) > 1 else runs[:-1]
