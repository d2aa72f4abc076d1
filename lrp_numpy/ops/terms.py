"""A layer whose z is a sum of terms, z = a1 @ W1 + a2 @ W2 + ... + b, as one layer."""
from typing import Any, Callable, NamedTuple

import numpy as np

from lrp_numpy.utils.types import Array, Shape


class Terms(NamedTuple):
    """`layer`, the inputs of the terms stacked along axis 1: a (N, T, ...), W (T, ...).

    So a * c, and sums over all axes but the images, work as for a layer of one term.
    """
    layer: Any      # with linear(a, W, b) and transpose(s, W, shape)

    @property
    def loops(self) -> Callable | None:
        return self.layer.loops

    @property
    def tokens(self) -> int:
        return self.layer.tokens

    @property
    def is_checked(self) -> bool:
        return self.layer.is_checked

    @property
    def is_dense(self) -> bool:
        return self.layer.is_dense

    def known(self, a: Array, W: Array, b: Array) -> None:
        """None: z of these arrays was not computed before."""

    def empty(self, shape: Shape, dtype: np.dtype) -> Array:
        return np.empty(shape, dtype)

    def linear(self, a: Array, W: Array, b: Array) -> Array:
        """z = a1 @ W1 + a2 @ W2 + ... + b"""
        return sum(self.layer.linear(a[:, t], W_t, 0 * b) for t, W_t in enumerate(W)) + b

    def transpose(self, s: Array, W: Array, shape: Shape) -> Array:
        """c (N, T, ...): s @ W1.T, s @ W2.T, ..."""
        one = (shape[0], *shape[2:])
        return np.stack([self.layer.transpose(s, W_t, one) for W_t in W], axis=1)
