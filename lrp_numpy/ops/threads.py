"""`share`: a loop over rows, shared among threads that do not wait for one another for long.

numba has threads of its own (`parallel=True`), but they spin while they wait. As soon as another
program keeps one core busy, a spinning thread takes the time of the very thread that it waits for,
and training becomes twenty times slower. So our kernels are compiled without them. A kernel is

    def kernel(turns, a, W, ..., z):
        for n in dealt(turns):
            (compute row n of z)

and `share` calls it in several threads at once. `dealt` deals out each n once:

- A thread begins with its own part of the rows, which is the same from call to call and may still
  be in its cache. Then it takes what the others have not begun. So a thread that comes late, or has
  only half a core, finds less to do; the caller alone would do everything.
- Who waits looks at a number in memory for a tenth of a millisecond, then sleeps.
- If several threads of a program call `share` at once, the first gets help and the others work
  alone; so do the threads of side_by_side.py, which are as many as the cores. A forked process
  gets new threads.

Row n is computed in the same way by any thread: no result depends on the number of threads.

(numba's cache of the kernels does not notice a change in this file: see kernels.py.)
"""
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, NamedTuple

import numba
import numpy as np

from lrp_numpy.ops.atomics import add, is_python, now, rest
from lrp_numpy.ops.compiled import compiled
from lrp_numpy.ops.cores import is_one_of_many, thread_count

WORTH_SHARING = 2e5         # multiplications: less is done before a second thread has begun
LOOKS = 4_000               # at a number in memory, before a thread goes to sleep
LINE = 8                    # int64 numbers in a cache line: each counter has its own
CLOSED = 2**32              # added to the number of helpers inside: no other may enter


class Turns(NamedTuple):
    """What `dealt` needs: the counters of one loop, and which of its threads this is."""
    numbers: np.ndarray     # [helpers inside], then [next, end] of each thread's part; LINE apart
    calls: np.ndarray       # [loops that this process has shared so far]
    me: int                 # 0 for the caller, 1, 2, ... for its helpers


def share(kernel: Callable[..., None], count: int, work: float, *arguments: Any) -> None:
    """Call kernel(turns, *arguments) in several threads, which share the n of range(count).

    work: about how many multiplications one n takes; a small loop stays in the caller's thread. The
    kernel writes its results into its arguments. Returns when the whole loop is done. If the kernel
    raises anywhere, no further n is begun, and the error is raised here.
    """
    helpers = 0 if is_one_of_many.get() else min(_pool.threads, count) - 1
    if helpers < 1 or count * work < WORTH_SHARING or not _pool.is_free.acquire(blocking=False):
        kernel(_turns(count, 1, np.zeros(1, np.int64)), *arguments)
        return
    try:
        _pool.run(_Loop(kernel, arguments, _turns(count, helpers + 1, _pool.calls)), helpers)
    finally:
        _pool.is_free.release()


def _turns(count: int, threads: int, calls: np.ndarray) -> Turns:
    numbers = np.zeros(LINE * (threads + 1), np.int64)
    for thread in range(threads):
        numbers[LINE * (thread + 1)] = count * thread // threads
        numbers[LINE * (thread + 1) + 1] = count * (thread + 1) // threads
    return Turns(numbers, calls, 0)


# Compiled

@numba.njit(nogil=True)         # numba cannot keep a generator on disk, only what contains it
def dealt(turns: Turns) -> Iterator[int]:
    """Yields each n that this thread shall compute."""
    numbers, calls, me = turns
    threads = len(numbers) // LINE - 1
    if me == 0:
        add(calls, 0, 1)        # helpers that look see it, now that Python's lock is free for them
    this_call = now(calls)
    if me == 0 or add(numbers, 0, 1) < CLOSED:
        for i in range(threads):
            part = LINE * ((me + i) % threads + 1)
            n = add(numbers, part, 1)
            while n < numbers[part + 1]:
                yield n
                n = add(numbers, part, 1)
    if me == 0:
        add(numbers, 0, CLOSED)
        for _ in range(LOOKS):
            if now(numbers) == CLOSED:
                break
            rest()
    else:
        add(numbers, 0, -1)
        for _ in range(LOOKS):          # stay awake for the next loop
            if now(calls) != this_call:
                break
            rest()


@compiled()
def stop(numbers: np.ndarray) -> None:
    """No further n is dealt."""
    for part in range(LINE, len(numbers), LINE):
        numbers[part + 1] = 0


@compiled()
def close(numbers: np.ndarray) -> None:
    """No further helper enters. Only the caller closes, so that CLOSED is not added twice."""
    if now(numbers) < CLOSED:
        add(numbers, 0, CLOSED)


# The threads

class _Loop:
    """A kernel's loop, to which several threads may come."""

    def __init__(self, kernel: Callable[..., None], arguments: tuple, turns: Turns) -> None:
        self.kernel, self.arguments, self.turns = kernel, arguments, turns
        self.left: SimpleQueue = SimpleQueue()      # an entry for each helper that has left
        self.errors: list[BaseException] = []       # of helpers that could not leave properly

    def help(self, me: int) -> None:
        try:
            self.kernel(self.turns._replace(me=me), *self.arguments)
        except BaseException as error:
            self.errors.append(error)
            stop(self.turns.numbers)
        finally:
            self.left.put(me)

    def wait(self) -> None:
        """Until every helper has left, also if Ctrl-C is pressed: they still write into arrays of
        the caller."""
        interrupt = None
        while self.turns.numbers[0] > CLOSED + len(self.errors):
            try:
                self.left.get()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


class _Pool:
    """The helpers of a process. They are started when they are first needed, and then sleep until
    somebody rings their bell."""

    def __init__(self) -> None:
        self.threads = 1 if is_python else thread_count()
        self.is_free = threading.Lock()
        self.calls = np.zeros(LINE, np.int64)
        self.bells: list[Any] = []                  # locked while there is nothing to do
        self.loop: _Loop | None = None

    def run(self, loop: _Loop, helpers: int) -> None:
        while len(self.bells) < helpers:
            self.bells.append(_locked())
            threading.Thread(target=self.help, args=[len(self.bells)], name="lrp_numpy",
                             daemon=True).start()
        self.loop = loop
        for bell in self.bells[:helpers]:
            if bell.locked():
                bell.release()
        try:
            loop.kernel(loop.turns, *loop.arguments)
        except BaseException:
            stop(loop.turns.numbers)
            close(loop.turns.numbers)
            raise
        finally:
            self.loop = None
            loop.wait()
        if loop.errors:
            raise loop.errors[0]

    def help(self, me: int) -> None:
        while True:
            self.bells[me - 1].acquire()
            loop = self.loop
            if loop is not None and me < len(loop.turns.numbers) // LINE:
                loop.help(me)
            del loop                                # and its arrays


def _locked() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


_pool = _Pool()


def _renew() -> None:
    """A forked process has none of its parent's threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
