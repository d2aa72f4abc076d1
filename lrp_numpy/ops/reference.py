"""Every equation of the networks and their training in NumPy, as written on paper.

kernels.py has the same functions, with the same names and arguments, as loops; `ops.choose` decides
which of the two run. (The equations of LRP are in rules.py.)

Rows of numbers are (N, D). Images are (N, C, H, W): N images of C channels, H rows, W columns. The
functions work on one shifted image at a time: `shifted` is the part of a that one weight of a
kernel multiplies.
"""
import math
from collections.abc import Iterator

import numpy as np

from lrp_numpy.ops.gelu import gelu_derivative, normal_cdf
from lrp_numpy.ops.last_axis import largest, means, sums
from lrp_numpy.utils.types import Shape
from lrp_numpy.utils.validation import check_shape

# What rules.propagate reads from a layer: run the four lines as written, and check the arrays
loops, is_checked = None, False

BLOCK = 2**15       # numbers of an array that Adam changes at a time


# Dense layers

def linear(a: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z = a @ W + b: from (N, D) to (N, K). Raises ValueError for shapes that do not fit."""
    check_shape("a", a, (len(a), len(W)))
    check_shape("b", b, W.shape[1:])
    return a @ W + b


def transpose(s: np.ndarray, W: np.ndarray, shape: Shape | None = None) -> np.ndarray:
    """c = s @ W.T: back from (N, K) to (N, D)."""
    return s @ W.T


def gradients(a: np.ndarray, dz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dW = a.T @ dz (D, K) and db = sum of dz over the batch (K,)."""
    return a.T @ dz, dz.sum(axis=0)


# Distances

def shares_of_distances(a: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """R[n, i] = sum_j s[n, j] (a[n, i] - u[j, i])^2: a (N, D), u (J, D), s (N, J) to (N, D)."""
    R = np.empty(a.shape, np.result_type(a, u, s))
    for n, j in enumerate(s != 0):      # a stiff soft-min leaves few j with relevance
        R[n] = s[n, j] @ (a[n] - u[j])**2
    return R


# Kernels that are sums over the dimensions of two histograms

def terms(a: np.ndarray, u: np.ndarray, kernel: str) -> np.ndarray:
    """k_d(a_d, u_d), element by element, for numbers of at least 0: "intersection" min(a, u), or
    "chi2" 2 a u / (a + u), which is 0 where both are."""
    if kernel == "intersection":
        return np.minimum(a, u)
    return 2 * a * u / np.where(a + u == 0, 1, a + u)


def sum_kernel(a: np.ndarray, u: np.ndarray, kernel: str) -> np.ndarray:
    """k (N, n): k[m, i] = sum_d k_d(a[m, d], u[d, i]), for histograms a (N, V) and u (V, n)."""
    k = np.empty((len(a), u.shape[1]), np.result_type(a, u))
    for m, d in enumerate(a != 0):      # where a is 0, so is k_d
        k[m] = terms(a[m, d, None], u[d], kernel).sum(axis=0)
    return k


def sum_kernel_shares(a: np.ndarray, u: np.ndarray, weights: np.ndarray,
                      kernel: str) -> np.ndarray:
    """R (N, V): R[m, d] = sum_i weights[m, i] k_d(a[m, d], u[d, i]), for weights (N, n)."""
    R = np.zeros(a.shape, np.result_type(a, u, weights))
    for m, d in enumerate(a != 0):
        R[m, d] = terms(a[m, d, None], u[d], kernel) @ weights[m]
    return R


# Convolutions

def convolve(a: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int = 1,
             padding: int = 0) -> np.ndarray:
    """A sum of shifted images, each times one weight: from (N, C, H, W) to (N, K, H', W').

        z[n, k, y, x] = sum_{c, i, j} a[n, c, s y + i - p, s x + j - p] W[c, k, i, j] + b[k]

    W (C, K, h, w): W[c, k] is the pattern that channel k detects in channel c; b (K, 1, 1); s the
    stride, p the padding: outside the image, a is 0. H' = (H + 2 p - h) // s + 1.
    """
    h, w = W.shape[2:]
    a, z = zero_pad(a, padding), b
    for i in range(h):
        for j in range(w):
            part = shifted(a, i, j, (h, w), stride)
            z = z + np.einsum("ncyx,ck->nkyx", part, W[:, :, i, j], optimize=True)
    return z


def convolve_transpose(s: np.ndarray, W: np.ndarray, shape: Shape, stride: int = 1,
                       padding: int = 0) -> np.ndarray:
    """The transpose: s of each output goes back through each weight that leads to it.

        c[n, c, s y + i - p, s x + j - p] += s[n, k, y, x] W[c, k, i, j]    for all c, k, i, j, y, x

    From s (N, K, H', W') to `shape` (N, C, H, W), that of the input of `convolve`. With the
    convolution written as one matrix M, z = a @ M, this is s @ M.T.
    """
    h, w = W.shape[2:]
    c = zero_pad(np.zeros((len(s), *shape[1:]), np.result_type(s, W)), padding)
    for i in range(h):
        for j in range(w):
            shifted(c, i, j, (h, w), stride)[...] += np.einsum("nkyx,ck->ncyx", s, W[:, :, i, j],
                                                               optimize=True)
    return c[:, :, padding:padding + shape[2], padding:padding + shape[3]]


def convolve_gradients(a: np.ndarray, dz: np.ndarray, h: int, w: int, stride: int = 1,
                       padding: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """dW (C, K, h, w) and db (K, 1, 1) of a convolution: for each weight, the sum of its inputs
    times dz.

        dW[c, k, i, j] = sum_{n, y, x} a[n, c, s y + i - p, s x + j - p] dz[n, k, y, x]
        db[k] = sum_{n, y, x} dz[n, k, y, x]
    """
    a, dW = zero_pad(a, padding), np.empty((a.shape[1], dz.shape[1], h, w), dz.dtype)
    for i in range(h):
        for j in range(w):
            part = shifted(a, i, j, (h, w), stride)
            dW[:, :, i, j] = np.einsum("ncyx,nkyx->ck", part, dz, optimize=True)
    return dW, channel_sum(dz)


# Pooling

def average_pool(a: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """z[n, c, y, x] = sum_{i, j} a[n, c, s y + i, s x + j] W[i, j] + b: each channel by itself."""
    W = W.astype(a.dtype)
    return sum(shifted(a, i, j, W.shape, stride) * W[i, j] for i, j in np.ndindex(W.shape)) + b


def average_pool_transpose(s: np.ndarray, W: np.ndarray, shape: Shape, stride: int) -> np.ndarray:
    """The transpose: c[n, c, s y + i, s x + j] += s[n, c, y, x] W[i, j]."""
    c, W = np.zeros((len(s), *shape[1:]), s.dtype), W.astype(s.dtype)
    for i, j in np.ndindex(W.shape):
        shifted(c, i, j, W.shape, stride)[...] += s * W[i, j]
    return c


def max_pool(a: np.ndarray, size: int, stride: int) -> np.ndarray:
    """z[n, c, y, x] = max over i, j < size of a[n, c, s y + i, s x + j]."""
    square = (size, size)
    return np.max([shifted(a, i, j, square, stride) for i, j in np.ndindex(square)], axis=0)


def max_pool_backward(a: np.ndarray, dz: np.ndarray, size: int, stride: int) -> np.ndarray:
    """dz goes to the largest pixel of its square; among equal pixels, to the first."""
    z, da, square = max_pool(a, size, stride), np.zeros(a.shape, dz.dtype), (size, size)
    is_open = np.ones(z.shape, bool)
    for i, j in np.ndindex(square):
        is_largest = is_open & (shifted(a, i, j, square, stride) == z)
        shifted(da, i, j, square, stride)[...] += np.where(is_largest, dz, 0)
        is_open &= ~is_largest
    return da


# The activations that have loops; all are in layers/activations.py

def relu(z: np.ndarray) -> np.ndarray:
    """f(z) = max(z, 0)"""
    return np.maximum(z, 0)


def relu_backward(z: np.ndarray, da: np.ndarray) -> np.ndarray:
    """dz = da where z > 0, else 0 times da."""
    return da * (z > 0).astype(z.dtype)


def gelu(z: np.ndarray) -> np.ndarray:
    """f(z) = z Phi(z), exact, not the tanh approximation. Source: Hendrycks and Gimpel 2016."""
    return z * normal_cdf(z)


def gelu_backward(z: np.ndarray, a: np.ndarray, da: np.ndarray) -> np.ndarray:
    """dz = da * f'(z), where a = f(z)."""
    return da * gelu_derivative(z, a)


# Normalization, of each feature of rows (N, D), or channel of images (N, C, H, W). What is said of
# channels has the shape (D,), or (C, 1, 1).

def channel_sum(*factors: np.ndarray) -> np.ndarray:
    """The sum over images and positions of one array, or of the product of two."""
    shape = (factors[0].shape[1], *(1,) * (factors[0].ndim - 2))
    flat = [one.reshape(*one.shape[:2], math.prod(one.shape[2:])) for one in factors]
    of_image = np.einsum("ncp,ncp->nc", *flat) if len(flat) == 2 else flat[0].sum(axis=2)
    return of_image.sum(axis=0).reshape(shape)


def moments(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each channel, and its variance mean((a - mean)^2)."""
    count = a.dtype.type(a.size // a.shape[1])
    mean = channel_sum(a) / count
    distance = a - mean
    return mean, channel_sum(distance, distance) / count


def normalize(a: np.ndarray, mean: np.ndarray, scale: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z = (a - mean) * scale + b."""
    z = a - mean
    z *= scale
    z += b
    return z


def normalize_backward(a: np.ndarray, dz: np.ndarray, mean: np.ndarray, per_std: np.ndarray,
                       W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives of z = n * W + b, n = (a - mean) / std, mean and std those of the batch:

        dW = sum dz n,    db = sum dz,    da = W / std (dz - mean(dz) - n mean(dz n))
    """
    n = a - mean
    n *= per_std
    db, dW = channel_sum(dz), channel_sum(dz, n)
    count = a.dtype.type(a.size // a.shape[1])
    n *= -dW / count
    n += dz
    n -= db / count
    n *= W * per_std
    return n, dW, db


# Tokens (N, T, D), or rows (N, D): each sum goes over the D numbers of a token

def normalize_tokens(a: np.ndarray, W: np.ndarray, b: np.ndarray,
                     epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z = n * W + b, n = (a - mean(a)) / std, std = sqrt(mean((a - mean(a))^2) + epsilon).

    W and b (D,). Returns z, and mean(a) and 1 / std (..., 1).
    """
    mean = means(a)
    z = a - mean
    per_std = 1 / np.sqrt(means(z, z) + a.dtype.type(epsilon))
    z *= per_std
    z *= W
    z += b
    return z, mean, per_std


def normalize_tokens_backward(
        a: np.ndarray, dz: np.ndarray, mean: np.ndarray, per_std: np.ndarray,
        W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The derivatives: dW = sum dz n and db = sum dz over all tokens, and, with dn = dz W,

        da = (dn - mean(dn) - n mean(dn n)) / std
    """
    n, dn, others = (a - mean) * per_std, dz * W, tuple(range(a.ndim - 1))
    da = (dn - means(dn) - n * means(dn, n)) * per_std
    return da, (dz * n).sum(axis=others), dz.sum(axis=others)


# Attention: scores S (N, h, T, T) and weights A of the same shape, each row j over a token's view

def softmax(S: np.ndarray, causal: bool = False) -> np.ndarray:
    """A = exp(S) / sum_j exp(S), row by row. causal: A[i, j] = 0 for j > i, and S[i, j] becomes 0
    there, so that it takes no part in what follows."""
    if causal:
        hidden = ~np.tri(S.shape[2], dtype=bool)
        S[..., hidden] = -np.inf
    A = np.exp(S - largest(S))
    A /= sums(A)
    if causal:
        S[..., hidden] = 0
    return A


def softmax_backward(A: np.ndarray, dA: np.ndarray) -> np.ndarray:
    """dS = A * (dA - sum_j A dA)."""
    return A * (dA - sums(A, dA))


def softmax_relevance(S: np.ndarray, A: np.ndarray,
                      c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R_S of the scores, where the relevance of the weights is R_A = A * c: by the softmax's
    tangent. And the share of that tangent's constant (N,), which no score gets.

        R_S = S * (R_A - A sum_j R_A),    constant_j = A_j (1 - S_j + sum_i A_i S_i)
    """
    R_A = A * c
    of_constant = R_A * (1 - S + sums(A, S))
    return S * (R_A - A * sums(R_A)), sums(of_constant).sum(axis=(1, 2, 3), dtype=np.float64)


def zero_pad(a: np.ndarray, padding: int) -> np.ndarray:
    """Images a (N, C, H, W) with `padding` rows and columns of zeros on every side."""
    return np.pad(a, [(0, 0), (0, 0), (padding, padding), (padding, padding)]) if padding else a


def shifted(a: np.ndarray, i: int, j: int, size: Shape, stride: int) -> np.ndarray:
    """The pixels of images a that the weight at i, j of a kernel of `size` (h, w) multiplies.

    A view (N, C, H', W'): the pixels of a from row i and column j on, every stride-th.
    """
    rows, columns = output_size(a.shape[2:], size, stride)
    return a[:, :, i:i + stride * rows:stride, j:j + stride * columns:stride]


def output_size(sides: Shape, size: Shape, stride: int, padding: int = 0) -> Shape:
    """The positions of a kernel of `size` (h, w) in a padded image of `sides` (H, W): (H', W')."""
    return tuple((side + 2 * padding - reach) // stride + 1 for side, reach in zip(sides, size))


# Training

def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log p_k = logit_k - log sum_k' exp(logit_k'), row by row (N, K)."""
    lowered = logits - logits.max(axis=1, keepdims=True)    # the same p, and exp cannot overflow
    return lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of a batch and its derivative, from logits (N, K) and labels (N,) in 0..K-1.

        loss    = -1/N sum_n log p[n, labels[n]]                (nats)
        dlogits = 1/N (p - one_hot(labels))                     (N, K)
    """
    log_p = log_softmax(logits)
    rows = np.arange(len(labels))
    loss = -log_p[rows, labels].mean()
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return loss, dlogits / len(labels)


def adam_step(w: np.ndarray, gradient: np.ndarray, m: np.ndarray, v: np.ndarray, t: int,
              learning_rate: float, beta1: float, beta2: float, epsilon: float) -> None:
    """Step t = 1, 2, ... of Adam; changes w, m and v (arrays of one shape) in place.

        m <- beta1 m + (1 - beta1) g            running mean of the gradient
        v <- beta2 v + (1 - beta2) g^2          and of its square
        m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
        w <- w - learning_rate m^ / (sqrt(v^) + epsilon)

    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """
    for w, gradient, m, v in _blocks(w, gradient, m, v):
        m[...] = beta1 * m + (1 - beta1) * gradient
        v[...] = beta2 * v + (1 - beta2) * gradient**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        w -= learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


def _blocks(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Some rows of the arrays after another: few enough to stay in the cache, with all intermediate
    results, which makes large steps several times as fast."""
    rows = max(1, BLOCK * len(arrays[0]) // arrays[0].size)
    for start in range(0, len(arrays[0]), rows):
        yield [array[start:start + rows] for array in arrays]


def dense_adam_step(a: np.ndarray, dz: np.ndarray, W: tuple, b: tuple, t: int,
                    learning_rate: float, beta1: float, beta2: float, epsilon: float) -> None:
    """`gradients` of a Dense layer, then `adam_step` for each: W and b are (w, m, v)."""
    for gradient, (w, m, v) in zip(gradients(a, dz), (W, b)):
        adam_step(w, gradient, m, v, t, learning_rate, beta1, beta2, epsilon)
