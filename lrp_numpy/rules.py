"""The rules of Layer-wise Relevance Propagation, each as a matrix equation.

A rule redistributes the relevance R (N, K) of a layer's outputs to its inputs a (N, D). All rules
are the same four lines, `propagate`, with different weights, inputs or a larger denominator.

Notation: a (N, D) activations entering the layer, W (D, K), b (K,), z = a @ W + b (N, K); j counts
inputs, k outputs; w+ = max(w, 0), w- = min(w, 0). Relevance is in units of the logit that is
explained. In a convolution, a is (N, C, H, W), W (C, K, h, w) and b (K, 1, 1).

Every rule passes two more keywords, `how`, to `propagate`: `layer`, such as a Conv2D, with its own
linear(a, W, b) for a @ W + b and transpose(s, W, shape) for s @ W.T; and `ledger`, a list to which
a LedgerRow is appended. A rule of your own is a function such as:

    def lrp_cube(a, W, b, R, **how):
        return propagate(a, W**3, b, R, **how)

A rule raises ValueError for arrays that do not fit one another or hold NaN or infinity, and for
parameters outside their range. For the rules as other software defines them, see dialects.py.

Sources:
    Bach et al. 2015, "On Pixel-Wise Explanations ...", doi:10.1371/journal.pone.0130140
    Montavon et al. 2017, "Deep Taylor Decomposition", doi:10.1016/j.patcog.2016.11.008
    Montavon et al. 2019, "LRP: An Overview", doi:10.1007/978-3-030-28954-6_10
    Lapuschkin et al. 2019, "Unmasking Clever Hans Predictors", doi:10.1038/s41467-019-08987-4
    Andeol et al. 2021, "Learning Domain Invariant Representations ..."
"""
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.ops import reference
from lrp_numpy.ops.terms import Terms
from lrp_numpy.utils.assumptions import warn_of_gamma, warn_outside
from lrp_numpy.utils.types import Array
from lrp_numpy.utils.validation import as_floats, check_shape, checked


class LedgerRow(NamedTuple):
    """Where the relevance of one layer went, for each of N images, in units of the logit.

    received = inputs + bias + epsilon + dropped
    """
    received: Array    # (N,) relevance that came from above
    inputs: Array      # (N,) relevance of the layer's inputs, which the layer below receives
    bias: Array        # (N,) relevance of the bias, which is part of z
    epsilon: Array     # (N,) relevance that the stabilizer absorbed; like R, of either sign
    dropped: Array     # (N,) relevance of outputs whose denominator is exactly 0


def positive(x: Array) -> Array:
    """x+ = max(x, 0), element by element."""
    return np.maximum(x, 0)


def negative(x: Array) -> Array:
    """x- = min(x, 0), element by element."""
    return np.minimum(x, 0)


def sign(z: Array) -> Array:
    """+1 where z >= 0, else -1: unlike numpy.sign, never 0."""
    return 2 * (z >= 0).astype(z.dtype) - 1


def stabilize(z: Array, epsilon: float | Array) -> Array:
    """z + epsilon * sign(z), with sign(0) = +1: at least epsilon from 0, and never across it."""
    return z + epsilon * sign(z) if np.any(epsilon) else z


def divide(R: Array, z: Array) -> Array:
    """R / z; 0 where z = 0, and NaN where z is infinite, so that no R is lost silently."""
    check_shape("R", R, z.shape)
    is_zero = z == 0
    if is_zero.any():
        R, z = np.where(is_zero, 0, R), np.where(is_zero, 1, z)
    return R / z + 0 * z


def only(R: Array, where: Array) -> Array:
    """R where `where` is True, else 0."""
    check_shape("R", R, where.shape)
    return np.where(where, R, 0)


def total(R: Array) -> Array:
    """The sum over all axes but the first (images): (N, ...) to (N,) in float64, the last axis in
    the type of R, which is four times as fast."""
    of_rows = np.einsum("n...j->n...", R) if R.ndim > 1 else R
    return of_rows.sum(axis=tuple(range(1, of_rows.ndim)), dtype=np.float64)


def propagate(a: Array, W: Array, b: Array, R: Array, epsilon: float | Array = 0.0,
              layer: Any = reference, ledger: list[LedgerRow] | None = None) -> Array:
    """The four lines of every rule: from the outputs' relevance R (N, K) to that of the inputs.

        R_j = a_j sum_k w_jk R_k / (z_k + epsilon sign(z_k)),    z = a @ W + b

    Returns (N, D). epsilon: a number, or an array that broadcasts to z. Where the denominator is
    exactly 0, R_k is dropped (s_k = 0); where z overflows, R_j is NaN.
    Source: the four steps of Montavon et al. 2019, section 10.2.2.
    """
    if layer.loops is not None:     # the same four lines in one pass over W: ops/kernels.py
        return layer.loops(a, W, b, R, epsilon, layer, ledger)
    if not layer.is_checked:        # as they are within `explain`
        a, W, b, R = as_floats(a=a, W=W, b=b, R=R)

    z = layer.linear(a, W, b)               # 1. the total contribution to each output
    s = divide(R, stabilize(z, epsilon))    # 2. relevance per unit of contribution
    c = layer.transpose(s, W, a.shape)      # 3. relevance per unit of each input
    R_inputs = a * c                        # 4. the relevance of each input

    if ledger is not None:
        ledger.append(ledger_row(b, z, s, R, R_inputs, epsilon))
    return R_inputs


def ledger_row(b: Array, z: Array, s: Array, R: Array, R_inputs: Array, epsilon: Any) -> LedgerRow:
    """Where R went in the four lines: to the inputs and bias that make up z, or to epsilon."""
    return LedgerRow(total(R), total(R_inputs), total(b * s), *lost(z, s, R, epsilon))


def lost(z: Array, s: Array, R: Array, epsilon: Any) -> tuple[Array, Array]:
    """What the stabilizer absorbed, and what was dropped, its denominator being 0: (N,) each."""
    is_zero, nothing = stabilize(z, epsilon) == 0, np.zeros(len(R))
    return (total(epsilon * sign(z) * s) if np.any(epsilon) else nothing,
            total(only(R, is_zero)) if is_zero.any() else nothing)


def propagate_sum(terms: list[tuple[Array, Array]], b: Array, R: Array, layer: Any = reference,
                  **how: Any) -> Array:
    """The four lines for a z of several terms (a, W): z = a1 @ W1 + a2 @ W2 + ... + b."""
    a, W = np.stack([a for a, _ in terms], axis=1), np.stack([W for _, W in terms])
    return propagate(a, W, b, R, layer=Terms(layer), **how).sum(axis=1)


@checked
def lrp_0(a: Array, W: Array, b: Array, R: Array, **how: Any) -> Array:
    """LRP-0: in proportion to the contribution of each input to z.

        R_j = sum_k  a_j w_jk / (sum_j a_j w_jk + b_k)  R_k

    Shapes as in `propagate`. Where z_k is nearly 0, R_j is huge. Source: Bach et al. 2015.
    """
    return propagate(a, W, b, R, **how)


@checked
def lrp_epsilon(a: Array, W: Array, b: Array, R: Array, epsilon: float = 0.25,
                relative: bool = False, layer: Any = reference, **how: Any) -> Array:
    """LRP-epsilon: like LRP-0, but the stabilizer absorbs relevance where z is small.

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k,    z_k = sum_j a_j w_jk + b_k

    Shapes as in `propagate`; epsilon >= 0 is in units of z; relative=True: in units of an example's
    sqrt(mean_k z_k^2). Source: Bach et al. 2015; relative: Montavon et al. 2019.
    """
    size = root_mean_square(layer.linear(a, W, b)) if relative else 1
    return propagate(a, W, b, R, epsilon * size, layer, **how)


@checked
def lrp_gamma(a: Array, W: Array, b: Array, R: Array, gamma: float = 0.25, **how: Any) -> Array:
    """LRP-gamma: positive weights and biases are multiplied by 1 + gamma.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / (sum_j a_j (w_jk + gamma w+_jk) + b_k + gamma b+_k)
              R_k

    Shapes as in `propagate`; gamma >= 0. gamma = 0 is LRP-0; a larger gamma leaves less negative
    evidence. Assumes a >= 0, and z_k > 0 where R_k is not 0, and warns otherwise: gamma can move a
    negative z_k past 0, and R_j is huge near 0. For both signs, use `lrp_gamma_generalized`.
    Source: Montavon et al. 2019, section 10.2.1.
    """
    warn_of_gamma(a, W, b, R, gamma, **how)
    return propagate(a, W + gamma * positive(W), b + gamma * positive(b), R, **how)


@checked
def lrp_gamma_generalized(a: Array, W: Array, b: Array, R: Array, gamma: float = 0.25,
                          layer: Any = reference, **how: Any) -> Array:
    """LRP-gamma for any signs: contributions with the sign of z are multiplied by 1 + gamma.

        R_j = sum_k  (a_j w_jk + gamma (a_j w_jk)^s) / (z_k + gamma (sum_j (a_j w_jk)^s + b_k^s))
              R_k,   where x^s is x+ if z_k >= 0, else x-

    Shapes and gamma as in `lrp_gamma`, which it equals where a >= 0 and z >= 0. The denominator is
    never closer to 0 than z. Source: Andeol et al. 2021.
    """
    is_up = layer.linear(a, W, b) >= 0
    return (favour_positive(a, W, b, only(R, is_up), gamma, layer=layer, **how)
            + favour_positive(a, -W, -b, only(R, ~is_up), gamma, layer=layer, **how))


@checked
def lrp_alpha_beta(a: Array, W: Array, b: Array, R: Array, alpha: float = 2.0, beta: float = 1.0,
                   **how: Any) -> Array:
    """LRP-alpha-beta: positive and negative contributions to z are treated separately.

        R_j = sum_k ( alpha (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)
                     - beta (a_j w_jk)- / (sum_j (a_j w_jk)- + b-_k) ) R_k,    alpha - beta = 1

    Shapes as in `propagate`; beta >= 0, or evidence against k would count for it. If z_k has no
    positive (or negative) contributions, that part of R_k is dropped. Source: Bach et al. 2015.
    """
    R_positive = lrp_z_plus(a, W, b, alpha * R, **how)
    return R_positive + propagate_sum([(positive(a), negative(W)), (negative(a), positive(W))],
                                      negative(b), -beta * R, **how)


@checked
def lrp_z_plus(a: Array, W: Array, b: Array, R: Array, **how: Any) -> Array:
    """LRP-z+: positive contributions only; alpha-beta with alpha = 1, beta = 0.

        R_j = sum_k  (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)  R_k

    Shapes as in `propagate`. Source: Montavon et al. 2017.
    """
    return propagate_sum([(positive(a), positive(W)), (negative(a), negative(W))], positive(b), R,
                         **how)


@checked
def lrp_w_square(a: Array, W: Array, b: Array, R: Array, **how: Any) -> Array:
    """LRP-w-square: in proportion to the squared weights, for any input; no bias.

        R_j = sum_k  w_jk^2 / (sum_j w_jk^2)  R_k

    Shapes as in `propagate`. Source: Montavon et al. 2017.
    """
    return propagate(np.ones_like(a), W**2, np.zeros_like(b), R, **how)


@checked
def lrp_flat(a: Array, W: Array, b: Array, R: Array, **how: Any) -> Array:
    """LRP-flat: equal relevance for every input that leads to k; no bias.

        R_j = sum_k  1 / D  R_k,    D inputs to k

    Shapes as in `propagate`. Source: Lapuschkin et al. 2019.
    """
    return propagate(np.ones_like(a), np.ones_like(W), np.zeros_like(b), R, **how)


@checked
def lrp_z_box(a: Array, W: Array, b: Array, R: Array, low: Any = 0.0,
              high: Any = 1.0, **how: Any) -> Array:
    """LRP-z-B, for pixels in [low, high]: contributions relative to the bound that lowers z_k.

        R_j = sum_k  q_jk / sum_j q_jk  R_k,    q_jk = a_j w_jk - low_j w+_jk - high_j w-_jk

    Shapes as in `propagate`; low < high: numbers, or one per input. Source: Montavon et al. 2017.
    """
    warn_outside(a, low, high)
    terms = [(a, W), (low, -positive(W)), (high, -negative(W))]
    return propagate_sum(terms, np.zeros_like(b), R, **how)


def favour_positive(a: Array, W: Array, b: Array, R: Array, gamma: float, **how: Any) -> Array:
    """The four lines with positive contributions multiplied by 1 + gamma, for a of any sign."""
    terms = [(positive(a), W + gamma * positive(W)), (negative(a), W + gamma * negative(W))]
    return propagate_sum(terms, b + gamma * positive(b), R, **how)


def root_mean_square(z: Array) -> Array:
    """sqrt(mean z^2) over the outputs of each example: (N, ...) to (N, 1, ...)."""
    return np.sqrt(np.mean(z**2, axis=tuple(range(1, z.ndim)), keepdims=True))


RULES = {"0": lrp_0, "epsilon": lrp_epsilon, "gamma": lrp_gamma,
         "gamma_generalized": lrp_gamma_generalized, "alpha_beta": lrp_alpha_beta,
         "z_plus": lrp_z_plus, "w_square": lrp_w_square, "flat": lrp_flat, "z_box": lrp_z_box}
