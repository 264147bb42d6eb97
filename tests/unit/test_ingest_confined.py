"""Processes that work on hostile files: limits, deaths, and what comes after."""

import gc
import os
import signal
import sys
import textwrap
import threading
import time

import pytest

from unitower.ingest.confined import Confined, Died

WORKER = """
import os, signal, time
from unitower.ingest.confined import serve

def answer(question, payload):
    what = question["what"]
    if what == "echo":
        return {"pid": os.getpid(), "number": question.get("number")}, [bytes(payload), b"!"]
    if what == "fail":
        raise ValueError("no such thing")
    if what == "spin":
        while True:
            pass
    if what == "eat":
        return {}, [bytes(10**10)]
    if what == "sleep":
        time.sleep(1000)
    if what == "print":
        os.write(2, b"noise on standard error")
        return {}, []
    os.kill(os.getpid(), getattr(signal, what))

serve(answer)
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "a_worker.py").write_text(textwrap.dedent(WORKER))
    monkeypatch.syspath_prepend(str(tmp_path))
    with Confined("a_worker", cpu_seconds=1, memory_bytes=2**29) as confined:
        yield confined


def test_an_answer_carries_a_payload_of_any_size(worker):
    for size in (0, 1, 3_000_000):
        answer, payload = worker.ask({"what": "echo", "number": size}, b"\n" * size)
        assert answer["number"] == size
        assert bytes(payload) == b"\n" * size + b"!"


def test_one_process_answers_all_questions(worker):
    pids = {worker.ask({"what": "echo"})[0]["pid"] for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_an_exception_fails_its_question_only(worker):
    pid = worker.ask({"what": "echo"})[0]["pid"]
    assert worker.ask({"what": "fail"})[0]["failed"] == "no such thing"
    assert worker.ask({"what": "echo"})[0]["pid"] == pid


def test_memory_that_python_can_refuse_fails_its_question_only(worker):
    pid = worker.ask({"what": "echo"})[0]["pid"]
    assert "failed" in worker.ask({"what": "eat"})[0]
    assert worker.ask({"what": "echo"})[0]["pid"] == pid


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals, and no limit of processor time")
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("spin", "takes more than 1 s of work"),
        ("SIGSEGV", "needs more than 0.5 GB of memory, or breaks"),
        ("SIGKILL", "stopped by the system"),
    ],
)
def test_a_death_is_told_and_the_next_question_is_asked_of_a_new_process(worker, what, reason):
    pid = worker.ask({"what": "echo"})[0]["pid"]
    with pytest.raises(Died, match=reason):
        worker.ask({"what": what})
    assert worker.ask({"what": "echo"})[0]["pid"] != pid


def test_many_short_answers_may_take_longer_than_one(worker):
    until = time.monotonic() + 2.5  # processor time adds up to more than the limit for one answer
    while time.monotonic() < until:
        worker.ask({"what": "echo"}, b"x" * 1_000_000)


def test_an_interrupt_does_not_leave_an_answer_for_the_next_question(worker):
    worker.ask({"what": "echo"})
    alarm = threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    alarm.start()
    with pytest.raises(KeyboardInterrupt):
        worker.ask({"what": "sleep"})
    alarm.join()
    assert worker.ask({"what": "echo", "number": 7})[0]["number"] == 7


def test_threads_get_their_own_answers(worker):
    found = {}

    def ask(number):
        for _ in range(20):
            found.setdefault(number, set()).add(worker.ask({"what": "echo", "number": number})[0]["number"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {number} for number in range(4)}


def test_what_libraries_print_does_not_reach_the_terminal(worker, capfd):
    worker.ask({"what": "print"})
    assert capfd.readouterr() == ("", "")


def test_no_process_outlives_its_use(tmp_path, worker):
    pid = worker.ask({"what": "echo"})[0]["pid"]
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    worker.close()  # closing twice does no harm
    gc.collect()
