"""A network: layers one after another, forward and backward.

Notation: `a` enters a layer, `z` are its pre-activations, `f(z)` leaves it. `dz` is the derivative
of the loss with respect to z, and likewise `da`, `dW`, `db`. An image enters as a row of numbers,
and what leaves the last layer are the logits: x (N, D) to (N, K).
"""
import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.models import convert as foreign
from lrp_numpy.layers.activations import at_zero, check_activation, zero_centred_name
from lrp_numpy.utils.validation import check_choice, check_finite, check_inputs, check_overflow
from lrp_numpy.utils.files import atomic_write, error_text, read_arrays
from lrp_numpy.utils.types import FilePath, Seed, Shape
from lrp_numpy.layers.base import LAYERS, Conv2D, Dense, Flatten, Layer, MaxPool2D, Unflatten

ENGINES = ("numpy", "numba")
MOST_LAYERS = 1000      # in a file; one with more is not believed
MOST_SIDES = 8          # likewise, of a shape


def zero_centred(net: "Network") -> "Network":
    """An equal network whose hidden activations are f(z) - f(0): 0 where z is 0.

    The next layer's bias collects what was taken away, so every logit stays what it is:

        a_j W_jk summed + b_k  =  (a_j - f(0)) W_jk summed  +  (b_k + f(0) sum_j W_jk)

    LRP divides a neuron's relevance by its z. With f(0) != 0 that has a pole at z = 0 and turns its
    sign below; (sigmoid(z) - 1/2) / z is positive, smooth and at most 1/4. Layers with f(0) = 0
    (ReLU, tanh) stay as they are. An activation of your own in ACTIVATIONS is centred as well, and
    added there as "zero_centred_NAME". Returns a new network; `net` is not changed. Raises
    ValueError if the last layer has f(0) != 0, for then there is no bias above it to collect the
    difference, and for a layer that cannot collect it, such as a convolution with a padding.
    """
    shift: float | np.ndarray = 0.0
    layers, shifted = [], None
    for number, layer in enumerate(net.layers):
        try:
            layer, shift = layer.without(shift)
        except ValueError as error:
            raise ValueError(f"layer {number}: {error}") from error
        if at_zero(layer.activation) != 0:
            shifted = f"layer {number} with {layer.activation}"
            layer = replace(layer, activation=zero_centred_name(layer.activation))
        layers.append(layer)
    if shift != 0:
        raise ValueError("net must end in a layer with f(0) = 0, whose outputs are the logits, got "
                         f"{shifted} and nothing behind it to collect f(0)")
    return type(net)(layers)


class Network:
    """Layers one after another. The first takes rows of numbers, the last one gives the logits."""

    def __init__(self, layers: Layer | Sequence[Layer]) -> None:
        """Copies the weights, as one type: float32, or float64 if one of them is.

        Raises ValueError unless there are layers that fit one another.
        """
        layers = [layers] if isinstance(layers, Layer) else list(layers)
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        for number, layer in enumerate(layers):
            if not isinstance(layer, Layer) or not is_dataclass(layer):
                raise ValueError(f"layer {number} must be an instance of a dataclass that is a "
                                 f"layers.Layer, got {layer!r}")
        layers = [replace(layer, **{name: np.asarray(getattr(layer, name))
                                    for name in layer.parameters}) for layer in layers]
        self.shapes = _shapes(layers)       # of one image: what enters each layer, logits last
        arrays = [getattr(layer, name) for layer in layers for name in layer.parameters]
        real = np.result_type(*arrays) if arrays else np.dtype(np.float32)
        self.layers = [replace(layer, **{name: np.array(getattr(layer, name), real, order="C")
                                         for name in layer.parameters}) for layer in layers]
        self.dtype = real

    @classmethod
    def from_torch(cls, sequential: Any, shape: Shape | None = None) -> "Network":
        """A network that computes what a torch.nn.Sequential computes; its weights are copied.

        Linear, Conv2d, MaxPool2d, AvgPool2d, Flatten, ReLU, Sigmoid and Tanh, also in Sequentials
        inside. shape: (C, H, W) of one image if the network takes pictures (they enter as rows
        all the same), None if it takes rows; a Flatten that meets rows is then left out, and so are
        Dropout and Identity, which change nothing when a network predicts. So is a Softmax,
        LogSoftmax or Sigmoid at the very end: what is explained is the logit before it. An
        activation behind MaxPool2d is taken before it, which gives the same.

        float32 and float64 are kept. Raises ValueError, naming the layer by its place in the
        Sequential, for anything else: other layers, options that ours do not have (dilation,
        groups, ...), types, activations without a layer. Torch itself is not imported.
        """
        return cls(foreign.layers_of_torch(sequential, shape))

    @property
    def sizes(self) -> list[int]:
        """Neurons from input to output, such as [784, 500, 10]."""
        return [math.prod(shape) for shape in self.shapes]

    def activations(self, x: np.ndarray, engine: str = "numba") -> list[np.ndarray]:
        """[x, hidden activations ..., logits]: what each layer received, and the output last.

        This is the forward pass; it keeps all that `backward` needs. Arguments and ValueError
        as in `forward`; what grows too large becomes infinite or NaN, silently.
        """
        check_inputs(x, self.sizes[0])
        check_choice("engine", engine, ENGINES)
        a = [x]
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in self.layers:
                a.append(layer.forward(a[-1], engine))
        return a

    def forward(self, x: np.ndarray, engine: str = "numba") -> np.ndarray:
        """Logits (N, K) for inputs x (N, D).

        engine: "numba" for the loops in kernels.py, "numpy" for the equations as they stand: the
        same to rounding. Raises ValueError for another, and unless x fits the network;
        FloatingPointError if x or a weight is so large that a logit is not finite.
        """
        logits = self.activations(x, engine)[-1]
        check_overflow(logits, "logits")
        return logits

    def predict(self, x: np.ndarray, engine: str = "numba") -> np.ndarray:
        """The class with the largest logit (N,) for inputs x (N, D); arguments as in `forward`.

        Of a single output that is always 0: for two classes, look whether the logit is positive.
        """
        return self.forward(x, engine).argmax(axis=1)

    def backward(self, activations: list[np.ndarray],
                 dlogits: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """Gradients [(dW, db), ...], input side first; () for a layer that has nothing to train.

        activations: what `activations(x)` returned; dlogits (N, K): how the loss changes with the
        logits. From the last layer to the first, with da = dlogits to begin with:

            dz = da * f'(z);   dW = a.T @ dz;   db = sum dz;   da = dz @ W.T

        and likewise for layers that are not Dense.
        """
        gradients, da = [], dlogits
        steps = list(zip(self.layers, activations[:-1], activations[1:]))
        for number, (layer, a, a_next) in reversed(list(enumerate(steps))):
            dz = layer.delta(a_next, da)
            gradients.append(layer.gradients(a, dz))
            if number > self.first_trained:     # nobody asks for the derivatives below it
                da = layer.backward(a, dz)
            else:
                break
        return [()] * self.first_trained + gradients[::-1]

    @property
    def first_trained(self) -> int:
        """The number of the lowest layer that has something to train."""
        return min((number for number, layer in enumerate(self.layers) if layer.parameters),
                   default=len(self.layers) - 1)

    def save(self, path: FilePath) -> None:
        """Write the network to `path` (.npz, no pickle): whole, or not at all (OSError).

        The file holds the names of the layers' classes, and each layer's fields by their names.
        """
        arrays: dict[str, Any] = {
            "layers": np.array([type(layer).__name__ for layer in self.layers])}
        for number, layer in enumerate(self.layers):
            for field in fields(layer):
                if getattr(layer, field.name) is not None:
                    arrays[f"{field.name}{number}"] = np.array(getattr(layer, field.name))
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: FilePath) -> "Network":
        """The network that `save` wrote: an MLP if all its layers are Dense, else a Network.

        A layer of your own must be in layers.LAYERS. Raises ValueError, naming the file, for
        anything else.
        """
        try:
            file = read_arrays(path)
            names = file["activations" if "activations" in file else "layers"].tolist()
            if len(names) > MOST_LAYERS:
                raise ValueError(f"it must have at most {MOST_LAYERS} layers, got {len(names)}")
            layers = _layers_of_first_version(file, names) if "activations" in file else [
                _loaded(file, name, number) for number, name in enumerate(names)]
            is_mlp = all(type(layer) is Dense for layer in layers)
            return MLP(layers) if is_mlp else Network(layers)
        except FileNotFoundError as error:
            raise ValueError(f"{path} is not a network saved by lrp_numpy: no such file") from error
        except Exception as error:      # whatever a damaged file makes the layers stumble over
            raise ValueError(
                f"{path} is not a network saved by lrp_numpy: {error_text(error)}") from error


class MLP(Network):
    """A multilayer perceptron: Dense layers only, and the last one linear.

    Made by `MLP.random` (to be trained), `MLP.load`, or of weights from elsewhere: by
    `MLP.from_arrays`, `MLP.from_folder`, `MLP.from_torch`, `MLP.from_keras` or `MLP.from_sklearn`.
    """

    def __init__(self, layers: Layer | Sequence[Layer]) -> None:
        """As of a Network. Raises ValueError also for a layer that is not Dense."""
        super().__init__(layers)
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, Dense):
                raise ValueError(f"layer {number} of an MLP must be Dense, got "
                                 f"{type(layer).__name__}; a Network takes all kinds")

    @classmethod
    def random(cls, sizes: Sequence[int], activation: str = "sigmoid", rng: Seed = 0,
               dtype: DTypeLike = np.float32) -> "MLP":
        """An untrained network: W and b uniform in [-1/sqrt(D), 1/sqrt(D)], D inputs to a layer.

        sizes: neurons from input to output, such as [784, 500, 10]; activation: "relu", "sigmoid"
        or "tanh" for all layers but the last; rng: a seed or a numpy.random.Generator.
        This start is the one that torch gives its Linear layers.
        Raises ValueError for sizes below 1, fewer than two sizes, or an unknown activation.
        """
        sizes = list(sizes)
        if len(sizes) < 2 or any(not isinstance(s, (int, np.integer)) or s < 1 for s in sizes):
            raise ValueError("sizes must be at least two integers, input to output, each at least "
                             f"1, got {sizes}")
        rng = np.random.default_rng(rng)
        names = _hidden_and_linear(activation, len(sizes) - 1)
        return cls([Dense.random(D, K, name, rng, dtype)
                    for D, K, name in zip(sizes[:-1], sizes[1:], names)])

    @classmethod
    def from_arrays(cls, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray],
                    activation: str) -> "MLP":
        """A network with the given weights [W1, W2, ...] (D, K) and biases [b1, b2, ...] (K,).

        The arrays are copied; float32 or float64 (then all become that); `activation` is that of
        every layer but the last. Raises ValueError if the shapes do not fit one another.
        """
        if len(weights) != len(biases):
            raise ValueError(f"weights and biases must be equally many, got {len(weights)} and "
                             f"{len(biases)}")
        return cls([Dense(W, b, name) for W, b, name in zip(
            weights, biases, _hidden_and_linear(activation, len(weights)))])

    @classmethod
    def from_folder(cls, path: FilePath, activation: str) -> "MLP":
        """`from_arrays` of the files W1.npy (D, K), b1.npy (K,), W2.npy, b2.npy, ... in a folder.

        They are what numpy.save writes. Raises ValueError for a file that is missing or is none,
        and for what `from_arrays` refuses.
        """
        return cls.from_arrays(*foreign.arrays_of_folder(path), activation)

    @classmethod
    def from_sklearn(cls, model: Any) -> "MLP":
        """A network that computes what a fitted MLPClassifier or MLPRegressor computes.

        Of a classifier the logits, without the softmax or logistic function at its end: for two
        classes one logit, which speaks for classes_[1] where it is positive. Of a regressor what it
        predicts, one output for each column of y. The weights are copied, in their type.

        Raises ValueError for other models, one that is not fitted, and out_activation_ 'exp' (of
        loss='poisson'). scikit-learn itself is not imported.
        """
        return cls.from_arrays(*foreign.arrays_of_sklearn(model))

    @classmethod
    def from_keras(cls, model: Any) -> "MLP":
        """A network that computes what a keras Sequential, or a Model that is a chain, computes.

        Dense with or without an activation, Activation, ReLU: relu, sigmoid, tanh, linear. Flatten
        and Dropout are left out, as rows enter and a network that predicts drops nothing; so is a
        softmax or sigmoid at the very end: what is explained is the logit before it. The weights
        are copied, in their type.

        Raises ValueError, naming the layer by its place in model.layers, for anything else. keras
        itself is not imported.
        """
        return cls(foreign.layers_of_keras(model))


def lenet(rng: Seed = 0, activation: str = "relu", maps: tuple[int, int] = (8, 16),
          hidden: int = 120, dtype: DTypeLike = np.float32) -> Network:
    """An untrained convolutional network for digits of 28 x 28 pixels, after LeNet-5.

    Twice a convolution by windows of 5 x 5 and the largest of each 2 x 2 pixels, then two Dense
    layers: a picture of 28 x 28 in a frame of 2; `maps` of 28 x 28, 14 x 14, 10 x 10, 5 x 5;
    `hidden` neurons, 10 logits. rng: a seed or a numpy.random.Generator. With learning_rate=2e-3 it
    gets 98.7 % and more of MNIST's test digits right after 3 epochs.

    Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition"; with ReLU,
    max pooling and one hidden Dense layer less.
    """
    check_activation(activation)
    if np.shape(maps) != (2,):
        raise ValueError(f"maps must be two numbers, one for each convolution, got {maps!r}")
    rng = np.random.default_rng(rng)
    few, many = maps
    return Network([
        Unflatten((1, 28, 28)),
        Conv2D.random(1, few, 5, activation, rng, padding=2, dtype=dtype), MaxPool2D(2),
        Conv2D.random(few, many, 5, activation, rng, dtype=dtype), MaxPool2D(2),
        Flatten(),
        Dense.random(25 * many, hidden, activation, rng, dtype),
        Dense.random(hidden, 10, "identity", rng, dtype)])


def _hidden_and_linear(activation, layers):
    check_activation(activation)
    return [activation] * (layers - 1) + ["identity"]


def _shapes(layers):
    """The shape of what enters each layer, and of what leaves the last. Raises ValueError, naming
    the layer by its number, where two do not fit."""
    try:
        shapes = [layers[0].in_shape]
    except ValueError as error:
        raise ValueError(f"layer 0: {error}") from error
    if shapes[0] is None:
        raise ValueError("layer 0 must know how many numbers an image has, as Dense and Unflatten "
                         f"do, got {type(layers[0]).__name__}")
    for number, layer in enumerate(layers):
        try:
            shapes.append(layer.out_shape(shapes[-1]))
            for name in layer.parameters:
                _check_numbers(getattr(layer, name), name)
        except ValueError as error:
            raise ValueError(f"layer {number}: {error}") from error
    if len(shapes[-1]) != 1:
        raise ValueError(f"layer {number}: the last layer must give logits, one row an image, got "
                         f"shape {shapes[-1]}")
    return shapes


def _check_numbers(array, name):
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {array.dtype}")
    check_finite(array, name)


def _loaded(file, name, number):
    """Layer `number` of a saved network; numbers, texts and shapes come back as such."""
    if name not in LAYERS:
        raise ValueError(f"layer {number} must be one of {', '.join(LAYERS)}, got {name}")
    values = {}
    for field in fields(LAYERS[name]):
        if f"{field.name}{number}" in file or field.default is not None:     # None is not saved
            value = file[f"{field.name}{number}"]
            is_shape = value.ndim == 1 and value.dtype.kind == "i" and len(value) <= MOST_SIDES
            values[field.name] = (value.item() if value.ndim == 0 else
                                  tuple(value.tolist()) if is_shape else value)
    return LAYERS[name](**values)


def _layers_of_first_version(file, activations):
    """Version 0.1 saved Dense layers only: their activations, W0, b0, W1, ..."""
    return [Dense(file[f"W{number}"], file[f"b{number}"], name)
            for number, name in enumerate(activations)]
