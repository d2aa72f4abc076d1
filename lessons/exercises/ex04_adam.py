"""Exercise to lesson 4: Adam and training.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex04_adam.py
"""
import numpy as np

from grader import grade


def adam_step(w, gradient, m, v, t, learning_rate):
    """Step t = 1, 2, ... of Adam. Returns the new (w, m, v), and changes none of the old.

        m <- beta1 m + (1 - beta1) g            running mean of the gradient g
        v <- beta2 v + (1 - beta2) g^2          and of its square
        m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
        w <- w - learning_rate m^ / (sqrt(v^) + epsilon)

    with beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8. All arrays have one shape.
    Hint: m^ and v^ are for this step only. The next step goes on with m and v.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
