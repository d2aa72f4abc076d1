"""Lessons 17 to 19: shortcuts, normalisation, attention."""
import numpy as np

from judging import Case, Task
from lrp_numpy import rules
from lrp_numpy.layers import BatchNorm, Dense
from lrp_numpy.models.canonize import fold_batchnorm
from lrp_numpy.network import Network
from lrp_numpy.training import softmax
from tasks.changes import array, normal


# 17. Shortcuts and normalisation

def residual_share(a, F, R, epsilon, stabilize=rules.stabilize, divide=rules.divide):
    s = divide(R, stabilize(a + F, epsilon))
    return a * s, F * s


def residual_cases():
    a, F, R = normal(60, *[(3, 4)] * 3)
    return [Case({"a": array([3]), "F": array([1]), "R": array([4]), "epsilon": 0.0}),
            Case({"a": array([3, 1]), "F": array([-4, 1]), "R": array([2, 4]), "epsilon": 0.5},
                 "y is negative"),
            Case({"a": array([2, 1]), "F": array([-2, 1]), "R": array([1, 1]), "epsilon": 0.5},
                 "y = 0"),
            Case({"a": array([2, 1]), "F": array([-2, 1]), "R": array([1, 1]), "epsilon": 0.0},
                 "y = 0 and epsilon = 0"),
            Case({"a": a, "F": F, "R": R, "epsilon": 0.25})]


RESIDUAL_SHARE = Task("residual_share", residual_share, residual_cases(), [
    ("half to each; it is in proportion to a and F",
     lambda a, F, R, epsilon: (R / 2, R / 2)),
    ("in proportion to |a| and |F|; signs count", lambda a, F, R, epsilon: (
        np.abs(a) / (np.abs(a) + np.abs(F)) * R, np.abs(F) / (np.abs(a) + np.abs(F)) * R)),
    ("exchanged: the shortcut's comes first",
     lambda *values: residual_share(*values)[::-1]),
    ("epsilon is missing", lambda a, F, R, epsilon: residual_share(a, F, R, 0.0)),
    ("epsilon is always added; for a negative y subtract it", lambda *values: residual_share(
        *values, stabilize=lambda y, epsilon: y + epsilon)),
    ("np.sign(0) is 0: where y = 0, epsilon must be added", lambda *values: residual_share(
        *values, stabilize=lambda y, epsilon: y + epsilon * np.sign(y))),
    ("right except where y = 0 and epsilon = 0: R is dropped there, not divided by 0",
     lambda *values: residual_share(*values, divide=np.divide)),
    ("F is not shared in proportion: what is left of R goes to F", lambda a, F, R, epsilon: (
        residual_share(a, F, R, epsilon)[0], R - residual_share(a, F, R, epsilon)[0])),
], outputs=("R_shortcut", "R_F"))


def folded(W, b, mean, variance, scale, shift, epsilon):
    net = Network([Dense(W, b, "identity"),
                   BatchNorm(scale, shift, "identity", mean, variance, epsilon)])
    layer = fold_batchnorm(net).layers[0]
    return layer.W, layer.b


def folded_with(std=lambda variance, epsilon: np.sqrt(variance + epsilon), bias=None, axis=None):
    def of(W, b, mean, variance, scale, shift, epsilon):
        factor = scale / std(variance, epsilon)
        new = (b - mean) * factor + shift if bias is None else bias(b, mean, factor, shift)
        return W * (factor if axis is None else factor[:, None]), new
    return of


def folding_cases():
    W, b, mean, variance, scale, shift = normal(61, (3, 3), 3, 3, 3, 3, 3)
    return [Case(dict(zip(FOLDED, (array([3], [-1]), array(1), array(3), array(3), array(2),
                                   array(1), 1.0)))),
            Case(dict(zip(FOLDED, (W, b, mean, np.abs(variance), scale, shift, 0.1))))]


FOLDED = ("W", "b", "mean", "variance", "scale", "shift", "epsilon")

FOLD_BATCHNORM = Task("fold_batchnorm", folded, folding_cases(), [
    ("the bias b of the Dense layer is not scaled", folded_with(
        bias=lambda b, mean, factor, shift: b - mean * factor + shift)),
    ("the bias b of the Dense layer is missing", folded_with(
        bias=lambda b, mean, factor, shift: shift - mean * factor)),
    ("the mean is not scaled", folded_with(
        bias=lambda b, mean, factor, shift: b * factor - mean + shift)),
    ("the mean is missing", folded_with(bias=lambda b, mean, factor, shift: b * factor + shift)),
    ("the mean is added; subtract it", folded_with(
        bias=lambda b, mean, factor, shift: (b + mean) * factor + shift)),
    ("the shift is scaled, too; it comes last", folded_with(
        bias=lambda b, mean, factor, shift: (b - mean + shift) * factor)),
    ("divided by the variance; take its square root", folded_with(
        lambda variance, epsilon: variance + epsilon)),
    ("epsilon is missing under the root", folded_with(lambda variance, epsilon: np.sqrt(variance))),
    ("epsilon is outside the root", folded_with(
        lambda variance, epsilon: np.sqrt(variance) + epsilon)),
    ("the rows of W are scaled; its columns are the outputs", folded_with(axis=0)),
], outputs=("W'", "b'"))


# 18. Attention by hand

def product_rule(A, V, R, share=0.5, divide=rules.divide):
    s = share * divide(R, A @ V)
    return A * (s @ V.T), V * (A.T @ s)


def product_cases():
    A, V, R = normal(62, (3, 3), (3, 2), (3, 2))
    A = softmax(A)
    return [Case({"A": array([0.75, 0.25], [0.5, 0.5]), "V": array([4], [8]),
                  "R": array([5], [0])}),
            Case({"A": array([0.75, 0.25], [0.5, 0.5]), "V": array([1, -2], [-3, 2]),
                  "R": array([4, 4], [1, 2])}, "O = 0"),
            Case({"A": A, "V": V, "R": R})]


PRODUCT_RULE = Task("product_rule", product_rule, product_cases(), [
    ("each factor gets all of R; each must get half", lambda A, V, R: product_rule(A, V, R, 1.0)),
    ("each factor gets a quarter; the 2 is there twice",
     lambda A, V, R: product_rule(A, V, R, 0.25)),
    ("all goes to V, as in CP-LRP; half of it goes to A", lambda A, V, R: (
        np.zeros_like(A), product_rule(A, V, R, 1.0)[1])),
    ("line 4 is missing: multiply by the factor itself", lambda A, V, R: (
        rules.divide(R, 2 * (A @ V)) @ V.T, A.T @ rules.divide(R, 2 * (A @ V)))),
    ("R is not divided by O", lambda A, V, R: (A * (R / 2 @ V.T), V * (A.T @ R / 2))),
    ("A where A.T must be: V_j is in the outputs of all i that look at j", lambda A, V, R: (
        product_rule(A, V, R)[0], V * (A @ rules.divide(R, 2 * (A @ V))))),
    ("right except where O = 0: R is dropped there, not divided by 0",
     lambda A, V, R: product_rule(A, V, R, divide=np.divide)),
    ("exchanged: R_A comes first", lambda *values: product_rule(*values)[::-1]),
], outputs=("R_A", "R_V"))


def softmax_rule(s, R, axis=1, shifted=None):
    A = softmax(s) if axis == 1 else softmax(s.T).T
    return (s if shifted is None else shifted) * (R - A * R.sum(axis, keepdims=True))


def softmax_cases():
    s, R = normal(63, (3, 3), (3, 3))
    return [Case({"s": np.log(array([6, 2], [1, 1])), "R": array([1.5, 1], [1, 2])}),
            Case({"s": s, "R": R}),
            Case({"s": 800 + array([0, 1], [2, 0]), "R": array([1, 2], [2, -1])},
                 "scores are large")]


SOFTMAX_RULE = Task("softmax_rule", softmax_rule, softmax_cases(), [
    ("right except where scores are large: subtract the largest of the row before exp",
     lambda s, R: s * (R - np.exp(s) / np.exp(s).sum(1, keepdims=True) * R.sum(1, keepdims=True))),
    ("multiplied by the score less the largest; multiply by the score itself",
     lambda s, R: softmax_rule(s, R, shifted=s - s.max(axis=1, keepdims=True))),
    ("the softmax runs over the rows; it must run along each row",
     lambda s, R: softmax_rule(s, R, axis=0)),
    ("not multiplied by the score", lambda s, R: softmax_rule(s, R, shifted=1)),
    ("multiplied by A; multiply by the score", lambda s, R: softmax_rule(
        s, R, shifted=softmax(s))),
    ("the sum of the row is missing: what all weights got comes in",
     lambda s, R: s * (R - softmax(s) * R)),
    ("the share A sum R is missing", lambda s, R: s * R),
    ("the share A sum R is added; subtract it",
     lambda s, R: s * (R + softmax(s) * R.sum(1, keepdims=True))),
    ("the sum runs over the whole matrix; each row has its own",
     lambda s, R: s * (R - softmax(s) * R.sum())),
    ("this is the derivative, A (R - sum A R); the rule has no A before R",
     lambda s, R: softmax(s) * (R - (softmax(s) * R).sum(1, keepdims=True))),
])


# 19. LRP in a transformer

def attention_rollout(maps, mixed=lambda A: (A + np.eye(len(A))) / 2, order=1, axis=0):
    M = np.eye(maps.shape[1])
    for A in maps[::order]:
        M = mixed(A) @ M
    return M.mean(axis=axis)


def rollout_cases():
    return [Case({"maps": array([[0.75, 0.25], [0.5, 0.5]])}),
            Case({"maps": np.array([softmax(2 * s) for s in normal(64, *[(3, 3)] * 3)])})]


ATTENTION_ROLLOUT = Task("attention_rollout", attention_rollout, rollout_cases(), [
    ("the shortcuts are missing: (A + I) / 2, not A",
     lambda maps: attention_rollout(maps, lambda A: A)),
    ("not halved: A + I sums to 2 in each row",
     lambda maps: attention_rollout(maps, lambda A: A + np.eye(len(A)))),
    ("ones in place of the identity", lambda maps: attention_rollout(maps, lambda A: (A + 1) / 2)),
    ("the wrong order: a later block is multiplied from the left",
     lambda maps: attention_rollout(maps, order=-1)),
    ("the mean over the columns: rows sum to 1, so it is the same for all; the rows are the tokens "
     "at the end", lambda maps: attention_rollout(maps, axis=1)),
    ("the matrices are averaged; multiply them",
     lambda maps: ((maps.mean(axis=0) + np.eye(maps.shape[1])) / 2).mean(axis=0)),
    ("multiplied element by element; it is a matrix product",
     lambda maps: np.prod((maps + np.eye(maps.shape[1])) / 2, axis=0).mean(axis=0)),
    ("summed over the rows; take their mean",
     lambda maps: len(maps[0]) * attention_rollout(maps)),
    ("only the last block", lambda maps: attention_rollout(maps[-1:])),
    ("only the first block", lambda maps: attention_rollout(maps[:1])),
])
