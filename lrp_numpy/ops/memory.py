"""`keep_freed_memory`: what arrays give back stays with the process, for the next ones.

An equation makes new arrays, some of a megabyte, and drops them. By default, the C library of Linux
(glibc) hands such memory back to the system, which fills every new page with zeros: that takes as
long as the equations. When a large block is freed, glibc learns to keep blocks up to its size, 32
MB at most ("dynamic mmap threshold", malloc/malloc.c). So one is taken here and given back, unused.
"""
import numpy as np

LARGEST = 2**25 - 2**13     # bytes: glibc learns nothing from a block of 2**25 or more


def keep_freed_memory() -> None:
    """Training by the equations then takes up to half the time. Without glibc, nothing changes."""
    np.empty(LARGEST, np.uint8)
