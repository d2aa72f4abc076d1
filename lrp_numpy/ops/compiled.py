"""`compiled`: numba's decorator with the options that all kernels share."""
from typing import Any, Callable

import numba
from numba.core import event
from numba.core.compiler import Compiler

from lrp_numpy.ops import on_compile

# Sums may be taken in any order, and a * w + z rounded once. Nothing else is relaxed: NaN and
# infinity are kept.
SUMS = {"reassoc", "contract"}


class _Apart(Compiler):
    """numba's compiler, with LLVM's `noalias` for every array: `njit` has no option for it."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


def compiled(from_python: bool = True, apart: bool = False,
             **options: Any) -> Callable[[Callable], Callable]:
    """A decorator: the function compiled at its first call, and kept on disk where that works.

    It releases Python's lock while it runs, so that several threads can call it at once.
    from_python=False: only other compiled functions call it, which takes less time to compile.
    apart=True promises that no array that the function writes shares memory with another argument;
    if one does, results are silently wrong. Without the promise each loop first checks where they
    lie, which takes as long as a hundred multiplications.
    """
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True,
                "no_cpython_wrapper": not from_python}
    if apart:
        options["pipeline_class"] = _Apart

    def later(kernel):
        try:
            return numba.njit(kernel, cache=True, **options)
        except RuntimeError:        # numba found no folder for its cache
            return numba.njit(kernel, **options)
    return later


class _Tells(event.Listener):
    """numba's own events: what it finds on disk, it does not compile."""

    def on_start(self, event: Any) -> None:
        for tell in on_compile:
            tell()

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Tells())
