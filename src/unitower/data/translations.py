"""The same said in two languages, from what is installed on this machine: interface strings (gettext catalogues) or manual pages.

Each text stands beside its English original in one pair and beside another translation in a second one; which of the two is the query is
drawn by hash. Only where the texts stand is kept, in the cache folder, until a file changes. All translations of one English text are on
the same side of the split.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from itertools import groupby, takewhile
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from unitower.data import BadPair, Pairs, _cache
from unitower.data._catalogues import cleaned, messages, names_within, text_at
from unitower.data._lines import stamp
from unitower.data._manuals import Section, sections
from unitower.data._split import TEST_SHARE, Split, checked, hashed, selected
from unitower.types import Item, Pair, Source

Texts: TypeAlias = Literal["interface", "manual"]

LOCALE = re.compile(r"([a-z]{2,3})(?:_[A-Z]{2})?(?:\.([\w-]+))?(?:@\w+)?")
ENGLISH = "en"

SHORTEST_ENGLISH = 8
SHORTEST_PARAGRAPH = 40
LONGEST = 1000
"""Characters of an English string, of an English paragraph, and of any text."""

MOST_ALIKE = 0.6
"""Share of a translation's words that may also stand in the other text. Beyond it, it is not translated, or all names and options."""

LONGER = 6
"""How many times as many letters one of two texts may have; Chinese takes a quarter of English."""

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]")

PER_CATALOGUE = 2000
"""Strings taken of one program, chosen by hash: lists of the world's languages and provinces would be half of all otherwise."""


def open(
    *,
    texts: Texts = "interface",
    folders: Sequence[str | Path] | None = None,
    languages: Collection[str] | None = None,
    split: Split = "train",
    test_share: float = TEST_SHARE,
) -> Pairs:
    """Pairs of translations.

    texts       "interface" for strings of programs, "manual" for paragraphs of manual pages
    folders     that hold LANGUAGE/LC_MESSAGES/*.mo, or man*/ and LANGUAGE/man*/; left out, those of this system
    languages   to take, "en" among them if English is wanted; left out, all there are
    test_share  of the English texts, with all their translations

    ValueError for a folder that is not there, or if nothing is found.
    """
    checked(split, test_share)
    if texts not in get_args(Texts):
        raise ValueError(f"texts is {texts!r}; it is 'interface' or 'manual'.")
    places = [Path(folder).expanduser() for folder in folders] if folders is not None else _installed(texts)
    for place in places:
        if not place.is_dir():
            raise ValueError(f"there is no folder {place}.")
    files = list(_catalogues(places) if texts == "interface" else _pages(places))
    if not files:
        kind = "message catalogues (LANGUAGE/LC_MESSAGES/*.mo)" if texts == "interface" else "translated manual pages (LANGUAGE/man*/)"
        raise ValueError(f"there are no {kind} in {', '.join(map(str, places)) or 'this system'}. Install language packs, or name folders.")
    kept = _cache.arrays("translations", [texts, [asdict(file) for file in files]], lambda: _scanned(files, texts))
    rows, names = kept["rows"], _cache.unpacked(kept["languages"])
    chosen = selected(kept["keys"], split, test_share=test_share)
    if languages is not None:
        chosen &= np.isin(rows[:, LANGUAGES], [index for index, name in enumerate(names) if name in set(languages)]).all(axis=1)
    return Translations(files, rows[chosen], texts, languages=names, charsets=_cache.unpacked(kept["charsets"]))


@dataclass(frozen=True)
class File:
    """A catalogue or a manual page, the locale it is in, and what tells whether it has changed."""

    path: str
    locale: str
    size: int
    mtime: int


@dataclass(frozen=True)
class Unit:
    """One text, the locale it is in, and where it stands: number of the file, and two numbers that mean something to its kind.

    An interface string has offset and length in bytes, a paragraph the numbers of its section and its own.
    """

    text: str
    locale: str
    place: tuple[int, int, int]

    @property
    def language(self) -> str:
        """ISO 639-1, or 639-3 for a language that has no code of two letters."""
        return language_of(self.locale)


@dataclass(frozen=True)
class Group:
    """An English text and its translations."""

    english: Unit
    others: tuple[Unit, ...]

    @property
    def key(self) -> str:
        """What decides its side of the split."""
        return " ".join(words(self.english.text))


# A row: for query and document the file and two numbers that say where in it the text is; then the languages of both.
QUERY, DOCUMENT, LANGUAGES = slice(0, 3), slice(3, 6), slice(6, 8)


class Translations:
    """`Pairs` of translations. rows: int32 [n, 8], see above; the languages are numbers of `languages`."""

    licence = "of each translated program; see /usr/share/doc/PACKAGE/copyright"

    def __init__(
        self, files: Sequence[File], rows: npt.NDArray[np.int32], texts: Texts, *, languages: Sequence[str], charsets: Sequence[str]
    ) -> None:
        self.name = f"translations-{texts}"
        self.languages = tuple(sorted(languages[i] for i in np.unique(rows[:, LANGUAGES])))
        self._files, self._rows, self._texts, self._names, self._charsets = files, rows, texts, languages, charsets

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Pair:
        row = [int(value) for value in self._rows[index]]
        query, document = (
            self._item(*row[side], language=self._names[language])
            for side, language in zip((QUERY, DOCUMENT), row[LANGUAGES], strict=True)
        )  # fmt: skip
        return Pair(query=query, document=document, source=self.name)

    def _item(self, number: int, first: int, second: int, *, language: str) -> Item:
        file = self._files[number]
        path = Path(file.path)
        try:
            if stamp(path) != (file.size, file.mtime):
                raise BadPair(f"{path} has changed since it was scanned")
            if self._texts == "interface":
                text = text_at(path, first, second, self._charsets[number])
            else:
                text = sections(path)[first].paragraphs[second].text
        except OSError as error:
            raise BadPair(f"{path} cannot be read any more: {error.strerror}") from error
        locale = ENGLISH if language == ENGLISH else file.locale
        return Item(
            id=f"{self.name}#{file.locale}/{path.name}/{first}.{second}",
            modality="text",
            content=text,
            source=Source(path=str(path)),
            text=text,
            metadata={"language": language, "locale": locale},
        )


# ---------------------------------------------------------------- finding files


@cache
def language_of(locale: str) -> str:
    """The language of a locale.

    >>> language_of("pt_BR"), language_of("sr@latin"), language_of("ast")
    ('pt', 'sr', 'ast')
    """
    return re.split(r"[_.@]", locale)[0]


def _installed(texts: Texts) -> list[Path]:
    names = ("locale", "locale-langpack") if texts == "interface" else ("man",)
    shares = [Path(place) for place in dict.fromkeys(("/usr/share", "/usr/local/share", f"{sys.prefix}/share"))]
    return [share / name for share in shares for name in names if (share / name).is_dir()]


def _locales(folder: Path) -> Iterator[Path]:
    """Folders of locales, those of other encodings than UTF-8 and of English left out."""
    for place in sorted(folder.iterdir()):
        match = LOCALE.fullmatch(place.name)
        if match and place.is_dir() and match[1] != ENGLISH and (match[2] or "UTF-8").upper() in ("UTF-8", "UTF8"):
            yield place


def _catalogues(folders: Sequence[Path]) -> Iterator[File]:
    """Catalogues by program, then by locale. A link to another one is passed over."""
    found = [
        (path.stem, place.name, path)
        for folder in folders
        for place in _locales(folder)
        for path in place.glob("LC_MESSAGES/*.mo")
        if path.is_file() and not path.is_symlink()
    ]
    for _, locale, path in sorted(found):
        yield File(str(path), locale, *stamp(path))


def _pages(folders: Sequence[Path]) -> Iterator[File]:
    """Manual pages that have a translation: the English one, then its translations."""
    for folder in folders:
        translated: dict[str, list[tuple[str, Path]]] = defaultdict(list)
        for place in _locales(folder):
            for path in place.glob("man*/*"):
                if path.is_file() and not path.is_symlink():
                    translated[f"{path.parent.name}/{path.name}"].append((place.name, path))
        for name, pages in sorted(translated.items()):
            english = folder / name
            if english.is_file():
                yield File(str(english), ENGLISH, *stamp(english))
                for locale, path in sorted(pages):
                    yield File(str(path), locale, *stamp(path))


# ---------------------------------------------------------------- finding pairs


def _scanned(files: Sequence[File], texts: Texts) -> _cache.Arrays:
    """Rows of all pairs, the hash that decides the side of each, the languages' names and the files' charsets.

    Of pairs of the same two languages and the same English text, the first stays.
    """
    charsets = ["utf-8"] * len(files)
    rows, keys, same = array("i"), array("Q"), array("Q")
    names: dict[str, int] = {}
    for group in _interface(files, charsets) if texts == "interface" else _manual(files):
        key = group.key
        for first, second in pairs_of(group):
            if hashed(f"{key}\0{first.locale}\0{second.locale}") % 2:
                first, second = second, first
            rows.extend((*first.place, *second.place))
            rows.extend(names.setdefault(unit.language, len(names)) for unit in (first, second))
            keys.append(hashed(key))
            same.append(hashed(f"{key}\0{sorted((first.locale, second.locale))}"))
    _, once = np.unique(np.array(same, np.uint64), return_index=True)
    once.sort()
    return {
        "rows": np.array(rows, np.int32).reshape(-1, 8)[once],
        "keys": np.array(keys, np.uint64)[once],
        "languages": _cache.packed(list(names)),
        "charsets": _cache.packed(charsets),
    }


def pairs_of(group: Group) -> Iterator[tuple[Unit, Unit]]:
    """English with every translation, and every translation with one other: they stand in a ring, in an order drawn by hash."""
    others = [unit for unit in group.others if fits(group.english.text, unit.text)]
    yield from ((group.english, unit) for unit in others)
    others.sort(key=lambda unit: hashed(f"{group.key}\0{unit.locale}"))
    ring = list(zip(others, [*others[1:], *others[:1]], strict=True))
    for first, second in ring[:1] if len(ring) == 2 else ring:
        if first.language != second.language and fits(first.text, second.text):
            yield first, second


def fits(first: str, second: str) -> bool:
    """Whether one may be a translation of the other: neither empty, nor far longer, nor mostly of the same words, nor wrongly decoded."""
    if CONTROLS.search(first + second):
        return False
    lengths = sorted(sum(map(str.isalpha, text)) for text in (first, second))
    if lengths[0] < 2 or lengths[1] > LONGER * lengths[0] or max(len(first), len(second)) > LONGEST:
        return False
    if ("_" in first or "_" in second) and names_within(first) != names_within(second):
        return False
    fewer, more = sorted((words(first), words(second)), key=len)
    within = set(more)
    return sum(word in within for word in fewer) < MOST_ALIKE * len(fewer)


@lru_cache(maxsize=1000)  # a text is looked at several times in a row, with each of its translations
def words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def _interface(files: Sequence[File], charsets: list[str]) -> Iterator[Group]:
    """The strings of every program; `charsets` is filled in."""
    for _, numbers in groupby(range(len(files)), key=lambda number: Path(files[number].path).stem):
        english: dict[str, Unit] = {}
        others: dict[str, dict[str, Unit]] = defaultdict(dict)
        for number in numbers:
            file = files[number]
            try:
                charsets[number], found = messages(Path(file.path))
            except (OSError, ValueError):  # damaged, or in an encoding of its own
                continue
            for message in found:
                key = f"{message.context}\4{message.english}"
                if key not in english:
                    english[key] = Unit(cleaned(message.english), ENGLISH, (number, *message.english_at))
                if len(english[key].text) >= SHORTEST_ENGLISH and message.translation != message.english:
                    others[key].setdefault(file.locale, Unit(cleaned(message.translation), file.locale, (number, *message.translation_at)))
        for key in sorted(others, key=hashed)[:PER_CATALOGUE]:
            yield Group(english[key], tuple(others[key].values()))


def _manual(files: Sequence[File]) -> Iterator[Group]:
    """The paragraphs of every page that stand at the same place in the English one, where both are built alike."""
    for number, file in enumerate(files):
        if file.locale != ENGLISH:
            continue
        original = sections(Path(file.path))
        found: dict[tuple[int, int], list[Unit]] = defaultdict(list)
        for other in takewhile(lambda other: files[other].locale != ENGLISH, range(number + 1, len(files))):
            for place, text in _alike(original, sections(Path(files[other].path))):
                found[place].append(Unit(text, files[other].locale, (other, *place)))
        for (section, paragraph), units in sorted(found.items()):
            text = original[section].paragraphs[paragraph].text
            yield Group(Unit(text, ENGLISH, (number, section, paragraph)), tuple(units))


def _alike(original: Sequence[Section], translation: Sequence[Section]) -> Iterator[tuple[tuple[int, int], str]]:
    """Section, paragraph and text of the translated paragraphs.

    Nothing of a page with another number of sections, or of a section with other kinds of paragraphs: there it cannot be told what
    belongs to what. Nor a paragraph with other options and numbers: it translates another edition.
    """
    if len(original) != len(translation):
        return
    for place, (ours, theirs) in enumerate(zip(original, translation, strict=True)):
        if [paragraph.kind for paragraph in ours.paragraphs] != [paragraph.kind for paragraph in theirs.paragraphs]:
            continue
        for number, (first, second) in enumerate(zip(ours.paragraphs, theirs.paragraphs, strict=True)):
            if first.kind in ("text", "item") and len(first.text) >= SHORTEST_PARAGRAPH and _literals(first.text) == _literals(second.text):
                yield (place, number), second.text


def _literals(text: str) -> set[str]:
    """Options and longer numbers, which no translation changes."""
    return set(re.findall(r"(?<![\w-])--?\w[\w-]*|(?<![\w.,])\d{2,}(?![\w.,])", text))
