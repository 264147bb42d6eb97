"""The stages of a course: each learns, a second run and a stopped one give the same weights bit for bit, and the checkpoint loads."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import unitower
from unitower.data._corpus import Corpus
from unitower.encode.processor import IMAGE_PROMPT, Processor
from unitower.errors import UnitowerError
from unitower.model.checkpoint import read_checkpoint
from unitower.model.embedder import TokenSequence
from unitower.model.tower import BARE
from unitower.recipes.nano_smoke import SMALL, recipe
from unitower.render import quick
from unitower.training.course import Course, GatherStage, School, run_course
from unitower.training.earlier import Earlier, Seen
from unitower.training.feed import feed
from unitower.training.lesson import WEIGHTS, Lesson, Schedule, claim
from unitower.training.letters import LetterCodes
from unitower.training.loop import Told
from unitower.training.masters import Masters
from unitower.training.packed import TextVectors, late_scores, pack, text_vectors
from unitower.training.pages import PageBatch, Pages, Part, Pool, Together, alignment
from unitower.training.reading import Pens, Reader, Reading, Shape, Sheets, patches, spelled, token_loss
from unitower.training.recipe import load
from unitower.training.spelling import codes
from unitower.training.start import from_nothing
from unitower.training.texts import Library, Taught, Texts

THINGS = [
    "rent", "bread", "train", "letter", "goat", "battery", "garden", "invoice", "library", "weather", "bridge", "violin", "window",
    "kettle", "ladder", "pencil",
]  # fmt: skip
STEPS = {"reading": 10, "spelling": 5, "text": 12, "meeting": 3, "pages": 8, "retrieval": 4, "text-matching": 2, "code": 2}
TRAINED = tuple(STEPS)


def corpus() -> Corpus:
    english = [f"The {a} stands beside the {b}, and nobody has asked for the {a} since May." for a in THINGS for b in THINGS if a != b]
    german = [text.replace("The", "Das").replace("and nobody has asked for", "und niemand fragt nach") for text in english]
    return Corpus(
        texts={"en": english, "de": german},
        parallel=[("de", e[:80], g[:80]) for e, g in zip(english, german, strict=True)],
        titled=[("en", f"about the {thing}", f"Of {thing} there is much to say, first of all that a {thing} is old.") for thing in THINGS],
        glosses=[(thing, f"a thing that people call {thing}") for thing in THINGS],
        words=[("de", thing, thing.upper()) for thing in THINGS],
        summaries=[(f"Return the {thing} of the house.", f"The {thing} is looked for in every room.") for thing in THINGS],
        functions=[(f"Count the {thing}s.", f"def count(house):\n    return len(house.{thing})") for thing in THINGS],
    )


def course() -> Course:
    """The smoke course at a few steps, its states and lines of progress at every second one."""
    stages = []
    for stage in recipe().stages:
        if stage.name in STEPS:
            schedule = replace(stage.schedule, steps=STEPS[stage.name], lr=4e-3, warmup=2, save_every=3, log_every=1)  # type: ignore[attr-defined]
            stage = replace(stage, schedule=schedule)  # type: ignore[call-arg]
        stages.append(stage)
    return replace(recipe(), stages=tuple(stages))


def give_corpus(plan: Course, out: Path) -> None:
    """What the first stage would have made."""
    school = School(plan, plan.stages[0], out, resume=False, progress=None)
    claim(school.folder, school.said, resume=False)
    corpus().write(school.folder / "corpus.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("course") / "run"
    give_corpus(course(), out)
    run_course(course(), out, resume=True)
    return out


def weights(out: Path) -> dict[str, torch.Tensor]:
    files = [out / name / WEIGHTS for name in TRAINED]
    files += [out / "checkpoint" / "model.safetensors", out / "checkpoint" / "adapters" / "adapter_model.safetensors"]
    return {f"{path.parent.name} {name}": tensor for path in files for name, tensor in load_file(path).items()}


# ---- whole runs


class StoppedError(Exception):
    pass


def stopping_at(name: str, step: int) -> Callable[[Told], None]:
    def stop(told: Told) -> None:
        if (told.phase, told.step) == (name, step):
            raise StoppedError

    return stop


def test_a_run_that_was_stopped_in_every_stage_gives_the_weights_of_an_unbroken_one(whole: Path, tmp_path: Path) -> None:
    out, plan = tmp_path / "run", course()
    give_corpus(plan, out)
    for name, step in (("reading", 8), ("spelling", 4), ("text", 5), ("meeting", 2), ("pages", 7), ("retrieval", 4)):
        with pytest.raises(StoppedError):
            run_course(plan, out, resume=True, progress=stopping_at(name, step))
    run_course(plan, out, resume=True)
    first, second = weights(whole), weights(out)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in TRAINED:
        lines = [
            [json.loads(line) for line in (run / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()] for run in (whole, out)
        ]
        timeless = [[{k: v for k, v in line.items() if k != "samples_per_s"} for line in run] for run in lines]
        assert timeless[0] == timeless[1]


def test_eyes_stand_still_while_language_meets_them_but_for_their_last_layer(whole: Path) -> None:
    taught = load_file(whole / "meeting" / "weights.safetensors")
    assert {name.partition(".")[0] for name in taught} == {"vision", "decoder", "projector", "letters"}
    assert all(name.startswith("vision.merger.") for name in taught if name.startswith("vision."))
    before, after = load_file(whole / "spelling" / "weights.safetensors"), load_file(whole / "pages" / "weights.safetensors")
    for part in ("vision.merger.", "vision.blocks.0.", "reader."):  # then all go on together
        assert any(not torch.equal(before[name], after[name]) for name in after if name.startswith(part))


def test_the_checkpoint_loads_and_encodes(whole: Path, tmp_path: Path) -> None:
    Image.new("RGB", (224, 112), "white").save(tmp_path / "page.png")
    encoder = unitower.load(whole / "checkpoint", dtype="float32")
    assert encoder.tasks == ("retrieval", "text-matching", "code")
    found = encoder.encode(["the rent is due", tmp_path / "page.png"], role="passage")
    assert found.dense.shape == (2, 64)
    assert np.allclose(np.linalg.norm(found.dense, axis=1), 1, atol=1e-5)
    assert "<svg" in (whole / "pages" / "curve.html").read_text(encoding="utf-8")


def test_the_tokenizer_is_of_the_released_layout_and_knows_small_letters_only(whole: Path) -> None:
    tokenizer = Tokenizer.from_file(str(whole / "checkpoint" / "tokenizer.json"))
    assert tokenizer.encode("The RENT").ids == tokenizer.encode("the rent").ids
    ids = tokenizer.encode(IMAGE_PROMPT).ids
    assert [ids.index(special) for special in (1, 2, 3)] == sorted(ids.index(special) for special in (1, 2, 3))
    assert tokenizer.decode(tokenizer.encode("Füße, 東京 – 1,234 €").ids) == "füße, 東京 – 1,234 €"
    rules = Processor.read(whole / "checkpoint", SMALL)
    assert rules is not None


def test_an_adapter_may_begin_as_the_way_to_what_an_earlier_stage_taught(whole: Path, tmp_path: Path) -> None:
    plan = course()
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "code")
    (stage,) = (stage for stage in plan.stages if stage.name == "code")
    stage = replace(stage, schedule=replace(stage.schedule, steps=1, lr=0.0, warmup=0))  # type: ignore[attr-defined,call-arg]
    run_course(replace(plan, stages=(*(s for s in plan.stages if s.name != "code"), stage)), tmp_path / "run", only="code", resume=True)
    adapter, before, now = (load_file(tmp_path / "run" / name / "weights.safetensors") for name in ("code", "text", "pages"))
    name = "decoder.blocks.0.mlp.down"
    away = before[f"{name}.weight"].float() - now[f"{name}.weight"].float()
    reached = adapter[f"{name}.lora_B.code"].float() @ adapter[f"{name}.lora_A.code"].float()
    beyond = torch.linalg.svdvals(away)[plan.lora.r :].norm()
    assert float((reached - away).norm()) == pytest.approx(float(beyond), rel=0.02)
    assert float(beyond) < 0.99 * float(away.norm())


def test_a_stage_that_is_done_is_passed_over_and_other_settings_are_refused(whole: Path) -> None:
    plan = course()
    run_course(plan, whole, only="reading", resume=True, progress=stopping_at("reading", 1))  # would stop if it ran
    number = [stage.name for stage in plan.stages].index("reading")
    reading = plan.stages[number]
    longer = replace(reading, schedule=replace(reading.schedule, steps=99))  # type: ignore[attr-defined,call-arg]
    with pytest.raises(UnitowerError, match="stage differ"):
        run_course(replace(plan, stages=(*plan.stages[:number], longer, *plan.stages[number + 1 :])), whole, only="reading", resume=True)


def test_a_stage_names_the_one_that_it_comes_after(tmp_path: Path) -> None:
    give_corpus(course(), tmp_path / "run")
    with pytest.raises(UnitowerError, match="'pages' comes after 'vocabulary'"):
        run_course(course(), tmp_path / "run", only="pages")
    with pytest.raises(ValueError, match="no stage 'eyes'"):
        run_course(course(), tmp_path / "run", only="eyes")


def test_a_folder_that_holds_something_is_not_written_to_without_resume(whole: Path) -> None:
    with pytest.raises(UnitowerError, match="--resume"):
        run_course(course(), whole)


@pytest.mark.parametrize("key", ["schedule.save_every", "schedule.log_every", "text_every"])
def test_steps_between_states_lines_or_texts_are_one_or_more_in_every_stage(key: str) -> None:
    with pytest.raises(ValueError, match=f"stage 'pages': {key.rpartition('.')[2]} is 0: give a number of steps, 1 or more"):
        load("nano_smoke", settings=[f"stages.pages.{key}=0"])


def test_a_machine_without_text_is_told_what_to_install(tmp_path: Path) -> None:
    plan = course()
    nothing = replace(plan.stages[0], places=replace(plan.stages[0].places, python=()))  # type: ignore[attr-defined,call-arg]
    assert isinstance(nothing, GatherStage)
    with pytest.raises(UnitowerError, match="libreoffice-help"):
        run_course(replace(plan, stages=(nothing,)), tmp_path / "run")


# ---- what is taught


@pytest.fixture(scope="module")
def tokenizer(whole: Path) -> Tokenizer:
    return Tokenizer.from_file(str(whole / "checkpoint" / "tokenizer.json"))


def learns_by_heart(lesson: Lesson, *, steps: int) -> tuple[float, float]:
    """Loss of one item before and after it was taught alone."""
    item = lesson.make(random.Random(1), 0)
    for parameter in lesson.parameters.values():
        parameter.requires_grad_()
    masters, losses = Masters(lesson.parameters, weight_decay=0.0), []
    for step in range(steps):
        torch.manual_seed(0)
        loss = lesson.measure(item, progress=0.0).loss
        loss.backward()
        masters.step(5e-3 * min(1, (step + 1) / 4), clip=1.0)
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


def lesson_of(name: str, tokenizer: Tokenizer) -> Lesson:
    torch.manual_seed(0)
    embedder, reader = from_nothing(SMALL).to(torch.bfloat16), Reader(64).to(torch.bfloat16)
    fonts = tuple(font for font in quick.fonts() if font.family == "DejaVu Sans")
    pens = Pens(corpus().to_draw, fonts, (Shape(rows=3, columns=8, pages=3, weight=1),), easy=1000)
    parameters = dict(embedder.named_parameters())
    prompts = ("Query:", "Passage:")
    if name in ("reading", "spelling"):
        return Reading(embedder, reader, pens, tokenizer if name == "spelling" else None)
    if name in ("text", "teacher"):
        taught = Taught(rows={thing: i for i, thing in enumerate(THINGS)}, vectors=np.eye(16, 64, dtype=np.float16))
        kinds = {"glosses" if name == "text" else "teacher": 1}
        return Texts(embedder, parameters, Library(corpus(), taught), tokenizer, batch=12, prompts=prompts, kinds=kinds)
    parameters |= {f"reader.{n}": p for n, p in reader.named_parameters()}
    mixed = Texts(embedder, {}, Library(corpus(), Taught()), tokenizer, batch=4, prompts=prompts) if name == "mixed" else None
    return Pages(embedder, reader, parameters, pens, tokenizer, frame=IMAGE_PROMPT, prompts=prompts, couples=mixed)


@pytest.mark.parametrize(
    ("name", "steps", "falls_to"),
    [("reading", 25, 0.6), ("spelling", 25, 0.7), ("text", 15, 0.5), ("teacher", 15, 0.5), ("pages", 25, 0.7), ("mixed", 25, 0.7)],
)
def test_a_lesson_is_learned_by_heart(tokenizer: Tokenizer, name: str, steps: int, falls_to: float) -> None:
    before, after = learns_by_heart(lesson_of(name, tokenizer), steps=steps)
    assert after < falls_to * before


def test_texts_and_pages_get_the_vectors_that_the_model_gives_them_when_it_encodes(whole: Path, tokenizer: Tokenizer) -> None:
    embedder = read_checkpoint(whole / "checkpoint", dtype=torch.float32)
    texts = ["Query: the rent", "Passage: a goat has eaten the letter that lay on the table", "Query: x"]
    sequences = [tokenizer.encode(text).ids for text in texts]
    vectors = text_vectors(embedder, pack(sequences), BARE)
    alone = [embedder([TokenSequence(torch.tensor(ids))], adapters=None, as_released=True) for ids in sequences]
    for i, one in enumerate(alone):
        torch.testing.assert_close(vectors.dense[i], one.dense[0], atol=2e-5, rtol=0)
        torch.testing.assert_close(vectors.tokens[i][vectors.real[i]], one.tokens, atol=2e-5, rtol=0)
        assert not vectors.tokens[i][~vectors.real[i]].any()

    fonts = [font for font in quick.fonts() if font.family == "DejaVu Sans"]
    page = quick.page(random.Random(3), (224, 112), texts=corpus().to_draw, fonts=fonts)
    pens = Pens(corpus().to_draw, fonts, ())
    lesson = Pages(embedder, Reader(64), {}, pens, tokenizer, frame=IMAGE_PROMPT, prompts=("Query:", "Passage:"))
    cells, dense, tokens = lesson._seen(Sheets((8, 16), patches([page.image]), page.labels()[None]))
    picture = torch.from_numpy(np.array(Image.fromarray(page.image).convert("RGB"))).permute(2, 0, 1)
    sequence = Processor.read(whole / "checkpoint", embedder.config).image_sequence(picture)
    seen = embedder([sequence], adapters=None, as_released=True)
    torch.testing.assert_close(dense[0], seen.dense[0], atol=2e-5, rtol=0)
    torch.testing.assert_close(tokens[0], seen.tokens, atol=5e-5, rtol=0)
    assert cells.shape == (1, 32, 64)


def test_late_scores_are_the_mean_of_the_best_similarities() -> None:
    torch.manual_seed(0)
    query, document = (torch.nn.functional.normalize(torch.randn(3, 5, 8), dim=-1) for _ in range(2))
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]).bool()
    scores = late_scores(query, real, document, real)
    for q in range(3):
        for d in range(3):
            similar = query[q][real[q]] @ document[d][real[d]].T
            assert abs(float(similar.amax(1).mean()) - float(scores[q, d])) < 0.01  # of bfloat16


def test_a_query_finds_its_own_among_pages_and_texts_in_one_pool() -> None:
    units = torch.eye(8)
    pages, texts = units[:4].view(2, 2, 8), TextVectors(units[4:6], units[4:8].view(2, 2, 8), torch.tensor([[1, 1], [1, 0]]).bool())
    asked = torch.stack([units[1], units[5], units[7]])[:, None]  # on the first page, in the first text, where the second has ended
    queries = TextVectors(units[[0, 4, 5]], asked, torch.ones(3, 1, dtype=torch.bool))
    late, dense = Pool(pages, units[:2], texts).scores(queries)
    assert late.round().int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert dense.int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    late, dense = Pool(pages, units[:2]).scores(queries)
    assert late.shape == dense.shape == (3, 2)


def test_pages_that_stand_beside_texts_cost_more_than_alone(tokenizer: Tokenizer) -> None:
    lesson = lesson_of("mixed", tokenizer)
    item = lesson.make(random.Random(1), 0)
    torch.manual_seed(0)
    mixed = lesson.measure(item, progress=0.0)
    torch.manual_seed(0)
    alone = lesson.measure(replace(item, couples=None), progress=0.0)
    assert {"texts late", "texts dense"} <= mixed.parts.keys() - alone.parts.keys()
    assert mixed.parts["late"] > alone.parts["late"]  # more wrong answers
    assert mixed.parts["dense"] > alone.parts["dense"]
    assert mixed.parts["tokens at cells"] == alone.parts["tokens at cells"]


def with_earlier(tokenizer: Tokenizer, earlier: int) -> tuple[Pages, list[PageBatch]]:
    """A lesson that keeps so many steps, and material of three."""
    lesson = lesson_of("mixed", tokenizer)
    assert isinstance(lesson, Pages)
    lesson._earlier, lesson._letters = Earlier(earlier), LetterCodes(32).to(torch.bfloat16)
    return lesson, [lesson.make(random.Random(seed), 0) for seed in range(3)]


def test_pages_and_texts_of_earlier_steps_are_wrong_answers_and_the_oldest_are_forgotten(tokenizer: Tokenizer) -> None:
    lesson, items = with_earlier(tokenizer, 2)

    def measured(item: PageBatch) -> dict[str, float]:
        torch.manual_seed(0)
        return {name: float(part.detach()) for name, part in lesson.measure(item, progress=0.0).parts.items()}

    alone = measured(items[0])
    beside = [measured(item) for item in (items[1], items[2], items[0])][-1]
    assert all(beside[name] > alone[name] for name in ("late", "dense", "texts late", "texts dense", "words", "tokens at cells"))
    assert all(beside[name] == alone[name] for name in ("imitation", "cells", "blanks", "characters"))
    kept = list(lesson._earlier)
    assert [seen.tokens.dtype for seen in kept] == [torch.bfloat16] * 2
    assert not any(seen.tokens.requires_grad or seen.dense.requires_grad for seen in kept)
    assert [seen.runs for seen in kept] == [items[2].runs, items[0].runs]
    none, _ = with_earlier(tokenizer, 0)
    none.measure(items[0], progress=0.0)
    assert len(none._earlier) == 0
    assert none.memory == {}


def test_what_earlier_steps_saw_goes_through_a_file_unchanged(tokenizer: Tokenizer, tmp_path: Path) -> None:
    lesson, items = with_earlier(tokenizer, 2)
    for item in items[:2]:
        lesson.measure(item, progress=0.0)
    save_file(Together(pages=Part(lesson)).memory, tmp_path / "memory")
    other = Pages(
        lesson.embedder, lesson.reader, {}, lesson.pens, tokenizer, frame=IMAGE_PROMPT, prompts=("Query:", "Passage:"),
        letters=lesson._letters, earlier=2,
    )  # fmt: skip
    Together(pages=Part(other)).recall(load_file(tmp_path / "memory"))
    measured = []
    for each in (lesson, other):
        torch.manual_seed(0)
        measured.append({name: float(part.detach()) for name, part in each.measure(items[2], progress=0.0).parts.items()})
    assert measured[0] == measured[1]


def test_alignment_is_the_cross_entropy_over_cells_without_the_token_s_other_places() -> None:
    torch.manual_seed(0)
    cells, asked = (torch.nn.functional.normalize(torch.randn(*shape), dim=-1).bfloat16().float() for shape in ((6, 4), (2, 3, 4)))
    placed = np.array([(0, 1, 7), (1, 0, 7), (1, 2, 9)])
    at = np.array([(0, 2), (1, 4), (1, 5), (2, 0)])
    bag = np.array([(7, 2), (7, 4), (7, 5), (9, 0), (9, 3), (11, 1)])
    sheets = Sheets((2, 2), np.zeros((1, 1, 1), np.uint8), np.zeros((1, 1, 1), np.int16), bag)
    batch = PageBatch(sheets, pack([[1]]), np.zeros(2, np.int64), placed, at)
    loss, _ = alignment(asked, cells, batch, 10.0)
    rows = [((0, 1), {2}, {4, 5}), ((1, 0), {4, 5}, {2}), ((1, 2), {0}, {3})]
    weight = np.array([2**-0.5, 2**-0.5, 1.0])
    wanted = []
    for (query, place), here, elsewhere in rows:
        e = {c: float(torch.exp(10 * asked[query, place] @ cells[c])) for c in range(6) if c not in elsewhere}
        wanted.append(-np.log(sum(e[c] for c in here) / sum(e.values())))
    assert float(loss) == pytest.approx(float((np.array(wanted) * weight).sum() / weight.sum()), rel=0.02)  # products in bfloat16
    earlier = Seen(cells[None, :2], cells[:1], range(0, 2), np.array([(7, 0), (9, 1)]))  # two cells that say the same words
    more, _ = alignment(asked, cells, batch, 10.0, [earlier])
    wanted = []
    for (query, place), here, elsewhere in [(*rows[0][:2], {4, 5, 6}), (*rows[1][:2], {2, 6}), (*rows[2][:2], {3, 7})]:
        e = {c: float(torch.exp(10 * asked[query, place] @ cells[c % 6])) for c in range(8) if c not in elsewhere}
        wanted.append(-np.log(sum(e[c] for c in here) / sum(e.values())))
    assert float(more) == pytest.approx(float((np.array(wanted) * weight).sum() / weight.sum()), rel=0.02)


def test_cells_that_are_the_mean_of_their_tokens_are_nearest_to_one_of_them_and_others_are_not() -> None:
    torch.manual_seed(0)
    words = torch.nn.functional.normalize(torch.randn(40, 64), dim=-1)
    bag = np.array([(3, 0), (7, 0), (9, 2), (3, 4)])
    cells = torch.zeros(6, 64)
    cells[0], cells[2], cells[4] = words[3] / 2**0.5 + words[7], words[9], words[3]
    loss, right = token_loss(cells, bag, words, 20.0)
    assert float(right) == 1
    # by hand: cell 0 has both tokens, of weights 2 ** -0.5 (it stands twice) and 1; the others one each
    names = words[[3, 7, 9]]
    logs = torch.log_softmax(20 * torch.nn.functional.normalize(cells[[0, 2, 4]], dim=-1) @ names.T, dim=-1)
    half = 2**-0.5
    parts = [-(half * logs[0, 0] + logs[0, 1]), -logs[1, 2], -half * logs[2, 0]]
    assert float(loss) == pytest.approx(float(sum(parts)) / (2 * half + 2), abs=0.02)  # products in bfloat16; each cell is its mean
    worse, wrong = token_loss(-cells, bag, words, 20.0)
    assert float(wrong) == 0
    assert worse > loss + 5


def test_tokens_that_are_spelled_alike_have_codes_that_are_alike(tokenizer: Tokenizer) -> None:
    rows = codes(tokenizer, 64)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    vocabulary = tokenizer.get_vocab()
    words = [token for token in vocabulary if token.startswith("Ġ") and token[1:].isalpha() and token[1:].isascii() and len(token) > 4]
    alike = [(a, b) for a in words for b in words if a < b and a[:4] == b[:4]]
    different = [(a, b) for a in words for b in words if a < b and not set(a[1:]) & set(b[1:])]
    cosine = [np.mean([rows[vocabulary[a]] @ rows[vocabulary[b]] for a, b in pairs]) for pairs in (alike, different)]
    assert alike
    assert different
    assert cosine[0] > 0.3 > 0.15 > abs(cosine[1])


def test_slow_parameters_take_smaller_steps() -> None:
    parameters = {name: torch.nn.Parameter(torch.ones(2, 2)) for name in ("fast.weight", "slow.weight")}
    masters = Masters(parameters, weight_decay=0.0, slow={"slow.": 0.25})
    for parameter in parameters.values():
        parameter.grad = torch.ones_like(parameter)
    masters.step(0.1, clip=100.0)
    fast, slow = (1 - float(parameter.detach().mean()) for parameter in parameters.values())
    assert slow == pytest.approx(fast / 4, rel=1e-4)


def test_a_token_is_where_its_characters_stand(tokenizer: Tokenizer) -> None:
    word = quick.Written("rentbridge", tuple(float(10 * i) for i in range(11)), middle=30.0, line=0, size=12.0)
    (found,) = spelled([word], tokenizer, (2, 4))
    ends, at = 0, []
    for start, end in tokenizer.encode(" rentbridge").offsets:
        first, last = max(0, start - 1), end - 1
        at.append([4 + c for c in range(int(first * 10 // 28), int((last * 10 - 0.01) // 28) + 1) if c < 4])
        ends = end
    assert ends == 11
    assert found.cells == at


# ---- material and optimiser


def numbered(rng: random.Random, index: int) -> tuple[int, int]:
    if index == 12:
        raise ValueError("twelve is too many")
    return index, rng.randrange(1_000_000)


@pytest.mark.parametrize("workers", [1, 3])
def test_material_does_not_depend_on_the_number_of_workers_or_on_where_it_begins(workers: int) -> None:
    with feed(numbered, seed=4) as here, feed(numbered, seed=4, first=2, workers=workers) as there:
        wanted = [next(here) for _ in range(9)]
        assert [next(there) for _ in range(7)] == wanted[2:]


def test_what_goes_wrong_in_a_worker_is_told() -> None:
    with feed(numbered, seed=0, first=11, workers=1) as items:
        next(items)
        with pytest.raises(UnitowerError, match="twelve is too many"):
            next(items)


def test_steps_too_small_for_bfloat16_add_up() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    masters = Masters({"weight": weight}, weight_decay=0.0)
    for _ in range(40):
        weight.grad = torch.ones_like(weight)
        masters.step(1e-4, clip=100.0)
    assert float(masters.weights["weight"].mean()) == pytest.approx(1 - 40e-4, rel=1e-4)
    assert float(weight.detach().float().mean()) < 1  # one plus a single step would be rounded back to one


def test_muon_moves_every_direction_of_a_block_s_matrix_alike_and_goes_on_to_the_bit() -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(8, 12) @ torch.diag(torch.logspace(0, -1, 12)) for _ in range(4)]

    def taught(masters: Masters, gradients: list[torch.Tensor]) -> None:
        for gradient in gradients:
            for parameter in masters.parameters.values():
                parameter.grad = gradient.clone()
            masters.step(0.01, clip=100.0)

    def fresh() -> Masters:
        torch.manual_seed(1)
        names = ("decoder.blocks.0.qkv.weight", "vision.blocks.1.slow.weight", "reader.outer.weight")
        parameters = {name: torch.nn.Parameter(torch.randn(8, 12)) for name in names}
        return Masters(parameters, weight_decay=0.0, slow={"vision.blocks.1.slow.": 0.5}, muon=True)

    unbroken, begun, resumed = fresh(), fresh(), fresh()
    before = {name: weight.clone() for name, weight in unbroken.weights.items()}
    taught(unbroken, gradients)
    taught(begun, gradients[:2])
    resumed.restore(begun.state)
    taught(resumed, gradients[2:])
    assert all(torch.equal(weight, resumed.weights[name]) for name, weight in unbroken.weights.items())
    assert {key.partition(".")[0] for key in begun.state if key.endswith("qkv.weight")} == {"weights", "momentum_buffer"}
    assert {key.partition(".")[0] for key in begun.state if key.endswith("outer.weight")} == {"weights", "exp_avg", "exp_avg_sq", "step"}
    once = fresh()
    taught(once, gradients[:1])
    spread = torch.linalg.svdvals(once.weights["decoder.blocks.0.qkv.weight"] - before["decoder.blocks.0.qkv.weight"])
    assert spread[-1] > 0.5 * spread[0]
    assert torch.linalg.svdvals(gradients[0])[-1] < 0.2 * torch.linalg.svdvals(gradients[0])[0]


def test_the_rate_stands_and_then_falls_in_a_straight_line() -> None:
    schedule = Schedule(steps=100, lr=1.0, warmup=10, last=0.01, falling=0.4)
    assert [schedule.rate(step) for step in (0, 9, 59)] == pytest.approx([0.1, 1.0, 1.0])
    assert [schedule.rate(step) for step in (80, 90, 99)] == pytest.approx([0.5, 0.25, 0.025])
