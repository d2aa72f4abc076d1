"""`door`: what the arguments of public functions must be, by their names.

A name means the same in every function, so its check stands once, here. The checks of numbers that
depend on one another (shapes, labels of a network) are where they are used.
"""
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sized
from functools import wraps
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from lrp_numpy.utils.foreign import check_network

Function = TypeVar("Function", bound=Callable[..., Any])


def door(function: Function) -> Function:
    """A function that first checks those of its arguments that are in CHECKS.

    Raises ValueError, naming the argument, what it must be, and what it is. None is allowed where
    it is the default.
    """
    signature = inspect.signature(function)
    checks = {name: CHECKS[name] for name in signature.parameters if name in CHECKS}
    defaults = {name: signature.parameters[name].default for name in checks}

    @wraps(function)
    def with_checks(*arguments, **named):
        given = signature.bind(*arguments, **named).arguments     # TypeError, as ever
        for name in checks.keys() & given.keys():
            value = given[name]
            if value is None and defaults[name] is None:
                continue
            what = checks[name](value)
            if what is not None:
                raise ValueError(f"{name} must be {what}, got {_shown(value)}")
        return function(*arguments, **named)
    return with_checks                                          # type: ignore[return-value]


def _shown(value):
    """A value in a message: a large array by its type and shape."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of {value.dtype}, shape {value.shape}"
    return repr(value)[:200]


# Checks: each returns None, or what the value must be

def _network(value):
    from lrp_numpy.network import Network       # which needs this module's neighbours
    check_network(value, Network)


def _networks(value):
    if not _is_list(value):
        return "a list of networks"
    return None if all(hasattr(one, "activations") for one in value) else "a list of networks"


def _seed(value):
    try:
        np.random.default_rng(value)
    except (TypeError, ValueError):
        return "a seed, an integer of at least 0, or a numpy.random.Generator"
    return None


def _numbers(dimensions, least, what):
    def check(value):
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in "iufb"
        if not (is_array and value.ndim == dimensions and value.shape[-1] >= least):
            return what
        return None
    return check


def _array(value):
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    return None if is_array else "an array, one row an image"


def _filled_array(value):
    is_filled = _array(value) is None and value.size > 0 and value.dtype.kind in "iufb"
    return None if is_filled else "an array of numbers (D,)"


def _any_numbers(what):
    def check(value):
        try:
            array = np.asarray(value)
        except ValueError:
            return what
        return None if array.dtype.kind in "iufb" and array.ndim > 0 and array.size > 0 else what
    return check


def _path(value):
    return None if isinstance(value, (str, os.PathLike)) else "a path"


def _float_type(value):
    try:
        is_float = np.dtype(value) in (np.float32, np.float64)
    except TypeError:
        is_float = False
    return None if is_float else "float32 or float64"


def _forward_pass(value):
    is_pass = isinstance(value, tuple) and hasattr(value, "a") and hasattr(value, "z")
    return None if is_pass else "what `forward_pass` returned"


def _count(value):
    is_count = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0
    return None if is_count else "an integer of at least 1"


def _text(value):
    return None if isinstance(value, str) else "a text"


def _flag(value):
    return None if isinstance(value, (bool, int, np.bool_)) else "True or False"


def _list(what):
    return lambda value: None if _is_list(value) else what


def _is_list(value):
    return isinstance(value, Iterable) and isinstance(value, Sized) and not isinstance(
        value, (str, bytes, Mapping)) and not (isinstance(value, np.ndarray) and value.ndim == 0)


def _filled_mapping(what):
    return lambda value: None if isinstance(value, Mapping) and value else what


def _mapping(what):
    return lambda value: None if isinstance(value, Mapping) else what


def _digits(value):
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return None if all(hasattr(value, name) for name in names) else "Digits"


def _table(value):
    columns = {"ranking", "kept", "accuracy", "retrained"}
    is_table = _is_list(value) and len(value) > 0 and all(
        isinstance(row, Mapping) and columns <= set(row) for row in value)
    return None if is_table else f"a list of rows, at least one, with {', '.join(sorted(columns))}"


def _readings(value):
    is_list = _is_list(value) and len(value) > 0 and all(hasattr(one, "ink") for one in value)
    return None if is_list else "a list of what `handwriting.reading` returned, at least one"


def _runs(value):
    is_runs = _is_list(value) and len(value) > 0 and all(isinstance(one, Mapping) for one in value)
    return None if is_runs else "a list of what `outcomes` returned, at least one"


def _limit(value):
    return None if isinstance(value, Real) else "None or a finite number above 0"


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "net": _network, "nets": _networks, "rng": _seed,
    "x": _array,
    "logits": _numbers(2, 1, "an array of numbers (N, K)"),
    "image": _filled_array, "R": _filled_array,
    "means": _numbers(3, 1, "an array of numbers (K, K, D)"),
    "values": _any_numbers("numbers, at least one"), "loss": _any_numbers("numbers, at least one"),
    "importance": _any_numbers("numbers, at least one"),
    "fractions": _any_numbers("numbers from 0 to 1, at least one"),
    "path": _path, "folder": _path, "checkpoint": _path, "name": _text,
    "figure": lambda value: None if hasattr(value, "savefig") else "a matplotlib Figure",
    "resamples": _count, "repetitions": _count, "epochs": _count,
    "title": _text, "label": _text, "what": _text, "unit": _text, "alt": _text,
    "dots": _flag, "limit": _limit,
    "relevances": _list("a list of arrays (N, D), one a column"),
    "variants": _list("a list of arrays (N, D), one a column"),
    "predictions": _list("a list of classes"), "targets": _list("a list of arrays (N,)"),
    "images": _list("arrays of numbers, one an image"), "labels": _list("a list of labels"),
    "row_titles": _list("a list of titles"), "column_titles": _list("a list of titles"),
    "names": lambda value: None if np.ndim(value) or isinstance(value, str) else "a list of names",
    "unassigned": _mapping("{name: relevance}"), "rules": _mapping("{rule: its parameters}"),
    "results": _filled_mapping("{(network, rule): Curves}, at least one"),
    "dtype": _float_type, "forward_pass": _forward_pass,
    "dlogits": _numbers(2, 1, "an array of numbers (N, K)"),
    "steps": _readings, "digits": _digits, "runs": _runs, "rows": _table}
