"""Exercise to lesson 19: LRP in a transformer.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex19_transformer.py
"""
import numpy as np

from grader import grade


def attention_rollout(maps):
    """How much each token counts in the end (T,), by attention rollout.

        M = (A_L + I) / 2 @ ... @ (A_2 + I) / 2 @ (A_1 + I) / 2,    the mean over the rows of M

    maps (L, T, T): the attention weights of L blocks, the first block first; I is the identity.
    Hint: begin with the identity, and multiply each block from the left.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
