"""Training material made by other processes, in an order that does not depend on them.

Item i is a function of the seed and of i alone; worker w makes the items w, w + n, w + 2n ..., and they are taken in turn. So a run gives
the same weights with one worker or with ten, and a resumed run goes on at its next item without making those before.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from unitower.errors import UnitowerError

T = TypeVar("T")
Make = Callable[[random.Random, int], T]

AHEAD = 4
"""Items that a worker may have waiting: enough that a short item fills the gap after a long one."""


@contextmanager
def feed(make: Make[T], *, seed: int, first: int = 0, workers: int = 0) -> Iterator[Iterator[T]]:
    """make(rng, i) for i = first, first + 1, ... without end.

    make     called in the workers, which hold what it refers to as it is now, and must not use torch
    workers  processes; 0, or a system that cannot fork: made here, when asked for

    UnitowerError tells what went wrong in a worker.
    """
    gc.freeze()  # what is there stays: a corpus is not searched for garbage at every turn, nor its memory written to after a fork
    try:
        with _fed(make, seed=seed, first=first, workers=workers) as items:
            yield items
    finally:
        gc.unfreeze()


@contextmanager
def _fed(make: Make[T], *, seed: int, first: int, workers: int) -> Iterator[Iterator[T]]:
    if workers == 0 or "fork" not in multiprocessing.get_all_start_methods():
        yield (make(_rng(seed, i), i) for i in count(first))
        return
    fork = multiprocessing.get_context("fork")  # so that a corpus of half a gigabyte is there already, and only once
    queues = [fork.Queue(AHEAD) for _ in range(workers)]
    processes = [
        fork.Process(target=_work, args=(make, seed, count(first + w, workers), queues[w]), daemon=True, name=f"feed-{w}")
        for w in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        yield (_taken(queues[(i - first) % workers], processes[(i - first) % workers]) for i in count(first))
    finally:
        for process in processes:
            process.kill()
            process.join()


def _rng(seed: int, index: int) -> random.Random:
    return random.Random(f"{seed} {index}")


def _work(make: Make[Any], seed: int, indices: Iterator[int], out: multiprocessing.Queue[Any]) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads did not come along through the fork
    try:
        for i in indices:
            out.put((make(_rng(seed, i), i), None))
    except KeyboardInterrupt:  # the parent was told, too, and is ending
        return
    except BaseException:
        out.put((None, traceback.format_exc()))


def _taken(waiting: multiprocessing.Queue[Any], worker: multiprocessing.process.BaseProcess) -> Any:
    while True:
        try:
            item, fault = waiting.get(timeout=5)
        except queue.Empty:
            if not worker.is_alive():
                raise UnitowerError(f"a process that makes training material ended with code {worker.exitcode}.") from None
            continue
        if fault is not None:
            raise UnitowerError(f"training material could not be made:\n{fault}")
        return item
