"""Remove pixels by relevance, and measure what the network still knows."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.utils.validation import as_float, check_choice, check_inputs, check_labels
from lrp_numpy.explanation import explain
from lrp_numpy.ops.kernels import check_shape
from lrp_numpy.utils.types import Rule, Seed
from lrp_numpy.network import Network
from lrp_numpy.training.train import softmax


class Outcome(NamedTuple):
    """What the network says about N images."""
    prediction: np.ndarray      # (N,) class with the largest logit
    correct: np.ndarray         # (N,) bool: is it the label
    confidence: np.ndarray      # (N,) (top1 - top2) / top1 of the logits, as in the paper
    margin: np.ndarray          # (N,) top1 - top2 of the softmax, in [0, 1]


class Removal(NamedTuple):
    """One removal experiment: the relevance it went by, the images it made, and three outcomes."""
    relevance: np.ndarray           # (N, D) of the pixels, for the class predicted at first
    without_important: np.ndarray   # (N, D) images without their most relevant pixels
    without_unimportant: np.ndarray     # (N, D) images without their least relevant pixels
    intact: Outcome
    important_removed: Outcome      # its confidence is the paper's IFRC
    unimportant_removed: Outcome    # its confidence is the paper's UFRC


def confidence(logits: np.ndarray) -> np.ndarray:
    """The paper's confidence (top1 - top2) / top1 of the logits (N, K), one number an image (N,).

    Beware: logits can be negative, so it exceeds 1 as soon as the second is, and is negative as
    soon as the first is. Where the first is 0 it is infinite, or NaN if the second is 0 as well.
    `margin` has none of this.
    """
    top2, top1 = np.sort(logits, axis=1)[:, -2:].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return (top1 - top2) / top1


def margin(logits: np.ndarray) -> np.ndarray:
    """The softmax margin p_top1 - p_top2 (N,), in [0, 1], from logits (N, K)."""
    top2, top1 = np.sort(softmax(logits), axis=1)[:, -2:].T
    return top1 - top2


def measure(net: Network, x: np.ndarray, labels: np.ndarray) -> Outcome:
    """The `Outcome` for images x (N, D) with the given labels (N,).

    Raises ValueError for images or labels that do not fit the network, and for a network with a
    single output, which has no second to compare the first with.
    """
    check_classes(net)
    check_labels(labels, len(x), net.sizes[-1])
    logits = net.forward(x)
    prediction = logits.argmax(axis=1)
    return Outcome(prediction, prediction == labels, confidence(logits), margin(logits))


def rank(x: np.ndarray, relevance: np.ndarray, which: str, order: str = "signed",
         pixels: str = "all", rng: Seed = 0) -> np.ndarray:
    """In what order the pixels of images x (N, D) go: their places, 0 for the first (N, D).

    relevance (N, D): of each pixel; which: "most" or "least" relevant first; order: by "signed"
    relevance (evidence against is least relevant) or by "absolute" relevance; pixels: "all", or the
    "lit" ones (x > 0) before all others. Pixels of equal relevance are ranked by lot, drawn from
    `rng` (a seed or a numpy.random.Generator), never by where they stand. With one seed, "most" is
    "least" from its other end.

    Raises ValueError for anything that is not one of these.
    """
    _check_images(x)
    check_inputs(relevance, x.shape[1], "relevance")
    if relevance.shape != x.shape:
        raise ValueError(f"relevance must have the shape of x, {x.shape}, got {relevance.shape}")
    check_choice("which", which, ("most", "least"))
    check_choice("order", order, ("signed", "absolute"))
    check_choice("pixels", pixels, ("all", "lit"))
    key = np.abs(relevance) if order == "absolute" else relevance
    lot = np.random.default_rng(rng).random(x.shape)
    if which == "most":     # the same order from its other end: no pixel is both most and least
        key, lot = -key, -lot
    dark = np.zeros(x.shape, bool) if pixels == "all" else x <= 0
    places = np.empty(x.shape, np.int64)
    in_order = np.lexsort((lot, key, dark))         # by dark, then by key, then by lot
    np.put_along_axis(places, in_order, np.arange(x.shape[1])[None], axis=1)
    return places


def remove_ranked(x: np.ndarray, places: np.ndarray, fraction: float,
                  fill: float | np.ndarray = 0.0, pixels: str = "all") -> np.ndarray:
    """Images x (N, D) with the first `fraction` of their ranked pixels replaced by `fill`.

    places (N, D): what `rank` gave for these images and the same `pixels`; fraction: of "all"
    pixels, or of the "lit" ones (x > 0), rounded to whole pixels; fill: a number, or one for each
    pixel (D,), such as the mean of the training images.

    Returns a new array. Raises ValueError for images or places that are none, a fraction outside
    (0, 1) or a fill of another kind.
    """
    _check_images(x)
    places = np.asarray(places)
    check_shape("places", places, x.shape)
    check_choice("pixels", pixels, ("all", "lit"))
    _check_fill(fill, x)
    if not 0 < as_float(fraction) < 1:
        raise ValueError(f"fraction must lie between 0 and 1, both excluded, got {fraction!r}")
    candidates = (x > 0).sum(axis=1, keepdims=True) if pixels == "lit" else x.shape[1]
    return np.where(places < np.rint(float(fraction) * candidates), np.asarray(fill, x.dtype), x)


def remove(x: np.ndarray, relevance: np.ndarray, which: str, fraction: float = 0.15,
           fill: float | np.ndarray = 0.0, order: str = "signed", pixels: str = "all",
           rng: Seed = 0) -> np.ndarray:
    """Images x (N, D) with the most or least relevant pixels of each replaced by `fill`.

    This is `rank`, then `remove_ranked`; see there for the arguments and what is refused.
    """
    return remove_ranked(x, rank(x, relevance, which, order, pixels, rng), fraction, fill, pixels)


def as_many_lit_at_random(x: np.ndarray, variant: np.ndarray, fill: float | np.ndarray = 0.0,
                          rng: Seed = 0) -> np.ndarray:
    """A fair chance: from each image x (N, D) as many lit pixels as `variant` has lost, by lot.

    Any pixels would not be fair to compare with, since most are dark and do not matter.
    """
    _check_images(x)
    _check_fill(fill, x)
    places = rank(x, np.zeros_like(x), "most", pixels="lit", rng=rng)
    _check_images(variant, "variant")
    check_shape("variant", variant, x.shape)
    count = ((x > 0) & (variant != x)).sum(axis=1, keepdims=True)
    return np.where(places < count, np.asarray(fill, x.dtype), x)


def remove_and_measure(net: Network, x: np.ndarray, labels: np.ndarray, rule: Rule = "0",
                       fraction: float = 0.15, fill: float | np.ndarray = 0.0,
                       order: str = "signed", pixels: str = "all", rng: Seed = 0,
                       **parameters: Any) -> Removal:
    """The paper's experiment on images x (N, D): explain the predicted class, remove, ask again.

    labels (N,): the true classes; rule and parameters as in `explain`; the rest as in `remove`.
    Both variants are made from the intact images. Returns a `Removal`.
    """
    relevance = explain(net, x, rule, intermediate=False, **parameters).input
    without_most, without_least = (remove(x, relevance, which, fraction, fill, order, pixels, rng)
                                   for which in ("most", "least"))
    return Removal(relevance, without_most, without_least, measure(net, x, labels),
                   measure(net, without_most, labels), measure(net, without_least, labels))


def first_of_each(labels: np.ndarray, digits: Sequence[int]) -> list[int]:
    """The position of the first image of each digit: [0, 7] -> where the first 0 and 7 are.

    Raises ValueError for a digit that is not among the labels (N,).
    """
    labels = np.asarray(labels)
    for digit in digits:
        if not (labels == digit).any():
            raise ValueError(f"digits must be classes that occur among the labels, got {digit!r}")
    return [int(np.argmax(labels == digit)) for digit in digits]


def check_classes(net: Network) -> None:
    """Raise ValueError for a network with a single output, whose predicted class says nothing."""
    if net.sizes[-1] < 2:
        raise ValueError("net must have at least 2 outputs, got 1")


def _check_images(x, name="x"):
    check_inputs(x, np.shape(x)[-1] if np.ndim(x) == 2 else "D", name)


def _check_fill(fill, x):
    is_one = np.shape(fill) in ((), (x.shape[1],)) and np.asarray(fill).dtype.kind in "iuf"
    with np.errstate(over="ignore"):
        if not is_one or not np.isfinite(np.asarray(fill, x.dtype)).all():
            raise ValueError(f"fill must be a finite {x.dtype} number or one for each of the "
                             f"{x.shape[1]} pixels, got {fill!r}")
