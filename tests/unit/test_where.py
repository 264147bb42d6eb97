"""Conditions: what they keep, in every engine, and what is said of those that make no sense."""

import datetime
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unitower.stores import Entry, Query, engines, open_store
from unitower.stores.where import COLUMNS, DEEPEST, arrays, parse
from unitower.types import Embeddings, Fingerprint, Ragged, Source

MADE_BY = Fingerprint(model="m", revision="r", adapter="a", prompts={}, max_pixels=1, max_length=1, dense_width=4, multi_width=8)


def day(text):
    return int(datetime.datetime.fromisoformat(text).timestamp()) * 10**9


def entry(id, path, *, page=None, modality="text", lang=None, size=None, modified=None):
    return Entry(
        id=id, source=Source(path=path, page=page), modality=modality, metadata={"language": lang} if lang else {}, text="word",
        size_bytes=size, modified_ns=modified and day(modified),
    )  # fmt: skip


ENTRIES = [
    entry("a", "reports/2025/a.PDF", page=1, modality="image", lang="de", size=900, modified="2026-01-31T10:00:00"),
    entry("b", "reports/2025/a.PDF", page=12, modality="image", lang="en", size=900, modified="2026-01-31T10:00:00"),
    entry("c", "reports/it's.txt", lang="de", size=3_000_000, modified="2026-02-01T00:00:00"),
    entry("d", "src/tower.py", modality="code", lang="python", size=10),
    entry("e", "notes_100%.md", size=20, modified="2020-06-01T12:00:00"),
]

CASES = [
    ("lang = 'de'", "ac"),
    ("lang = 'de' and path like 'reports/%'", "ac"),
    ("LANG='de' AND NOT page = 1", ""),  # c has no page: unknown is not true, nor is its opposite
    ("not lang = 'de'", "bd"),
    ("lang is null", "e"),
    ("lang is not null and page is null", "cd"),
    ("lang != 'de'", "bd"),
    ("lang <> 'de' or lang is null", "bde"),
    ("page > 1", "b"),
    ("page between 1 and 12", "ab"),
    ("page not between 2 and 20", "a"),
    ("page in (1, 2, 3) or kind in ('py', 'md')", "ade"),
    ("lang not in ('de', 'en')", "d"),
    ("kind = 'pdf'", "ab"),
    ("path = 'reports/it''s.txt'", "c"),
    ("path like '%.pdf'", ""),
    ("path ilike '%.pdf'", "ab"),
    ("path like '_otes\\_100\\%.md'", "e"),
    ("path not like 'reports/%'", "de"),
    ("modality = 'code' or (modality = 'text' and size > 2MB)", "cd"),
    ("size >= 20 and size < 1kB", "abe"),
    ("size = 20.0", "e"),
    ("modified >= '2026-02-01'", "c"),
    ("modified > '2026-01-31'", "c"),
    ("modified <= '2026-01-31'", "abe"),
    ("modified = '2026-01-31'", "ab"),
    ("modified != '2026-01-31'", "ce"),
    ("modified < '2026-01-31T10:00:00'", "e"),
    ("modified between '2026-01-31' and '2026-02-01'", "abc"),
    ("modified < '2999-12-31'", "abce"),
    ("modified >= '2262-04-12T12:00' or modified = '9999-12-31'", ""),
    ("modified > '1500-02-28' and modified != '0001-01-01'", "abce"),
    ("modified <= '1677-09-20'", ""),
    ("not modified between '2000-01-01' and '9999-12-31T23:59:59'", ""),
    ("path = 'x'' or 1 = 1 --'", ""),
    ("not not lang = 'de'", "ac"),
]


SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def ids(found):
    return "".join(sorted(one.id for one in found))


def kept_by(condition, entries):
    where = parse(condition)
    met = where.mask(arrays(entries, where.names))
    return "".join(one.id for one, kept in zip(entries, met, strict=True) if kept)


@pytest.mark.parametrize(("condition", "expected"), CASES)
def test_a_condition_keeps_what_it_says(condition, expected):
    assert kept_by(condition, ENTRIES) == expected


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("year", [1, 1500, 1600, 1677, 1678, 2261, 2262, 2263, 2400, 9999])
def test_times_at_the_bounds_of_what_can_be_stored_are_compared_as_whole_numbers_are(sign, year):
    times = dict(zip("abcdefg", [-(2**63), -(2**63) + 1, day("1677-09-23"), 0, day("2262-04-09"), 2**63 - 2, 2**63 - 1], strict=True))
    entries = [Entry(id=id, source=Source(path=id), modality="text", modified_ns=time) for id, time in times.items()]
    entries.append(entry("h", "no time"))
    utc = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    for rest in ("-01-01T00:00:00", "-04-11T23:47:16", "-04-11T23:47:17", "-09-21T00:12:43", "-09-21T00:12:44"):
        since = datetime.datetime.fromisoformat(f"{year:04}{rest}+00:00") - utc
        moment = (since.days * 86_400 + since.seconds) * 10**9
        expected = "".join(id for id, time in times.items() if SIGNS[sign](time, moment))
        assert kept_by(f"modified {sign} '{year:04}{rest}+00:00'", entries) == expected


def test_a_day_at_a_bound_keeps_what_changed_on_it():
    entries = [Entry(id=id, source=Source(path=id), modality="text", modified_ns=ns) for id, ns in (("a", -(2**63)), ("b", 2**63 - 1))]
    assert kept_by("modified between '1677-09-20' and '1677-09-22'", entries) == "a"
    assert kept_by("modified between '2262-04-11' and '2262-04-12'", entries) == "b"
    assert kept_by("modified < '1677-09-20' or modified > '2262-04-12'", entries) == ""
    assert kept_by("modified >= '1677-09-20' and modified <= '2262-04-12'", entries) == "ab"


LONG = 3_000  # more than Python lets functions call each other


def test_a_list_may_have_thousands_of_values():
    kinds = ", ".join(f"'k{i}'" for i in range(LONG))
    assert kept_by(f"kind in ({kinds}, 'pdf', {kinds})", ENTRIES) == "ab"
    assert kept_by(f"kind not in ({kinds}, 'pdf', {kinds})", ENTRIES) == "cde"
    assert kept_by(f"page in ({', '.join(map(str, range(2, LONG)))})", ENTRIES) == "b"
    assert kept_by(f"modified in ({', '.join([repr('2020-06-01')] * LONG)})", ENTRIES) == "e"


def test_conditions_may_be_joined_by_the_thousand():
    assert kept_by(" or ".join([*(f"page = {i}" for i in range(100, LONG)), "lang = 'de'"]), ENTRIES) == "ac"
    assert kept_by(" and ".join([*(f"page != {i}" for i in range(100, LONG)), "lang = 'de'"]), ENTRIES) == "a"
    assert kept_by(" or ".join(["(lang = 'de' and not page = 1)"] * LONG + ["size = 10"]), ENTRIES) == "d"


def test_brackets_and_nots_stand_inside_each_other_up_to_a_limit_that_is_told():
    half = DEEPEST // 2
    deepest = "not (lang is null or page = 7 and " * half + "lang = 'de'" + ")" * half
    where = parse(deepest)
    assert where.mask(arrays(ENTRIES, where.names)).shape == (5,)
    assert kept_by("(" * DEEPEST + "lang = 'de'" + ")" * DEEPEST, ENTRIES) == kept_by("not " * DEEPEST + "lang = 'de'", ENTRIES) == "ac"
    for nested in (f"not {deepest}", f"({deepest})", "not (" * 5_000 + "lang = 'de'" + ")" * 5_000):
        with pytest.raises(ValueError, match=f"more than {DEEPEST} brackets or `not`s inside each other"):
            parse(nested)


@pytest.mark.parametrize("engine", engines())
def test_every_engine_keeps_the_same_and_every_kind_of_search_does(engine, tmp_path):
    store = open_store(f"{engine}:{tmp_path / 'store'}")
    rows = np.eye(5, 8, dtype=np.float32)
    store.add(ENTRIES, Embeddings(dense=np.eye(5, 4, dtype=np.float32) + 1, multi=Ragged.of([rows] * 5), fingerprint=MADE_BY))
    for query in (Query(dense=np.ones(4, np.float32)), Query(tokens=rows), Query(text="word"), Query(tokens=rows, text="word")):
        for condition, expected in CASES:
            for exact in (False, True):
                assert ids(store.search(query, k=9, where=condition, exact=exact)) == expected, condition


@pytest.mark.parametrize("engine", engines())
def test_a_filtered_search_gives_k_true_results(engine, tmp_path, monkeypatch):
    """Among the entries that meet a condition a search finds what it finds where there are no others, also when it does not score all."""
    monkeypatch.setattr("unitower.stores.ranking.ALL_SCORED", 20)
    rng = np.random.default_rng(0)

    def unit(rows):
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)

    n = 400
    entries = [Entry(id=f"{i:03d}", source=Source(path=f"{'rare' if i % 8 == 0 else 'common'}/{i}"), modality="text") for i in range(n)]
    made = Embeddings(
        dense=unit(rng.standard_normal((n, 4))),
        multi=Ragged(unit(rng.standard_normal((n * 5, 8))), np.arange(0, n * 5 + 1, 5)),
        fingerprint=MADE_BY,
    )
    store, alone = open_store(f"{engine}:{tmp_path / 'all'}"), open_store(f"{engine}:{tmp_path / 'rare'}")
    store.add(entries, made)
    rare = range(0, n, 8)
    alone.add([entries[i] for i in rare], Embeddings(dense=made.dense[list(rare)], multi=made.multi.take(rare), fingerprint=MADE_BY))
    for _ in range(5):
        query = Query(tokens=unit(rng.standard_normal((6, 8))), dense=unit(rng.standard_normal(4)))
        found = store.search(query, k=10, where="path like 'rare/%'")
        assert len(found) == 10
        assert found == alone.search(query, k=10)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("author = 'me'", "no column 'author'.*path, kind, page, modality, lang, size, modified"),
        ("lang", "comparison"),
        ("lang =", "its end.*single quotes"),
        ('lang = "de"', "single quotes"),
        ("lang = 'de", "makes no sense"),
        ("lang = de", "single quotes"),
        ("page = '3'", "a number"),
        ("page like '3'", "no text"),
        ("lang = 'de' lang = 'en'", "`and`, `or` or the end"),
        ("(lang = 'de'", r"`\)`"),
        ("lang = 'de')", "`and`, `or` or the end"),
        ("and lang = 'de'", "a column"),
        ("lang in ()", "single quotes"),
        ("page between 1", "`and`"),
        ("lang is 'de'", "`null`"),
        ("lang not = 'de'", "`in`, `like`"),
        ("modified > 'yesterday'", "'yesterday' is no time"),
        ("lang = 'de'; drop table files", "makes no sense at '; drop"),
        ("1 = 1", "a column"),
        ("(" * 60 + "page = 1" + ")" * 60, "brackets"),
        ("not " * 3000 + "page = 1", "brackets"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_with_a_word_of_help(condition, said):
    with pytest.raises(ValueError, match=said):
        parse(condition)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="lang=de'() andornotlikepage123,<>!%_\"\\;-é\x00 ", max_size=40))
def test_any_text_is_a_condition_or_a_plain_error(text):
    try:
        where = parse(text)
    except ValueError:
        return
    assert where.mask(arrays(ENTRIES, where.names)).shape == (5,)
    assert where.names <= COLUMNS.keys()
