"""The table of nano (bench/): what it counts, asks and prints. What it measures on is fetched by hand and not needed here."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def bench():
    """The modules of bench/, as `python bench/nano_table.py` finds them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        yield lambda name: importlib.import_module(name)
    for name in [name for name in sys.modules if name == "nano_table" or name.partition(".")[0] == "nano"]:
        del sys.modules[name]


def test_of_equal_scores_the_right_one_comes_last(bench):
    ranks = bench("nano.ranking").ranks
    scores = np.array([[0.5, 0.5, 0.1], [0.0, 0.0, 0.0], [0.1, 0.9, 0.2]], np.float32)
    assert ranks(scores, [0, 1, 1]).tolist() == [2, 3, 1]


def test_figures_done_by_hand(bench):
    found = bench("nano.ranking").figures(np.array([1, 2, 6, 11]))
    assert found["ndcg10"] == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(7)) / 4)
    assert found["ndcg5"] == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert found["mrr10"] == pytest.approx((1 + 1 / 2 + 1 / 6) / 4)
    assert (found["recall1"], found["first5"]) == (0.25, 0.5)


def test_rank_correlation_with_equal_values_done_by_hand(bench):
    # ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: covariance 4.5, variances 4.5 and 5
    assert bench("nano.ranking").spearman([1, 2, 2, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


TEXTS = [
    "The orchard keeper prunes apple trees\nbefore the first frost of winter arrives.",
    "The harbour master counts fishing boats\nbefore the morning ferry of winter arrives.",
    "The tower keeper lights the lamp\nbefore the evening storm of winter arrives.",
    "The night porter locks every gate\nbefore the last guest of winter arrives.",
]


def test_key_words_stand_on_the_page_and_a_search_by_words_finds_it(bench):
    asked = bench("nano.asking").keywords(TEXTS, seed=1)
    scores = bench("nano.baselines").by_words(asked, TEXTS)
    assert all(word in text.casefold() for query, text in zip(asked, TEXTS, strict=True) for word in query.split())
    assert bench("nano.ranking").ranks(scores, range(4)).tolist() == [1, 1, 1, 1]


def test_a_phrase_stands_on_one_page_and_on_one_of_its_lines(bench):
    for number, phrase in enumerate(bench("nano.asking").phrases(TEXTS, seed=3)):
        assert 3 <= len(phrase.split()) <= 6
        assert [phrase in line for text in TEXTS for line in text.split("\n")].count(True) == 1
        assert phrase in TEXTS[number]


def test_pages_without_rare_words_are_not_asked_for(bench):
    same = ["Every page of this book says the same as all others"] * 8
    asking = bench("nano.asking")
    assert asking.keywords(same, seed=0) == [None] * 8
    assert asking.phrases(same, seed=0) == [None] * 8


def test_a_text_without_the_words_has_no_score(bench):
    found = bench("nano.baselines").by_words(["pear"], ["pear apple", "apple apple"])
    assert found[0, 0] > 0
    assert found[0, 1] == 0


def test_a_tenth_of_names_is_held_out_whatever_their_case(bench):
    held_out = bench("nano.material").held_out
    share = sum(held_out(f"package-{i}") for i in range(4000)) / 4000
    assert share == pytest.approx(26 / 256, abs=0.015)
    assert held_out("Cantarell")
    assert held_out("cantarell")
    assert not held_out("Roboto")


def test_what_is_named_is_of_the_tenth_as_it_says(bench):
    material = bench("nano.material")
    assert all(material.held_out(name) for name in material.named()["python"])
    by_name = {"Baskervald ADF Std", "Accanthis ADF Std", "Old Standard TT", "Charis SIL"}
    assert {name for name in material.named()["families"] if not material.held_out(name)} == by_name


def test_sections_of_a_book_are_its_headings_with_the_paragraphs_below(bench, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<html><head><title>no</title><style>p {}</style></head><body><h1>1. <a id='top'></a>First <em>things</em></h1>"
        f"<p>{'A sentence of the first. ' * 4}</p><pre>not this</pre><div><p>short</p></div>"
        f"<h2 class='title'><a id='why'></a>1.2. Why?</h2><div class='para'>{'Because of this. ' * 5}</div></body></html>",
        encoding="utf-8",
    )
    first, second = bench("nano.material").sections([page])
    assert (first.title, first.anchor, len(first.paragraphs)) == ("First things", "top", 1)
    assert (second.title, second.anchor) == ("Why?", "why")
    assert second.paragraphs == (("Because of this. " * 5).strip(),)


def test_a_scan_is_the_same_for_the_same_seed_and_darker_than_the_page(bench):
    import random

    page = Image.new("RGB", (300, 400), "white")
    page.paste((0, 0, 0), (60, 100, 240, 110))
    scanned = bench("nano.scanning").scanned
    first, again, other = (np.asarray(scanned(page, random.Random(seed))) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert first.mean() < np.asarray(page).mean()


def test_graded_pairs_are_complete_and_each_stands_once(bench):
    lines = (BENCH / "nano" / "graded.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert {len(row) for row in rows} == {4}
    assert {row[1] for row in rows} == set("012345")
    assert len({(row[2], row[3]) for row in rows}) == len(rows) == 256


def test_the_table_has_bars_and_distances_beside_the_figures(bench):
    table = bench("nano_table")
    good, bad = ({"ndcg10": value, "ndcg5": value, "recall1": value, "mrr10": value, "first5": value} for value in (0.95, 0.5))
    line = {
        "title": "English pages", "bar": 0.9, "figure": "ndcg10", "kinds": {}, "seconds": {"nano": 0.1, "Tesseract": 1.0},
        "systems": {"late": good, "dense": bad, "half": bad, "BM25": good, "MiniLM": bad, "chance": bad},
    }  # fmt: skip
    printed = table.markdown({"pages-en": line, "pages-de": {**line, "systems": {**line["systems"], "late": bad}}}, "nano")
    first, second = (row for row in printed.split("\n") if row.startswith("| pages-"))
    assert "| ≥ .900 | .500 | **.950** | yes |" in first
    assert "| ≥ .900 | .500 | **.500** | .400 short |" in second
    assert "| ≤ 12 | **22.5** | no |" in printed  # late .95 and .50, dense .50 and .50
    assert "| ≤ 2 | **0.0** | yes |" in printed


def test_without_the_material_it_says_what_to_run(bench, monkeypatch, tmp_path):
    material = bench("nano.material")
    monkeypatch.setattr(material, "ROOT", tmp_path)
    with pytest.raises(material.Missing, match=r"run bench/nano/setup\.sh first"):
        material.folder("debian-handbook")
