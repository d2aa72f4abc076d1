"""Batch normalization at prediction time: each feature or channel scaled and shifted."""
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from lrp_numpy.layers.activations import at_zero, check_activation
from lrp_numpy.layers.base import Layer
from lrp_numpy.ops import reference
from lrp_numpy.utils.types import Shape
from lrp_numpy.utils.validation import check_shape


@dataclass(frozen=True, eq=False)
class BatchNorm(Layer):
    """a -> f(z) with z = a * W + b: one W and b for each feature of rows, or channel of images.

    With the mean and variance of the training data as constants, batch normalization is linear:

        z = (a - mean) / sqrt(variance + epsilon) * gamma + beta,
        W = gamma / sqrt(variance + epsilon),   b = beta - mean * W

    `models.canonize.fold_batchnorm` moves it into the layer beside it; alone it is explained by the
    rule of your choice. Training changes W and b; it does not measure a mean or variance.
    Source: Ioffe and Szegedy 2015, "Batch Normalization".
    """
    W: np.ndarray       # (D,) for rows; (C, 1, 1) for images
    b: np.ndarray       # of the same shape
    activation: str = "identity"    # a name in ACTIVATIONS
    parameters = ("W", "b")

    @classmethod
    def from_statistics(cls, mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray,
                        beta: np.ndarray, epsilon: float) -> "BatchNorm":
        """W and b as above, from arrays of one shape: computed in float64, of the type of `mean`.
        """
        W = np.asarray(gamma, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
        b = np.asarray(beta, np.float64) - mean * W
        return cls(W.astype(mean.dtype), b.astype(mean.dtype))

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
        return shape

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
               ops: ModuleType = reference) -> np.ndarray:
        """z = a * W + b, of the shape of a."""
        return a * W + b

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                  ops: ModuleType = reference) -> np.ndarray:
        """c = s * W."""
        return s * W

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  ops: ModuleType = reference) -> tuple[np.ndarray, ...]:
        """dW and db: a * dz and dz, summed over images and positions."""
        others = (0, *range(2, a.ndim))
        return ((a * dz).sum(axis=others).reshape(self.W.shape),
                dz.sum(axis=others).reshape(self.b.shape))

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple[Layer, float | np.ndarray]:
        b = self.b + shift * self.W
        return replace(self, b=b.astype(self.b.dtype)), at_zero(self.activation)
