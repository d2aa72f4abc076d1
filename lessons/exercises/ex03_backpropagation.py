"""Exercise to lesson 3: backpropagation by hand.

Write the functions below, then run this file; it says what is right and what is not yet:

    python lessons/exercises/ex03_backpropagation.py
"""
import numpy as np

from grader import grade


def dlogits(logits, labels):
    """How the loss of a batch changes with the logits: from (N, K), labels (N,), to (N, K).

        loss = -1/N sum_n log p[n, labels[n]],    p = softmax(logits)

    Hint: lesson 3 works it out: p, less 1 at the label, divided by N.
    """
    raise NotImplementedError


def gradients(a, dz):
    """dW (D, K) and db (K,): how the loss changes with the weights and biases of z = a @ W + b.

    a (N, D) entered the layer; dz (N, K) says how the loss changes with z. Return (dW, db).
    Hint: W_jk has a part in z_nk of every image n. The part is a_nj.
    """
    raise NotImplementedError


def hand_down(dz, W, a):
    """How the loss changes with the pre-activations of the layer below, (N, D).

        z = a @ W + b,    a = max(z_below, 0)

    dz (N, K) says how the loss changes with z; W (D, K); a (N, D) is what the ReLU let through.
    Hint: down the weights first, for the derivative of a, then back through the ReLU.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
