"""Checks of arguments, which raise ValueError; some return the checked value.

The error states the argument, what is allowed, and the value.
"""
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import wraps
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


def as_list(name: str, value: Any) -> list:
    """`value`, a sequence, as a list."""
    is_sequence = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    if not is_sequence or isinstance(value, np.ndarray) and value.ndim == 0:
        raise ValueError(f"{name} must be a list, got {value!r}")
    return list(value)


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
    if x.dtype.newbyteorder("=") not in (np.float32, np.float64, *also):
        hint = " (divide bytes by 255)" if x.dtype == np.uint8 else ""
        raise ValueError(f"{name} must be float32 or float64, got {x.dtype}{hint}")


def native(x: np.ndarray) -> np.ndarray:
    """x, with its numbers in this machine's order of bytes (a copy if they are not)."""
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def check_finite(x: np.ndarray, name: str = "x", first_row: int = 0) -> None:
    """All of x must be finite; the error gives the first value that is not, and its position.

    first_row: the number of x's first row, if x is part of a larger array.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(x.sum())        # cheap: look at each value only if this fails
    if not is_finite and not np.isfinite(x).all():
        place = np.argwhere(~np.isfinite(x))[0]
        wrong = x[tuple(place)]
        place[:1] += first_row
        raise ValueError(f"{name} must be finite, got {wrong} " + (
            f"in row {place[0]}, column {place[1]}" if x.ndim == 2 else f"at {place.tolist()}"))


def check_overflow(z: np.ndarray, name: str, first_row: int = 0) -> None:
    """`check_finite` for computed values: raises FloatingPointError instead."""
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


def check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """array.shape must be `shape`."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def as_floats(**arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays, with integers converted to float64.

    Raises ValueError unless each is a NumPy array of integers or of finite float32 or float64.
    """
    for name, array in arrays.items():
        dtype = array.dtype if isinstance(array, np.ndarray) else np.dtype(object)
        if dtype.kind not in "iu" and dtype.newbyteorder("=") not in (np.float32, np.float64):
            raise ValueError(f"{name} must be a NumPy array of integers, float32 or float64, got "
                             f"{dtype if isinstance(array, np.ndarray) else type(array).__name__}")
        check_finite(array, name)
    return [array.astype(np.float64) if array.dtype.kind in "iu" else native(array)
            for array in arrays.values()]


def at_least_0(name: str, value: Any) -> float:
    """`value` as a float; it must be a finite number of at least 0."""
    if not 0 <= as_float(value) < np.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)     # a NumPy float64 would turn float32 relevance into float64


def check_alpha_beta(alpha: Any, beta: Any) -> tuple[float, float]:
    """alpha and beta as floats: at least 1 and at least 0, and alpha - beta = 1."""
    if as_float(alpha) < 1:
        raise ValueError(f"alpha must be at least 1, got {alpha!r}: less needs a beta below 0, "
                         "which turns evidence against a class into evidence for it; the dialect "
                         "'toolbox.alpha_beta' computes it")
    alpha, beta = at_least_0("alpha", alpha), at_least_0("beta", beta)
    if abs(alpha - beta - 1) > 1e-9:
        raise ValueError(f"alpha - beta must be 1, got alpha={alpha:g}, beta={beta:g}")
    return alpha, beta


def check_low_high(low: Any, high: Any, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """low and high as arrays like a (N, ...): finite, one number or one per input; low < high."""
    try:
        real = np.result_type(a.dtype, np.float32)
        ends = [np.broadcast_to(np.asarray(end, real), a.shape[1:]) for end in (low, high)]
    except (ValueError, TypeError, OverflowError):
        ends = [np.array(np.nan), np.array(np.nan)]
    if not (np.isfinite(ends).all() and (ends[0] < ends[1]).all()):
        raise ValueError("low and high must be finite with low < high, a number or one for each "
                         f"input {a.shape[1:]}, got {low!r} and {high!r}")
    return np.full_like(a, ends[0], real), np.full_like(a, ends[1], real)


def check_start(start: Any, N: int | None, outputs: int, real: np.dtype) -> None:
    """`start` must be None, a finite number, or a finite array (N, outputs), as type `real`."""
    if np.ndim(start) > 0:
        if np.shape(start) != (N, outputs):
            raise ValueError(f"start must be None, a number, or an array of shape "
                             f"({N}, {outputs}), got {np.shape(start)}")
        each = np.asarray(start)
        if each.dtype.kind not in "iuf":
            raise ValueError(f"start must hold integers or floats, got {each.dtype}")
        with np.errstate(over="ignore"):
            check_finite(each.astype(real), "start")
    elif start is not None and not abs(as_float(start)) <= float(np.finfo(real).max):
        raise ValueError(f"start must be None or a finite {real} number, got {start!r}")


def checked(rule: Callable) -> Callable:
    """A rule of rules.py that first checks its arguments: here are the constraints of all rules.

    a, W, b, R: NumPy arrays of integers, which become float64, or of finite floats (`explain` has
    checked them already: layer.is_checked); epsilon, stabilizer, gamma: at least 0;
    alpha - beta = 1; low < high, which become arrays like a.
    """
    parameters = [one for one in inspect.signature(rule).parameters.values()
                  if one.kind is one.POSITIONAL_OR_KEYWORD]
    names = [one.name for one in parameters]
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}

    @wraps(rule)
    def with_checks(*arguments, **options):
        given = {**defaults, **dict(zip(names, arguments)), **options}
        if (len(arguments) > len(names) or set(options) & set(names[:len(arguments)])
                or not set(names) <= set(given)):
            return rule(*arguments, **options)      # which is a TypeError
        if not getattr(given.get("layer"), "is_checked", False):
            given.update(zip("aWbR", as_floats(**{name: given[name] for name in "aWbR"})))
        for name in {"epsilon", "stabilizer", "gamma", "alpha"} & set(defaults):
            given[name] = at_least_0(name, given[name])
        if "beta" in defaults:
            given["alpha"], given["beta"] = check_alpha_beta(given["alpha"], given["beta"])
        if "low" in defaults:
            given["low"], given["high"] = check_low_high(given["low"], given["high"], given["a"])
        return rule(**given)
    return with_checks
