"""A small residual network for digits."""
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers import BatchNorm, Conv2D, Dense, Flatten, Residual, Unflatten
from lrp_numpy.layers.activations import check_activation
from lrp_numpy.network import Network
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Seed
from lrp_numpy.utils.validation import as_list, check_integer


@door
def resnet(rng: Seed = 0, activation: str = "relu", channels: Sequence[int] = (16, 32),
           dtype: DTypeLike = np.float32) -> Network:
    """An untrained residual convolutional network for digits of 28 x 28 pixels.

    A convolution (5 x 5, stride 2) to 14 x 14; a block of two 3 x 3 convolutions that is added to
    what entered it; one with stride 2 to 7 x 7, whose shortcut is a 1 x 1 convolution; 10 logits.
    Behind each convolution, a BatchNorm: explain fold_batchnorm(net). `channels`: of 14 x 14 and
    of 7 x 7. rng: a seed or a numpy.random.Generator. After three epochs with
    learning_rate=1e-3, its accuracy on MNIST's test digits is 98.6 to 99.1 %; train it for two more
    with 1e-4, and it is 99.3 %.

    Raises ValueError for channels that are not two integers of at least 1.

    Source: He et al. 2016, "Deep Residual Learning for Image Recognition".
    """
    check_activation(activation)
    channels = as_list("channels", channels)
    if len(channels) != 2:
        raise ValueError(f"channels must be two integers, one for each size, got {channels!r}")
    for number in channels:
        check_integer("each of channels", number)
    rng = np.random.default_rng(rng)

    def conv(C, K, size, activation="identity", stride=1):
        return [Conv2D.random(C, K, size, "identity", rng, stride, size // 2, dtype),
                BatchNorm.untrained(K, activation, images=True, dtype=dtype)]

    few, many = channels
    return Network([
        Unflatten((1, 28, 28)), *conv(1, few, 5, activation, stride=2),
        Residual([*conv(few, few, 3, activation), *conv(few, few, 3)], activation=activation),
        Residual([*conv(few, many, 3, activation, stride=2), *conv(many, many, 3)],
                 shortcut=conv(few, many, 1, stride=2), activation=activation),
        Flatten(), Dense.random(49 * many, 10, "identity", rng, dtype)])
