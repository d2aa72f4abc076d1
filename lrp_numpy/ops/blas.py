"""`one_blas_thread`: NumPy's matrix products in one thread, while a public call of ours runs.

NumPy's matmul has threads of its own (OpenBLAS, MKL), which spin while they wait. For products as
small as a batch of digits they gain a fifth at best; and as soon as another program keeps one core
busy, they make the equations many times slower. With one thread, results do not depend on the
number of cores either.

What the user set comes back when the call ends. Until then, the limit holds for all threads of the
process, because a BLAS library has no other.
"""
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Limit:
    """One for the process: set by the first call that begins, lifted by the last that ends."""

    def __init__(self) -> None:
        self.lock, self.calls = threading.Lock(), 0
        self.libraries: Any = None
        self.lift: Any = None

    def enter(self) -> None:
        with self.lock:
            if self.calls == 0:
                if self.libraries is None:
                    from threadpoolctl import ThreadpoolController      # takes a while: not before
                    self.libraries = ThreadpoolController().select(user_api="blas")
                self.lift = self.libraries.limit(limits=1)
            self.calls += 1

    def leave(self) -> None:
        with self.lock:
            self.calls -= 1
            if self.calls == 0:
                self.lift.restore_original_limits()


_limit = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context, or with @ a decorator, in which a matmul runs in one thread."""
    limit = _limit
    limit.enter()
    try:
        yield
    finally:
        limit.leave()


def _renew() -> None:
    """A forked process has one thread: calls of the others never end in it."""
    global _limit
    begun, _limit = _limit, _Limit()
    if begun.calls:
        begun.lift.restore_original_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
