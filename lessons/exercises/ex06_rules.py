"""Exercise to lesson 6: the rules.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex06_rules.py
"""
import numpy as np

from grader import grade


def lrp_epsilon(a, W, b, R, epsilon):
    """LRP-epsilon: from relevance R (N, K) of a layer's outputs to that of its inputs (N, D).

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k,    z_k = sum_j a_j w_jk + b_k

    with sign(0) = +1. a (N, D), W (D, K), b (K,), epsilon > 0.
    Hint: numpy.sign(0) is 0; use numpy.where.
    """
    raise NotImplementedError


def lrp_gamma(a, W, b, R, gamma):
    """LRP-gamma: LRP-0 in which positive weights and biases count 1 + gamma times.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / z_k  R_k,
        z_k = sum_j a_j (w_jk + gamma w+_jk) + b_k + gamma b+_k,    w+ = max(w, 0)

    Where z_k = 0 exactly, R_k is dropped. a (N, D) is at least 0; W (D, K), b (K,).
    Hint: this is LRP-0 with another W and another b.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
