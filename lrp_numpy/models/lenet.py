"""A convolutional network for digits."""
import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers import Conv2D, Dense, Flatten, MaxPool2D, Unflatten
from lrp_numpy.layers.activations import check_activation
from lrp_numpy.network import Network
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Seed


@door
def lenet(rng: Seed = 0, activation: str = "relu", channels: tuple[int, int] = (8, 16),
          hidden: int = 120, dtype: DTypeLike = np.float32) -> Network:
    """An untrained convolutional network for digits of 28 x 28 pixels, after LeNet-5.

    Two blocks of a convolution (5 x 5 kernels) and a 2 x 2 max pooling, then two Dense layers: an
    image of 28 x 28, padded by 2; `channels` of 28 x 28, 14 x 14, 10 x 10, 5 x 5; `hidden` neurons,
    10 logits. rng: a seed or a numpy.random.Generator. With learning_rate=2e-3, its accuracy on
    MNIST's test digits is at least 98.7 % after 3 epochs.

    Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition"; here with
    ReLU, max pooling and one hidden Dense layer fewer.
    """
    check_activation(activation)
    if np.shape(channels) != (2,):
        raise ValueError("channels must be two numbers, one for each convolution, got "
                         f"{channels!r}")
    rng = np.random.default_rng(rng)
    few, many = channels
    return Network([
        Unflatten((1, 28, 28)),
        Conv2D.random(1, few, 5, activation, rng, padding=2, dtype=dtype), MaxPool2D(2),
        Conv2D.random(few, many, 5, activation, rng, dtype=dtype), MaxPool2D(2),
        Flatten(),
        Dense.random(25 * many, hidden, activation, rng, dtype),
        Dense.random(hidden, 10, "identity", rng, dtype)])
