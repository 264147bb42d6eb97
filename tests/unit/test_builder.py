"""A build from its sources to the written set: what is kept, what is dropped and why, and that nothing of a person's is overwritten."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import datasets
import pytest
from chat_stand_in import KEY, Answer, serving
from fake import FakeEncoder
from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen import canvas

from unitower.builder import consensus, filters, judge, known, near
from unitower.builder.annotation.export import export
from unitower.builder.annotation.journal import Journal
from unitower.builder.build import Built, build
from unitower.builder.config import made, read
from unitower.builder.endpoint import Usage
from unitower.builder.from_index import config_of
from unitower.builder.reading import WrittenSet
from unitower.builder.types import Draft, Dropped, Page
from unitower.builder.words import Texts
from unitower.commands.bench import told
from unitower.errors import UnitowerError
from unitower.index import Index

REPORT = [
    ["Harbour report", "The ferry to the outer islands leaves at noon.", "Captain: Ada Holm"],
    ["Repairs of the quay", "The crane on the north quay lost a cogwheel in March.", "Smith: Jory of Ullmark"],
    ["Mooring fees", "A third of the fees went to the lighthouse.", "Collected: 4,210 crowns"],
]


def write_pdf(path: Path, pages: list[list[str]]) -> None:
    paper = canvas.Canvas(str(path), pagesize=A5, invariant=True)
    for page in pages:
        for number, line in enumerate(page):
            paper.drawString(40, 540 - 20 * number, line)
        paper.showPage()
    paper.save()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "papers").mkdir()
    write_pdf(tmp_path / "papers" / "report.pdf", REPORT)
    return tmp_path


def config(folder: Path, /, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "name": "harbour",
        "about": "Questions over harbour papers.",
        "licence": "CC0-1.0",
        "sources": [{"kind": "files", "paths": ["papers"]}],
        "queries": [{"kind": "templates", "per_page": 4}],
        **changes,
    }
    return made(values, folder=folder, where="test")


def rows(place: Path, table: str) -> list[dict[str, Any]]:
    return list(datasets.load_dataset(str(place), table, split="test"))


def dropped(made: Built) -> list[tuple[str, str, str]]:
    lines = (made.place / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == [one.name for one in made.dropped]
    return [(one.what, one.reason, one.name) for one in made.dropped]


# The written set


def test_a_set_is_read_by_datasets_in_both_shapes(folder: Path) -> None:
    made = build(config(folder))
    corpus, queries, qrels, qa = (rows(made.place, table) for table in ("corpus", "queries", "qrels", "qa"))
    assert [row["corpus-id"] for row in corpus] == [f"report.pdf#page={n}" for n in (1, 2, 3)]
    assert all(isinstance(row["image"], Image.Image) and row["image"].size[0] > 500 for row in corpus)
    assert "cogwheel" in corpus[1]["text_description"]
    assert len({row["query-id"] for row in queries}) == len(queries) == made.queries == 12
    assert {row["language"] for row in queries} == {"en"}
    page_of = {row["query-id"]: row["corpus-id"] for row in qrels}
    (captain,) = [row for row in queries if row["answer"] == "Ada Holm"]
    assert "“Captain”" in captain["query"]
    assert page_of[captain["query-id"]] == "report.pdf#page=1"
    assert {(row["query"], row["id"]) for row in qa} == {(row["query"], page_of[row["query-id"]]) for row in queries}
    assert all(row["image_filename"] and isinstance(row["image"], Image.Image) for row in qa)


def test_the_card_beside_it_says_what_an_evaluation_needs(folder: Path) -> None:
    made = build(config(folder, output={"subsets": "languages"}, queries=[{"kind": "templates", "languages": ["en", "de"], "per_page": 2}]))
    card = tomllib.loads(made.card.read_text(encoding="utf-8"))
    assert made.card == folder / "harbour.toml"
    assert {name: card[name] for name in ("shape", "path", "by", "parts", "licence")} == {
        "shape": "beir",
        "path": "harbour",
        "by": "name",
        "parts": "{subset}-{part}",
        "licence": "CC0-1.0",
    }
    assert card["subsets"] == {"de": ["de"], "en": ["en"]}
    for language, sizes in card["sizes"].items():
        assert len(rows(made.place, f"{language}-queries")) == sizes["queries"] == 6
        assert len(rows(made.place, f"{language}-corpus")) == sizes["documents"] == 3
        assert {row["query-id"] for row in rows(made.place, f"{language}-qrels")} == {
            row["query-id"] for row in rows(made.place, f"{language}-queries")
        }
    readme = (made.place / "README.md").read_text(encoding="utf-8")
    assert "| documents | 3 pages |" in readme
    assert "de 6, en 6" in readme


def test_the_same_config_gives_the_same_bytes(folder: Path) -> None:
    files = [{p.relative_to(m.place): p.read_bytes() for p in m.place.rglob("*.*")} for m in (build(config(folder)), build(config(folder)))]
    assert files[0] == files[1]


def test_a_set_that_is_built_again_is_not_mistaken_for_what_was_read_before(folder: Path) -> None:
    first = rows(build(config(folder)).place, "queries")
    second = rows(build(config(folder, queries=[{"kind": "templates", "per_page": 1}])).place, "queries")
    assert (len(first), len(second)) == (12, 3)


def test_a_written_set_is_read_back_as_it_was(folder: Path) -> None:
    made = build(config(folder))
    again = WrittenSet(made.place)
    assert again.ids == [f"report.pdf#page={n}" for n in (1, 2, 3)]
    assert [(draft.id, draft.text) for draft in again.drafts] == [(row["query-id"], row["query"]) for row in rows(made.place, "queries")]
    picture = again.picture("report.pdf#page=2")
    assert picture
    assert picture[:4] == b"RIFF"  # WebP


def test_what_people_judged_outlives_a_new_build(folder: Path) -> None:
    made = build(config(folder))
    (made.place / "annotations.jsonl").write_text('{"id": "1"}\n', encoding="utf-8")
    build(config(folder))
    assert (made.place / "annotations.jsonl").read_text(encoding="utf-8") == '{"id": "1"}\n'


def test_nothing_but_a_set_is_ever_replaced(folder: Path) -> None:
    (folder / "harbour.toml").write_text('name = "harbour"\n', encoding="utf-8")  # a config under the name of the card
    with pytest.raises(ValueError, match=r"harbour\.build\.toml"):
        build(config(folder))
    (folder / "harbour.toml").unlink()
    (folder / "harbour").mkdir()
    (folder / "harbour" / "thesis.md").write_text("years of work", encoding="utf-8")
    with pytest.raises(ValueError, match="is no set"):
        build(config(folder))
    assert (folder / "harbour" / "thesis.md").read_text(encoding="utf-8") == "years of work"


def test_files_that_cannot_be_read_are_named_and_stop_nothing(folder: Path) -> None:
    (folder / "papers" / "broken.pdf").write_bytes(b"%PDF-1.7\nno document")
    made = build(config(folder))
    assert ("page", "unreadable", "broken.pdf") in dropped(made)
    assert made.pages == 3


def test_nothing_left_is_an_error_that_says_why(folder: Path) -> None:
    with pytest.raises(UnitowerError, match="no query is left"):
        build(config(folder, queries=[{"kind": "templates", "facts": ["cell"]}]))
    assert not (folder / "harbour").exists()


# The set of what people accepted


def accepted(place: Path, *queries: str) -> None:
    """Accept some of a set's queries."""
    journal = Journal(place / "annotations.jsonl")
    for query in queries:
        journal.add({"id": f"anna {query}", "who": "anna", "do": "judge", "query": query, "verdict": "accept"})


def contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in [*place.rglob("*.*"), place.with_name(f"{place.name}.toml")]}


@pytest.mark.parametrize("to", ["harbour", "papers/../harbour", "linked", "harbour/judged", "."])
def test_the_judged_set_is_never_written_over(folder: Path, monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    monkeypatch.chdir(folder)
    made = build(config(folder))
    (folder / "linked").symlink_to(made.place)
    accepted(made.place, WrittenSet(made.place).drafts[0].id)
    before = contents(made.place)
    with pytest.raises(ValueError, match="is not apart from the judged set harbour, which stays as it is: export to a new folder"):
        export(Path("harbour"), Path(to))
    assert contents(made.place) == before
    assert sorted(path.name for path in folder.iterdir()) == ["harbour", "harbour.toml", "linked", "papers"]


def test_the_folder_of_a_set_may_be_where_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(config(folder))
    accepted(made.place, WrittenSet(made.place).drafts[0].id)
    monkeypatch.chdir(made.place)
    assert export(Path(), Path("../judged")).queries == 1
    assert "The queries of harbour, judged by 1 person." in (folder / "judged" / "README.md").read_text(encoding="utf-8")


def test_a_second_export_takes_the_place_of_the_first_and_keeps_what_was_judged_there(folder: Path) -> None:
    made = build(config(folder))
    first, second, *_ = [draft.id for draft in WrittenSet(made.place).drafts]
    before = contents(made.place)
    accepted(made.place, first)
    assert export(made.place, folder / "judged").queries == 1
    accepted(folder / "judged", first)
    accepted(made.place, second)
    assert export(made.place, folder / "judged").queries == 2
    assert Journal(folder / "judged" / "annotations.jsonl").standing().verdicts == {first: {"anna": "accept"}}
    kept = contents(made.place)
    assert kept.pop(made.place / "annotations.jsonl")
    assert kept == before


# Filters


def test_a_page_that_repeats_another_is_dropped_and_one_that_only_looks_like_it_is_not(folder: Path) -> None:
    write_pdf(folder / "papers" / "second-copy.pdf", REPORT[:1])
    write_pdf(folder / "papers" / "third.pdf", [["Harbour report", "The ferry to the inner islands sails at night.", "Captain: Bo Lund"]])
    made = build(config(folder))
    assert [one for one in dropped(made) if one[1] == "near duplicate"] == [("page", "near duplicate", "second-copy.pdf#page=1")]
    assert made.pages == 4


def test_a_look_survives_compression_and_scaling_but_not_another_drawing() -> None:
    page = Image.new("RGB", (600, 800), "white")
    pen = ImageDraw.Draw(page)
    for row in range(20):
        pen.rectangle((40, 30 + 38 * row, 120 + (row * 97) % 430, 48 + 38 * row), fill="black")
    scaled = page.resize((423, 564))
    other = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    differing = near.differing(near.look(page), near.look(scaled)[None])[0]
    assert differing <= near.SAME_BITS
    assert near.differing(near.look(page), near.look(other)[None])[0] > 3 * near.SAME_BITS


def draft(text: str, *, page: str = "a", language: str = "en", needles: tuple[str, ...] = ()) -> Draft:
    return Draft(text=text, language=language, kind="question", pages={page: 1}, made_by="template", needles=needles)


def sifted(function: Any, drafts: list[Draft], *arguments: Any, **options: Any) -> tuple[list[Draft], list[Dropped]]:
    notes: list[Dropped] = []
    return function(drafts, *arguments, notes.append, **options), notes


@pytest.mark.parametrize(
    ("text", "language", "kept"),
    [
        ("Who lost a cogwheel?", "en", True),
        ("What does this table show?", "en", False),
        ("Was zeigt diese Tabelle?", "de", False),
        ("この表は何を示していますか？", "ja", False),
        ("What is {label}?", "en", False),
        ("a", "en", False),
        ("??!!", "en", False),
        ("word " * 300, "en", False),
        ("How wide is the tablecloth?", "en", True),
    ],
)
def test_only_what_a_person_could_type_is_realistic(text: str, language: str, kept: bool) -> None:
    left, notes = sifted(filters.realistic, [draft(text, language=language)])
    assert bool(left) is kept
    assert [one.reason for one in notes] == ([] if kept else ["not realistic"])


def test_repeated_queries_are_dropped_and_shared_ones_are_joined() -> None:
    drafts = [
        draft("Where is the crane?"),
        draft("where is the crane"),
        draft("Where is the crane?", page="b"),
        draft("Where is the crane?", language="de"),
        draft("Where is the smith?"),
    ]
    left, notes = sifted(filters.repeated, drafts)
    assert [(one.text, one.language, list(one.pages)) for one in left] == [
        ("Where is the crane?", "en", ["a", "b"]),
        ("Where is the crane?", "de", ["a"]),
        ("Where is the smith?", "en", ["a"]),
    ]
    assert [one.name for one in notes] == ["where is the crane"]


@pytest.mark.parametrize(("rule", "pages"), [("drop", None), ("add", ["a", "b"]), ("keep", ["a"])])
def test_a_query_that_a_second_page_answers_is_dropped_or_gets_it_or_stays(rule: str, pages: list[str] | None) -> None:
    texts = Texts(
        [Page(id=id, image=None, text=text) for id, text in (("a", "The north QUAY, 4,210"), ("b", "north quay 4210?"), ("c", "quay"))]
    )
    left, notes = sifted(filters.several, [draft("How long?", needles=("North Quay", "4,210"))], texts, rule=rule)
    assert [list(one.pages) for one in left] == ([pages] if pages else [])
    assert [one.detail for one in notes] == ([] if pages else ["also by b"])


def test_consensus_keeps_what_enough_rankings_find() -> None:
    names = ["crane cogwheel north", "ferry noon islands", "fees lighthouse third", "goat aerial roof"]
    pages = [Page(id=str(i), image=None, text=text) for i, text in enumerate(names)]
    drafts = [draft("crane cogwheel", page="0"), draft("ferry noon", page="2"), draft("something else", page="3")]
    asked = {"rankers": ["words", "fake"], "k": 1, "agree": 2}
    left, notes = sifted(
        consensus.agreed, drafts, pages, Texts(pages), encoder=lambda name: FakeEncoder(name=name), **consensus.settings(asked)
    )
    assert [one.text for one in left] == ["crane cogwheel"]
    assert {one.reason for one in notes} == {"no consensus"}


@pytest.mark.parametrize("wrong", [{"rankers": []}, {"agree": 2}, {"k": 0}, {"ranker": ["words"]}, {"rankers": "words"}, {"k": "ten"}])
def test_a_consensus_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="consensus"):
        consensus.settings(wrong)


# What a text says


def test_running_heads_are_not_taken_for_headings() -> None:
    pages = [
        Page(id=str(n), image=None, text=f"The Harbour Office · Page {n} of 3\n{head}\nAnd so on.")
        for n, head in enumerate(["Fees and dues", "Storms"])
    ]
    elsewhere = known.running(pages)
    assert known.heading(pages[0].text, elsewhere=elsewhere) == "Fees and dues"
    assert known.heading(pages[0].text) == "The Harbour Office"


def test_what_is_asked_of_a_text_stands_in_it() -> None:
    text = "Repairs of the quay\nSmith: Jory\nThe crane on the north quay lost a cog-\nwheel in March. Nobody was hurt.\n12 14 15 | 3"
    page = Page(id="a", image=None, text=text)
    found = {fact.kind: (dict(fact.slots), fact.answer) for fact in known.facts(page, rare={})}
    assert found["title"] == ({"title": "Repairs of the quay"}, "")
    assert found["labelled"] == ({"title": "Repairs of the quay", "label": "Smith"}, "Jory")
    assert found["quote"] == ({"quote": "The crane on the north quay lost a cogwheel in March"}, "")


# Config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licens": "MIT"}, "did you mean 'licence'"),
        ({"sources": [{"kind": "file", "paths": []}]}, "there are browser"),
        ({"sources": [{"kind": "files"}]}, "paths is missing"),
        ({"sources": [{"kind": "files", "path": ["a"]}]}, "did you mean 'paths'"),
        ({"queries": [{"kind": "templates", "per_pages": 2}]}, "did you mean 'per_page'"),
        ({"output": {"shapes": ["coco"]}}, "shapes is 'coco'"),
        ({"filters": {"several": "drop it"}}, "several is"),
        ({"queries": []}, "at least one"),
        ({"sources": {"kind": "files"}}, r"test: sources is {'kind': 'files'}; it is a list of tables: \[\[sources\]\] in place of"),
        ({"queries": ["templates"]}, r"queries is \['templates'\]; it is a list of tables"),
        ({"name": 5}, "name is 5; it is a text"),
        ({"seed": "1"}, "seed is '1'; it is a whole number"),
        ({"filters": "all"}, r"filters is 'all'; it is a table\."),
        ({"filters": {"realistic": "no"}}, r"test, \[filters\]: realistic is 'no'; it is true or false"),
        ({"filters": {"judge": {"others": "3"}}}, r"test, \[filters\.judge\]: others is '3'; it is a whole number"),
        ({"filters": {"judge": {"urll": "http://x"}}}, r"test, \[filters\.judge\]: there is no field 'urll'; did you mean 'url'"),
        ({"filters": {"consensus": {"k": "ten"}}}, r"test, \[filters\.consensus\]: k is 'ten'; it is a whole number"),
        ({"output": {"shapes": "beir"}}, r"test, \[output\]: shapes is 'beir'; it is a list of texts: \[\"beir\"\]"),
        ({"folder": "papers"}, "there is no field 'folder'"),
    ],
)
def test_a_wrong_config_is_told_with_what_would_be_right(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(config(folder, **changes))


def test_the_configs_of_the_shipped_sets_are_read_and_their_sets_are_whole() -> None:
    root = Path(__file__).parents[2]
    configs = sorted((root / "bench" / "sets").glob("*.build.toml"))
    assert len(configs) >= 4
    total = 0
    for path in configs:
        told = read(path)
        shipped = WrittenSet(told.place)
        assert shipped.drafts
        assert all(set(one.pages) <= set(shipped.ids) for one in shipped.drafts)
        assert all(one.language for one in shipped.drafts)
        assert len({one.id for one in shipped.drafts}) == len(shipped.drafts)
        size = sum(file.stat().st_size for file in told.place.rglob("*.*"))
        assert size < 1_500_000
        total += size
    assert total < 5_000_000


# By an endpoint


def test_a_chat_endpoint_writes_and_judges_and_what_it_rejects_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_KEY", KEY)

    def say(request: Any) -> str:
        *pictures, part = request["messages"][1]["content"]
        assert pictures
        text = part["text"]
        if "Somebody looks for" in text:
            good = {"relevant": True, "realistic": True, "several": False, "also": []}
            if "goat" in text:
                return json.dumps({**good, "relevant": False, "why": "no goat here"})
            return json.dumps({**good, "also": [2] if "north" in text else []})
        if "Repairs" in text:
            return json.dumps({"queries": [{"query": "who lost a  cogwheel on the north quay", "kind": "question", "answer": "the crane"}]})
        return json.dumps(
            {"queries": [{"query": "goat on the pier", "kind": "phrase"}, {"query": "when do ships sail to the outer islands"}]}
        )

    with serving([Answer(status=500), Answer(say="let me think"), Answer(say=say)]) as server:
        endpoint = {"url": server.url, "model": "stand-in", "key_env": "STAND_IN_KEY", "pause_s": 0.0, "parallel": 2}
        changes = {"queries": [{"kind": "chat", "endpoint": endpoint}], "filters": {"judge": {**endpoint, "others": 1}, "several": "add"}}
        made = build(config(folder, **changes))
        sent = len(server.requests)
        assert build(config(folder, **changes)).queries == made.queries
        assert len(server.requests) == sent  # the cache answered
    assert server.faults == []
    queries = {row["query"]: row for row in rows(made.place, "queries")}
    assert sorted(queries) == ["when do ships sail to the outer islands", "who lost a cogwheel on the north quay"], dropped(made)
    assert queries["who lost a cogwheel on the north quay"]["answer"] == "the crane"
    assert {row["made-by"] for row in queries.values()} == {"chat stand-in"}
    assert ("query", "not relevant", "goat on the pier") in dropped(made)
    pages = [
        row["corpus-id"]
        for row in rows(made.place, "qrels")
        if row["query-id"] == queries["who lost a cogwheel on the north quay"]["query-id"]
    ]
    assert pages[0] == "report.pdf#page=2"
    assert len(pages) == 2  # the second picture answers it too, says the judge


def test_a_passage_is_judged_by_its_own_text_and_pictures_of_others_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_KEY", KEY)
    Image.new("RGB", (40, 60), "grey").save(tmp_path / "page.png")
    pages = [
        Page(id="passage", image=None, text="The crane on the north quay lost a cogwheel."),
        Page(id="drawn", image=tmp_path / "page.png", text="The crane on the north quay was painted."),
        Page(id="other", image=tmp_path / "page.png", text="North of the quay."),
    ]
    drafts = [draft("who lost a cogwheel on the north quay", page="passage"), draft("who painted the north quay", page="drawn")]
    answer = json.dumps({"relevant": True, "realistic": True, "several": False, "also": [2, 3]})
    with serving([Answer(say=answer)]) as server:
        options = {"url": server.url, "model": "m", "key_env": "STAND_IN_KEY", "parallel": 1}
        left = judge.judged(drafts, pages, Texts(pages), lambda dropped: None, options=options, folder=tmp_path, rule="add")
    (*passage, told), (*drawn, plain) = (request["messages"][1]["content"] for request in server.requests)
    assert passage == []
    assert told["text"].endswith("The page is a text without a picture:\nThe crane on the north quay lost a cogwheel.")
    assert len(drawn) == 2
    assert "without a picture" not in plain["text"]
    assert [list(one.pages) for one in left] == [["passage"], ["drawn", "other"]]


@pytest.mark.parametrize("wrong", [{"others": "2"}, {"prompt": 3}, {"timeout_s": "60"}])
def test_an_option_of_the_judge_of_the_wrong_type_is_told(tmp_path: Path, wrong: dict[str, Any]) -> None:
    options = {"url": "http://localhost/v1", "model": "m", **wrong}
    with pytest.raises(ValueError, match=rf"\[filters\.judge\]: {next(iter(wrong))} is "):
        judge.judged([], [], Texts([]), lambda dropped: None, options=options, folder=tmp_path, rule="add")


def test_pages_for_which_no_money_is_left_are_named_and_what_was_spent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_KEY", KEY)
    with serving([Answer(say='{"queries": [{"query": "when does the ferry leave"}]}')]) as server:
        endpoint = {
            "url": server.url,
            "model": "m",
            "key_env": "STAND_IN_KEY",
            "parallel": 1,
            "max_requests": 2,
            "price_in": 3,
            "price_out": 10,
        }
        made = build(config(folder, queries=[{"kind": "chat", "endpoint": endpoint}], filters={"several": "keep"}))
    assert len(server.requests) == 2
    assert made.spent == Usage(requests=2, answered=2, tokens_in=2000, tokens_out=400, cost=2000 * 3e-6 + 400 * 10e-6)
    told(made)
    assert "asked of endpoints: 2 requests, 2,000 tokens in, 400 out, cost 0.0100\n" in capsys.readouterr().out
    assert [name for _, reason, name in dropped(made) if reason == "kept without a query"] == ["report.pdf#page=3"]


def test_a_build_that_comes_to_nothing_says_what_it_has_spent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_KEY", KEY)
    lines: list[str] = []
    with serving([Answer(say='{"queries": []}')]) as server:
        endpoint = {"url": server.url, "model": "m", "key_env": "STAND_IN_KEY", "parallel": 1, "retries": 0}
        with pytest.raises(UnitowerError, match="no query"):
            build(config(folder, queries=[{"kind": "chat", "endpoint": endpoint}]), progress=lines.append)
    asked = len(server.requests)
    assert lines[-1] == f"asked of endpoints: {asked} request{'s' * (asked > 1)}, {asked * 1000:,} tokens in, {asked * 200} out"


# From an index


def test_an_index_becomes_a_set_of_its_pages_and_passages(folder: Path) -> None:
    (folder / "papers" / "minutes.md").write_text(
        "# Minutes of the bee club\n\nThe hives behind the boathouse gave thirty jars of honey.\n", encoding="utf-8"
    )
    (folder / "papers" / "gone.md").write_text("# Gone\n\nThis will be deleted before the set is made.\n", encoding="utf-8")
    Index.open(folder / ".unitower", encoder=FakeEncoder()).add([folder / "papers"])
    (folder / "papers" / "gone.md").unlink()
    made = build(config_of(folder, folder / "regression"))
    corpus = {row["corpus-id"]: row for row in rows(made.place, "corpus")}
    passages = [row for row in corpus.values() if row["image"] is None]
    assert len(corpus) == 4
    assert len(passages) == 1
    assert "thirty jars" in passages[0]["text"]
    assert ("page", "unreadable", "papers/gone.md") in dropped(made)
    assert made.queries >= 3
    with pytest.raises(UnitowerError, match="no index"):
        build(config_of(folder / "papers", folder / "other"))
