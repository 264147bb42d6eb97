"""A local server that speaks the protocol of OpenAI's chat completions, faults included.

Scripted: a list of answers, used up in order, the last one for ever. An answer is a status with a body, a text for a chat, or a fault.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-stand-in-0123456789"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server does with one request.

    say      content of the chat's answer; a function is given the request
    body     sent as it is, in place of a chat's answer
    wait_s   before it answers
    hang_up  closes the connection without an answer
    """

    status: int = 200
    say: str | Callable[[Mapping[str, Any]], str] = ""
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    hang_up: bool = False


@dataclass
class Server:
    """url: what a config gives. requests, headers: everything that came in, in order."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def faults_of(path: str, headers: Mapping[str, str], request: Any) -> Iterator[str]:
    """What a real server would refuse in a request."""
    if path != "/v1/chat/completions":
        yield f"no such path: {path}"
    if headers.get("Content-Type") != "application/json":
        yield "not JSON"
    if headers.get("Authorization") != f"Bearer {KEY}":
        yield "no key"
    if not isinstance(request.get("model"), str) or not request.get("messages"):
        yield "no model or messages"
    for message in request.get("messages", []):
        if message.get("role") not in ("system", "user", "assistant"):
            yield f"role {message.get('role')}"
        parts = message["content"] if isinstance(message["content"], list) else []
        for part in parts:
            if part.get("type") == "image_url" and not part["image_url"]["url"].startswith("data:image/png;base64,"):
                yield "a picture that is no data URL"
            if part.get("type") not in ("text", "image_url"):
                yield f"a part of type {part.get('type')}"


@contextmanager
def serving(answers: Sequence[Answer]) -> Iterator[Server]:
    left = list(answers)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                server.requests.append(request)
                server.headers.append(dict(self.headers))
                server.faults += faults_of(self.path, self.headers, request)
                answer = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(answer.wait_s)
            if answer.hang_up:
                self.close_connection = True
                return
            said = answer.say(request) if callable(answer.say) else answer.say
            chat = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": request["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
            }
            body = answer.body if answer.body is not None else json.dumps(chat).encode()
            try:
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client has gone
                pass

        def log_message(self, *arguments: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(url=f"http://127.0.0.1:{running.server_address[1]}/v1")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()


def refused(status: int, message: str, **headers: str) -> Answer:
    """An error as OpenAI writes it."""
    body = json.dumps({"error": {"message": message, "type": "error", "param": None, "code": None}}).encode()
    return Answer(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
