"""The annotation page, served to this machine alone.

    GET  /                      the page
    GET  /api/set?who=NAME      queries, what NAME has judged and written, agreement; never what others judged (two judge blindly)
    GET  /api/page?id=ID        a page's picture
    POST /api/do                an entry of the journal; answered when it is on the disk

Requests must name this machine as their host, and what changes something must be JSON: a page of the web can do neither.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from unitower.builder.annotation.agreement import agreements
from unitower.builder.annotation.journal import REASONS, Journal, checked
from unitower.builder.languages import codes
from unitower.builder.reading import WrittenSet
from unitower.builder.types import KINDS
from unitower.builder.writing import JOURNAL

PAGE = Path(__file__).with_name("page.html")

LARGEST_BODY = 100_000

KINDS_OF_PICTURE = {b"\x89PNG": "image/png", b"RIFF": "image/webp", b"\xff\xd8\xff": "image/jpeg"}


def server(place: Path, *, port: int = 0) -> ThreadingHTTPServer:
    """A server of a set's annotation page on 127.0.0.1, not yet running. UnitowerError if there is no set; port 0: any free one."""
    judged = WrittenSet(place)
    queries = {draft.id for draft in judged.drafts}
    journal = Journal(place / JOURNAL)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
            if not self._is_local():
                self._refuse(HTTPStatus.FORBIDDEN, "this page is for this machine alone")
            elif address.path == "/":
                self._answer(PAGE.read_bytes(), "text/html; charset=utf-8")
            elif address.path == "/api/set":
                self._answer(json.dumps(state(judged, journal, who=asked.get("who", "")), ensure_ascii=False).encode(), "application/json")
            elif address.path == "/api/page" and asked.get("id") in judged.ids:
                data = judged.picture(asked["id"])
                if data is None:
                    self._answer(judged.text(asked["id"]).encode(), "text/plain; charset=utf-8")
                else:
                    self._answer(data, next((kind for head, kind in KINDS_OF_PICTURE.items() if data.startswith(head)), "image/png"))
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > LARGEST_BODY:
                self.close_connection = True
                self._refuse(HTTPStatus.BAD_REQUEST, f"an entry has at most {LARGEST_BODY:,} bytes")
                return
            body = self.rfile.read(int(length))
            if not self._is_local() or self.headers.get("Content-Type") != "application/json":
                self._refuse(HTTPStatus.FORBIDDEN, "entries come from the annotation page alone")
                return
            if self.path != "/api/do":
                self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
                return
            try:
                entry = json.loads(body)
                checked(entry)
                if ("query" in entry and entry["query"] not in queries) or ("page" in entry and entry["page"] not in judged.ids):
                    raise ValueError("the set has no such query or page; was it built again? Reload this page.")
                journal.add(entry)
            except ValueError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            except OSError as error:
                self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, f"it could not be written down: {error.strerror}")
            else:
                self._answer(b"{}", "application/json")

        def _is_local(self) -> bool:
            """Whether the browser means this machine: a name that merely leads here may belong to a page of the web."""
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            origin = self.headers.get("Origin")
            return host in ("127.0.0.1", "localhost") and (not origin or urlsplit(origin).hostname in ("127.0.0.1", "localhost"))

        def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "max-age=3600" if kind.startswith("image/") else "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header(
                "Content-Security-Policy",
                "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
            )
            self.end_headers()
            self.wfile.write(body)

        def _refuse(self, status: HTTPStatus, why: str) -> None:
            self._answer(json.dumps({"error": why}, ensure_ascii=False).encode(), "application/json", status)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the page tells what happens."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    return Server(("127.0.0.1", port), Handler)


def state(judged: WrittenSet, journal: Journal, *, who: str) -> dict[str, Any]:
    """What the page shows to one annotator."""
    standing = journal.standing()
    return {
        "name": judged.place.name,
        "kinds": KINDS,
        "reasons": REASONS,
        "languages": codes(),
        "pages": judged.ids,
        "queries": [
            {
                "id": draft.id,
                "text": draft.text,
                "language": draft.language,
                "kind": draft.kind,
                "answer": draft.answer,
                "pages": list(draft.pages),
                "verdict": standing.verdicts.get(draft.id, {}).get(who, ""),
                "reason": standing.reasons.get(draft.id, {}).get(who, ""),
            }
            for draft in judged.drafts
        ],
        "written": [
            {"id": one.id, "page": one.page, "text": one.text, "language": one.language, "kind": one.kind}
            for one in standing.written.values()
            if one.who == who
        ],
        "agreements": [
            {"with": one.second if one.first == who else one.first, "both": one.both, "share": one.share, "kappa": one.kappa}
            for one in agreements(standing.verdicts)
            if who in (one.first, one.second)
        ],
    }
