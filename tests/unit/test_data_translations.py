"""Translations: catalogues and manual pages taken apart, strings cleaned, and what is paired with what."""

from __future__ import annotations

import gettext
import io
import os
from pathlib import Path

import pytest
from data_samples import write_man, write_mo
from hypothesis import given
from hypothesis import strategies as st

from unitower.data import BadPair, Pairs, open_source
from unitower.data._catalogues import cleaned, messages
from unitower.data._manuals import parsed, plain
from unitower.data.translations import fits, language_of


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITOWER_CACHE", str(tmp_path / "cache"))


# ---- strings


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("_Save", "Save"),
        ("Save _As…", "Save As…"),
        ("E&xit", "Exit"),
        ("&Datei öffnen", "Datei öffnen"),
        ("В&ыход", "Выход"),
        ("Search && replace", "Search & replace"),
        ("Drag & drop at AT&T", "Drag & drop at AT&T"),
        ("文件(_F)", "文件"),
        ("ファイル (&F)", "ファイル"),
        ("set LC_ALL and file_name", "set LC_ALL and file_name"),
        ("__init__ of _private_name", "__init__ of _private_name"),
        ("<b>Bold</b> and <span foreground='red'>red</span>", "Bold and red"),
        ("Usage: cp <source> <target>", "Usage: cp <source> <target>"),
        ('a <a href="http://x">link</a><br/>', "a link"),
        ("5 &lt; 6 &amp; 7", "5 < 6 & 7"),
        ("cannot open %s: %m", "cannot open …: …"),
        ("%1$-20s of %2$'lld (%5.1f%%)", "… of … (…%)"),
        ("%(count)d files in %(folder)s", "… files in …"),
        ("{0} of {name!r:>5}", "… of …"),
        ("${HOME}/%1 and @VERSION@", "…/… and …"),
        ("100% sure", "100% sure"),
        ("%s%s%s: done", "…: done"),
        ("  two\n\tlines  \n", "two lines"),
        ("mail me@HOST.org", "mail me@HOST.org"),
    ],
)
def test_strings_are_cleaned_of_keys_markup_and_placeholders(raw: str, read: str) -> None:
    assert cleaned(raw) == read


@given(st.text())
def test_cleaning_never_fails_and_leaves_one_line(text: str) -> None:
    assert cleaned(text) == " ".join(cleaned(text).split())


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Open the file", "Datei öffnen", True),
        ("Open the file", "Open the file", False),
        ("Open the file", "open the FILE!", False),
        ("Options: --all --size", "Optionen: --all --size", False),
        ("A long sentence in English that goes on and on for many words", "na", False),
        ("set LC_ALL first", "LC_ALL zuerst setzen", True),
        ("set LC_ALL first", "LCALL zuerst setzen", False),
        ("E_xit program", "Programm _beenden", False),  # a key within a word cannot be told from a name
        ("Mule's work", "Muleâ\x80\x99s Werk", False),
        ("…: …", "… : …", False),
    ],
)
def test_what_may_be_a_translation(first: str, second: str, expected: bool) -> None:
    assert fits(first, second) is expected


# ---- catalogues

SLAVIC = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2)"
SLOVENIAN = "nplurals=4; plural=(n%100==1 ? 1 : n%100==2 ? 2 : n%100==3 || n%100==4 ? 3 : 0)"


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("charset", ["UTF-8", "ISO-8859-2"])
def test_a_catalogue_is_read_as_gettext_reads_it_and_places_lead_to_the_strings(tmp_path: Path, big: bool, charset: str) -> None:
    strings = {"Open": "Otevřít", "menu\4Open": "Otevři", "%d file\0%d files": "%d soubor\0%d soubory\0%d souborů", "Empty": ""}
    path = write_mo(tmp_path / "x.mo", strings, charset=charset, plural=SLAVIC, big=big)
    told, found = messages(path)
    assert told == charset
    reference = gettext.GNUTranslations(io.BytesIO(path.read_bytes()))
    pairs = {(m.context, m.english): m.translation for m in found}
    assert pairs == {
        ("", "Open"): reference.gettext("Open"),
        ("menu", "Open"): reference.pgettext("menu", "Open"),
        ("", "%d file"): reference.ngettext("%d file", "%d files", 1),
        ("", "%d files"): reference.ngettext("%d file", "%d files", 5),
    }
    data = path.read_bytes()
    for m in found:
        for text, (offset, length) in ((m.english, m.english_at), (m.translation, m.translation_at)):
            assert data[offset : offset + length].decode(charset) == text


def test_plural_forms_are_chosen_by_the_rule_of_the_language(tmp_path: Path) -> None:
    forms = {"one file\0many files": "veliko\0ena\0dve\0tri"}
    _, found = messages(write_mo(tmp_path / "sl.mo", forms, plural=SLOVENIAN))
    assert {m.english: m.translation for m in found} == {"one file": "ena", "many files": "veliko"}
    _, found = messages(write_mo(tmp_path / "ja.mo", {"one file\0many files": "ファイル"}, plural="nplurals=1; plural=0"))
    assert {m.english: m.translation for m in found} == {"many files": "ファイル"}
    _, found = messages(write_mo(tmp_path / "xx.mo", {"one file\0many files": "eins\0viele"}, plural="nplurals=2; plural=n/0"))
    assert {m.english: m.translation for m in found} == {"one file": "eins", "many files": "viele"}


@pytest.mark.parametrize("damage", [lambda data: data[:30], lambda data: b"junk" + data[4:], lambda data: data[:-20], lambda data: b""])
def test_a_damaged_catalogue_is_a_value_error(tmp_path: Path, damage: object) -> None:
    path = write_mo(tmp_path / "x.mo", {"Open the file": "Datei öffnen"})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"x\.mo"):
        messages(path)


def interface(tmp_path: Path, catalogues: dict[str, dict[str, str]], **options: object) -> Pairs:
    """Catalogues by `LOCALE/PROGRAM`."""
    for name, strings in catalogues.items():
        locale, program = name.split("/")
        write_mo(tmp_path / "locale" / locale / "LC_MESSAGES" / f"{program}.mo", strings)
    return open_source("translations", **{"folders": [tmp_path / "locale"], "test_share": 0, **options})


def couples(pairs: Pairs) -> set[frozenset[tuple[str, str]]]:
    return {
        frozenset((item.metadata["locale"], str(item.content)) for item in (pairs[i].query, pairs[i].document)) for i in range(len(pairs))
    }


def test_english_stands_beside_every_language_and_every_language_beside_another(tmp_path: Path) -> None:
    english = "_Open the file %s"
    pairs = interface(
        tmp_path,
        {"de/a": {english: "Datei %s _öffnen"}, "fr/a": {english: "_Ouvrir le fichier %s"}, "ja/a": {english: "ファイル %s を開く(_O)"}},
    )
    texts = {"en": "Open the file …", "de": "Datei … öffnen", "fr": "Ouvrir le fichier …", "ja": "ファイル … を開く"}
    all_couples = {frozenset(((a, texts[a]), (b, texts[b]))) for a in texts for b in texts if a != b}
    assert couples(pairs) == all_couples  # three languages: a ring of three, and English with each
    assert len(pairs) == 6
    assert pairs.languages == ("de", "en", "fr", "ja")
    assert {pairs[i].task for i in range(6)} == {"retrieval"}


def test_two_variants_of_a_language_are_not_paired_and_english_ones_not_taken(tmp_path: Path) -> None:
    pairs = interface(
        tmp_path,
        {
            "pt/a": {"Open the file": "Abrir o ficheiro"},
            "pt_BR/a": {"Open the file": "Abrir o arquivo"},
            "en_GB/a": {"Open the file": "Open the jolly file"},
            "en@quot/a": {"Open the file": "Open the “file”"},
        },
    )
    assert couples(pairs) == {
        frozenset({("en", "Open the file"), ("pt", "Abrir o ficheiro")}),
        frozenset({("en", "Open the file"), ("pt_BR", "Abrir o arquivo")}),
    }
    assert pairs.languages == ("en", "pt")


def test_untranslated_short_and_repeated_strings_are_left_out(tmp_path: Path) -> None:
    pairs = interface(
        tmp_path,
        {
            "de/a": {"Open the file": "Datei öffnen", "Untranslated string": "Untranslated string", "No": "Nein", "Empty string": ""},
            "de/b": {"Open the file": "Die Datei öffnen", "menu\4Open the file": "Datei auf"},
        },
    )
    assert couples(pairs) == {frozenset({("en", "Open the file"), ("de", "Datei öffnen")})}


def test_only_the_languages_asked_for(tmp_path: Path) -> None:
    strings = {"de": "Datei öffnen", "fr": "Ouvrir le fichier", "es": "Abrir el archivo"}
    catalogues = {f"{locale}/a": {"Open the file": text} for locale, text in strings.items()}
    assert couples(interface(tmp_path, catalogues, languages=["en", "fr"])) == {
        frozenset({("en", "Open the file"), ("fr", "Ouvrir le fichier")})
    }
    assert couples(interface(tmp_path, {}, languages=["de", "fr"])) == {frozenset({("de", "Datei öffnen"), ("fr", "Ouvrir le fichier")})}


def test_all_translations_of_a_string_are_on_one_side(tmp_path: Path) -> None:
    nouns = [
        "window",
        "button",
        "folder",
        "printer",
        "message",
        "picture",
        "password",
        "network",
        "keyboard",
        "calendar",
        "document",
        "screen",
    ]
    strings = {f"Show the {noun} again": noun for noun in nouns}
    catalogues = {
        f"{locale}/a": {k: f"{word} {v}" for k, v in strings.items()}
        for locale, word in (("de", "Zeige"), ("fr", "Montrer"), ("it", "Ecco"))
    }
    interface(tmp_path, catalogues)
    train, test = (interface(tmp_path, {}, split=split, test_share=0.4) for split in ("train", "test"))
    sides = [
        {
            str(side.content).split()[-2 if "again" in str(side.content) else -1]
            for i in range(len(p))
            for side in (p[i].query, p[i].document)
        }
        for p in (train, test)
    ]
    assert sides[0] | sides[1] == set(nouns)
    assert sides[0].isdisjoint(sides[1])
    assert sides[0]
    assert sides[1]


def test_a_damaged_or_wrongly_encoded_catalogue_is_passed_over(tmp_path: Path) -> None:
    interface(tmp_path, {"de/a": {"Open the file": "Datei öffnen"}, "fr/a": {"Open the file": "Ouvrir le fichier"}})
    folder = tmp_path / "locale" / "fr" / "LC_MESSAGES"
    (folder / "b.mo").write_bytes(b"junk")
    path = folder / "a.mo"
    path.write_bytes(path.read_bytes().replace(b"fichier", b"fichi\xff\xff"))
    assert couples(interface(tmp_path, {})) == {frozenset({("en", "Open the file"), ("de", "Datei öffnen")})}


def test_a_catalogue_that_has_changed_is_a_bad_pair_and_is_scanned_anew(tmp_path: Path) -> None:
    pairs = interface(tmp_path, {"de/a": {"Open the file": "Datei öffnen"}})
    path = tmp_path / "locale" / "de" / "LC_MESSAGES" / "a.mo"
    write_mo(path, {"Close the window": "Fenster schließen"})
    os.utime(path, ns=(1, 1))
    with pytest.raises(BadPair, match=r"a\.mo has changed since it was scanned"):
        pairs[0]
    assert couples(interface(tmp_path, {})) == {frozenset({("en", "Close the window"), ("de", "Fenster schließen")})}
    path.unlink()
    with pytest.raises(BadPair, match="cannot be read any more"):
        pairs[0]


def test_nothing_found_is_told(tmp_path: Path) -> None:
    (tmp_path / "locale").mkdir()
    for texts, what in (("interface", "message catalogues"), ("manual", "translated manual pages")):
        with pytest.raises(ValueError, match=f"there are no {what}"):
            open_source("translations", texts=texts, folders=[tmp_path / "locale"])
    with pytest.raises(ValueError, match="there is no folder"):
        open_source("translations", folders=[tmp_path / "gone"])
    with pytest.raises(ValueError, match="texts is 'subtitles'"):
        open_source("translations", texts="subtitles")


@pytest.mark.parametrize(("locale", "language"), [("de", "de"), ("pt_BR", "pt"), ("sr@latin", "sr"), ("fr.UTF-8", "fr"), ("kmr", "kmr")])
def test_the_language_of_a_locale(locale: str, language: str) -> None:
    assert language_of(locale) == language


# ---- manual pages

PAGE = r"""'\" t
.\" a comment
.de Xx
.PP not this
..
.TH LS 1 "today"
.if n \{\
.SH "NOT THIS"
.\}
.SH NAME
ls \- list directory contents
.SH DESCRIPTION
List information about the \fBFILE\fRs
.I (the current directory by default).
.PP
Mandatory arguments to long options are mandatory for short options too.

A blank line also begins a paragraph.
.TP
\fB\-a\fR, \fB\-\-all\fR
do not ignore entries starting with .
.TP
.BR \-k ", " \-\-kibibytes
default to 1024-byte blocks for file system usage
.IP \(bu 2
a bullet that says something
.nf
$ ls --all
not text
.fi
after the example
.SH "SEE ALSO"
.UR https://example.org/ls
.UE .
"""


def test_sections_and_paragraphs_of_a_page() -> None:
    name, description, also = parsed(PAGE)
    assert [p.text for p in name.paragraphs] == ["ls - list directory contents"]
    assert (name.title, description.title, also.title) == ("NAME", "DESCRIPTION", "SEE ALSO")
    assert [(p.kind, p.text) for p in description.paragraphs] == [
        ("text", "List information about the FILEs (the current directory by default)."),
        ("text", "Mandatory arguments to long options are mandatory for short options too."),
        ("text", "A blank line also begins a paragraph."),
        ("term", "-a, --all"),
        ("item", "do not ignore entries starting with ."),
        ("term", "-k, --kibibytes"),
        ("item", "default to 1024-byte blocks for file system usage"),
        ("term", "•"),
        ("item", "a bullet that says something"),
        ("verbatim", ""),
        ("item", "after the example"),
    ]
    assert [p.text for p in also.paragraphs] == ["https://example.org/ls."]


@pytest.mark.parametrize("source", [".Dd today\n.Sh NAME\n.Nm ls\n", ".so man1/ls.1\n", "", "no macros at all"])
def test_pages_in_other_forms_have_no_sections(source: str) -> None:
    assert parsed(source) == ()


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (r"\fBbold\fP \f(CWcode\f[R] \s-1small\s0", "bold code small"),
        (r"na\(:ive caf\('e \[u00E9] \(em\(Fo\(Fc", "naïve café é —«»"),
        (r"don\(aqt l\*(Aqavis \*(lqx\*(rq", "don't l'avis “x”"),
        (r"a\ b\~c\&.d\|e\e", "a b c.de\\"),
        (r"text \" comment", "text "),
        (r"\h'2n'x\v'-1p'y\w'abc'", "xy"),
    ],
)
def test_escapes_become_plain_text(raw: str, read: str) -> None:
    assert plain(raw) == read


@given(st.text(alphabet=st.sampled_from(list("\\.'()[]{}*fsBSHTPIabé\n \"0-")), max_size=60))
def test_no_page_makes_the_parser_fail(source: str) -> None:
    for section in parsed(".SH NAME\n" + source):
        assert all(p.text == " ".join(p.text.split()) for p in section.paragraphs)


def manual(tmp_path: Path, pages: dict[str, str], **options: object) -> Pairs:
    """Pages by `LANGUAGE/NAME.SECTION`; English ones have no language."""
    for name, source in pages.items():
        folder, _, file = name.rpartition("/")
        write_man(tmp_path / "man" / folder / f"man{file[-1]}" / f"{file}.gz", source)
    return open_source("translations", **{"texts": "manual", "folders": [tmp_path / "man"], "test_share": 0, **options})


ENGLISH = """.SH NAME
ls \\- list the contents of directories, one by one
.SH OPTIONS
.TP
\\-a
do not leave out entries that begin with a dot, of which there are 12
.PP
The exit status tells whether anything went wrong on the way.
"""
GERMAN = """.SH NAME
ls \\- den Inhalt von Verzeichnissen auflisten, eins nach dem anderen
.SH OPTIONEN
.TP
\\-a
Einträge, die mit einem Punkt beginnen, nicht auslassen, und das sind 12
.PP
Der Rückgabewert sagt, ob unterwegs etwas schiefgegangen ist.
"""


def test_paragraphs_at_the_same_place_are_paired(tmp_path: Path) -> None:
    pairs = manual(tmp_path, {"ls.1": ENGLISH, "de/ls.1": GERMAN, "fr/cd.1": GERMAN})
    assert couples(pairs) == {
        frozenset(
            {
                ("en", "ls - list the contents of directories, one by one"),
                ("de", "ls - den Inhalt von Verzeichnissen auflisten, eins nach dem anderen"),
            }
        ),
        frozenset(
            {
                ("en", "do not leave out entries that begin with a dot, of which there are 12"),
                ("de", "Einträge, die mit einem Punkt beginnen, nicht auslassen, und das sind 12"),
            }
        ),
        frozenset(
            {
                ("en", "The exit status tells whether anything went wrong on the way."),
                ("de", "Der Rückgabewert sagt, ob unterwegs etwas schiefgegangen ist."),
            }
        ),
    }  # fmt: skip
    assert {item.source.path for i in range(len(pairs)) for item in (pairs[i].query, pairs[i].document)} == {
        str(tmp_path / "man/man1/ls.1.gz"),
        str(tmp_path / "man/de/man1/ls.1.gz"),
    }


def test_a_section_built_otherwise_and_a_paragraph_of_another_edition_are_left_out(tmp_path: Path) -> None:
    other = GERMAN.replace(".PP\nDer", "Und noch etwas.\n.PP\nMehr Text dazwischen, der im Englischen fehlt.\n.PP\nDer")
    assert len(manual(tmp_path / "a", {"ls.1": ENGLISH, "de/ls.1": other})) == 1  # only the name
    newer = GERMAN.replace("das sind 12", "das sind 15")
    assert len(manual(tmp_path / "b", {"ls.1": ENGLISH, "de/ls.1": newer})) == 2
    fewer = GERMAN.split(".SH OPTIONEN")[0]
    assert len(manual(tmp_path / "c", {"ls.1": ENGLISH, "de/ls.1": fewer})) == 0
    untranslated = GERMAN.split(".SH OPTIONEN")[0] + ".SH OPTIONS" + ENGLISH.split(".SH OPTIONS")[1]
    assert len(manual(tmp_path / "d", {"ls.1": ENGLISH, "de/ls.1": untranslated})) == 1


def test_pages_in_old_encodings_or_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    write_man(tmp_path / "man/fr.ISO-8859-1/man1/ls.1.gz", GERMAN)
    (tmp_path / "man/es/man1").mkdir(parents=True)
    (tmp_path / "man/es/man1/ls.1.gz").write_bytes(b"\x1f\x8bjunk")
    (tmp_path / "man/it/man1").mkdir(parents=True)
    (tmp_path / "man/it/man1/ls.1.gz").write_bytes(GERMAN.encode("latin-1"))
    pairs = manual(tmp_path, {"ls.1": ENGLISH, "de/ls.1": GERMAN})
    assert pairs.languages == ("de", "en")
