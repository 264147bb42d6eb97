"""Cards by models: results, what is not made again, notes, tables, and the two commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from card_samples import png, sample
from fake import FakeEncoder
from filelock import FileLock

from unitower.cli import main
from unitower.errors import UnitowerError
from unitower.evaluation import baselines, cards, loading, metrics, report, results, rules, runner, search
from unitower.evaluation.cards import Card
from unitower.evaluation.models import Encoded, Model
from unitower.evaluation.results import Result

datasets = pytest.importorskip("datasets")

CARD = """
about = "Three texts."
shape = "beir"
path = "set"
licence = "CC0-1.0"
citation = "none"

[subsets]
default = ["en"]
"""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """A card of one's own with three texts, each the answer to one query by a word they share; its data lie beside it."""
    (tmp_path / "mine.toml").write_text(CARD, encoding="utf-8")
    sample(replace(cards.read(tmp_path / "mine.toml"), path="gone"), tmp_path / "set", modality="text")
    return cards.read(tmp_path / "mine.toml")


def opened(encoder: FakeEncoder) -> list[Callable[[], Model]]:
    return [lambda: Encoded(encoder, name="fake"), lambda: baselines.open_baseline("bm25")]


def test_every_model_and_mode_gets_a_result_with_all_that_made_it(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    found = runner.run([(card, ["default"])], opened(encoder), out=tmp_path / "out", rule=("every page", "one page"))
    assert [(r.model, r.mode, r.rule, r.score) for r in found] == [
        ("fake", "dense", "every page", 1.0),
        ("fake", "multi", "every page", 1.0),
        ("fake", "dense", "one page", 1.0),
        ("fake", "multi", "one page", 1.0),
        ("bm25", "words", "every page", 1.0),
        ("bm25", "words", "one page", 1.0),
    ]
    assert results.read(tmp_path / "out") == found
    print = found[0].fingerprint
    assert (print["model"]["revision"], print["model"]["adapter"], print["model"]["prompts"]["query"]) == ("1", "retrieval", "Query: ")
    assert (print["data"]["card"], print["data"]["revision"][:6], print["seed"]) == ("mine", "local ", None)
    assert {"unitower", "numpy", "datasets"} <= print["versions"].keys()
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*") if path.is_file()) == [
        ".lock",
        "qrels/every-page/mine.qrels",
        "qrels/one-page/mine.qrels",
        "results.jsonl",
        "runs/bm25.words/mine.trec",
        "runs/fake.dense/mine.trec",
        "runs/fake.multi/mine.trec",
    ]


def test_what_is_measured_is_not_measured_again_until_the_model_changes(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    runner.run([(card, ["default"])], opened(encoder), out=tmp_path / "out")
    calls = len(encoder.calls)
    runner.run([(card, ["default"])], opened(encoder), out=tmp_path / "out")
    assert len(encoder.calls) == calls
    trained = FakeEncoder(revision="2")
    runner.run([(card, ["default"])], opened(trained), out=tmp_path / "out")
    assert len(trained.calls) > 0
    kept = results.read(tmp_path / "out")
    sample(replace(card, path="gone"), tmp_path / "set", modality="image")  # other pages under the same names
    runner.run([(card, ["default"])], opened(again := FakeEncoder(revision="2")), out=tmp_path / "out")
    assert len(again.calls) > 0
    assert [r.fingerprint["model"]["revision"] for r in kept if r.mode == "dense"] == ["2"]  # the older figure is replaced


def test_a_run_that_was_killed_goes_on_with_the_page_it_was_at(
    card: Card, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "STRETCH_S", 0.0)
    monkeypatch.setattr(search, "FIRST", 1)
    dying = FakeEncoder(refuses=lambda content: content == "the orchard of default")
    with pytest.raises(ValueError, match="refuses"):
        runner.run([(card, ["default"])], opened(dying)[:1], out=tmp_path / "out")
    assert results.read(tmp_path / "out") == []
    (found, _) = runner.run([(card, ["default"])], opened(encoder)[:1], out=tmp_path / "out")
    assert encoder.encoded == ["the orchard of default"]
    assert found.score == 1.0
    assert list((tmp_path / "out" / "unfinished").iterdir()) == []


def test_a_baseline_that_is_not_installed_is_left_out_unless_there_is_no_other(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    def missing() -> Model:
        raise baselines.NotInstalled("install it first")

    told: list[str] = []
    found = runner.run([(card, ["default"])], [missing, *opened(encoder)[1:]], out=tmp_path, left_out=told.append)
    assert ([result.model for result in found], told) == (["bm25"], ["install it first"])
    with pytest.raises(UnitowerError, match="install it first"):
        runner.run([(card, ["default"])], [missing], out=tmp_path)


def test_a_trial_with_a_limit_takes_the_place_of_nothing(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    runner.run([(card, ["default"])], opened(encoder)[:1], out=tmp_path, modes=["dense"])
    whole = (tmp_path / "runs" / "fake.dense" / "mine.trec").read_text(encoding="utf-8")
    (few,) = runner.run([(card, ["default"])], opened(encoder)[:1], out=tmp_path, modes=["dense"], limit=1)
    assert (few.queries, few.documents, few.limit) == (1, 1, 1)
    assert (tmp_path / "runs" / "fake.dense" / "mine.trec").read_text(encoding="utf-8") == whole
    assert (tmp_path / "first-1" / "runs" / "fake.dense" / "mine.trec").exists()
    assert [result.limit for result in results.read(tmp_path)] == [None, 1]


def beside(out: Path, other: Result, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on another run adds a result of its own between reading and writing of the first; what waits until it has."""
    write, runs = results.write, []

    def slow(path: Path, lines: Iterable[Result]) -> None:
        if not runs:
            runs.append(Thread(target=lambda: results.add(out, [other])))
            runs[0].start()
            runs[0].join(timeout=0.5)
        write(path, lines)

    monkeypatch.setattr(results, "write", slow)
    return lambda: runs[0].join(timeout=30)


def test_runs_at_once_keep_the_results_of_each_other(
    card: Card, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = result("other", 0.5)
    ended = beside(tmp_path / "out", other, monkeypatch)
    (found,) = runner.run([(card, ["default"])], opened(encoder)[1:], out=tmp_path / "out")
    ended()
    assert results.read(tmp_path / "out") == [found, other]


def test_runs_of_mteb_at_once_keep_the_results_of_each_other(
    card: Card, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unitower.evaluation import mteb_bridge

    made, other = result("mine", 0.25, mode="words"), result("other", 0.5)
    monkeypatch.setattr(mteb_bridge, "results", lambda *args, **options: [made])
    ended = beside(tmp_path / "out", other, monkeypatch)
    runner.run([(replace(card, shape="mteb"), ["default"])], opened(encoder)[1:], out=tmp_path / "out")
    ended()
    assert results.read(tmp_path / "out") == [made, other]


def test_results_that_cannot_be_added_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "LOCK_WAIT_S", 0.1)
    results.add(tmp_path, [result("mine", 0.5)])
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(UnitowerError, match=r"results\.jsonl is being written to by another process"),
    ):
        results.add(tmp_path, [result("mine", 0.25)])
    assert [one.score for one in results.read(tmp_path)] == [0.5]


def test_a_set_unlike_its_card_is_told(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    wrong = replace(card, sizes={"default": {"queries": 5, "documents": 3}})
    (first, *_) = runner.run([(wrong, ["default"])], opened(encoder), out=tmp_path / "out")
    assert first.notes == ("3 queries, but its card says 5",)


def test_a_missing_column_is_named_with_those_there_are(card: Card, encoder: FakeEncoder, tmp_path: Path) -> None:
    odd = replace(card, rows={"queries": "question"})
    with pytest.raises(UnitowerError, match=r"default/queries has no column 'question'; there are query-id, query\."):
        runner.run([(odd, ["default"])], opened(encoder), out=tmp_path / "out")


@pytest.mark.parametrize(
    ("part", "columns", "message"),
    [
        (
            "corpus",
            {"corpus-id": ["d0", "d1", "d1"], "text": ["the mill", "the river", "the orchard"]},
            "set, default/corpus: corpus-id 'd1' stands there 2 times: every document needs an id of its own",
        ),
        (
            "queries",
            {"query-id": ["default-q0", "default-q0", "default-q2"], "query": ["a mill", "a river", "an orchard"]},
            "set, default/queries: query-id 'default-q0' stands there 2 times: every query needs an id of its own",
        ),
    ],
)
def test_an_id_that_stands_there_twice_is_named_with_its_table(
    part: str, columns: dict[str, list[str]], message: str, card: Card, tmp_path: Path
) -> None:
    datasets.Dataset.from_dict(columns).to_parquet(str(tmp_path / "set" / "default" / part / "test.parquet"))
    with pytest.raises(UnitowerError, match=message):
        loading.load(card, "default")


def test_a_query_that_stands_there_twice_with_the_same_words_is_one(card: Card, tmp_path: Path) -> None:
    columns = {"query-id": ["default-q0", "default-q1", "default-q0"], "query": ["a mill", "a river", "a mill"]}
    datasets.Dataset.from_dict(columns).to_parquet(str(tmp_path / "set" / "default" / "queries" / "test.parquet"))
    assert dict(loading.load(card, "default").queries) == {"default-q0": "a mill", "default-q1": "a river"}


def test_rows_of_question_and_page_are_a_task_of_different_pages_and_questions(card: Card, tmp_path: Path) -> None:
    rows = {
        "query": ["where", "when", None, "where", "", "where"],
        "image_filename": ["a.png", "a.png", "b.png", "c.png", "d.png", "a.png"],
        "text_description": ["the mill", "the mill", "the river", "the orchard", "", "the mill"],
        "image": [{"bytes": png(n), "path": None} for n in range(0, 60, 10)],
    }
    table = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    (tmp_path / "qa" / "en").mkdir(parents=True)
    table.to_parquet(str(tmp_path / "qa" / "en" / "test.parquet"))
    task = loading.load(replace(card, shape="qa", path="qa", subsets={"en": ("en",)}), "en")
    assert dict(task.queries) == {"where": "where", "when": "when"}
    assert list(task.corpus.ids) == ["a.png", "b.png", "c.png", "d.png"]  # pages without a question are there to be found wrongly
    assert task.qrels == {"where": {"c.png": 1, "a.png": 1}, "when": {"a.png": 1}}
    assert (task.corpus.text(2), task.corpus[2].modality) == ("the orchard", "image")
    assert rules.applied(task, "one page").qrels == {"where": {"a.png": 1}, "when": {"a.png": 1}}  # that of the last row


def result(task: str, score: float, *, model: str = "m", mode: str = "multi", rule: str = "one page") -> Result:
    return Result(
        task=task,
        model=model,
        mode=mode,
        measure="ndcg_linear@5",
        figures={"ndcg_linear@5": score},
        rule=rule,
        ties="trec",
        queries=1,
        documents=1,
    )


def test_the_document_puts_what_was_measured_beside_what_was_published() -> None:
    empty = report.document([])
    assert "| set |" in empty
    assert "<br>multi | here |" in empty
    assert report.document([]) == empty
    known = [card for card in cards.shipped() if card.belongs("vidore/v1")]
    text = report.document([result(card.name, 0.5 + n / 100, model="org/mine") for n, card in enumerate(known)])
    (section,) = [part for part in text.split("## ") if part.startswith("ViDoRe v1")]
    heading, _, first, *_ = [line for line in section.splitlines() if line.startswith("|")]
    assert "here: org/mine<br>multi" in heading.split("|")[-2]
    assert first.split("|")[-2].strip() == "50.00"
    (mean,) = [line for line in section.splitlines() if line.startswith("| mean of 10")]
    assert mean.split("|")[-2].strip() == "54.50"


def test_chance_is_what_random_orders_reach(card: Card) -> None:
    few = replace(card, sizes={"default": {"queries": 1, "documents": 12}})
    orders = np.random.default_rng(0).random((4_000, 12))
    reached = [
        metrics.evaluate({"q": dict(zip("abcdefghijkl", row, strict=True))}, {"q": {"a": 1}}, ["ndcg@5"])["ndcg_linear@5"] for row in orders
    ]
    assert report.chance(few) == pytest.approx(np.mean(reached), abs=4 * np.std(reached) / np.sqrt(len(reached)))
    assert report.chance(card) is None


def test_a_mean_is_not_told_where_a_sub_set_is_missing() -> None:
    (several,) = [card for card in cards.shipped() if card.name == "jina_vdr/airbnb-synthetic-retrieval"]
    tasks = [several.task_name(subset) for subset in several.subsets]
    assert report.of_cards(dict.fromkeys(tasks[1:], 0.5), [several]) == {}
    assert report.of_cards(dict.fromkeys(tasks, 0.5), [several]) == {several.name: 0.5}


def test_cards_are_found_by_name_group_file_and_sub_set(card: Card, tmp_path: Path) -> None:
    assert [one.name for one, _ in cards.find("mine.toml")] == ["mine"]
    assert len(cards.find("jina_vdr")) == 43
    assert len(cards.find("text/coir")) == 10
    ((one, subsets),) = cards.find("jina_vdr/airbnb-synthetic-retrieval:jp")
    assert (one.subsets["jp"], subsets) == (("ja",), ("jp",))
    with pytest.raises(ValueError, match="there is no card 'airbnb': write a name such as jina_vdr/airbnb-synthetic-retrieval"):
        cards.find("airbnb")
    with pytest.raises(ValueError, match="has no sub-set 'xx'; there are ar, de"):
        cards.find("jina_vdr/airbnb-synthetic-retrieval:xx")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('licence = "MIT"', "there is no field 'license'; did you mean 'licence'?"),
        ('about = "Three texts."', "about is missing."),
        ('shape = "beir"', "shape is 'bier'; there are beir, qa, mteb."),
        ("[subsets]", r"\[subsets\] is empty"),
    ],
)
def test_a_wrong_card_is_told(line: str, message: str, tmp_path: Path) -> None:
    wrong = {'licence = "MIT"': 'license = "MIT"', "about": "", 'shape = "beir"': 'shape = "bier"', "[subsets]": "[subsets]\n#"}
    text = CARD.replace('licence = "CC0-1.0"', 'licence = "MIT"')
    text = text.replace('default = ["en"]', "") if line == "[subsets]" else text.replace(line, wrong.get(line, ""))
    (tmp_path / "wrong.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        cards.read(tmp_path / "wrong.toml")


def test_the_commands_measure_compare_and_write_the_table(
    card: Card, encoder: FakeEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("unitower.encode.encoder.load", lambda *args, **options: encoder)
    typed = ["eval", "mine.toml", "--model", "nano", "--model", "bm25", "--mode", "multi", "--out", "out", "--table", "results.md"]
    assert main(typed) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["mine", "nano", "multi", "ndcg_linear@5", "1.0000"],
        ["mine", "bm25", "words", "ndcg_linear@5", "1.0000"],
    ]
    assert "results.md is written" in captured.err
    assert (tmp_path / "results.md").read_text(encoding="utf-8").startswith("# Results\n")
    assert main([*typed[:-2], "--json"]) == 0
    assert [one["score"] for one in json.loads(capsys.readouterr().out)] == [1.0, 1.0]
    assert main(["compare", "out/runs/bm25.words", "out/runs/nano.multi", "--samples", "50"]) == 0
    assert capsys.readouterr().out.startswith("better on 0 queries, worse on 0, equal on 3; ndcg_linear@5 1.0000 -> 1.0000")
    assert main(["compare", "out/runs/bm25.words", "out/runs/nano.multi", "--samples", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] == 3
    assert main(["compare", "out/runs/nano.multi"]) == 0
    heading, *figures = capsys.readouterr().out.splitlines()
    assert heading.split() == ["mine"]
    assert figures[0].split() == ["ndcg_linear@5", "1.0000"]
    (tmp_path / "other.trec").write_text("default-q0 Q0 d1 1 0.9 x\ndefault-q1 Q0 d1 1 0.9 x\n", encoding="utf-8")
    assert main(["compare", "out/runs/nano.multi/mine.trec", "other.trec", "--qrels", "out/qrels/every-page/mine.qrels", "--queries"]) == 0
    said, *lines = capsys.readouterr().out.splitlines()
    assert said.startswith("better on 0 queries, worse on 2, equal on 1; ndcg_linear@5 1.0000 -> 0.3333")
    assert [line.split() for line in lines] == [["-1.0000", "1.0000", "->", "0.0000", f"default-q{n}"] for n in (0, 2)]
    assert main(["eval", "--list"]) == 0
    assert "jina_vdr: 43 sets, 96 sub-sets" in capsys.readouterr().out


def test_a_command_without_a_card_and_one_without_its_run_say_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["eval"]) == 2
    assert "name a card, or --list them" in capsys.readouterr().err
    assert main(["compare", "a.trec", "b.trec"]) == 1
    assert "name its judgements with --qrels" in capsys.readouterr().err
