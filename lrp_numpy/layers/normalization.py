"""Normalization: of each feature over a batch, and of each token over its features."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers.activations import at_zero, check_activation
from lrp_numpy.layers.base import Layer, LinearPart, epsilon_of
from lrp_numpy.ops import reference
from lrp_numpy.ops.last_axis import means
from lrp_numpy.rules import propagate
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import as_float, check_integer, check_shape


@dataclass(frozen=True, eq=False)
class BatchNorm(Layer):
    """a -> f(z): each feature of rows, or channel of images, scaled and shifted.

    With the mean and variance of the training data as constants, batch normalization is linear:

        z = (a - mean) / sqrt(variance + epsilon) * W + b

    Without them (mean=None), z = a * W + b: W and b have taken them in, see `folded`. In training,
    mean and variance are those of the batch, and each step moves the constants towards them:

        mean <- mean + momentum (mean of batch - mean)          (variance: with N - 1)

    `models.canonize.fold_batchnorm` moves it into the layer beside it; alone it is explained by the
    rule of your choice, in its folded form. Source: Ioffe and Szegedy 2015, "Batch Normalization".
    """
    W: np.ndarray       # (D,) for rows; (C, 1, 1) for images
    b: np.ndarray       # of the same shape
    activation: str = "identity"    # a name in ACTIVATIONS
    mean: Any = None                # None, or of the same shape
    variance: Any = None
    epsilon: float = 1e-5           # in units of a squared
    momentum: float = 0.1           # the share of one batch

    @classmethod
    def untrained(cls, features: int, activation: str = "identity", images: bool = False,
                  dtype: DTypeLike = np.float32) -> "BatchNorm":
        """W and variance 1, b and mean 0, for `features` of rows, or channels of images."""
        check_integer("features", features)
        shape = (features, 1, 1) if images else (features,)
        return cls(np.ones(shape, dtype), np.zeros(shape, dtype), activation,
                   np.zeros(shape, dtype), np.ones(shape, dtype))

    @classmethod
    def from_statistics(cls, mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray,
                        beta: np.ndarray, epsilon: float) -> "BatchNorm":
        """In folded form, from arrays of one shape: computed in float64, of the type of `mean`."""
        return cls(gamma, beta, "identity", mean, variance, epsilon).folded()

    def folded(self) -> "BatchNorm":
        """The same with the constants in W and b: W / sqrt(variance + epsilon), b - mean W'."""
        if self.mean is None:
            return self
        W = np.asarray(self.W, np.float64) / np.sqrt(np.asarray(self.variance, np.float64)
                                                     + self.epsilon)
        b = np.asarray(self.b, np.float64) - self.mean * W
        return BatchNorm(W.astype(self.mean.dtype), b.astype(self.mean.dtype), self.activation)

    @property
    def parameters(self) -> tuple[str, ...]:
        """mean and variance, too, change in training: each step moves them, see above."""
        return tuple(name for name in ("W", "b", "mean", "variance")
                     if getattr(self, name) is not None)

    @property
    def in_shape(self) -> Shape | None:
        return np.shape(self.W) if np.ndim(self.W) == 1 else None

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        each = shape if len(shape) == 1 else (shape[0], 1, 1)
        if len(shape) not in (1, 3) or np.shape(self.W) != each:
            raise ValueError(f"W must have shape {each}, one number for each feature or channel of "
                             f"the {shape} before it, got {np.shape(self.W)}")
        check_shape("b", self.b, each)
        if (self.mean is None) != (self.variance is None):
            raise ValueError("mean and variance must both be arrays, or both None, got "
                             f"{self.mean!r} and {self.variance!r}")
        if self.mean is not None:
            check_shape("mean", self.mean, each)
            check_shape("variance", self.variance, each)
            if np.min(self.variance) < 0:
                raise ValueError(f"variance must be at least 0, got {np.min(self.variance)}")
            if not 0 <= as_float(self.momentum) <= 1:
                raise ValueError(f"momentum must lie in [0, 1], got {self.momentum!r}")
            if not 0 < as_float(self.epsilon) < np.inf:
                raise ValueError(f"epsilon must be a finite number above 0, got {self.epsilon!r}")
        return shape

    def linear(self, a: Array, W: Array, b: Array, ops: ModuleType = reference) -> Array:
        """z = a * W + b, of the shape of a."""
        return a * W + b

    def transpose(self, s: Array, W: Array, shape: Shape, ops: ModuleType = reference) -> Array:
        """c = s * W."""
        return s * W

    def statistics(self, a: Array, ops: ModuleType) -> tuple[Array, Array, Array]:
        """mean and variance, of the batch in training, else constant; and 1 / std."""
        def of(a):
            mean, variance = ops.moments(a) if self.trains else (self.mean, self.variance)
            return mean, variance, 1 / np.sqrt(variance + self.W.dtype.type(self.epsilon))
        return self.once("statistics", a, of)

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        if self.mean is None or not self.trains:
            form = self.folded()
            return a * form.W + form.b
        mean, _, per_std = self.statistics(a, ops)
        return ops.normalize(a, mean, self.W * per_std, self.b)

    def derivatives(self, a: Array, dz: Array, ops: ModuleType) -> tuple[Array, Array, Array]:
        """da, dW and db of the normalization by the batch."""
        mean, _, per_std = self.statistics(a, ops)
        return self.once("derivatives", dz, lambda dz: ops.normalize_backward(
            a, dz, mean, per_std, self.W))

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da = W / std dz; in training as in `reference.normalize_backward`."""
        if self.mean is None or not self.trains:
            return dz * self.folded().W
        return self.derivatives(a, dz, ops)[0]

    def gradients(self, a: Array, dz: Array, ops: ModuleType = reference) -> tuple[Array, ...]:
        """dW and db: n * dz and dz, summed over images and positions; and of the constants, 0 in
        training: dmean = -sum dz W / std, dvariance = -1/2 sum dz W n / std^2."""
        if self.mean is None:
            return ops.channel_sum(a, dz), ops.channel_sum(dz)
        if self.trains:
            _, dW, db = self.derivatives(a, dz, ops)
            return dW, db, np.zeros_like(db), np.zeros_like(db)
        mean, _, per_std = self.statistics(a, ops)
        dW, db = ops.channel_sum((a - mean) * per_std, dz), ops.channel_sum(dz)
        return dW, db, -db * self.W * per_std, -dW * self.W * per_std**2 / 2

    def adam_step(self, a: Array, dz: Array, state: Sequence[tuple], adam: tuple,
                  ops: ModuleType = reference) -> None:
        """Adam for W and b; the constants move towards the batch's."""
        for gradient, (w, m, v) in zip(self.gradients(a, dz, ops), state[:2]):
            ops.adam_step(w, gradient, m, v, *adam)
        if self.mean is not None:
            mean, variance, _ = self.statistics(a, ops)
            count = a.size // self.W.size
            for (running, _, _), of_batch in zip(
                    state[2:], (mean, variance * (count / max(count - 1, 1)))):
                running += self.W.dtype.type(self.momentum) * (of_batch - running)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """By `rule`, with the constants in W and b."""
        form = self.folded()
        return rule(a, form.W, form.b, R, layer=LinearPart(form, ops, a, z), ledger=ledger)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        form = self.folded()
        b = form.b + shift * form.W
        return replace(form, b=b.astype(form.b.dtype)), at_zero(self.activation)


@dataclass(frozen=True, eq=False)
class LayerNorm(Layer):
    """Tokens (N, T, D), or rows (N, D): each token brought to mean 0 and variance 1.

        n = (a - mean(a)) / std(a),    std(a) = sqrt(var(a) + epsilon),    z = n * W + b

    mean and var: over the D numbers of a token. For relevance, std(a) is a constant: then it is a
    linear map, under the epsilon rule with the epsilon of the rule (0 if it has none):

        R_j = a_j / std sum_k (d_jk - 1/D) W_k R_k / (z_k + epsilon sign(z_k)),  d_jk = 1 if j = k

    Sources: Ba et al. 2016, "Layer Normalization"; Achtibat et al. 2024, "AttnLRP", proposition
    3.4; Ali et al. 2022, "XAI for Transformers".
    """
    W: Array                    # (D,)
    b: Array                    # (D,)
    epsilon: float = 1e-5       # in units of a squared
    parameters = ("W", "b")

    @classmethod
    def untrained(cls, features: int, dtype: DTypeLike = np.float32) -> "LayerNorm":
        """W 1 and b 0."""
        check_integer("features", features)
        return cls(np.ones(features, dtype), np.zeros(features, dtype))

    @property
    def in_shape(self) -> Shape:
        return np.shape(self.W)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) not in (1, 2) or np.shape(self.W) != shape[-1:]:
            raise ValueError(f"W must have shape {shape[-1:]}, one number for each of a token's, "
                             f"before it {shape}, got {np.shape(self.W)}")
        check_shape("b", self.b, shape[-1:])
        if not 0 < as_float(self.epsilon) < np.inf:
            raise ValueError(f"epsilon must be a finite number above 0, got {self.epsilon!r}")
        return shape

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return 0        # next to nothing, beside a Dense layer's

    def normalized(self, a: Array, ops: ModuleType) -> tuple[Array, Array, Array]:
        """z, and mean(a) and 1 / std (N, T, 1)."""
        return self.once("normalized", a, lambda a: ops.normalize_tokens(a, self.W, self.b,
                                                                         self.epsilon))

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        return self.normalized(a, ops)[0]

    def linear(self, a: Array, W: Array, b: Array, ops: ModuleType = reference) -> Array:
        """z for a constant std, with W / std (N, T, D)."""
        return (a - means(a)) * W + b

    def transpose(self, s: Array, W: Array, shape: Shape, ops: ModuleType = reference) -> Array:
        c = s * W
        c -= means(c)
        return c

    def derivatives(self, a: Array, dz: Array, ops: ModuleType) -> tuple[Array, Array, Array]:
        """da, dW and db: see `reference.normalize_tokens_backward`."""
        _, mean, per_std = self.normalized(a, ops)
        return self.once("derivatives", dz, lambda dz: ops.normalize_tokens_backward(
            a, dz, mean, per_std, self.W))

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da = (dn - mean(dn) - n mean(dn n)) / std, dn = dz W."""
        return self.derivatives(a, dz, ops)[0]

    def gradients(self, a: Array, dz: Array, ops: ModuleType = reference) -> tuple[Array, ...]:
        """dW = sum of dz n, db = sum of dz, over all tokens (D,)."""
        return self.derivatives(a, dz, ops)[1:]

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """By the epsilon rule, std being a constant; `rule` gives epsilon."""
        own_z, _, per_std = self.normalized(a, ops)
        z = own_z if z is None else z
        if ops.loops is not None:
            R_inputs, row = ops.propagate_normalized(a, self.W, self.b, R, epsilon_of(rule, z), z,
                                                     per_std)
            if ledger is not None:
                ledger.append(tuple(row.T))
            return R_inputs
        form = replace(self, W=self.W * per_std)        # with std in W
        return propagate(a, form.W, form.b, R, epsilon_of(rule, z),
                         LinearPart(form, ops, a, z), ledger)
