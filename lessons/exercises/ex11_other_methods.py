"""Exercise to lesson 11: beside other methods.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex11_other_methods.py
"""
import numpy as np

from grader import grade


def occlusion(x, W1, b1, W2, b2, target):
    """What each pixel is worth: the logit of target less that without the pixel, (N, D).

        R_i = z_c(x) - z_c(x with x_i = 0),    z = max(x @ W1 + b1, 0) @ W2 + b2

    x (N, D); target (N,): the class c of each image.
    Hint: a loop over the pixels i; set column i of a copy to 0.
    """
    raise NotImplementedError


def integrated_gradients(x, W1, b1, W2, b2, target, samples):
    """The gradient's mean on the way from the empty image to x, times x, (N, D).

        R = x  mean over m of  dz_c / dx (t_m x),    t_m = (m + 1/2) / samples,  m = 0, 1, ...

    The network is that of `occlusion`. Its gradient: of z_c with respect to a = max(x @ W1 + b1, 0)
    it is column c of W2; back through the ReLU, it stays where x @ W1 + b1 > 0; then @ W1.T.
    Hint: a loop over m. The bias decides where a ReLU switches on.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
