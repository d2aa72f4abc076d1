"""The hot loops in numba. Each has the name and the arguments of its NumPy twin.

The first call of a kernel compiles it, which takes a moment.
"""
import numba
import numpy as np


def compiled(kernel):
    """`kernel` compiled at its first call, and kept on disk where there is a place to write."""
    try:
        return numba.njit(kernel, cache=True, error_model="numpy")
    except RuntimeError:        # numba found no folder for its cache
        return numba.njit(kernel, error_model="numpy")


@compiled
def adam_step(w, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """`training.adam_step` in one pass over memory, for flat arrays (P,):

        for every parameter i:  m_i, v_i, w_i  <-  the four lines of Adam
    """
    real = w.dtype.type
    correction1 = real(1 / (1 - beta1**t))
    correction2 = real(1 / (1 - beta2**t))
    keep1, add1 = real(beta1), real(1 - beta1)
    keep2, add2 = real(beta2), real(1 - beta2)
    rate, tiny = real(learning_rate), real(epsilon)
    for i in range(w.size):
        m[i] = keep1 * m[i] + add1 * gradient[i]
        v[i] = keep2 * v[i] + add2 * gradient[i] * gradient[i]
        w[i] -= rate * (m[i] * correction1) / (np.sqrt(v[i] * correction2) + tiny)
