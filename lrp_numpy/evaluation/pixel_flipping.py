"""Pixel flipping: replace pixels in the order of their relevance, and measure the network again.

MoRF: most relevant first. LeRF: least relevant first. Sources: Bach et al. 2015, "On Pixel-Wise
Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation"; Samek et al.
2017, "Evaluating the Visualization of What a Deep Neural Network Has Learned".
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.explanation import explain
from lrp_numpy.network import Network
from lrp_numpy.training.train import softmax
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import label_indices, predicted_labels
from lrp_numpy.utils.types import Rule, Seed
from lrp_numpy.utils.validation import as_float, as_list, check_choice, check_inputs, check_shape


class Outcome(NamedTuple):
    """What the network predicts for N images."""
    prediction: np.ndarray      # (N,) class with the largest logit
    correct: np.ndarray         # (N,) bool: is it the label
    confidence: np.ndarray      # (N,) (top1 - top2) / top1 of the logits, as in the paper
    margin: np.ndarray          # (N,) top1 - top2 of the softmax, in [0, 1]


class PixelFlipping(NamedTuple):
    """One experiment: the relevance that ranks the pixels, the flipped images, three outcomes."""
    relevance: np.ndarray       # (N, D) of the pixels, for the class predicted from the original
    morf_images: np.ndarray     # (N, D) images with their most relevant pixels flipped
    lerf_images: np.ndarray     # (N, D) images with their least relevant pixels flipped
    original: Outcome
    morf: Outcome               # its confidence is the paper's IFRC
    lerf: Outcome               # its confidence is the paper's UFRC


@door
def confidence(logits: np.ndarray) -> np.ndarray:
    """The paper's confidence (top1 - top2) / top1 of the logits (N, K), one number an image (N,).

    Beware: logits can be negative. It exceeds 1 if only top2 is negative, and is negative if both
    are. Where top1 is 0 it is infinite, or NaN if top2 is 0 as well. `margin` is free of all this.
    """
    top2, top1 = _top_two(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (top1 - top2) / top1


@door
def margin(logits: np.ndarray) -> np.ndarray:
    """The softmax margin p_top1 - p_top2 (N,), in [0, 1], from logits (N, K)."""
    top2, top1 = _top_two(softmax(logits))
    return top1 - top2


def _top_two(scores):
    if scores.shape[1] < 2:
        raise ValueError(f"logits must be of at least two classes, got shape {scores.shape}")
    return np.sort(scores, axis=1)[:, -2:].T


@door
def measure(net: Network, x: np.ndarray, labels: np.ndarray) -> Outcome:
    """The `Outcome` for images x (N, D) with the given labels (N,).

    Raises ValueError for images or labels that do not fit the network, and for a network with a
    single output, which has no top2.
    """
    check_classes(net)
    indices = label_indices(labels, len(x), net.sizes[-1], net.classes)
    logits = net.forward(x)
    return Outcome(predicted_labels(logits, net.classes), logits.argmax(axis=1) == indices,
                   confidence(logits), margin(logits))


@door
def rank(x: np.ndarray, relevance: np.ndarray, first: str, order: str = "signed",
         pixels: str = "all", rng: Seed = 0) -> np.ndarray:
    """The rank of each pixel of images x (N, D), 0 for the pixel that is flipped first: (N, D).

    relevance (N, D): of each pixel; first: "morf" (most relevant first) or "lerf" (least relevant
    first); order: by "signed" relevance (negative evidence is least relevant) or by "absolute"
    relevance; pixels: "all", or "nonzero" to rank the pixels with x > 0 before all others. Ties are
    broken at random, drawn from `rng` (a seed or a numpy.random.Generator), never by position.
    With one seed and all pixels, MoRF is LeRF reversed.

    Raises ValueError for any other argument.
    """
    _check_images(x)
    check_inputs(relevance, x.shape[1], "relevance")
    if relevance.shape != x.shape:
        raise ValueError(f"relevance must have the shape of x, {x.shape}, got {relevance.shape}")
    check_choice("first", first, ("morf", "lerf"))
    check_choice("order", order, ("signed", "absolute"))
    check_choice("pixels", pixels, ("all", "nonzero"))
    key = np.abs(relevance) if order == "absolute" else relevance
    ties = np.random.default_rng(rng).random(x.shape)
    if first == "morf":     # LeRF reversed, so no pixel is among the first of both
        key, ties = -key, -ties
    last = np.zeros(x.shape, bool) if pixels == "all" else x <= 0
    ranks = np.empty(x.shape, np.int64)
    np.put_along_axis(ranks, np.lexsort((ties, key, last)), np.arange(x.shape[1])[None], axis=1)
    return ranks


def flip_ranked(x: np.ndarray, ranks: np.ndarray, fraction: float,
                fill: float | np.ndarray = 0.0, pixels: str = "all") -> np.ndarray:
    """Images x (N, D) with the first `fraction` of their ranked pixels replaced by `fill`.

    ranks (N, D): from `rank`, for these images and the same `pixels`; fraction: of "all" pixels, or
    of the "nonzero" ones (x > 0), rounded to whole pixels; fill: a number, or one for each pixel
    (D,), such as the mean of the training images.

    Returns a new array. Raises ValueError for images or ranks of another shape or type, a fraction
    outside [0, 1] and a fill that is not a finite number of x's type.
    """
    _check_images(x)
    ranks = np.asarray(ranks)
    check_shape("ranks", ranks, x.shape)
    check_choice("pixels", pixels, ("all", "nonzero"))
    _check_fill(fill, x)
    if not 0 <= as_float(fraction) <= 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction!r}")
    candidates = x.shape[1] if pixels == "all" else (x > 0).sum(axis=1, keepdims=True)
    return np.where(ranks < np.rint(float(fraction) * candidates), np.asarray(fill, x.dtype), x)


def flip(x: np.ndarray, relevance: np.ndarray, first: str, fraction: float = 0.15,
         fill: float | np.ndarray = 0.0, order: str = "signed", pixels: str = "all",
         rng: Seed = 0) -> np.ndarray:
    """Images x (N, D) with the most or least relevant pixels of each replaced by `fill`.

    This is `rank`, then `flip_ranked`; arguments and ValueError as there.
    """
    return flip_ranked(x, rank(x, relevance, first, order, pixels, rng), fraction, fill, pixels)


@door
def size_matched_random(x: np.ndarray, flipped: np.ndarray, fill: float | np.ndarray = 0.0,
                        rng: Seed = 0) -> np.ndarray:
    """The size-matched random baseline: images x (N, D) with pixels flipped at random.

    In each image as many non-zero pixels (x > 0) are flipped as `flipped` (N, D) has changed. A
    random choice among all pixels would be no match: most are zero, and flipping them costs
    nothing. rng: a seed or a numpy.random.Generator. Raises ValueError for images of another shape
    or type, and for a fill that `flip_ranked` refuses.
    """
    _check_images(x)
    _check_fill(fill, x)
    _check_images(flipped, "flipped")
    check_shape("flipped", flipped, x.shape)
    count = ((x > 0) & (flipped != x)).sum(axis=1, keepdims=True)
    ranks = rank(x, np.zeros_like(x), "morf", pixels="nonzero", rng=rng)
    return np.where(ranks < count, np.asarray(fill, x.dtype), x)


@door
def flip_and_measure(net: Network, x: np.ndarray, labels: np.ndarray, rule: Rule = "0",
                     fraction: float = 0.15, fill: float | np.ndarray = 0.0,
                     order: str = "signed", pixels: str = "all", rng: Seed = 0,
                     **parameters: Any) -> PixelFlipping:
    """The paper's experiment: explain the predicted class of images x (N, D), flip, measure again.

    labels (N,): the true classes; rule and parameters as in `explain`; the rest as in `flip`. Both
    sets of flipped images are made from the original ones. Returns a `PixelFlipping`. Raises
    ValueError for what `explain`, `flip` or `measure` refuses.
    """
    relevance = explain(net, x, rule, intermediate=False, **parameters).input
    morf, lerf = (flip(x, relevance, first, fraction, fill, order, pixels, rng)
                  for first in ("morf", "lerf"))
    return PixelFlipping(relevance, morf, lerf, *(measure(net, images, labels)
                                                  for images in (x, morf, lerf)))


def first_of_each(labels: np.ndarray, digits: Sequence[int]) -> list[int]:
    """The position of the first image of each digit: [0, 7] -> where the first 0 and 7 are.

    Raises ValueError for a digit that is not among the labels (N,).
    """
    labels, digits = np.asarray(labels), as_list("digits", digits)
    for digit in digits:
        if not (labels == digit).any():
            raise ValueError(f"digits must be classes that occur among the labels, got {digit!r}")
    return [int(np.argmax(labels == digit)) for digit in digits]


@door
def check_classes(net: Network) -> None:
    """Raise ValueError for a network with a single output: it always predicts class 0."""
    if net.sizes[-1] < 2:
        raise ValueError(f"net must have at least 2 outputs, got {net.sizes[-1]}")


def _check_images(x, name="x"):
    check_inputs(x, np.shape(x)[-1] if np.ndim(x) == 2 else "D", name)


def _check_fill(fill, x):
    is_one = np.shape(fill) in ((), (x.shape[1],)) and np.asarray(fill).dtype.kind in "iuf"
    with np.errstate(over="ignore"):
        if not is_one or not np.isfinite(np.asarray(fill, x.dtype)).all():
            raise ValueError(f"fill must be a finite {x.dtype} number or one for each of the "
                             f"{x.shape[1]} pixels, got {fill!r}")
