"""Exercise to lesson 17: shortcuts and normalisation.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex17_shortcuts.py
"""
import numpy as np

from grader import grade


def residual_share(a, F, R, epsilon):
    """What the shortcut and the layers of a block get: (R_shortcut, R_F), each (N, D).

        y = a + F,    R_shortcut = a / (y + epsilon sign(y)) R,    R_F = F / (y + epsilon sign(y)) R

    a (N, D) goes through the shortcut, F (N, D) is what the layers make of it, R (N, D) the
    relevance of y. Where the denominator is 0, R is dropped.
    Hint: the four lines for two contributions. sign(0) is +1, and np.sign(0) is 0.
    """
    raise NotImplementedError


def fold_batchnorm(W, b, mean, variance, scale, shift, epsilon):
    """The layer (W', b') that computes what a Dense layer and the BatchNorm behind it compute.

        z = a @ W + b,    y = (z - mean) / sqrt(variance + epsilon) * scale + shift = a @ W' + b'

    W (D, K); b, mean, variance, scale and shift (K,), one for each output.
    Hint: what does one output of the Dense layer get multiplied by? The bias gets the same.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
