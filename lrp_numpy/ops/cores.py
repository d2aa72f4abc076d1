"""How many cores this process may use."""
import os


def core_count() -> int:
    """The cores that the system lets this process use, at least 1."""
    if hasattr(os, "sched_getaffinity"):        # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
