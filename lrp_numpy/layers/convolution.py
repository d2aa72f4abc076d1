"""Layers for images: convolution, average pooling and max pooling."""
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers.activations import at_zero, check_activation
from lrp_numpy.layers.base import Layer, uniform
from lrp_numpy.ops import reference
from lrp_numpy.ops.reference import output_size
from lrp_numpy.rules import lrp_0
from lrp_numpy.utils.types import Seed, Shape
from lrp_numpy.utils.validation import check_integer, check_shape


@dataclass(frozen=True, eq=False)
class Conv2D(Layer):
    """a -> f(z), z a convolution of images a (N, C, H, W): see `reference.convolve`."""
    W: np.ndarray       # (C, K, h, w): W[c, k] leads from lower channel c to upper channel k
    b: np.ndarray       # (K, 1, 1)
    activation: str     # a name in ACTIVATIONS
    stride: int = 1     # pixels from one position of the kernel to the next
    padding: int = 0    # rows and columns of zeros around the image
    parameters = ("W", "b")

    @classmethod
    def random(cls, C: int, K: int, size: int, activation: str, rng: Seed, stride: int = 1,
               padding: int = 0, dtype: DTypeLike = np.float32) -> "Conv2D":
        """W and b uniform in [-1/sqrt(D), 1/sqrt(D)], D = C size size inputs to an output."""
        for name, value in (("C", C), ("K", K), ("size", size)):
            check_integer(name, value)
        W, b = uniform((C, K, size, size), (K, 1, 1), C * size * size, rng, dtype)
        return cls(W, b, activation, stride, padding)

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        if np.ndim(self.W) != 4 or 0 in self.W.shape:
            raise ValueError("W must have shape (C, K, h, w), all at least 1, got "
                             f"{np.shape(self.W)}")
        if self.b.shape != (self.W.shape[1], 1, 1):
            raise ValueError(f"b must have shape {(self.W.shape[1], 1, 1)}, one for each channel, "
                             f"got {self.b.shape}")
        _check_images(shape, self.W.shape[2:], self.stride, self.padding)
        if shape[0] != self.W.shape[0]:
            raise ValueError("W must have one entry along its first axis for each of the "
                             f"{shape[0]} channels of the layer before it, got shape "
                             f"{self.W.shape}")
        return (self.W.shape[1], *output_size(shape[1:], self.W.shape[2:], self.stride,
                                              self.padding))

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
               ops: ModuleType = reference) -> np.ndarray:
        """z (N, K, H', W') as in `reference.convolve`."""
        check_shape("a", a, (len(a), len(W), *a.shape[2:]))
        check_shape("b", b, (W.shape[1], 1, 1))
        return ops.convolve(a, W, b, self.stride, self.padding)

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                  ops: ModuleType = reference) -> np.ndarray:
        """c (N, C, H, W) as in `reference.convolve_transpose`."""
        return ops.convolve_transpose(s, W, shape, self.stride, self.padding)

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  ops: ModuleType = reference) -> tuple[np.ndarray, ...]:
        """dW (C, K, h, w) and db (K, 1, 1) as in `reference.convolve_gradients`."""
        return ops.convolve_gradients(a, dz, *self.W.shape[2:], self.stride, self.padding)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        if shift != 0 and self.padding:
            raise ValueError("padding must be 0 behind an activation with f(0) != 0, because the "
                             f"zeros of the padding are then not f(0), got {self.padding}")
        b = self.b + shift * self.W.sum(axis=(0, 2, 3)).reshape(self.b.shape)
        return replace(self, b=b.astype(self.b.dtype)), at_zero(self.activation)


@dataclass(frozen=True, eq=False)
class AvgPool2D(Layer):
    """The mean of each square of size x size pixels, channel by channel; stride=None: size.

    size may be a pair (h, w), such as that of a whole image; stride must then be given.

    rule: None propagates relevance in proportion to the pixels, by LRP-0, whatever `explain` is
    asked for; "given" by the rule that `explain` is given, as for a layer with weights 1 / (h w):
    the LRP toolbox does so.
    """
    size: int | tuple[int, int]
    stride: int | None = None
    rule: str | None = None
    rules: ClassVar[tuple] = (None, "given")

    @property
    def takes_rule(self) -> bool:       # type: ignore[override]
        return self.rule == "given"

    @property
    def sides(self) -> Shape:
        """(h, w): the height and width of `size`."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @property
    def W(self) -> np.ndarray:
        return np.full(self.sides, 1 / np.prod(self.sides))

    @property
    def b(self) -> np.ndarray:
        return np.zeros(1, np.float32)

    @property
    def step(self) -> int:
        """The stride; `size` if it is None."""
        return self.size if self.stride is None else self.stride    # type: ignore[return-value]

    def out_shape(self, shape: Shape) -> Shape:
        if len(self.sides) != 2:
            raise ValueError(f"size must be one integer or two, got {self.size!r}")
        if not isinstance(self.rule, str | None) or self.rule not in self.rules:
            raise ValueError(f"rule must be {' or '.join(map(repr, self.rules))}, got "
                             f"{self.rule!r}")
        for side in self.sides:
            check_integer("size", side)
        _check_images(shape, self.sides, self.step)
        return (shape[0], *output_size(shape[1:], self.sides, self.step))

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
               ops: ModuleType = reference) -> np.ndarray:
        return ops.average_pool(a, W, b, self.step)

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                  ops: ModuleType = reference) -> np.ndarray:
        return ops.average_pool_transpose(s, W, shape, self.step)

    def relevance(self, rule: Any, a: np.ndarray, z: np.ndarray | None, R: np.ndarray,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: np.ndarray | None = None) -> np.ndarray:
        return super().relevance(rule if self.takes_rule else lrp_0, a, z, R, ops, ledger, out)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        return self, shift


@dataclass(frozen=True, eq=False)
class MaxPool2D(AvgPool2D):
    """The largest of each square of size x size pixels, channel by channel; stride=None: size.

    rule: this layer's own. "winner": all relevance goes to the largest pixel; "average": LRP-0
    redistributes it as if the layer had taken the mean. Source of both: Montavon et al. 2019.
    """
    rule: str | None = "winner"
    rules: ClassVar[tuple] = ("winner", "average")

    def out_shape(self, shape: Shape) -> Shape:
        check_integer("size", self.size)
        return super().out_shape(shape)

    def preactivation(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return ops.max_pool(a, self.size, self.step)

    def backward(self, a: np.ndarray, dz: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        check_shape("dz", dz, (len(a), *self.out_shape(a.shape[1:])))
        return ops.max_pool_backward(a, dz, self.size, self.step)

    def relevance(self, rule: Any, a: np.ndarray, z: np.ndarray | None, R: np.ndarray,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: np.ndarray | None = None) -> np.ndarray:
        if self.rule == "winner":
            return self.by_backward(a, R, ops, ledger)
        return super().relevance(rule, a, None, R, ops, ledger, out)    # z is not the mean


def _check_images(shape, size, stride, padding=0):
    """`shape` must be that of images (C, H, W) that a kernel of `size` fits into, with sensible
    `stride` and `padding`: a file may hold others, whose result would not fit in memory."""
    if len(shape) != 3:
        raise ValueError(f"it takes images (C, H, W), but the layer before it gives {shape}")
    check_integer("padding", padding, 0)
    check_integer("stride", stride)
    if any(side + 2 * padding < reach for side, reach in zip(shape[1:], size)):
        raise ValueError(f"its kernel of {size[0]} x {size[1]} must fit into the image of "
                         f"{shape[1]} x {shape[2]} with padding {padding}")
    longer = max(shape[1:])
    if padding > longer or stride > longer + 2 * padding:
        raise ValueError(f"padding must be at most {longer}, the longer side of the image, and "
                         f"stride at most that with the padding, got padding {padding} and stride "
                         f"{stride}")
