"""Exercise to lesson 7: rules from root points.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex07_roots.py

All of them are about one ReLU neuron, R(a) = max(0, a . w + b), for several inputs a at once.
"""
import numpy as np

from grader import grade


def root_point(a, w, b, v):
    """The root points (N, D) on the lines a - t v: where a . w + b is 0.

        ã_n = a_n - t_n v_n,    t_n = (a_n . w + b) / (v_n . w)

    a (N, D), inputs; w (D,), weights; b, a number; v (N, D), a direction for each input.
    Hint: t has a number for each of the N rows. The result @ w + b is 0.
    """
    raise NotImplementedError


def relevance_in_a_box(a, w, b, low, high):
    """The relevance (N, D) of inputs with low <= a <= high, from the root inside these bounds.

        v_nj = a_nj - low where w_j > 0,  a_nj - high where w_j < 0,  0 where w_j = 0
        R_nj = w_j (a_nj - ã_nj),    ã_n the root point on the line a_n - t v_n

    a (N, D); w (D,); b, low, high, numbers. All a . w + b are above 0.
    Hint: each row of the result sums to a . w + b. This is the rule z-B, found by way of its root.
    """
    raise NotImplementedError


def gamma_for(a, w, share):
    """For each input the smallest γ >= 0 for which LRP-gamma gives little negative relevance: (N,).

    No bias, a >= 0. With P = sum_j a_j max(w_j, 0), Q = -sum_j a_j min(w_j, 0) and z = P - Q > 0,
    all inputs with negative weights together get

        -Q z / ((1 + γ) P - Q)

    Find the γ for which this is -share times z, or 0 if it is less than that already for γ = 0.
    a (N, D); w (D,); share, a number above 0.
    Hint: solve Q / ((1 + γ) P - Q) = share for γ. That such a γ exists for every share, however
    small, is half of the proof that gamma becomes z+.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
