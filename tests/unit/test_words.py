import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unitower.stores import words
from unitower.stores.words import LONGEST, MOST_COUNTED, analysed, asked, phrase


def found(query, text):
    """Whether the text has every part of the query, or one of the forms beside them."""
    there = set(analysed(text).counts)
    return set(asked(query).parts) <= there or not there.isdisjoint(asked(query).beside)


def phrase_found(query, text):
    return phrase(asked(query).parts) in analysed(text).stored


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        (" \n\t.,;!? -- ___ … 🎉", ()),
        ("The rent is due.", ("the", "rent", "is", "due")),
        ("Zürich, São Paulo; Łódź — Ærø", ("zurich", "sao", "paulo", "lodz", "aero")),
        ("STRASSE Straße ΟΔΟΣ οδός İZMİR ılık", ("strasse", "strasse", "οδοσ", "οδοσ", "izmir", "ilik")),
        ("ﬁle №5 m² Ｆｕｌｌ①", ("file", "no5", "m2", "full1")),
        ("एक हिन्दी वाक्य", ("एक", "हिन्दी", "वाक्य")),
        ("العَرَبِيَّة مـرحبا", ("العربيه", "مرحبا")),
        ("שָׁלוֹם עוֹלָם", ("שלום", "עולם")),
        ("Ёлка и йод, Київ, ќерка, за́мок", ("елка", "и", "йод", "київ", "ќерка", "замок")),
        ("٢٠٢٤ ۲۰۲۴ २०२४ ๒๐๒๔", ("2024", "2024", "2024", "2024")),
        ("機械学習", ("機械", "械学", "学習")),
        ("がぎ ｶﾞ か\u3099", ("がぎ", "ガ", "が")),
        ("第3章", ("第", "3", "章")),
        ("Python入門", ("python", "入門")),
        ("東京・大阪", ("東京", "大阪")),
        ("서울에서 만나요 LG전자", ("서울에서", "만나요", "lg", "전자")),
    ],
)
def test_words_in_reading_order(text, parts):
    assert analysed(text).parts == parts


@pytest.mark.parametrize(
    ("query", "text"),
    [
        # numbers and names as they are written elsewhere
        ("INV-2024-0117", "Rechnung Nr. INV-2024-0117 vom 17.01."),
        ("inv 2024 0117", "INV-2024-0117"),
        ("INV20240117", "INV-2024-0117"),
        ("0117", "INV-2024-0117"),
        ("INV_2024/0117", "INV-2024-0117"),
        ("2102650", "in all 2,102,650 people"),
        ("2,102,650", "2.102.650 Menschen"),
        ("2102650", "2\u202f102\u202f650 habitants"),
        ("2102650", "2’102’650 Einwohner"),
        ("1234.56", "total 1,234.56 EUR"),
        ("1234.56", "Summe 1.234,56 EUR"),
        ("1234567.5", "1'234'567.50 or 1,234,567.5"),
        ("3.14", "3,14"),
        ("1234567", "₹12,34,567"),
        ("1.2.3", "released 1.2.3 today"),
        ("20240117", "2024-01-17"),
        ("9783161484100", "ISBN 978-3-16-148410-0"),
        # addresses
        ("jane.doe@example.com", "Contact: Jane.Doe@Example.com."),
        ("doe", "jane.doe@example.com"),
        ("example.com", "see https://example.com/path"),
        # code
        ("getUserName", "def getUserName():"),
        ("user", "getUserName"),
        ("http server 2", "HTTPServer2"),
        ("HTTPServer2", "class HTTPServer2:"),
        ("username", "user_name = userName"),
        ("user name", "user_name"),
        ("userName", "user_name"),
        ("init", "__init__"),
        ("types.py", "src/unitower/types.py"),
        ("foo_bar", "module.foo_bar.baz"),
        ("utf 8", "utf8"),
        ("100 MB", "100MB"),
        ("C++", "in C++ and C"),
        ("C#", "C#, F#"),
        ("node.js", "Node.js"),
        ("AT&T", "AT&T Inc."),
        ("USA", "the U.S.A. and"),
        # words that are cut or joined in print
        ("email", "e-mail"),
        ("state of the art", "state-of-the-art"),
        ("Rechnungsbetrag", "der Rechnungs-\nbetrag ist"),
        ("information", "infor\u00admation"),
        ("information", "infor\x02\r\nmation"),
        ("information", "infor\ufffemation"),
        ("dont", "don't"),
        ("homme", "l’homme"),
        ("OBrien", "O'Brien"),
        # scripts
        ("ﬁnance", "Finance"),
        ("muller", "MÜLLER"),
        ("Müller", "Mu\u0308ller"),
        ("viet nam", "Việt Nam"),
        ("搜索引擎", "中文搜索引擎很快"),
        ("犬", "犬は小型犬"),
        ("税", "消費税の計算"),
        ("エンジン", "検索エンジン"),
        ("서울", "서울에서"),
        ("특별", "서울특별시"),
        ("ภาษา", "ภาษาไทย"),
        ("ខ្មែរ", "ភាសាខ្មែរ"),
        ("ຄຳ", "ຄໍາ"),
        ("احمد", "أحمد"),
        ("ميخواهم", "می\u200cخواهم"),
        ("می خواهم", "می\u200cخواهم"),
        ("2024", "۲۰۲۴"),
    ],
)
def test_what_a_person_types_is_found(query, text):
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("INV-2024-0117", "INV-2024-0118"),
        ("650", "2102650"),
        ("1020", "pages 10-20"),
        ("ab", "a b"),
        ("搜擎", "搜索引擎"),
        ("索", "引擎"),
        ("ह", "हिन्दी"),
        ("и", "й"),
        ("か", "が"),
        ("i", "h264"),
    ],
)
def test_what_is_something_else_is_not_found(query, text):
    assert not found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("invoice total", "the Invoice-Total is"),
        ("INV-2024-0117", "(INV 2024 0117)"),
        ("javascript tutorial", "a JavaScript tutorial"),
        ("user name", "user_name"),
        ("2,102,650 people", "2.102.650 People"),
        ("搜索引擎", "中文搜索引擎"),
        ("C++ 17", "C++17"),
        ("naïve café", "NAIVE CAFÉ"),
    ],
)
def test_a_phrase_is_found_however_it_is_written(query, text):
    assert phrase_found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("rent due", "rent is due"),
        ("due rent", "rent due"),
        ("rent du", "rent due"),
        ("ent due", "rent due"),
        ("name get", "get_name"),  # the end of the parts and the start of what stands beside them are no neighbours
        ("case snakecase", "snake_case"),
        ("a b", "a. c b"),
    ],
)
def test_words_that_do_not_follow_one_another_are_no_phrase(query, text):
    assert not phrase_found(query, text)


@pytest.mark.parametrize(
    ("query", "whole", "others"),
    [
        ("C++", "c++", ["C", "a+b", "C#"]),
        ("C#", "c#", ["C", "issue #12 in C", "C++"]),
        ("INV-2024-0117", "inv-2024-0117", ["inv 2024 0117", "INV-2024-0118"]),
        ("1.2.3", "1.2.3", ["1, 2, 3", "1.2.30", "11.2.3"]),
        ("jane.doe@example.com", "jane.doe@example.com", ["jane@example.com, doe", "john.doe@example.com"]),
        ("2,102,650", "2102650", ["2, 102, 650"]),
        ("snake_case", "snakecase", ["a snake in a case"]),
    ],
)
def test_a_compound_is_told_from_its_parts_standing_apart(query, whole, others):
    assert whole in asked(query).counts
    assert whole in analysed(f"({query}).").counts
    assert not any(whole in analysed(other).counts for other in others)


def test_a_word_that_repeats_is_counted_each_time():
    assert analysed("to be or not to be").counts == {"to": 2, "be": 2, "or": 1, "not": 1}
    assert f" {'a'}  {'a'} " in analysed("a a").stored


def test_a_word_is_counted_no_more_often_than_engines_can_keep():
    assert analysed("a " * 70_000).counts == {"a": MOST_COUNTED}


def test_single_ideographs_are_kept_but_asked_for_only_alone():
    assert set("東京都") <= set(analysed("東京都").counts)
    assert not set("東京都") & set(asked("東京都").counts)


def test_encoded_data_gives_one_short_word():
    assert [len(part) for part in analysed("x" * 100_000 + " " + "é" * 1_000).parts] == [LONGEST, LONGEST]
    assert all(len(word) <= LONGEST for word in analysed("a-" * 5_000 + "a").counts)


def test_half_a_surrogate_pair_separates_words():
    assert analysed("a\ud83d b\udcff").parts == ("a", "b")


@given(st.text())
@example("\ud800a\u0301\udfff")
@example("१_२-३,४'५")
@example("ﷺ ㍿ ½ İ ŉ ǰ ΐ")
@example("2,\u0661\u0662\u0663")
@example("\u0300 \u093f \u3099")
@example("a" + "_" * 3000)
def test_any_text_has_words_that_a_store_can_hold(text):
    taken = analysed(text)
    for word in taken.counts:
        assert word
        assert word.split() == [word]
        assert len(word) <= LONGEST + 1 or not word.isascii()
        word.encode()
    assert taken.stored.split() == [*taken.parts, *taken.beside]
    assert set(asked(text).counts) <= set(taken.counts)
    assert asked(text).parts == taken.parts
    assert phrase(taken.parts) in taken.stored


@given(st.text(string.ascii_letters + string.digits + " _-.,'@&/+#\n"))
def test_ascii_text_has_the_same_words_beside_other_scripts(text):
    assert analysed(text + " é").parts == (*analysed(text).parts, "e")
    assert analysed(text + " é").beside == analysed(text).beside


@given(st.text(), st.text())
def test_the_words_of_a_line_do_not_depend_on_the_line_after_it(first, second):
    together, alone = analysed(f"{first} .\n. {second}").parts, analysed(first).parts
    assert together[: len(alone)] == alone


@given(st.text())
def test_words_are_words_of_themselves(text):
    for part in analysed(text).parts:
        assert words.phrase((part,)) in analysed(part).stored
