"""The layers of a network, one file per family. To write your own, see Layer in base.py."""
from typing import Any

from lrp_numpy.layers.base import Layer
from lrp_numpy.layers.convolution import AvgPool2D, Conv2D, MaxPool2D
from lrp_numpy.layers.dense import Dense, Flatten, Permute, Unflatten
from lrp_numpy.layers.distances import Rivals, SquaredDistances
from lrp_numpy.layers.normalization import BatchNorm
from lrp_numpy.layers.soft_min import SoftMin

# By the names under which networks are saved; add your own here to load it
LAYERS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Dense, Conv2D, AvgPool2D, MaxPool2D, BatchNorm, Flatten,
                                     Unflatten, Permute, Rivals, SquaredDistances, SoftMin)}

__all__ = ["AvgPool2D", "BatchNorm", "Conv2D", "Dense", "Flatten", "LAYERS", "Layer", "MaxPool2D",
           "Permute", "Rivals", "SoftMin", "SquaredDistances", "Unflatten"]
