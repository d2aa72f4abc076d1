"""Canonization: the same network in an equivalent form that LRP explains better."""
from dataclasses import replace

import numpy as np

from lrp_numpy.layers import (AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, Layer, MaxPool2D,
                              Permute, Residual)
from lrp_numpy.layers.activations import at_zero, zero_centred_name
from lrp_numpy.network import Network, of_layers
from lrp_numpy.utils.doors import door


@door
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
    return of_layers(_centred(net.layers, "net must end in a layer with f(0) = 0, whose outputs "
                              "are the logits"), net.classes)


def _centred(layers, end):
    """The layers with activations that are 0 at 0, those within a Residual too; `end`: the error
    if the last has f(0) != 0."""
    shift: float | np.ndarray = 0.0
    centred, shifted = [], None
    for number, layer in enumerate(layers):
        try:
            layer, shift = layer.fold_into_bias(shift)
            if isinstance(layer, Residual):
                F, G = (_centred(getattr(layer, part), f"{part} of a Residual must end in a layer "
                                 "with f(0) = 0") for part in layer.PARTS)
                layer = replace(layer, layers=F, shortcut=G)
        except ValueError as error:
            raise ValueError(f"layer {number}: {error}") from error
        if at_zero(layer.activation) != 0:
            shifted = f"layer {number} with {layer.activation}"
            layer = replace(layer, activation=zero_centred_name(layer.activation))
        centred.append(layer)
    if shift != 0:
        raise ValueError(f"{end}, got {shifted} and nothing behind it to collect f(0)")
    return centred


@door
def fold_batchnorm(net: Network) -> Network:
    """An equivalent network without its BatchNorm layers: each becomes part of a neighbour.

    Behind a Dense layer or a convolution without an activation, z = a W + b and then z S + t:

        W' = W S,   b' = b S + t                              (S, t: W and b of the BatchNorm)

    Else it becomes part of the next layer with weights, if only pooling or Flatten lie between:

        W'[j, k] = S_j W[j, k],   b'_k = b_k + sum_j t_j W[j, k]

    A BatchNorm stays, and is explained by a rule of its own, where neither is possible: if it has
    an activation and nothing linear before it; if t is not 0 and the next convolution pads with
    zeros, which are not t; in front of max pooling if an S is negative. Returns a new network, an
    MLP if only Dense layers are left; `net` is not changed.
    Source: Guillemot et al. 2020, "Breaking Batch Normalization for better explainability of Deep
    Neural Networks through Layer-wise Relevance Propagation".
    """
    return of_layers(_folded(net.layers, net.shapes), net.classes)


def _folded(layers, shapes):
    """The layers without BatchNorm, those within a Residual too; shapes: what enters each."""
    layers, shapes, number = list(layers), list(shapes), 0
    while number < len(layers):
        layer, target, folded = layers[number], number - 1, None
        if isinstance(layer, Residual):
            F, G = (_folded(getattr(layer, part), layer.shapes(part, shapes[number]))
                    for part in layer.PARTS)
            layers[number] = replace(layer, layers=F, shortcut=G)
        elif type(layer) is BatchNorm:
            layer = layers[number] = layer.folded()
            folded = _fold_back(layers[target], layer) if number else None
            if folded is None:
                target, folded = _fold_ahead(layers, shapes, number)
        if folded is None:
            number += 1
            continue
        layers[target] = folded
        del layers[number], shapes[number]
        number = min(number, target)        # a folded BatchNorm may be folded again
    return layers


def _fold_back(before, norm):
    """`before` with the BatchNorm behind it as its part, or None."""
    if type(before) not in (Dense, Conv2D, BatchNorm) or before.activation != "identity":
        return None
    S, t = norm.W.astype(np.float64), norm.b.astype(np.float64)     # (K,) or (K, 1, 1)
    return replace(_with(before, before.W * S, before.b * S + t), activation=norm.activation)


def _fold_ahead(layers, shapes, number):
    """(the number of the next layer with weights, that layer with BatchNorm `number` as its part),
    or None instead of the layer."""
    S, t = (getattr(layers[number], name).astype(np.float64) for name in "Wb")
    if layers[number].activation != "identity":
        return number, None
    for target in range(number + 1, len(layers)):
        layer, kind = layers[target], type(layers[target])
        if kind in (Flatten, Permute):      # from now on one S and t for each pixel
            S, t = (layer.preactivation(np.broadcast_to(one, shapes[target])[np.newaxis])[0]
                    for one in (S, t))
        elif kind is Dense:
            return target, _with(layer, S[:, np.newaxis] * layer.W, layer.b + t @ layer.W)
        elif kind is Conv2D and S.shape[1:] == (1, 1) and not (layer.padding and t.any()):
            b = layer.b + np.einsum("cyx,ckij->k", t, layer.W).reshape(layer.b.shape)
            return target, _with(layer, S[:, np.newaxis] * layer.W, b)
        elif kind is BatchNorm and S.shape == layer.W.shape:
            return target, _with(layer, S * layer.W, layer.b + t * layer.W)
        elif kind is not AvgPool2D and not (kind is MaxPool2D and (S >= 0).all()):
            break
    return number, None


def _with(layer: Layer, W: np.ndarray, b: np.ndarray) -> Layer:
    """The layer with other weights, in its own type."""
    return replace(layer, W=W.astype(layer.W.dtype), b=b.astype(layer.b.dtype))  # type: ignore
