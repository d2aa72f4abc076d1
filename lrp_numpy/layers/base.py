"""The layers of a network, forward and backward, and the linear map that relevance goes back by.

Notation: `a` enters a layer, `z` are its pre-activations, `f(z)` leaves it. `dz` is the derivative
of the loss with respect to z, and likewise `da`, `dW`, `db`. Rows of numbers are (N, D), pictures
(N, C, H, W): N images of C maps, H rows, W columns.

A layer of your own is a subclass of `Layer`: see there. engine: "numpy" for the equations as they
stand, "numba" for the same as fast loops, kernels.py, where there are such.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.ops import kernels
from lrp_numpy.ops import reference as pictures
from lrp_numpy.layers.activations import ACTIVATIONS, at_zero, check_activation
from lrp_numpy.utils.validation import check_choice, check_integer
from lrp_numpy.utils.types import Seed, Shape


def affine(a: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z = a @ W + b: from (N, D) to (N, K). Raises ValueError for shapes that do not fit."""
    kernels.check_shape("a", a, (len(a), len(W)))
    kernels.check_shape("b", b, W.shape[1:])
    return a @ W + b


AFFINE = {"numpy": affine, "numba": kernels.affine}
AFFINE_TRANSPOSED = {"numpy": lambda s, W: s @ W.T, "numba": kernels.backward}
CONVOLVE = {"numpy": pictures.convolve, "numba": kernels.convolve}
CONVOLVE_TRANSPOSED = {"numpy": pictures.convolve_transposed,
                       "numba": kernels.convolve_transposed}
KERNEL_GRADIENT = {"numpy": pictures.kernel_gradient, "numba": kernels.kernel_gradient}
MAX_POOL = {"numpy": pictures.max_pool, "numba": kernels.max_pool}
MAX_POOL_BACKWARD = {"numpy": pictures.max_pool_backward,
                     "numba": kernels.max_pool_backward}


class Layer:
    """What networks, training and `explain` ask of a layer. One of your own is a dataclass (as they
    all are: @dataclass(frozen=True, eq=False)) that overrides:

        out_shape(shape)              the shape of one output for that of one input; ValueError if
                                      it cannot take such an input
        apply(a, W, b, engine)        z for inputs a, linear in a, with these weights W and bias b
        transposed(s, W, shape, engine)   for every input, the sum of s over the outputs that it
                                      leads to, times the weight; shape: that of a
        gradients(a, dz, engine)      the derivatives of the loss for each of `parameters`

    with W and b as fields. That is enough to be trained and to be explained under every rule.
    A layer that does not add up (such as MaxPool2D) overrides `linear` and `backward` instead, and
    says in `rule` how relevance goes back through it.
    """
    W: Any      # both only where there are weights, and of what shape the layer says
    b: Any
    __dataclass_fields__: ClassVar[dict[str, Any]]
    parameters: tuple[str, ...] = ()    # the arrays that training changes, such as ("W", "b")
    activation: str = "identity"        # a name in ACTIVATIONS
    rule: str | None = None     # None: the caller's; a name in rules.RULES; "back": as dz goes back
    in_shape: Shape | None = None       # of one input, as the first of a network must know it

    def out_shape(self, shape: Shape) -> Shape:
        raise NotImplementedError(f"{type(self).__name__} needs out_shape(shape)")

    def apply(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
              engine: str = "numpy") -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} needs apply(a, W, b, engine)")

    def transposed(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                   engine: str = "numpy") -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} needs transposed(s, W, shape, engine)")

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  engine: str = "numpy") -> tuple[np.ndarray, ...]:
        """How the loss changes with each of `parameters`."""
        return ()

    def linear(self, a: np.ndarray, engine: str = "numba") -> np.ndarray:
        """z, before the activation."""
        return self.apply(a, self.W, self.b, engine)

    def activate(self, z: np.ndarray) -> np.ndarray:
        """f(z), element by element."""
        return ACTIVATIONS[self.activation].f(z)

    def forward(self, a: np.ndarray, engine: str = "numba") -> np.ndarray:
        """f(z)."""
        return self.activate(self.linear(a, engine))

    def delta(self, a_next: np.ndarray, da_next: np.ndarray) -> np.ndarray:
        """dz = da_next * f'(z): how the loss changes with this layer's pre-activations."""
        if self.activation == "identity":
            return da_next
        return da_next * ACTIVATIONS[self.activation].derivative(a_next)

    def backward(self, a: np.ndarray, dz: np.ndarray, engine: str = "numpy") -> np.ndarray:
        """da: how the loss changes with what entered the layer."""
        return self.transposed(dz, self.W, a.shape, engine)

    def descend(self, a: np.ndarray, dz: np.ndarray,
                parameters: Sequence[kernels.Triple], t: int,
                learning_rate: float) -> None:
        """Step t of Adam for `parameters`, a (w, m, v) each, changed in place; by the loops."""
        for gradient, (w, m, v) in zip(self.gradients(a, dz, "numba"), parameters, strict=True):
            kernels.adam_step(w, gradient, m, v, t, learning_rate)

    def propagate(self, a: np.ndarray, W: np.ndarray, b: np.ndarray, epsilon: float, R: np.ndarray,
                  z: np.ndarray | None = None, out: np.ndarray | None = None,
                  signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """rules.propagate by the loops: relevance R of the outputs to the inputs, and the ledger.

        Arguments and what is returned as in kernels.propagate.
        """
        z = self.apply(a, W, b, "numba") if z is None else z
        s, ledger = kernels.worths(R, z, b, epsilon, signed)
        c = self.transposed(s, W, a.shape, "numba")
        out = np.empty(a.shape, a.dtype) if out is None else out
        ledger[:, 1] = kernels.earnings(a, c, out)
        return out, ledger

    def prepared(self, array: np.ndarray) -> np.ndarray:
        """A copy of weights or a bias, as the loops like them best."""
        return np.array(array)

    def without(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        """(a layer that says of a - shift what this one says of a, what it shifts its output by).

        Raises ValueError if there is none.
        """
        if shift != 0:
            raise ValueError(f"{type(self).__name__} has no bias that could collect f(0) of the "
                             "layer before it")
        return self, at_zero(self.activation)


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """a -> f(z) with z = a @ W + b: every input leads to every output."""
    W: np.ndarray       # (D, K): W[j, k] leads from lower neuron j to upper neuron k
    b: np.ndarray       # (K,)
    activation: str     # a name in ACTIVATIONS
    parameters = ("W", "b")

    @classmethod
    def random(cls, D: int, K: int, activation: str, rng: Seed,
               dtype: DTypeLike = np.float32) -> "Dense":
        """W and b uniform in [-1/sqrt(D), 1/sqrt(D)]: the start that torch gives Linear layers."""
        for name, value in (("D", D), ("K", K)):
            check_integer(name, value)
        W, b = _uniform((D, K), (K,), D, rng, dtype)
        return cls(W, b, activation)

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.W)[:1]

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        if np.ndim(self.W) != 2 or 0 in self.W.shape:
            raise ValueError(f"W must have shape (D, K), both at least 1, got {np.shape(self.W)}")
        if len(shape) != 1:
            raise ValueError(f"it takes rows of numbers, but the layer before it gives {shape}; "
                             "Flatten makes rows of them")
        if shape != self.W.shape[:1]:
            raise ValueError(f"W must have {shape[0]} rows, one for each output of the layer "
                             f"before it, got shape {self.W.shape}")
        if self.b.shape != self.W.shape[1:]:
            raise ValueError(f"b must have shape {self.W.shape[1:]}, one for each column of W, got "
                             f"{self.b.shape}")
        return self.b.shape

    @staticmethod
    def apply(a: np.ndarray, W: np.ndarray, b: np.ndarray, engine: str = "numpy") -> np.ndarray:
        """z = a @ W + b (N, K)."""
        return AFFINE[engine](a, W, b)

    @staticmethod
    def transposed(s: np.ndarray, W: np.ndarray, shape: Shape | None = None,
                   engine: str = "numpy") -> np.ndarray:
        """c = s @ W.T (N, D)."""
        return AFFINE_TRANSPOSED[engine](s, W)

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  engine: str = "numpy") -> tuple[np.ndarray, ...]:
        """dW = a.T @ dz (D, K) and db = sum of dz over the batch (K,)."""
        return a.T @ dz, dz.sum(axis=0)

    def descend(self, a: np.ndarray, dz: np.ndarray,
                parameters: Sequence[kernels.Triple], t: int,
                learning_rate: float) -> None:
        W, b = parameters
        kernels.descend(a, dz, W, b, t, learning_rate)

    def propagate(self, a: np.ndarray, W: np.ndarray, b: np.ndarray, epsilon: float, R: np.ndarray,
                  z: np.ndarray | None = None, out: np.ndarray | None = None,
                  signed: bool = True) -> tuple[np.ndarray, np.ndarray]:
        return kernels.propagate(a, W, b, epsilon, R, z, out, signed)

    def prepared(self, array: np.ndarray) -> np.ndarray:
        return kernels.padded(array) if array.ndim == 2 else array.copy()

    def without(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        b = self.b + shift * self.W.sum(axis=0)
        return replace(self, b=b.astype(self.b.dtype)), at_zero(self.activation)


@dataclass(frozen=True, eq=False)
class Conv2D(Layer):
    """a -> f(z), z a convolution of pictures a (N, C, H, W): see `pictures.convolve`."""
    W: np.ndarray       # (C, K, h, w): W[c, k] leads from lower map c to upper map k
    b: np.ndarray       # (K, 1, 1)
    activation: str     # a name in ACTIVATIONS
    stride: int = 1     # pixels from one place of the window to the next
    padding: int = 0    # rows and columns of zeros around the picture
    parameters = ("W", "b")

    @classmethod
    def random(cls, C: int, K: int, size: int, activation: str, rng: Seed, stride: int = 1,
               padding: int = 0, dtype: DTypeLike = np.float32) -> "Conv2D":
        """W and b uniform in [-1/sqrt(D), 1/sqrt(D)], D = C size size inputs to an output."""
        for name, value in (("C", C), ("K", K), ("size", size)):
            check_integer(name, value)
        W, b = _uniform((C, K, size, size), (K, 1, 1), C * size * size, rng, dtype)
        return cls(W, b, activation, stride, padding)

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        if np.ndim(self.W) != 4 or 0 in self.W.shape:
            raise ValueError("W must have shape (C, K, h, w), all at least 1, got "
                             f"{np.shape(self.W)}")
        if self.b.shape != (self.W.shape[1], 1, 1):
            raise ValueError(f"b must have shape {(self.W.shape[1], 1, 1)}, one for each map, got "
                             f"{self.b.shape}")
        _check_pictures(shape, self.W.shape[2:], self.stride, self.padding)
        if shape[0] != self.W.shape[0]:
            raise ValueError("W must have one entry along its first axis for each of the "
                             f"{shape[0]} maps of the layer before it, got shape {self.W.shape}")
        return (self.W.shape[1], *kernels.sides_out(shape[1:], self.W.shape[2:], self.stride,
                                                    self.padding))

    def apply(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
              engine: str = "numpy") -> np.ndarray:
        """z (N, K, H', W') as in `pictures.convolve`."""
        kernels.check_shape("a", a, (len(a), len(W), *a.shape[2:]))
        kernels.check_shape("b", b, (W.shape[1], 1, 1))
        return CONVOLVE[engine](a, W, b, self.stride, self.padding)

    def transposed(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                   engine: str = "numpy") -> np.ndarray:
        """c (N, C, H, W) as in `pictures.convolve_transposed`."""
        return CONVOLVE_TRANSPOSED[engine](s, W, shape, self.stride, self.padding)

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  engine: str = "numpy") -> tuple[np.ndarray, ...]:
        """dW (C, K, h, w) as in `pictures.kernel_gradient`; db (K, 1, 1): dz summed over all else.
        """
        h, w = self.W.shape[2:]
        dW = KERNEL_GRADIENT[engine](a, dz, h, w, self.stride, self.padding)
        return dW, dz.sum(axis=(0, 2, 3)).reshape(self.b.shape)

    def without(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        if shift != 0 and self.padding:
            raise ValueError("padding must be 0 behind an activation with f(0) != 0, because zeros "
                             f"of the frame are then not f(0), got {self.padding}")
        b = self.b + shift * self.W.sum(axis=(0, 2, 3)).reshape(self.b.shape)
        return replace(self, b=b.astype(self.b.dtype)), at_zero(self.activation)


@dataclass(frozen=True, eq=False)
class AvgPool2D(Layer):
    """The mean of each window of size x size pixels, map by map; stride = size if it is None.

    Pixels share relevance as they share in the mean: by LRP-0, whatever the rule of the others.
    """
    size: int
    stride: int | None = None
    rule = "0"

    @property
    def W(self) -> np.ndarray:
        return np.full((self.size, self.size), 1 / self.size**2)

    @property
    def b(self) -> np.ndarray:
        return np.zeros(1, np.float32)

    @property
    def step(self) -> int:
        """The stride, also where it is not named."""
        return self.size if self.stride is None else self.stride

    def out_shape(self, shape: Shape) -> Shape:
        check_integer("size", self.size)
        _check_pictures(shape, (self.size, self.size), self.step)
        return (shape[0], *kernels.sides_out(shape[1:], (self.size, self.size), self.step))

    def apply(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
              engine: str = "numpy") -> np.ndarray:
        return pictures.average_pool(a, W, b, self.step)

    def transposed(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                   engine: str = "numpy") -> np.ndarray:
        return pictures.average_pool_transposed(s, W, shape, self.step)

    def without(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        return self, shift


@dataclass(frozen=True, eq=False)
class MaxPool2D(AvgPool2D):
    """The largest of each window of size x size pixels, map by map; stride = size if it is None.

    relevance: "winner": all of it goes back to the pixel that was the largest; "average": it is
    shared by LRP-0 as if the layer had taken the mean. Source of both: Montavon et al. 2019.
    """
    relevance: str = "winner"

    @property
    def rule(self) -> str:
        return {"winner": "back", "average": "0"}[self.relevance]

    def out_shape(self, shape: Shape) -> Shape:
        check_choice("relevance", self.relevance, ("winner", "average"))
        return super().out_shape(shape)

    def linear(self, a: np.ndarray, engine: str = "numba") -> np.ndarray:
        return MAX_POOL[engine](a, self.size, self.step)

    def backward(self, a: np.ndarray, dz: np.ndarray, engine: str = "numpy") -> np.ndarray:
        kernels.check_shape("dz", dz, (len(a), *self.out_shape(a.shape[1:])))
        return MAX_POOL_BACKWARD[engine](a, dz, self.size, self.step)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Pictures (N, C, H, W) written as rows (N, C H W). Relevance goes back to where it was."""
    rule = "back"

    def out_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def linear(self, a: np.ndarray, engine: str = "numba") -> np.ndarray:
        return a.reshape(len(a), math.prod(a.shape[1:]))

    def backward(self, a: np.ndarray, dz: np.ndarray, engine: str = "numpy") -> np.ndarray:
        return dz.reshape(a.shape)

    def without(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        return self, shift


@dataclass(frozen=True, eq=False)
class Unflatten(Flatten):
    """Rows (N, C H W) written as pictures (N, *shape): what a network of pictures begins with."""
    shape: tuple        # (C, H, W)

    @property
    def in_shape(self) -> Shape:
        sides = self.shape
        if not isinstance(sides, tuple) or len(sides) != 3 or any(
                not isinstance(side, (int, np.integer)) or side < 1 for side in sides):
            raise ValueError("shape must be (C, H, W), three integers of at least 1, got "
                             f"{sides!r}")
        return (math.prod(sides),)

    def out_shape(self, shape: Shape) -> Shape:
        if shape != self.in_shape:
            raise ValueError(f"shape must hold {math.prod(shape)} numbers, got {self.shape}")
        return self.shape

    def linear(self, a: np.ndarray, engine: str = "numba") -> np.ndarray:
        return a.reshape(len(a), *self.shape)


LAYERS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Dense, Conv2D, AvgPool2D, MaxPool2D, Flatten, Unflatten)}


def _uniform(shape_W, shape_b, D, rng, dtype):
    rng, bound = np.random.default_rng(rng), 1 / np.sqrt(D)
    return [rng.uniform(-bound, bound, shape).astype(dtype) for shape in (shape_W, shape_b)]


def _check_pictures(shape, size, stride, padding=0):
    """`shape` must be that of pictures (C, H, W) into which a window of `size` fits, and in which
    `stride` and `padding` make sense: a file may name others, and the room for them be none."""
    if len(shape) != 3:
        raise ValueError(f"it takes pictures (C, H, W), but the layer before it gives {shape}")
    check_integer("padding", padding, 0)
    check_integer("stride", stride)
    if any(side + 2 * padding < reach for side, reach in zip(shape[1:], size)):
        raise ValueError(f"its window of {size[0]} x {size[1]} must fit into the picture of "
                         f"{shape[1]} x {shape[2]} with padding {padding}")
    longer = max(shape[1:])
    if padding > longer or stride > longer + 2 * padding:
        raise ValueError(f"padding must be at most {longer}, the longer side of the picture, and "
                         f"stride at most that with the padding, got padding {padding} and stride "
                         f"{stride}")
