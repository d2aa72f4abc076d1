"""Whether layers fit one another: the shapes on the way through them."""
from collections.abc import Sequence

import numpy as np

from lrp_numpy.layers.base import Layer
from lrp_numpy.utils.types import Shape
from lrp_numpy.utils.validation import check_finite


def shapes_of(layers: Sequence[Layer]) -> list[Shape]:
    """The shapes of each layer's inputs, and of the last layer's outputs. Raises ValueError, naming
    the layer by its number, if two layers do not fit together."""
    try:
        first = layers[0].in_shape
    except ValueError as error:
        raise ValueError(f"layer 0: {error}") from error
    if first is None:
        raise ValueError("layer 0 must know how many numbers an image has, as Dense and Unflatten "
                         f"do, got {type(layers[0]).__name__}")
    shapes = [first]
    for number, layer in enumerate(layers):
        try:
            shapes.append(layer.out_shape(shapes[-1]))
            for name in arrays_of(layer):
                _check_numbers(getattr(layer, name), name)
        except ValueError as error:
            raise ValueError(f"layer {number}: {error}") from error
    if len(shapes[-1]) != 1:
        raise ValueError(f"layer {number}: the last layer must give logits, one row an image, got "
                         f"shape {shapes[-1]}")
    return shapes


def arrays_of(layer: Layer) -> tuple[str, ...]:
    """The names of all its arrays, trained or not."""
    return (*layer.parameters, *layer.constants)


def _check_numbers(array, name):
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {array.dtype}")
    check_finite(array, name)
