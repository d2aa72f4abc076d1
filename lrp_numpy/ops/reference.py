"""Convolution and pooling of pictures, forward and back, as equations.

A picture is an array (N, C, H, W): N images of C maps, H rows, W columns. All that these functions
do, they do shifted picture by shifted picture: `window` is the part of a that one weight meets on
its way. kernels.py has the same as fast loops.
"""
import numpy as np

from lrp_numpy.ops.kernels import sides_out
from lrp_numpy.utils.types import Shape


def convolve(a: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int = 1,
             padding: int = 0) -> np.ndarray:
    """A sum of shifted pictures, each times one weight: from (N, C, H, W) to (N, K, H', W').

        z[n, k, y, x] = sum_{c, i, j} a[n, c, s y + i - p, s x + j - p] W[c, k, i, j] + b[k]

    W (C, K, h, w): W[c, k] is the little picture that map k looks for in map c; b (K, 1, 1); s the
    stride, p the padding: a is taken as 0 outside of the picture. H' = (H + 2 p - h) // s + 1.
    """
    h, w = W.shape[2:]
    a, z = framed(a, padding), b
    for i in range(h):
        for j in range(w):
            part = window(a, i, j, (h, w), stride)
            z = z + np.einsum("ncyx,ck->nkyx", part, W[:, :, i, j], optimize=True)
    return z


def convolve_transposed(s: np.ndarray, W: np.ndarray, shape: Shape, stride: int = 1,
                        padding: int = 0) -> np.ndarray:
    """The way back: along each weight that led from a pixel to an output, s of that output returns.

        c[n, c, s y + i - p, s x + j - p] += s[n, k, y, x] W[c, k, i, j]    for all c, k, i, j, y, x

    From s (N, K, H', W') to `shape` (N, C, H, W), that of what `convolve` was given. Were the
    convolution written as one matrix M, z = a @ M, this is s @ M.T.
    """
    h, w = W.shape[2:]
    c = framed(np.zeros((len(s), *shape[1:]), np.result_type(s, W)), padding)
    for i in range(h):
        for j in range(w):
            window(c, i, j, (h, w), stride)[...] += np.einsum("nkyx,ck->ncyx", s, W[:, :, i, j],
                                                              optimize=True)
    return c[:, :, padding:padding + shape[2], padding:padding + shape[3]]


def kernel_gradient(a: np.ndarray, dz: np.ndarray, h: int, w: int, stride: int = 1,
                    padding: int = 0) -> np.ndarray:
    """dW (C, K, h, w) of a convolution: what each weight was multiplied by, times dz, summed.

        dW[c, k, i, j] = sum_{n, y, x} a[n, c, s y + i - p, s x + j - p] dz[n, k, y, x]
    """
    a, dW = framed(a, padding), np.empty((a.shape[1], dz.shape[1], h, w), dz.dtype)
    for i in range(h):
        for j in range(w):
            part = window(a, i, j, (h, w), stride)
            dW[:, :, i, j] = np.einsum("ncyx,nkyx->ck", part, dz, optimize=True)
    return dW


def average_pool(a: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    """z[n, c, y, x] = sum_{i, j} a[n, c, s y + i, s x + j] W[i, j] + b: each map by itself."""
    W = W.astype(a.dtype)
    return sum(window(a, i, j, W.shape, stride) * W[i, j] for i, j in np.ndindex(W.shape)) + b


def average_pool_transposed(s: np.ndarray, W: np.ndarray, shape: Shape, stride: int) -> np.ndarray:
    """The way back: c[n, c, s y + i, s x + j] += s[n, c, y, x] W[i, j]."""
    c, W = np.zeros((len(s), *shape[1:]), s.dtype), W.astype(s.dtype)
    for i, j in np.ndindex(W.shape):
        window(c, i, j, W.shape, stride)[...] += s * W[i, j]
    return c


def max_pool(a: np.ndarray, size: int, stride: int) -> np.ndarray:
    """z[n, c, y, x] = max over i, j < size of a[n, c, s y + i, s x + j]."""
    square = (size, size)
    return np.max([window(a, i, j, square, stride) for i, j in np.ndindex(square)], axis=0)


def max_pool_backward(a: np.ndarray, dz: np.ndarray, size: int, stride: int) -> np.ndarray:
    """dz goes to the pixel that was the largest of its window; of equals, to the first."""
    z, da, square = max_pool(a, size, stride), np.zeros(a.shape, dz.dtype), (size, size)
    open_still = np.ones(z.shape, bool)
    for i, j in np.ndindex(square):
        won = open_still & (window(a, i, j, square, stride) == z)
        window(da, i, j, square, stride)[...] += np.where(won, dz, 0)
        open_still &= ~won
    return da


def framed(a: np.ndarray, padding: int) -> np.ndarray:
    """Pictures a (N, C, H, W) with `padding` rows and columns of zeros on every side."""
    return np.pad(a, [(0, 0), (0, 0), (padding, padding), (padding, padding)]) if padding else a


def window(a: np.ndarray, i: int, j: int, size: Shape, stride: int) -> np.ndarray:
    """What the weight at i, j of a window of `size` (h, w) meets on its way over pictures a.

    A view: (N, C, H', W'), the pixels of a from row i and column j on, every stride-th.
    """
    rows, columns = sides_out(a.shape[2:], size, stride)
    return a[:, :, i:i + stride * rows:stride, j:j + stride * columns:stride]
