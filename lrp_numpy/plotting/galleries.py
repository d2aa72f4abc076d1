"""Heatmaps side by side: every class by every class, for and against, all rules."""
from typing import Any

import numpy as np

from lrp_numpy.utils.validation import check_inputs, check_labels
from lrp_numpy.explanation import explain
from lrp_numpy.utils.types import Rule
from lrp_numpy.network import Network
from lrp_numpy.composites import with_rule
from lrp_numpy.evaluation.pixel_flipping import check_classes
from lrp_numpy.rules import RULES, parameters_of

FOR_PIXELS = ("w_square", "flat", "z_box")      # rules made for the lowest layer


def mean_relevances(net: Network, x: np.ndarray, labels: np.ndarray, rule: Rule = "0",
                    **parameters: Any) -> np.ndarray:
    """The mean heatmap of the images of each class, for each class explained: (K, K, D).

        M[t, k] = mean over the images n of class t of R_n, explained for class k

    x (N, D), labels (N,): the true classes; rule and parameters as in `explain`. In units of the
    logit; NaN for a class without images. Raises ValueError for what does not fit.
    """
    check_inputs(x, net.sizes[0])
    classes = net.sizes[-1]
    check_labels(labels, len(x), classes)
    of_class = [np.asarray(labels) == t for t in range(classes)]
    means = np.full((classes, classes, net.sizes[0]), np.nan)
    for k in range(classes):
        R = explain(net, x, rule, k, intermediate=False, **parameters).input
        for t, is_t in enumerate(of_class):
            if is_t.any():
                means[t, k] = R[is_t].mean(axis=0, dtype=np.float64)
    return means


def for_and_against(net: Network, x: np.ndarray, rule: Rule = "0",
                    **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Why the predicted class, and not the second? Both classes (N, 2), both heatmaps (2, N, D).

    x (N, D); rule and parameters as in `explain`. The first heatmap less the second one is the
    evidence for the one rather than the other: all rules are linear in R, so it is what `explain`
    would hand down from a start of logit_1 for the one and -logit_2 for the other.
    Raises ValueError for a network with one output, and for what does not fit.
    """
    check_classes(net)
    classes = np.argsort(-net.forward(x), axis=1, kind="stable")[:, :2]
    return classes, np.stack([explain(net, x, rule, target, intermediate=False, **parameters).input
                              for target in classes.T])


def every_rule(net: Network, x: np.ndarray, epsilon: float = 0.25,
               gamma: float = 0.25) -> dict[str, np.ndarray]:
    """{the name of each rule: its heatmaps (N, D)} for the predicted classes of images x (N, D).

    Rules that are made for pixels take the lowest layer, and LRP-epsilon those above it. epsilon
    and gamma: for the rules that have them. In units of the logit.
    """
    above, heatmaps = len(with_rule(net)) - 1, {}
    given: dict[str, Any] = {"epsilon": epsilon, "gamma": gamma}
    for name in RULES:
        rules = [name, *["epsilon" if name in FOR_PIXELS else name] * above]
        taken = {parameter for rule in rules for parameter in parameters_of(rule)}
        parameters = {key: value for key, value in given.items() if key in taken}
        heatmaps[name] = explain(net, x, rules, intermediate=False, **parameters).input
    return heatmaps
