"""What each line of the table searches, and with which queries: documents with their text, queries with the one document that is right.

Drawn pages are kept as files in the material's folder, `pages/`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nano import asking, layouts, material
from nano.material import Section
from nano.printing import Drawn, Sheet, printed
from nano.scanning import scanned

LANGUAGES = {"en": "eng", "de": "deu", "fr": "fra", "es": "spa", "ru": "rus", "it": "ita", "pt": "por", "ja": "jpn"}
"""Languages, and what Tesseract calls them."""

SEED = 20261125


@dataclass(frozen=True)
class Document:
    """Something that is searched in. page: its picture, None for text and code; language as Tesseract calls it."""

    text: str
    page: Drawn | None = None
    language: str = "eng"
    modality: str = "text"


@dataclass(frozen=True)
class Query:
    text: str
    right: int
    kind: str


@dataclass(frozen=True)
class Pool:
    """Documents, and queries that each have one right one among them. task: what the encoder is told to do."""

    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    task: str = "retrieval"

    def part(self, size: int) -> Pool:
        """The first documents and what asks for them."""
        return Pool(self.documents[:size], tuple(query for query in self.queries if query.right < size), self.task)


def folder() -> Path:
    return material.ROOT / "pages"


def by_words(documents: Sequence[Document], *, seed: int = SEED) -> tuple[Query, ...]:
    """Key words and a phrase of each document."""
    texts = [document.text for document in documents]
    asked = {"keywords": asking.keywords(texts, seed=seed), "phrase": asking.phrases(texts, seed=seed)}
    return tuple(Query(text, i, kind) for kind, found in asked.items() for i, text in enumerate(found) if text is not None)


def searched(drawn: Iterable[Drawn], language: str) -> tuple[Document, ...]:
    return tuple(Document(page.text, page, LANGUAGES[language]) for page in drawn)


# ---------------------------------------------------------------- pages found by their words


def stretches(language: str, number: int, *, least: int = 600) -> list[list[Section]]:
    """Sections that follow each other in a book, enough for a page each; no section in two of them."""
    sections = material.prose(language)
    found: list[list[Section]] = []
    current: list[Section] = []
    size = 0
    for section in sections:
        current.append(section)
        size += section.size
        if size >= least:
            found.append(current)
            current, size = [], 0
    rng = random.Random(f"stretches {SEED} {language}")
    rng.shuffle(found)
    if len(found) < number:  # shorter pages, then
        return stretches(language, number, least=least * 4 // 5)
    return found[:number]


@cache
def articles(language: str, number: int) -> tuple[Document, ...]:
    rng = random.Random(f"articles {SEED} {language}")
    sheets = [layouts.article(rng, part, language=language, running=part[0].title) for part in stretches(language, number)]
    return searched(printed(sheets, folder(), f"articles-{language}"), language)


@cache
def prose_pages(language: str) -> Pool:
    documents = articles(language, 300 if language == "en" else 100)
    documents = documents[:200]  # the others are for scans
    return Pool(documents, by_words(documents))


@cache
def scans() -> Pool:
    clean = articles("en", 300)[200:]
    documents = []
    for number, document in enumerate(clean):
        assert document.page is not None
        path = folder() / f"scan-{number:04}.png"
        if not path.is_file() or path.stat().st_mtime < document.page.path.stat().st_mtime:
            scanned(document.page.image(), random.Random(f"scan {SEED} {number}")).save(path, compress_level=2)
        documents.append(Document(document.text, Drawn(path, document.text)))
    return Pool(tuple(documents), by_words(documents))


FIELDS = ("Package", "Version", "Section", "Priority", "Maintainer", "Homepage", "Installed-Size", "Architecture", "Multi-Arch", "Source")

TABLE_TITLES = ("From {} to {}: an overview", "Packages reviewed: {} to {}", "{} – {}", "Size of packages, {} to {}")
FORM_TITLES = ("Request for a package", "Package record", "Intent to package", "Review sheet")


def _size(fields: Mapping[str, str]) -> int:
    """Kilobytes on disk."""
    return int(fields.get("Installed-Size", "1"))


@cache
def figures() -> Pool:
    """Tables, charts, slides and forms in turn, 50 of each: about packages, the slides out of books."""
    rng = random.Random(f"figures {SEED}")
    control, told = material.control(), material.descriptions("en")
    names = [name for name in told if name in control and len(name) < 22 and len(told[name].paragraphs) > 0]
    rng.shuffle(names)
    take = iter(names)
    sections = [section for part in stretches("en", 300) for section in part if len(section.paragraphs) >= 3]
    rng.shuffle(sections)
    talks = iter(sections)
    sheets: list[Sheet] = []
    for _ in range(50):
        rows = [next(take) for _ in range(rng.randint(12, 22))]
        group = sorted(rows, key=lambda name: control[name]["Section"]) if rng.random() < 0.5 else sorted(rows)
        sheets.append(
            layouts.table(
                rng,
                rng.choice(TABLE_TITLES).format(min(rows), max(rows)),
                [[name, control[name]["Section"], f"{_size(control[name]):,}", told[name].synopsis] for name in group],
                ("Name", "Section", "Size (kB)", "What it is"),
                layouts.sentences(told[rows[0]].paragraphs[0])[0],
            )
        )
        bars = [next(take) for _ in range(rng.randint(5, 11))]
        values = [(name, _size(control[name])) for name in bars]
        title = rng.choice(("Installed size of {} packages", "Disk space: {}", "How large is {}?")).format(told[bars[0]].synopsis)
        caption = f"{told[bars[1]].synopsis}. {told[bars[2]].paragraphs[0]}"
        sheets.append(layouts.chart(rng, title, values, unit="kilobytes on disk, version of the stable release", caption=caption))
        talk = next(talks)
        points = [sentence for text in talk.paragraphs for sentence in layouts.sentences(text)[:1] if len(sentence) < 170]
        points = points or [" ".join(talk.paragraphs[0].split()[:20])]
        sheets.append(layouts.slide(rng, talk.title, points[: rng.randint(3, 5)], rng.choice(names)))
        name = next(take)
        fields = [(field, control[name][field]) for field in FIELDS if field in control[name]]
        fields += [("What it is for", told[name].synopsis), ("Remarks", " ".join(layouts.sentences(told[name].paragraphs[0])[:2]))]
        note = layouts.sentences(told[name].paragraphs[-1])[-1]
        sheets.append(layouts.form(rng, rng.choice(FORM_TITLES), fields, note))
    documents = searched(printed(sheets, folder(), "figures"), "en")
    kinds = ("table", "chart", "slide", "form")
    queries = tuple(Query(query.text, query.right, f"{kinds[query.right % 4]} {query.kind}") for query in by_words(documents))
    return Pool(documents, queries)


# ---------------------------------------------------------------- pages found by what they mean


def told_sheet(rng: random.Random, title: str, paragraphs: Sequence[str], language: str) -> Sheet:
    return layouts.article(rng, [Section(title, tuple(paragraphs))], language=language)


@cache
def meanings() -> Pool:
    """Answers of an FAQ, asked for by their questions, and descriptions of packages, by their one-line summaries.

    What is asked does not stand on the page."""
    rng = random.Random(f"meanings {SEED}")
    sheets, queries = [], []
    for section in material.answers("en").values():
        if section.size < 40 or len(queries) == 100:
            continue
        queries.append(Query(section.title, len(sheets), "question"))
        sheets.append(told_sheet(rng, "Debian", section.paragraphs, "en"))
    told = [one for one in material.descriptions("en").values() if one.size > 90]
    rng.shuffle(told)
    for one in told[: 200 - len(sheets)]:
        queries.append(Query(one.synopsis, len(sheets), "description"))
        sheets.append(told_sheet(rng, "Package", one.paragraphs, "en"))
    return Pool(searched(printed(sheets, folder(), "meanings"), "en"), tuple(queries))


@cache
def across(language: str) -> Pool:
    """80 pages in a language, asked for in English: answers of the FAQ, where it is translated, and descriptions of packages."""
    rng = random.Random(f"across {SEED} {language}")
    sheets, queries = [], []
    if language != "es":
        english, own = material.answers("en"), material.answers(language)
        shared = [anchor for anchor in english if anchor in own and own[anchor].size > 40]
        rng.shuffle(shared)
        for anchor in shared[:50]:
            queries.append(Query(english[anchor].title, len(sheets), "question"))
            sheets.append(told_sheet(rng, "Debian", own[anchor].paragraphs, language))
    english_told, told = material.descriptions("en"), material.descriptions(language)
    able = [name for name, one in told.items() if name in english_told and one.size > 35]
    rng.shuffle(able)
    for name in able[: 80 - len(sheets)]:
        queries.append(Query(english_told[name].synopsis, len(sheets), "description"))
        sheets.append(told_sheet(rng, "", told[name].paragraphs, language))
    return Pool(searched(printed(sheets, folder(), f"across-{language}"), language), tuple(queries))


# ---------------------------------------------------------------- text and code


@cache
def code() -> Pool:
    """200 functions, asked for by the first paragraph of their docstrings."""
    from unitower.data import BadPair, open_source

    roots = [material.ROOT / "python" / name for name in material.named()["python"]]
    found = open_source("python_docs", roots=roots, split="test", test_share=1.0, licences=None)
    return _pairs(found, 200, "code", BadPair)


def _pairs(found: object, number: int, task: str, bad: type[Exception], wanted: Callable[[object], bool] = lambda pair: True) -> Pool:
    order = list(range(len(found)))  # type: ignore[arg-type]
    random.Random(f"pairs {SEED}").shuffle(order)
    documents, queries = [], []
    seen: set[str] = set()
    for index in order:
        try:
            pair = found[index]  # type: ignore[index]
        except bad:
            continue
        if not wanted(pair) or pair.query.text in seen or pair.document.text in seen:
            continue
        seen |= {pair.query.text, pair.document.text}
        queries.append(Query(pair.query.text, len(documents), task))
        documents.append(Document(pair.document.text, modality="code" if task == "code" else "text"))
        if len(documents) == number:
            break
    return Pool(tuple(documents), tuple(queries), task if task == "code" else "retrieval")


STRINGS = ("en", "de", "fr", "es", "ru", "it", "pt", "pl", "uk", "ja", "zh", "tr")


@cache
def strings(first: str, second: str) -> Pool:
    """200 interface strings in one language, asked for by what they are in the other."""
    from unitower.data import BadPair, open_source

    found = open_source("translations", folders=material.catalogue_folders(), languages=(first, second), split="test", test_share=0.3)
    return _pairs(found, 200, "strings", BadPair, lambda pair: pair.query.metadata["language"] == first and len(pair.query.text) > 12)  # type: ignore[attr-defined]


@cache
def own_strings(language: str) -> Pool:
    """200 interface strings, asked for by two or three of their words."""
    base = strings("en", language) if language != "en" else strings("de", "en")
    queries = tuple(Query(query.text, query.right, "strings") for query in by_words(base.documents) if query.kind == "keywords")
    return Pool(base.documents, queries)


@cache
def settings() -> Pool:
    """What settings of programs do, asked for by what they are called; English."""
    pairs = list(material.settings())
    random.Random(f"settings {SEED}").shuffle(pairs)
    once = list({summary: (summary, told) for summary, told in pairs}.values())[:200]
    return Pool(tuple(Document(told) for _, told in once), tuple(Query(summary, i, "settings") for i, (summary, _) in enumerate(once)))


@cache
def mixed() -> Pool:
    """100 pages, 100 texts and 100 functions in one pool, asked for by all kinds of query."""
    drawn, functions = prose_pages("en").part(100), code().part(100)
    told = [one for one in material.descriptions("en").values() if 40 < one.size < 200]
    random.Random(f"mixed {SEED}").shuffle(told)
    texts = tuple(Document("\n".join(one.paragraphs)) for one in told[:100])
    by_text = [Query(query.text, query.right + 100, "text") for query in by_words(texts)]
    by_text += [Query(one.synopsis, 100 + i, "text") for i, one in enumerate(told[:100])]
    return Pool(
        (*drawn.documents, *texts, *functions.documents),
        (
            *(Query(query.text, query.right, "page") for query in drawn.queries),
            *by_text,
            *(Query(query.text, query.right + 200, "code") for query in functions.queries),
        ),
    )


# ---------------------------------------------------------------- real PDFs


@cache
def real(language: str) -> Pool:
    """Fifty pages of books, drawn as they are when a PDF is indexed."""
    import json

    from unitower.ingest import pdf

    to = folder() / "pdf"
    to.mkdir(parents=True, exist_ok=True)
    stamp = to / f"{language}.json"
    if not stamp.is_file():
        rng = random.Random(f"real {SEED} {language}")
        books = material.pdfs(language)
        numbers = [(book, page) for book in books for page in range(pdf.count(book))]
        rng.shuffle(numbers)
        kept: list[tuple[str, str]] = []
        per_book = dict.fromkeys(books, 0)
        for book, page in numbers:
            if len(kept) == 50:
                break
            if per_book[book] >= 50 * 2 // len(books) + 4:
                continue
            item = next(iter(pdf.read(book, key=book.name, start=page)), None)
            if item is None or len(item.text) < 500 or item.source.page != page + 1 or item.text.count(". . .") > 2:
                continue
            file = f"{language}-{len(kept):03}.png"
            item.content.save(to / file, compress_level=2)  # type: ignore[union-attr]
            kept.append((file, item.text))
            per_book[book] += 1
        part = stamp.with_suffix(".part")
        part.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        part.replace(stamp)
    documents = searched((Drawn(to / file, text) for file, text in json.loads(stamp.read_text(encoding="utf-8"))), language)
    return Pool(documents, by_words(documents))
