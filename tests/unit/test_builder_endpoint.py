"""The chat endpoint against a local server that speaks its protocol: what is sent, tried again, kept, and never told."""

from __future__ import annotations

import base64
import io
import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from chat_stand_in import KEY, Answer, refused, serving
from PIL import Image

from unitower.builder import asking
from unitower.builder.endpoint import Endpoint, EndpointError, NoAnswer, Settings, Spent

YES = Answer(say='{"yes": true}')


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("STAND_IN_KEY", KEY)
    return Clock()


def endpoint(url: str, folder: Path, clock: Clock, **settings: Any) -> Endpoint:
    values = {"model": "stand-in", "key_env": "STAND_IN_KEY", **settings}
    return Endpoint(Settings(url=url, **values), folder=folder, clock=lambda: clock.now, sleep=clock.sleep)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (400, 100), "navy").save(file, "WEBP")
    return file.getvalue()


def test_a_request_is_what_the_protocol_asks_for(tmp_path: Path, clock: Clock) -> None:
    with serving([YES]) as server:
        asked = endpoint(server.url, tmp_path, clock, image_side=200)
        assert asked.ask("be short", "is it blue?", pictures=[picture()]) == {"yes": True}
    assert server.faults == []
    (request,) = server.requests
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    shown, text = request["messages"][1]["content"]
    assert text == {"type": "text", "text": "is it blue?"}
    sent = Image.open(io.BytesIO(base64.b64decode(shown["image_url"]["url"].partition(",")[2])))
    assert (sent.format, sent.size) == ("PNG", (200, 50))
    assert (asked.usage.tokens_in, asked.usage.tokens_out) == (1000, 200)


@pytest.mark.parametrize(
    "fault",
    [
        refused(429, "slow down"),
        refused(500, "oops"),
        refused(503, "loading"),
        Answer(hang_up=True),
        Answer(say="I think it is blue."),
        Answer(body=b"<html>proxy</html>"),
        Answer(body=b'{"choices": []}'),
        Answer(body=b'{"choices": [{"message": {"content": null}}]}'),
    ],
    ids=["429", "500", "503", "hung up", "no JSON in it", "no JSON at all", "no choice", "no text"],
)
def test_what_may_pass_is_tried_again_after_a_longer_pause_each_time(tmp_path: Path, clock: Clock, fault: Answer) -> None:
    with serving([fault, fault, YES]) as server:
        asked = endpoint(server.url, tmp_path, clock, pause_s=1.0)
        assert asked.ask("s", "t") == {"yes": True}
    first, second = clock.slept
    assert 0.8 <= first <= 1.2
    assert 1.6 <= second <= 2.4
    assert (asked.usage.requests, asked.usage.tried_again) == (3, 2)


def test_a_server_that_does_not_answer_in_time_is_asked_again(tmp_path: Path, clock: Clock) -> None:
    with serving([Answer(wait_s=1.0, say="{}"), YES]) as server:
        assert endpoint(server.url, tmp_path, clock, timeout_s=0.2).ask("s", "t") == {"yes": True}


@pytest.mark.parametrize(("header", "least", "most"), [("7", 7, 7), ("in 40 s", 30, 40), ("soon", 0.8, 1.2)])
def test_the_pause_a_server_asks_for_is_kept(tmp_path: Path, clock: Clock, header: str, least: float, most: float) -> None:
    header = formatdate(time.time() + 40, usegmt=True) if header == "in 40 s" else header
    with serving([refused(429, "slow down", Retry_After=header), YES]) as server:
        endpoint(server.url, tmp_path, clock).ask("s", "t")
    assert least <= clock.slept[0] <= most


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 302])
def test_a_refusal_is_told_at_once_with_what_the_server_said(tmp_path: Path, clock: Clock, status: int) -> None:
    with serving([refused(status, "the model `stand-in` does not exist", Location="http://127.0.0.1:9/")]) as server:
        with pytest.raises(EndpointError, match=rf"{status}.*does not exist"):
            endpoint(server.url, tmp_path, clock).ask("s", "t")
        assert len(server.requests) == 1


def test_the_key_is_told_by_nobody(tmp_path: Path, clock: Clock) -> None:
    with serving([refused(401, f"Incorrect API key provided: {KEY}")]) as server, pytest.raises(EndpointError) as caught:
        endpoint(server.url, tmp_path, clock).ask("s", "t")
    assert KEY not in str(caught.value)
    assert "STAND_IN_KEY" in str(caught.value)
    with serving([YES]) as server:
        endpoint(server.url, tmp_path, clock).ask("s", "t")
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_an_endpoint_that_is_not_there_is_named(tmp_path: Path, clock: Clock) -> None:
    with serving([YES]) as server:
        gone = server.url
    with pytest.raises(NoAnswer, match=r"cannot be reached.*3 tries"):
        endpoint(gone, tmp_path, clock, retries=2).ask("s", "t")


def test_the_same_request_is_sent_once(tmp_path: Path, clock: Clock) -> None:
    with serving([YES]) as server:
        for _ in range(2):
            asked = endpoint(server.url, tmp_path, clock)
            assert asked.ask("s", "t", pictures=[picture()]) == {"yes": True}
        assert (asked.usage.requests, asked.usage.cached) == (0, 1)
        asked.ask("s", "another")
        endpoint(server.url, tmp_path, clock, temperature=0.5).ask("s", "t", pictures=[picture()])
        assert len(server.requests) == 3


def test_an_answer_that_is_not_accepted_is_neither_kept_nor_taken(tmp_path: Path, clock: Clock) -> None:
    def accept(value: Any) -> str:
        return "" if value.get("yes") else "it does not say yes"

    with serving([Answer(say='{"yes": false}'), YES]) as server:
        assert endpoint(server.url, tmp_path, clock).ask("s", "t", accept=accept) == {"yes": True}
    with serving([Answer(say='{"yes": false}')]) as server, pytest.raises(NoAnswer, match="does not say yes"):
        endpoint(server.url, tmp_path, clock, retries=1).ask("s", "t", accept=accept)


def test_no_more_requests_a_minute_go_out_than_allowed(tmp_path: Path, clock: Clock) -> None:
    with serving([YES]) as server:
        asked = endpoint(server.url, tmp_path, clock, per_minute=30)
        for number in range(4):
            asked.ask("s", f"question {number}")
    assert clock.slept == pytest.approx([2.0, 2.0, 2.0])


def test_nothing_is_asked_once_the_money_is_spent(tmp_path: Path, clock: Clock) -> None:
    with serving([YES]) as server:
        # 1000 tokens at 2 and 200 at 10 for a million: 0.004 a request
        asked = endpoint(server.url, tmp_path, clock, price_in=2.0, price_out=10.0, max_cost=0.01)
        for number in range(3):
            asked.ask("s", f"question {number}")
        assert asked.usage.cost == pytest.approx(0.012)
        with pytest.raises(Spent, match=r"0\.0120 is spent"):
            asked.ask("s", "one more")
        assert asked.ask("s", "question 0") == {"yes": True}  # what was paid for is there
        assert len(server.requests) == 3


def test_several_things_are_asked_at_once_and_answered_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_KEY", KEY)

    def echo(request: Any) -> str:
        said = request["messages"][1]["content"][0]["text"]
        time.sleep(0.3 if said == "0" else 0.0)
        return json.dumps({"said": said})

    with serving([Answer(say=echo)]) as server:
        options = {"url": server.url, "model": "m", "key_env": "STAND_IN_KEY", "max_requests": 5}
        asked = asking.endpoint(options, tmp_path, where="test")
        answers = list(asking.each(asked, list("0123456"), lambda thing: asked.ask("s", thing)))
    assert [thing for thing, _ in answers] == list("0123456")
    given = [(thing, answer["said"]) for thing, answer in answers if not isinstance(answer, Spent)]
    assert all(thing == said for thing, said in given)
    assert len(given) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "localhost:8000"}, "begins with http"),
        ({"modell": "x"}, "did you mean 'model'"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"max_cost": 1.0}, "price_in"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asking.endpoint({"url": "http://localhost/v1", "model": "m", **settings}, tmp_path, where="test")
