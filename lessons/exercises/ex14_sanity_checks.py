"""Exercise to lesson 14: sanity checks.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex14_sanity_checks.py
"""
import numpy as np

from grader import grade


def similarity(R, S, x):
    """Spearman's correlation of two heatmaps over the ink of each image: (N,).

    R, S (N, D): the heatmaps; x (N, D): the images. Only the pixels with x > 0 count. Replace each
    number by its rank among those of its image, 0 for the smallest; then take the correlation
    (Pearson's) of the ranks. No two numbers of an image are equal here.
    Hint: np.argsort(np.argsort(v)) are the ranks of v; np.corrcoef(a, b)[0, 1].
    """
    raise NotImplementedError


def cascade(weights, fresh, count):
    """The weights of a network whose `count` uppermost layers are replaced: a list of arrays.

    weights, fresh: lists of the W of all layers, the lowest first, trained and untrained. Returns a
    new list; with count = 0 all are trained.
    Hint: a list has a length, and slices.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
