"""Exercise to lesson 5: LRP by hand.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex05_lrp_by_hand.py
"""
import numpy as np

from grader import grade


def lrp_0(a, W, b, R):
    """LRP-0: from the relevance R (N, K) of a layer's outputs to that of its inputs (N, D).

        R_j = sum_k  a_j w_jk / z_k  R_k,    z_k = sum_j a_j w_jk + b_k

    Where z_k = 0 exactly, R_k is dropped. a (N, D), W (D, K), b (K,).
    Hint: four lines. z; s = R / z, but 0 where z is 0; c = s @ W.T; a * c.
    """
    raise NotImplementedError


def relevance_of_pixels(x, W1, b1, W2, b2, target):
    """LRP-0 through a whole network, from the logits to the pixels (N, D).

        a = max(x @ W1 + b1, 0),    logits = a @ W2 + b2

    target (N,): the class to explain, for each image. At the logits, R is the logit of that class
    and 0 for the others. Relevance passes the ReLU unchanged.
    Hint: use your lrp_0 twice. What is `a` for the lower layer?
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
