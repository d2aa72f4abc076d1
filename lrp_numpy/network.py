"""A network: layers one after another, forward and backward.

Notation: `a` enters a layer, `z` are its pre-activations, `f(z)` leaves it. `dz` is the derivative
of the loss with respect to z, and likewise `da`, `dW`, `db`. Images enter as rows of numbers, and
logits leave the last layer: x (N, D) to (N, K).
"""
import math
from collections.abc import Sequence
from copy import copy
from dataclasses import is_dataclass, replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers import Dense, Flatten, Layer
from lrp_numpy.layers.activations import check_activation
from lrp_numpy.layers.saved import as_arrays, from_arrays
from lrp_numpy.layers.shapes import arrays_of, shapes_of
from lrp_numpy.ops import choose
from lrp_numpy.ops.blas import one_core_free
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.files import atomic_write, error_text, read_arrays
from lrp_numpy.utils.labels import as_classes, predicted_labels
from lrp_numpy.utils.types import FilePath, Seed
from lrp_numpy.utils.validation import (as_list, check_inputs, check_integer, check_overflow,
                                        check_shape, native)


class Pass(NamedTuple):
    """A forward pass: all that `Network.backward` and `explain` need."""
    a: list     # what entered each layer, input first, and the logits last
    z: list     # the pre-activations of each layer


def run(layers: Sequence[Layer], x: np.ndarray, ops: ModuleType) -> Pass:
    """The forward pass of inputs x, with an engine of `ops`; nothing is checked."""
    a, z = [x], []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            z.append(layer.preactivation(a[-1], ops))
            a.append(layer.activate(z[-1], ops))
    return Pass(a, z)


class Network:
    """Layers one after another. The first takes rows of numbers, the last outputs the logits."""

    def __init__(self, layers: Layer | Sequence[Layer], classes: Any = None) -> None:
        """Copies the weights to one type: float32, or float64 if any of them is float64.

        classes: see the property. Raises ValueError unless there is a layer and all fit together.
        """
        layers = [layers] if isinstance(layers, Layer) else as_list("layers", layers)
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        for number, layer in enumerate(layers):
            if not isinstance(layer, Layer) or not is_dataclass(layer):
                raise ValueError(f"layer {number} must be an instance of a dataclass that is a "
                                 f"layers.Layer, got {layer!r}")
        layers = [replace(layer, **{name: native(np.asarray(getattr(layer, name)))
                                    for name in arrays_of(layer)}) for layer in layers]
        self.shapes = shapes_of(layers)     # of one image: what enters each layer, logits last
        arrays = [getattr(layer, name) for layer in layers for name in arrays_of(layer)]
        real = np.result_type(*arrays) if arrays else np.dtype(np.float32)
        self.layers = [replace(layer, **{name: np.array(getattr(layer, name), real, order="C")
                                         for name in arrays_of(layer)}) for layer in layers]
        self.dtype = real
        self.classes = classes

    @property
    def classes(self) -> np.ndarray | None:
        """The labels of the outputs, such as [1, 2, 3], or None: then a class is its index.
        `predict` and `explain` speak them. A single output has two: it is positive for the second.
        """
        return self._classes

    @classes.setter
    def classes(self, classes: Any) -> None:
        self._classes = as_classes(classes, self.sizes[-1])

    def __repr__(self) -> str:
        labels = "" if self.classes is None else f", classes={self.classes.tolist()}"
        return f"{type(self).__name__}(sizes={self.sizes}{labels})"

    @property
    def sizes(self) -> list[int]:
        """Neurons from input to output, such as [784, 500, 10]."""
        return [math.prod(shape) for shape in self.shapes]

    def up_to(self, number: int) -> "Network":
        """The network that ends with layer `number`, 0 for the first: its logits are what that
        layer outputs, as one row an image. Raises ValueError for any other number.

        `explain(net.up_to(3), x, target=7)` explains neuron 7 of layer 3.
        """
        check_integer("number of the layer", number, 0)
        if number >= len(self.layers):
            raise ValueError(f"number of the layer must be at most {len(self.layers) - 1}, got "
                             f"{number}")
        is_row = len(self.shapes[number + 1]) == 1
        return Network(self.layers[:number + 1] + ([] if is_row else [Flatten()]))

    def with_options(self, options: dict[str, Any]) -> "Network":
        """The same network, with those fields of its layers that `options` sets, such as beta=1.

        A name that is not among the `options` of a layer is ignored, and the network itself
        returned if nothing changes. Raises ValueError for a value that a layer refuses.
        """
        chosen = [{name: options[name] for name in layer.options
                   if name in options and options[name] is not getattr(layer, name)}
                  for layer in self.layers]
        if not any(chosen):
            return self
        twin = copy(self)
        twin.layers = [replace(layer, **own) for layer, own in zip(self.layers, chosen)]
        shapes_of(twin.layers)
        return twin

    @property
    def multiplications(self) -> int:
        """The multiplications in the forward pass of one image."""
        return sum(layer.multiplications(*shapes)
                   for layer, *shapes in zip(self.layers, self.shapes, self.shapes[1:]))

    def choose_ops(self, engine: str | None, images: int) -> ModuleType:
        """The engine for a forward pass of that many images: see `ops.choose`."""
        return choose(engine, images * self.multiplications)

    @one_core_free()
    def forward_pass(self, x: np.ndarray, engine: str | None = None) -> Pass:
        """A `Pass`: every activation and pre-activation on the way from x to the logits.

        Arguments and ValueError as in `forward`, but overflows silently become infinite or NaN.
        """
        check_inputs(x, self.sizes[0])
        return run(self.layers, native(x), self.choose_ops(engine, len(x)))

    def activations(self, x: np.ndarray, engine: str | None = None) -> list[np.ndarray]:
        """[x, hidden activations ..., logits]: what each layer received, and the output last."""
        return self.forward_pass(x, engine).a

    @one_core_free()
    def forward(self, x: np.ndarray, engine: str | None = None) -> np.ndarray:
        """Logits (N, K) for inputs x (N, D).

        engine: None, "numpy" or "numba", as in `ops`. Raises ValueError for any other, or if x
        does not fit the network; FloatingPointError if x or a weight is so large that a logit is
        not finite.
        """
        check_inputs(x, self.sizes[0])
        chosen, a = self.choose_ops(engine, len(x)), native(x)
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in self.layers:
                a = layer.forward(a, chosen)
        check_overflow(a, "logits")
        return a

    def predict(self, x: np.ndarray, engine: str | None = None) -> np.ndarray:
        """The class with the largest logit (N,) for inputs x (N, D), by its label in `classes`;
        of a single output without labels always 0: check its sign. Arguments as in `forward`."""
        return predicted_labels(self.forward(x, engine), self.classes)

    @door
    @one_core_free()
    def backward(self, forward_pass: Pass, dlogits: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """Gradients [(dW, db), ...], input side first; () for a layer without parameters.

        forward_pass: what `forward_pass(x)` returned; dlogits (N, K): the derivative of the loss
        with respect to the logits. Runs from the last layer to the first, starting with
        da = dlogits:

            dz = da * f'(z);   dW = a.T @ dz;   db = sum dz;   da = dz @ W.T

        and likewise for layers that are not Dense.
        """
        gradients, da, (a, z) = [], dlogits, forward_pass
        check_shape("dlogits", dlogits, a[-1].shape)
        for number in reversed(range(self.first_trained, len(self.layers))):
            layer = self.layers[number]
            dz = layer.delta(z[number], a[number + 1], da)
            gradients.append(layer.gradients(a[number], dz))
            if number > self.first_trained:     # the derivatives below it are not needed
                da = layer.backward(a[number], dz)
        return [()] * self.first_trained + gradients[::-1]

    @property
    def first_trained(self) -> int:
        """The number of the lowest layer with parameters to train."""
        return min((number for number, layer in enumerate(self.layers) if layer.parameters),
                   default=len(self.layers) - 1)

    def save(self, path: FilePath) -> None:
        """Write the network to `path` (.npz, no pickle): whole, or not at all (OSError).

        The file holds the names of the layers' classes, and each layer's fields by their names.
        """
        arrays: dict[str, Any] = dict(as_arrays(self.layers))
        if self.classes is not None:
            arrays["classes"] = self.classes
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    @staticmethod
    @door
    def load(path: FilePath) -> "Network":
        """The network that `save` wrote: an MLP if all its layers are Dense, else a Network.

        A layer of your own must be in layers.LAYERS. Raises ValueError, naming the file, for
        anything else.
        """
        try:
            file = read_arrays(path)
            layers = from_arrays(file, others=["classes"])
            return of_layers(layers, file.get("classes"))
        except FileNotFoundError as error:
            raise ValueError(f"{path} is not a network saved by lrp_numpy: no such file") from error
        except Exception as error:      # a damaged file can raise anything
            raise ValueError(
                f"{path} is not a network saved by lrp_numpy: {error_text(error)}") from error


class MLP(Network):
    """A multilayer perceptron: Dense layers only, and the last one linear.

    Create one with `MLP.random` (for training), `MLP.load`, `MLP.from_arrays`, or with
    models.convert from a model of another library.
    """

    def __init__(self, layers: Layer | Sequence[Layer], classes: Any = None) -> None:
        """As for a Network. Also raises ValueError for a layer that is not Dense."""
        super().__init__(layers, classes)
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, Dense):
                raise ValueError(f"layer {number} of an MLP must be Dense, got "
                                 f"{type(layer).__name__}; a Network takes all kinds")

    @classmethod
    @door
    def random(cls, sizes: Sequence[int], activation: str = "sigmoid", rng: Seed = 0,
               dtype: DTypeLike = np.float32) -> "MLP":
        """An untrained network: W and b uniform in [-1/sqrt(D), 1/sqrt(D)], D inputs to a layer.

        sizes: neurons from input to output, such as [784, 500, 10]; activation: a name in
        layers.activations.ACTIVATIONS, such as "relu", for all layers but the last; rng: a seed or
        a numpy.random.Generator. torch initializes its Linear layers in the same way. Raises
        ValueError for sizes below 1, fewer than two sizes, or an unknown activation.
        """
        sizes = as_list("sizes", sizes)
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

        The arrays are copied, as float32, or all as float64 if any is; every layer but the last
        has this `activation`. Raises ValueError if the shapes do not fit one another.
        """
        weights, biases = as_list("weights", weights), as_list("biases", biases)
        if len(weights) != len(biases):
            raise ValueError(f"weights and biases must be equally many, got {len(weights)} and "
                             f"{len(biases)}")
        return cls([Dense(W, b, name) for W, b, name in zip(
            weights, biases, _hidden_and_linear(activation, len(weights)))])


def of_layers(layers: Sequence[Layer], classes: Any = None) -> Network:
    """An MLP if all layers are Dense, else a Network."""
    is_mlp = all(type(layer) is Dense for layer in layers)
    return (MLP if is_mlp else Network)(layers, classes)


def load_layers(path: FilePath, name: str, kinds: Sequence[type]) -> Network:
    """The network in a file, whose layers must be of these kinds: those of a model called `name`.

    Raises ValueError, naming the file, for anything else.
    """
    net = Network.load(path)
    if [type(layer) for layer in net.layers] != list(kinds):
        raise ValueError(f"{path} does not hold a {name}, but a {net!r}")
    return net


def _hidden_and_linear(activation, layers):
    check_activation(activation)
    return [activation] * (layers - 1) + ["identity"]
