"""Every baseline of evaluation/baselines finds pages by their words, tells what made it, and what a page costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from unitower.evaluation import baselines
from unitower.evaluation.models import Model
from unitower.evaluation.task import Listed, Task
from unitower.types import Item, Source

LINES = {"a": "The rent is due in May", "b": "The mill stands by the river", "c": "Roses need sun and water"}


def page(id: str, text: str) -> Item:
    """A page with its text printed on it, and as its text layer."""
    picture = Image.new("RGB", (620, 120), "white")
    ImageDraw.Draw(picture).text((20, 40), text, fill="black", font=ImageFont.load_default(size=32))
    return Item(id=id, modality="image", content=picture, source=Source(path=id), text=text)


TASK = Task(
    name="set",
    queries={"1": "when is the rent due", "2": "a mill by a river", "3": "what do roses need"},
    corpus=Listed([page(id, text) for id, text in LINES.items()]),
    qrels={"1": {"a": 1}, "2": {"b": 1}, "3": {"c": 1}},
    identity={"languages": ["en"]},
)


@pytest.fixture(params=baselines.names())
def model(request: pytest.FixtureRequest) -> Model:
    try:
        return baselines.open_baseline(request.param)
    except baselines.NotInstalled as error:  # its message names what to install
        pytest.skip(str(error))


def test_it_finds_pages_by_their_words(model: Model) -> None:
    found = model.search(TASK, modes=model.modes, depth=3)
    assert set(found.runs) == set(model.modes)
    for run in found.runs.values():
        assert [max(run[query], key=run[query].__getitem__) for query in TASK.queries] == ["a", "b", "c"]
    assert found.page.cpu_s > 0
    again = model.search(TASK, modes=model.modes, depth=3)
    assert again.runs == found.runs
    if "tesseract" in model.name:  # read from the cache the second time, at the cost of the first
        assert again.page.cpu_s > 0.5 * found.page.cpu_s


def test_it_says_what_made_it(model: Model) -> None:
    about = json.loads(json.dumps(dict(model.fingerprint(task="retrieval"))))
    assert about["revision"]
    assert about["text"]
    assert baselines.about(model.name)
    assert Path(model.name).name == model.name
