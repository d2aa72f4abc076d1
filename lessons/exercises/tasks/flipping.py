"""Lessons 10 and 15: pixel flipping, and fewer inputs."""
import numpy as np

from judging import Case, Task
from lrp_numpy import evaluation
from lrp_numpy.network import MLP
from lrp_numpy.training import softmax
from tasks.changes import array, normal


def flip(x, R, fraction):
    return evaluation.flip(x, R, "morf", fraction)


def flip_where(chosen):
    return lambda x, R, fraction: np.where(chosen(x, R, fraction), 0, x)


def count(x, fraction):
    return int(np.rint(fraction * x.shape[1]))


def ranks(R):
    return np.argsort(np.argsort(-R, axis=1), axis=1)


def ranks_in_batch(R):
    return ranks(R.reshape(1, -1)).reshape(R.shape)


def flip_cases():
    x, R = normal(14, (3, 10), (3, 10))
    return [Case({"x": array([0.5, 1, 0.25, 0.75]), "R": array([3, 1, -4, 2]), "fraction": 0.25}),
            Case({"x": array([1, 2, 3, 4], [5, 6, 7, 8]),
                  "R": array([1, 9, 2, 8], [3, -7, 2.5, -6]), "fraction": 0.5}),
            Case({"x": np.abs(x), "R": R, "fraction": 0.3}),
            Case({"x": np.abs(x[:, :9]), "R": R[:, :9], "fraction": 0.2})]


FLIP = Task("flip", flip, flip_cases(), [
    ("the least relevant pixels are flipped (LeRF); flip the most relevant (MoRF)",
     lambda x, R, fraction: evaluation.flip(x, R, "lerf", fraction)),
    ("ranked by |R|; pixels with negative relevance are the least relevant ones",
     lambda x, R, fraction: evaluation.flip(x, R, "morf", fraction, order="absolute")),
    ("ranked over the whole batch; rank the pixels of each image by themselves",
     flip_where(lambda x, R, fraction: ranks_in_batch(R) < count(x, fraction) * len(x))),
    ("ranked over the whole batch; rank the pixels of each image by themselves",
     flip_where(lambda x, R, fraction: ranks_in_batch(R) < np.rint(fraction * x.size))),
    ("the others are flipped and the most relevant are kept",
     flip_where(lambda x, R, fraction: ranks(R) >= count(x, fraction))),
    ("flipped pixels become 0, not 1", lambda x, R, fraction: np.where(
        ranks(R) < count(x, fraction), 1, x)),
    ("one pixel too few: the fraction is rounded to whole pixels, not down",
     flip_where(lambda x, R, fraction: ranks(R) < int(fraction * x.shape[1]))),
    ("flipped above a fraction of the largest relevance; it is a fraction of the pixels",
     flip_where(lambda x, R, fraction: R > (1 - fraction) * R.max(axis=1, keepdims=True))),
    ("argsort gives the pixel of each rank, not the rank of each pixel",
     flip_where(lambda x, R, fraction: np.argsort(-R, axis=1) < count(x, fraction))),
    ("ranked by brightness; rank by relevance",
     flip_where(lambda x, R, fraction: ranks(x) < count(x, fraction))),
])

CONFIDENCE = Task("confidence", evaluation.confidence, [
    Case({"logits": array([1, 4, 3])}), Case({"logits": array([5, 4, -2], [-1, 1, 2])}),
    Case({"logits": array([-2, -4, -1])}, "the largest logit is negative"),
    Case({"logits": normal(15, (5, 4))[0]})], [
    ("divided by the second; it must be by the first",
     lambda z: evaluation.confidence(z) * np.sort(z)[:, -1] / np.sort(z)[:, -2]),
    ("not divided: the paper divides by the largest logit",
     lambda z: np.sort(z)[:, -1] - np.sort(z)[:, -2]),
    ("computed from the softmax; the paper uses the logits",
     lambda z: evaluation.confidence(softmax(z))),
    ("that is the softmax margin", evaluation.margin),
    ("the logits are not sorted: the first two columns are not the largest two",
     lambda z: (z[:, 0] - z[:, 1]) / z[:, 0]),
    ("the last two columns are not the largest two; sort first",
     lambda z: (z[:, -1] - z[:, -2]) / z[:, -1]),
    ("divided by the size of the largest; the paper keeps its sign",
     lambda z: evaluation.confidence(z) * np.sign(z.max(axis=1))),
    ("the smallest logit is used as the second",
     lambda z: (z.max(axis=1) - z.min(axis=1)) / z.max(axis=1)),
    ("sorted over the wrong axis: each row is an image",
     lambda z: ((np.sort(z, axis=0)[:, -1] - np.sort(z, axis=0)[:, -2])
                / np.sort(z, axis=0)[:, -1])),
])


def fewer_by(importance, number=lambda number, D: number):
    """The smaller layer for another importance (D,) of the inputs, from (x, R)."""
    def fewer(x, W, R, count):
        kept = evaluation.top_k(importance(x, R), number(count, W.shape[0]))
        return x[:, kept], W[kept]
    return fewer


def fewer_inputs(x, W, R, count):
    kept = evaluation.top_k(np.abs(R).mean(axis=0), count)
    small = evaluation.prune_inputs(MLP.from_arrays([W], [np.zeros(W.shape[1])], "identity"), kept)
    return x[:, kept], small.layers[0].W


def in_order_of(importance):
    """The smaller layer with the inputs in the order of an importance of R, the largest first."""
    def fewer(x, W, R, count):
        kept = np.argsort(-importance(R))[:count]
        return x[:, kept], W[kept]
    return fewer


def masked(x, W, R, count):
    kept = np.isin(np.arange(len(W)), evaluation.top_k(np.abs(R).mean(axis=0), count))
    return np.where(kept, x, 0), np.where(kept[:, None], W, 0)


def columns(x, W, R, count):
    kept = evaluation.top_k(np.abs(R).mean(axis=0), count)
    return x[:, kept], W[:, kept]


def fewer_cases():
    x, W, R = normal(20, (6, 5), (5, 4), (6, 5))
    return [Case({"x": array([1, 2, 3], [0, 4, 5]), "W": array([1, 0], [2, 1], [0, 3]),
                  "R": array([1, -3, 0.5], [2, 2, 1]), "count": 2}),
            Case({"x": np.abs(x), "W": W, "R": R, "count": 2}),
            Case({"x": np.abs(x), "W": W, "R": R[:, ::-1].copy(), "count": 3})]


FEWER_INPUTS = Task("fewer_inputs", fewer_inputs, fewer_cases(), [
    ("ranked by the mean of R, in which signs cancel; take the mean of |R|",
     fewer_by(lambda x, R: R.mean(axis=0))),
    ("ranked by |mean of R|: take the absolute value first, then the mean",
     fewer_by(lambda x, R: np.abs(R.mean(axis=0)))),
    ("the least important are kept", fewer_by(lambda x, R: -np.abs(R).mean(axis=0))),
    ("ranked by brightness; rank by relevance",
     fewer_by(lambda x, R: x.mean(axis=0))),
    ("ranked by the largest |R|, not the mean", fewer_by(lambda x, R: np.abs(R).max(axis=0))),
    ("right but for the order: the kept inputs stay in their old order",
     in_order_of(lambda R: np.abs(R).mean(axis=0))),
    ("ranked by the mean of R, in which signs cancel, and not in their old order: take the mean of "
     "|R|, and sort the indices", in_order_of(lambda R: R.mean(axis=0))),
    ("shape: inputs are set to 0; remove them", masked),
    ("shape: columns of W are outputs; the rows are the inputs", columns),
    ("shape: `count` inputs are removed; keep `count` inputs",
     fewer_by(lambda x, R: np.abs(R).mean(axis=0), lambda count, D: D - count)),
], outputs=("x", "W"))
