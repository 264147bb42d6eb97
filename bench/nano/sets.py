"""What each line of the table searches, and with which queries: documents with their text, queries with the one document that is right.

Drawn pages are kept as files in the material's folder, `pages/`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nano import asking, layouts, material
from nano.keeping import got_json, put_json
from nano.material import Section
from nano.printing import Drawn, Sheet, printed
from nano.scanning import scanned

if TYPE_CHECKING:
    from unitower.data import Pairs
    from unitower.types import Pair

LANGUAGES = {"en": "eng", "de": "deu", "fr": "fra", "es": "spa", "ru": "rus", "it": "ita", "pt": "por", "ja": "jpn"}
"""Languages, and what Tesseract calls them."""

SEED = 20261125


@dataclass(frozen=True)
class Document:
    """Something that is searched in. page: its picture, None for text and code; language as Tesseract calls it."""

    text: str
    page: Drawn | None = None
    language: str = "eng"


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

    def part(self, size: int | None) -> Pool:
        """The first documents and what asks for them; None for all."""
        if size is None:
            return self
        return Pool(self.documents[:size], tuple(query for query in self.queries if query.right < size), self.task)

    def as_code(self) -> Pool:
        """The same for the task of code."""
        return Pool(self.documents, self.queries, "code")


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


RARE = 0.02
"""Share of the texts that a word stands in up to which it gives away which one is meant."""


def in_other_words(pairs: Sequence[tuple[str, Sequence[str]]]) -> list[bool]:
    """Whether a query of three words or more shares none with its text that is rare among the texts."""
    texts = [set(asking.words(" ".join(paragraphs))) for _, paragraphs in pairs]
    spread = Counter(word for text in texts for word in text)
    asked = [set(asking.words(query)) for query, _ in pairs]
    return [
        len(query) >= 3 and all(spread[word] > RARE * len(texts) for word in query & text) for query, text in zip(asked, texts, strict=True)
    ]


@cache
def meanings() -> Pool:
    """Answers of an FAQ, asked for by their questions, and descriptions of packages, by their one-line summaries; 200 in all.

    What is asked does not stand on the page, nor any of its words that would tell the page from most others.
    """
    rng = random.Random(f"meanings {SEED}")
    asked = [(one.title, one.paragraphs, "question", "Debian") for one in material.answers("en").values() if one.size >= 40]
    asked += [(one.synopsis, one.paragraphs, "description", "Package") for one in material.descriptions("en").values() if one.size > 60]
    asked = [one for one, fit in zip(asked, in_other_words([(one[0], one[1]) for one in asked]), strict=True) if fit]
    rng.shuffle(asked)
    asked.sort(key=lambda one: one[2] != "question")  # there are fewer questions: all of them
    asked = rng.sample(asked[:200], 200)
    sheets = [told_sheet(rng, title, paragraphs, "en") for _, paragraphs, _, title in asked]
    queries = tuple(Query(text, i, kind) for i, (text, _, kind, _) in enumerate(asked))
    return Pool(searched(printed(sheets, folder(), "meanings"), "en"), queries)


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
    from unitower.data import open_source

    roots = [material.ROOT / "python" / name for name in material.named()["python"]]
    found = open_source("python_docs", roots=roots, split="test", test_share=1.0, licences=None)
    return paired((pair.query.text, pair.document.text) for pair in shuffled(found)).as_code()


def shuffled(pairs: Pairs) -> Iterator[Pair]:
    """Those pairs of a source that can be used, in an order of our own."""
    from unitower.data import BadPair

    order = list(range(len(pairs)))
    random.Random(f"pairs {SEED}").shuffle(order)
    for index in order:
        try:
            yield pairs[index]
        except BadPair:
            continue


def paired(texts: Iterable[tuple[str, str]], *, number: int = 200) -> Pool:
    """The first pairs of a query and a text, no text in two of them."""
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    for query, text in texts:
        if query not in seen and text not in seen:
            seen |= {query, text}
            found.append((query, text))
        if len(found) == number:
            break
    return Pool(tuple(Document(text) for _, text in found), tuple(Query(query, i, "pairs") for i, (query, _) in enumerate(found)))


STRINGS = ("en", "de", "fr", "es", "ru", "it", "pt", "pl", "uk", "ja", "zh", "tr")
LEAST_STRING = 12
"""Characters of an interface string in English: shorter ones say little."""


@cache
def strings(language: str) -> tuple[tuple[str, str], ...]:
    """Interface strings in English and in another language, on the test side of the split."""
    from unitower.data import open_source

    found = open_source("translations", folders=material.catalogue_folders(), languages=("en", language), split="test")
    sides = ({item.metadata["language"]: item.text for item in (pair.query, pair.document)} for pair in shuffled(found))
    return tuple((side["en"], side[language]) for side in sides if len(side["en"]) > LEAST_STRING)


@cache
def strings_across(language: str) -> Pool:
    """200 interface strings in a language, asked for by what they are in English."""
    return paired(strings(language))


@cache
def own_strings(language: str) -> Pool:
    """200 interface strings, asked for by two or three of their words."""
    base = strings_across(language) if language != "en" else paired((other, english) for english, other in strings("de"))
    return Pool(base.documents, tuple(query for query in by_words(base.documents) if query.kind == "keywords"))


@cache
def settings() -> Pool:
    """What settings of programs do, asked for by what they are called; English."""
    pairs = list(material.settings())
    random.Random(f"settings {SEED}").shuffle(pairs)
    return paired(pairs)


@cache
def mixed() -> Pool:
    """100 pages, 100 descriptions of packages and 100 functions in turn in one pool, asked for by all kinds of query."""
    told = [one for one in material.descriptions("en").values() if 40 < one.size < 200]
    random.Random(f"mixed {SEED}").shuffle(told)
    texts = paired((one.synopsis, "\n".join(one.paragraphs)) for one in told)
    parts = {"page": prose_pages("en").part(100), "text": texts.part(100), "code": code().part(100)}
    parts["text"] = replace(parts["text"], queries=(*parts["text"].queries, *by_words(parts["text"].documents)))
    documents = tuple(document for three in zip(*(pool.documents for pool in parts.values()), strict=True) for document in three)
    queries = tuple(
        Query(query.text, 3 * query.right + place, kind) for place, (kind, pool) in enumerate(parts.items()) for query in pool.queries
    )
    return Pool(documents, queries)


# ---------------------------------------------------------------- real PDFs


@cache
def real(language: str) -> Pool:
    """Fifty pages of books, drawn as they are when a PDF is indexed."""
    from unitower.ingest import pdf, pdf_worker

    to = folder() / f"pdf-{pdf_worker.DPI}"
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
            if language != "en" and material.is_english(item.text):  # not yet translated
                continue
            file = f"{language}-{len(kept):03}.png"
            item.content.save(to / file, compress_level=2)  # type: ignore[union-attr]
            kept.append((file, item.text))
            per_book[book] += 1
        put_json(stamp, kept)
    documents = searched((Drawn(to / file, text) for file, text in got_json(stamp)), language)
    return Pool(documents, by_words(documents))
