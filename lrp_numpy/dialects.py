"""The rules as other software defines them, one equation each.

Call them by name, `lrp.explain(net, x, rule="captum.gamma")`. They are functions like those of
rules.py, with the same arguments, shapes, units and errors. zennit and captum add a small epsilon
to the denominator of every rule; here it is a parameter with their default.

    zennit      Anders et al. 2021, "Software for Dataset-wide XAI: From Local Explanations to
                Global Insights with Zennit, CoRelAy, and ViRelAy"; version 0.5.1
    captum      Kokhlikyan et al. 2020, "Captum: A Unified and Generic Model Interpretability
                Library for PyTorch"; version 0.9.0
    toolbox     Lapuschkin et al. 2016, "The LRP Toolbox for Artificial Neural Networks"
    tutorial    Montavon et al., the tutorial "Implementing Layer-Wise Relevance Propagation" that
                goes with Montavon et al. 2019

TorchLRP's gamma has no equation here: it multiplies W by W+ (W + gamma W W+), which is a mistake.
"""
from typing import Any

import numpy as np

from lrp_numpy.ops import reference
from lrp_numpy.rules import (lrp_alpha_beta, lrp_epsilon, lrp_flat, lrp_gamma_generalized,
                             lrp_z_plus, negative, only, positive, propagate, propagate_sum,
                             root_mean_square, sign)
from lrp_numpy.utils.types import Array
from lrp_numpy.utils.validation import checked


# zennit: 1e-6 in every denominator

@checked
def zennit_epsilon(a: Array, W: Array, b: Array, R: Array, epsilon: float = 1e-6,
                   **how: Any) -> Array:
    """LRP-epsilon with zennit's default: R_j = sum_k a_j w_jk / (z_k + 1e-6 sign(z_k)) R_k."""
    return lrp_epsilon(a, W, b, R, epsilon, **how)


@checked
def zennit_gamma(a: Array, W: Array, b: Array, R: Array, gamma: float = 0.25,
                 stabilizer: float = 1e-6, layer: Any = reference, **how: Any) -> Array:
    """The generalized LRP-gamma with a stabilizer; where z_k = 0 exactly, R_k is dropped.

        z'_k = z_k + gamma sum_j (a_j w_jk)^s + gamma b_k^s,    ^s as in lrp_gamma_generalized
        R_j = sum_k  (a_j w_jk + gamma (a_j w_jk)^s) / (z'_k + stabilizer sign(z'_k))  R_k
    """
    z, how = layer.linear(a, W, b), {"layer": layer, **how}
    R_inputs = lrp_gamma_generalized(a, W, b, only(R, z != 0), gamma,
                                     epsilon=stabilizer, **how)
    return R_inputs + propagate(a, 0 * W, 0 * b, only(R, z == 0), **how)    # a z of 0 drops R


@checked
def zennit_alpha_beta(a: Array, W: Array, b: Array, R: Array, alpha: float = 2.0,
                      beta: float = 1.0, stabilizer: float = 1e-6, **how: Any) -> Array:
    """LRP-alpha-beta with a stabilizer in both denominators.

        R_j = sum_k ( alpha (a_j w_jk)+ / (z+_k + stabilizer)
                     - beta (a_j w_jk)- / (z-_k + stabilizer sign(z-_k)) ) R_k

    z+_k and z-_k are the sums over j with b+_k and b-_k; sign(0) = +1.
    """
    return lrp_alpha_beta(a, W, b, R, alpha, beta, epsilon=stabilizer, **how)


@checked
def zennit_z_plus(a: Array, W: Array, b: Array, R: Array, stabilizer: float = 1e-6,
                  **how: Any) -> Array:
    """LRP-z+ with a stabilizer: R_j = sum_k (a_j w_jk)+ / (z+_k + stabilizer) R_k."""
    return lrp_z_plus(a, W, b, R, epsilon=stabilizer, **how)


@checked
def zennit_w_square(a: Array, W: Array, b: Array, R: Array, stabilizer: float = 1e-6,
                    **how: Any) -> Array:
    """LRP-w-square including the bias.

        R_j = sum_k  w_jk^2 / (sum_j w_jk^2 + b_k^2 + stabilizer)  R_k
    """
    return propagate(np.ones_like(a), W**2, b**2, R, stabilizer, **how)


@checked
def zennit_flat(a: Array, W: Array, b: Array, R: Array, stabilizer: float = 1e-6,
                **how: Any) -> Array:
    """LRP-flat with a stabilizer: R_j = sum_k 1 / (D + stabilizer) R_k."""
    return lrp_flat(a, W, b, R, epsilon=stabilizer, **how)


@checked
def zennit_z_box(a: Array, W: Array, b: Array, R: Array, low: Any = 0.0,
                 high: Any = 1.0, stabilizer: float = 1e-6, **how: Any) -> Array:
    """LRP-z-B with a stabilizer: the denominator z_k becomes z_k + stabilizer sign(z_k)."""
    return propagate_sum([(a, W), (low, -positive(W)), (high, -negative(W))],
                         np.zeros_like(b), R, epsilon=stabilizer, **how)


# captum: 1e-9 in every denominator, and biases as they are

@checked
def captum_epsilon(a: Array, W: Array, b: Array, R: Array, epsilon: float = 1e-9,
                   **how: Any) -> Array:
    """LRP-epsilon with captum's default: R_j = sum_k a_j w_jk / (z_k + 1e-9 sign(z_k)) R_k."""
    return lrp_epsilon(a, W, b, R, epsilon, **how)


@checked
def captum_gamma(a: Array, W: Array, b: Array, R: Array, gamma: float = 0.25,
                 set_bias_to_zero: bool = False, stabilizer: float = 1e-9, **how: Any) -> Array:
    """LRP-gamma with the bias unchanged, or set to zero.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / (z'_k + stabilizer sign(z'_k))  R_k,
              z'_k = sum_j a_j (w_jk + gamma w+_jk) + b_k
    """
    b = np.zeros_like(b) if set_bias_to_zero else b
    return propagate(a, W + gamma * positive(W), b, R, stabilizer, **how)


@checked
def captum_alpha1_beta0(a: Array, W: Array, b: Array, R: Array, set_bias_to_zero: bool = False,
                        stabilizer: float = 1e-9, **how: Any) -> Array:
    """z+ by the sign of the weights, not of the contributions; bias unchanged or set to zero.

        R_j = sum_k  a_j w+_jk / (z'_k + stabilizer sign(z'_k))  R_k,
              z'_k = sum_j a_j w+_jk + b_k
    """
    b = np.zeros_like(b) if set_bias_to_zero else b
    return propagate(a, positive(W), b, R, stabilizer, **how)


# The LRP toolbox

@checked
def toolbox_alpha_beta(a: Array, W: Array, b: Array, R: Array, alpha: float = 2.0,
                       **how: Any) -> Array:
    """LRP-alpha-beta with alpha + beta = 1: beta has the opposite sign. No stabilizer.

        R_j = sum_k ( alpha (a_j w_jk)+ / z+_k + beta (a_j w_jk)- / z-_k ) R_k,    beta = 1 - alpha
    """
    R_positive = propagate_sum([(positive(a), positive(W)), (negative(a), negative(W))],
                               positive(b), alpha * R, **how)
    return R_positive + propagate_sum([(positive(a), negative(W)), (negative(a), positive(W))],
                                      negative(b), (1 - alpha) * R, **how)


# The tutorial of Montavon et al.

@checked
def tutorial_epsilon(a: Array, W: Array, b: Array, R: Array, epsilon: float = 0.25,
                     layer: Any = reference, **how: Any) -> Array:
    """LRP-epsilon with epsilon relative to the size of z, and added without the sign of z.

        R_j = sum_k  a_j w_jk / (z_k + epsilon sqrt(mean_k z_k^2) + 1e-9)  R_k

    With a negative z_k, the denominator can be 0. The mean is over the outputs of an example; the
    first part of the tutorial, on digits, takes it over all examples at once.
    """
    z = layer.linear(a, W, b)
    increment = epsilon * root_mean_square(z) + 1e-9
    return propagate(a, W, b, R, increment * sign(z), layer, **how)     # sign(z) cancels sign(z)


DIALECTS = {
    "zennit.epsilon": zennit_epsilon, "zennit.gamma": zennit_gamma,
    "zennit.alpha_beta": zennit_alpha_beta, "zennit.z_plus": zennit_z_plus,
    "zennit.w_square": zennit_w_square, "zennit.flat": zennit_flat, "zennit.z_box": zennit_z_box,
    "captum.epsilon": captum_epsilon, "captum.gamma": captum_gamma,
    "captum.alpha1_beta0": captum_alpha1_beta0, "toolbox.alpha_beta": toolbox_alpha_beta,
    "tutorial.epsilon": tutorial_epsilon}
