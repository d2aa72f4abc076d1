"""Lesson 7: root points, z-B by way of its root, and how large a gamma is needed."""
import numpy as np

from judging import Case, Task
from lrp_numpy.rules import lrp_z_box, negative, positive
from tasks.changes import array, normal, with_ones, without


def root_point(a, w, b, v):
    return a - ((a @ w + b) / (v @ w))[:, None] * v


def with_step(t, sign=-1):
    """The end of a step of another length, t(a, w, b, v), or in the other direction."""
    return lambda a, w, b, v: a + sign * t(a, w, b, v)[:, None] * v


def length(a, w, b, v):
    return (a @ w + b) / (v @ w)


def root_cases():
    names = ("a", "w", "b", "v")
    a, w, v = normal(40, (4, 3), 3, (4, 3))
    square, weights, way = normal(41, (3, 3), 3, (3, 3))
    return [Case(dict(zip(names, (array([2, 1]), array(3, -1), 0.0, array([2, 0]))))),
            Case(dict(zip(names, (array([2, 1], [2, 1]), array(3, -1), -1.0,
                                  array([3, -1], [2, 1]))))),
            Case(dict(zip(names, (a, w, -0.7, v)))),
            Case(dict(zip(names, (square, weights, -0.3, way))))]


ROOT_POINT = Task("root_point", root_point, root_cases(), [
    ("bias forgotten: the root is where a . w + b is 0, not a . w", without(root_point, 2)),
    ("the sign of b is wrong: z = a . w + b", lambda a, w, b, v: root_point(a, w, -b, v)),
    ("you walk the wrong way: ã = a - t v", with_step(length, 1)),
    ("not divided by v . w: t = z / (v . w)", with_step(lambda a, w, b, v: a @ w + b)),
    ("t is upside down: it is z / (v . w)", with_step(lambda *v: 1 / length(*v))),
    ("divided by v . v; one unit of t takes v . w from z",
     with_step(lambda a, w, b, v: (a @ w + b) / (v * v).sum(axis=1))),
    ("divided by w . w, as for the direction w; one unit of t takes v . w from z",
     with_step(lambda a, w, b, v: (a @ w + b) / (w @ w) + 0 * v[:, 0])),
    ("divided by a . w; one unit of t takes v . w from z",
     with_step(lambda a, w, b, v: (a @ w + b) / (a @ w))),
    ("divided by the length of v . w and not by v . w: where v . w < 0, t is negative",
     with_step(lambda a, w, b, v: (a @ w + b) / np.abs(v @ w))),
    ("divided by v . w + b: the bias is no part of the step",
     with_step(lambda a, w, b, v: (a @ w + b) / (v @ w + b))),
    ("you walk along w: the direction is v",
     lambda a, w, b, v: root_point(a, w, b, np.broadcast_to(w, a.shape))),
    ("you walk along a: the direction is v", lambda a, w, b, v: root_point(a, w, b, a)),
    ("this is t v, the way to the root: subtract it from a",
     lambda a, w, b, v: a - root_point(a, w, b, v)),
    ("shape: this is t; the root is a - t v", length),
    ("the root is a - t v; yours is -t v",
     lambda a, w, b, v: root_point(a, w, b, v) - a),
    ("t is spread over the columns: it is one number for each row, t[:, None]",
     lambda a, w, b, v: a - length(a, w, b, v) * v),
    ("all rows have the t of the first; each has its own",
     with_step(lambda *v: length(*v)[0] + 0 * length(*v))),
    ("this is w_j (a_j - ã_j), the relevance: the root itself is asked for",
     lambda a, w, b, v: w * (a - root_point(a, w, b, v))),
])


def relevance_in_a_box(a, w, b, low, high):
    z = (a @ w + b)[:, None]
    return lrp_z_box(a, w[:, None], np.array([b]), z, low=low, high=high)


def bounds(a, w, low, high):
    return a - low * (w > 0) - high * (w < 0) - a * (w == 0)


def along(direction, what=lambda a, w, root: w * (a - root)):
    """The relevance by the root in another direction, or another function of the root."""
    def of(a, w, b, low, high):
        return what(a, w, root_point(a, w, b, direction(a, w, low, high)))
    return of


def clipped_bounds(a, w, b, low, high):
    return w * (a - (low * (w > 0) + high * (w < 0) + a * (w == 0)))


def box_cases():
    names = ("a", "w", "b", "low", "high")
    rng = np.random.default_rng(42)
    w = rng.normal(size=5)
    a = (rng.uniform(-1, 2, size=(4, 5)) + np.where(w > 0, 2, -1)) / 2      # so that z > 0
    square, weights = rng.uniform(0.2, 1, size=(3, 3)), np.array([1.5, -0.4, 0.9])
    return [Case(dict(zip(names, (array([2, 1]), array(3, -1), 0.0, 0.0, 5.0)))),
            Case(dict(zip(names, (array([2, 1], [3, 2]), array(3, -1), -1.0, 1.0, 5.0)))),
            Case(dict(zip(names, (a, w, -0.2, -1.0, 2.0)))),
            Case(dict(zip(names, (square, weights, -0.1, 0.1, 1.0))))]


IN_A_BOX = Task("relevance_in_a_box", relevance_in_a_box, box_cases(), [
    ("the bounds are exchanged: z falls toward low where w > 0, toward high where w < 0",
     along(lambda a, w, low, high: bounds(a, w, high, low))),
    ("high forgotten: inputs with negative weights move toward high",
     along(lambda a, w, low, high: (a - low) * (w > 0))),
    ("high forgotten: inputs with negative weights move toward high",
     along(lambda a, w, low, high: a - low * (w > 0))),
    ("low forgotten: inputs with positive weights move toward low",
     along(lambda a, w, low, high: bounds(a, w, 0, high))),
    ("all inputs move toward low: those with negative weights must move toward high",
     along(lambda a, w, low, high: a - low)),
    ("all inputs move toward high: those with positive weights must move toward low",
     along(lambda a, w, low, high: a - high)),
    ("the bounds are ignored: this is LRP-0 with the direction a", along(lambda a, w, *_: a)),
    ("the bounds are ignored: this is z+ with the direction a where w > 0",
     along(lambda a, w, *_: a * (w > 0))),
    ("the bounds are ignored: this is w-square with the direction w",
     along(lambda a, w, *_: w + 0 * a)),
    ("the bounds have the wrong sign: v = a - bound",
     along(lambda a, w, low, high: bounds(a, w, -low, -high))),
    ("the direction itself is no input: v = a - bound, and yours is the bound",
     along(lambda a, w, low, high: low * (w > 0) + high * (w < 0) + 0 * a)),
    ("bias forgotten: the root is where a . w + b is 0", without(relevance_in_a_box, 2)),
    ("this is a - ã: multiply it by w", along(bounds, lambda a, w, root: a - root)),
    ("this is the root: the relevance is w (a - ã)", along(bounds, lambda a, w, root: root)),
    ("this is w ã: the relevance is w (a - ã)", along(bounds, lambda a, w, root: w * root)),
    ("the sign is wrong: the relevance is w (a - ã)",
     along(bounds, lambda a, w, root: w * (root - a))),
    ("multiplied by a as well: the relevance is w (a - ã)",
     along(bounds, lambda a, w, root: a * w * (a - root))),
    ("you walk to the bounds, beyond the root: take the root in that direction", clipped_bounds),
    ("normalised to 1: the parts must sum to a . w + b",
     lambda a, w, b, *how: relevance_in_a_box(a, w, b, *how) / (a @ w + b)[:, None]),
])


def gamma_for(a, w, share):
    P, Q = parts(a, w)
    return np.maximum(Q * (1 + 1 / share) / P - 1, 0)


def parts(a, w):
    return a @ positive(w), -(a @ negative(w))


def with_parts(gamma):
    """A mistake in the last line: gamma(P, Q, share)."""
    return lambda a, w, share: gamma(*parts(a, w), share)


def gamma_cases():
    names = ("a", "w", "share")
    rng = np.random.default_rng(43)
    a, w = rng.uniform(size=(5, 4)), np.array([1.5, -0.6, 0.7, -0.2])
    a[2, [1, 3]] = 0.01, 0.02       # few negative contributions: 0 is enough
    return [Case(dict(zip(names, (array([2, 2]), array(3, -1), 0.1)))),
            Case(dict(zip(names, (array([2, 1], [2, 3]), array(3, -1), 0.01)))),
            Case(dict(zip(names, (a, w, 0.05)))),
            Case(dict(zip(names, (array([5, 1], [7, 1]), array(3, -1), 0.5))),
                 "γ = 0 is enough")]


GAMMA_FOR = Task("gamma_for", gamma_for, gamma_cases(), [
    ("γ must not be negative: where γ = 0 is enough, return 0",
     with_parts(lambda P, Q, share: Q * (1 + 1 / share) / P - 1)),
    ("this is 1 + γ: subtract 1", with_parts(lambda P, Q, share: Q * (1 + 1 / share) / P)),
    ("Q is missing in the denominator: it is (1 + γ) P - Q",
     with_parts(lambda P, Q, share: np.maximum(Q / share / P - 1, 0))),
    ("Q has the wrong sign in the denominator: it is (1 + γ) P - Q",
     with_parts(lambda P, Q, share: np.maximum(Q * (1 / share - 1) / P - 1, 0))),
    ("γ multiplies only the positive weights: the denominator is (1 + γ) P - Q, not (1 + γ)(P - Q)",
     with_parts(lambda P, Q, share: np.maximum(Q / share / (P - Q) - 1, 0))),
    ("P and Q are exchanged: Q belongs to the negative weights",
     with_parts(lambda P, Q, share: np.maximum(P * (1 + 1 / share) / Q - 1, 0))),
    ("share is upside down: Q / ((1 + γ) P - Q) = share",
     with_parts(lambda P, Q, share: np.maximum(Q * (1 + share) / P - 1, 0))),
    ("z is counted twice: the negative relevance is to be share times z, not share",
     with_parts(lambda P, Q, share: np.maximum((Q * (P - Q) / share + Q) / P - 1, 0))),
    ("inputs are ignored: P and Q are sums of a_j w_j", with_ones(gamma_for, 0)),
    ("one γ for all inputs: each has its own",
     lambda *v: gamma_for(*v)[0] + 0 * gamma_for(*v)),
    ("rounded up: γ need not be a whole number", lambda *v: np.ceil(gamma_for(*v))),
])
