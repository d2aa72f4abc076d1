"""A picture as a row of tokens, as transformers take it: cut, numbered, and averaged."""
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.base import Layer, LinearPart, epsilon_of
from lrp_numpy.ops import reference
from lrp_numpy.rules import propagate
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import check_integer


@dataclass(frozen=True, eq=False)
class Tokens(Layer):
    """Images (N, C H W) or (N, C, H, W) -> tokens (N, T, C size size): squares side by side.

    T = (H / size) (W / size), row by row. A token holds the pixels of its square, channel by
    channel. Every pixel is in one token, so relevance takes the way back. Source: Dosovitskiy et
    al. 2021, "An Image is Worth 16x16 Words".
    """
    shape: tuple        # (C, H, W)
    size: int           # of a square, in pixels; it divides H and W
    takes_rule = False

    @property
    def in_shape(self) -> Shape:
        sides = self.shape
        if not isinstance(sides, tuple) or len(sides) != 3:
            raise ValueError(f"shape must be (C, H, W), three integers of at least 1, got "
                             f"{sides!r}")
        for side in sides:
            check_integer("shape, (C, H, W), each", side)
        return (math.prod(sides),)

    @property
    def grid(self) -> Shape:
        """The rows and columns of squares."""
        return self.shape[1] // self.size, self.shape[2] // self.size

    def out_shape(self, shape: Shape) -> Shape:
        if shape not in (self.in_shape, self.shape):
            raise ValueError(f"shape must be that of the images before it, {shape}, got "
                             f"{self.shape}")
        check_integer("size", self.size)
        if any(side % self.size for side in self.shape[1:]):
            raise ValueError(f"size must divide both sides of the image, {self.shape[1]} and "
                             f"{self.shape[2]}, got {self.size}")
        return math.prod(self.grid), self.shape[0] * self.size**2

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        (C, _, _), (rows, columns), size = self.shape, self.grid, self.size
        squares = a.reshape(len(a), C, rows, size, columns, size).transpose(0, 2, 4, 1, 3, 5)
        return squares.reshape(len(a), rows * columns, C * size**2)

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        (C, _, _), (rows, columns), size = self.shape, self.grid, self.size
        squares = dz.reshape(len(a), rows, columns, C, size, size).transpose(0, 3, 1, 4, 2, 5)
        return squares.reshape(a.shape)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        return self.by_backward(a, R, ops, ledger)


@dataclass(frozen=True, eq=False)
class Positions(Layer):
    """Tokens (N, T, D) -> z = a + b: to each token, what tells its place. b is trained.

    Relevance by the epsilon rule on the sum, with the epsilon of the rule, 0 if it has none; the
    part of b is in the ledger as a bias:

        R_a = a R / (z + epsilon sign(z))
    """
    b: Array            # (T, D)
    parameters = ("b",)

    @property
    def W(self) -> Array:
        return np.ones(1, np.float32)

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.b)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or np.shape(self.b) != shape:
            raise ValueError("b must have the shape (T, D) of the tokens before it, "
                             f"{shape}, got {np.shape(self.b)}")
        return shape

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return 0

    def linear(self, a: Array, W: Array, b: Array, ops: ModuleType = reference) -> Array:
        return a + b

    def transpose(self, s: Array, W: Array, shape: Shape, ops: ModuleType = reference) -> Array:
        return s

    def gradients(self, a: Array, dz: Array, ops: ModuleType = reference) -> tuple[Array, ...]:
        """db = sum of dz over the batch (T, D)."""
        return (dz.sum(axis=0),)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        z = a + self.b if z is None else z
        return propagate(a, self.W, self.b, R, epsilon_of(rule, z),
                         LinearPart(self, ops, a, z), ledger)

    def fold_into_bias(self, shift: float | Array) -> tuple[Layer, float | Array]:
        return Positions((self.b + shift).astype(self.b.dtype)), 0.0


@dataclass(frozen=True, eq=False)
class MeanOverTokens(Layer):
    """Tokens (N, T, D) -> rows (N, D): z = mean over t of a_t.

    Relevance by the epsilon rule on the sum, with the epsilon of the rule, 0 if it has none:

        R_t = a_t / T  R / (z + epsilon sign(z))
    """
    @property
    def W(self) -> Array:
        return np.ones(1, np.float32)

    @property
    def b(self) -> Array:
        return np.zeros(1, np.float32)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ValueError(f"it takes tokens (T, D), but the layer before it gives {shape}")
        return shape[1:]

    def linear(self, a: Array, W: Array, b: Array, ops: ModuleType = reference) -> Array:
        return a.mean(axis=1)

    def transpose(self, s: Array, W: Array, shape: Shape, ops: ModuleType = reference) -> Array:
        return np.repeat(s[:, None] / shape[1], shape[1], axis=1)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        z = a.mean(axis=1) if z is None else z
        return propagate(a, self.W, self.b, R, epsilon_of(rule, z),
                         LinearPart(self, ops, a, z), ledger)

    def fold_into_bias(self, shift: float | Array) -> tuple[Layer, float | Array]:
        return self, shift
