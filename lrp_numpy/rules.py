"""The rules of Layer-wise Relevance Propagation, one function each.

A rule shares out the relevance R (N, K) of a layer's outputs among its inputs a (N, D). All rules
are the same four lines, `propagate`, with other weights or a larger denominator. Relevance is in
units of the logit that is explained.

Notation: `a` (N, D) activations entering the layer, `W` (D, K), `b` (K,), `z = a @ W + b` (N, K);
j counts inputs, k outputs; w+ is max(w, 0).

Sources:
    Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by
        Layer-Wise Relevance Propagation", PLOS ONE 10(7), doi:10.1371/journal.pone.0130140
    Montavon et al. 2019, "Layer-Wise Relevance Propagation: An Overview", in "Explainable AI:
        Interpreting, Explaining and Visualizing Deep Learning", doi:10.1007/978-3-030-28954-6_10
"""
import inspect
from numbers import Real
from typing import NamedTuple

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


def lrp_0(a, W, b, R, ledger=None):
    """LRP-0: in proportion to what each input contributed to z.

        R_j = sum_k  a_j w_jk / (sum_j a_j w_jk + b_k)  R_k

    Shapes as in `propagate`. Where z_k = 0 exactly, R_k is dropped; where z_k is nearly 0, R_j is
    huge. Source: Bach et al. 2015.
    """
    return propagate(a, *weights_0(W, b), R, ledger)


def weights_0(W, b):
    """LRP-0 takes W and b as they are, and no stabilizer."""
    return W, b, 0.0


def lrp_epsilon(a, W, b, R, epsilon=0.25, ledger=None):
    """LRP-epsilon: as LRP-0, but the stabilizer absorbs relevance where z is small.

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k,    z_k = sum_j a_j w_jk + b_k

    Shapes as in `propagate`; epsilon >= 0 is in units of z. epsilon = 0 is LRP-0. Raises
    ValueError for a negative epsilon. Source: Bach et al. 2015.
    """
    return propagate(a, *weights_epsilon(W, b, epsilon), R, ledger)


def weights_epsilon(W, b, epsilon=0.25):
    """LRP-epsilon takes W and b as they are."""
    return W, b, _at_least_0("epsilon", epsilon)


def lrp_gamma(a, W, b, R, gamma=0.25, ledger=None):
    """LRP-gamma: positive weights count 1 + gamma times.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / (sum_j a_j (w_jk + gamma w+_jk) + b_k + gamma b+_k)
              R_k

    Shapes as in `propagate`; gamma >= 0 has no unit. gamma = 0 is LRP-0; the larger gamma, the less
    evidence against is seen. Assumes a >= 0, and z_k > 0 where R_k is not 0: a negative z_k may
    grow to 0 and past it, with huge R_j near there. Raises ValueError for a negative gamma.
    Source: Montavon et al. 2019, section 10.2.1.
    """
    return propagate(a, *weights_gamma(W, b, gamma), R, ledger)


def weights_gamma(W, b, gamma=0.25):
    """w + gamma w+ for every weight and bias; no stabilizer."""
    gamma = _at_least_0("gamma", gamma)
    return W + gamma * positive(W), b + gamma * positive(b), 0.0


def _at_least_0(name, value):
    if not (isinstance(value, Real) and 0 <= value < np.inf):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)     # a NumPy float64 would turn float32 relevance into float64


RULES = {"0": lrp_0, "epsilon": lrp_epsilon, "gamma": lrp_gamma}
# What a rule makes of W and b, and its stabilizer. The rest is `propagate`, whoever computes it.
WEIGHTS = {"0": weights_0, "epsilon": weights_epsilon, "gamma": weights_gamma}


def parameters_of(name):
    """The names of the parameters that the rule called `name` has of its own: ["gamma"], say."""
    return [parameter.name for parameter in inspect.signature(RULES[name]).parameters.values()
            if parameter.default is not parameter.empty and parameter.name != "ledger"]
