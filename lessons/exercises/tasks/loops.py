"""Lesson 23: loops that skip zeros."""
import numpy as np

from judging import Case, Task
from tasks.changes import array, normal


def multiplications(a, K):
    return np.count_nonzero(a) * K


def linear_skipping(a, W, b, wanted=lambda a_j: a_j != 0, start=1.0, factor=lambda a_j: a_j):
    z = np.zeros((len(a), len(b))) + start * b
    for n in range(len(a)):
        for j in np.flatnonzero(wanted(a[n])):
            z[n] += factor(a[n, j]) * W[j]
    return z


def relevance_skipping(a, s, W, wanted=lambda a_j: a_j != 0, factor=lambda a_j: a_j):
    R = np.zeros(a.shape)
    for n in range(len(a)):
        for j in np.flatnonzero(wanted(a[n])):
            R[n, j] = factor(a[n, j]) * (s[n] @ W[j])
    return R


def sparse(seed, N, D):
    """Inputs (N, D) of which about half are 0, and the first for all; some are negative."""
    a, chosen = normal(seed, (N, D), (N, D))
    a[chosen < 0] = 0
    a[:, 0] = 0
    return a


def unreadable(W):
    """W whose first row must not be read."""
    return np.concatenate([np.full((1, W.shape[1]), np.inf), W[1:]])


def cases(*names):
    """Case by case: (a, W, b, s), of which `names` are the arguments."""
    first = {"a": array([0, 2, 1], [3, 0, 0]), "W": array([1, 0], [2, -1], [0, 5]),
             "b": array(1, 1), "s": array([1, 2], [3, 0])}
    second = {"a": array([0, 2]), "W": array([np.inf], [3]), "b": array(1), "s": array([2])}
    a, (W, b, s) = sparse(50, 4, 5), normal(51, (5, 3), 3, (4, 3))
    third = {"a": a, "W": W, "b": b, "s": s}
    fourth = {**third, "W": unreadable(W)}
    return [Case({name: case[name] for name in names}, where) for case, where in (
        (first, ""), (second, "a weight is infinite"), (third, ""),
        (fourth, "a weight is infinite"))]


COUNTED = [Case({"a": array([0, 2, 1], [3, 0, 0]), "K": 2}), Case({"a": array([0, 0]), "K": 7}),
           Case({"a": sparse(52, 4, 5), "K": 3})]

MULTIPLICATIONS = Task("multiplications", multiplications, COUNTED, [
    ("the zeros are counted, too", lambda a, K: a.size * K),
    ("each input that is not 0 is multiplied by K weights, not by one",
     lambda a, K: np.count_nonzero(a)),
    ("only inputs above 0 are counted; negative ones need multiplications, too",
     lambda a, K: (a > 0).sum() * K),
    ("the additions of b are no multiplications",
     lambda a, K: (np.count_nonzero(a) + len(a)) * K),
    ("the numbers are added up; count them", lambda a, K: a.sum() * K),
    ("those that are saved, not those that are needed", lambda a, K: (a == 0).sum() * K),
])

NAN = "0 times infinity is NaN: do not multiply by an input that is 0, leave its row of W out"

LINEAR_SKIPPING = Task("linear_skipping", linear_skipping, cases("a", "W", "b"), [
    (NAN, lambda a, W, b: a @ W + b),
    ("bias forgotten: z begins with b, not with 0",
     lambda a, W, b: linear_skipping(a, W, b, start=0.0)),
    ("negative inputs are skipped; skip only those that are exactly 0",
     lambda a, W, b: linear_skipping(a, W, b, wanted=lambda a_j: a_j > 0)),
    ("rows of W are added, but not multiplied by a",
     lambda a, W, b: linear_skipping(a, W, b, factor=lambda a_j: 1)),
    ("b is added once for each input; begin with it once for each image",
     lambda a, W, b: np.stack([np.count_nonzero(row) * b + linear_skipping(row[None], W, 0 * b)[0]
                               for row in a])),
    ("all images are added up in one row", lambda a, W, b: np.tile(
        linear_skipping(a, W, b, start=0.0).sum(axis=0), (len(a), 1)) + b),
])

RELEVANCE_SKIPPING = Task("relevance_skipping", relevance_skipping, cases("a", "s", "W"), [
    (NAN, lambda a, s, W: a * (s @ W.T)),
    ("line 4 is missing: c is relevance per unit of an input, multiply it by a",
     lambda a, s, W: relevance_skipping(a, s, W, factor=lambda a_j: 1)),
    ("negative inputs are skipped; skip only those that are exactly 0",
     lambda a, s, W: relevance_skipping(a, s, W, wanted=lambda a_j: a_j > 0)),
    ("multiplied by a twice", lambda a, s, W: relevance_skipping(a, s, W, factor=np.square)),
    ("multiplied by |a|: a negative input turns the sign", lambda a, s, W: relevance_skipping(
        a, s, W, factor=np.abs)),
    ("s is that of the first image for all", lambda a, s, W: relevance_skipping(
        a, np.tile(s[:1], (len(s), 1)), W)),
])
