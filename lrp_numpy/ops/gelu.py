"""What GELU needs: the error function, which NumPy does not have."""
import math

import numpy as np

erf_of_each = np.vectorize(math.erf, otypes=[np.float64])      # NumPy has none, and this is slow

# Of erf(z) = z P(z^2) / Q(z^2), highest power first
ERF_P = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
         -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02)
ERF_Q = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
         -7.37332916720468e-03, -1.42647390514189e-02)


def erf(z: np.ndarray) -> np.ndarray:
    """The error function, exact to the type of z: for float32, the fraction above, which is that of
    the library Eigen (z beyond 4 counts as 4)."""
    if z.dtype != np.float32:
        return erf_of_each(z)
    z = np.clip(z, -4, 4)
    square, P, Q = z * z, *(np.full_like(z, first) for first in (ERF_P[0], ERF_Q[0]))
    for sums, numbers in ((P, ERF_P), (Q, ERF_Q)):
        for number in numbers[1:]:
            sums *= square
            sums += np.float32(number)
    P *= z
    P /= Q
    return P


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Phi(z) = (1 + erf(z / sqrt 2)) / 2: the probability that a standard normal is below z."""
    z = z if hasattr(z, "dtype") else np.array(z, float)    # a number will do, as everywhere here
    return (0.5 * (1 + erf(z / math.sqrt(2)))).astype(z.dtype)


def gelu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Phi(z) + z phi(z), with the normal density phi(z) = exp(-z^2 / 2) / sqrt(2 pi); a = gelu(z),
    so that Phi(z) is a / z, and 1/2 where z is 0."""
    is_zero = z == 0
    Phi = np.where(is_zero, z.dtype.type(0.5), a / np.where(is_zero, 1, z))
    return Phi + z * np.exp(z * z * z.dtype.type(-0.5)) * z.dtype.type(1 / math.sqrt(2 * math.pi))
