"""Lesson 13: convolution, up and back."""
import numpy as np

from judging import Case, Task
from lrp_numpy.ops import reference as pictures
from tasks.changes import array, normal, with_ones, without


def convolve(a, W, b):
    return pictures.convolve(a, W, b)


def convolve_transposed(s, W):
    height, width = (side + size - 1 for side, size in zip(s.shape[2:], W.shape[2:]))
    return pictures.convolve_transposed(s, W, (len(s), len(W), height, width))


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
    return pictures.convolve(np.pad(a, frame), W, b)


CONVOLVE = Task("convolve", convolve, convolution_cases(), [
    ("bias forgotten: every place gets b[k]", without(convolve, 2)),
    ("the window is flipped: W[c, k, i, j] meets the pixel i rows down and j columns to the right",
     lambda a, W, b: convolve(a, flipped(W), b)),
    ("rows and columns of the window are swapped",
     lambda a, W, b: convolve(a, W.transpose(0, 1, 3, 2), b)),
    ("only the first map is seen: sum over all c",
     lambda a, W, b: convolve(a[:, :1], W[:1], b)),
    ("the maps are averaged: sum over all c",
     lambda a, W, b: convolve(a, W / len(W), b)),
    ("the window's products are averaged: sum them",
     lambda a, W, b: convolve(a, W / W[0, 0].size, b)),
    ("shape: there is a frame of zeros around the picture; the window must stay inside",
     padded_out),
    ("shape: the last place is missing; a window of h fits H - h + 1 times",
     lambda a, W, b: convolve(a, W, b)[:, :, :-1, :-1]),
    ("the bias is counted once for every weight of the window",
     lambda a, W, b: convolve(a, W, W[0, 0].size * b)),
    ("the bias is counted once for every map", lambda a, W, b: convolve(a, W, len(W) * b)),
    ("W[c, k] leads from map c to map k; they are swapped",
     lambda a, W, b: convolve(a, W.reshape(W.shape[1], W.shape[0], *W.shape[2:]).transpose(
         1, 0, 2, 3), b)),
])


def overwritten(s, W):
    """The windows of one output after the other, each put in place of what was there."""
    c = 0 * convolve_transposed(s, W)
    for y in range(s.shape[2]):
        for x in range(s.shape[3]):
            c[:, :, y:y + W.shape[2], x:x + W.shape[3]] = np.einsum("nk,ckij->ncij", s[:, :, y, x],
                                                                    W)
    return c


def last_weight_written(s, W):
    """The shifted pictures of one weight after the other, each put in place of what was there."""
    c = 0 * convolve_transposed(s, W)
    for i, j in np.ndindex(W.shape[2:]):
        place = (slice(None), slice(None), slice(i, i + s.shape[2]), slice(j, j + s.shape[3]))
        c[place] = np.einsum("nkyx,ck->ncyx", s, W[:, :, i, j])
    return c


def last_written(s, W):
    """The windows of all outputs, each put in place of what was there."""
    c = 0 * convolve_transposed(s, W)
    for k, y, x in np.ndindex(s.shape[1:]):
        window = c[:, :, y:y + W.shape[2], x:x + W.shape[3]]
        window[...] = np.einsum("n,cij->ncij", s[:, k, y, x], W[:, k])
    return c


def inside(s, W):
    """What the windows that lie wholly inside s give, which is a convolution with W turned."""
    return pictures.convolve(s, flipped(W).transpose(1, 0, 2, 3), np.zeros((len(W), 1, 1)))


def overlap(s, W):
    return convolve_transposed(np.ones((len(s), 1, *s.shape[2:])),
                               np.ones((len(W), 1, *W.shape[2:])))


def transposed_cases():
    small = (array(*[[[1, 2], [0, 3]]])[None], array(*[[[1, 2], [0, -1]]])[None])
    return [Case(dict(zip(("s", "W"), small))),
            Case(dict(zip(("s", "W"), normal(18, (2, 3, 4, 4), (3, 3, 2, 2))))),
            Case(dict(zip(("s", "W"), normal(19, (2, 3, 3, 4), (2, 3, 2, 3)))))]


CONVOLVE_TRANSPOSED = Task("convolve_transposed", convolve_transposed, transposed_cases(), [
    ("the window is flipped: what went up by W[c, k, i, j] comes back by it",
     lambda s, W: convolve_transposed(s, flipped(W))),
    ("windows overlap: what comes back must be added, not put in place of what is there",
     overwritten),
    ("windows overlap: what comes back must be added, not put in place of what is there",
     last_written),
    ("windows overlap: what comes back must be added, not put in place of what is there",
     last_weight_written),
    ("the mean of overlapping windows is taken; they must be added",
     lambda s, W: convolve_transposed(s, W) / overlap(s, W)),
    ("shape: s is convolved; each output must spread over a window, so the picture grows", inside),
    ("rows and columns of the window are swapped",
     lambda s, W: convolve_transposed(s, W.transpose(0, 1, 3, 2))),
    ("only the first map comes back: sum over all k",
     lambda s, W: convolve_transposed(s[:, :1], W[:, :1])),
    ("W[c, k] leads from map c to map k; they are swapped",
     lambda s, W: convolve_transposed(s, W.transpose(1, 0, 2, 3))),
    ("weights ignored: what comes back along a weight is s times it",
     with_ones(convolve_transposed, 1)),
])
