"""The rules of Layer-wise Relevance Propagation, one function each.

A rule shares out the relevance R (N, K) of a layer's outputs among its inputs a (N, D). All rules
are the same four lines, `propagate`, with other weights, inputs or a larger denominator. Relevance
is in units of the logit that is explained.

Notation: `a` (N, D) activations entering the layer, `W` (D, K), `b` (K,), `z = a @ W + b` (N, K);
j counts inputs, k outputs; w+ is max(w, 0).

Sources:
    Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by
        Layer-Wise Relevance Propagation", PLOS ONE 10(7), doi:10.1371/journal.pone.0130140
    Montavon et al. 2019, "Layer-Wise Relevance Propagation: An Overview", in "Explainable AI:
        Interpreting, Explaining and Visualizing Deep Learning", doi:10.1007/978-3-030-28954-6_10
    Montavon et al. 2017, "Explaining Nonlinear Classification Decisions with Deep Taylor
        Decomposition", Pattern Recognition 65, doi:10.1016/j.patcog.2016.11.008
    Lapuschkin et al. 2019, "Unmasking Clever Hans Predictors and Assessing What Machines Really
        Learn", Nature Communications 10, doi:10.1038/s41467-019-08987-4
"""
import inspect
from numbers import Real
from typing import Callable, NamedTuple

import numpy as np


class LedgerRow(NamedTuple):
    """Where the relevance of one layer went, for each of N images, in units of the logit.

    received = inputs + bias + epsilon + dropped, to rounding.
    """
    received: np.ndarray    # (N,) relevance that came from above
    inputs: np.ndarray      # (N,) what the layer's inputs got: received by the next layer down
    bias: np.ndarray        # (N,) what the bias got, being a part of z
    epsilon: np.ndarray     # (N,) what the stabilizer absorbed (like R, it may be negative)
    dropped: np.ndarray     # (N,) relevance of outputs with z = 0, which has no one to go to


def positive(x):
    """x+ = max(x, 0), element by element."""
    return np.maximum(x, 0)


def negative(x):
    """x- = min(x, 0), element by element."""
    return np.minimum(x, 0)


def sign(z):
    """+1 where z >= 0, else -1: unlike numpy.sign, never 0."""
    return np.where(z >= 0, 1, -1).astype(z.dtype)


def stabilize(z, epsilon):
    """z + epsilon * sign(z), with sign(0) = +1: at least epsilon from 0, and never across it."""
    return z + epsilon * sign(z)


def propagate(a, W, b, epsilon, R, ledger=None):
    """The four lines of every rule: relevance R (N, K) of the outputs to that of the inputs (N, D).

        R_j = a_j sum_k w_jk s_k   with   s_k = R_k / (z_k + epsilon sign(z_k)),   z = a @ W + b

    Where z + epsilon sign(z) is exactly 0 there is no proportion to share out by, so R_k is dropped
    (s_k = 0). If `ledger` is a list, a LedgerRow is appended that says where all relevance went.

    Source: the four steps of Montavon et al. 2019, section 10.2.2.
    """
    z = a @ W + b
    denominator = stabilize(z, epsilon)
    s = divide(R, denominator)
    c = s @ W.T
    R_inputs = a * c
    if ledger is not None:
        ledger.append(LedgerRow(
            received=_total(R),
            inputs=_total(R_inputs),
            bias=_total(b * s),
            epsilon=_total(epsilon * sign(z) * s),
            dropped=_total(np.where(denominator == 0, R, 0))))
    return R_inputs


def divide(R, z):
    """R / z, and 0 where z is 0 (N, K)."""
    return np.where(z == 0, 0, R / np.where(z == 0, 1, z))


def _total(relevance):
    return relevance.sum(axis=1, dtype=np.float64)


class Term(NamedTuple):
    """What a rule puts into the four lines. A rule is one of these, or the sum of two."""
    W: np.ndarray                                   # (M D, K)
    b: np.ndarray                                   # (K,)
    epsilon: float = 0.0
    inputs: Callable = lambda a: a                  # a (N, D) -> what stands for a (N, M D)
    share: Callable = None                          # R, z -> what of R goes this way; None: all


def add_up(terms, a, W, b, R, ledger=None):
    """The sum over the `terms` of a rule, each the four lines; ledger rows are added up as well.

    Where a term has M inputs for each a_j, R_j is the sum of what they get.
    """
    R_inputs, rows = 0, []
    for term in terms:
        share = R if term.share is None else term.share(R, a @ W + b)
        part = propagate(term.inputs(a), term.W, term.b, term.epsilon, share, rows)
        R_inputs = R_inputs + fold(part, a.shape[1])
    if ledger is not None:
        ledger.append(LedgerRow(*(sum(parts) for parts in zip(*rows))))
    return R_inputs


def fold(R, D):
    """(N, M D) to (N, D): the M parts of each input added up."""
    return R if R.shape[1] == D else R.reshape(len(R), -1, D).sum(axis=1)


def split(a):
    """[a+, a-] side by side (N, 2 D): so that each part has its own weights."""
    return np.hstack([positive(a), negative(a)])


def lrp_0(a, W, b, R, ledger=None):
    """LRP-0: in proportion to what each input contributed to z.

        R_j = sum_k  a_j w_jk / (sum_j a_j w_jk + b_k)  R_k

    Shapes as in `propagate`. Where z_k = 0 exactly, R_k is dropped; where z_k is nearly 0, R_j is
    huge. Source: Bach et al. 2015.
    """
    return add_up(terms_0(W, b), a, W, b, R, ledger)


def terms_0(W, b):
    return [Term(W, b)]


def lrp_epsilon(a, W, b, R, epsilon=0.25, ledger=None):
    """LRP-epsilon: as LRP-0, but the stabilizer absorbs relevance where z is small.

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k,    z_k = sum_j a_j w_jk + b_k

    Shapes as in `propagate`; epsilon >= 0 is in units of z. epsilon = 0 is LRP-0. Raises
    ValueError for a negative epsilon. Source: Bach et al. 2015.
    """
    return add_up(terms_epsilon(W, b, epsilon), a, W, b, R, ledger)


def terms_epsilon(W, b, epsilon=0.25):
    return [Term(W, b, _at_least_0("epsilon", epsilon))]


def lrp_gamma(a, W, b, R, gamma=0.25, ledger=None):
    """LRP-gamma: positive weights count 1 + gamma times.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / (sum_j a_j (w_jk + gamma w+_jk) + b_k + gamma b+_k)
              R_k

    Shapes as in `propagate`; gamma >= 0 has no unit. gamma = 0 is LRP-0; the larger gamma, the less
    evidence against is seen. Assumes a >= 0, and z_k > 0 where R_k is not 0: a negative z_k may
    grow to 0 and past it, with huge R_j near there. Raises ValueError for a negative gamma.
    Source: Montavon et al. 2019, section 10.2.1.
    """
    return add_up(terms_gamma(W, b, gamma), a, W, b, R, ledger)


def terms_gamma(W, b, gamma=0.25):
    gamma = _at_least_0("gamma", gamma)
    return [Term(W + gamma * positive(W), b + gamma * positive(b))]


def lrp_gamma_generalized(a, W, b, R, gamma=0.25, ledger=None):
    """LRP-gamma for activations and z of any sign: what speaks for z's sign counts 1 + gamma times.

        R_j = sum_k  (a_j w_jk + gamma (a_j w_jk)^s) / (z_k + gamma sum (a_j w_jk)^s + gamma b_k^s)
              R_k,   where x^s is x+ if z_k >= 0, else x-

    Shapes and gamma as in `lrp_gamma`, which it equals where a >= 0 and z >= 0. The denominator is
    never nearer to 0 than z. Source: Andeol et al. 2021, "Learning Domain Invariant
    Representations by Joint Wasserstein Distance Minimization", as a rule for all signs.
    """
    return add_up(terms_gamma_generalized(W, b, gamma), a, W, b, R, ledger)


def terms_gamma_generalized(W, b, gamma=0.25):
    gamma = _at_least_0("gamma", gamma)
    for_it, against = W + gamma * positive(W), W + gamma * negative(W)
    return [Term(np.vstack([for_it, against]), b + gamma * positive(b), 0.0, split,
                 lambda R, z: np.where(z >= 0, R, 0)),
            Term(np.vstack([against, for_it]), b + gamma * negative(b), 0.0, split,
                 lambda R, z: np.where(z >= 0, 0, R))]


def lrp_alpha_beta(a, W, b, R, alpha=2.0, beta=1.0, ledger=None):
    """LRP-alpha-beta: contributions for and against z are shared out apart.

        R_j = sum_k ( alpha (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)
                     - beta (a_j w_jk)- / (sum_j (a_j w_jk)- + b-_k) ) R_k,    alpha - beta = 1

    Shapes as in `propagate`. Where nothing speaks for z_k (or against it), that part of R_k is
    dropped. Raises ValueError unless alpha >= 1, beta >= 0 and alpha - beta = 1.
    Source: Bach et al. 2015.
    """
    return add_up(terms_alpha_beta(W, b, alpha, beta), a, W, b, R, ledger)


def terms_alpha_beta(W, b, alpha=2.0, beta=1.0):
    alpha, beta = _at_least_0("alpha", alpha), _at_least_0("beta", beta)
    if abs(alpha - beta - 1) > 1e-9:
        raise ValueError(f"alpha - beta must be 1, got alpha={alpha:g}, beta={beta:g}")
    up, down = positive(W), negative(W)
    return [Term(np.vstack([up, down]), positive(b), 0.0, split, lambda R, z: alpha * R),
            Term(np.vstack([down, up]), negative(b), 0.0, split, lambda R, z: -beta * R)]


def lrp_z_plus(a, W, b, R, ledger=None):
    """LRP-z-plus: only what speaks for z; alpha-beta with alpha = 1, beta = 0.

        R_j = sum_k  (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)  R_k

    Shapes as in `propagate`. Source: Montavon et al. 2017.
    """
    return add_up(terms_z_plus(W, b), a, W, b, R, ledger)


def terms_z_plus(W, b):
    return terms_alpha_beta(W, b, 1.0, 0.0)[:1]


def lrp_w_square(a, W, b, R, ledger=None):
    """LRP-w-square: in proportion to the squared weights, whatever the input says; no bias.

        R_j = sum_k  w_jk^2 / (sum_j w_jk^2)  R_k

    Shapes as in `propagate`. Source: Montavon et al. 2017.
    """
    return add_up(terms_w_square(W, b), a, W, b, R, ledger)


def terms_w_square(W, b):
    return [Term(W * W, 0 * b, 0.0, np.ones_like)]


def lrp_flat(a, W, b, R, ledger=None):
    """LRP-flat: to every input the same; no bias.

        R_j = sum_k  1 / D  R_k

    Shapes as in `propagate`. Source: Lapuschkin et al. 2019.
    """
    return add_up(terms_flat(W, b), a, W, b, R, ledger)


def terms_flat(W, b):
    return [Term(np.ones_like(W), 0 * b, 0.0, np.ones_like)]


def lrp_z_box(a, W, b, R, low=0.0, high=1.0, ledger=None):
    """LRP-z-box, for pixels: how far each is from the end of its range that speaks against z_k.

        R_j = sum_k  (a_j w_jk - low w+_jk - high w-_jk) / (sum_j a_j w_jk - low w+_jk - high w-_jk)
              R_k

    Shapes as in `propagate`; low and high, numbers with low < high, bound the pixels. No bias.
    Raises ValueError for others. Source: Montavon et al. 2017.
    """
    return add_up(terms_z_box(W, b, low, high), a, W, b, R, ledger)


def terms_z_box(W, b, low=0.0, high=1.0):
    if not (isinstance(low, Real) and isinstance(high, Real) and -np.inf < low < high < np.inf):
        raise ValueError(f"low and high must be finite numbers with low < high, got {low!r} and "
                         f"{high!r}")
    return [Term(np.vstack([W, -positive(W), -negative(W)]), 0 * b, 0.0, lambda a: np.hstack(
        [a, np.full_like(a, low), np.full_like(a, high)]))]


def _at_least_0(name, value):
    if not (isinstance(value, Real) and 0 <= value < np.inf):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)     # a NumPy float64 would turn float32 relevance into float64


RULES = {"0": lrp_0, "epsilon": lrp_epsilon, "gamma": lrp_gamma,
         "gamma_generalized": lrp_gamma_generalized, "alpha_beta": lrp_alpha_beta,
         "z_plus": lrp_z_plus, "w_square": lrp_w_square, "flat": lrp_flat, "z_box": lrp_z_box}
# What each rule makes of W and b. The rest is the four lines, whoever computes them.
TERMS = {"0": terms_0, "epsilon": terms_epsilon, "gamma": terms_gamma,
         "gamma_generalized": terms_gamma_generalized, "alpha_beta": terms_alpha_beta,
         "z_plus": terms_z_plus, "w_square": terms_w_square, "flat": terms_flat,
         "z_box": terms_z_box}


def parameters_of(name):
    """The names of the parameters that the rule called `name` has of its own: ["gamma"], say."""
    return [parameter.name for parameter in inspect.signature(RULES[name]).parameters.values()
            if parameter.default is not parameter.empty and parameter.name != "ledger"]
