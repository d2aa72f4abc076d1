"""Exercise to lesson 2: a forward pass by hand.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex02_forward.py
"""
import numpy as np

from grader import grade


def linear(a, W, b):
    """The linear part of a layer, before its activation: z = a @ W + b, (N, D) to (N, K).

        z_nk = sum_j a_nj W_jk + b_k

    a (N, D): one image a row; W (D, K); b (K,).
    Hint: @ multiplies matrices. NumPy adds a (K,) to each row of an (N, K).
    """
    raise NotImplementedError


def softmax(logits):
    """Probabilities (N, K) of the classes, from logits (N, K), row by row.

        p_k = exp(logit_k) / sum_k' exp(logit_k')

    Hint: exp(1000) is infinite. What happens to p if you subtract the same number from all logits
    of a row?
    """
    raise NotImplementedError


def forward(x, W1, b1, W2, b2):
    """The logits (N, K) of a network with one hidden layer and a ReLU, from images x (N, D).

        a = max(x @ W1 + b1, 0),    logits = a @ W2 + b2

    Hint: numpy.maximum compares element by element.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
