"""Judges one function: right, wrong and in which way, or not started.

A function is tried with the cases of its task. If it returns what a mistake known to the task
returns, that is the diagnosis; if not, the diagnosis follows from the kind of its results.
"""
import copy
import traceback
import warnings
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np


class Case(NamedTuple):
    """Arguments to try a function with; `where` tells what is special about them, if anything."""
    arguments: dict
    where: str = ""


class Task(NamedTuple):
    """One function to be written."""
    name: str
    solution: Callable          # (*arguments) -> what the function must return
    cases: list                 # Cases, the smallest first
    mistakes: list              # [(the diagnosis, a function with this mistake), ...]
    outputs: tuple = ("",)      # names of the results, if there are several


class Verdict(NamedTuple):
    """The verdict on one function."""
    status: str                 # "not started", "right" or "wrong"
    what: str = ""              # which kind of wrong
    case: Case = None           # the smallest case that shows it
    yours: object = None
    expected: object = None


USED = {"b": "bias forgotten", "R": "relevance ignored", "W": "weights ignored",
        "a": "activations ignored"}


def judge(function, task):
    """The `Verdict` on one function: try every case, then compare with the mistakes."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [run(task.solution, case) for case in task.cases]
        yours = [run(function, case, len(task.outputs)) for case in task.cases]
        if any(isinstance(one, NotImplementedError) for one in yours):
            return Verdict("not started")
        wrong = [i for i, (one, right) in enumerate(zip(yours, expected)) if not same(one, right)]
        if not wrong:
            return Verdict("right")
        what = diagnosis(function, task, yours, expected, wrong)
    first = wrong[0]
    return Verdict("wrong", what, task.cases[first], yours[first], expected[first])


def run(function, case, several=1):
    """The results of the function as a tuple of arrays, or the error that it raises.

    Where several results are expected, a list will do.
    """
    arguments = copy.deepcopy(case.arguments)
    try:
        result = function(*arguments.values())
    except Exception as error:      # a student's function may raise anything, and is told what
        return error
    for name, value in arguments.items():
        if not np.array_equal(value, case.arguments[name]):
            return Changed(name)
    is_several = isinstance(result, tuple) or several > 1 and isinstance(result, list)
    results = result if is_several else (result,)
    return tuple(map(as_array, results))


class Changed(NamedTuple):
    """In place of a result: the function has changed this argument."""
    name: str


def as_array(value):
    """`value` as an array of floats; anything else (None, say) as an array of objects."""
    try:
        if value is not None:
            return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        pass
    array = np.empty((), object)
    array[()] = value
    return array


def same(one, other):
    """Do two runs agree: the same numbers (to a millionth), or both stopped the same way?"""
    if not (type(one) is type(other) is tuple):
        return any(isinstance(one, kind) and isinstance(other, kind)
                   for kind in (Exception, Changed))
    return len(one) == len(other) and all(map(close, one, other))


def close(x, y):
    """Arrays of one shape with the same numbers, NaN included."""
    return (x.shape == y.shape and x.dtype != object
            and np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True))


def diagnosis(function, task, yours, expected, wrong):
    """Which kind of wrong: the most telling that fits."""
    case, one, right = (every[wrong[0]] for every in (task.cases, yours, expected))
    for what, mistaken in task.mistakes:
        if is_this_mistake(yours, [run(mistaken, c) for c in task.cases], wrong):
            return what
    if isinstance(one, Exception):
        return f"it stops with {type(one).__name__}: {one}{line_of(one)}"
    if isinstance(one, Changed):
        return f"it changes its argument {one.name}; work on a copy"
    if any(x.dtype == object for x in one):
        return "it returns nothing; is there a `return`?" if len(one) == 1 else (
            "it returns something that is not a number")
    if len(one) != len(right):
        return f"it must return {len(right)} things ({', '.join(task.outputs)}), not {len(one)}"
    for name, x, y in zip(task.outputs, one, right):
        if x.shape != y.shape:
            turned = ", transposed" if x.shape == y.shape[::-1] else ""
            return f"shape: {name or 'it'} must be {y.shape}, and yours is {x.shape}{turned}"
    if all(is_transposed(yours[i], expected[i]) for i in wrong):
        return "transposed"
    where = {task.cases[i].where for i in wrong}
    if len(where) == 1 and where != {""} and not any(
            c.where in where for i, c in enumerate(task.cases) if i not in wrong):
        return f"right except where {where.pop()}"
    several = [name for name, x, y in zip(task.outputs, one, right) if name and not close(x, y)]
    if several and len(several) < len(right):
        return f"{' and '.join(several)} wrong, the rest right"
    unused = not_used(function, task)
    if unused:
        return USED.get(unused, f"{unused} makes no difference, and it should")
    factor = common_factor(yours, expected)
    if factor is not None:
        return "the sign is wrong" if factor == -1 else f"{factor:g} times too large"
    if not all(np.isfinite(x).all() for x in one):
        return "it gives NaN or infinity; is something divided by 0?"
    return "not what the formula gives"


def is_this_mistake(yours, mistaken, wrong):
    """Are your results those of this mistake?

    One may stop where the other gives NaN, so where yours are not numbers, they may be anything.
    But unless all agree, two cases must be all numbers, and one of them a `wrong` one.
    """
    if all(map(same, yours, mistaken)):
        return True
    pairs = [(y, m) for y, m in zip(yours, mistaken) if not isinstance(y, Exception)]
    if not all(type(y) is type(m) is tuple and len(y) == len(m) for y, m in pairs):
        return False
    numbers = [i for i, y in enumerate(yours) if type(y) is tuple and all(
        x.dtype != object and np.isfinite(x).all() for x in y)]
    return len(numbers) >= 2 and bool(set(numbers) & set(wrong)) and all(
        close_where_finite(x, other) for y, m in pairs for x, other in zip(y, m))


def close_where_finite(x, y):
    """Arrays of one shape with the same numbers where x has numbers."""
    if x.shape != y.shape or object in (x.dtype, y.dtype):
        return False
    return close(x[np.isfinite(x)], y[np.isfinite(x)])


def line_of(error):
    """Where in the student's file the error was raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if Path(frame.filename).stem.startswith("ex")]
    return f" (line {lines[-1]})" if lines else ""


def is_transposed(one, other):
    """Matrices whose transpose is right."""
    return type(one) is tuple and all(
        x.ndim == 2 and close(x.T, y) for x, y in zip(one, other))


def not_used(function, task):
    """The first argument that changes the solution's results but not the function's."""
    case = task.cases[-1]
    for name, value in case.arguments.items():
        if np.asarray(value).dtype.kind != "f":
            continue
        other = Case({**case.arguments, name: 1.5 * value + 0.25 * np.sign(value)})
        mine, changed = (run(function, one, len(task.outputs)) for one in (case, other))
        if not same(run(task.solution, case), run(task.solution, other)) and (
                type(mine) is tuple and same(mine, changed)):
            return name
    return None


def common_factor(yours, expected):
    """The factor by which all of `yours` are too large, or None."""
    if not all(type(one) is tuple and len(one) == len(right)
               and all(x.shape == y.shape for x, y in zip(one, right))
               for one, right in zip(yours, expected)):
        return None
    x, y = (np.concatenate([part.ravel() for one in every for part in one])
            for every in (yours, expected))
    if not np.isfinite(x).all() or not (y @ y) > 0:
        return None
    factor = float(x @ y / (y @ y))
    return round(factor, 6) if factor != 0 and np.allclose(x, factor * y, rtol=1e-6) else None
