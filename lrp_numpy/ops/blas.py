"""`one_core_free`: NumPy's matrix products leave a core free, while a public call of ours runs.

NumPy's matmul has threads of its own (OpenBLAS, MKL), as many as there are cores, which spin while
they wait for one another. As soon as another program keeps one core busy, they wait for the thread
that has no core, and the equations become many times slower. With a thread less, there is a core
for each. (On two cores, training by the equations is up to 1.4 times as slow on a quiet machine;
explaining is not, because several batches are computed at once: side_by_side.py.)

What the user set is never exceeded, and comes back when the call ends. Until then, the limit holds
for the whole process, because a BLAS library has no other.
"""
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from lrp_numpy.ops.cores import core_count


class _State:
    """Of the process: who has changed the libraries' threads, and what they were before."""

    def __init__(self) -> None:
        self.is_free = threading.Lock()
        self.before: list[int] = []


_state = _State()


@contextmanager
def one_core_free() -> Iterator[None]:
    """A context, or with @ a decorator, in which a matmul has a thread less than there are cores.

    With a single core, or a limit of the user's that is lower, nothing changes. Nor does it in a
    call within a call, or beside one in another thread: the one that began first set the limit.
    """
    with _at_most(max(1, core_count() - 1)):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """The same with one thread for a matmul: where our own threads are as many as the cores."""
    with _at_most(1):
        yield


@contextmanager
def _at_most(threads: int) -> Iterator[None]:
    state = _state
    if not state.is_free.acquire(blocking=False):
        yield
        return
    try:
        state.before = [library.num_threads for library in _libraries()]
        _set([min(number, threads) for number in state.before])
        yield
    finally:
        _set(state.before)
        state.is_free.release()


@cache
def _libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController      # takes a while: not before it is needed
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set(numbers: list[int]) -> None:
    for library, number in zip(_libraries(), numbers):
        if library.num_threads != number:
            library.set_num_threads(number)


def _renew() -> None:
    """A forked process has one thread: the call of another never ends in it."""
    global _state
    begun, _state = _state, _State()
    if begun.is_free.locked():
        _set(begun.before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
