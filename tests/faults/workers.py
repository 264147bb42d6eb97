"""Processes that index, search and are killed, in milliseconds each: children of one that has everything imported and nothing open.

`python workers.py` reads questions, a line of JSON each: {"job": name, "cwd": folder, "arguments": [...], "options": {...}} forks a child
that does the job and is answered by {"pid": ...}; {"wait": pid} by {"status": ...}, what the child came to, and "answer", what it said.
Files are read by the stand-in of `fake`, a line an item, in batches of three.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

TESTS = Path(__file__).parents[1]


class Workers:
    """The process that forks, from the side of a test. A context manager."""

    def __enter__(self) -> Workers:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
        self.process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def start(self, job: str, *arguments: Any, cwd: Path, **options: Any) -> int:
        """Begin a job; its process id. `limit_bytes` is the largest file that it may write."""
        return int(self._ask({"job": job, "cwd": str(cwd), "arguments": arguments, "options": options})["pid"])

    def wait(self, pid: int) -> tuple[int, Any]:
        """How a job ended (0, or minus the signal), and what it answered."""
        answer = self._ask({"wait": pid})
        return answer["status"], answer["answer"]

    def run(self, job: str, *arguments: Any, cwd: Path, **options: Any) -> Any:
        """The answer of a job that must come to its end; an error of ours is {"error": kind, "message": text}."""
        status, answer = self.wait(self.start(job, *arguments, cwd=cwd, **options))
        assert status == 0, f"{job} ended with {status}"
        return answer

    def killed(self, job: str, *arguments: Any, after_s: float, cwd: Path) -> bool:
        """Begin a job and kill it after a time; False if it came to its end before."""
        pid = self.start(job, *arguments, cwd=cwd)
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)  # until it is waited for, an ended process keeps its id
        return self.wait(pid)[0] == -signal.SIGKILL

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


# What the children do; each in the folder `cwd`.


def index(*paths: str, into: str = ".unitower", delay_s: float = 0.0, lock_wait_s: float = 3.0, tidy: bool = True) -> int:
    """`tidy` merges what was written in pieces, as every run does at its end."""
    from fake import FakeEncoder

    from unitower.index import Index
    from unitower.stores.lance import LanceStore

    with (
        patch("unitower.index.folder.LOCK_WAIT_S", lock_wait_s),
        patch.object(LanceStore, "optimize", LanceStore.optimize if tidy else lambda store: None),
    ):
        return Index.open(into, encoder=FakeEncoder(delay_s=delay_s)).add(list(paths)).items_added


def forget(*paths: str, into: str = ".unitower") -> int:
    from fake import FakeEncoder

    from unitower.index import Index

    return Index.open(into, encoder=FakeEncoder(), create=False).forget(list(paths))


def search(*queries: str, into: str = ".unitower") -> list[list[str]]:
    from fake import FakeEncoder

    from unitower.index import Index

    found = Index.open(into, encoder=FakeEncoder(), create=False)
    return [[f"{hit.id} {hit.snippet}" for hit in found.search(query, k=8)] for query in queries]


def status(into: str = ".unitower") -> list[Any]:
    from unitower.index import Index

    told = Index.open(into, create=False).status()
    return [told.files, sum(told.items.values()), list(told.skipped), list(told.unfinished)]


def examine(into: str = ".unitower") -> dict[str, Any]:
    from unitower.index import doctor

    with patch.object(doctor, "kernel", lambda: {"name": "not timed"}):
        return doctor.examine(into, sample=0).as_dict()


def look(*queries: str, into: str = ".unitower") -> list[Any]:
    """What `search`, `status` and `examine` answer; each may fail by itself."""
    return [or_error(search, *queries, into=into), or_error(status, into=into), examine(into=into)]


def survey(source: str, damage: str, *queries: str) -> list[Any]:
    """Kind of file, its place, and what `look` answers, for every copy of an index with one file damaged."""
    from damages import hurt

    return [[kind, str(place), *look(*queries, into=str(copy))] for kind, place, copy in hurt(Path(source).absolute(), damage)]


def or_error(job: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    from unitower.errors import UnitowerError

    try:
        return job(*arguments, **options)
    except (UnitowerError, OSError) as error:
        return {"error": type(error).__name__, "message": str(error)}


JOBS = {job.__name__: job for job in (index, forget, search, status, examine, look, survey)}


def child(question: dict[str, Any], answers: int) -> None:
    """Do a job and write what came of it."""
    options = dict(question["options"])
    os.chdir(question["cwd"])
    if limit := options.pop("limit_bytes", None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    answer = or_error(JOBS[question["job"]], *question["arguments"], **options)
    with os.fdopen(answers, "w") as out:
        json.dump(answer, out)


def sound(report: dict[str, Any]) -> bool:
    """Whether the doctor finds nothing wrong, but for a disk that may be small."""
    return all(check["ok"] is not False for check in report["checks"] if check["name"] != "disk")


def serve() -> None:
    """Fork a child for every question, until there are no more."""
    from fake import count_lines, read_lines

    import unitower.index.doctor
    import unitower.stores.lance  # noqa: F401

    warnings.simplefilter("ignore")  # Lance does not like forks; nothing of it runs in this process
    patch("unitower.index.adding.read", read_lines).start()
    patch("unitower.index.adding.count", count_lines).start()
    patch("unitower.index.adding.MAX_BATCH_ITEMS", 3).start()
    said: dict[int, tuple[threading.Thread, list[str]]] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            pid = question["wait"]
            _, how = os.waitpid(pid, 0)
            reader, pieces = said.pop(pid)
            reader.join()
            answer = json.loads(pieces[0]) if os.waitstatus_to_exitcode(how) == 0 else None
            print(json.dumps({"status": os.waitstatus_to_exitcode(how), "answer": answer}), flush=True)
            continue
        answers, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                os.close(answers)
                child(question, theirs)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(theirs)
        pieces = []
        reader = threading.Thread(target=lambda end=answers, into=pieces: into.append(os.fdopen(end).read()))
        reader.start()
        said[pid] = reader, pieces
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    serve()
