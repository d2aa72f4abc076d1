"""Exercise to lesson 9: the sigmoid trap.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex09_zero_centring.py
"""
import numpy as np

from grader import grade


def centred_bias(W, b, f0):
    """The new bias (K,) of a layer whose inputs a_j = f(z_j) are replaced by a_j - f(0).

        sum_j a_j W_jk + b_k  =  sum_j (a_j - f0) W_jk + b'_k        What is b'_k?

    W (D, K), b (K,); f0 = f(0), a number: 1/2 for the sigmoid.
    Hint: subtract one side from the other. What remains?
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
