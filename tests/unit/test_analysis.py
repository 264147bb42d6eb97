"""`unitower analyze` with an encoder whose gap is known: pairs as they were drawn, measures where they belong, a page that stands alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from fake import FakeEncoder
from PIL import Image

from unitower.analysis import figures, page
from unitower.analysis.material import Material, drawn, of_tasks
from unitower.analysis.study import NEGATIVES, study
from unitower.cli import main
from unitower.evaluation.task import Listed, Task
from unitower.types import Embeddings, Encodable, Fingerprint, Item, Ragged, Role, Source

PAGES = 40
WIDTH = 24


def number_of(one: Encodable) -> tuple[int, bool]:
    """Which page it is about, and whether it is a picture."""
    content = one.content if isinstance(one, Item) else one
    if isinstance(content, str):
        return int(content.split()[-1]), False
    return int(content.getpixel((0, 0))[0]), True  # type: ignore[index, union-attr]


class Shifted:
    """`types.Encodes`: a direction for every page, and along an axis of their own a shift of all pictures.

    texts lie at (direction, 0), pictures at (direction, shift), made unit rows: matched texts have cosine 1, a text and its picture
    1 / sqrt(1 + shift^2), the mean of all pictures lies shift / sqrt(1 + shift^2) along the axis.
    """

    tasks, fusion = ("retrieval", "code"), {}  # type: ignore[var-annotated]

    def __init__(self, shift: float, *, name: str = "shifted") -> None:
        self.shift, self.name = shift, name
        rows = np.random.default_rng(0).standard_normal((PAGES, WIDTH - 1))
        self.directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def fingerprint(self, *, task: str) -> Fingerprint:
        widths = {"dense_width": WIDTH, "multi_width": WIDTH}
        return Fingerprint(model=self.name, revision="1", adapter=task, prompts={}, max_pixels=1, max_length=1, **widths)

    def encode(self, inputs: Sequence[Encodable], *, task: str = "retrieval", role: Role | None = None) -> Embeddings:
        rows = [np.append(self.directions[number], self.shift * is_picture) for number, is_picture in map(number_of, inputs)]
        dense = np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(-1, WIDTH)
        multi = Ragged.of([np.repeat(row[None], 1 + place % 3, axis=0) for place, row in enumerate(dense)], width=WIDTH)
        return Embeddings(dense=dense, multi=multi, fingerprint=self.fingerprint(task=task))


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (28, 28), (number, 0, 0))


def task(*, layer: bool = True) -> tuple[Task, dict[str, str]]:
    """Pages that are asked for twice, in English and in German."""
    pages = [
        Item(id=f"p{i}", modality="image", content=picture(i), source=Source(path="p"), text=f"page {i}" if layer else "")
        for i in range(PAGES)
    ]
    queries = {f"{language} {i}": f"{language} {i}" for i in range(PAGES) for language in ("en", "de")}
    qrels = {query: {f"p{query.split()[1]}": 1} for query in queries}
    return Task(name="pages", queries=queries, corpus=Listed(pages), qrels=qrels), {query: query[:2] for query in queries}


@pytest.fixture(scope="module")
def material() -> Material:
    return of_tasks([task()], name="pages", pairs=1000, seed=0)


# material


def test_pairs_are_drawn_with_their_pages_texts_and_languages(material: Material) -> None:
    assert len(material.queries) == 2 * PAGES
    assert len(material.documents) == PAGES
    for query, language, own, grades in zip(material.queries, material.languages, material.own, material.grades, strict=True):
        number = query.split()[1]
        assert language == query[:2]
        assert material.documents[own].id == f"p{number}"
        assert material.texts[own] == f"page {number}"
        assert grades == {own: 1}


def test_fewer_pairs_are_drawn_by_the_seed_with_both_queries_of_a_page() -> None:
    some = [of_tasks([task()], name="pages", pairs=10, seed=seed) for seed in (1, 1, 2)]
    assert some[0].queries == some[1].queries != some[2].queries
    assert len(some[0].queries) == 10
    assert len(some[0].documents) == 5
    assert some[0].drawn_from == (2 * PAGES, PAGES)


def test_pairs_of_a_file_are_read_and_a_page_with_two_captions_is_one_document(tmp_path: Path) -> None:
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")
    rows = [{"query": f"{word} {number}", "image": f"{number}.png"} for number in range(3) for word in ("cat", "dog")]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = drawn(str(tmp_path / "captions.jsonl"), pairs=1000, seed=0)
    assert sorted(found.queries) == sorted(row["query"] for row in rows)
    assert len(found.documents) == 3
    for query, own in zip(found.queries, found.own, strict=True):
        assert number_of(found.documents[own]) == (int(query.split()[1]), True)


def test_a_card_of_ones_own_gives_the_languages_of_its_queries(tmp_path: Path) -> None:
    rows = {
        "corpus": [{"corpus-id": f"d{i}", "text": f"page {i}"} for i in range(4)],
        "queries": [{"query-id": f"q{i}", "query": f"ask {i}", "language": ["en", "hu"][i % 2]} for i in range(4)],
        "qrels": [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in range(4)],
    }
    for part, several in rows.items():
        (tmp_path / "set" / part).mkdir(parents=True)
        (tmp_path / "set" / part / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in several), encoding="utf-8")
    card = 'about = "a"\nshape = "beir"\npath = "set"\nlicence = "CC0-1.0"\ncitation = "c"\nparts = "{part}"\n'
    (tmp_path / "own.toml").write_text(card + '[subsets]\ndefault = ["en", "hu"]\n', encoding="utf-8")
    found = drawn(str(tmp_path / "own.toml"), pairs=1000, seed=0)
    assert dict(zip(found.queries, found.languages, strict=True)) == {
        "ask 0": "en", "ask 1": "hu", "ask 2": "en", "ask 3": "hu",
    }  # fmt: skip
    assert found.texts == [""] * 4


def test_what_is_no_data_is_one_line_that_says_what_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", "nothing", "--out", "out"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing" in line
    assert ".jsonl" in line
    assert not (tmp_path / "out").exists()


# study


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_a_gap_of_known_size_is_measured_as_such(material: Material, shift: float) -> None:
    told = study(material, [lambda: Shifted(shift)])["models"][0]["tasks"]["retrieval"]
    for head in ("dense", "late"):
        assert told["pairs"]["query-picture"][head]["positive"]["mean"] == pytest.approx(1 / np.sqrt(1 + shift**2), abs=1e-5)
        assert told["pairs"]["query-text"][head]["positive"]["mean"] == pytest.approx(1, abs=1e-5)
        assert told["pairs"]["query-query"][head]["positive"]["mean"] == pytest.approx(1, abs=1e-5)
        assert told["pairs"]["query-picture"][head]["auc"] == 1.0
        assert told["retrieval"][head]["ndcg@10"]["mean"] == 1.0
    # centroids: the mean direction m shrinks by the factor 1 / sqrt(1 + shift^2), the axis gains shift / sqrt(1 + shift^2)
    m = Shifted(0).directions.mean(axis=0)
    expected = np.hypot(np.linalg.norm(m) * (1 - 1 / np.sqrt(1 + shift**2)), shift / np.sqrt(1 + shift**2))
    assert told["between"]["queries and pictures"]["centroid_distance"] == pytest.approx(expected, abs=1e-5)
    probe = told["between"]["queries and pictures"]["separability"]["mean"]
    assert probe == pytest.approx(1.0 if shift else 0.5, abs=0.01)
    spread = shift**2 / (1 + shift**2)  # of pictures: the cone around the axis
    assert told["sets"]["pictures"]["random_cosine"] == pytest.approx(spread, abs=0.05)


def test_every_number_of_pairs_is_told_by_language_too(material: Material) -> None:
    told = study(material, [lambda: Shifted(1)])
    pairs = told["models"][0]["tasks"]["retrieval"]["pairs"]["query-picture"]["dense"]
    assert pairs["positive"]["n"] == 2 * PAGES
    assert pairs["negative"]["n"] == 2 * PAGES * NEGATIVES
    assert sum(pairs["histogram"]["positive"]) == 2 * PAGES
    assert {language: one["positive"]["n"] for language, one in pairs["languages"].items()} == {"de": PAGES, "en": PAGES}
    assert told["data"]["languages"] == {"de": PAGES, "en": PAGES}
    assert list(told["models"][0]["tasks"]) == ["retrieval", "code"]


def test_late_scores_are_maxsim_by_the_tokens_of_the_query(material: Material) -> None:
    from unitower import scoring
    from unitower.analysis.study import late_scores

    fake = FakeEncoder()
    queries = fake.encode(["mill rent", "egg"], role="query")
    documents = fake.encode(["the rent of the mill", "bread and egg"], role="passage")
    brute = [[scoring.maxsim(query, [document])[0] / len(query) for document in documents.multi] for query in queries.multi]
    np.testing.assert_allclose(late_scores(queries, documents), brute, atol=1e-6)


def test_without_pictures_there_is_no_gap_and_all_else_is_measured() -> None:
    texts = [Item(id=f"d{i}", modality="text", content=f"page {i}", source=Source(path="p"), text=f"page {i}") for i in range(PAGES)]
    queries = {f"q{i}": f"ask {i}" for i in range(PAGES)}
    one = Task(name="texts", queries=queries, corpus=Listed(texts), qrels={f"q{i}": {f"d{i}": 1} for i in range(PAGES)})
    told = study(of_tasks([(one, {})], name="texts", pairs=1000, seed=0), [lambda: Shifted(1)])
    measured = told["models"][0]["tasks"]["retrieval"]
    assert list(measured["pairs"]) == ["query-text"]
    assert list(measured["between"]) == ["queries and texts"]
    assert measured["retrieval"]["dense"]["ndcg@10"]["mean"] == 1.0
    assert any("no pictures" in section for section in islice(page.sections(told), 3))


def test_an_unknown_task_is_a_mistake(material: Material) -> None:
    with pytest.raises(ValueError, match="retrieval, code"):
        study(material, [lambda: Shifted(1)], tasks=["legal"])


# page and command


@pytest.fixture(scope="module")
def told(material: Material) -> dict[str, object]:
    return study(material, [lambda: Shifted(0.5, name="runs/<one>"), lambda: Shifted(2, name="runs/two")])


def test_the_page_needs_nothing_from_elsewhere_and_shows_every_figure(told: dict[str, object], tmp_path: Path) -> None:
    numbers, report = page.write(told, tmp_path)
    text = report.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"|@import|url\((?!#)', text) == []
    assert "<script" not in text
    assert "<one>" not in text
    assert text.count("<figure>") == 9
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)
    assert json.loads(numbers.read_text(encoding="utf-8")) == told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_the_same_seed_gives_the_same_page_to_the_last_letter(material: Material, told: dict[str, object]) -> None:
    again = study(material, [lambda: Shifted(0.5, name="runs/<one>"), lambda: Shifted(2, name="runs/two")])
    assert again == told
    drawn_twice = [figures.drawing(figures.modality_gap, told, "dense") for _ in range(2)]
    assert drawn_twice[0] == drawn_twice[1]


def test_the_command_writes_the_report_and_prints_the_main_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitower.encode.encoder.load", lambda name="nano", **options: Shifted(1, name=str(name)))
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")
    rows = [{"query": f"{word} {number}", "image": f"{number}.png"} for number in range(6) for word in ("cat", "dog")]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["analyze", "captions.jsonl", "--model", "a", "--model", "b", "--task", "retrieval", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 3
    assert [line.split()[:3] for line in lines[1:]] == [["a", "retrieval", "0.707"], ["b", "retrieval", "0.707"]]
    assert "out/report.html" in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "report.json"}
