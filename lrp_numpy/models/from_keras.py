"""Networks from the models of keras, which is not imported: whoever has a model has imported it."""
from typing import Any

import numpy as np

from lrp_numpy.layers import (AvgPool2D, BatchNorm, Dense, Flatten, Layer, MaxPool2D, Permute,
                              Unflatten)
from lrp_numpy.models.convert import (Step, assemble, compare, leaky_relu, same_padding,
                                      square_convolution, square_pool, without_last_activation)
from lrp_numpy.network import Network
from lrp_numpy.utils.foreign import full_name, known_name, library_of, loaded

NO_EFFECT = ("InputLayer", "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise",
             "AlphaDropout")      # when predicting
FUNCTIONS = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "linear": "identity",
             "leaky_relu": "leaky_relu_0.2", "elu": "elu", "selu": "selu", "gelu": "gelu",
             "silu": "silu", "softplus": "softplus", "softmax": "softmax",
             "log_softmax": "log_softmax"}
ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax"}
OF_IMAGES = ("Conv2D", "MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D",
             "GlobalAveragePooling2D")
LAYERS = ("Dense", *OF_IMAGES, "BatchNormalization", "Rescaling", "Flatten", "Activation", "ReLU",
          "LeakyReLU", "ELU")
ALLOWED = ", ".join(LAYERS) + ", Dropout or, at the end, Softmax"

# Options that ours do not have, each with the values that mean what ours do
CHANNELS_LAST = {"data_format": ("channels_last",)}
OPTIONS: dict[str, dict[str, tuple]] = {
    "Conv2D": {"dilation_rate": (1,), "groups": (1,), **CHANNELS_LAST},
    "MaxPooling2D": CHANNELS_LAST,
    "AveragePooling2D": CHANNELS_LAST,
    "GlobalMaxPooling2D": {"keepdims": (False,), **CHANNELS_LAST},
    "GlobalAveragePooling2D": {"keepdims": (False,), **CHANNELS_LAST},
    "Flatten": CHANNELS_LAST,
    "ReLU": {"max_value": (None,), "negative_slope": (0,), "threshold": (0,)},
    "ELU": {"alpha": (1,)},
    "Softmax": {"axis": (-1,)}}

METHODS = ("call", "__call__")      # that decide what a layer computes


def from_keras(model: Any) -> Network:
    """A network that computes what a keras Sequential, or a Model that is a chain, computes.

    Dense and Conv2D with or without an activation, pooling, Flatten and activations: LAYERS above.
    Images enter as rows too: x.reshape(len(x), -1), in the order of keras, channels last, and so
    does the relevance of the pixels. Rescaling and BatchNormalization are folded into the layer
    beside them, see `canonize.fold_batchnorm`. Dropout and noise, which are inactive at prediction
    time, are skipped, and so is a final softmax or sigmoid: the logit before it is explained.

    Raises ValueError, naming the layer by its place in model.layers, for anything else: other
    layers, classes with a call of their own, options that ours do not have; and if model and
    network differ on a few random rows.
    """
    keras = loaded(library_of(model) or "")
    kind = known_name(model, keras, METHODS) or _functional(model, keras)
    if kind not in ("Sequential", "Functional"):
        raise ValueError(f"model must be a keras Sequential, or a Model made of a chain of layers, "
                         f"got {full_name(model)}")
    if kind == "Functional" and not _is_chain(model):
        raise ValueError("model must be a chain, each layer taking what the one before it in "
                         "model.layers gives, got one with branches or shared layers")
    steps, end = without_last_activation(
        [step for place, name, layer in _flat(model, keras)
         for step in _steps(place, name, layer, keras)])
    sides = _input_sides(model)
    has_images = any(step.name in OF_IMAGES for step in steps)
    net = assemble(steps, _images(sides) if has_images else [],
                   "model must know the shape of the images that it takes",
                   None if has_images or sides is None else (int(np.prod(sides)),))
    compare(net, lambda x: _logits(keras, model, end, x.reshape(len(x), *(sides or x.shape[1:]))))
    return net


def _functional(model, keras):
    """"Functional" for a Model(inputs, outputs), whose class keras does not export."""
    for base in type(model).__mro__:
        if base.__name__ == "Functional" and loaded(base.__module__.partition(".")[0]) is keras:
            return known_name(model, loaded(base.__module__), METHODS)
    return None


def _is_chain(model):
    layers = model.layers
    return (model.outputs[0] is layers[-1].output and len(model.outputs) == 1
            and all(after.input is before.output for before, after in zip(layers, layers[1:])))


def _input_sides(model):
    """The shape of one input, such as (28, 28, 1); None if the model does not know it."""
    try:
        sides = tuple(model.input_shape[1:])
    except (AttributeError, ValueError):    # but perhaps the model that is its first layer
        inner = getattr(model, "layers", None)
        return _input_sides(inner[0]) if inner else None
    return sides if sides and all(isinstance(side, int) for side in sides) else None


def _images(sides):
    """The layers that make images (C, H, W) of rows in the order of keras."""
    if sides is None or len(sides) != 3:
        return []
    H, W, C = sides
    if C == 1:
        return [Unflatten((1, H, W))]
    return [Unflatten(sides), Permute((2, 0, 1))]


def _flat(model, keras, above=""):
    """(place, name, layer) of each layer that has an effect, those of nested models too."""
    for number, layer in enumerate(model.layers):
        place = f"{above}{number}"
        if known_name(layer, keras, METHODS) == "Sequential":
            yield from _flat(layer, keras, f"{place}.")
            continue
        name = known_name(layer, keras.layers, METHODS)
        if name not in NO_EFFECT:
            yield place, name, layer


def _steps(place, name, layer, keras):
    """The steps of one layer: Dense and Conv2D bring their activation with them."""
    if name not in LAYERS and name not in ACTIVATIONS:
        raise ValueError(f"layer {place} must be {ALLOWED}, got {name or full_name(layer)}")
    for option, allowed in OPTIONS.get(name, {}).items():
        value = getattr(layer, option)
        one = value[0] if isinstance(value, (tuple, list)) and len(set(value)) == 1 else value
        if one not in allowed:
            raise ValueError(f"layer {place}: {option} of {name} must be {allowed[0]!r}, got "
                             f"{one!r}")
    for option, allowed in (("compute_dtype", ("float32", "float64")),
                            ("quantization_mode", (None,))):
        if (value := getattr(layer, option, allowed[0])) not in allowed:
            raise ValueError(f"layer {place}: {option} must be {' or '.join(map(str, allowed))}, "
                             f"got {value}")
    if name == "LeakyReLU":
        return [Step(place, name, leaky_relu(place, layer.negative_slope), layer)]
    if name in ACTIVATIONS:
        return [Step(place, name, ACTIVATIONS[name], layer)]
    if name == "Activation":
        return [_function(place, layer, keras)]
    if name in ("Dense", "Conv2D"):
        return [_linear(place, name, layer), _function(place, layer, keras)]
    if name in OF_IMAGES:
        return [Step(place, name, lambda images: _pool(name, layer, images), layer)]
    of_any_shape = {"BatchNormalization": _batchnorm, "Rescaling": _rescaling,
                    "Flatten": _flatten}[name]
    return [Step(place, name, lambda shape: of_any_shape(layer, shape), layer, takes_rows=True)]


def _function(place, layer, keras):
    """The step of a layer's activation: it must be that function of keras, not one of its name."""
    function = layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    if name not in FUNCTIONS or getattr(keras.activations, name, None) is not function:
        raise ValueError(f"layer {place}: activation must be one of {', '.join(FUNCTIONS)} of "
                         f"keras.activations, got {name} of {function.__module__}")
    return Step(place, name, FUNCTIONS[name], layer)


def _linear(place, name, layer):
    arrays = layer.get_weights()
    if len(arrays) not in (1, 2):
        raise ValueError(f"layer {place} must have its weights, and perhaps a bias, got "
                         f"{len(arrays)} arrays; a model has weights once it knows its input")
    W, b = arrays if len(arrays) == 2 else (*arrays, np.zeros(arrays[0].shape[-1:],
                                                              arrays[0].dtype))
    if name == "Dense":
        return Step(place, name, Dense(W, b, "identity"), layer)
    return Step(place, name, lambda images: [square_convolution(
        W.transpose(2, 3, 0, 1), b, layer.strides, _padding(layer, W.shape[:2], images),
        images)], layer)      # keras has (h, w, C, K)


def _padding(layer, size, images):
    """((top, bottom), (left, right)) of padding "valid" or "same": with "same", a side of n pixels
    gives ceil(n / stride) positions."""
    if layer.padding == "valid":
        return (0, 0), (0, 0)
    if layer.padding != "same":
        raise ValueError(f"padding must be 'valid' or 'same', got {layer.padding!r}")
    return tuple(same_padding(reach, max(0, (-(-side // stride) - 1) * stride + reach - side))
                 for reach, stride, side in zip(size, layer.strides, images[1:]))


def _pool(name, layer, images):
    kind = MaxPool2D if "Max" in name else AvgPool2D
    if name.startswith("Global"):
        return [square_pool(kind, images[1:], images[1:], images), Flatten()]
    if _padding(layer, layer.pool_size, images) != ((0, 0), (0, 0)):
        raise ValueError(f"padding of {name} must be 'valid', or add nothing, got "
                         f"{layer.padding!r} for images of {images[1]} x {images[2]}")
    return [square_pool(kind, layer.pool_size, layer.strides, images)]


def _batchnorm(layer, shape):
    if layer.axis not in (-1, len(shape or (0,))):
        raise ValueError("axis of BatchNormalization must be -1, that of the channels, got "
                         f"{layer.axis}")
    *scale_and_shift, mean, variance = layer.get_weights()
    gamma = scale_and_shift.pop(0) if layer.scale else np.ones_like(mean)
    beta = scale_and_shift.pop(0) if layer.center else np.zeros_like(mean)
    each = (-1,) if shape is None or len(shape) == 1 else (-1, 1, 1)
    mean, variance, gamma, beta = (one.reshape(each) for one in (mean, variance, gamma, beta))
    return [BatchNorm.from_statistics(mean, variance, gamma, beta, layer.epsilon)]


def _rescaling(layer, shape):
    """z = a * scale + offset: numbers, or one for each feature or channel."""
    if shape is None:
        raise ValueError("model must know the shape of its input")
    each = shape if len(shape) == 1 else (shape[0], 1, 1)
    W, b = (np.resize(np.asarray(one, np.float32), shape[0]).reshape(each)     # channels in turn
            for one in (layer.scale, layer.offset))
    return [BatchNorm(W, b)]


def _flatten(layer, shape) -> list[Layer]:
    """Rows in the order of keras, (H, W, C)."""
    if shape is None or len(shape) == 1:
        return []
    return [Permute((1, 2, 0)), Flatten()] if shape[0] > 1 else [Flatten()]


def _logits(keras, model, end, x):
    """What the model gives, without the final function of the step `end`."""
    x = x.astype(getattr(model, "compute_dtype", None) or np.float32)
    if end is None:
        return _numbers(keras, model(x, training=False))
    layer, linear = end.theirs, keras.activations.linear
    own = getattr(layer, "activation", None)
    try:
        if own is None:     # a Softmax
            layer.call = lambda inputs, *_, **__: linear(inputs)
        else:
            layer.activation = linear
        return _numbers(keras, model(x, training=False))
    finally:
        if own is None:
            del layer.call
        else:
            layer.activation = own


def _numbers(keras, tensor):
    return (keras.ops.convert_to_numpy if hasattr(keras, "ops") else np.asarray)(tensor)
