"""`side_by_side`: several batches at once.

NumPy and the loops let go of Python's lock while they compute, so two threads with a batch each
keep two cores busy, also between its matrix products and loops. No thread waits for another before
its batch is done, so it does no harm if another program needs a core. Any thread computes a batch
in the same way: no result depends on their number.
"""
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

from lrp_numpy.ops.blas import one_core_free, one_thread
from lrp_numpy.ops.cores import is_one_of_many, thread_count

_is_free = threading.Lock()     # taken by the call that has the threads
_unsaid: ContextVar[list[str] | None] = ContextVar("_unsaid", default=None)


def side_by_side(function: Callable, items: Sequence, threads: int | None = None) -> Iterator[Any]:
    """function(item) for each of the items, in their order.

    So many threads share them (None: `thread_count()`); a call within or beside another works
    alone. What `warn` says in a thread, and the error of the first item that raises one, come out
    here, in the caller's thread. After an error no item is begun, and those begun are waited for.
    """
    threads = min(thread_count() if threads is None else threads, len(items))
    if threads < 2 or not _is_free.acquire(blocking=False):
        with one_core_free():
            yield from map(function, items)
        return
    try:
        with one_thread(), ThreadPoolExecutor(threads, "lrp_numpy") as pool:
            try:
                futures = [pool.submit(copy_context().run, _one, function, item) for item in items]
                for future in futures:
                    result, said = future.result()
                    for text in said:
                        warn(text)
                    yield result
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        _is_free.release()


def _one(function, item):
    """The result, and what was said on the way."""
    said: list[str] = []
    _unsaid.set(said)
    is_one_of_many.set(True)
    return function(item), said


def warn(text: str) -> None:
    """A warning that points to the line that called the package; see `side_by_side`."""
    unsaid = _unsaid.get()
    if unsaid is not None:
        unsaid.append(text)
        return
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("lrp_numpy."):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)


def _renew() -> None:
    """A forked process has none of its parent's threads."""
    global _is_free
    _is_free = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
