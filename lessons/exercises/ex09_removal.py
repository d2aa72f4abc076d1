"""Exercise to lesson 9: removing pixels.

Write the functions below, then run this file; it says what is right and what is not yet:

    python lessons/exercises/ex09_removal.py
"""
import numpy as np

from grader import grade


def remove(x, R, fraction):
    """Images x (N, D) with the most relevant `fraction` of the D pixels of each set to 0.

    R (N, D) is their relevance, with its sign. The number of pixels is rounded: fraction = 0.15 of
    784 are 118. x itself must stay as it is.
    Hint: numpy.argsort gives the pixels in order. numpy.put_along_axis sets them.
    """
    raise NotImplementedError


def confidence(logits):
    """The paper's confidence (top1 - top2) / top1 of logits (N, K), one number an image (N,).

    top1 is the largest logit of a row, top2 the second.
    Hint: numpy.sort(logits, axis=1).
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
