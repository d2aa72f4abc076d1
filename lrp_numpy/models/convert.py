"""What the conversions of models share: steps become layers, and the result is compared.

A model is read as a list of steps, in its own order; `assemble` makes a Network of them. Steps are
numbered as in the model, from 0; "1.0" is the first layer of the nested model that is number 1.
"""
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.layers import AvgPool2D, Conv2D, Flatten, Layer, LayerNorm, MaxPool2D, Permute
from lrp_numpy.layers.activations import LEAKY_RELU, leaky_relu_name
from lrp_numpy.models.canonize import fold_batchnorm
from lrp_numpy.network import Network, run
from lrp_numpy.utils.types import Shape

ONLY_AT_THE_END = ("softmax", "log_softmax")
LOGIT_IS_BEFORE = ("sigmoid", *ONLY_AT_THE_END)     # left out if it is the last step
# f(max(z)) = max(f(z)): these never decrease, so they may change places with max pooling
MONOTONE = ("identity", "relu", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "softplus")

SCALES = (0.1, 1, 10)   # of the random rows on which a network is compared with the original
ROWS = 2                # for each scale
TOLERANCE = 1e-4        # the largest difference of a logit, relative to the largest of its scale


class Step(NamedTuple):
    """One step of a model of another library."""
    place: str      # such as "2"
    name: str       # its class or activation there
    ours: Any       # a Layer, the name of an activation, or a function: shape that enters -> layers
    theirs: Any = None          # the layer of the model
    takes_rows: bool = False    # whether the function takes any shape, also of rows


def without_last_activation(steps: Sequence[Step]) -> tuple[list[Step], Step | None]:
    """(the steps up to the logits, the final sigmoid or softmax that is left out, or None)."""
    steps = list(steps)
    while steps and steps[-1].ours == "identity":
        steps.pop()
    return (steps[:-1], steps[-1]) if steps and steps[-1].ours in LOGIT_IS_BEFORE else (steps, None)


def assemble(steps: Sequence[Step], layers: Sequence[Layer], shape_is_missing: str,
             shape: Shape | None = None) -> Network:
    """The network of `layers` and of those of the steps, each with its activation.

    shape: (D,) if it is known; shape_is_missing: what to say if a layer takes images, but rows are
    what is known. BatchNorm is folded into its neighbours. Raises ValueError, naming the step by
    its place.
    """
    layers = list(layers)
    for layer in layers:
        shape = _behind(layer, shape)
    for step in steps:
        place, name, ours = step[:3]
        if ours in ONLY_AT_THE_END:
            raise ValueError(f"layer {place} must be the last to be {name}, got more behind it")
        if isinstance(ours, str):
            _activate(place, name, ours, layers)
            continue
        if _takes_images(step) and (shape is None or len(shape) == 1):
            if type(ours) is Flatten:
                continue        # rows are flat
            raise ValueError(f"{shape_is_missing}; layer {place}, a {name}, needs it, got {shape}")
        try:
            for layer in [ours] if isinstance(ours, Layer) else ours(shape):
                shape = _behind(layer, shape)
                layers.append(layer)
        except ValueError as error:
            raise ValueError(f"layer {place}: {error}") from error
    return fold_batchnorm(Network(layers))


def _behind(layer, shape):
    """The shape of what the layer gives; None: the layer knows what it takes."""
    return layer.out_shape(layer.in_shape if shape is None else shape)


def _takes_images(step):
    is_of_rows = isinstance(step.ours, Layer) and step.ours.in_shape is not None
    return not (is_of_rows or step.takes_rows)


def _activate(place, name, activation, layers):
    """Give the activation to the layer with weights that precedes it.

    Layers that only move numbers may come between; and MaxPool2D, if f never decreases: the largest
    f(z) is then f of the largest z.
    """
    if activation == "identity":
        return
    never_falls = activation in MONOTONE or activation.startswith(LEAKY_RELU)
    moves = (Flatten, Permute, MaxPool2D) if never_falls else (Flatten, Permute)
    number = len(layers) - 1
    while number >= 0 and type(layers[number]) in moves:
        number -= 1
    if (number < 0 or not layers[number].parameters or type(layers[number]) is LayerNorm
            or layers[number].activation != "identity"):
        raise ValueError(f"layer {place} must follow a layer with weights that has no activation "
                         f"yet, got {name}")
    layers[number] = replace(layers[number], activation=activation)


def compare(net: Network, original: Callable[[np.ndarray], np.ndarray],
            around: np.ndarray | float = 0.0, spread: np.ndarray | float = 1.0) -> None:
    """Raise ValueError unless the network and the original agree on a few random rows.

    original: its logits (N, K) for rows x (N, D), float64: `around` plus random numbers of three
    scales, times `spread`. This is the last line of defence: whatever was not read, or read
    wrongly, is noticed here.
    """
    normal = np.random.default_rng(0).normal(size=(len(SCALES) * ROWS, net.sizes[0]))
    x = around + np.repeat(SCALES, ROWS)[:, np.newaxis] * spread * normal
    ours = run(net.layers, x, net.choose_ops(None, len(x))).a[-1]
    theirs = np.asarray(original(x), np.float64)
    if theirs.shape != ours.shape:
        raise ValueError(f"model must give logits {ours.shape} for {len(x)} rows, as the layers "
                         f"that were read do, got {theirs.shape}")
    by_scale = (len(SCALES), ROWS, -1)
    largest = np.abs(theirs).reshape(by_scale).max(axis=(1, 2), keepdims=True)
    with np.errstate(invalid="ignore"):
        difference = np.abs(ours - theirs).reshape(by_scale)
    if not (np.isfinite(difference) & (difference <= TOLERANCE * largest)).all():
        raise ValueError("model must compute what its layers say, got logits that differ by "
                         f"{difference.max():.2g} from those of the converted network, on random "
                         "rows: something in it changes what a layer computes")


def leaky_relu(place: str, slope: float) -> str:
    """The name of the activation of a layer LeakyReLU."""
    try:
        return leaky_relu_name(slope)
    except ValueError as error:
        raise ValueError(f"layer {place}: the {error}") from error


# Convolutions and pooling whose sides differ, written as ours: one stride, one padding

def pair(value: Any) -> tuple[int, int]:
    """A number for both sides, or one for each, as (rows, columns)."""
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    sides = sides * 2 if len(sides) == 1 else sides
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError(f"it must have one integer or two, got {value!r}")
    return sides


def same_padding(size: int, total: int | None = None) -> tuple[int, int]:
    """(before, after): the zeros of padding "same"; an odd one comes after. total: None for a
    stride of 1, where it is size - 1."""
    total = size - 1 if total is None else total
    return total // 2, total - total // 2


def square_convolution(W: np.ndarray, b: np.ndarray, strides: tuple[int, int],
                       padding: Sequence[tuple[int, int]], shape: Shape) -> Conv2D:
    """The Conv2D with one stride and one padding that computes the same for images of `shape`.

    W (C, K, h, w), b (K,); padding: ((top, bottom), (left, right)). Where the four differ, the
    largest is taken, and the kernel grows by as many zeros as there are too many.
    """
    largest = max(map(max, padding))
    grown = [(largest - before, largest - after) for before, after in padding]
    W = np.pad(W, [(0, 0), (0, 0), *grown]) if any(map(any, grown)) else W
    stride = square_stride(strides, W.shape[2:], [side + 2 * largest for side in shape[1:]])
    return Conv2D(W, b.reshape(-1, 1, 1), "identity", stride, largest)


def square_stride(strides: tuple[int, int], size: Shape, sides: Sequence[int]) -> int:
    """One stride for both sides that leads a kernel of `size` to the same positions in an image of
    `sides`: along a side with a single position, any stride does that does not add another."""
    for stride in strides:
        if all(stride == own or (side - reach) // max(1, min(stride, own)) == 0
               for own, reach, side in zip(strides, size, sides)):
            return stride
    raise ValueError(f"stride must be one integer for both sides, got {strides}")


def square_pool(kind: type, size: tuple[int, int], strides: tuple[int, int],
                shape: Shape) -> Layer:
    """The AvgPool2D or MaxPool2D that computes the same for images of `shape`."""
    stride = square_stride(strides, size, shape[1:])
    if size[0] != size[1] and kind is MaxPool2D:
        raise ValueError(f"its kernel must be as high as it is wide, got {size}")
    return kind(size[0] if size[0] == size[1] else size, stride)


def adaptive_pool(outputs: Sequence[int | None], shape: Shape) -> Layer:
    """The AvgPool2D that makes `outputs` (H', W') of images of `shape`, None: as many as there are.

    Position i takes the pixels from floor(i H / H') to ceil((i + 1) H / H') - 1; here, all must be
    equally many, and equally far apart.
    """
    sizes, strides = [], []
    for side, count in zip(shape[1:], outputs):
        count = side if count is None else count
        starts = np.arange(count) * side // count
        ends = -(-(np.arange(count) + 1) * side // count)
        size, steps = set((ends - starts).tolist()), set(np.diff(starts).tolist())
        if len(size) != 1 or len(steps) > 1:
            raise ValueError(f"its {count} outputs must take equally many of {side} pixels, "
                             f"equally far apart, got those from {starts} to {ends - 1}")
        sizes.append(size.pop())
        strides.append(steps.pop() if steps else side)
    return square_pool(AvgPool2D, pair(sizes), pair(strides), shape)
