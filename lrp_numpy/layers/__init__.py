"""The layers of a network, one file per family. To write your own, see Layer in base.py."""
from typing import Any

from lrp_numpy.layers.attention import SelfAttention
from lrp_numpy.layers.base import Layer
from lrp_numpy.layers.convolution import AvgPool2D, Conv2D, MaxPool2D
from lrp_numpy.layers.dense import Dense, Flatten, Permute, Unflatten
from lrp_numpy.layers.distances import Rivals, SquaredDistances
from lrp_numpy.layers.kernel_machine import KernelMachine
from lrp_numpy.layers.normalization import BatchNorm, LayerNorm
from lrp_numpy.layers.residual import Residual
from lrp_numpy.layers.soft_min import SoftMin
from lrp_numpy.layers.tokens import MeanOverTokens, Positions, Tokens
from lrp_numpy.layers.words import Histogram, Patches

# By the names under which networks are saved; add your own here to load it
LAYERS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Dense, Conv2D, AvgPool2D, MaxPool2D, BatchNorm, Flatten,
                                     Unflatten, Permute, Rivals, SquaredDistances, SoftMin, Patches,
                                     Histogram, KernelMachine, Residual, LayerNorm, SelfAttention,
                                     Tokens, Positions, MeanOverTokens)}

__all__ = ["AvgPool2D", "BatchNorm", "Conv2D", "Dense", "Flatten", "Histogram", "KernelMachine",
           "LAYERS", "Layer", "LayerNorm", "MaxPool2D", "MeanOverTokens", "Patches", "Permute",
           "Positions", "Residual", "Rivals", "SelfAttention", "SoftMin", "SquaredDistances",
           "Tokens", "Unflatten"]
