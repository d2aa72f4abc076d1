"""Prune inputs or hidden neurons: rank them, build the smaller network, retrain it.

Nothing is masked: columns of the images and rows and columns of the weights are removed.
"""
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.explanation import explain
from lrp_numpy.layers import Dense
from lrp_numpy.network import Network, of_layers
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Rule, Seed
from lrp_numpy.utils.validation import check_choice, check_finite, check_inputs

RANKINGS = ("mean relevance", "mean absolute relevance", "variance", "activation times weight",
            "random")


@door
def importance(net: Network, x: np.ndarray, by: str, rule: Rule = "0", rng: Seed = 0,
               **parameters: Any) -> np.ndarray:
    """The importance of each input of `net` over a sample of images x (N, D): (D,).

    by = "mean relevance":            1/N sum_n R[n, j]      for the predicted classes, under `rule`
         "mean absolute relevance":   1/N sum_n |R[n, j]|
         "variance":                  1/N sum_n (a[n, j] - mean_j)^2
         "activation times weight":   1/N sum_n |a[n, j]| sum_k |W[j, k]|
         "random":                    uniform in [0, 1), from `rng`

    rule and parameters as in `explain`; relevance is in units of the logit. Raises ValueError for
    another `by`, for no images, and for images that do not fit the network.
    """
    return neuron_importance(net, x, 0, by, rule, rng, **parameters)


@door
def neuron_importance(net: Network, x: np.ndarray, layer: int, by: str, rule: Rule = "0",
                      rng: Seed = 0, **parameters: Any) -> np.ndarray:
    """`importance` of the neurons that enter layer number `layer`: 0 for the inputs, 1 for the
    first hidden neurons. Raises ValueError also unless the layer and the one below are Dense."""
    check_inputs(x, net.sizes[0])
    if len(x) == 0:
        raise ValueError("x must hold at least one image, got none")
    _check_layer(net, layer)
    check_choice("by", by, RANKINGS)
    if by in ("mean relevance", "mean absolute relevance"):
        R = explain(net, x, rule, **parameters).relevance[layer]
        return (np.abs(R) if by == "mean absolute relevance" else R).mean(axis=0, dtype=np.float64)
    if by == "variance":
        return net.activations(x)[layer].var(axis=0, dtype=np.float64)
    if by == "activation times weight":
        a = net.activations(x)[layer]
        return np.abs(a).mean(axis=0, dtype=np.float64) * np.abs(net.layers[layer].W).sum(axis=1)
    return np.random.default_rng(rng).random(net.sizes[layer])


@door
def top_k(importance: np.ndarray, count: int, rng: Seed = 0) -> np.ndarray:
    """The indices of the `count` largest of importance (D,), in rising order; ties at random.

    Raises ValueError for a count outside 1..D, and for an importance that is not finite.
    """
    if not isinstance(count, (int, np.integer)) or not 1 <= count <= len(importance):
        raise ValueError(f"count must lie in 1..{len(importance)}, got {count!r}")
    check_finite(np.asarray(importance), "importance")
    ties = np.random.default_rng(rng).random(len(importance))
    return np.sort(np.lexsort((ties, -np.asarray(importance)))[:count])


@door
def prune_inputs(net: Network, kept: np.ndarray) -> Network:
    """The smaller network with only the inputs `kept` (indices): the other rows of W1 are removed.

        z_k = sum_{j in kept} a_j W[j, k] + b_k

    Its outputs for x[:, kept] are those of `net` for x with all other inputs set to 0. A copy.
    """
    return prune_neurons(net, 0, kept)


@door
def prune_neurons(net: Network, layer: int, kept: np.ndarray) -> Network:
    """The smaller network in which only the neurons `kept` (indices) enter layer number `layer`.

    The other rows of that layer's W are removed and, of hidden neurons, the columns of W and b in
    the layer below. A copy. Raises ValueError for indices outside the layer or given twice, and
    unless the layer and the one below are Dense.
    """
    _check_layer(net, layer)
    kept = _indices(kept, net.sizes[layer])
    layers = list(net.layers)
    layers[layer] = replace(layers[layer], W=layers[layer].W[kept])
    if layer > 0:
        below = layers[layer - 1]
        layers[layer - 1] = replace(below, W=below.W[:, kept], b=below.b[kept])
    return of_layers(layers, net.classes)


@door
def select_pixels(digits: Digits, kept: np.ndarray) -> Digits:
    """The same digits with only the pixels `kept` (indices), as columns of their own. A copy.

    Raises ValueError for indices outside the image or given twice.
    """
    kept = _indices(kept, digits.train_images.shape[1])
    return digits._replace(train_images=np.ascontiguousarray(digits.train_images[:, kept]),
                           test_images=np.ascontiguousarray(digits.test_images[:, kept]))


@door
def count_parameters(net: Network) -> int:
    """The number of trained parameters: D K + K for each Dense layer."""
    return sum(getattr(layer, name).size for layer in net.layers for name in layer.parameters)


@door
def microseconds_per_image(nets: Sequence[Network], images: Sequence[np.ndarray],
                           repetitions: int = 15) -> np.ndarray:
    """Median time of the forward pass of each network per image, in microseconds: (len(nets),).

    images: an array (N, D) for each network. The networks take turns, so that a slow moment of the
    machine affects all of them. Compare only the numbers of one call.
    """
    times = np.zeros((repetitions, len(nets)))
    for turn in range(-1, repetitions):         # turn -1 warms up
        for i, (net, x) in enumerate(zip(nets, images)):
            begin = time.perf_counter()
            net.activations(x)
            if turn >= 0:
                times[turn, i] = (time.perf_counter() - begin) / len(x)
    return 1e6 * np.median(times, axis=0)


def _indices(kept, count):
    kept = np.asarray(kept)
    if kept.ndim != 1 or kept.dtype.kind not in "iu" or len(kept) == 0 or (
            len(set(kept.tolist())) < len(kept) or not 0 <= kept.min() <= kept.max() < count):
        raise ValueError(f"kept must hold different indices in 0..{count - 1}, got {kept.tolist()}")
    return kept


def _check_layer(net, layer):
    if not isinstance(layer, (int, np.integer)) or not 0 <= layer < len(net.layers):
        raise ValueError(f"layer must lie in 0..{len(net.layers) - 1}, got {layer!r}")
    for number in range(max(0, layer - 1), layer + 1):
        if not isinstance(net.layers[number], Dense):
            raise ValueError("layer must be Dense, and so must the one below it, got "
                             f"{layer} with layer {number} a {type(net.layers[number]).__name__}")
