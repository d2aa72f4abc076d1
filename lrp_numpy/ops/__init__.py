"""The two engines: the equations in NumPy (reference.py), and as loops in numba (kernels.py).

Both modules have functions with the same names and arguments. Layers, networks and training receive
one of the modules as `ops`. It is chosen here, once for each public call, by the argument `engine`:

    "numpy"     the equations
    "numba"     the loops, which the first call compiles, in 5 to 10 seconds in all, and keeps on
                disk
    None        the equations below LOOPS_FROM multiplications, the loops from there on

The work is counted as (images) x (epochs) x (multiplications of one forward pass). It never depends
on what is already compiled, so results are the same to the bit on every run. With 784-500-10,
LOOPS_FROM is reached at 113,000 images: training on the shipped digits runs the equations (some
seconds), training on all of MNIST for more than one epoch runs the loops.
"""
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from lrp_numpy.ops import reference
from lrp_numpy.ops.memory import keep_freed_memory
from lrp_numpy.utils.validation import check_choice

ENGINES = ("numpy", "numba")
LOOPS_FROM = 4.5e10         # multiplications: a few seconds in NumPy, less than compilation

on_compile: list[Callable[[], None]] = []   # called each time that a loop begins to compile
_has_warned = False

keep_freed_memory()


@contextmanager
def when_compiling(tell: Callable[[], None]) -> Iterator[None]:
    """A context in which `tell` is called each time that a loop begins to compile."""
    on_compile.append(tell)
    try:
        yield
    finally:
        on_compile.remove(tell)


def choose(engine: str | None = None, multiplications: float = 0) -> ModuleType:
    """The module to compute with: ops.reference or ops.kernels, as the docstring above says.

    If numba cannot be imported, warns once and returns ops.reference for every engine.
    Raises ValueError for any other engine.
    """
    if engine is not None:
        check_choice("engine", engine, ENGINES)
    if engine == "numpy" or engine is None and multiplications < LOOPS_FROM:
        return reference
    try:
        from lrp_numpy.ops import kernels       # here, because importing numba is slow
    except ImportError as error:
        global _has_warned
        if not _has_warned:
            _has_warned = True
            warnings.warn(f"numba cannot be imported ({error}), so the NumPy equations run instead "
                          "of the loops: the same results, but slower", stacklevel=3)
        return reference
    return kernels
