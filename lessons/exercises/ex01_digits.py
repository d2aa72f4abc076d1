"""Exercise to lesson 1: digits.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex01_digits.py
"""
import numpy as np

from grader import grade


def as_rows(images):
    """Images as the network takes them: bytes (N, H, W) to rows of numbers (N, H W) in [0, 1].

    A byte of 0 is empty paper and becomes 0, a byte of 255 is full ink and becomes 1. An image is
    written down row by row.
    Hint: numpy.reshape goes row by row. Give it -1 for one length, and it works that length out.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
