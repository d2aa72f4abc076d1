"""Pixel flipping of many images: baselines, confidence intervals and perturbation curves."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.evaluation.pixel_flipping import Outcome, check_classes, flip_ranked, measure, rank
from lrp_numpy.explanation import explain
from lrp_numpy.network import Network
from lrp_numpy.training.train import softmax
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import label_indices
from lrp_numpy.utils.types import Seed

Outcomes = dict[tuple[str, str | None], Outcome]      # by condition and rule
MEASURES = ("accuracy", "confidence", "margin")
INTENSITY = "pixel intensity"       # a baseline in the place of a rule: x as its own relevance


class Estimate(NamedTuple):
    """The mean of a measure over images and seeds, and its uncertainty."""
    mean: float
    low: float          # 95 % interval of the mean, by bootstrap over the images
    high: float
    least: float        # the smallest and the largest mean of a single seed
    most: float
    median: float       # over all images of all seeds


class Curves(NamedTuple):
    """Perturbation curves: what is left of F shares of the pixels flipped, for each of N images.

    The keys are "morf", "lerf" and "random".
    """
    fractions: np.ndarray                   # (F,) share of the pixels that is flipped
    correct: dict[str, np.ndarray]          # key -> (F, N), whether the prediction is right
    probabilities: dict[str, np.ndarray]    # key -> (F, N), softmax of the explained class

    @property
    def accuracy(self) -> dict[str, np.ndarray]:
        """key -> (F,), the mean of `correct` over the images."""
        return {key: values.mean(axis=1) for key, values in self.correct.items()}

    @property
    def probability(self) -> dict[str, np.ndarray]:
        """key -> (F,), the mean of `probabilities` over the images."""
        return {key: values.mean(axis=1) for key, values in self.probabilities.items()}

    def srg(self, of: dict[str, np.ndarray]) -> float:
        """The symmetric relevance gain, the area between the LeRF and the MoRF curve.

            SRG = mean over the shares of (LeRF - MoRF)

        `of` is self.accuracy or self.probability. At most 1; 0 is expected of random relevance.
        Sources: Bluecher et al. 2024, "Decoupling Pixel Flipping and Occlusion Strategy for
        Consistent XAI Benchmarks"; the area over the MoRF curve alone is in Samek et al. 2017,
        "Evaluating the Visualization of What a Deep Neural Network Has Learned".
        """
        return float(np.mean(of["lerf"] - of["morf"]))

    def srg_estimate(self, of: dict[str, np.ndarray], rng: Seed = 0) -> "Estimate":
        """The SRG and its uncertainty over the images, as `estimate` gives it.

        `of` is self.correct or self.probabilities: the numbers of each image.
        """
        gains = of["lerf"].mean(axis=0, dtype=float) - of["morf"].mean(axis=0, dtype=float)
        return estimate(gains[None], rng)


@door
def outcomes(net: Network, x: np.ndarray, labels: np.ndarray, rules: dict[str, dict[str, Any]],
             fraction: float = 0.3, fill: float | np.ndarray = 0.0, rng: Seed = 0) -> Outcomes:
    """{(condition, rule): Outcome} for images x (N, D) with pixels flipped: of each image as many
    as `fraction` of its non-zero pixels, in all conditions.

    rules: {rule: its parameters}, as `explain` takes them. Conditions without a rule (None):
        "original":             no pixel flipped
        "random":               pixels at random, zero or not
        "size-matched random":  non-zero pixels (x > 0) at random
    and for each rule, by the relevance for the predicted class, and for "pixel intensity", as if x
    itself were the relevance:
        "MoRF", "LeRF":         the most, the least relevant non-zero pixels
    Raises ValueError for what `explain`, `rank`, `flip_ranked` or `measure` refuses.
    """
    def flipped(relevance, first, pixels="nonzero"):
        ranks = rank(x, relevance, first, pixels=pixels, rng=rng)
        return measure(net, flip_ranked(x, ranks, fraction, fill, "nonzero"), labels)

    found: Outcomes = {("original", None): measure(net, x, labels),
                       ("random", None): flipped(np.zeros_like(x), "morf", "all"),
                       ("size-matched random", None): flipped(np.zeros_like(x), "morf")}
    relevances = {INTENSITY: x} | {
        rule: explain(net, x, rule, intermediate=False, **parameters).input
        for rule, parameters in rules.items()}
    for rule, relevance in relevances.items():
        found["MoRF", rule] = flipped(relevance, "morf")
        found["LeRF", rule] = flipped(relevance, "lerf")
    return found


@door
def estimate(values: Sequence | np.ndarray, rng: Seed = 0, resamples: int = 1000) -> Estimate:
    """The `Estimate` of a measure from values (S, N): S seeds, the same N images for each.

    Bootstrap: N images are drawn with replacement, `resamples` times, the same ones for all seeds;
    low and high are the 2.5 % and 97.5 % quantiles of the means. The interval tells how far another
    sample of images would move the mean; least and most tell how far another seed does.
    """
    rng = np.random.default_rng(rng)
    values = np.asarray(values, np.float64)
    if values.ndim != 2:
        raise ValueError(f"values must be an array (S, N), got shape {values.shape}")
    by_image, by_seed = values.mean(axis=0), values.mean(axis=1)
    N = len(by_image)
    means = [by_image[rng.integers(0, N, N)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(by_image.mean()), float(low), float(high), float(by_seed.min()),
                    float(by_seed.max()), float(np.median(values)))


@door
def estimates(runs: list[Outcomes],
              rng: Seed = 0) -> dict[tuple[str, str | None], dict[str, Estimate]]:
    """{(condition, rule): {measure: Estimate}} from the `outcomes` of several seeds (a list)."""
    return {condition: {
        name: estimate([getattr(run[condition], "correct" if name == "accuracy" else name)
                        for run in runs], rng) for name in MEASURES} for condition in runs[0]}


@door
def perturbation_curves(net: Network, x: np.ndarray, labels: np.ndarray, relevance: np.ndarray,
                        fractions: Sequence[float] | np.ndarray, fill: float | np.ndarray = 0.0,
                        pixels: str = "nonzero", rng: Seed = 0) -> Curves:
    """`Curves` for images x (N, D): pixels flipped by `relevance` (N, D), and at random.

    labels (N,): the true classes; fractions: shares of the "nonzero" or of "all" `pixels`, in
    [0, 1]; fill as in `flip`. The explained class is the one predicted for the original image.
    Over all pixels the curves flatter: where most pixels are 0, any relevance that is 0 there is
    right about most of them. Raises ValueError for what `rank`, `flip_ranked` or `measure` refuses.
    """
    check_classes(net)
    labels = label_indices(labels, len(x), net.sizes[-1], net.classes)
    rows, predicted = np.arange(len(x)), net.forward(x).argmax(axis=1)
    orders = {"morf": rank(x, relevance, "morf", pixels=pixels, rng=rng),
              "lerf": rank(x, relevance, "lerf", pixels=pixels, rng=rng),
              "random": rank(x, np.zeros_like(x), "morf", pixels=pixels, rng=rng)}
    correct: dict[str, np.ndarray] = {}
    probabilities: dict[str, np.ndarray] = {}
    for name, ranks in orders.items():
        logits = [net.forward(flip_ranked(x, ranks, fraction, fill, pixels))
                  for fraction in fractions]
        correct[name] = np.array([one.argmax(axis=1) == labels for one in logits])
        probabilities[name] = np.array([softmax(one)[rows, predicted] for one in logits], float)
    return Curves(np.asarray(fractions, float), correct, probabilities)
