"""Exercise to lesson 23: hot loops.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex23_hot_loops.py

In some cases a weight is infinite, and the input that it belongs to is 0. A loop that skips zeros
never reads such a weight; one that multiplies by 0 gets NaN, because 0 times infinity is no number.
"""
import numpy as np

from grader import grade


def multiplications(a, K):
    """How many multiplications a @ W needs, if inputs that are 0 are skipped.

    a (N, D) are the inputs, of which each that is not 0 is multiplied by the K weights of its row.
    Hint: numpy.count_nonzero.
    """
    raise NotImplementedError


def linear_skipping(a, W, b):
    """The pre-activations z (N, K) of a (N, D), W (D, K), b (K,), along the rows of W.

        z_n = b + the sum, over the inputs j with a_nj not 0, of a_nj times row j of W

    Hint: two loops, over n and over j. z[n] += ... adds a whole row at once; begin with a copy of b
    for each n, of floats.
    """
    raise NotImplementedError


def relevance_skipping(a, s, W):
    """The relevance R (N, D) of the inputs a (N, D), from s (N, K), lines 3 and 4 of LRP.

        R_nj = a_nj times the sum over k of s_nk w_jk, and 0 where a_nj is 0

    Here, too, a row j of W is read only for inputs that are not 0. They may be negative.
    Hint: s[n] @ W[j] is the sum over k; numpy.flatnonzero(a[n]) are the inputs that are not 0.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
