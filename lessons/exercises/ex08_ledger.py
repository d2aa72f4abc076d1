"""Exercise to lesson 8: the ledger.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex08_ledger.py
"""
import numpy as np

from grader import grade


def ledger(a, W, b, R, epsilon):
    """Where the relevance R (N, K) of a layer goes under LRP-epsilon, for each of N images.

    Returns (received, inputs, bias, epsilon, dropped), each (N,), with

        received = inputs + bias + epsilon + dropped

    received: all of R. inputs: a_j w_jk s_k, summed. bias: b_k s_k, summed.
    epsilon: epsilon sign(z_k) s_k, summed. dropped: R_k where s_k does not exist, because z_k = 0
    and epsilon = 0. Here s_k = R_k / (z_k + epsilon sign(z_k)), sign(0) = +1.
    Hint: add up the last four and compare with the first, before the grader does.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
