"""Exercise to lesson 10: pixel flipping.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex10_pixel_flipping.py
"""
import numpy as np

from grader import grade


def flip(x, R, fraction):
    """Images x (N, D) in which the most relevant `fraction` of the D pixels of each is set to 0.

    R (N, D) is their signed relevance. The number of pixels is rounded: 0.15 of 784 is 118. Do not
    change x itself.
    Hint: numpy.argsort gives the order of the pixels; numpy.put_along_axis sets values at indices.
    """
    raise NotImplementedError


def confidence(logits):
    """The paper's confidence (top1 - top2) / top1 of logits (N, K), one for each image (N,).

    top1 is the largest logit of a row, top2 the second.
    Hint: numpy.sort(logits, axis=1).
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
