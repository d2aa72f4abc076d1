"""Exercise to lesson 16: a convolutional network.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex16_convolution.py
"""
import numpy as np

from grader import grade


def convolve(a, W, b):
    """z (N, K, H', W') of a convolution of images a (N, C, H, W).

        z[n, k, y, x] = sum_{c, i, j} a[n, c, y + i, x + j] W[c, k, i, j] + b[k]

    W (C, K, h, w): W[c, k] is the kernel that leads from channel c to channel k; b (K, 1, 1). The
    kernel stays inside the image, so H' = H - h + 1, and W' likewise.
    Hint: loop over i and j only. For each, a[:, :, i:i + H', j:j + W'] meets one weight of each
    kernel.
    """
    raise NotImplementedError


def convolve_transpose(s, W):
    """The way back: c (N, C, H, W) from s (N, K, H', W'), one number for each output.

        c[n, c, y + i, x + j] += s[n, k, y, x] W[c, k, i, j]    for all k, i, j, y, x

    W (C, K, h, w) as in `convolve`; H = H' + h - 1, and W likewise.
    Hint: begin with zeros and loop over i and j, as in `convolve`.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
