"""Heatmaps to compare: class by class, prediction and runner-up, rule by rule."""
from typing import Any

import numpy as np

from lrp_numpy.composites import layers_with_rule, parameters_of
from lrp_numpy.evaluation.pixel_flipping import check_classes
from lrp_numpy.explanation import explain
from lrp_numpy.models.contrast import contrast
from lrp_numpy.network import Network
from lrp_numpy.rules import RULES
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import as_labels, label_indices
from lrp_numpy.utils.types import Rule
from lrp_numpy.utils.validation import check_inputs

FOR_PIXELS = ("w_square", "flat", "z_box")      # rules for the first layer only


@door
def mean_relevances(net: Network, x: np.ndarray, labels: np.ndarray, rule: Rule = "0",
                    **parameters: Any) -> np.ndarray:
    """The mean heatmap of each true class t for each explained class k: (K, K, D).

        M[t, k] = mean over the images n of class t of R_n, explained for class k

    x (N, D), labels (N,): the true classes; rule and parameters as in `explain`. In units of the
    logit; NaN for a class without images. Raises ValueError for images or labels that do not fit
    the network, and for what `explain` refuses.
    """
    check_inputs(x, net.sizes[0])
    classes = net.sizes[-1]
    indices = label_indices(labels, len(x), classes, net.classes)
    of_class = [indices == t for t in range(classes)]
    means = np.full((classes, classes, net.sizes[0]), np.nan)
    for k, label in enumerate(as_labels(np.arange(classes), classes, net.classes)):
        R = explain(net, x, rule, label, intermediate=False, **parameters).input
        for t, is_t in enumerate(of_class):
            if is_t.any():
                means[t, k] = R[is_t].mean(axis=0, dtype=np.float64)
    return means


@door
def explain_top_two(net: Network, x: np.ndarray, rule: Rule = "0",
                    **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    """The two classes with the largest logits (N, 2), and three heatmaps of each image (3, N, D).

    For the prediction, for the runner-up, and for the difference of their logits (models.contrast):
    why the one and not the other? x (N, D); rule and parameters as in `explain`. In units of the
    logit. Raises ValueError for a network with one output, and for what `explain` or `contrast`
    refuses.
    """
    check_classes(net)
    classes = as_labels(np.argsort(-net.forward(x), axis=1, kind="stable")[:, :2], net.sizes[-1],
                        net.classes)
    alone = [explain(net, x, rule, target, intermediate=False, **parameters).input
             for target in classes.T]
    why_not = np.zeros_like(alone[0])
    for n, (one, other) in enumerate(classes):
        why_not[n] = explain(contrast(net, one, other), x[n:n + 1], rule, intermediate=False,
                             **parameters).input
    return classes, np.stack([*alone, why_not])


@door
def every_rule(net: Network, x: np.ndarray, epsilon: float = 0.25,
               gamma: float = 0.25) -> dict[str, np.ndarray]:
    """{the name of each rule: its heatmaps (N, D)} for the predicted classes of images x (N, D).

    The rules `FOR_PIXELS` take the first layer, with LRP-epsilon above it; all others take every
    layer. epsilon and gamma go to the rules that have them. In units of the logit. Raises
    ValueError for what `explain` refuses.
    """
    above, heatmaps = len(layers_with_rule(net)) - 1, {}
    given: dict[str, Any] = {"epsilon": epsilon, "gamma": gamma}
    for name in RULES:
        rules = [name, *["epsilon" if name in FOR_PIXELS else name] * above]
        taken = {parameter for rule in rules for parameter in parameters_of(rule)}
        parameters = {key: value for key, value in given.items() if key in taken}
        heatmaps[name] = explain(net, x, rules, intermediate=False, **parameters).input
    return heatmaps
