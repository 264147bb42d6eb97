"""A chat endpoint that speaks OpenAI's protocol (POST .../chat/completions): one's own vLLM, or a hosted one.

What can go wrong with one is handled here: refused and broken answers are asked again after a pause (the server's Retry-After, else twice
as long each time), no more requests a minute go out than allowed, nothing is asked once the money is spent, and an answer that was paid
for is kept: the same request is never sent twice. The key comes from the environment and is written nowhere.

Needs nothing but the standard library. Protocol: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unitower.errors import UnitowerError

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""Answers that may be others a little later; the rest of 4xx says that the request is wrong."""

LARGEST_ANSWER = 4_000_000
"""Bytes; an answer of a chat has some thousands."""

LONGEST_PAUSE_S = 120.0


class EndpointError(UnitowerError):
    """The endpoint cannot be had, or refuses: what it said, and what to do."""


class NoAnswer(EndpointError):
    """No usable answer came to one request, however often it was sent."""


class Spent(EndpointError):
    """The limit of cost or requests is reached: what is left goes unasked."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An endpoint and how it may be used.

    url            up to the version: "http://localhost:8000/v1"
    model          as the endpoint calls it
    key_env        variable of the environment that holds the key; "" for an endpoint without one
    timeout_s      for one answer
    retries        further tries of a request that failed
    pause_s        before the first of them; twice as long before each next one
    per_minute     requests that may be sent; 0: any number
    parallel       requests at a time
    max_cost       in the currency of the prices; 0: no limit
    max_requests   0: no limit
    price_in       of a million tokens of the prompt, pictures included
    price_out      of a million tokens of the answer
    max_tokens     of an answer
    temperature    0 gives the likeliest answer, the same each time as far as the endpoint keeps to that
    cache          folder for answers; relative to the config
    image_side     pixels of the longer side of pictures that are sent; 0: as they are
    """

    url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    retries: int = 5
    pause_s: float = 1.0
    per_minute: float = 0.0
    parallel: int = 4
    max_cost: float = 0.0
    max_requests: int = 0
    price_in: float = 0.0
    price_out: float = 0.0
    max_tokens: int = 800
    temperature: float = 0.0
    cache: str = ".unitower-bench-cache"
    image_side: int = 1600

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError(f"url is {self.url!r}: an endpoint's address begins with http:// or https://.")
        for name, least in {
            "timeout_s": 0.001,
            "retries": 0,
            "pause_s": 0,
            "parallel": 1,
            "max_cost": 0,
            "per_minute": 0,
            "max_tokens": 1,
        }.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it is {least} or more.")
        if self.max_cost and not (self.price_in or self.price_out):
            raise ValueError("max_cost is given without price_in and price_out, so that no cost can be told.")


@dataclass
class Usage:
    """What was asked so far.

    answered  requests that came to something
    cost      in the currency of the prices
    """

    requests: int = 0
    answered: int = 0
    cached: int = 0
    tried_again: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    def __str__(self) -> str:
        """
        >>> str(Usage(requests=1200, answered=1199, cached=3, tried_again=1, tokens_in=90_000, tokens_out=4_000, cost=0.25))
        '1,200 requests (1 of them again), 3 answers kept from before, 90,000 tokens in, 4,000 out, cost 0.2500'
        """
        again = f" ({self.tried_again:,} of them again)" if self.tried_again else ""
        kept = f", {self.cached:,} answers kept from before" if self.cached else ""
        cost = f", cost {self.cost:.4f}" if self.cost else ""
        requests = f"{self.requests:,} request{'s' * (self.requests != 1)}{again}{kept}"
        return f"{requests}, {self.tokens_in:,} tokens in, {self.tokens_out:,} out{cost}"


class _Failed(Exception):
    """A try that may be repeated. pause_s: what the server asks for; None: it does not say."""

    def __init__(self, why: str, *, pause_s: float | None = None) -> None:
        super().__init__(why)
        self.pause_s = pause_s


class Endpoint:
    """Asks, with all limits; may be used by several threads at once.

    clock, sleep  for tests
    """

    def __init__(
        self,
        settings: Settings,
        *,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.usage = Usage()
        self._cache = folder / settings.cache
        self._key = os.environ.get(settings.key_env, "") if settings.key_env else ""
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = 0.0
        # no redirects: they would carry the key to another server
        self._opener = urllib.request.build_opener(_NoRedirects(), urllib.request.HTTPSHandler(context=ssl.create_default_context()))

    def ask(self, system: str, text: str, *, pictures: Sequence[Path | bytes] = (), accept: Callable[[Any], str] = lambda _: "") -> Any:
        """The JSON value that the endpoint answers with.

        pictures  files or bytes of PNG, WebP or JPEG, shown before the text
        accept    says what is wrong with an answer, or ""; a wrong one is asked for again and is not kept

        Spent once a limit is reached. NoAnswer if the endpoint cannot be had or keeps answering something else, EndpointError if it
        refuses.
        """
        parts = [{"type": "image_url", "image_url": {"url": _data_url(picture, self.settings.image_side)}} for picture in pictures]
        request = {
            "model": self.settings.model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": [*parts, {"type": "text", "text": text}]},
            ],
            "temperature": self.settings.temperature,
            "max_tokens": self.settings.max_tokens,
            "response_format": {"type": "json_object"},
        }
        body = json.dumps(request, ensure_ascii=False).encode()
        place = self._place(body)
        kept = _read(place)
        if kept is not None and not accept(kept):
            with self._lock:
                self.usage.cached += 1
            return kept
        value = self._tried(body, accept)
        with self._lock:
            self.usage.answered += 1
        _write(place, value)
        return value

    def _tried(self, body: bytes, accept: Callable[[Any], str]) -> Any:
        why = ""
        for attempt in range(self.settings.retries + 1):
            try:
                value = _json_of(self._sent(body))
                if wrong := accept(value):
                    raise _Failed(f"its answer is not what was asked for: {wrong}")
                return value
            except _Failed as failed:
                why = str(failed)
                if attempt == self.settings.retries:
                    break
                pause = self.settings.pause_s * 2**attempt * random.uniform(0.8, 1.2)  # many clients should not come back at once
                self._sleep(min(LONGEST_PAUSE_S, pause if failed.pause_s is None else max(failed.pause_s, 0.0)))
                with self._lock:
                    self.usage.tried_again += 1
        raise NoAnswer(f"{self.settings.url}: {why} ({self.settings.retries + 1} tries).")

    def _sent(self, body: bytes) -> str:
        """The text of one answer. _Failed where another try may help, EndpointError where it may not."""
        self._wait_for_turn()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "unitower"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(f"{self.settings.url.rstrip('/')}/chat/completions", data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.settings.timeout_s) as response:
                answer = response.read(LARGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            said = self._told(error)
            if error.code in AGAIN:
                raise _Failed(f"it answered {error.code}{said}", pause_s=_asked_pause(error.headers.get("Retry-After"))) from None
            hint = f"; the key is taken from {self.settings.key_env or 'nowhere: key_env is empty'}" if error.code in (401, 403) else ""
            raise EndpointError(f"{self.settings.url} refuses the request: it answered {error.code}{said}{hint}.") from None
        except TimeoutError:
            raise _Failed(f"no answer within {self.settings.timeout_s:g} s") from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _Failed(f"no answer within {self.settings.timeout_s:g} s") from None
            raise _Failed(f"it cannot be reached: {self._redacted(str(reason) or type(reason).__name__)}") from None
        if len(answer) > LARGEST_ANSWER:
            raise _Failed(f"its answer has more than {LARGEST_ANSWER:,} bytes")
        return self._taken(answer)

    def _taken(self, answer: bytes) -> str:
        """The text of an answer, its tokens counted."""
        try:
            values = json.loads(answer)
            usage = values.get("usage") or {}
            tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            content = values["choices"][0]["message"]["content"]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise _Failed(f"its answer is not that of a chat ({type(error).__name__})") from None
        with self._lock:
            self.usage.tokens_in += tokens[0]
            self.usage.tokens_out += tokens[1]
            self.usage.cost += (tokens[0] * self.settings.price_in + tokens[1] * self.settings.price_out) / 1e6
        if not isinstance(content, str):
            raise _Failed("its answer has no text")
        return content

    def _wait_for_turn(self) -> None:
        """Count a request and wait until it may go out. Spent where none may."""
        with self._lock:
            if self.settings.max_requests and self.usage.requests >= self.settings.max_requests:
                raise Spent(f"{self.settings.max_requests:,} requests are sent, which is max_requests.")
            if self.settings.max_cost and self.usage.cost >= self.settings.max_cost:
                raise Spent(f"{self.usage.cost:.4f} is spent, max_cost is {self.settings.max_cost:g}.")
            self.usage.requests += 1
            now = self._clock()
            turn = max(now, self._next)
            if self.settings.per_minute:
                self._next = turn + 60 / self.settings.per_minute
        if turn > now:
            self._sleep(turn - now)

    def _told(self, error: urllib.error.HTTPError) -> str:
        """What the server says of its refusal, on one line, without the key."""
        try:
            text = error.read(10_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        try:
            values = json.loads(text)
            said = values.get("error", values.get("message", text)) if isinstance(values, dict) else text
            text = str(said.get("message", said) if isinstance(said, dict) else said)
        except ValueError:
            pass
        line = " ".join(self._redacted(text).split())
        return f": {line[:300]}" if line else ""

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _place(self, body: bytes) -> Path:
        """Where the answer to a request is kept: by everything that is sent, pictures included, and the address; not the key."""
        digest = hashlib.sha256(self.settings.url.encode() + b"\0" + body).hexdigest()
        return self._cache / digest[:2] / f"{digest}.json"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _json_of(content: str) -> Any:
    """The JSON value of an answer; a fence around it, as models write them, is left out."""
    text = content.strip()
    if text.startswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        return json.loads(text)
    except ValueError:
        raise _Failed(f"its answer is no JSON: {' '.join(text.split())[:80]!r}") from None


def _asked_pause(value: str | None) -> float | None:
    """Seconds of a Retry-After: a number, or a date (RFC 9110, 10.2.3); None where there is none, or it says nothing."""
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError):
        return None


def _data_url(picture: Path | bytes, side: int) -> str:
    """A picture as it is sent: PNG, its longer side within the limit."""
    import io

    from PIL import Image

    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        if side:
            image.thumbnail((side, side))
        file = io.BytesIO()
        image.convert("RGB").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _read(place: Path) -> Any:
    try:
        return json.loads(place.read_text(encoding="utf-8"))["value"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(place: Path, value: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{threading.get_ident()}")
    beside.write_text(json.dumps({"value": value}, ensure_ascii=False), encoding="utf-8")
    os.replace(beside, place)
