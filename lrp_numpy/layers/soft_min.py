"""The soft minimum as a layer."""
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.base import Layer
from lrp_numpy.ops import reference
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import as_float


@dataclass(frozen=True, eq=False)
class SoftMin(Layer):
    """h (N, K, J) -> f (N, K): the soft minimum of each row.

        f = -1/beta log sum_j exp(-beta h_j),    p_j = exp(-beta h_j) / sum_j' exp(-beta h_j')

    f lies below the smallest h_j, by at most log(J) / beta. beta = inf: the minimum itself, and p
    is 1 for the smallest h_j (equal ones share). Relevance is shared out in proportion to p, and
    none of it is lost:

        R_j = p_j R

    For an f that is explained from itself, this is the p_j f of Kauffmann et al. 2022, "From
    Clustering to Cluster Explanations via Neural Networks".
    """
    beta: float = np.inf        # in units of 1 / h
    options = ("beta",)
    takes_rule = False

    def out_shape(self, shape: Shape) -> Shape:
        if not as_float(self.beta) > 0:
            raise ValueError(f"beta must be a number above 0, or inf, got {self.beta!r}")
        if len(shape) != 2:
            raise ValueError(f"it takes images of shape (K, J), but the layer before it gives "
                             f"{shape}")
        return shape[:1]

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """f (N, K), computed from the smallest h, so that exp cannot overflow."""
        least = a.min(axis=2)
        if self.beta == np.inf:
            return least
        return least - np.log(np.exp(-self.beta * (a - least[..., None])).sum(axis=2)) / self.beta

    def shares(self, a: Array) -> Array:
        """p (N, K, J)."""
        above = a - a.min(axis=2, keepdims=True)
        p = (above == 0).astype(a.dtype) if self.beta == np.inf else np.exp(-self.beta * above)
        return p / p.sum(axis=2, keepdims=True)

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da_j = p_j dz."""
        return self.shares(a) * dz[..., None]

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """R_j = p_j R, whatever `rule` is."""
        return self.by_backward(a, R, ops, ledger)
