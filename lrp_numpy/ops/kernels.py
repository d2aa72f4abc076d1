"""The equations of reference.py as loops in numba: the same names, the same arguments.

In this file, a kernel is a compiled function. Four of five pixels of a digit are 0 and add nothing
to a sum, so the loops over j visit only the j with a_j != 0. Otherwise a kernel computes its
equation image by image, and several threads share the images: `for n in dealt(turns)` is
`for n in range(N)`, dealt out among them (threads.py). An image's result depends on that image
alone, to the last bit. Lesson 23 builds the kernels step by step. Where no loop is faster than
NumPy, the function of reference.py is used.

A loop is fast if its innermost index runs along a long row of memory. W (D, K) has rows of K
numbers, W.T has rows of D. If K is below 32 (the ten logits), the kernels therefore loop along the
rows of W.T, over all j, or over the k that are not 0.

No kernel calls a BLAS: its threads would compete with ours for the cores. The first call of a
kernel compiles it, in a second or two, and keeps it on disk. The kernels of tokens and attention
are in token_kernels.py, all others in this one file, because numba's cache does not notice changes
in other files. (After one in compiled.py, layout.py, gelu.py or threads.py, delete `__pycache__`
beside it.)
"""
import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.ops import reference
from lrp_numpy.ops.compiled import SUMS, compiled
from lrp_numpy.ops.layout import PARTS, as_contiguous_floats, as_planes, as_rows, filled
from lrp_numpy.ops.reference import (average_pool, average_pool_transpose, log_softmax,
                                     output_size, shifted, terms, zero_pad)
from lrp_numpy.ops.remembering import Remembering, once
from lrp_numpy.ops.threads import dealt, share
from lrp_numpy.ops.token_kernels import (gelu, gelu_backward, normalize_tokens,
                                         normalize_tokens_backward, softmax, softmax_backward,
                                         softmax_relevance)
from lrp_numpy.utils.types import Shape
from lrp_numpy.utils.validation import check_shape

__all__ = ["adam_step", "average_pool", "average_pool_transpose", "channel_sum", "convolve",
           "convolve_gradients", "convolve_transpose", "cross_entropy", "dense_adam_step", "gelu",
           "gelu_backward", "gradients", "linear", "log_softmax", "loops", "max_pool",
           "max_pool_backward", "moments", "normalize", "normalize_backward", "normalize_tokens",
           "normalize_tokens_backward", "output_size", "relu", "relu_backward",
           "shares_of_distances", "shifted", "softmax", "softmax_backward", "softmax_relevance",
           "sum_kernel", "sum_kernel_shares", "terms", "transpose", "zero_pad"]

LONG = 32       # rows of W with at least this many numbers are worth looping along
LINE = 1200     # numbers: images smaller than that lie several in a line
VECTOR = 16     # a line of so many numbers, or a multiple, is added without a remainder
BLOCK = 1024    # numbers whose sum is taken in their own type; sums of blocks, in float64
MANY_WEIGHTS = 4096     # of a convolution: with more, skipping zeros is worth compiling a loop
DIVISION = 8    # multiplications that take as long as a division and its ledger


def check_fit(a: np.ndarray, W: np.ndarray, b: np.ndarray) -> None:
    """Raise ValueError unless a @ W + b can be computed; W may be from `pad_rows`."""
    check_shape("a", a, (len(a), len(W)))
    beyond = W.shape[1] - b.size
    if b.ndim != 1 or beyond and not (W.shape[1] % 8 == 0 and 0 < beyond < 16):
        raise ValueError(f"b must have shape ({W.shape[1]},), one for each column of W, got "
                         f"{b.shape}")


def has_long_rows(W: np.ndarray) -> bool:
    """Whether the kernels loop along the rows of W (D, K), not those of W.T."""
    return W.shape[1] >= LONG


def pad_rows(W: np.ndarray) -> np.ndarray:
    """A copy of W (D, K), padded with zeros so that each row begins at a cache line.

    Reading a row across cache lines costs twice as much. Short rows are not padded.
    """
    W = W.reshape(-1, W.shape[-1])
    line = 64 // W.itemsize
    D, K = W.shape
    columns = -(-K // line) * line if has_long_rows(W) else K
    room = np.zeros(D * columns + line, W.dtype)
    first = -room.ctypes.data % 64 // W.itemsize
    rows = room[first:first + D * columns].reshape(D, columns)
    rows[:, :K] = W
    return rows


# The two sums that all other kernels use, and what they need. (`fill`, `copy_row` and `add_row`,
# because numba takes seconds to compile z[:] = b, with its error message for shapes that do not
# fit.)

@compiled(from_python=False)
def fill(z: np.ndarray, value: float) -> None:
    """z_k = value."""
    for k in range(z.size):
        z[k] = value


@compiled(from_python=False, apart=True)
def copy_row(z: np.ndarray, b: np.ndarray) -> None:
    """z_k = b_k, for every k of the shorter of the two."""
    for k in range(min(z.size, b.size)):
        z[k] = b[k]


@compiled(from_python=False, apart=True)
def add_row(z: np.ndarray, b: np.ndarray) -> None:
    """z_k += b_k; b is at least as long as z."""
    for k in range(z.size):
        z[k] += b[k]


@compiled(from_python=False)
def is_zero(R: np.ndarray) -> bool:
    """Whether every R_k is 0; NaN is not."""
    count = 0
    for k in range(R.size):
        count += R[k] != 0
    return count == 0


@compiled(from_python=False)
def nonzero_places(a: np.ndarray, places: np.ndarray) -> int:
    """Writes every j with a_j != 0 into `places`, which is longer than a; returns how many.

    NaN counts as nonzero, so it is not lost.
    """
    count = 0
    for j in range(a.size):
        places[count] = j
        count += a[j] != 0
    return count


@compiled(from_python=False)
def places_of_either(a: np.ndarray, b: np.ndarray, places: np.ndarray) -> int:
    """The same for every j where a_j or b_j is not 0."""
    count = 0
    for j in range(a.size):
        places[count] = j
        count += (a[j] != 0) | (b[j] != 0)
    return count


@compiled(from_python=False, apart=True, fastmath=SUMS)
def add_rows(z: np.ndarray, a: np.ndarray, rows: np.ndarray, starts: np.ndarray, places: np.ndarray,
             count: int) -> None:
    """z_k += sum_j a_j w_jk over the j in places[:count]; row j of W begins at rows[starts[j]].

        for every j:  for every k:  z_k += a_j w_jk

    Eight j at a time, so that z_k is loaded and stored once for eight products.
    """
    eights = count - count % 8
    for i in range(0, eights, 8):
        j0, j1, j2, j3 = places[i], places[i + 1], places[i + 2], places[i + 3]
        j4, j5, j6, j7 = places[i + 4], places[i + 5], places[i + 6], places[i + 7]
        a0, a1, a2, a3, a4, a5, a6, a7 = a[j0], a[j1], a[j2], a[j3], a[j4], a[j5], a[j6], a[j7]
        w0, w1, w2, w3 = rows[starts[j0]:], rows[starts[j1]:], rows[starts[j2]:], rows[starts[j3]:]
        w4, w5, w6, w7 = rows[starts[j4]:], rows[starts[j5]:], rows[starts[j6]:], rows[starts[j7]:]
        for k in range(z.size):
            z[k] += (a0 * w0[k] + a1 * w1[k] + a2 * w2[k] + a3 * w3[k]
                     + a4 * w4[k] + a5 * w5[k] + a6 * w6[k] + a7 * w7[k])
    for i in range(eights, count):
        a0, w0 = a[places[i]], rows[starts[places[i]]:]
        for k in range(z.size):
            z[k] += a0 * w0[k]


@compiled(from_python=False, apart=True, fastmath=SUMS)
def add_rows_to_two(y: np.ndarray, z: np.ndarray, a: np.ndarray, b: np.ndarray, rows: np.ndarray,
                    starts: np.ndarray, places: np.ndarray, count: int) -> None:
    """`add_rows` of a to y, and of b to z: each w_jk is loaded once for both.

        for every j:  for every k:  y_k += a_j w_jk;  z_k += b_j w_jk
    """
    eights = count - count % 8
    for i in range(0, eights, 8):
        j0, j1, j2, j3 = places[i], places[i + 1], places[i + 2], places[i + 3]
        j4, j5, j6, j7 = places[i + 4], places[i + 5], places[i + 6], places[i + 7]
        a0, a1, a2, a3, a4, a5, a6, a7 = a[j0], a[j1], a[j2], a[j3], a[j4], a[j5], a[j6], a[j7]
        b0, b1, b2, b3, b4, b5, b6, b7 = b[j0], b[j1], b[j2], b[j3], b[j4], b[j5], b[j6], b[j7]
        r0, r1, r2, r3 = rows[starts[j0]:], rows[starts[j1]:], rows[starts[j2]:], rows[starts[j3]:]
        r4, r5, r6, r7 = rows[starts[j4]:], rows[starts[j5]:], rows[starts[j6]:], rows[starts[j7]:]
        for k in range(z.size):
            w0, w1, w2, w3, w4, w5, w6, w7 = (r0[k], r1[k], r2[k], r3[k], r4[k], r5[k], r6[k],
                                              r7[k])
            y[k] += (a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3 + a4 * w4 + a5 * w5 + a6 * w6 + a7 * w7)
            z[k] += (b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3 + b4 * w4 + b5 * w5 + b6 * w6 + b7 * w7)
    for i in range(eights, count):
        a0, b0, r0 = a[places[i]], b[places[i]], rows[starts[places[i]]:]
        for k in range(z.size):
            y[k] += a0 * r0[k]
            z[k] += b0 * r0[k]


@compiled(from_python=False, fastmath=SUMS)
def dot_rows(c: np.ndarray, rows: np.ndarray, starts: np.ndarray, s: np.ndarray, places: np.ndarray,
             count: int) -> None:
    """c_j = sum_k w_jk s_k for the j in places[:count]; row j of W begins at rows[starts[j]].

        for every j:  for every k:  c_j += w_jk s_k

    Eight j at a time, so that s_k is loaded once for eight products.
    """
    zero = c.dtype.type(0)
    eights = count - count % 8
    for i in range(0, eights, 8):
        j0, j1, j2, j3 = places[i], places[i + 1], places[i + 2], places[i + 3]
        j4, j5, j6, j7 = places[i + 4], places[i + 5], places[i + 6], places[i + 7]
        w0, w1, w2, w3 = rows[starts[j0]:], rows[starts[j1]:], rows[starts[j2]:], rows[starts[j3]:]
        w4, w5, w6, w7 = rows[starts[j4]:], rows[starts[j5]:], rows[starts[j6]:], rows[starts[j7]:]
        c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = zero
        for k in range(s.size):
            c0 += w0[k] * s[k]
            c1 += w1[k] * s[k]
            c2 += w2[k] * s[k]
            c3 += w3[k] * s[k]
            c4 += w4[k] * s[k]
            c5 += w5[k] * s[k]
            c6 += w6[k] * s[k]
            c7 += w7[k] * s[k]
        c[j0], c[j1], c[j2], c[j3] = c0, c1, c2, c3
        c[j4], c[j5], c[j6], c[j7] = c4, c5, c6, c7
    for i in range(eights, count):
        j = places[i]
        c0, w0 = zero, rows[starts[j]:]
        for k in range(s.size):
            c0 += w0[k] * s[k]
        c[j] = c0


@compiled(from_python=False, fastmath=SUMS)
def add_dots(c: np.ndarray, s: np.ndarray, rows: np.ndarray, starts: np.ndarray,
             length: int) -> None:
    """c_kj += sum_n s_kn w_jn, for four k, n < length; row j of W begins at rows[starts[j]].

        for every k and j:  for every n:  c_kj += s_kn w_jn

    Four j at a time: eight numbers are loaded for sixteen products.
    """
    zero = c.dtype.type(0)
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    for j in range(0, starts.size, 4):
        w0, w1, w2, w3 = (rows[starts[j]:], rows[starts[j + 1]:], rows[starts[j + 2]:],
                          rows[starts[j + 3]:])
        c00 = c01 = c02 = c03 = c10 = c11 = c12 = c13 = zero
        c20 = c21 = c22 = c23 = c30 = c31 = c32 = c33 = zero
        for n in range(length):
            c00 += s0[n] * w0[n]
            c01 += s0[n] * w1[n]
            c02 += s0[n] * w2[n]
            c03 += s0[n] * w3[n]
            c10 += s1[n] * w0[n]
            c11 += s1[n] * w1[n]
            c12 += s1[n] * w2[n]
            c13 += s1[n] * w3[n]
            c20 += s2[n] * w0[n]
            c21 += s2[n] * w1[n]
            c22 += s2[n] * w2[n]
            c23 += s2[n] * w3[n]
            c30 += s3[n] * w0[n]
            c31 += s3[n] * w1[n]
            c32 += s3[n] * w2[n]
            c33 += s3[n] * w3[n]
        c[0, j] += c00
        c[0, j + 1] += c01
        c[0, j + 2] += c02
        c[0, j + 3] += c03
        c[1, j] += c10
        c[1, j + 1] += c11
        c[1, j + 2] += c12
        c[1, j + 3] += c13
        c[2, j] += c20
        c[2, j + 1] += c21
        c[2, j + 2] += c22
        c[2, j + 3] += c23
        c[3, j] += c30
        c[3, j + 1] += c31
        c[3, j + 2] += c32
        c[3, j + 3] += c33


@compiled(from_python=False)
def count_up(count: int) -> np.ndarray:
    """0, 1, 2, ..., count - 1."""
    every = np.empty(count, np.int64)
    for j in range(count):
        every[j] = j
    return every


@compiled(from_python=False)
def as_line(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W (D, K), C-contiguous, as one line of numbers, and where each row begins in it."""
    starts = np.empty(len(W), np.int64)
    for j in range(len(W)):
        starts[j] = j * W.shape[1]
    return W.reshape(W.size), starts


# Forward and backward

def linear(a: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """reference.linear: z = a @ W + b, (N, D) to (N, K), skipping the a_j that are 0.

    W must be finite: 0 times infinity goes unnoticed.
    """
    a, W, b = as_contiguous_floats(a, once(pad_rows, W) if isinstance(W, Remembering) else W, b)
    check_fit(a, W, b)
    z = np.empty((len(a), b.size), a.dtype)
    if has_long_rows(W):
        share(_linear_rows, len(a), W.size, a, W, b, z)
    else:
        share(_linear_dots, len(a), W.size, a, W.T.copy(), b, z)
    return z


def transpose(s: np.ndarray, W: np.ndarray, shape: Shape | None = None) -> np.ndarray:
    """reference.transpose: c = s @ W.T, (N, K) to (N, D)."""
    s, W = as_contiguous_floats(s, W)
    check_shape("s", s, (len(s), W.shape[1]))
    c, zero = np.empty((len(s), len(W)), s.dtype), np.zeros(len(W), W.dtype)
    if has_long_rows(W):
        share(_linear_dots, len(s), W.size, s, W, zero, c)
    else:
        share(_linear_rows, len(s), W.size, s, W.T.copy(), zero, c)
    return c


@compiled()
def _linear_rows(turns, a, W, b, z):
    """z_k = b_k + sum_j a_j w_jk for each image, along the rows of W."""
    rows, starts = as_line(W)
    row, places = np.zeros(W.shape[1], a.dtype), np.empty(a.shape[1] + 1, np.int64)
    for n in dealt(turns):
        copy_row(row, b)
        add_rows(row, a[n], rows, starts, places, nonzero_places(a[n], places))
        copy_row(z[n], row)


@compiled()
def _linear_dots(turns, a, W_T, b, z):
    """The same along the rows of W_T (K, D)."""
    rows, starts = as_line(W_T)
    every = count_up(b.size)
    for n in dealt(turns):
        dot_rows(z[n], rows, starts, a[n], every, b.size)
        for k in range(b.size):
            z[n, k] += b[k]


# Layer-wise Relevance Propagation

def loops(a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray, epsilon: float | np.ndarray,
          layer: Any, ledger: list | None) -> np.ndarray:
    """rules.propagate: relevance R (N, K) of the outputs to that of the inputs (N, D).

        z = a @ W + b;   s = R / (z + epsilon sign(z));   c = s @ W.T;   R = a * c

    layer: a layers.base.LinearPart. A tuple in the order of rules.LedgerRow is appended to
    `ledger`. Where a_j is 0, R_j is 0, or NaN if an s_k is not finite; an overflow of c_j goes
    unnoticed there. Raises ValueError for shapes that do not fit.
    """
    out = layer.empty(a.shape, np.result_type(a.dtype, W.dtype, R.dtype))
    if layer.is_dense:      # several terms (N, T, D), (T, D, K) are one layer of T D inputs
        _, rows = propagate_dense(as_rows(a), once(pad_rows, W), b, R, epsilon,
                                  layer.known(a, W, b), as_rows(out))
    else:
        T = layer.tokens
        s, rows = divide(of_images(R, T), of_images(layer.linear(a, W, b), T), b,
                         of_images(epsilon, T))
        c = layer.transpose(s.reshape(R.shape), W, a.shape)
        rows[:, 1] = times_input(of_images(a, T), of_images(c, T), of_images(out, T))
    if ledger is not None:
        ledger.append(tuple(rows.T))
    return out


def of_images(rows: Any, T: int) -> Any:
    """Rows (N T, ...), one for each token, as (N, T, ...); what has none as it is."""
    return rows if T == 1 or np.ndim(rows) == 0 else rows.reshape(-1, T, *rows.shape[1:])


def propagate_dense(a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray,
                    epsilon: float | np.ndarray = 0.0, z: np.ndarray | None = None,
                    out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The four lines for a Dense layer: R (N, D) and the ledger (N, 5).

    W may be from `pad_rows`; z: the result of the first line, if it is known; out (N, D): where to
    write R, C-contiguous.
    """
    a, W, b, R, z = as_contiguous_floats(a, W, b, R, np.empty((0, 0), R.dtype) if z is None else z)
    check_fit(a, W, b)
    check_shape("R", R, (len(a), b.size))
    if z.size > 0:
        check_shape("z", z, R.shape)
    out = np.empty(a.shape, a.dtype) if out is None else out
    check_shape("out", out, a.shape)
    if not has_long_rows(W):
        s, ledger = divide(R, z if z.size > 0 else linear(a, W, b), b, epsilon)
        ledger[:, 1] = times_input(a, transpose(s, W), out)
        return out, ledger
    ledger = np.empty((len(a), 5))
    share(_propagate_dots, len(a), 2 * W.size, a, W, b, stabilizers(epsilon, R), R, z, out, ledger)
    return out, ledger


def stabilizers(epsilon: float | np.ndarray, R: np.ndarray) -> np.ndarray:
    """epsilon for each output (N or 1, K), of R's type; R is (N, ...)."""
    epsilon = np.asarray(epsilon, R.dtype)
    rows = len(R) if epsilon.ndim == R.ndim and len(epsilon) != 1 else 1
    return filled((rows, *R.shape[1:]), epsilon).reshape(rows, math.prod(R.shape[1:]))


@compiled()
def _propagate_dots(turns, a, W, b, epsilon, R, z, out, ledger):
    """z_k (if z is empty) and c_j along the rows of W, only for the j with a_j != 0, and only for
    images with relevance: of the generalized gamma rule's two parts, one often has none."""
    rows, starts = as_line(W)
    places, c = np.empty(a.shape[1] + 1, np.int64), np.empty(a.shape[1], a.dtype)
    s, z_n = np.zeros(W.shape[1], a.dtype), np.zeros(W.shape[1], a.dtype)
    for n in dealt(turns):
        if is_zero(R[n]):
            fill(out[n], 0)
            fill(ledger[n], 0)
            continue
        count = nonzero_places(a[n], places)
        if z.size > 0:
            copy_row(z_n, z[n])
        else:
            copy_row(z_n, b)
            add_rows(z_n, a[n], rows, starts, places, count)
        fill(c, divide_row(ledger[n], s, R[n], z_n, b, epsilon[n % len(epsilon)]))
        dot_rows(c, rows, starts, s, places, count)
        ledger[n, 1] = times_input_row(out[n], a[n], c)


@compiled(from_python=False, fastmath=SUMS)
def divide_row(ledger: np.ndarray, s: np.ndarray, R: np.ndarray, z: np.ndarray, b: np.ndarray,
               epsilon: np.ndarray) -> float:
    """s_k = R_k / (z_k + epsilon sign(z_k)); 0 where that would divide by 0, and NaN where it would
    divide by infinity, so that no R_k is lost silently.

    Writes what was received and where it went into `ledger`, all but what the inputs get. Returns
    c_j where a_j = 0: 0, or NaN if an s_k is not finite.
    """
    zero, one = s.dtype.type(0), s.dtype.type(1)
    infinity, nan = s.dtype.type(np.inf), s.dtype.type(np.nan)
    nothing = zero
    ledger[0] = ledger[2] = ledger[3] = ledger[4] = 0
    for first in range(0, R.size, BLOCK):
        s_k, R_k, z_k = s[first:first + BLOCK], R[first:first + BLOCK], z[first:first + BLOCK]
        b_k, epsilon_k = b[first:first + BLOCK], epsilon[first:first + BLOCK]
        received = of_bias = of_epsilon = dropped = zero
        for k in range(R_k.size):
            stabilizer = epsilon_k[k] if z_k[k] >= 0 else -epsilon_k[k]
            denominator = z_k[k] + stabilizer
            is_0 = denominator == 0     # without a branch, so many at a time
            each = (zero if is_0 else R_k[k]) / (one if is_0 else denominator)
            each = each if abs(denominator) < infinity else nan
            s_k[k] = each
            received += R_k[k]
            of_bias += b_k[k] * each
            of_epsilon += stabilizer * each
            dropped += R_k[k] if is_0 else zero
            nothing += zero * each
        ledger[0] += received
        ledger[2] += of_bias
        ledger[3] += of_epsilon
        ledger[4] += dropped
    return nothing


@compiled(from_python=False, fastmath=SUMS)
def times_input_row(R: np.ndarray, a: np.ndarray, c: np.ndarray) -> float:
    """R_j = a_j c_j; returns their sum."""
    total = 0.0
    for first in range(0, a.size, BLOCK):
        R_j, a_j, c_j = R[first:first + BLOCK], a[first:first + BLOCK], c[first:first + BLOCK]
        of_block = R.dtype.type(0)
        for j in range(R_j.size):
            R_j[j] = a_j[j] * c_j[j]
            of_block += R_j[j]
        total += of_block
    return total


def divide(R: np.ndarray, z: np.ndarray, b: np.ndarray,
           epsilon: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The second of the four lines for any layer: s = R / (z + epsilon sign(z)), and the ledger.

    R and z (N, ...) have the same shape; b: the bias in each z_k, broadcast to its shape. Returns s
    and the ledger (N, 5), whose column for the inputs is not filled yet.
    """
    check_shape("R", R, z.shape)
    R_rows, z_rows, b = as_contiguous_floats(as_rows(R), as_rows(z), filled(z.shape[1:], b))
    s, ledger = np.empty_like(R_rows), np.zeros((len(R), 5))
    share(_divide, len(R), DIVISION * b.size, R_rows, z_rows, b,
          stabilizers(epsilon, R_rows.reshape(R.shape)), s, ledger)
    return s.reshape(R.shape), ledger


@compiled()
def _divide(turns, R, z, b, epsilon, s, ledger):
    for n in dealt(turns):
        divide_row(ledger[n], s[n], R[n], z[n], b, epsilon[n % len(epsilon)])


def times_input(a: np.ndarray, c: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The last of the four lines for any layer, R = a * c, into `out`; returns its sums (N,)."""
    a, c = as_contiguous_floats(as_rows(a), as_rows(c))
    totals = np.empty(len(a))
    share(_times_input, len(a), a.shape[1], a, c, as_rows(out), totals)
    return totals


@compiled()
def _times_input(turns, a, c, R, totals):
    for n in dealt(turns):
        totals[n] = times_input_row(R[n], a[n], c[n])


def propagate_normalized(a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray,
                         epsilon: float | np.ndarray, z: np.ndarray,
                         per_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four lines for a LayerNorm whose 1 / std (..., 1) is constant: R of a, and the ledger.

        R_j = a_j / std (W_j s_j - mean(W s)),    s = R / (z + epsilon sign(z))
    """
    check_shape("R", R, a.shape)
    check_shape("z", z, a.shape)
    check_shape("per_std", per_std, (*a.shape[:-1], 1))
    check_shape("W", W, a.shape[-1:])
    a, W, each, R, z, per_std = as_contiguous_floats(a, W, filled(a.shape[1:], b), R, z, per_std)
    out, ledger = np.empty_like(a), np.empty((len(a), 5))
    share(_propagate_normalized, len(a), DIVISION * each.size, as_rows(a), W, each,
          stabilizers(epsilon, R), as_rows(R), as_rows(z), as_rows(per_std), as_rows(out), ledger)
    return out, ledger


@compiled(fastmath=SUMS)
def _propagate_normalized(turns, a, W, b, epsilon, R, z, per_std, out, ledger):
    D, s = W.size, np.empty(a.shape[1], a.dtype)
    for n in dealt(turns):
        divide_row(ledger[n], s, R[n], z[n], b, epsilon[n % len(epsilon)])
        ledger[n, 1] = 0
        for t in range(per_std.shape[1]):
            s_t, a_t, R_t = s[t * D:(t + 1) * D], a[n, t * D:(t + 1) * D], out[n, t * D:(t + 1) * D]
            total = received = a.dtype.type(0)
            for j in range(s_t.size):
                s_t[j] *= W[j]
                total += s_t[j]
            mean, scale = total / a.dtype.type(D), per_std[n, t]
            for j in range(s_t.size):
                R_t[j] = a_t[j] * scale * (s_t[j] - mean)
                received += R_t[j]
            ledger[n, 1] += received


# Distances

def shares_of_distances(a: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """R[n, i] = sum_j s[n, j] (a[n, i] - u[j, i])^2: a (N, D), u (J, D), s (N, J) to (N, D)."""
    check_shape("u", u, (len(u), a.shape[1]))
    check_shape("s", s, (len(a), len(u)))
    a, u, s = as_contiguous_floats(a, u, s)
    R = np.zeros_like(a)
    share(_shares_of_distances, len(a), 2 * u.size, a, u, s, R)
    return R


@compiled(fastmath=SUMS)
def _shares_of_distances(turns, a, u, s, R):
    """Only for the j with s_j != 0: a stiff soft-min leaves few."""
    for n in dealt(turns):
        for j in range(len(u)):
            if s[n, j] != 0:
                for i in range(a.shape[1]):
                    R[n, i] += s[n, j] * (a[n, i] - u[j, i])**2


# Kernels that are sums over the dimensions of two histograms, most of which are 0: the loops visit
# only the others, and run along the examples.

def sum_kernel(a: np.ndarray, u: np.ndarray, kernel: str) -> np.ndarray:
    """k (N, n): k[m, i] = sum_d k_d(a[m, d], u[d, i]), for histograms a (N, V) and u (V, n)."""
    a, u = as_contiguous_floats(a, u)
    check_shape("u", u, (a.shape[1], u.shape[1]))
    k = np.zeros((len(a), u.shape[1]), a.dtype)
    share(_sum_kernel, len(a), u.size / 8, a, u, kernel == "intersection", k)
    return k


def sum_kernel_shares(a: np.ndarray, u: np.ndarray, weights: np.ndarray,
                      kernel: str) -> np.ndarray:
    """R (N, V): R[m, d] = sum_i weights[m, i] k_d(a[m, d], u[d, i]), for weights (N, n)."""
    a, u, weights = as_contiguous_floats(a, u, weights)
    check_shape("u", u, (a.shape[1], u.shape[1]))
    check_shape("weights", weights, (len(a), u.shape[1]))
    R = np.zeros_like(a)
    share(_sum_kernel_shares, len(a), u.size / 8, a, u, weights, kernel == "intersection", R)
    return R


@compiled(fastmath=SUMS)
def _sum_kernel(turns, a, u, is_intersection, k):
    for m in dealt(turns):
        for d in range(a.shape[1]):
            if a[m, d] == 0:
                continue
            a_d = a[m, d]
            if is_intersection:
                for i in range(u.shape[1]):
                    k[m, i] += min(a_d, u[d, i])
            else:
                for i in range(u.shape[1]):
                    k[m, i] += 2 * a_d * u[d, i] / (a_d + u[d, i])


@compiled(fastmath=SUMS)
def _sum_kernel_shares(turns, a, u, weights, is_intersection, R):
    for m in dealt(turns):
        for d in range(a.shape[1]):
            if a[m, d] == 0:
                continue
            a_d, total = a[m, d], a.dtype.type(0)
            if is_intersection:
                for i in range(u.shape[1]):
                    total += weights[m, i] * min(a_d, u[d, i])
            else:
                for i in range(u.shape[1]):
                    total += weights[m, i] * (2 * a_d * u[d, i] / (a_d + u[d, i]))
            R[m, d] = total


# Convolution and pooling. An image is one line of numbers, row after row. A shifted image is the
# same line from a later start: each weight of a convolution multiplies one line; `add_rows_to_two`
# adds them up, and for the gradient `add_dots` sums up the products of two. Pixels shifted past the
# end of a row land in columns beyond the output's and are dropped. The transpose goes position by
# position, so that it can skip outputs that are 0: below a max pooling of 2 x 2, three of four.

class Lines(NamedTuple):
    """How some images lie one after another in lines, one line for each channel.

    With a stride of s, line (c, p, q) holds every s-th pixel of channel c, starting at row p and
    column q, so that a step of the output is a step of 1 in it. Each image has its padding. With a
    stride of 1, the zeros right of a row are those left of the next, and those below an image are
    those above the next.
    """
    images: int         # in one line: short lines are slow
    rows: int           # from one image to the next
    columns: int        # from one row to the next
    length: int         # of the line: with room for whole vectors of numbers at its end
    stride: int
    padding: int


def lines_of(shape: Shape, stride: int, padding: int, images: int, multiple: int = 1) -> Lines:
    """For so many images (C, H, W), in groups of nearly the same size, one in a line. If there are
    several, their number is a multiple: of four, two or four threads end at the same time."""
    last = padding if stride == 1 else 0        # zeros that nothing follows
    rows, columns = (-(-(side + 2 * padding - last) // stride) for side in shape[1:])
    groups = max(1, -(-images // max(1, LINE // (rows * columns))))
    groups = groups if groups == 1 else -(-groups // multiple) * multiple
    images = max(1, -(-images // groups))
    return Lines(images, rows, columns, (images * rows + last) * columns + last + VECTOR, stride,
                 padding)


def offsets(y: np.ndarray, x: np.ndarray, lay: Lines) -> np.ndarray:
    """Where row y and column x of a padded image lie, all lines of a channel one after another."""
    s = lay.stride
    return (y % s * s + x % s) * lay.length + y // s * lay.columns + x // s


@cache
def tap_offsets(C: int, h: int, w: int, lay: Lines, multiple: int = 1) -> np.ndarray:
    """Where the line of each weight (c, i, j) begins, all lines one after another; the last as
    often as makes their number a multiple."""
    c, i, j = (index.ravel() for index in np.indices((C, h, w)))
    starts = c * lay.stride**2 * lay.length + offsets(i, j, lay)
    return np.pad(starts, (0, -starts.size % multiple), "edge")


@cache
def pixel_offsets(H: int, W: int, lay: Lines) -> np.ndarray:
    """Where each pixel of a channel lies, in its lines."""
    y, x = np.indices((H, W))
    return offsets(y + lay.padding, x + lay.padding, lay)


@compiled(from_python=False)
def length_of(lay: Lines, images: int, rows_out: int, columns_out: int) -> int:
    """From the first output of so many images to their last, rounded up to whole vectors."""
    length = ((images - 1) * lay.rows + rows_out - 1) * lay.columns + columns_out
    return length + -length % VECTOR


@compiled(from_python=False)
def lay_out(lines: np.ndarray, a: np.ndarray, places: np.ndarray, place: int, lay: Lines) -> None:
    """Writes an image a (C, H, W) into `lines` (C, s s length), as number `place`; places (H, W):
    `pixel_offsets`."""
    C, H, W = a.shape
    first = place * lay.rows * lay.columns
    for c in range(C):
        line = lines[c, first:]
        for y in range(H):
            if lay.stride == 1:
                copy_row(line[places[y, 0]:], a[c, y])
            else:
                for x in range(W):
                    line[places[y, x]] = a[c, y, x]


def convolve(a: np.ndarray, W: np.ndarray, b: np.ndarray, stride: int = 1,
             padding: int = 0) -> np.ndarray:
    """reference.convolve: z_k = b_k + sum over c, i, j of W[c, k, i, j] a_c, shifted by i, j."""
    a, W, b = as_contiguous_floats(a, W, b)
    C, K, h, w = W.shape
    check_shape("a", a, (len(a), C, *a.shape[2:]))
    check_shape("b", b, (K, 1, 1))
    size = output_size(a.shape[2:], (h, w), stride, padding)
    if h == w == 1 and padding == 0:
        z = np.matmul(W[:, :, 0, 0].T, every_pixel(a, stride))
        z += b[..., 0]
        return z.reshape(len(a), K, *size)
    lay = lines_of(a.shape[1:], stride, padding, len(a), 4)
    W_T = np.ascontiguousarray(W.transpose(1, 0, 2, 3).reshape(K, -1))
    z = np.empty((len(a), K, *size), a.dtype)
    share(_convolve, -(-len(a) // lay.images), lay.images * W.size * math.prod(size), a, W_T,
          b.ravel(), tap_offsets(C, h, w, lay), pixel_offsets(*a.shape[2:], lay), lay, z)
    return z


@compiled()
def _convolve(turns, a, W_T, b, starts, pixels, lay, z):
    """For every line of images and channel k:  z_k = b_k + sum_j W_T[k, j] lines[starts[j]:].

    Two channels at a time; if their number is odd, the last alone.
    """
    N, K, rows_out, columns_out = z.shape
    lines = np.zeros((a.shape[1], lay.stride**2 * lay.length), a.dtype)
    flat, every = lines.reshape(lines.size), count_up(len(starts))
    length = length_of(lay, lay.images, rows_out, columns_out)
    one, two = np.empty(length, a.dtype), np.empty(length, a.dtype)
    for part in dealt(turns):
        first = part * lay.images
        count = min(lay.images, N - first)
        for place in range(count):
            lay_out(lines, a[first + place], pixels, place, lay)
        for k in range(0, K, 2):
            fill(one, b[k])
            if k + 1 < K:
                fill(two, b[k + 1])
                add_rows_to_two(one, two, W_T[k], W_T[k + 1], flat, starts, every, every.size)
            else:
                add_rows(one, W_T[k], flat, starts, every, every.size)
            for place in range(count):
                for y in range(rows_out):
                    begin = (place * lay.rows + y) * lay.columns
                    copy_row(z[first + place, k, y], one[begin:])
                    if k + 1 < K:
                        copy_row(z[first + place, k + 1, y], two[begin:])


def every_pixel(a: np.ndarray, stride: int) -> np.ndarray:
    """What a kernel of one pixel reads, as (N, C, H' W'): then a convolution is a matrix product of
    the channels, NumPy's."""
    return as_planes(np.ascontiguousarray(a[:, :, ::stride, ::stride]))


def has_few_zeros(s: np.ndarray) -> bool:
    """Whether fewer than half of the numbers in about four images of s are 0."""
    some = s[::max(1, len(s) // 4)]
    return sum(map(np.count_nonzero, some)) > some.size / 2


def convolve_transpose(s: np.ndarray, W: np.ndarray, shape: Shape, stride: int = 1,
                       padding: int = 0) -> np.ndarray:
    """reference.convolve_transpose: to the pixels under the kernel, the sum over k of s_k W_k."""
    s, W = as_contiguous_floats(s, W)
    C, K, h, w = W.shape
    check_shape("s", s, (len(s), K, *output_size(shape[2:], (h, w), stride, padding)))
    if h == w == 1 and padding == 0:
        c = np.zeros((len(s), *shape[1:]), s.dtype)
        every = c[:, :, ::stride, ::stride]
        every[...] = np.matmul(W[:, :, 0, 0], as_planes(s)).reshape(every.shape)
        return c
    few_pixels = C * h * w < 128            # of a patch: a row of W is short, a line of images long
    keeps_size = h == 2 * padding + 1       # then lines pay, too, unless many s can be skipped
    if stride == 1 and padding < h == w and (
            few_pixels or keeps_size and has_few_zeros(s)):
        return convolve(s, W[:, :, ::-1, ::-1].swapaxes(0, 1), np.zeros((C, 1, 1), W.dtype),
                        padding=h - 1 - padding)
    W_k = np.ascontiguousarray(W.transpose(1, 2, 3, 0).reshape(K, -1))
    c = np.empty((len(s), *shape[1:]), s.dtype)
    share(_convolve_transpose, len(s), math.prod(s.shape[1:]) * C * h * w, s, W_k, h, w, stride,
          padding, c)
    return c


@compiled()
def _convolve_transpose(turns, s, W, h, w, stride, padding, c):
    """For every position y, x of the kernel, skipping the k with s_k = 0:

        patch = sum_k s_k W_k;   pixels under the kernel += patch

    W (K, h w C): the C channels are adjacent, so that a row of the kernel is one line of numbers.
    """
    _, K, rows_out, columns_out = s.shape
    _, C, H, width = c.shape
    rows, starts = as_line(W)
    padded = np.empty((H + 2 * padding, (width + 2 * padding) * C), s.dtype)
    patch, of_place = np.empty(W.shape[1], s.dtype), np.empty(K, s.dtype)
    places = np.empty(K + 1, np.int64)
    for n in dealt(turns):
        fill(padded.reshape(padded.size), 0)
        for y in range(rows_out):
            for x in range(columns_out):
                for k in range(K):
                    of_place[k] = s[n, k, y, x]
                count = nonzero_places(of_place, places)
                if count > 0:
                    fill(patch, 0)
                    add_rows(patch, of_place, rows, starts, places, count)
                    for i in range(h):
                        add_row(padded[y * stride + i, x * stride * C:(x * stride + w) * C],
                                patch[i * w * C:(i + 1) * w * C])
        for y in range(H):
            for x in range(width):
                for channel in range(C):
                    c[n, channel, y, x] = padded[y + padding, (x + padding) * C + channel]


def convolve_gradients(a: np.ndarray, dz: np.ndarray, h: int, w: int, stride: int = 1,
                       padding: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """reference.convolve_gradients: dW[:, k] = the sum of dz_k times the pixels under the kernel,
    db_k = the sum of dz_k.

    It goes line by line, as `_convolve` does. If most dz are 0, as below a max pooling, it goes
    position by position and skips them, but only for more than MANY_WEIGHTS weights: with fewer,
    the gain is not worth a second of compiling.
    """
    a, dz = as_contiguous_floats(a, dz)
    C, K = a.shape[1], dz.shape[1]
    check_shape("dz", dz, (len(a), K, *output_size(a.shape[2:], (h, w), stride, padding)))
    if h == w == 1 and padding == 0:
        of_images = np.matmul(every_pixel(a, stride), as_planes(dz).swapaxes(1, 2))
        return of_images.sum(axis=0)[..., None, None], channel_sum(dz)
    work = dz.size * C * h * w      # of all images
    db = np.zeros((PARTS, K + K % 2))       # float64: before a BatchNorm, db is nearly 0
    if C * K * h * w > MANY_WEIGHTS and not has_few_zeros(dz):
        dW = np.zeros((PARTS, K + K % 2, h * w * C), dz.dtype)
        share(_convolve_gradients, PARTS, work / PARTS, a, dz, h, w, stride, padding, dW, db)
        dW = dW[:, :K].sum(axis=0).reshape(K, h, w, C).transpose(3, 0, 1, 2)
    else:
        lay = lines_of(a.shape[1:], stride, padding, -(-len(a) // PARTS))
        starts = tap_offsets(C, h, w, lay, 4)
        dW_T = np.zeros((PARTS, K + -K % 4, starts.size), dz.dtype)
        share(_convolve_gradients_lines, PARTS, work / PARTS, a, dz, starts,
              pixel_offsets(*a.shape[2:], lay), lay, dW_T, db)
        dW_T = dW_T[:, :K, :C * h * w].sum(axis=0)
        dW = dW_T.reshape(K, C, h, w).transpose(1, 0, 2, 3)
    return dW.copy(), db[:, :K].sum(axis=0)[:, None, None].astype(dz.dtype)


@compiled(from_python=False, fastmath=SUMS)
def sum_of(row: np.ndarray) -> float:
    """sum_k row_k."""
    total = row.dtype.type(0)
    for k in range(row.size):
        total += row[k]
    return total


@compiled()
def _convolve_gradients_lines(turns, a, dz, starts, pixels, lay, dW_T, db):
    """For every line of images and channel k:

        dW_T[k, j] += lines[starts[j]:] times the line dz_k;   db_k += the sum of dz_k

    dW_T (PARTS, K, C h w), both rounded up to a multiple of four, and db (PARTS, K or K + 1) in
    float64: the sums over each part of the images.
    """
    N, K, rows_out, columns_out = dz.shape
    planes = dz.reshape(N, K, rows_out * columns_out)
    lines = np.zeros((a.shape[1], lay.stride**2 * lay.length), a.dtype)
    flat = lines.reshape(lines.size)
    longest = length_of(lay, lay.images, rows_out, columns_out)
    of_dz = np.zeros((dW_T.shape[1], longest), dz.dtype)
    for part in dealt(turns):
        end = N * (part + 1) // PARTS
        for first in range(N * part // PARTS, end, lay.images):
            count = min(lay.images, end - first)
            if count < lay.images:
                fill(of_dz.reshape(of_dz.size), 0)
            for place in range(count):
                lay_out(lines, a[first + place], pixels, place, lay)
                for k in range(K):
                    for y in range(rows_out):
                        begin = (place * lay.rows + y) * lay.columns
                        copy_row(of_dz[k, begin:], dz[first + place, k, y])
                    db[part, k] += sum_of(planes[first + place, k])
            length = length_of(lay, count, rows_out, columns_out)
            for k in range(0, len(of_dz), 4):
                add_dots(dW_T[part, k:k + 4], of_dz[k:k + 4], flat, starts, length)


@compiled()
def _convolve_gradients(turns, a, dz, h, w, stride, padding, dW, db):
    """For every image n and channel k, over the positions y, x of the kernel where dz_k is not 0:

        dW_k += sum_yx dz_kyx patch_yx,   patch_yx: the pixels under the kernel, as one line
        db_k += sum_yx dz_kyx

    a row of the kernel after the other, the C channels of a pixel adjacent. Two channels at a time:
    dW (PARTS, K or K + 1, h w C) and db (PARTS, K or K + 1) in float64, an even number of them; the
    sums over each part of the images.
    """
    N, C, H, width = a.shape
    _, K, rows_out, columns_out = dz.shape
    padded = np.zeros((H + 2 * padding, (width + 2 * padding) * C), a.dtype)
    patches = np.empty((rows_out * columns_out, h * w * C), a.dtype)
    of_k, of_m = np.empty(len(patches), a.dtype), np.empty(len(patches), a.dtype)
    places = np.empty(len(patches) + 1, np.int64)
    rows, starts = as_line(patches)
    for part in dealt(turns):
        for n in range(N * part // PARTS, N * (part + 1) // PARTS):
            for y in range(H):
                for x in range(width):
                    for c in range(C):
                        padded[y + padding, (x + padding) * C + c] = a[n, c, y, x]
            for y in range(rows_out):
                for x in range(columns_out):
                    patch = patches[y * columns_out + x]
                    for i in range(h):
                        copy_row(patch[i * w * C:(i + 1) * w * C],
                                 padded[y * stride + i, x * stride * C:])
            for k in range(0, K, 2):
                fill(of_m, 0)
                for y in range(rows_out):
                    copy_row(of_k[y * columns_out:], dz[n, k, y])
                    if k + 1 < K:
                        copy_row(of_m[y * columns_out:], dz[n, k + 1, y])
                add_rows_to_two(dW[part, k], dW[part, k + 1], of_k, of_m, rows, starts, places,
                                places_of_either(of_k, of_m, places))
                db[part, k] += sum_of(of_k)
                db[part, k + 1] += sum_of(of_m)


def max_pool(a: np.ndarray, size: int, stride: int) -> np.ndarray:
    """reference.max_pool: z[n, c, y, x] = the largest of a square of a (N, C, H, W); NaN counts as
    largest."""
    z = np.empty((*a.shape[:2], *output_size(a.shape[2:], (size, size), stride)), a.dtype)
    share(_max_pool, len(a), math.prod(z.shape[1:]) * size**2, a, size, stride, z)
    return z


@compiled()
def _max_pool(turns, a, size, stride, z):
    """First down each column, then along the row of the column maxima."""
    C, W = a.shape[1], a.shape[3]
    tallest = np.empty(W, a.dtype)
    for n in dealt(turns):
        for c in range(C):
            for y in range(z.shape[2]):
                for x in range(W):
                    tallest[x] = a[n, c, y * stride, x]
                for i in range(1, size):
                    for x in range(W):
                        one = a[n, c, y * stride + i, x]
                        tallest[x] = one if (one > tallest[x]) | (one != one) else tallest[x]
                for x in range(z.shape[3]):
                    best = tallest[x * stride]
                    for j in range(1, size):
                        one = tallest[x * stride + j]
                        best = one if (one > best) | (one != one) else best
                    z[n, c, y, x] = best


def max_pool_backward(a: np.ndarray, dz: np.ndarray, size: int, stride: int) -> np.ndarray:
    """reference.max_pool_backward: each dz goes to the largest pixel of its square; among equal
    pixels, to the first; a NaN does not win."""
    da = np.zeros(a.shape, dz.dtype)
    work = math.prod(dz.shape[1:]) * size**2
    share(_max_pool_backward, len(a), work, a, dz, size, stride, da)
    return da


@compiled()
def _max_pool_backward(turns, a, dz, size, stride, da):
    """The largest is found as above. The comparison uses no branches, which a processor could not
    predict."""
    C, W = a.shape[1], a.shape[3]
    tallest, row = np.empty(W, a.dtype), np.empty(W, a.dtype)
    for n in dealt(turns):
        for c in range(C):
            for y in range(dz.shape[2]):
                for x in range(W):
                    tallest[x], row[x] = a[n, c, y * stride, x], 0
                for i in range(1, size):
                    for x in range(W):
                        one = a[n, c, y * stride + i, x]
                        wins = one > tallest[x]
                        tallest[x] = one if wins else tallest[x]
                        row[x] = i if wins else row[x]
                for x in range(dz.shape[3]):
                    column = x * stride
                    best, first = tallest[column], row[column]
                    for j in range(x * stride + 1, x * stride + size):
                        wins = (tallest[j] > best) | ((tallest[j] == best) & (row[j] < first))
                        best = tallest[j] if wins else best
                        first = row[j] if wins else first
                        column = j if wins else column
                    da[n, c, y * stride + int(first), column] += dz[n, c, y, x]


# ReLU of images (N, C, H, W). For rows, NumPy is as fast, and nothing is compiled.

def relu(z: np.ndarray) -> np.ndarray:
    """reference.relu: f(z) = max(z, 0)."""
    if z.ndim == 2:
        return reference.relu(z)
    z, = as_contiguous_floats(z)
    a = np.empty(z.shape, z.dtype)
    share(_relu, len(z), math.prod(z.shape[1:]), as_rows(z), as_rows(a))
    return a


@compiled()
def _relu(turns, z, a):
    for n in dealt(turns):
        for k in range(z.shape[1]):
            a[n, k] = 0 if z[n, k] < 0 else z[n, k]     # NaN stays


def relu_backward(z: np.ndarray, da: np.ndarray) -> np.ndarray:
    """reference.relu_backward: dz = da where z > 0, else 0 times da."""
    if z.ndim == 2:
        return reference.relu_backward(z, da)
    z, da = as_contiguous_floats(z, da)
    check_shape("da", da, z.shape)
    dz = np.empty(z.shape, z.dtype)
    share(_relu_backward, len(z), math.prod(z.shape[1:]), as_rows(z), as_rows(da), as_rows(dz))
    return dz


@compiled()
def _relu_backward(turns, z, da, dz):
    for n in dealt(turns):
        for k in range(z.shape[1]):
            dz[n, k] = da[n, k] * (z[n, k] > 0)


# Normalization of images (N, C, H, W). For rows, NumPy is as fast.

def channel_sum(*factors: np.ndarray) -> np.ndarray:
    """reference.channel_sum: of one array, or of the product of two (C, 1, 1)."""
    x, y = factors[0], factors[-1]
    if x.ndim == 2:
        return reference.channel_sum(*factors)
    nothing = np.zeros((x.shape[1], 1, 1), x.dtype)
    return _sums_from(x, nothing, y, nothing)[len(factors) - 1]


def check_channels(a: np.ndarray, **of_channels: np.ndarray) -> None:
    """Raise ValueError unless each has one number for each channel of a: (C, 1, 1)."""
    for name, array in of_channels.items():
        check_shape(name, array, (a.shape[1], 1, 1))


def _sums_from(x, s, y, t):
    """Of x - s, and of (x - s) (y - t), over images and positions; s and t (C, 1, 1)."""
    x, s, y, t = as_contiguous_floats(x, s, y, t)
    check_shape("y", y, x.shape)
    sums = np.zeros((PARTS, x.shape[1], 2))
    share(_channel_sums, PARTS, 2 * x.size / PARTS, as_planes(x), s.ravel(), as_planes(y),
          t.ravel(), sums)
    of_one, of_product = np.ascontiguousarray(sums.sum(axis=0).T, x.dtype)
    return of_one.reshape(s.shape), of_product.reshape(s.shape)


@compiled(fastmath=SUMS)
def _channel_sums(turns, x, s, y, t, sums):
    """sums (PARTS, C, 2): over each part of the images."""
    N, C, positions = x.shape
    for part in dealt(turns):
        for n in range(N * part // PARTS, N * (part + 1) // PARTS):
            for c in range(C):
                of_one = of_product = x.dtype.type(0)
                for p in range(positions):
                    distance = x[n, c, p] - s[c]
                    of_one += distance
                    of_product += distance * (y[n, c, p] - t[c])
                sums[part, c, 0] += of_one
                sums[part, c, 1] += of_product


def moments(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """reference.moments: mean and variance of each channel (C, 1, 1), in one pass.

        mean = s + mean(a - s);   variance = mean((a - s)^2) - mean(a - s)^2

    s, the mean of the first image, is near the mean: (s - mean)^2 is at most N times the variance,
    so the subtraction loses at most about log10(N) digits.
    """
    if a.ndim == 2:
        return reference.moments(a)
    s, count = a[:1].mean(axis=(0, 2, 3))[:, None, None], a.dtype.type(a.size // a.shape[1])
    distance, square = (sums / count for sums in _sums_from(a, s, a, s))
    return s + distance, np.maximum(square - distance**2, 0)


def normalize(a: np.ndarray, mean: np.ndarray, scale: np.ndarray, b: np.ndarray) -> np.ndarray:
    """reference.normalize: z = (a - mean) * scale + b."""
    if a.ndim == 2:
        return reference.normalize(a, mean, scale, b)
    a, mean, scale, b = as_contiguous_floats(a, mean, scale, b)
    check_channels(a, mean=mean, scale=scale, b=b)
    z = np.empty(a.shape, a.dtype)
    share(_normalize, len(a), math.prod(a.shape[1:]), as_planes(a), mean.ravel(),
          scale.ravel(), b.ravel(), as_planes(z))
    return z


@compiled()
def _normalize(turns, a, mean, scale, b, z):
    for n in dealt(turns):
        for c in range(a.shape[1]):
            for p in range(a.shape[2]):
                z[n, c, p] = (a[n, c, p] - mean[c]) * scale[c] + b[c]


def normalize_backward(a: np.ndarray, dz: np.ndarray, mean: np.ndarray, per_std: np.ndarray,
                       W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """reference.normalize_backward: da, dW and db of a batch normalization."""
    if a.ndim == 2:
        return reference.normalize_backward(a, dz, mean, per_std, W)
    a, dz, mean, per_std, W = as_contiguous_floats(a, dz, mean, per_std, W)
    check_channels(a, mean=mean, per_std=per_std, W=W)
    db, of_distances = _sums_from(dz, 0 * mean, a, mean)
    dW, scale, count = of_distances * per_std, W * per_std, a.dtype.type(a.size // a.shape[1])
    da = np.empty(a.shape, a.dtype)
    share(_normalize_backward, len(a), math.prod(a.shape[1:]), as_planes(a), as_planes(dz),
          mean.ravel(), (per_std * dW / count).ravel(), (db / count).ravel(), scale.ravel(),
          as_planes(da))
    return da, dW, db


@compiled()
def _normalize_backward(turns, a, dz, mean, slope, mean_dz, scale, da):
    """da = scale (dz - mean(dz) - (a - mean) slope), slope = mean(dz n) / std."""
    for n in dealt(turns):
        for c in range(a.shape[1]):
            for p in range(a.shape[2]):
                distance = a[n, c, p] - mean[c]
                da[n, c, p] = scale[c] * (dz[n, c, p] - mean_dz[c] - distance * slope[c])


# Training

@compiled()
def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """reference.cross_entropy: -1/N sum_n log p[n, labels[n]], and its derivative (N, K)."""
    N, K = logits.shape
    dlogits, loss = np.empty((N, K), logits.dtype), 0.0
    for n in range(N):
        largest, total = logits[n, 0], 0.0
        for k in range(K):
            largest = max(largest, logits[n, k])
        for k in range(K):
            dlogits[n, k] = np.exp(logits[n, k] - largest)
            total += dlogits[n, k]
        for k in range(K):
            dlogits[n, k] /= total * N
        dlogits[n, labels[n]] -= 1 / N
        loss += (largest - logits[n, labels[n]] + np.log(total)) / N
    return loss, dlogits


def adam_step(w: np.ndarray, gradient: np.ndarray, m: np.ndarray, v: np.ndarray, t: int,
              learning_rate: float, beta1: float, beta2: float, epsilon: float) -> None:
    """reference.adam_step: changes w, m and v in place, C-contiguous arrays of one shape."""
    check_shape("gradient", gradient, w.shape)
    if not all(array.flags.c_contiguous for array in (w, m, v)):
        raise ValueError("w, m and v must be C-contiguous: others would be changed as copies")
    _adam_row(*(array.reshape(-1) for array in (w, gradient, m, v)), t, learning_rate, beta1,
              beta2, epsilon)


@compiled()
def _adam_row(w, gradient, m, v, t, learning_rate, beta1, beta2, epsilon):
    """For every parameter i:  m_i, v_i, w_i  <-  the four lines of Adam, in one pass.

    Values of m and v below 1e-30 become 0. Without a gradient they would shrink to denormal
    floats, with which processors are many times slower.
    """
    real = w.dtype.type
    correction1 = real(1 / (1 - beta1**t))
    correction2 = real(1 / (1 - beta2**t))
    keep1, add1 = real(beta1), real(1 - beta1)
    keep2, add2 = real(beta2), real(1 - beta2)
    rate, tiny = real(learning_rate), real(epsilon)
    nothing, least = real(0), real(1e-30)
    for i in range(w.size):
        m_i = keep1 * m[i] + add1 * gradient[i]
        v_i = keep2 * v[i] + add2 * gradient[i] * gradient[i]
        m[i] = nothing if abs(m_i) < least else m_i
        v[i] = nothing if v_i < least else v_i
        w[i] -= rate * (m[i] * correction1) / (np.sqrt(v[i] * correction2) + tiny)


def gradients(a: np.ndarray, dz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """reference.gradients: dW = a.T @ dz (D, K), skipping zeros, and db (K,)."""
    a, dz = as_contiguous_floats(a, dz)
    check_shape("dz", dz, (len(a), dz.shape[1]))
    # dW is a.T @ dz, and its transpose dz.T @ a: the loop runs along the longer rows
    few, long = (a, dz) if dz.shape[1] >= LONG else (dz, a)
    dW = np.empty((few.shape[1], long.shape[1]), a.dtype)
    share(_linear_rows, len(dW), long.size, few.T.copy(), long, np.zeros(dW.shape[1], a.dtype), dW)
    return dW if few is a else dW.T.copy(), dz.sum(axis=0)


def dense_adam_step(a: np.ndarray, dz: np.ndarray, W: tuple, b: tuple, t: int,
                    learning_rate: float, beta1: float, beta2: float, epsilon: float) -> None:
    """reference.dense_adam_step: the gradients of a Dense layer and its Adam step, in one pass.

        dW = a.T @ dz;   db = sum of dz over the batch;   W, b <- Adam

    a (N, D), dz (N, K); W and b are (w, m, v), arrays (D, K) and (K,), changed in place.
    """
    a, dz = as_contiguous_floats(a, dz)
    check_shape("dz", dz, (len(a), W[0].shape[1]))
    check_shape("a", a, (len(dz), len(W[0])))
    if has_long_rows(W[0]):
        share(_dense_adam_rows, a.shape[1] // 2 + 1, 2 * dz.size, a, dz, *W, *b, t, learning_rate,
              beta1, beta2, epsilon)
    else:
        for (w, m, v), gradient in zip((W, b), gradients(a, dz)):
            adam_step(w, gradient, m, v, t, learning_rate, beta1, beta2, epsilon)


@compiled()
def _dense_adam_rows(turns, a, dz, W, m, v, b, m_b, v_b, t, learning_rate, beta1, beta2, epsilon):
    """A row of dW is used while it is in the cache; all of dW is never stored.

        for every j:  dW_jk = sum_n a_nj dz_nk;  then Adam changes w_jk, for every k

    Two j at a time, because neighbouring pixels are often lit in the same images. The bias is the
    row of an input that is always 1.
    """
    N, D = a.shape
    rows, starts = as_line(dz)
    dW, places = np.empty((2, W.shape[1]), W.dtype), np.empty(N + 1, np.int64)
    a_j = np.empty((2, N), a.dtype)
    for pair in dealt(turns):
        for i in range(2):
            fill(dW[i], 0)
            for n in range(N):
                a_j[i, n] = a[n, 2 * pair + i] if 2 * pair + i < D else 1
        add_rows_to_two(dW[0], dW[1], a_j[0], a_j[1], rows, starts, places,
                        places_of_either(a_j[0], a_j[1], places))
        for i in range(2):
            j = 2 * pair + i
            if j < D:
                _adam_row(W[j], dW[i], m[j], v[j], t, learning_rate, beta1, beta2, epsilon)
            elif j == D:
                _adam_row(b, dW[i], m_b, v_b, t, learning_rate, beta1, beta2, epsilon)
