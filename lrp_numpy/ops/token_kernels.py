"""The equations of tokens and attention in reference.py as loops in numba.

Matrix products of tokens stay with NumPy: tokens have no zeros to skip, and W is so small that it
stays in the fastest cache. What lies between them is here, one pass over an image where NumPy needs
five or ten. Several threads share the images (threads.py); an image's result depends on that image
alone, but for sums over a batch, which are taken in PARTS.
"""
import math

import numpy as np

from lrp_numpy.ops import reference
from lrp_numpy.ops.compiled import SUMS, compiled
from lrp_numpy.ops.gelu import ERF_P, ERF_Q
from lrp_numpy.ops.layout import PARTS, as_contiguous_floats, as_rows
from lrp_numpy.ops.threads import dealt, share
from lrp_numpy.utils.validation import check_shape

FUNCTION = 4        # multiplications that take as long as one exp or erf, many at a time
SINGLE = np.float32
P = tuple(map(SINGLE, ERF_P))
Q = tuple(map(SINGLE, ERF_Q))

# exp(x) = 2^k exp(r), r = x - k log 2, |r| <= log(2) / 2; log 2 in two parts, the first of which k
# multiplies exactly. The numbers of the polynomial are those of the library Cephes, highest first.
PER_LOG_2, LOG_2, LOG_2_REST = map(SINGLE, (1.4426950408889634, 0.693359375, -2.12194440e-4))
EXP = tuple(map(SINGLE, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                         1.6666665459e-1, 5.0000001201e-1)))
LEAST = SINGLE(-87)         # exp of less than that is denormal: it counts as that


@compiled(from_python=False, fastmath=SUMS)
def _polynomial(numbers, x):
    """p_0 x^n + p_1 x^(n - 1) + ... + p_n."""
    total = numbers[0]
    for i in range(1, len(numbers)):
        total = total * x + numbers[i]
    return total


@compiled(from_python=False, fastmath=SUMS)
def _exp(x):
    """exp(x) of a float32 x <= 0, to 1e-7 of it; NaN for NaN."""
    y = max(LEAST, x)
    k = np.floor(y * PER_LOG_2 + SINGLE(0.5))
    r = y - k * LOG_2 - k * LOG_2_REST
    power = np.int32((np.int32(k) + 127) << 23).view(np.float32)     # 2^k: k, as a float keeps it
    found = (_polynomial(EXP, r) * r * r + r + SINGLE(1)) * power
    return found if x <= 0 else x


@compiled(from_python=False, fastmath=SUMS)
def _Phi(z):
    """Phi(z) = (1 + erf(z / sqrt 2)) / 2 of a float32 z: see ops/gelu.py."""
    x = min(max(z * SINGLE(math.sqrt(0.5)), SINGLE(-4)), SINGLE(4))
    erf = x * _polynomial(P, x * x) / _polynomial(Q, x * x)
    return SINGLE(0.5) + SINGLE(0.5) * erf + z * SINGLE(0)      # NaN for NaN and infinity


# GELU

def gelu(z: np.ndarray) -> np.ndarray:
    """reference.gelu, in float32: f(z) = z Phi(z)."""
    if z.dtype != np.float32:
        return reference.gelu(z)
    z, = as_contiguous_floats(z)
    a = np.empty(z.shape, z.dtype)
    share(_gelu, len(z), FUNCTION * math.prod(z.shape[1:]), as_rows(z), as_rows(a))
    return a


@compiled(fastmath=SUMS)
def _gelu(turns, z, a):
    for n in dealt(turns):
        for k in range(z.shape[1]):
            a[n, k] = z[n, k] * _Phi(z[n, k])


def gelu_backward(z: np.ndarray, a: np.ndarray, da: np.ndarray) -> np.ndarray:
    """reference.gelu_backward, in float32: dz = da (Phi(z) + z phi(z))."""
    check_shape("da", da, z.shape)
    if z.dtype != np.float32 or da.dtype != np.float32:
        return reference.gelu_backward(z, a, da)
    z, da = as_contiguous_floats(z, da)
    dz = np.empty(z.shape, z.dtype)
    share(_gelu_backward, len(z), 2 * FUNCTION * math.prod(z.shape[1:]), as_rows(z), as_rows(da),
          as_rows(dz))
    return dz


@compiled(fastmath=SUMS)
def _gelu_backward(turns, z, da, dz):
    at_0 = SINGLE(1 / math.sqrt(2 * math.pi))
    for n in dealt(turns):
        for k in range(z.shape[1]):
            z_k = z[n, k]
            density = at_0 * _exp(z_k * z_k * SINGLE(-0.5))
            dz[n, k] = da[n, k] * (_Phi(z_k) + z_k * density)


# Normalization of each token

def as_tokens(a: np.ndarray) -> np.ndarray:
    """(N, T, D), also of rows (N, D): a view if a is C-contiguous."""
    return a if a.ndim == 3 else a[:, None]


def normalize_tokens(a: np.ndarray, W: np.ndarray, b: np.ndarray,
                     epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """reference.normalize_tokens: z = n * W + b, n = (a - mean(a)) / std; z, mean and 1 / std."""
    a, W, b = as_contiguous_floats(a, W, b)
    check_shape("W", W, a.shape[-1:])
    check_shape("b", b, a.shape[-1:])
    z, (mean, per_std) = np.empty_like(a), np.empty((2, *a.shape[:-1], 1), a.dtype)
    share(_normalize_tokens, len(a), 3 * math.prod(a.shape[1:]), as_tokens(a), W, b,
          a.dtype.type(epsilon), as_tokens(z), as_tokens(mean), as_tokens(per_std))
    return z, mean, per_std


@compiled(fastmath=SUMS)
def _normalize_tokens(turns, a, W, b, epsilon, z, mean, per_std):
    D = a.dtype.type(a.shape[2])
    for n in dealt(turns):
        for t in range(a.shape[1]):
            a_t, z_t = a[n, t], z[n, t]
            total = squares = a.dtype.type(0)
            for j in range(a_t.size):
                total += a_t[j]
            mean_t = total / D
            for j in range(a_t.size):
                z_t[j] = a_t[j] - mean_t
                squares += z_t[j] * z_t[j]
            scale = a.dtype.type(1) / np.sqrt(squares / D + epsilon)
            for j in range(a_t.size):
                z_t[j] = z_t[j] * scale * W[j] + b[j]
            mean[n, t, 0], per_std[n, t, 0] = mean_t, scale


def normalize_tokens_backward(
        a: np.ndarray, dz: np.ndarray, mean: np.ndarray, per_std: np.ndarray,
        W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """reference.normalize_tokens_backward: da, dW and db."""
    a, dz, mean, per_std, W = as_contiguous_floats(a, dz, mean, per_std, W)
    check_shape("dz", dz, a.shape)
    check_shape("mean", mean, (*a.shape[:-1], 1))
    check_shape("per_std", per_std, (*a.shape[:-1], 1))
    check_shape("W", W, a.shape[-1:])
    da, sums = np.empty_like(a), np.zeros((PARTS, 2, W.size), a.dtype)
    share(_normalize_tokens_backward, PARTS, 6 * a.size / PARTS, as_tokens(a), as_tokens(dz),
          as_tokens(mean), as_tokens(per_std), W, as_tokens(da), sums)
    dW, db = sums.sum(axis=0)
    return da, dW, db


@compiled(fastmath=SUMS)
def _normalize_tokens_backward(turns, a, dz, mean, per_std, W, da, sums):
    """sums (PARTS, 2, D): dW and db over each part of the images."""
    N, T, _ = a.shape
    D = a.dtype.type(a.shape[2])
    for part in dealt(turns):
        dW, db = sums[part, 0], sums[part, 1]
        for n in range(N * part // PARTS, N * (part + 1) // PARTS):
            for t in range(T):
                a_t, dz_t, da_t = a[n, t], dz[n, t], da[n, t]
                mean_t, scale = mean[n, t, 0], per_std[n, t, 0]
                of_dn = of_product = a.dtype.type(0)
                for j in range(a_t.size):
                    n_j = (a_t[j] - mean_t) * scale
                    dW[j] += dz_t[j] * n_j
                    db[j] += dz_t[j]
                    da_t[j] = dz_t[j] * W[j]
                    of_dn += da_t[j]
                    of_product += da_t[j] * n_j
                mean_dn, slope = of_dn / D, of_product / D * scale
                for j in range(a_t.size):
                    da_t[j] = (da_t[j] - mean_dn - (a_t[j] - mean_t) * slope) * scale


# Attention

def as_views(A: np.ndarray) -> np.ndarray:
    """(N, h, T, T) as (N, h T, T): a row for each token and head."""
    N, h, T, _ = A.shape
    return A.reshape(N, h * T, T)


def softmax(S: np.ndarray, causal: bool = False) -> np.ndarray:
    """reference.softmax, in float32: A = exp(S) / sum_j exp(S), row by row."""
    if S.dtype != np.float32 or not S.flags.carray:
        return reference.softmax(S, causal)
    A = np.empty_like(S)
    share(_softmax, len(S), 2 * FUNCTION * math.prod(S.shape[1:]), as_views(S), causal, as_views(A))
    return A


@compiled(fastmath=SUMS)
def _softmax(turns, S, causal, A):
    T = S.shape[2]
    for n in dealt(turns):
        for row in range(S.shape[1]):
            S_i, A_i = S[n, row], A[n, row]
            seen = row % T + 1 if causal else T
            largest, total = S_i[0], SINGLE(0)
            for j in range(seen):
                largest = max(largest, S_i[j])
            for j in range(seen):
                A_i[j] = _exp(S_i[j] - largest)
                total += A_i[j]
            for j in range(seen):
                A_i[j] /= total
            for j in range(seen, T):
                A_i[j] = S_i[j] = 0


def softmax_backward(A: np.ndarray, dA: np.ndarray) -> np.ndarray:
    """reference.softmax_backward: dS = A * (dA - sum_j A dA)."""
    A, dA = as_contiguous_floats(A, dA)
    check_shape("dA", dA, A.shape)
    dS = np.empty_like(A)
    share(_softmax_backward, len(A), 2 * math.prod(A.shape[1:]), as_views(A), as_views(dA),
          as_views(dS))
    return dS


@compiled(fastmath=SUMS)
def _softmax_backward(turns, A, dA, dS):
    for n in dealt(turns):
        for row in range(A.shape[1]):
            A_i, dA_i, dS_i, total = A[n, row], dA[n, row], dS[n, row], A.dtype.type(0)
            for j in range(A_i.size):
                total += A_i[j] * dA_i[j]
            for j in range(A_i.size):
                dS_i[j] = A_i[j] * (dA_i[j] - total)


def softmax_relevance(S: np.ndarray, A: np.ndarray,
                      c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """reference.softmax_relevance: R_S, and the share of the tangent's constant (N,)."""
    S, A, c = as_contiguous_floats(S, A, c)
    check_shape("A", A, S.shape)
    check_shape("c", c, S.shape)
    R, constants = np.empty_like(S), np.zeros(len(S))
    share(_softmax_relevance, len(S), 6 * math.prod(S.shape[1:]), as_views(S), as_views(A),
          as_views(c), as_views(R), constants)
    return R, constants


@compiled(fastmath=SUMS)
def _softmax_relevance(turns, S, A, c, R, constants):
    """Of a row, sum_j R_A (1 - S + sum A S) = (1 + sum A S) sum R_A - sum R_A S."""
    one = S.dtype.type(1)
    for n in dealt(turns):
        for row in range(S.shape[1]):
            S_i, A_i, c_i, R_i = S[n, row], A[n, row], c[n, row], R[n, row]
            of_A = of_scores = of_both = S.dtype.type(0)
            for j in range(S_i.size):
                of_A += A_i[j] * c_i[j]
                of_scores += A_i[j] * S_i[j]
                of_both += A_i[j] * c_i[j] * S_i[j]
            constants[n] += (one + of_scores) * of_A - of_both
            for j in range(S_i.size):
                R_i[j] = S_i[j] * A_i[j] * (c_i[j] - of_A)
