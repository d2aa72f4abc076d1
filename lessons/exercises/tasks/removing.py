"""Lessons 9 and 10: removing pixels and inputs."""
import numpy as np

from judging import Case, Task
from lrp_numpy.evaluation import pruning
from lrp_numpy.evaluation import pixel_flipping as removal
from lrp_numpy.training import train as training
from lrp_numpy.network import MLP
from tasks.changes import array, normal


def remove(x, R, fraction):
    return removal.remove(x, R, "most", fraction)


def without_where(gone):
    return lambda x, R, fraction: np.where(gone(x, R, fraction), 0, x)


def count(x, fraction):
    return int(np.rint(fraction * x.shape[1]))


def places(R):
    return np.argsort(np.argsort(-R, axis=1), axis=1)


def places_in_batch(R):
    return places(R.reshape(1, -1)).reshape(R.shape)


def remove_cases():
    x, R = normal(14, (3, 10), (3, 10))
    return [Case({"x": array([0.5, 1, 0.25, 0.75]), "R": array([3, 1, -4, 2]), "fraction": 0.25}),
            Case({"x": array([1, 2, 3, 4], [5, 6, 7, 8]), "fraction": 0.5,
                  "R": array([1, 9, 2, 8], [3, -7, 2, -6])}),
            Case({"x": np.abs(x), "R": R, "fraction": 0.3}),
            Case({"x": np.abs(x[:, :9]), "R": R[:, :9], "fraction": 0.2})]


REMOVE = Task("remove", remove, remove_cases(), [
    ("the least relevant go; the most relevant must",
     lambda x, R, fraction: removal.remove(x, R, "least", fraction)),
    ("ranked by size, |R|; evidence against is not relevant for the answer",
     lambda x, R, fraction: removal.remove(x, R, "most", fraction, order="absolute")),
    ("ranked over the whole batch; each image loses its own pixels",
     without_where(lambda x, R, fraction: places_in_batch(R) < count(x, fraction) * len(x))),
    ("ranked over the whole batch; each image loses its own pixels",
     without_where(lambda x, R, fraction: places_in_batch(R) < np.rint(fraction * x.size))),
    ("the rest is removed and the most relevant are kept",
     without_where(lambda x, R, fraction: places(R) >= count(x, fraction))),
    ("removed pixels become 0, not 1", lambda x, R, fraction: np.where(
        places(R) < count(x, fraction), 1, x)),
    ("one pixel too few: the fraction is rounded to whole pixels, not down",
     without_where(lambda x, R, fraction: places(R) < int(fraction * x.shape[1]))),
    ("removed by a share of the largest relevance; it is a share of the pixels",
     without_where(lambda x, R, fraction: R > (1 - fraction) * R.max(axis=1, keepdims=True))),
    ("argsort says which pixel comes first, not at which place a pixel comes",
     without_where(lambda x, R, fraction: np.argsort(-R, axis=1) < count(x, fraction))),
    ("ranked by the brightness; it must be by the relevance",
     without_where(lambda x, R, fraction: places(x) < count(x, fraction))),
])

CONFIDENCE = Task("confidence", removal.confidence, [
    Case({"logits": array([1, 4, 3])}), Case({"logits": array([5, 4, -2], [-1, 1, 2])}),
    Case({"logits": array([-2, -4, -1])}, "the largest logit is negative"),
    Case({"logits": normal(15, (5, 4))[0]})], [
    ("divided by the second; it must be by the first",
     lambda z: removal.confidence(z) * np.sort(z)[:, -1] / np.sort(z)[:, -2]),
    ("not divided: the paper divides by the largest logit",
     lambda z: np.sort(z)[:, -1] - np.sort(z)[:, -2]),
    ("taken of the softmax; the paper takes the logits",
     lambda z: removal.confidence(training.softmax(z))),
    ("that is the margin of the softmax", removal.margin),
    ("the logits are not sorted: the first two columns are not the largest two",
     lambda z: (z[:, 0] - z[:, 1]) / z[:, 0]),
    ("the last two columns are not the largest two; sort first",
     lambda z: (z[:, -1] - z[:, -2]) / z[:, -1]),
    ("divided by the size of the largest; the paper keeps its sign",
     lambda z: removal.confidence(z) * np.sign(z.max(axis=1))),
    ("the smallest is taken for the second",
     lambda z: (z.max(axis=1) - z.min(axis=1)) / z.max(axis=1)),
    ("sorted over the wrong axis: each row is an image",
     lambda z: ((np.sort(z, axis=0)[:, -1] - np.sort(z, axis=0)[:, -2])
                / np.sort(z, axis=0)[:, -1])),
])


def fewer_by(importance, number=lambda number, D: number):
    """The smaller layer for another importance (D,) of the inputs, from (x, R)."""
    def fewer(x, W, R, count):
        kept = pruning.keep_most(importance(x, R), number(count, W.shape[0]))
        return x[:, kept], W[kept]
    return fewer


def fewer_inputs(x, W, R, count):
    kept = pruning.keep_most(np.abs(R).mean(axis=0), count)
    small = pruning.keep_inputs(MLP.from_arrays([W], [np.zeros(W.shape[1])], "identity"), kept)
    return x[:, kept], small.layers[0].W


def fewer_in_order_of_importance(x, W, R, count):
    kept = np.argsort(-np.abs(R).mean(axis=0))[:count]
    return x[:, kept], W[kept]


def masked(x, W, R, count):
    kept = np.isin(np.arange(len(W)), pruning.keep_most(np.abs(R).mean(axis=0), count))
    return np.where(kept, x, 0), np.where(kept[:, None], W, 0)


def columns(x, W, R, count):
    kept = pruning.keep_most(np.abs(R).mean(axis=0), count)
    return x[:, kept], W[:, kept]


def fewer_cases():
    x, W, R = normal(20, (6, 5), (5, 4), (6, 5))
    return [Case({"x": array([1, 2, 3], [0, 4, 5]), "W": array([1, 0], [2, 1], [0, 3]),
                  "R": array([1, -3, 0.5], [2, 2, 1]), "count": 2}),
            Case({"x": np.abs(x), "W": W, "R": R, "count": 2}),
            Case({"x": np.abs(x), "W": W, "R": R[:, ::-1].copy(), "count": 3})]


FEWER_INPUTS = Task("fewer_inputs", fewer_inputs, fewer_cases(), [
    ("ranked by the mean of R; evidence against cancels evidence for, so take that of |R|",
     fewer_by(lambda x, R: R.mean(axis=0))),
    ("ranked by |mean of R|: take the size first, then the mean",
     fewer_by(lambda x, R: np.abs(R.mean(axis=0)))),
    ("the least important are kept", fewer_by(lambda x, R: -np.abs(R).mean(axis=0))),
    ("ranked by the brightness; it must be by the relevance",
     fewer_by(lambda x, R: x.mean(axis=0))),
    ("ranked by the largest |R|, not the mean", fewer_by(lambda x, R: np.abs(R).max(axis=0))),
    ("right but for the order: the kept inputs stay in their old order",
     fewer_in_order_of_importance),
    ("shape: inputs are set to 0; they must be gone", masked),
    ("shape: columns of W are outputs; the rows are the inputs", columns),
    ("shape: that many inputs are removed; that many must be kept",
     fewer_by(lambda x, R: np.abs(R).mean(axis=0), lambda count, D: D - count)),
], outputs=("x", "W"))
