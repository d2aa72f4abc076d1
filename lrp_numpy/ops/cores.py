"""How many cores and threads this process may use."""
import os
from contextvars import ContextVar

# True within a thread that shares the cores with others as busy: its loops call no helpers
is_one_of_many: ContextVar[bool] = ContextVar("is_one_of_many", default=False)


def core_count() -> int:
    """The cores that the system lets this process use, at least 1."""
    if hasattr(os, "sched_getaffinity"):        # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count() -> int:
    """The threads that share a loop: NUMBA_NUM_THREADS or OMP_NUM_THREADS if one of them is set, or
    else the cores that this process may use. This is the one place that decides it."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        number = os.environ.get(name, "")
        if number.isdecimal() and int(number) > 0:
            return int(number)
    return core_count()
