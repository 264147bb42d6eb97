"""mteb.evaluate end to end on tasks that lie on this machine: the right adapter and role, our own figures, our search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake import FakeEncoder
from PIL import Image

from unitower.errors import UnitowerError
from unitower.evaluation import cards
from unitower.evaluation.metrics import evaluate
from unitower.evaluation.models import Encoded, Layer, Words
from unitower.evaluation.task import Listed, Task
from unitower.types import Item, Source

mteb = pytest.importorskip("mteb")
datasets = pytest.importorskip("datasets")

from mteb.abstasks.retrieval import AbsTaskRetrieval  # noqa: E402
from mteb.abstasks.sts import AbsTaskSTS  # noqa: E402
from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402

from unitower.evaluation.mteb_bridge import MtebEncoder, MtebSearch, results, role_of, task_of  # noqa: E402

ABOUT: dict[str, Any] = {
    "description": "Made for a test.",
    "reference": None,
    "eval_splits": ["test"],
    "eval_langs": ["eng-Latn"],
    "date": None,
    "task_subtypes": None,
    "license": None,
    "annotations_creators": None,
    "dialect": None,
    "sample_creation": None,
    "bibtex_citation": None,
    "dataset": {"path": "local/none", "revision": "1"},
}

TEXTS = {"a": "rent is due in may", "b": "the mill stands by the river", "c": "rent of the mill", "d": "roses need sun"}
QUERIES = {"q1": "when is the rent due", "q2": "where is the mill", "q3": "who sells roses"}
QRELS = {"q1": {"c": 1, "a": 2}, "q2": {"b": 1}, "q3": {"d": 1}}


def picture(shade: int) -> Image.Image:
    return Image.new("RGB", (32, 32), (shade, shade, shade))


class Passages(AbsTaskRetrieval):
    """Four texts."""

    metadata = TaskMetadata(
        name="OurPassages", type="Retrieval", category="t2t", modalities=["text"], main_score="ndcg_at_5", domains=["Web"], **ABOUT
    )

    def load_data(self, **options: Any) -> None:
        self.corpus = {"test": datasets.Dataset.from_dict({"id": list(TEXTS), "text": list(TEXTS.values())})}
        self.queries = {"test": datasets.Dataset.from_dict({"id": list(QUERIES), "text": list(QUERIES.values())})}
        self.relevant_docs = {"test": QRELS}
        self.data_loaded = True


class Pages(AbsTaskRetrieval):
    """Three pictures of pages, with text queries."""

    metadata = TaskMetadata(
        name="OurPages",
        type="DocumentUnderstanding",
        category="t2i",
        modalities=["text", "image"],
        main_score="ndcg_at_5",
        domains=["Web"],
        **ABOUT,
    )

    def load_data(self, **options: Any) -> None:
        pages = datasets.Dataset.from_dict({"id": ["x", "y", "z"], "image": [picture(n) for n in (10, 120, 240)]})
        self.corpus = {"test": pages.cast_column("image", datasets.Image())}
        self.queries = {"test": datasets.Dataset.from_dict({"id": ["q"], "text": ["which page"]})}
        self.relevant_docs = {"test": {"q": {"y": 1}}}
        self.data_loaded = True


class Screenshots(AbsTaskSTS):
    """Pairs of pictures of sentences, as the visual STS tasks of MIEB have them."""

    metadata = TaskMetadata(
        name="OurScreenshots",
        type="VisualSTS(eng)",
        category="i2i",
        modalities=["image"],
        main_score="cosine_spearman",
        domains=["Web"],
        **ABOUT,
    )
    column_names = ("image1", "image2")
    min_score, max_score = 0, 5

    def load_data(self, **options: Any) -> None:
        pairs = {
            "image1": [picture(n) for n in (0, 50, 100, 200)],
            "image2": [picture(n) for n in (0, 60, 220, 10)],
            "score": [5.0, 4.0, 1.0, 0.0],
        }
        table = datasets.Dataset.from_dict(pairs)
        for column in ("image1", "image2"):
            table = table.cast_column(column, datasets.Image())
        self.dataset = {"test": table}
        self.data_loaded = True


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


def score(model: Any, task: Any) -> dict[str, Any]:
    """Figures of the only split and sub-set."""
    (found,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
    return dict(found.scores["test"][0])


@pytest.mark.parametrize("mode", ["dense", "multi"])
def test_a_task_of_texts_gives_the_figures_of_our_own_measures(mode: Any, encoder: FakeEncoder) -> None:
    theirs = score(MtebEncoder(encoder, mode=mode), Passages())
    corpus = Listed([Item(id=id, modality="text", content=text, source=Source(path=id), text=text) for id, text in TEXTS.items()])
    run = (
        Encoded(encoder, name="fake")
        .search(Task(name="t", queries=QUERIES, corpus=corpus, qrels=QRELS), modes=[mode], depth=100)
        .runs[mode]
    )
    ours = evaluate(run, QRELS, ["ndcg@5", "map@5", "recall@1", "mrr@10"])
    assert theirs["main_score"] == pytest.approx(ours["ndcg_linear@5"], abs=1e-5)  # mteb rounds to five digits
    assert theirs["map_at_5"] == pytest.approx(ours["map@5"], abs=1e-5)
    assert theirs["recall_at_1"] == pytest.approx(ours["recall@1"], abs=1e-5)
    assert theirs["mrr_at_10"] == pytest.approx(ours["mrr@10"], abs=1e-5)


def test_task_and_role_reach_the_encoder_as_two_arguments(encoder: FakeEncoder) -> None:
    score(MtebEncoder(encoder), Passages())
    score(MtebEncoder(encoder), Pages())
    score(MtebEncoder(encoder), Screenshots())
    score(MtebEncoder(encoder, task="code"), Passages())
    asked = [(task, role, len(contents)) for task, role, contents in encoder.calls]
    retrieval = [("retrieval", "query", 3), ("retrieval", "passage", 4)]
    pages = [("retrieval", "query", 1), ("retrieval", "passage", 3)]
    alike = [("text-matching", "query", 4)] * 2
    assert asked == [*retrieval, *pages, *alike, ("code", "query", 3), ("code", "passage", 4)]


def test_screenshots_of_sentences_are_compared_as_pictures(encoder: FakeEncoder) -> None:
    assert score(MtebEncoder(encoder), Screenshots())["main_score"] > 0.7
    with pytest.raises(ValueError, match="OurScreenshots compares vectors by cosine: it can be evaluated with mode='dense' only"):
        score(MtebEncoder(encoder, mode="multi"), Screenshots())


@pytest.mark.parametrize(
    ("name", "type", "domains", "task"),
    [
        ("SCIDOCS", "Retrieval", ["Academic"], "retrieval"),
        ("CosQA", "Retrieval", ["Programming", "Written"], "code"),
        ("ArguAna", "Retrieval", ["Social"], "text-matching"),
        ("STS12", "STS", ["News"], "text-matching"),
        ("STS12VisualSTS", "VisualSTS(eng)", ["News"], "text-matching"),
        ("Vidore3HrRetrieval", "DocumentUnderstanding", ["Social"], "retrieval"),
    ],
)
def test_the_adapter_follows_from_the_kind_of_task(name: str, type: str, domains: list[str], task: str) -> None:
    about = mteb.get_task(name).metadata
    assert about.type == type
    assert task_of(about) == task


def test_roles() -> None:
    assert [role_of(one) for one in (mteb.types.PromptType.query, mteb.types.PromptType.document, None)] == ["query", "passage", "query"]


def test_an_index_answers_as_a_search_of_mteb(encoder: FakeEncoder, tmp_path: Any) -> None:
    found = score(MtebSearch(encoder, tmp_path, weights={"multi": 1, "dense": 0, "text": 0}), Passages())
    assert found["main_score"] == pytest.approx(score(MtebEncoder(encoder, mode="multi"), Passages())["main_score"], abs=1e-5)
    encoded = len(encoder.encoded)
    fused = score(MtebSearch(encoder, tmp_path), Passages())
    assert len(encoder.encoded) == encoded  # what lies in the folder is not encoded again
    assert fused["main_score"] > 0
    assert score(MtebSearch(encoder), Pages())["main_score"] > 0


def test_a_picture_with_its_text_is_both(encoder: FakeEncoder) -> None:
    about = Pages.metadata
    both = MtebEncoder(encoder).encode([{"image": [picture(9)], "text": ["a"]}], task_metadata=about, hf_split="test", hf_subset="default")
    each = [encoder.encode([one], role="query").dense for one in (picture(9), "a")]
    expected = each[0] + each[1]
    np.testing.assert_allclose(both, expected / np.linalg.norm(expected), atol=1e-6)
    many = MtebEncoder(encoder, mode="multi").encode(
        [{"image": [picture(9)], "text": ["a"]}], task_metadata=about, hf_split="t", hf_subset="d"
    )
    assert [len(one) for one in many] == [16 + 1]


def test_cards_of_mteb_name_tasks_of_the_installed_version_with_its_revision() -> None:
    for card in cards.shipped():
        if card.shape == "mteb":
            about = mteb.get_task(card.path).metadata
            assert about.revision == card.revision, card.name
            assert card.split in about.eval_splits
            assert ("default" in card.subsets) or set(card.subsets) <= set(about.hf_subsets)
            if "text-matching" not in (card.task, task_of(about)):
                assert card.task == task_of(about) or "text/coir" not in card.groups


def test_a_card_of_mteb_gives_a_result(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    (card,) = [card for card in cards.shipped() if card.name == "text/scidocs"]
    monkeypatch.setattr(mteb, "get_task", lambda *args, **options: Passages())
    ours = replace(card, revision="1", measure="ndcg_linear@5")
    (found,) = results(ours, "default", Encoded(encoder, name="fake"), modes=["dense"], versions={})
    assert found.score == pytest.approx(score(MtebEncoder(encoder), Passages())["main_score"])
    assert found.fingerprint["data"]["path"] == "mteb: SCIDOCS"
    with pytest.raises(UnitowerError, match=r"is pinned to .*, the mteb that is installed has 1"):
        results(card, "default", Encoded(encoder, name="fake"), modes=["dense"], versions={})
    with pytest.raises(UnitowerError, match="which needs an encoder; bm25 is none"):
        results(ours, "default", Words(Layer(), name="bm25"), modes=["words"], versions={})
