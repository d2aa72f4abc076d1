"""Activation functions a = f(z), element by element, each with its derivative f'(z).

A derivative is a function of z and of a = f(z), which the forward pass provides: for some functions
a gives the shorter formula (sigmoid: a (1 - a)); those that are not injective need z (GELU, SiLU).
Relevance passes through an activation unchanged, but LRP relies on f(0) = 0. For sigmoid and
softplus, see models.canonize.zero_centred.
"""
from contextlib import suppress
from typing import Callable, NamedTuple

import numpy as np

from lrp_numpy.ops.gelu import gelu_derivative
from lrp_numpy.ops.reference import gelu, relu
from lrp_numpy.utils.validation import at_least_0, check_choice


class Activation(NamedTuple):
    """A function f(z) and its derivative, a function of z and a = f(z)."""
    f: Callable
    derivative: Callable


def sigmoid(z: np.ndarray) -> np.ndarray:
    """f(z) = 1 / (1 + exp(-z)); where exp(-z) is too large for its type, f(z) is 0."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def leaky_relu(z: np.ndarray, slope: float = 0.01) -> np.ndarray:
    """f(z) = z for z > 0, else slope z. Source: Maas et al. 2013; 0.01 is torch's slope."""
    return np.where(z > 0, z, slope * z)


def elu(z: np.ndarray) -> np.ndarray:
    """f(z) = z for z > 0, else exp(z) - 1. Source: Clevert et al. 2016."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


# With these, mean 0 and variance 1 are a fixed point of a layer
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def selu(z: np.ndarray) -> np.ndarray:
    """f(z) = scale z for z > 0, else scale alpha (exp(z) - 1). Source: Klambauer et al. 2017."""
    return np.where(z > 0, SELU_SCALE * z, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def selu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """scale for z > 0, else scale alpha exp(z) = a + scale alpha."""
    return np.where(z > 0, z.dtype.type(SELU_SCALE), a + SELU_SCALE * SELU_ALPHA)


def silu(z: np.ndarray) -> np.ndarray:
    """f(z) = z sigmoid(z), also called swish. Source: Elfwing et al. 2018."""
    return z * sigmoid(z)


def silu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """sigmoid(z) (1 + z (1 - sigmoid(z))) = sigmoid(z) + a (1 - sigmoid(z))."""
    s = sigmoid(z)
    return s + a * (1 - s)


def softplus(z: np.ndarray) -> np.ndarray:
    """f(z) = log(1 + exp(z)), written so that exp cannot overflow. f(0) = log 2."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


ACTIVATIONS = {
    "relu": Activation(relu, lambda z, a: (z > 0).astype(z.dtype)),
    "sigmoid": Activation(sigmoid, lambda z, a: a * (1 - a)),
    "tanh": Activation(np.tanh, lambda z, a: 1 - a * a),
    "identity": Activation(lambda z: z, lambda z, a: np.ones_like(z)),
    "leaky_relu": Activation(leaky_relu, lambda z, a: np.where(z > 0, 1, 0.01).astype(z.dtype)),
    "elu": Activation(elu, lambda z, a: np.where(z > 0, 1, a + 1).astype(z.dtype)),
    "selu": Activation(selu, selu_derivative),
    "gelu": Activation(gelu, gelu_derivative),
    "silu": Activation(silu, silu_derivative),
    "softplus": Activation(softplus, lambda z, a: sigmoid(z)),
    # f(z) - f(0), written so that it is exact where z is small
    "zero_centred_sigmoid": Activation(lambda z: np.tanh(z / 2) / 2, lambda z, a: 0.25 - a * a),
    "zero_centred_softplus": Activation(
        lambda z: np.maximum(z, 0) + np.log1p(np.expm1(-np.abs(z)) / 2), lambda z, a: sigmoid(z)),
}
BUILT_IN = tuple(ACTIVATIONS)
HIDDEN_ACTIVATIONS = ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "gelu", "silu",
                      "softplus")      # the choices for hidden layers, on the command line too
LEAKY_RELU = "leaky_relu_"      # before the slope, if it is not 0.01


def at_zero(name: str) -> float:
    """f(0) of the activation called `name`: the output of a neuron with z = 0."""
    return float(ACTIVATIONS[name].f(np.zeros(1))[0])


def zero_centred_name(name: str) -> str:
    """The name of f(z) - f(0), which is added to ACTIVATIONS if it is not there."""
    shift, centred = at_zero(name), f"zero_centred_{name}"
    f, derivative = ACTIVATIONS[name]
    if shift == 0:
        return name
    if centred not in BUILT_IN:     # your own may have changed: define it again
        ACTIVATIONS[centred] = Activation(lambda z: f(z) - shift,
                                          lambda z, a: derivative(z, a + shift))
    return centred


def leaky_relu_name(slope: float) -> str:
    """The name of the leaky ReLU with this slope, such as "leaky_relu_0.3", which is added to
    ACTIVATIONS. Raises ValueError unless the slope is a finite number of at least 0."""
    slope = at_least_0("slope", slope)
    name = "leaky_relu" if slope == 0.01 else f"{LEAKY_RELU}{slope!r}"
    ACTIVATIONS.setdefault(name, Activation(
        lambda z: leaky_relu(z, slope), lambda z, a: np.where(z > 0, 1, slope).astype(z.dtype)))
    return name


def check_activation(name: str) -> None:
    """Raise ValueError unless `name` is in ACTIVATIONS, or a leaky ReLU as `leaky_relu_name`
    writes it, which a file may hold."""
    if isinstance(name, str) and name.startswith(LEAKY_RELU):
        with suppress(ValueError):
            leaky_relu_name(float(name.removeprefix(LEAKY_RELU)))
    check_choice("activation", name, ACTIVATIONS)
