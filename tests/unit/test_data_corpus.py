"""The corpus: what is read from small copies of the folders that Debian has, and what is kept to test with."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from unitower.data._corpus import Corpus, Places, gathered
from unitower.data._corpus.families import Sense, families, replaced, stands
from unitower.data._split import kept_to_test

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def base_64(number: int) -> str:
    return (base_64(number // 64) if number >= 64 else "") + DIGITS[number % 64]


def write_dictionary(path: Path, entries: dict[str, str]) -> None:
    data, lines = b"", []
    for word, entry in entries.items():
        raw = entry.encode()
        lines.append(f"{word}\t{base_64(len(data))}\t{base_64(len(raw))}")
        data += raw
    path.with_suffix(".index").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_suffix(".dict.dz").write_bytes(gzip.compress(data))


def write_help(root: Path, language: str, name: str, title: str, paragraphs: dict[str, str]) -> None:
    body = "".join(f'<p id="{mark}" class="x">{text}</p>' for mark, text in paragraphs.items())
    path = root / language / "text" / "swriter" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<title>{title}</title><p id="menu">Not this one, it is a menu</p><div id="DisplayArea">{body}</div>', encoding="utf-8"
    )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    help_, manuals, dictionaries, fortunes = (tmp_path / name for name in ("help", "man", "dictd", "fortunes"))
    english = {"p1": "The table of contents is &lt;updated&gt; <b>by hand</b>.", "p2": "Click where the table should stand."}
    german = {"p1": "Das Inhaltsverzeichnis wird von Hand aktualisiert.", "p2": "Klicken Sie dorthin, wo die Tabelle stehen soll."}
    write_help(help_, "en-US", "contents.html", "Table of Contents", english)
    write_help(help_, "de", "contents.html", "Inhaltsverzeichnis", german)
    for name in filter(kept_to_test, (f"page{i}.html" for i in range(60))):
        write_help(help_, "en-US", name, "Kept", {"p1": "This paragraph is kept to test with."})
    page = ".TH X 1\n.SH NAME\nrent \\- tell when the rent is due\n.SH DESCRIPTION\n" + "It tells the day, the month and the year. " * 3
    for folder, text in ((manuals / "man1", page), (manuals / "fr" / "man1", page.replace("It tells", "Il donne"))):
        folder.mkdir(parents=True)
        (folder / "rent.1.gz").write_bytes(gzip.compress(text.encode()))
    dictionaries.mkdir()
    gloss = (
        "goat\n    n 1: any of numerous agile ruminants [syn: {goat}, {caprine\n         animal}]\n"
        '    2: a victim of ridicule; "the goat of many jokes in the village"\n'
    )
    delay = (
        'delay\n    v 1: cause to be slowed down; "Traffic was delayed by\n         the bad weather" [syn: {delay}, {hold\n'
        '         up}] [ant: {hurry}]\n    2: act later than planned; "do not delay your application"\n'
    )
    write_dictionary(dictionaries / "wn", {"00-database-info": "about", "goat": gloss, "delay": delay})
    bridge = "bridge /brɪdʒ/\nBrücke <fem>, Steg\n"
    write_dictionary(dictionaries / "freedict-eng-deu", {"00-database-alphabet": "abc", "bridge": bridge})
    fortunes.mkdir()
    (fortunes / "de").mkdir()
    (fortunes / "wit").write_text("The early bird catches the worm, they say.\n%\nshort\n%\n", encoding="utf-8")
    (fortunes / "de" / "witze").write_text("Der frühe Vogel fängt den Wurm, sagt man.\n", encoding="utf-8")
    return Places(help=str(help_), manuals=str(manuals), dictionaries=str(dictionaries), fortunes=str(fortunes), python=())


def test_the_corpus_has_what_the_places_have(places: Places) -> None:
    corpus = gathered(places)
    assert set(corpus.texts) == {"en", "de", "fr"}
    assert "The table of contents is <updated> by hand." in corpus.texts["en"]
    assert "The early bird catches the worm, they say." in corpus.texts["en"]
    assert "Der frühe Vogel fängt den Wurm, sagt man." in corpus.texts["de"]
    assert "the goat of many jokes in the village" in corpus.texts["en"]
    assert not any("menu" in text or text == "short" for text in corpus.texts["en"])
    assert ("de", "Click where the table should stand.", "Klicken Sie dorthin, wo die Tabelle stehen soll.") in corpus.parallel
    assert set(corpus.glosses) == {
        ("goat", "any of numerous agile ruminants"), ("goat", "a victim of ridicule"),
        ("delay", "cause to be slowed down"), ("delay", "act later than planned"),
    }  # fmt: skip
    families = {family[0]: family for family in corpus.families}
    assert set(families) == {"Traffic was delayed by the bad weather", "do not delay your application"}
    assert families["Traffic was delayed by the bad weather"] == (
        "Traffic was delayed by the bad weather", "Traffic was holded up by the bad weather", "Traffic was hurried by the bad weather",
        "do not delay your application",
    )  # fmt: skip
    assert set(corpus.words) == {("de", "bridge", "Brücke"), ("de", "bridge", "Steg")}
    titles = {(language, title) for language, title, _ in corpus.titled}
    assert titles == {("en", "Table of Contents"), ("de", "Inhaltsverzeichnis")} | {
        (language, "rent - tell when the rent is due") for language in ("en", "fr")
    }
    assert corpus.sources["LibreOffice help"]["licence"] == "MPL-2.0"


def test_files_that_are_kept_to_test_with_are_not_read(places: Places) -> None:
    assert not any("kept to test" in text for text in gathered(places).texts["en"])


def test_a_corpus_is_the_same_twice_and_after_it_was_written(places: Places, tmp_path: Path) -> None:
    corpus = gathered(places)
    assert gathered(places) == corpus
    corpus.write(tmp_path / "corpus.json")
    assert Corpus.read(tmp_path / "corpus.json") == corpus


def test_a_machine_without_any_of_it_gives_an_empty_corpus(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    corpus = gathered(Places(help=nothing, manuals=nothing, dictionaries=nothing, fortunes=nothing, python=()))
    assert not corpus.texts
    assert not corpus.sources


def test_one_name_in_ten_is_kept() -> None:
    assert 0.08 < sum(kept_to_test(f"name {i}") for i in range(4000)) / 4000 < 0.12  # 26 of 256


def test_a_family_has_the_word_changed_and_other_changes_where_there_is_room() -> None:
    sense = Sense(word="goat", means="an agile animal", synonyms=("caprine",), examples=("The goat was seen in two gardens", "a goat"))
    (family,) = families([sense])
    example, meant, *rest = family
    assert (example, meant) == ("The goat was seen in two gardens", "The caprine was seen in two gardens")
    assert len(set(family)) == 4
    words = set(example.split())
    for other in rest:
        assert other == "an agile animal" or set(other.split()) <= {*words, "not"}
    assert families([sense]) == families([sense])


def test_a_word_stands_where_letters_do_not_go_on() -> None:
    place = stands("goat", "Goatherds know the goats' gate")
    assert place == (19, 24, "s")
    assert replaced("Goatherds know the goats' gate", place, "sheep") == "Goatherds know the sheeps' gate"
    assert stands("goat", "Goatherds have it") is None


def test_a_sense_that_nothing_can_be_said_of_has_no_family() -> None:
    assert not families([Sense(word="goat", means="an animal", examples=("The goat was seen in two gardens",))])
