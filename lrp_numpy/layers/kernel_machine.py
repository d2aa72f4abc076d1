"""A kernel machine as a layer: how alike x is to each training example, weighted and added up."""
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.base import Layer, noted
from lrp_numpy.layers.distances import squared_distances
from lrp_numpy.ops import reference
from lrp_numpy.rules import divide, total
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import as_float, check_choice, check_shape

SUM_KERNELS = ("intersection", "chi2")      # sums over the dimensions
KERNELS = (*SUM_KERNELS, "gaussian")
NEAREST = 20        # opposite examples that are tried as the other end of a line to a root
HALVINGS = 40       # of that line: the root is found to 1e-12 of its length


@dataclass(frozen=True, eq=False)
class KernelMachine(Layer):
    """x (N, V) -> f (N, K), with n training examples u_i, weights alpha and a bias.

        f_c(x) = b_c + sum_i alpha_ic k(x, u_i)
            "intersection"  k = sum_d min(x_d, u_di)
            "chi2"          k = sum_d 2 x_d u_di / (x_d + u_di)
            "gaussian"      k = exp(-gamma |x - u_i|^2)

    The first two, for histograms (x >= 0), are sums over dimensions: each d has its own part of f,
    and of the bias an equal share. With s_c = R_c / f_c:

        R_d = sum_c s_c ( b_c / V + sum_i alpha_ic k_d(x_d, u_di) )

    The Gaussian kernel is no such sum. Here f is expanded around a root x0, f(x0) = 0, to first
    order; what the expansion leaves out is the ledger's `dropped`:

        R_d = (x_d - x0_d) df/dx_d (x0)

    x0 lies where f = 0 between x and an example of the other sign: the nearest of at most 20 that
    speak for it. If there is none, all relevance is dropped. Several explained outputs are expanded
    as one, sum_c s_c f_c.
    Source: Bach et al. 2015, "On Pixel-Wise Explanations ...", section "Bag of Words": both forms.
    """
    u: Array            # (V, n): u[d, i] is dimension d of example i
    alpha: Array        # (n, K)
    b: Array            # (K,)
    kernel: str = "intersection"
    gamma: float = 1.0          # of the Gaussian kernel
    constants = ("u", "alpha", "b")
    takes_rule = False

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.u)[:1]

    def out_shape(self, shape: Shape) -> Shape:
        check_choice("kernel", self.kernel, KERNELS)
        if not 0 < as_float(self.gamma) < np.inf:
            raise ValueError(f"gamma must be a finite number above 0, got {self.gamma!r}")
        if np.ndim(self.u) != 2 or np.ndim(self.alpha) != 2:
            raise ValueError("u and alpha must be matrices (V, n) and (n, K), got shapes "
                             f"{np.shape(self.u)} and {np.shape(self.alpha)}")
        check_shape("u", self.u, (math.prod(shape), len(self.alpha)))
        check_shape("b", self.b, self.alpha.shape[1:])
        self._check_histograms("u", self.u)
        return self.b.shape

    def _check_histograms(self, name, array):
        if self.kernel in SUM_KERNELS and array.size and array.min() < 0:
            raise ValueError(f"{name} must hold numbers of at least 0 for the {self.kernel} "
                             f"kernel, got {array.min()}")

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return self.u.size

    def kernel_of(self, a: Array, ops: ModuleType = reference) -> Array:
        """k (N, n)."""
        if self.kernel in SUM_KERNELS:
            self._check_histograms("x", a)
            return ops.sum_kernel(a, self.u, self.kernel)
        return np.exp(-self.gamma * squared_distances(a, self.u.T))

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """f (N, K)."""
        return self.kernel_of(a, ops) @ self.alpha + self.b

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da_d = sum_ic dz_c alpha_ic dk/da_d; of min(a, u) it is 1 where a < u, else 0."""
        weights = dz @ self.alpha.T
        if self.kernel == "gaussian":
            weights = weights * self.kernel_of(a)
            return 2 * self.gamma * (weights @ self.u.T - a * weights.sum(axis=1, keepdims=True))
        da = np.empty_like(a)
        for m in range(len(a)):
            x = a[m, :, None]
            slope = (x < self.u).astype(a.dtype) if self.kernel == "intersection" else (
                2 * self.u**2 / np.where(x + self.u == 0, 1, x + self.u)**2)
            da[m] = slope @ weights[m]
        return da

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """By the equations above, whatever `rule` is."""
        f = self.preactivation(a, ops) if z is None else z
        s = divide(R, f)
        if self.kernel in SUM_KERNELS:
            R_inputs = ops.sum_kernel_shares(a, self.u, s @ self.alpha.T, self.kernel)
            R_inputs += (s @ self.b)[:, None] / a.shape[1]
            dropped = total(np.where(f == 0, R, 0))
        else:
            root = self.roots(a, s)
            R_inputs = (a - root) * self.backward(root, s)
            dropped = total(R) - total(R_inputs)
        return noted(R, R_inputs, ledger, dropped=dropped)

    def roots(self, a: Array, s: Array) -> Array:
        """For each row x of a (N, V), an x0 with sum_c s_c f_c(x0) = 0; x itself if none is found.
        """
        def explained(x):
            return (self.preactivation(x) * s).sum(axis=1)
        side = np.sign(explained(a))
        near, far = a.copy(), self._other_side(a, s, side)
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            is_near = (np.sign(explained(middle)) == side)[:, None]
            near, far = np.where(is_near, middle, near), np.where(is_near, far, middle)
        return (near + far) / 2

    def _other_side(self, a, s, side):
        """For each row, the nearest example for which the explained output has the other sign."""
        k, weights, ends = self.kernel_of(a), s @ self.alpha.T, a.copy()
        for m in range(len(a)):
            speak = np.flatnonzero(np.sign(weights[m]) == -side[m])     # for the other sign
            nearest = speak[np.argsort(-k[m, speak], kind="stable")[:NEAREST]]
            examples = self.u.T[nearest]
            is_other = np.sign(self.preactivation(examples) @ s[m]) == -side[m]
            if is_other.any():
                ends[m] = examples[is_other.argmax()]
        return ends
