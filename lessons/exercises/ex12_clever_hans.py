"""Exercise to lesson 12: a mark, its share of the relevance, and how to find it.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex12_clever_hans.py
"""
import numpy as np

from grader import grade


def put_mark(images, labels, of_class, pixels, value):
    """A copy of the images (N, D) with a mark on every image of one class.

    The mark: the pixels, a list of numbers from 0 to D - 1, become `value`, whatever they were.
    labels (N,), whole numbers; of_class, the label of the images that get the mark.
    Hint: images.copy(), and np.ix_(rows, columns) for both choices at once.
    """
    raise NotImplementedError


def share_on(R, pixels):
    """The share of each image's |R| that lies on the pixels: (N,).

        share_n = sum_{j in pixels} |R_nj| / sum_j |R_nj|

    R (N, D), relevance; pixels, a list of numbers from 0 to D - 1. Where all R of an image are 0,
    its share is 0.
    Hint: an image whose relevance is 3 on the mark and -1 elsewhere has a share of 0.75.
    """
    raise NotImplementedError


def matters_to_one_class(R, labels):
    """How far the largest class mean of each pixel lies above the second largest: (D,).

        m_cj = the mean of R_nj over the images n of class c
        score_j = max_c m_cj - the second largest of the m_cj

    R (N, D), relevance; labels (N,), whole numbers, with at least two different ones. The classes
    are those that occur in the labels.
    Hint: np.unique(labels), then np.sort over the classes.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
