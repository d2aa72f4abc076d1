"""The paper's question asked of many images: baselines, intervals and perturbation curves."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.utils.validation import check_labels
from lrp_numpy.explanation import explain
from lrp_numpy.utils.types import Seed
from lrp_numpy.network import Network
from lrp_numpy.evaluation.pixel_flipping import (Outcome, as_many_lit_at_random, check_classes, measure, rank,
                               remove_ranked)
from lrp_numpy.training.train import softmax

Outcomes = dict[tuple[str, str | None], Outcome]      # by condition and rule
MEASURES = ("accuracy", "confidence", "margin")


class Estimate(NamedTuple):
    """The mean of a measure over images and seeds, and how sure it is."""
    mean: float
    low: float          # 95 % interval of the mean, by bootstrap over the images
    high: float
    least: float        # the smallest and the largest mean of a single seed
    most: float
    median: float       # over all images of all seeds


class Curves(NamedTuple):
    """What is left when a growing share of the pixels is removed: one number for each share."""
    fractions: np.ndarray       # (F,) share of the pixels that is removed
    accuracy: dict              # "most", "least", "random" first -> (F,) share of right answers
    probability: dict           # the same -> (F,) mean softmax probability of the class explained

    def area(self, of: dict[str, np.ndarray]) -> float:
        """Mean of least minus most relevant first over the shares: 0 for relevance by chance.

        `of` is self.accuracy or self.probability. Sources: the area over the perturbation curve
        of Samek et al. 2017, "Evaluating the Visualization of What a Deep Neural Network Has
        Learned"; taken between the two orders as in Bluecher et al. 2024, "Decoupling Pixel
        Flipping and Occlusion Strategy for Consistent XAI Benchmarks".
        """
        return float(np.mean(of["least"] - of["most"]))


def outcomes(net: Network, x: np.ndarray, labels: np.ndarray, rules: dict[str, dict[str, Any]],
             fraction: float = 0.15, fill: float | np.ndarray = 0.0, rng: Seed = 0) -> Outcomes:
    """{(condition, rule): Outcome} for images x (N, D), some with `fraction` of the pixels removed.

    rules: {rule: its parameters}, as `explain` takes them. The conditions for each rule: "most
    relevant" and "least relevant" pixels removed, by the relevance for the predicted class; "as
    many lit (most)" and "as many lit (least)": chance with the same number of lit pixels. Those
    that need no rule stand first, with rule None: "intact"; "random": pixels by lot; "random lit":
    as many lit pixels as there are, then others, by lot.
    """
    found: Outcomes = {("intact", None): measure(net, x, labels)}

    def keep(condition, rule, images):
        found[condition, rule] = measure(net, images, labels)

    for name, pixels in (("random", "all"), ("random lit", "lit")):
        # ranked lit first, but counted as a share of all pixels
        by_lot = rank(x, np.zeros_like(x), "most", pixels=pixels, rng=rng)
        keep(name, None, remove_ranked(x, by_lot, fraction, fill))
    for rule, parameters in rules.items():
        relevance = explain(net, x, rule, intermediate=False, **parameters).input
        least_first = rank(x, relevance, "least", rng=rng)
        for which, places in (("most", from_the_other_end(least_first)), ("least", least_first)):
            variant = remove_ranked(x, places, fraction, fill)
            keep(f"{which} relevant", rule, variant)
            keep(f"as many lit ({which})", rule, as_many_lit_at_random(x, variant, fill, rng))
    return found


def from_the_other_end(places: np.ndarray) -> np.ndarray:
    """The ranking (N, D) reversed: `rank` gives for "most" what it gives for "least" from its
    other end, if it ranks all pixels."""
    return places.shape[1] - 1 - places


def estimate(values: Sequence | np.ndarray, rng: Seed = 0, resamples: int = 1000) -> Estimate:
    """The `Estimate` of a measure from values (S, N): S seeds, the same N images for each.

    The interval: N images are drawn with replacement, `resamples` times, the same ones for all
    seeds; low and high are the 2.5 % and 97.5 % points of the means. It says how much another
    sample of images would change the mean; least and most say what another seed does.
    """
    rng = np.random.default_rng(rng)
    values = np.asarray(values, np.float64)
    by_image = values.mean(axis=0)
    N = len(by_image)
    means = [by_image[rng.integers(0, N, N)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    by_seed = values.mean(axis=1)
    return Estimate(float(by_image.mean()), float(low), float(high), float(by_seed.min()),
                    float(by_seed.max()), float(np.median(values)))


def estimates(runs: list[Outcomes],
              rng: Seed = 0) -> dict[tuple[str, str | None], dict[str, Estimate]]:
    """{(condition, rule): {measure: Estimate}} from the `outcomes` of several seeds (a list)."""
    return {condition: {
        name: estimate([getattr(run[condition], "correct" if name == "accuracy" else name)
                        for run in runs], rng) for name in MEASURES} for condition in runs[0]}


def perturbation_curves(net: Network, x: np.ndarray, labels: np.ndarray, relevance: np.ndarray,
                        fractions: Sequence[float] | np.ndarray, fill: float | np.ndarray = 0.0,
                        pixels: str = "all", rng: Seed = 0) -> Curves:
    """`Curves` for images x (N, D): their pixels removed by `relevance` (N, D), and by lot.

    fractions: increasing shares of all or the lit `pixels`, in (0, 1); fill as in removal.remove.
    The probability is that of the class predicted for the intact image.
    Raises ValueError for what removal.rank, removal.remove_ranked and removal.measure refuse.
    """
    check_classes(net)
    check_labels(labels, len(x), net.sizes[-1])
    rows, predicted = np.arange(len(x)), net.predict(x)
    most = rank(x, relevance, "most", pixels=pixels, rng=rng)
    orders = {"most": most,
              "least": from_the_other_end(most) if pixels == "all"
              else rank(x, relevance, "least", pixels=pixels, rng=rng),
              "random": rank(x, np.zeros_like(x), "most", pixels=pixels, rng=rng)}
    accuracy: dict[str, list[float]] = {}
    probability: dict[str, list[float]] = {}
    for first, places in orders.items():
        accuracy[first], probability[first] = [], []
        for fraction in fractions:
            logits = net.forward(remove_ranked(x, places, fraction, fill, pixels))
            accuracy[first].append((logits.argmax(axis=1) == labels).mean())
            probability[first].append(softmax(logits)[rows, predicted].mean(dtype=np.float64))
    as_arrays = [{first: np.array(curve) for first, curve in curves.items()}
                 for curves in (accuracy, probability)]
    return Curves(np.asarray(fractions, float), *as_arrays)
