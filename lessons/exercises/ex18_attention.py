"""Exercise to lesson 18: attention by hand.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex18_attention.py
"""
import numpy as np

from grader import grade


def product_rule(A, V, R):
    """The relevance of both factors of O = A @ V: (R_A, R_V), of the shapes of A and V.

        R_A_ij = A_ij sum_d V_jd R_id / (2 O_id),    R_V_jd = V_jd sum_i A_ij R_id / (2 O_id)

    A (T, T), V (T, D), R (T, D) that of O. Where O is 0, R is dropped.
    Hint: s = R / (2 O) first, then it is lines 3 and 4, once for each factor; one needs A.T, the
    other V.T. Each of both gets half of R.
    """
    raise NotImplementedError


def softmax_rule(s, R):
    """The relevance of the scores s (T, T), from R (T, T), that of A = softmax(s), row by row.

        R_s_ij = s_ij (R_ij - A_ij sum_j' R_ij')

    Hint: subtract the largest score of a row before exp; A stays the same, and s is still s.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
