"""Checks of arguments: each raises ValueError, or returns nothing.

The error names the argument, what is allowed, and the value.
"""
from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """`value` must be one of the strings in `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        *first, last = map(repr, allowed)
        raise ValueError(f"{name} must be {', '.join(first)} or {last}, got {value!r}")


def check_integer(name: str, value: Any, minimum: int = 1) -> None:
    """`value` must be an integer of at least `minimum`; bools are refused."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def as_float(value: Any) -> float:
    """`value` as a float; NaN if it is not a number, or an integer too large for a float."""
    try:
        return float(value) if isinstance(value, Real) else np.nan
    except OverflowError:
        return np.nan


def check_inputs(x: Any, width: int | str, name: str = "x") -> None:
    """x must be a finite float32 or float64 array of shape (N, width)."""
    check_array(x, width, name)
    check_finite(x, name)


def check_array(x: Any, width: int | str, name: str = "x", also: Sequence[DTypeLike] = ()) -> None:
    """x must be an array of shape (N, width), of type float32, float64 or one of `also`."""
    if not isinstance(x, np.ndarray) or isinstance(x, (np.matrix, np.ma.MaskedArray)):
        raise ValueError(f"{name} must be a NumPy array, got {type(x).__name__}")
    if x.ndim != 2 or x.shape[1] != width:
        raise ValueError(f"{name} must be an array of shape (N, {width}), one row per image, got "
                         f"{x.shape}")
    if x.dtype not in (np.float32, np.float64, *also):
        hint = " (divide bytes by 255)" if x.dtype == np.uint8 else ""
        raise ValueError(f"{name} must be float32 or float64, got {x.dtype}{hint}")


def check_finite(x: np.ndarray, name: str = "x", first_row: int = 0) -> None:
    """All of x must be finite; the error names the first value that is not, and its place.

    first_row: the number of x's first row, if x is part of a larger array.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(x.sum())        # cheap: only if it fails, look at each value
    if not is_finite and not np.isfinite(x).all():
        place = np.argwhere(~np.isfinite(x))[0]
        wrong = x[tuple(place)]
        place[:1] += first_row
        raise ValueError(f"{name} must be finite, got {wrong} " + (
            f"in row {place[0]}, column {place[1]}" if x.ndim == 2 else f"at {place.tolist()}"))


def check_overflow(z: np.ndarray, name: str, first_row: int = 0) -> None:
    """`check_finite` for results of finite numbers: raises FloatingPointError instead."""
    try:
        check_finite(z, name, first_row)
    except ValueError as error:
        raise FloatingPointError(f"{error}: x or a weight is too large for {z.dtype}") from None


def check_labels(labels: np.ndarray, count: int, classes: int, name: str = "labels") -> None:
    """labels must be `count` integers in 0..classes-1."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(f"{name} must be {count} integers, one for each image, got "
                         f"{labels.dtype} of shape {labels.shape}")
    if count and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"{name} must lie in 0..{classes - 1}, got {wrong}")
