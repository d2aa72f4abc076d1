"""Exercise to lesson 3: backpropagation by hand.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex03_backpropagation.py
"""
import numpy as np

from grader import grade


def dlogits(logits, labels):
    """The derivative of the loss with respect to the logits: (N, K) and labels (N,) to (N, K).

        loss = -1/N sum_n log p[n, labels[n]],    p = softmax(logits)

    Hint: lesson 3 works it out for one image: take p, subtract 1 at the label. The loss is a
    mean over N images, so divide by N.
    """
    raise NotImplementedError


def gradients(a, dz):
    """dW (D, K) and db (K,): the gradients of the weights and biases of z = a @ W + b.

    a (N, D) entered the layer; dz (N, K) is the derivative of the loss with respect to z. Return
    (dW, db).
    Hint: W_jk occurs in z_nk of every image n, times a_nj.
    """
    raise NotImplementedError


def hand_down(dz, W, a):
    """The derivative of the loss with respect to the pre-activations of the layer below (N, D).

        z = a @ W + b,    a = max(z_below, 0)

    dz (N, K) is the derivative of the loss with respect to z; W (D, K); a (N, D) left the ReLU.
    Hint: first back along the weights, for the derivative with respect to a, then back through the
    ReLU.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
