"""Exercise to lesson 15: fewer inputs, smaller networks.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex15_fewer_inputs.py
"""
import numpy as np

from grader import grade


def fewer_inputs(x, W, R, count):
    """The images and the first layer, with only the `count` most important inputs.

    x (N, D) are the images, W (D, K) the weights, R (N, D) the relevance of each pixel. The
    importance of an input is the mean of |R| over the images. Returns (x, W) of shapes (N, count)
    and (count, K); the inputs that are kept stay in their old order.
    Hint: numpy.sort(indices) puts indices in rising order; x[:, indices] selects columns.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
