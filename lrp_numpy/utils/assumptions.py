"""What a rule assumes about its arguments: a warning where they are otherwise.

The equations hold for any numbers. But outside these assumptions, relevance can be huge, or mean
something else than the user expects.
"""
from typing import Any

import numpy as np

from lrp_numpy.ops import reference
from lrp_numpy.ops.side_by_side import warn
from lrp_numpy.utils.types import Array
from lrp_numpy.utils.validation import check_shape


def warn_of_gamma(a: Array, W: Array, b: Array, R: Array, gamma: float, layer: Any = reference,
                  ledger: list | None = None) -> None:
    """Warn where LRP-gamma is not made for the signs: a < 0, or z < 0 where R is not 0."""
    if gamma > 0 and np.size(a) and np.min(a) < 0:
        warn("gamma is made for activations of at least 0, and some here are negative: it "
             "then favours negative evidence; use 'gamma_generalized', the rule for both "
             "signs")
    elif gamma > 0 and _any_below_0(layer.linear(a, W, b), R):
        warn("gamma is made for pre-activations and logits z above 0, and some here that "
             "have relevance are negative: its denominator can then be nearly 0, and "
             "relevance huge; use 'gamma_generalized', the rule for both signs")


def _any_below_0(z, R):
    check_shape("R", R, z.shape)
    return ((z < 0) & (R != 0)).any()


def warn_of_bits(x: Array) -> None:
    """Warn of bytes that are only 0 and 1: they are divided by 255."""
    if x.dtype == np.uint8 and x.size and x.max() == 1:
        warn("x holds bytes, which are divided by 255, but only 0 and 1: if 1 is white "
             "already, give x.astype(np.float32)")


def warn_outside(a: Array, low: Array, high: Array) -> None:
    """Warn of inputs outside [low, high], for which the bounds of z-B are none."""
    if ((a < low) | (a > high)).any():
        warn("z_box is made for inputs between low and high, and some here lie outside: "
             f"they reach from {a.min():g} to {a.max():g}; give low and high that hold "
             "for all inputs")
