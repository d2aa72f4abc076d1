"""Lessons 20 to 22: the soft minimum, the midpoint rule, and the intersection kernel."""
import numpy as np

from judging import Case, Task
from lrp_numpy.layers import Rivals, SoftMin
from lrp_numpy.rules import divide
from tasks.changes import array, normal, with_ones, without


def soft_min(h, beta):
    layer = SoftMin(beta)
    return layer.preactivation(h[:, None])[:, 0], layer.shares(h[:, None])[:, 0]


def soft_min_with(origin=lambda h: 0, axis=1, normalised=True):
    """The soft minimum with h measured from another origin than the smallest of its row, and with p
    normalised over another axis, or not at all."""
    def of(h, beta):
        e = np.exp(-beta * (h - origin(h)))
        f = origin(h) - np.log(e.sum(axis=1, keepdims=True)) / beta
        return f[:, 0], e / e.sum(axis=axis, keepdims=True) if normalised else e
    return of


def smallest(h):
    return h.min(axis=1, keepdims=True)


LARGE = "beta h is large"
SOFT_MIN = Task("soft_min", soft_min, [
    Case({"h": array([8, 6]), "beta": float(np.log(2))}),
    Case({"h": normal(20, (3, 4))[0], "beta": 0.5}),
    Case({"h": array([2000, 2003, 2001], [-2000, 0, -1999.5]), "beta": 1.5}, LARGE)], [
    (f"right except where {LARGE}: subtract the smallest h of the row first, and add it to f again",
     soft_min_with()),
    (f"right except where {LARGE}: subtract the smallest h of the row, not the largest",
     soft_min_with(lambda h: h.max(axis=1, keepdims=True))),
    (f"right except where {LARGE}: subtract the smallest h of each row, not that of all rows",
     soft_min_with(np.min)),
    ("f is measured from the smallest h: add it again",
     lambda h, beta: (soft_min(h, beta)[0] - h.min(axis=1), soft_min(h, beta)[1])),
    ("the sign of h: this is the soft maximum, and exp needs -beta h",
     lambda h, beta: (-soft_min(-h, beta)[0], soft_min(-h, beta)[1])),
    ("the sign of f is wrong: it is -1/beta times the logarithm",
     lambda h, beta: (-soft_min(h, beta)[0], soft_min(h, beta)[1])),
    ("f is not divided by beta",
     lambda h, beta: (beta * soft_min(h, beta)[0], soft_min(h, beta)[1])),
    ("beta ignored", lambda h, beta: soft_min(h, 1.0)),
    ("beta is missing in exp(-beta h), and only there",
     lambda h, beta: (soft_min(h, 1.0)[0] / beta, soft_min(h, 1.0)[1])),
    ("this is the minimum itself, as for beta = inf", lambda h, beta: soft_min(h, np.inf)),
    ("f is the smallest h; it must be the soft minimum",
     lambda h, beta: (h.min(axis=1), soft_min(h, beta)[1])),
    ("f is the mean of h, weighted with p; it is the logarithm of a sum",
     lambda h, beta: ((h * soft_min(h, beta)[1]).sum(axis=1), soft_min(h, beta)[1])),
    ("exp is averaged; f is the logarithm of the sum",
     lambda h, beta: (soft_min(h, beta)[0] + np.log(h.shape[1]) / beta, soft_min(h, beta)[1])),
    ("p is not normalised: divide by the sum of the row",
     soft_min_with(normalised=False)),
    ("p is not normalised: divide by the sum of the row",
     soft_min_with(smallest, normalised=False)),
    ("p is normalised over the wrong axis: those of a row sum to 1", soft_min_with(axis=0)),
    ("p is normalised over the wrong axis: those of a row sum to 1",
     soft_min_with(smallest, axis=0)),
    ("p is normalised over the whole batch: those of a row sum to 1",
     soft_min_with(smallest, axis=None)),
], outputs=("f", "p"))


def midpoint_rule(x, mu, c, R):
    of_all = np.zeros((len(x), len(mu), len(mu) - 1))
    of_all[:, c] = R
    return Rivals(mu).relevance("0", x, None, of_all)


def half_way(own, rivals):
    return (own + rivals) / 2


def measured(origin=half_way, below=None, factor=2.0, rivals=lambda mu, c: np.delete(mu, c, axis=0),
             divided=True):
    """The midpoint rule with other origins m (`below`: in the denominator), factors and rivals."""
    def of(x, mu, c, R):
        others = rivals(mu, c)
        w = 2 * (mu[c] - others)
        above = (x[:, None] - origin(mu[c], others)) * factor / 2 * w
        under = ((x[:, None] - (below or origin)(mu[c], others)) * w).sum(axis=2)
        return np.einsum("nkd,nk->nd", above, divide(R, under) if divided else R)
    return of


def per_unit(x, mu, c, R):
    w = 2 * (mu[c] - np.delete(mu, c, axis=0))
    h = ((x[:, None] - half_way(mu[c], np.delete(mu, c, axis=0))) * w).sum(axis=2)
    return divide(R, h) @ w


def zero(own, rivals):
    return 0 * rivals


def midpoint_cases():
    names, (x, mu, R) = ("x", "mu", "c", "R"), normal(21, (4, 3), (5, 3), (4, 4))
    three = array([4, 0], [0, 0], [5, 3])
    return [Case(dict(zip(names, (array([3, 1]), three, 0, array([1, 6]))))),
            Case(dict(zip(names, (array([3, 1], [2, 1]), three, 0, array([8, 6], [5, 3])))),
                 "h = 0"),
            Case(dict(zip(names, (x, mu, 2, R)))), Case(dict(zip(names, (x + 3, mu + 3, 1, R))))]


MIDPOINT_RULE = Task("midpoint_rule", midpoint_rule, midpoint_cases(), [
    ("measured from 0, not from the midpoint: the shares no longer sum to R",
     measured(zero, half_way)),
    ("divided by w . x: the contributions (x - m) w sum to h = w . (x - m)",
     measured(half_way, zero)),
    ("midpoints forgotten: this is LRP-0 without its bias", measured(zero)),
    ("midpoint of the wrong pair: m_k lies between c and its rival k",
     measured(lambda own, rivals: half_way(own, np.roll(rivals, 1, axis=0)))),
    ("midpoint of the wrong pair: m_k lies between c and its rival k",
     measured(lambda own, rivals: half_way(own, np.roll(rivals, -1, axis=0)))),
    ("midpoint of the wrong pair: m_k lies between c and its rival k",
     measured(lambda own, rivals: half_way(own, rivals[:1]))),
    ("midpoint of the wrong pair: m_k lies between c and its rival k",
     measured(lambda own, rivals: half_way(own, rivals.mean(axis=0, keepdims=True)))),
    ("one midpoint for all rivals: m_k lies between c and its rival k",
     measured(lambda own, rivals: np.concatenate([own[None], rivals]).mean(axis=0))),
    ("measured from the cluster's own centroid, not from the midpoint",
     measured(lambda own, rivals: own)),
    ("measured from the rival's centroid, not from the midpoint",
     measured(lambda own, rivals: rivals)),
    ("the midpoint is half the sum of the two centroids",
     measured(lambda own, rivals: own + rivals)),
    ("the midpoint is half the sum of the two centroids, not half their difference",
     measured(lambda own, rivals: (own - rivals) / 2)),
    ("factor 2 forgotten: w = 2 (mu_c - mu_k)", measured(factor=1.0)),
    ("the rivals are all clusters but c; yours are the first ones",
     measured(rivals=lambda mu, c: mu[:-1])),
    ("the rivals are all clusters but c; yours are the last ones",
     measured(rivals=lambda mu, c: mu[1:])),
    ("not divided by h: share R in proportion to the contributions", measured(divided=False)),
    ("the last step is missing: multiply w R / h by x - m", per_unit),
    ("relevance ignored: what comes from the rivals is R, not 1", with_ones(midpoint_rule, 3)),
])


def intersection_relevance(x, u, alpha, b):
    return b / x.shape[1] + kernel_parts(np.minimum)(x, u, alpha)


def kernel_parts(of_both):
    """sum_i alpha_i of_both(x_d, u_id): (N, D)."""
    return lambda x, u, alpha: np.einsum("njd,j->nd", of_both(x[:, None], u), alpha)


def with_bias(bias, of_both=np.minimum):
    """Another share of the bias, of (x, u, b), or another kernel."""
    return lambda x, u, alpha, b: bias(x, u, b) + kernel_parts(of_both)(x, u, alpha)


def equal_shares(x, u, b):
    return b / x.shape[1]


def intersection_cases():
    names = ("x", "u", "alpha", "b")
    x, u, alpha = normal(22, (3, 5), (4, 5), 4)
    square, other, weights = normal(23, (2, 3), (2, 3), 2)
    return [Case(dict(zip(names, (array([3, 1]), array([2, 4], [5, 0]), array(1, -2), 6.0)))),
            Case(dict(zip(names, (np.abs(x), np.abs(u), alpha, -1.5)))),
            Case(dict(zip(names, (np.abs(square), np.abs(other), weights, 0.8))))]


INTERSECTION = Task("intersection_relevance", intersection_relevance, intersection_cases(), [
    ("bias forgotten: the dimensions share it, b / V each", without(intersection_relevance, 3)),
    ("each dimension has the whole bias; they must share it, b / V each",
     with_bias(lambda x, u, b: b)),
    ("the bias is divided by the number of examples; the dimensions share it, b / V each",
     with_bias(lambda x, u, b: b / len(u))),
    ("the bias is divided by the number of rows of x; the dimensions share it, b / V each",
     with_bias(lambda x, u, b: b / len(x))),
    ("the bias is counted once for every example",
     with_bias(lambda x, u, b: len(u) * b / x.shape[1])),
    ("the bias is multiplied by the weights; it is added once, b / V",
     lambda x, u, alpha, b: with_bias(lambda x, u, b: alpha.sum() * b / x.shape[1])(
         x, u, alpha, b)),
    ("the maximum is taken; the intersection of two histograms is the minimum",
     with_bias(equal_shares, np.maximum)),
    ("the product is taken; the intersection of two histograms is the minimum",
     with_bias(equal_shares, np.multiply)),
    ("squared distances are taken; the intersection of two histograms is the minimum",
     with_bias(equal_shares, lambda x, u: (x - u)**2)),
    ("alpha ignored: example i counts alpha_i times", with_ones(intersection_relevance, 2)),
    ("the sign of alpha is lost: an example with a negative weight speaks against",
     lambda x, u, alpha, b: intersection_relevance(x, u, np.abs(alpha), b)),
    ("the examples are averaged; they must be summed",
     lambda x, u, alpha, b: intersection_relevance(x, u, alpha / len(u), b)),
    ("shape: this is f; do not sum over the dimensions",
     lambda x, u, alpha, b: intersection_relevance(x, u, alpha, b).sum(axis=1)),
])
