"""A multilayer perceptron, forward and backward, as equations.

Notation: `a` (N, D) enters a layer, `z = a @ W + b` (N, K) are its pre-activations, `f(z)` leaves
it. `dz` is the derivative of the loss with respect to z, and likewise `da`, `dW`, `db`.
"""
import os
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from lrp_numpy import kernels


def affine(a, W, b):
    """z = a @ W + b: from (N, D) to (N, K)."""
    return a @ W + b


AFFINE = {"numpy": affine, "numba": kernels.affine}     # the equation, and the same as fast loops


class Activation(NamedTuple):
    """A function f and its derivative, the latter written in terms of the output a = f(z)."""
    f: Callable
    derivative: Callable


def relu(z):
    """f(z) = max(z, 0)"""
    return np.maximum(z, 0)


def sigmoid(z):
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


def at_zero(name):
    """f(0) of the activation called `name`: what a neuron says whose inputs add up to nothing."""
    return float(ACTIVATIONS[name].f(np.zeros(1))[0])


def zero_centred(net):
    """An equal network whose hidden activations are f(z) - f(0): 0 where z is 0.

    The next layer's bias collects what was taken away, so every logit stays what it is:

        a_j W_jk summed + b_k  =  (a_j - f(0)) W_jk summed  +  (b_k + f(0) sum_j W_jk)

    LRP divides a neuron's relevance by its z. With f(0) != 0 that has a pole at z = 0 and turns its
    sign below; (sigmoid(z) - 1/2) / z is positive, smooth and at most 1/4. Layers with f(0) = 0
    (ReLU, tanh) stay as they are. An activation of your own in ACTIVATIONS is centred as well, and
    added there as "zero_centred_NAME". Returns a new MLP; `net` is not changed. Raises ValueError
    if the last layer has f(0) != 0: then there is no bias above it to collect the difference.
    """
    layers, shift = [], 0.0
    for layer in net.layers:
        name, b = layer.activation, layer.b + shift * layer.W.sum(axis=0)
        shift = at_zero(name)
        if shift != 0:
            f, derivative = ACTIVATIONS[name]
            name = f"zero_centred_{name}"
            ACTIVATIONS.setdefault(name, Activation(lambda z, f=f, c=shift: f(z) - c,
                                                    lambda a, d=derivative, c=shift: d(a + c)))
        layers.append(Dense(layer.W, b.astype(layer.b.dtype), name))
    if shift != 0:
        raise ValueError("net must end in a layer with f(0) = 0, whose outputs are the logits, got "
                         f"{net.layers[-1].activation}")
    return MLP(layers)


class Dense(NamedTuple):
    """One layer, a -> f(z) with z = a @ W + b."""
    W: np.ndarray       # (D, K): W[j, k] leads from lower neuron j to upper neuron k
    b: np.ndarray       # (K,)
    activation: str     # a name in ACTIVATIONS

    def activate(self, z):
        """f(z), element by element (N, K)."""
        return ACTIVATIONS[self.activation].f(z)

    def forward(self, a, engine="numba"):
        """f(a @ W + b): from (N, D) to (N, K); engine as in `MLP.forward`."""
        return self.activate(AFFINE[engine](a, self.W, self.b))

    def delta(self, a_next, da_next):
        """dz = da_next * f'(z): how the loss changes with this layer's pre-activations (N, K)."""
        return da_next * ACTIVATIONS[self.activation].derivative(a_next)

    def gradients(self, a, dz):
        """dW = a.T @ dz (D, K) and db = sum over the batch of dz (K,)."""
        return a.T @ dz, dz.sum(axis=0)

    def backward(self, dz):
        """da = dz @ W.T: how the loss changes with what entered the layer (N, D)."""
        return dz @ self.W.T


class MLP:
    """Dense layers one after another; the last one is linear and its outputs are the logits.

    Made by `MLP.random` (to be trained), `MLP.from_arrays` (weights from elsewhere) or `MLP.load`.
    """

    def __init__(self, layers):
        """Copies the weights, as one type: float32, or float64 if one of them is.

        Raises ValueError unless there are layers that fit one another.
        """
        layers = [layer._replace(W=np.asarray(layer.W), b=np.asarray(layer.b)) for layer in layers]
        if not layers:
            raise ValueError("layers must hold at least one layer, got none")
        width = None
        for number, layer in enumerate(layers):
            _check_layer(layer, number, width)
            width = layer.W.shape[1]
        real = np.result_type(*(array for layer in layers for array in (layer.W, layer.b)))
        self.layers = [layer._replace(W=np.array(layer.W, real, order="C"),
                                      b=np.array(layer.b, real)) for layer in layers]

    @classmethod
    def random(cls, sizes, activation="sigmoid", rng=0, dtype=np.float32):
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
        weights, biases = [], []
        for D, K in zip(sizes[:-1], sizes[1:]):
            bound = 1 / np.sqrt(D)
            weights.append(rng.uniform(-bound, bound, (D, K)).astype(dtype))
            biases.append(rng.uniform(-bound, bound, K).astype(dtype))
        return cls.from_arrays(weights, biases, activation)

    @classmethod
    def from_arrays(cls, weights, biases, activation):
        """A network with the given weights [W1, W2, ...] (D, K) and biases [b1, b2, ...] (K,).

        The arrays are copied; float32 or float64 (then all become that); `activation` is that of
        every layer but the last. Raises ValueError if the shapes do not fit one another.
        """
        if len(weights) != len(biases):
            raise ValueError(f"weights and biases must be equally many, got {len(weights)} and "
                             f"{len(biases)}")
        _check_activation(activation)
        names = [activation] * (len(weights) - 1) + ["identity"]
        return cls(Dense(W, b, name) for W, b, name in zip(weights, biases, names))

    @property
    def sizes(self):
        """Neurons from input to output, such as [784, 500, 10]."""
        return [self.layers[0].W.shape[0]] + [layer.W.shape[1] for layer in self.layers]

    def activations(self, x, engine="numba"):
        """[x, hidden activations ..., logits]: what each layer received, and the output last.

        This is the forward pass; it keeps everything that `backward` needs.
        """
        a = [x]
        for layer in self.layers:
            a.append(layer.forward(a[-1], engine))
        return a

    def forward(self, x, engine="numba"):
        """Logits (N, K) for inputs x (N, D).

        engine: "numba" for the loops in kernels.py, "numpy" for the equations as they stand: the
        same to rounding. Raises ValueError for another, and unless x fits the network.
        """
        check_inputs(x, self.sizes[0])
        check_engine(engine)
        return self.activations(x, engine)[-1]

    def predict(self, x, engine="numba"):
        """The class with the largest logit (N,) for inputs x (N, D); arguments as in `forward`."""
        return self.forward(x, engine).argmax(axis=1)

    def backward(self, activations, dlogits):
        """Gradients [(dW, db), ...], one pair a layer, input side first.

        activations: what `activations(x)` returned; dlogits (N, K): how the loss changes with the
        logits. From the last layer to the first, with da = dlogits to begin with:

            dz = da * f'(z);   dW = a.T @ dz;   db = sum dz;   da = dz @ W.T
        """
        pairs, da = [], dlogits
        steps = list(zip(self.layers, activations[:-1], activations[1:]))
        for number, (layer, a, a_next) in reversed(list(enumerate(steps))):
            dz = layer.delta(a_next, da)
            pairs.append(layer.gradients(a, dz))
            if number > 0:      # nobody asks for the derivative with respect to the pixels
                da = layer.backward(dz)
        return pairs[::-1]

    def save(self, path):
        """Write the network to `path` (.npz, no pickle): whole, or not at all (OSError)."""
        path = Path(path)
        arrays = {"activations": np.array([layer.activation for layer in self.layers])}
        for number, layer in enumerate(self.layers):
            arrays[f"W{number}"], arrays[f"b{number}"] = layer.W, layer.b
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        try:
            with open(partial, "wb") as file:
                np.savez(file, **arrays)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path):
        """The network that `save` wrote. Raises ValueError, naming the file, for anything else."""
        try:
            if not zipfile.is_zipfile(path):
                raise ValueError("no such file" if not Path(path).exists() else "not an .npz file")
            with np.load(path, allow_pickle=False) as file:
                names = [str(name) for name in file["activations"]]
                return cls(Dense(file[f"W{number}"], file[f"b{number}"], name)
                           for number, name in enumerate(names))
        except (OSError, ValueError, KeyError, EOFError, TypeError, MemoryError, RuntimeError,
                NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} is not a network saved by MLP.save: {error}") from error


def check_engine(engine):
    """Raise ValueError unless `engine` is one that the network can be run by."""
    if not isinstance(engine, str) or engine not in AFFINE:
        raise ValueError(f"engine must be {' or '.join(map(repr, AFFINE))}, got {engine!r}")


def _check_activation(name):
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")


def _check_layer(layer, number, width):
    """`layer` must be sound, and take what the layer before it gives: `width` numbers."""
    W, b, name = layer
    _check_activation(name)
    if W.ndim != 2 or 0 in W.shape:
        raise ValueError(f"W of layer {number} must have shape (D, K), both at least 1, got "
                         f"{W.shape}")
    if width not in (None, W.shape[0]):
        raise ValueError(f"W of layer {number} must have {width} rows, one for each output of the "
                         f"layer before it, got shape {W.shape}")
    if b.shape != W.shape[1:]:
        raise ValueError(f"b of layer {number} must have shape {W.shape[1:]}, one for each column "
                         f"of W, got {b.shape}")
    for symbol, array in (("W", W), ("b", b)):
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{symbol} of layer {number} must be float32 or float64, got "
                             f"{array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{symbol} of layer {number} must be finite, got NaN or infinity")


def check_inputs(x, width, name="x"):
    """Raise ValueError unless x is a finite float32 or float64 array of shape (N, width)."""
    check_array(x, width, name)
    check_finite(x, name)


def check_array(x, width, name="x", also=()):
    """Raise ValueError unless x is an array of shape (N, width), float32, float64 or `also`."""
    if not isinstance(x, np.ndarray) or isinstance(x, (np.matrix, np.ma.MaskedArray)):
        raise ValueError(f"{name} must be a NumPy array, got {type(x).__name__}")
    if x.ndim != 2 or x.shape[1] != width:
        raise ValueError(f"{name} must be an array of shape (N, {width}), one row an image, got "
                         f"{x.shape}")
    if x.dtype not in (np.float32, np.float64, *also):
        hint = " (divide bytes by 255)" if x.dtype == np.uint8 else ""
        raise ValueError(f"{name} must be float32 or float64, got {x.dtype}{hint}")


def check_finite(x, name="x", first_row=0):
    """Raise ValueError unless x (N, D) is finite; rows are counted from `first_row`."""
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(x.sum())        # cheap, and if so, all are; if not, look closely
    if not is_finite and not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{name} must be finite, got {x[row, column]} in row {first_row + row}, "
                         f"column {column}")
