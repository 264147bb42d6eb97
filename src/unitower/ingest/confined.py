"""Work on other people's files in a process of its own, with limits that the system keeps.

Some libraries cannot be trusted with any file: a PDF of 600 bytes keeps PDFium busy for years, 40 kB of Java cost a tree-sitter
grammar 4 GB, and either may crash. None of this can be stopped from within a process. A confined process answers one question at
a time, each within so many seconds of processor time (not of the clock, so that a busy machine changes no result); if it dies of
one, only that answer is lost, and the next is asked of a new process.

A question and an answer are each a line of JSON, with "payload_bytes", followed by that many bytes.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, TypeAlias

Payload: TypeAlias = bytes | memoryview

CLOCK_SECONDS = 60
"""For one answer, should the system not limit processor time, or the disk not answer."""


class Died(Exception):
    """The process ended instead of answering; the message says of what, as in "takes more than 5 s of work"."""


class Confined:
    """A process that runs `python -m module`, which calls `serve`: started with the first question, and anew after it died of one.

    cpu_seconds   processor time for one answer
    memory_bytes  address space of the process
    """

    def __init__(self, module: str, *, cpu_seconds: int, memory_bytes: int) -> None:
        self._module, self._cpu_seconds, self._memory_bytes = module, cpu_seconds, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._one_at_a_time = threading.Lock()

    def ask(self, question: Mapping[str, Any], payload: Payload = b"") -> tuple[dict[str, Any], memoryview]:
        """The answer and its payload, from any thread; {"failed": why} where the process could say so itself. Raises Died."""
        with self._one_at_a_time:
            process = self._started()
            try:
                answer = _answer(process, question, payload)
            except BaseException:  # also if interrupted: the answer would be taken for that of the next question
                self.close()
                raise
            if answer is None:
                status = process.wait()
                self.close()
                raise Died(self._cause_of_death(status))
            return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            atexit.unregister(self.close)
            process.kill()
            with contextlib.suppress(BrokenPipeError), process:  # closes the pipes and waits
                pass

    def __enter__(self) -> Confined:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid():  # after a fork the pipes are the parent's
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module, str(self._cpu_seconds), str(self._memory_bytes)],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path),
                    "OPENBLAS_NUM_THREADS": "1",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._owner = os.getpid()
            atexit.register(self.close)
        return self._process

    def _cause_of_death(self, status: int) -> str:
        if status == -getattr(signal, "SIGXCPU", 0):
            return f"takes more than {self._cpu_seconds} s of work"
        if status == -getattr(signal, "SIGKILL", 0):
            return f"takes more than {CLOCK_SECONDS} s, or was stopped by the system"
        return f"needs more than {self._memory_bytes / 2**30:g} GB of memory, or breaks the program that reads it"


def _answer(process: subprocess.Popen[bytes], question: Mapping[str, Any], payload: Payload) -> tuple[dict[str, Any], memoryview] | None:
    """What the process answers; None if it ends instead."""
    assert process.stdin
    assert process.stdout
    alarm = threading.Timer(CLOCK_SECONDS, process.kill)
    alarm.daemon = True
    alarm.start()
    try:
        _send(process.stdin, question, [payload])
        return _receive(process.stdout)
    except BrokenPipeError:
        return None
    finally:
        alarm.cancel()


def serve(answer: Callable[[dict[str, Any], memoryview], tuple[dict[str, Any], Sequence[Payload]]]) -> None:
    """Answer questions until the input ends: what a confined process does. An exception in `answer` fails that question only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run that started this process, and its end ends the input
    cpu_seconds, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    _limit_memory(memory_bytes)
    while True:
        _limit_time(cpu_seconds)
        received = _receive(sys.stdin.buffer)
        if received is None:
            return
        try:
            reply, payloads = answer(*received)
        except Exception as error:  # libraries raise what they like
            reply, payloads = {"failed": str(error), "code": getattr(error, "err_code", None)}, []
        _send(sys.stdout.buffer, reply, payloads)


def _send(stream: IO[bytes], header: Mapping[str, Any], payloads: Sequence[Payload]) -> None:
    num_bytes = sum(len(payload) if isinstance(payload, bytes) else payload.nbytes for payload in payloads)
    stream.write(json.dumps({**header, "payload_bytes": num_bytes}).encode() + b"\n")
    for payload in payloads:
        stream.write(payload)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[dict[str, Any], memoryview] | None:
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header: dict[str, Any] = json.loads(line)
    payload = stream.read(header["payload_bytes"])
    return (header, memoryview(payload)) if len(payload) == header["payload_bytes"] else None


def _limit_memory(num_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: only the clock of the asking process limits this one
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses a limit below what is in use
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: int) -> None:
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
