"""Canonization: the same network in an equivalent form that LRP explains better."""
from dataclasses import replace

import numpy as np

from lrp_numpy.layers.activations import at_zero, zero_centred_name
from lrp_numpy.network import Network


def zero_centred(net: Network) -> Network:
    """An equivalent network whose hidden activations are f(z) - f(0): 0 where z is 0.

    The next layer's bias absorbs what was subtracted, so the logits do not change:

        sum_j a_j W_jk + b_k  =  sum_j (a_j - f(0)) W_jk  +  (b_k + f(0) sum_j W_jk)

    LRP divides a neuron's relevance by its z. With f(0) != 0, f(z) / z has a pole at z = 0 and the
    wrong sign below 0; (sigmoid(z) - 1/2) / z is positive, smooth and at most 1/4. Layers
    with f(0) = 0 (ReLU, tanh) are unchanged. Your own activations in ACTIVATIONS are centred as
    well, and added there as "zero_centred_NAME". Returns a new network; `net` is not changed.

    Raises ValueError if the last layer has f(0) != 0, because no bias above it can absorb the
    difference, and for a layer that cannot absorb it, such as a convolution with padding.
    It is known that f(0) != 0 breaks LRP: lrp_toolbox, issue 12 (2018); zennit, issue 212.
    """
    shift: float | np.ndarray = 0.0
    layers, shifted = [], None
    for number, layer in enumerate(net.layers):
        try:
            layer, shift = layer.fold_into_bias(shift)
        except ValueError as error:
            raise ValueError(f"layer {number}: {error}") from error
        if at_zero(layer.activation) != 0:
            shifted = f"layer {number} with {layer.activation}"
            layer = replace(layer, activation=zero_centred_name(layer.activation))
        layers.append(layer)
    if shift != 0:
        raise ValueError("net must end in a layer with f(0) = 0, whose outputs are the logits, got "
                         f"{shifted} and nothing behind it to collect f(0)")
    return type(net)(layers, net.classes)
