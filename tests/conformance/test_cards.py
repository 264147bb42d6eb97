"""Every card of benchmarks/: its fields are whole, its data are pinned, and a sample of its schema loads offline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from card_samples import WORDS, sample

from unitower.evaluation import cards
from unitower.evaluation.cards import Card
from unitower.evaluation.loading import load
from unitower.evaluation.results import macro
from unitower.evaluation.rules import RULES

datasets = pytest.importorskip("datasets")

CARDS = cards.shipped()
READ = [card for card in CARDS if card.shape != "mteb"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_says_everything_and_pins_its_data(card: Card) -> None:
    assert card.about.endswith(".")
    assert len(card.about) < 140
    assert card.licence
    assert card.citation
    assert card.local or re.fullmatch(r"[0-9a-f]{40}", card.revision)
    for codes in card.subsets.values():
        assert codes
        assert all(re.fullmatch(r"[a-z]{2,3}", code) for code in codes)
    assert set(card.sizes) in ({*card.subsets}, set())
    assert all(size["queries"] > 0 and size["documents"] > 0 for size in card.sizes.values())
    assert all(fault.endswith(".") for fault in card.faults)
    assert len({(entry.model, entry.mode, entry.rule, entry.group) for entry in card.published}) == len(card.published)
    for entry in card.published:
        assert entry.rule in RULES
        assert entry.source
        assert 0 < entry.score <= 100
        assert not entry.subsets or entry.subsets.keys() == card.subsets.keys()


@pytest.mark.parametrize("card", [card for card in CARDS if any(entry.subsets for entry in card.published)], ids=lambda card: card.name)
def test_a_published_score_is_the_mean_of_its_sub_sets(card: Card) -> None:
    for entry in card.published:
        if entry.subsets:
            assert sum(entry.subsets.values()) / len(entry.subsets) == pytest.approx(entry.score, abs=0.011), entry.model


@pytest.mark.parametrize("card", READ, ids=lambda card: card.name)
def test_a_sample_of_its_schema_loads_offline_and_holds_together(card: Card, tmp_path: Path) -> None:
    if card.local:
        here, number = card, None
    else:
        here, number = sample(card, tmp_path / "set"), 3
    for subset in list(card.subsets)[:2]:
        task = load(here, subset)
        assert list(task.faults()) == []
        assert number is None or (len(task.queries), len(task.corpus)) == (number, number)
        page = task.corpus[0]
        assert page.modality == "image"
        assert not isinstance(page.content, str)
        assert page.content.mode == "RGB"
        if number:
            assert list(task.queries.values()) == [f"where is the {word}" for word in WORDS]


def group(name: str) -> list[Card]:
    return [card for card in CARDS if card.belongs(name)]


def test_all_of_jina_vdr_is_there() -> None:
    assert len(group("jina_vdr")) == 43
    assert sum(len(card.subsets) for card in group("jina_vdr")) == 96
    assert len({card.revision for card in group("jina_vdr")}) == 43


@pytest.mark.parametrize(
    ("model", "mode", "rule", "printed"),
    [  # arXiv 2506.18902, table 3; the last two from the results repository of mteb
        ("jina-embeddings-v4", "multi", "one page", 80.55),
        ("jina-embeddings-v4", "dense", "one page", 73.98),
        ("jina-embeddings-v3 over OCR text", "dense", "one page", 47.82),
        ("jina-clip-v2", "dense", "one page", 40.52),
        ("colpali-v1.2", "multi", "one page", 63.80),
        ("dse-qwen2-2b-mrl-v1", "dense", "one page", 67.25),
        ("jina-embeddings-v4", "multi", "every page", 80.98),
        ("colqwen2.5-v0.2", "multi", "every page", 75.60),
    ],
)
def test_the_cards_of_jina_vdr_give_the_printed_means(model: str, mode: str, rule: str, printed: float) -> None:
    scores: dict[str, float] = {}
    for card in group("jina_vdr"):
        (entry,) = [e for e in card.published if (e.model, e.mode, e.rule) == (model, mode, rule)]
        scores |= {card.task_name(s): value for s, value in entry.subsets.items()} or {card.name: entry.score}
    assert round(macro(scores), 2) == pytest.approx(printed, abs=0.005 if rule == "every page" else 0.0151)


@pytest.mark.parametrize(
    ("name", "size", "mode", "rule", "printed"),
    [
        ("vidore/v1", 10, "multi", "one page", 90.17),
        ("vidore/v1", 10, "dense", "one page", 84.11),
        ("vidore/v1", 10, "multi", "every page", 90.35),
        ("vidore/v2", 4, "multi", "every page", 58.23),
        ("vidore/v3", 8, "multi", "every page", 56.99),
        ("vidore/v3", 8, "dense", "every page", 49.61),
        ("text/mteb-en", 10, "dense", "every page", 55.91),
        ("text/mmteb", 18, "dense", "every page", 66.49),
        ("text/longembed", 6, "dense", "every page", 67.11),
        ("text/sts-en", 9, "dense", "every page", 85.89),
        ("text/sts-multilingual", 14, "dense", "every page", 72.70),
    ],
)
def test_the_other_groups_give_the_printed_means_of_jina_embeddings_v4(name: str, size: int, mode: str, rule: str, printed: float) -> None:
    scores = {
        card.name: entry.score
        for card in group(name)
        for entry in card.printed(name)
        if (entry.model, entry.mode, entry.rule) == ("jina-embeddings-v4", mode, rule)
    }
    assert len(group(name)) == len(scores) == size
    assert macro(scores) == pytest.approx(printed, abs=0.06)  # the sets are printed with one or two digits


def test_what_is_printed_of_whole_groups_names_groups_there_are() -> None:
    means = cards.published_means()
    assert {entry.group for entry in means} <= set(cards.groups(CARDS))
    assert all(0 < entry.score <= 100 and entry.source for entry in means)
