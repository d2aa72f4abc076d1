"""Dense layers, and the layers that turn images into rows and back, or reorder their axes."""
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers.activations import at_zero, check_activation
from lrp_numpy.layers.base import Layer, LinearPart, uniform
from lrp_numpy.ops import reference
from lrp_numpy.rules import LedgerRow
from lrp_numpy.utils.types import Seed, Shape
from lrp_numpy.utils.validation import check_integer


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """a -> f(z) with z = a @ W + b: every input leads to every output.

    Tokens (N, T, D) -> (N, T, K): each token is a row of its own, and all have the same weights.
    They have no zeros that the loops could skip: their matrix products are NumPy's.
    """
    W: np.ndarray       # (D, K): W[j, k] leads from lower neuron j to upper neuron k
    b: np.ndarray       # (K,)
    activation: str     # a name in ACTIVATIONS
    parameters = ("W", "b")
    is_dense = True

    @classmethod
    def random(cls, D: int, K: int, activation: str, rng: Seed,
               dtype: DTypeLike = np.float32) -> "Dense":
        """W and b uniform in [-1/sqrt(D), 1/sqrt(D)], as torch initializes Linear layers."""
        for name, value in (("D", D), ("K", K)):
            check_integer(name, value)
        W, b = uniform((D, K), (K,), D, rng, dtype)
        return cls(W, b, activation)

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.W)[:1]

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        if np.ndim(self.W) != 2 or 0 in self.W.shape:
            raise ValueError(f"W must have shape (D, K), both at least 1, got {np.shape(self.W)}")
        if len(shape) not in (1, 2):
            raise ValueError(f"it takes rows of numbers, but the layer before it gives {shape}; "
                             "Flatten makes rows of them")
        if shape[-1:] != self.W.shape[:1]:
            raise ValueError(f"W must have {shape[-1]} rows, one for each output of the layer "
                             f"before it, got shape {self.W.shape}")
        if self.b.shape != self.W.shape[1:]:
            raise ValueError(f"b must have shape {self.W.shape[1:]}, one for each column of W, got "
                             f"{self.b.shape}")
        return shape[:-1] + self.b.shape

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return self.W.size * math.prod(out_shape[:-1])

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
               ops: ModuleType = reference) -> np.ndarray:
        """z = a @ W + b (N, K)."""
        return like(products(a, ops).linear(rows_of(a), W, b), a)

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape | None = None,
                  ops: ModuleType = reference) -> np.ndarray:
        """c = s @ W.T (N, D)."""
        return like(products(s, ops).transpose(rows_of(s), W), s)

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  ops: ModuleType = reference) -> tuple[np.ndarray, ...]:
        """dW = a.T @ dz (D, K) and db = sum of dz over the batch (K,)."""
        return products(a, ops).gradients(rows_of(a), rows_of(dz))

    def adam_step(self, a: np.ndarray, dz: np.ndarray, state: Sequence[tuple], adam: tuple,
                  ops: ModuleType = reference) -> None:
        if a.ndim == 3:
            super().adam_step(a, dz, state, adam, ops)
        else:
            ops.dense_adam_step(a, dz, *state, *adam)

    def relevance(self, rule: Any, a: np.ndarray, z: np.ndarray | None, R: np.ndarray,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: np.ndarray | None = None) -> np.ndarray:
        """By `rule`, which gets one row a token; the ledger has one row an image."""
        if a.ndim == 2:
            return super().relevance(rule, a, z, R, ops, ledger, out)
        rows, z_rows, of_rule = rows_of(a), None if z is None else rows_of(z), list[Any]()
        R = rule(rows, self.W, self.b, rows_of(R), ledger=of_rule,
                 layer=LinearPart(self, ops, rows, z_rows, tokens=a.shape[1]))
        if ledger is not None:      # the equations append numbers for each token
            ledger += [row if len(row[0]) == len(a) else
                       LedgerRow(*[np.reshape(part, a.shape[:2]).sum(axis=1) for part in row])
                       for row in of_rule]
        return R.reshape(a.shape)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        b = self.b + shift * self.W.sum(axis=0)
        return replace(self, b=b.astype(self.b.dtype)), at_zero(self.activation)


def products(a: np.ndarray, ops: ModuleType) -> ModuleType:
    """The engine for the matrix products of a."""
    return ops if a.ndim == 2 else reference


def rows_of(a: np.ndarray) -> np.ndarray:
    """Tokens (N, T, D) as rows (N T, D); rows as they are."""
    return a if a.ndim == 2 else a.reshape(-1, a.shape[-1])


def like(rows: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Rows (N T, K) as tokens (N, T, K), if a are tokens."""
    return rows if a.ndim == 2 else rows.reshape(*a.shape[:-1], rows.shape[-1])


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Images (N, C, H, W) reshaped to rows (N, C H W). Relevance is reshaped back."""
    takes_rule = False

    def out_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def preactivation(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return a.reshape(len(a), math.prod(a.shape[1:]))

    def backward(self, a: np.ndarray, dz: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return dz.reshape(a.shape)

    def relevance(self, rule: Any, a: np.ndarray, z: np.ndarray | None, R: np.ndarray,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: np.ndarray | None = None) -> np.ndarray:
        return self.by_backward(a, R, ops, ledger)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        return self, shift


@dataclass(frozen=True, eq=False)
class Unflatten(Flatten):
    """Rows (N, C H W) reshaped to images (N, C, H, W), or rows (N, T D) to tokens (N, T, D): the
    first layer of a network for these."""
    shape: tuple        # (C, H, W) or (T, D)

    @property
    def in_shape(self) -> Shape:
        sides = self.shape
        if not isinstance(sides, tuple) or len(sides) not in (2, 3) or any(
                not isinstance(side, (int, np.integer)) or side < 1 for side in sides):
            raise ValueError("shape must be (C, H, W) or (T, D), integers of at least 1, got "
                             f"{sides!r}")
        return (math.prod(sides),)

    def out_shape(self, shape: Shape) -> Shape:
        if shape != self.in_shape:
            raise ValueError(f"shape must hold {math.prod(shape)} numbers, got {self.shape}")
        return self.shape

    def preactivation(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return a.reshape(len(a), *self.shape)


@dataclass(frozen=True, eq=False)
class Permute(Flatten):
    """The axes of each image in another order: axes=(2, 0, 1) makes (N, H, W, C) (N, C, H, W).

    For models that keep the channels last, such as those of keras. Relevance takes the way back.
    """
    axes: tuple         # the axes of one image, counted from 0, in their new order

    def out_shape(self, shape: Shape) -> Shape:
        if not isinstance(self.axes, tuple) or sorted(self.axes) != list(range(len(shape))):
            raise ValueError(f"axes must be the axes 0..{len(shape) - 1} of {shape} in some order, "
                             f"got {self.axes!r}")
        return tuple(shape[axis] for axis in self.axes)

    def preactivation(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return np.ascontiguousarray(a.transpose(0, *(axis + 1 for axis in self.axes)))

    def backward(self, a: np.ndarray, dz: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        return np.ascontiguousarray(dz.transpose(0, *(np.argsort(self.axes) + 1)))
