"""Weights that cache the results computed from them.

A rule such as lrp_gamma computes W + gamma * positive(W), and `explain` calls it for one batch of
images after another. So `explain` passes it a `remember(W)`: an array for which a computation from
weights and numbers alone is done once, and looked up from then on. A computation with other arrays,
such as a @ W, is done every time and gives a plain array. Rules need not know about this, but must
not write into these arrays: W.copy() and np.copy(W) give writable copies.
"""
from typing import Any, Callable

import numpy as np

MAX_RESULTS = 64    # in a memo, which is then cleared: numbers may differ between batches


class Remembering(np.ndarray):
    """A read-only array with a memo {computation: its result}, which its results share."""
    memo: dict | None

    def __array_finalize__(self, source: Any) -> None:
        self.memo = None        # a view, such as W.T, has no memo

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":        # such as a sum, into which W.mean() writes
            return _computed(getattr(ufunc, method), inputs, options)
        return _recall(ufunc, inputs, options)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function is np.copy:
            return np.array(_plain(inputs[0]))
        return _recall(function, inputs, options)


def remember(array: np.ndarray, memo: dict) -> Remembering:
    """A read-only copy of `array` whose computations are kept in `memo`."""
    return _as_remembering(np.array(array), memo)


def once(function: Callable, array: np.ndarray) -> Any:
    """function(array), as a plain array; kept in the memo if the array has one."""
    if not isinstance(array, Remembering) or array.memo is None:
        return function(_plain(array))
    key = (function, id(array))
    entry = array.memo.get(key)     # several threads may look, and each compute it
    if entry is None:
        entry = _keep(array.memo, key, (function(_plain(array)), array))
    return entry[0]


def _recall(function, inputs, options):
    if any(type(one) is np.ndarray for one in inputs) or "out" in options:
        return _computed(function, inputs, options)     # with other arrays, or into one
    try:
        memos: list[dict] = []
        key = function, _key(inputs, memos), _key(tuple(options.items()), memos)
        memo = memos[0]
        hash(key)
    except (TypeError, IndexError):     # other arrays are involved, or no memo
        return _computed(function, inputs, options)
    entry = memo.get(key)
    if entry is None:
        result = _computed(function, inputs, options)
        if type(result) is not np.ndarray:      # a number, or several arrays
            return result
        # with the inputs, so that no other array can get the id of one
        entry = _keep(memo, key, (_as_remembering(result, memo), inputs, options))
    return entry[0]


def _computed(function, inputs, options):
    return function(*map(_plain, inputs), **{word: _plain(value)
                                             for word, value in options.items()})


def _keep(memo, key, entry):
    if len(memo) >= MAX_RESULTS:
        memo.clear()
    memo[key] = entry
    return entry


def _key(value, memos):
    if isinstance(value, (tuple, list)):
        return tuple(_key(one, memos) for one in value)
    if isinstance(value, np.ndarray):
        if not isinstance(value, Remembering) or value.memo is None:
            raise TypeError
        memos.append(value.memo)
        return id(value)
    return type(value), value, str(value)       # 0.0 and -0.0 are equal, but not the same


def _plain(value):
    if isinstance(value, (tuple, list)):
        return type(value)(map(_plain, value))
    return value.view(np.ndarray) if isinstance(value, Remembering) else value


def _as_remembering(array, memo):
    array.flags.writeable = False
    remembering = array.view(Remembering)
    remembering.memo = memo
    return remembering
