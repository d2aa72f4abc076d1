"""The paper's question asked of many images: baselines, intervals and perturbation curves."""
from typing import NamedTuple

import numpy as np

from lrp_numpy.explain import explain
from lrp_numpy.removal import as_many_lit_at_random, measure, rank, remove_ranked
from lrp_numpy.training import check_labels, softmax

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

    def area(self, of):
        """Mean of least minus most relevant first over the shares: 0 for relevance by chance.

        `of` is self.accuracy or self.probability. Sources: the area over the perturbation curve
        of Samek et al. 2017, "Evaluating the Visualization of What a Deep Neural Network Has
        Learned"; taken between the two orders as in Bluecher et al. 2024, "Decoupling Pixel
        Flipping and Occlusion Strategy for Consistent XAI Benchmarks".
        """
        return float(np.mean(of["least"] - of["most"]))


def outcomes(net, x, labels, rule, fraction=0.15, fill=0.0, rng=0, **parameters):
    """{condition: Outcome} for images x (N, D): intact, and with `fraction` of the pixels removed.

    The conditions: "intact"; "most relevant" and "least relevant" pixels removed, by the relevance
    for the predicted class under `rule`; "as many lit (most)" and "as many lit (least)": chance
    with the same number of lit pixels; "random": pixels by lot; "random lit": as many lit pixels as
    there are, then others, by lot.
    """
    relevance = explain(net, x, rule, **parameters).input
    chance = np.zeros_like(x)
    made = {"intact": x}
    for which in ("most", "least"):
        variant = remove_ranked(x, rank(x, relevance, which, rng=rng), fraction, fill)
        made[f"{which} relevant"] = variant
        made[f"as many lit ({which})"] = as_many_lit_at_random(x, variant, fill, rng)
    for name, pixels in (("random", "all"), ("random lit", "lit")):
        # ranked lit first, but counted as a share of all pixels
        made[name] = remove_ranked(x, rank(x, chance, "most", pixels=pixels, rng=rng), fraction,
                                   fill)
    return {name: measure(net, images, labels) for name, images in made.items()}


def estimate(values, rng=0, resamples=1000):
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


def estimates(runs, rng=0):
    """{condition: {measure: Estimate}} from the `outcomes` of several seeds (a list of dicts)."""
    return {condition: {
        name: estimate([getattr(run[condition], "correct" if name == "accuracy" else name)
                        for run in runs], rng) for name in MEASURES} for condition in runs[0]}


def perturbation_curves(net, x, labels, relevance, fractions, fill=0.0, pixels="all", rng=0):
    """`Curves` for images x (N, D): their pixels removed by `relevance` (N, D), and by lot.

    fractions: increasing shares of all or the lit `pixels`, in (0, 1); fill as in removal.remove.
    The probability is that of the class predicted for the intact image.
    Raises ValueError for what removal.rank and removal.remove_ranked refuse.
    """
    check_labels(labels, len(x), net.sizes[-1])
    rows, predicted = np.arange(len(x)), net.predict(x)
    accuracy, probability = {}, {}
    for first, ranking, which in (("most", relevance, "most"), ("least", relevance, "least"),
                                  ("random", np.zeros_like(x), "most")):
        places = rank(x, ranking, which, pixels=pixels, rng=rng)
        accuracy[first], probability[first] = [], []
        for fraction in fractions:
            logits = net.forward(remove_ranked(x, places, fraction, fill, pixels))
            accuracy[first].append((logits.argmax(axis=1) == labels).mean())
            probability[first].append(softmax(logits)[rows, predicted].mean(dtype=np.float64))
    as_arrays = [{first: np.array(curve) for first, curve in curves.items()}
                 for curves in (accuracy, probability)]
    return Curves(np.asarray(fractions, float), *as_arrays)
