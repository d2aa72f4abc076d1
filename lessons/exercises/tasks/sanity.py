"""Lesson 14: the similarity of two heatmaps, and weights replaced from the top."""
import numpy as np

from judging import Case, Task
from tasks.changes import array, normal


def correlation(ranks=lambda v: np.argsort(np.argsort(v)), of=lambda R: R, pixels=lambda x: x > 0):
    """The correlation of two heatmaps in each image, with one part of it changed."""
    def similarity(R, S, x):
        return np.array([np.corrcoef(ranks(of(a)[lit]), ranks(of(b)[lit]))[0, 1]
                         for a, b, lit in zip(R, S, pixels(x))])
    return similarity


similarity = correlation()


def in_one_batch(R, S, x):
    return np.full(len(x), np.corrcoef(*(np.argsort(np.argsort(of[x > 0])) for of in (R, S)))[0, 1])


def similarity_cases():
    R, S, x = normal(23, (3, 9), (3, 9), (3, 9))
    more = normal(24, (4, 12), (4, 12), (4, 12))
    return [Case({"R": array([3, 0.1, -1, 0.2, 9]), "S": array([1, 2, -3, 0.3, 5]),
                  "x": array([0.5, 0, 1, 1, 0.2])}),
            Case({"R": R, "S": S + R, "x": np.maximum(x + 0.5, 0)}),
            Case({"R": more[0], "S": more[1] - more[0], "x": np.maximum(more[2] + 0.5, 0)})]


SIMILARITY = Task("similarity", similarity, similarity_cases(), [
    ("all pixels count; take only those with x > 0", correlation(pixels=lambda x: x >= 0)),
    ("that is Pearson's correlation of the numbers; take that of their ranks",
     correlation(ranks=lambda v: v)),
    ("argsort alone gives the pixel of each rank; argsort of it, the rank of each pixel",
     correlation(ranks=np.argsort)),
    ("|R| is ranked; the sign counts", correlation(of=np.abs)),
    ("one correlation for the batch; each image has its own", in_one_batch),
    ("the empty pixels are compared, not the ink",
     correlation(pixels=lambda x: x <= 0)),
    ("the sign is wrong", lambda R, S, x: -similarity(R, S, x)),
])


def cascade(weights, fresh, count):
    return tuple([*weights[:len(weights) - count], *fresh[len(weights) - count:]])


def cascade_cases():
    square, other = normal(25, (2, 2), (2, 2), (2, 2)), normal(26, (2, 2), (2, 2), (2, 2))
    return [Case({"weights": square, "fresh": other, "count": count}) for count in (1, 0, 2, 3)]


CASCADE = Task("cascade", cascade, cascade_cases(), [
    ("the lowest layers are replaced; replace the uppermost, at the end of the list",
     lambda weights, fresh, count: (*fresh[:count], *weights[count:])),
    ("`count` layers are kept; `count` layers are to be replaced",
     lambda weights, fresh, count: (*weights[:count], *fresh[count:])),
    ("right except for count = 0: weights[:-0] is empty",
     lambda weights, fresh, count: (*weights[:-count], *fresh[-count:])),
    ("the new layers are in the wrong order",
     lambda weights, fresh, count: (*weights[:len(weights) - count],
                                    *fresh[len(weights) - count:][::-1])),
    ("the new layers are the lowest ones of `fresh`: each has its own place",
     lambda weights, fresh, count: (*weights[:len(weights) - count], *fresh[:count])),
    ("only one layer is replaced; replace all from there to the end",
     lambda weights, fresh, count: tuple(
         fresh[i] if count and i == len(weights) - count else W for i, W in enumerate(weights))),
], outputs=("W1", "W2", "W3"))
