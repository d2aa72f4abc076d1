"""Distances to points as layers: to the centroids of clusters, or to the examples of a class.

Both layers hold their points, and have a relevance of their own: a squared distance is a sum over
the inputs, so each input has its share of it.
"""
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.base import Layer, noted
from lrp_numpy.ops import reference
from lrp_numpy.rules import divide, total
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import check_shape


@dataclass(frozen=True, eq=False)
class Rivals(Layer):
    """x (N, D) -> h (N, K, K - 1): how much nearer x is to each cluster c than to each rival k.

        h_ck = |x - mu_k|^2 - |x - mu_c|^2 = w_ck . (x - m_ck),    k = 0, ..., K - 1 without c,
        w_ck = 2 (mu_c - mu_k),   m_ck = (mu_c + mu_k) / 2, the midpoint between the two centroids

    So it is linear in x: a Dense layer whose bias is not a number of its own, but what the inputs
    of the midpoint contribute. The midpoint rule measures each input from there:

        R_i = sum_ck  (x_i - m_ck,i) w_ck,i / h_ck  R_ck

    Nothing is left for a bias. If h_ck = 0, R_ck is dropped; near 0, R_i is huge, of both signs.
    Computed with |x|^2 left out, because it cancels: d_k = |x - mu_k|^2 - |x|^2, h_ck = d_k - d_c.
    Source: Kauffmann et al. 2022, "From Clustering to Cluster Explanations via Neural Networks".
    """
    centroids: Array        # mu (K, D)
    constants = ("centroids",)
    takes_rule = False

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.centroids)[1:]

    def out_shape(self, shape: Shape) -> Shape:
        _check_points("centroids", self.centroids, shape, 2)
        return len(self.centroids), len(self.centroids) - 1

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return self.centroids.size

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """h (N, K, K - 1)."""
        d = relative_distances(a, self.centroids)
        h = d[:, None, :] - d[:, :, None]
        return h[:, _others(len(self.centroids))].reshape(len(a), *self.out_shape(a.shape[1:]))

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da = sum_ck dz_ck w_ck."""
        return _per_centroid(dz) @ (-2 * self.centroids)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """The midpoint rule, whatever `rule` is."""
        h = self.preactivation(a) if z is None else z
        s = divide(R, h)
        t = _per_centroid(s)
        R_inputs = a * (t @ (-2 * self.centroids)) + t @ self.centroids**2
        return noted(R, R_inputs, ledger, dropped=total(np.where(h == 0, R, 0)))


@dataclass(frozen=True, eq=False)
class SquaredDistances(Layer):
    """x (N, D) -> h (N, 1, J), the squared distance to each of J points, plus a bias.

        h_j = |x - u_j|^2 + b_j

    Each input has its share of the distance; the bias keeps its own:

        R_i = sum_j  (x_i - u_ji)^2 / h_j  R_j

    If h_j = 0, R_j is dropped. Source: Kauffmann et al. 2020, "Towards explaining anomalies".
    """
    points: Array           # u (J, D)
    bias: Array             # b (J,)
    constants = ("points", "bias")
    takes_rule = False

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.points)[1:]

    def out_shape(self, shape: Shape) -> Shape:
        _check_points("points", self.points, shape, 1)
        check_shape("bias", self.bias, (len(self.points),))
        return 1, len(self.points)

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return self.points.size

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """h (N, 1, J), with x and u measured from the points' mean, or much would be lost to
        rounding if the mean is large."""
        centre = self.points.mean(axis=0)
        return (squared_distances(a - centre, self.points - centre) + self.bias)[:, None]

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da = sum_j dz_j 2 (x - u_j)."""
        dz = dz[:, 0]
        return 2 * (a * dz.sum(axis=1)[:, None] - dz @ self.points)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """In proportion to the squared differences, whatever `rule` is."""
        h = self.preactivation(a) if z is None else z
        s = divide(R, h)
        R_inputs = ops.shares_of_distances(a, self.points, s[:, 0])
        return noted(R, R_inputs, ledger, bias=total(self.bias * s),
                     dropped=total(np.where(h == 0, R, 0)))


def relative_distances(a: Array, points: Array) -> Array:
    """|a - u_k|^2 - |a|^2 = |u_k|^2 - 2 a . u_k, for a (..., D) and points u (K, D): (..., K)."""
    return a @ (-2 * points.T) + (points**2).sum(axis=1)


def squared_distances(a: Array, points: Array) -> Array:
    """|a - u_k|^2 for a (N, D) and points u (K, D): (N, K). Rounded, but never below 0."""
    return np.maximum((a**2).sum(axis=1)[:, None] + relative_distances(a, points), 0)


def _others(K):
    """(K, K): True for each pair of a cluster and its rival, False for a cluster with itself."""
    return ~np.eye(K, dtype=bool)


def _per_centroid(s):
    """t (N, K) of s (N, K, K - 1): what d_k counts, as a rival (+) and as the cluster itself (-).

    sum_ck s_ck h_ck = sum_k t_k d_k
    """
    pairs = np.zeros((len(s), s.shape[1], s.shape[1]), s.dtype)
    pairs[:, _others(s.shape[1])] = s.reshape(len(s), s.shape[1] * s.shape[2])
    return pairs.sum(axis=1) - pairs.sum(axis=2)


def _check_points(name, points, shape, least):
    if np.ndim(points) != 2 or len(points) < least or np.shape(points)[1:] != shape:
        raise ValueError(f"{name} must be at least {least} rows, each of as many numbers as an "
                         f"image has, {shape}, got shape {np.shape(points)}")
