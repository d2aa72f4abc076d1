"""Exercise to lesson 10: fewer inputs, smaller networks.

Write the functions below, then run this file; it says what is right and what is not yet:

    python lessons/exercises/ex10_fewer_inputs.py
"""
import numpy as np

from grader import grade


def fewer_inputs(x, W, R, count):
    """The images and the first layer, with only the `count` most important inputs.

    x (N, D) are the images, W (D, K) the weights, R (N, D) the relevance of each pixel. An input is
    important if the mean of |R| over the images is large. Returns (x, W) of shapes (N, count) and
    (count, K); the kept inputs stay in their old order.
    Hint: numpy.sort(places) brings places into rising order; x[:, places] takes columns.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
