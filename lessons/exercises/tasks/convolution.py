"""Lesson 16: convolution, forward and back."""
import numpy as np

from judging import Case, Task
from lrp_numpy.ops import reference
from tasks.changes import array, normal, with_ones, without


def convolve(a, W, b):
    return reference.convolve(a, W, b)


def convolve_transpose(s, W):
    height, width = (side + size - 1 for side, size in zip(s.shape[2:], W.shape[2:]))
    return reference.convolve_transpose(s, W, (len(s), len(W), height, width))


def flipped(W):
    return W[:, :, ::-1, ::-1]


def convolution_cases():
    small = (array(*[[[1, 2, 0], [0, 1, 3], [2, 0, 1]]])[None],
             array(*[[[1, 2], [0, -1]]])[None], array(*[[[1]]]))
    names = ("a", "W", "b")
    return [Case(dict(zip(names, small))),
            Case(dict(zip(names, normal(16, (2, 3, 5, 5), (3, 2, 2, 2), (2, 1, 1))))),
            Case(dict(zip(names, normal(17, (2, 2, 5, 4), (2, 3, 3, 2), (3, 1, 1)))))]


def padded_out(a, W, b):
    h, w = W.shape[2:]
    frame = ((0, 0), (0, 0), (h // 2, (h - 1) // 2), (w // 2, (w - 1) // 2))
    return reference.convolve(np.pad(a, frame), W, b)


CONVOLVE = Task("convolve", convolve, convolution_cases(), [
    ("bias forgotten: every place gets b[k]", without(convolve, 2)),
    ("the kernel is flipped: W[c, k, i, j] meets the pixel i rows down and j columns to the right",
     lambda a, W, b: convolve(a, flipped(W), b)),
    ("rows and columns of the kernel are swapped",
     lambda a, W, b: convolve(a, W.transpose(0, 1, 3, 2), b)),
    ("only the first channel is used: sum over all c",
     lambda a, W, b: convolve(a[:, :1], W[:1], b)),
    ("the channels are averaged: sum over all c",
     lambda a, W, b: convolve(a, W / len(W), b)),
    ("the kernel's products are averaged: sum them",
     lambda a, W, b: convolve(a, W / W[0, 0].size, b)),
    ("shape: the image is padded with zeros; the kernel must stay inside the image",
     padded_out),
    ("shape: the last place is missing; a kernel of h rows fits H - h + 1 times",
     lambda a, W, b: convolve(a, W, b)[:, :, :-1, :-1]),
    ("the bias is counted once for every weight of the kernel",
     lambda a, W, b: convolve(a, W, W[0, 0].size * b)),
    ("the bias is counted once for every channel", lambda a, W, b: convolve(a, W, len(W) * b)),
    ("W[c, k] leads from channel c to channel k; they are swapped",
     lambda a, W, b: convolve(a, W.reshape(W.shape[1], W.shape[0], *W.shape[2:]).transpose(
         1, 0, 2, 3), b)),
])


def overwritten(s, W):
    """The kernels of one output place after the other, each written over what was there."""
    c = 0 * convolve_transpose(s, W)
    for y in range(s.shape[2]):
        for x in range(s.shape[3]):
            c[:, :, y:y + W.shape[2], x:x + W.shape[3]] = np.einsum("nk,ckij->ncij", s[:, :, y, x],
                                                                    W)
    return c


def last_weight_written(s, W):
    """The shifted images of one weight after the other, each written over what was there."""
    c = 0 * convolve_transpose(s, W)
    for i, j in np.ndindex(W.shape[2:]):
        place = (slice(None), slice(None), slice(i, i + s.shape[2]), slice(j, j + s.shape[3]))
        c[place] = np.einsum("nkyx,ck->ncyx", s, W[:, :, i, j])
    return c


def last_written(s, W):
    """The kernels of all outputs, each written over what was there."""
    c = 0 * convolve_transpose(s, W)
    for k, y, x in np.ndindex(s.shape[1:]):
        place = c[:, :, y:y + W.shape[2], x:x + W.shape[3]]
        place[...] = np.einsum("n,cij->ncij", s[:, k, y, x], W[:, k])
    return c


def inside(s, W):
    """Only kernels that lie inside s: a convolution of s with the flipped W."""
    return reference.convolve(s, flipped(W).transpose(1, 0, 2, 3), np.zeros((len(W), 1, 1)))


def overlap(s, W):
    return convolve_transpose(np.ones((len(s), 1, *s.shape[2:])),
                              np.ones((len(W), 1, *W.shape[2:])))


def transposed_cases():
    small = (array(*[[[1, 2], [0, 3]]])[None], array(*[[[1, 2], [0, -1]]])[None])
    return [Case(dict(zip(("s", "W"), small))),
            Case(dict(zip(("s", "W"), normal(18, (2, 3, 4, 4), (3, 3, 2, 2))))),
            Case(dict(zip(("s", "W"), normal(19, (2, 3, 3, 4), (2, 3, 2, 3)))))]


CONVOLVE_TRANSPOSE = Task("convolve_transpose", convolve_transpose, transposed_cases(), [
    ("the kernel is flipped: what went forward by W[c, k, i, j] comes back by it",
     lambda s, W: convolve_transpose(s, flipped(W))),
    ("kernels overlap: what comes back must be added, not written over what is there",
     overwritten),
    ("kernels overlap: what comes back must be added, not written over what is there",
     last_written),
    ("kernels overlap: what comes back must be added, not written over what is there",
     last_weight_written),
    ("overlapping kernels are averaged; they must be added",
     lambda s, W: convolve_transpose(s, W) / overlap(s, W)),
    ("shape: s is convolved; each output spreads over a kernel, so the image grows", inside),
    ("rows and columns of the kernel are swapped",
     lambda s, W: convolve_transpose(s, W.transpose(0, 1, 3, 2))),
    ("only the first channel comes back: sum over all k",
     lambda s, W: convolve_transpose(s[:, :1], W[:, :1])),
    ("W[c, k] leads from channel c to channel k; they are swapped",
     lambda s, W: convolve_transpose(s, W.transpose(1, 0, 2, 3))),
    ("weights ignored: what comes back along a weight is s times it",
     with_ones(convolve_transpose, 1)),
])
