"""Carries relevance from the logits to the pixels, and keeps the ledger."""
import warnings
from typing import NamedTuple

import numpy as np

from lrp_numpy.network import at_zero, check_inputs
from lrp_numpy.rules import RULES, parameters_of
from lrp_numpy.training import check_labels


class Explanation(NamedTuple):
    """The relevance of every neuron for one class of each of N images, in units of its logit."""
    relevance: list         # arrays (N, D), input first, logits last
    ledger: list            # one LedgerRow a layer, input side first: see rules.LedgerRow
    target: np.ndarray      # (N,) the class that is explained
    logits: np.ndarray      # (N, K) what the network said

    @property
    def input(self):
        """The relevance of the pixels (N, D)."""
        return self.relevance[0]


def explain(net, x, rule="0", target=None, **parameters):
    """Explain the logit of one class for each image: Layer-wise Relevance Propagation.

    At the logits, R is the logit of the explained class and 0 elsewhere. From there each layer
    hands R down by its rule, and a neuron's relevance passes its activation function unchanged:

        R[L] = logits * one_hot(target)
        R[l] = rule(a[l], W[l], b[l], R[l+1])      for l = L-1, ..., 0

    net: an MLP; x: images (N, D), float32 or float64; rule: "0", "epsilon" or "gamma", or a list
    of these, one a layer, input side first; target: None for the class that is predicted, one
    class for all images, or one for each (N,); parameters: those of the rules, such as gamma=0.25,
    given to each rule that has them.

    Returns an `Explanation`. Raises ValueError for images, a target, rules or parameters that do
    not fit. Warns if a hidden activation has f(0) != 0: see network.zero_centred for the cure.
    """
    check_inputs(x, net.sizes[0])
    rules = _rules_of_layers(rule, len(net.layers), parameters)
    for name in {layer.activation for layer in net.layers}:
        if at_zero(name) != 0:
            warnings.warn(f"{name}(0) is {at_zero(name):g}, so neurons near z = 0 get relevance "
                          "that they cannot share out sensibly; explain zero_centred(net) instead, "
                          "which has the same outputs", stacklevel=2)
    a = net.activations(x)
    logits = a[-1]
    target = _targets(target, logits)
    R = np.zeros_like(logits)
    rows = np.arange(len(logits))
    R[rows, target] = logits[rows, target]
    relevance, ledger = [R], []
    for layer, a_layer, (lrp, options) in reversed(list(zip(net.layers, a, rules))):
        R = lrp(a_layer, layer.W, layer.b, R, ledger=ledger, **options)
        relevance.append(R)
    return Explanation(relevance[::-1], ledger[::-1], target, logits)


def _rules_of_layers(rule, layers, parameters):
    """[(rule function, its parameters), ...], one a layer, input side first."""
    names = list(rule) if isinstance(rule, (list, tuple)) else [rule] * layers
    if len(names) != layers:
        raise ValueError(f"rule must be one name, or one for each of the {layers} layers, got "
                         f"{len(names)}: {names}")
    for name in names:
        if not isinstance(name, str) or name not in RULES:
            raise ValueError(f"rule must be one of {', '.join(map(repr, RULES))}, got {name!r}")
    for parameter, value in parameters.items():
        if not any(parameter in parameters_of(name) for name in names):
            raise ValueError(f"{parameter} is not a parameter of rule "
                             f"{', '.join(dict.fromkeys(names))}, got {parameter}={value!r}")
    return [(RULES[name], {parameter: value for parameter, value in parameters.items()
                           if parameter in parameters_of(name)}) for name in names]


def _targets(target, logits):
    """The explained class of each image (N,)."""
    N, K = logits.shape
    if target is None:
        return logits.argmax(axis=1)
    target = np.asarray(target)
    if target.ndim == 0:
        target = np.full(N, target)
    check_labels(target, N, K, "target")
    return target.astype(np.int64)
