"""Arrays as the kernels take them: those of kernels.py and of token_kernels.py."""
import math

import numpy as np

from lrp_numpy.utils.types import Shape

PARTS = 8       # of the images, summed apart, so that a sum does not depend on the threads


def as_contiguous_floats(*arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays as the kernels take them, copied if necessary: C-contiguous, writeable, and all
    float32 or all float64. So each kernel is compiled in two versions, not dozens."""
    real = np.dtype(np.float32 if all(array.dtype == np.float32 for array in arrays)
                    else np.float64)
    return [array if type(array) is np.ndarray and array.dtype == real and array.flags.carray
            else np.array(array, real, order="C") for array in arrays]


def filled(shape: Shape, value: np.ndarray) -> np.ndarray:
    """`value`, broadcast to `shape`, as one row: sooner than by np.broadcast_to."""
    row = np.empty(shape, value.dtype)
    row[...] = value
    return row.ravel()


def as_planes(a: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as (N, C, H W): a view if a is C-contiguous."""
    return a.reshape(*a.shape[:2], math.prod(a.shape[2:]))


def as_rows(a: np.ndarray) -> np.ndarray:
    """(N, ...) as (N, D): a view if a is C-contiguous."""
    return a.reshape(len(a), math.prod(a.shape[1:]))
