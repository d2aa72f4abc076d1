"""Activation functions f(z), element by element, each with its derivative."""
from typing import Callable, NamedTuple

import numpy as np

from lrp_numpy.utils.validation import check_choice


class Activation(NamedTuple):
    """A function f and its derivative, the latter written in terms of the output a = f(z)."""
    f: Callable
    derivative: Callable


def relu(z: np.ndarray) -> np.ndarray:
    """f(z) = max(z, 0)"""
    return np.maximum(z, 0)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """f(z) = 1 / (1 + exp(-z)); where exp(-z) is too large for its type, f(z) is 0."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "relu": Activation(relu, lambda a: (a > 0).astype(a.dtype)),
    "sigmoid": Activation(sigmoid, lambda a: a * (1 - a)),
    "tanh": Activation(np.tanh, lambda a: 1 - a * a),
    "identity": Activation(lambda z: z, np.ones_like),
    # sigmoid(z) - 1/2, written so that it is exact where z is small
    "zero_centred_sigmoid": Activation(lambda z: np.tanh(z / 2) / 2, lambda a: 0.25 - a * a),
}

BUILT_IN = tuple(ACTIVATIONS)


def at_zero(name: str) -> float:
    """f(0) of the activation called `name`: what a neuron says whose inputs add up to nothing."""
    return float(ACTIVATIONS[name].f(np.zeros(1))[0])


def zero_centred_name(name: str) -> str:
    """The name of f(z) - f(0); of one of yours it is put into ACTIVATIONS, as f is now."""
    shift, centred = at_zero(name), f"zero_centred_{name}"
    f, derivative = ACTIVATIONS[name]
    if shift == 0:
        return name
    if centred not in BUILT_IN:
        ACTIVATIONS[centred] = Activation(lambda z: f(z) - shift, lambda a: derivative(a + shift))
    return centred


def check_activation(name: str) -> None:
    """Raise ValueError unless `name` is in ACTIVATIONS."""
    check_choice("activation", name, ACTIVATIONS)
