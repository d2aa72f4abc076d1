"""Exercise to lesson 13: find the fault, and mend it.

Four programs, each with one fault that is not in the lesson. Two of them are right for most
networks and images, one for a single image, one never; all draw heatmaps. Mend them; then run this
file. It tells you which are right:

    python lessons/exercises/ex13_broken_lrp.py
"""
import numpy as np

from grader import grade


def negative_logits(a, W, b, R):
    """LRP-0: R_j = sum_k a_j w_jk / z_k R_k, for the logits. Where z_k = 0, R_k is dropped.

    a (N, D), W (D, K), b (K,), R (N, K); returns (N, D).
    """
    z = np.maximum(a @ W + b, 0)
    s = np.where(z == 0, 0, R / np.where(z == 0, 1, z))
    return a * (s @ W.T)


def dead_neurons(a, W, b, R, epsilon):
    """LRP-epsilon: the denominator is z_k + epsilon sign(z_k), with sign(0) = +1."""
    z = a @ W + b
    s = R / (z + epsilon * np.sign(z))
    return a * (s @ W.T)


def lost_relevance(a, W, b, R, gamma):
    """LRP-gamma: positive weights and biases count 1 + gamma times, above and below the line."""
    z = a @ W + b
    s = np.where(z == 0, 0, R / np.where(z == 0, 1, z))
    return a * (s @ (W + gamma * np.maximum(W, 0)).T)


def the_way_back(x, W1, b1, W2, b2, target):
    """LRP-0 from the logit of target (N,) to the pixels (N, D) of a network with a ReLU layer.

        a = max(x @ W1 + b1, 0),    logits = a @ W2 + b2
    """
    def lrp_0(a, W, b, R):
        z = a @ W + b
        return a * (np.where(z == 0, 0, R / np.where(z == 0, 1, z)) @ W.T)

    hidden = np.maximum(x @ W1 + b1, 0)
    logits = hidden @ W2 + b2
    R = np.where(np.arange(logits.shape[1]) == target[0], logits, 0)
    return lrp_0(x, W1, b1, lrp_0(hidden, W2, b2, R))


if __name__ == "__main__":
    grade(__file__)
