"""Networks from models of torch, keras and scikit-learn, and from folders of arrays.

Each function returns an MLP if all layers are Dense, else a Network. The weights are copied and
keep their type. None of these libraries is imported: models are recognized by their class names,
and read through their documented attributes.

Layers are numbered as in the model, from 0; "1.0" is the first layer of the nested model that is
number 1.
"""
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.utils.files import read_array
from lrp_numpy.utils.types import FilePath, Shape
from lrp_numpy.layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, MaxPool2D, Unflatten
from lrp_numpy.network import MLP, Network

ONLY_AT_THE_END = ("softmax", "log_softmax")
NO_EFFECT = ("Identity", "Dropout", "Dropout1d", "Dropout2d", "InputLayer")  # when predicting

TORCH_ACTIVATIONS = {"ReLU": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax",
                     "LogSoftmax": "log_softmax"}
# Options that our layers do not have, each with the value that changes nothing
TORCH_OPTIONS = {
    "Linear": {},
    "Conv2d": {"dilation": 1, "groups": 1, "padding_mode": "zeros"},
    "MaxPool2d": {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False},
    "AvgPool2d": {"padding": 0, "ceil_mode": False, "divisor_override": None},
    "Flatten": {"start_dim": 1, "end_dim": -1}}
TORCH_LAYERS = ("Linear, Conv2d, MaxPool2d, AvgPool2d, Flatten, ReLU, Sigmoid, Tanh, Dropout, "
                "Identity or, at the end, Softmax or LogSoftmax")

KERAS_ACTIVATIONS = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "linear": "identity",
                     "softmax": "softmax", "log_softmax": "log_softmax"}
KERAS_RELU = {"max_value": None, "negative_slope": 0, "threshold": 0}
KERAS_LAYERS = ("Dense, Activation, ReLU, Dropout, Flatten or, at the end, Softmax")

SKLEARN_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh",
                       "relu": "relu"}


class Step(NamedTuple):
    """One step of a model of another library."""
    place: str      # such as "2"
    name: str       # its class or activation there
    ours: object    # a Layer, or the name of an activation


def from_torch(sequential: Any, shape: Shape | None = None) -> Network:
    """A network that computes what a torch.nn.Sequential computes.

    Linear, Conv2d, MaxPool2d, AvgPool2d, Flatten, ReLU, Sigmoid and Tanh, also in nested
    Sequentials. shape: (C, H, W) of one image if the network takes images (which still enter as
    rows), None if it takes rows; a Flatten of rows is then skipped. Dropout and Identity, which do
    nothing at prediction time, are skipped too, and so is a final Softmax, LogSoftmax or Sigmoid:
    the logit before it is explained. An activation after MaxPool2d is moved before it, with the
    same result.

    float32 and float64 are kept. Raises ValueError, naming the layer by its place in the
    Sequential, for anything else: other layers, options that ours do not have (dilation, groups,
    ...), types, activations without a layer.
    """
    if type(sequential).__name__ != "Sequential":
        raise ValueError("sequential must be a torch.nn.Sequential, got "
                         f"{type(sequential).__name__}; make one of its layers, in the order in "
                         "which its forward calls them")
    steps = [Step(place, type(module).__name__, _of_torch(place, module))
             for place, module in _flat(sequential, list)]
    return _network(_joined(steps, [] if shape is None else [Unflatten(shape)]))


def _of_torch(place, module):
    kind = type(module).__name__
    if kind in TORCH_ACTIVATIONS:
        return TORCH_ACTIVATIONS[kind]
    if kind not in TORCH_OPTIONS:
        raise ValueError(f"layer {place} must be {TORCH_LAYERS}, got {kind}")
    _check_options(place, module, TORCH_OPTIONS[kind])
    if kind == "Flatten":
        return Flatten()
    if kind in ("MaxPool2d", "AvgPool2d"):
        return {"MaxPool2d": MaxPool2D, "AvgPool2d": AvgPool2D}[kind](
            _integer(place, module, "kernel_size"), _integer(place, module, "stride"))
    W = _of_tensor(place, "weight", module.weight)
    b = np.zeros(len(W), W.dtype) if module.bias is None else _of_tensor(place, "bias", module.bias)
    if kind == "Linear":
        return Dense(W.T, b, "identity")                            # torch has (K, D)
    return Conv2D(W.swapaxes(0, 1), b.reshape(-1, 1, 1), "identity",    # torch has (K, C, h, w)
                  _integer(place, module, "stride"), _integer(place, module, "padding"))


def from_keras(model: Any) -> Network:
    """A network that computes what a keras Sequential, or a Model that is a chain, computes.

    Dense with or without an activation, Activation, ReLU: relu, sigmoid, tanh, linear. Flatten and
    Dropout are skipped, since inputs are rows and Dropout is inactive at prediction time; so is a
    final softmax or sigmoid: the logit before it is explained.

    Raises ValueError, naming the layer by its place in model.layers, for anything else.
    """
    kind = type(model).__name__
    if kind not in ("Sequential", "Functional"):
        raise ValueError(f"model must be a keras Sequential, or a Model made of a chain of layers, "
                         f"got {kind}")
    if kind == "Functional" and not _is_chain(model):
        raise ValueError("model must be a chain, each layer taking what the one before it in "
                         "model.layers gives, got one with branches or shared layers")
    return _network(_joined([step for place, layer in _flat(model, lambda inner: inner.layers)
                             for step in _of_keras(place, layer)], []))


def _is_chain(model):
    layers = model.layers
    return (model.outputs[0] is layers[-1].output and len(model.outputs) == 1
            and all(after.input is before.output for before, after in zip(layers, layers[1:])))


def _of_keras(place, layer):
    """The steps of one layer: a Dense layer brings its activation with it."""
    kind = type(layer).__name__
    if kind == "Dense":
        arrays = layer.get_weights()
        if len(arrays) not in (1, 2):
            raise ValueError(f"layer {place} must have its weights, and perhaps a bias, got "
                             f"{len(arrays)} arrays; a model has weights once it knows its input")
        b = arrays[1] if len(arrays) == 2 else np.zeros(arrays[0].shape[1:], arrays[0].dtype)
        return [Step(place, kind, Dense(arrays[0], b, "identity")),
                _keras_activation(place, layer.activation)]
    if kind == "Activation":
        return [_keras_activation(place, layer.activation)]
    if kind in ("ReLU", "Softmax"):
        _check_options(place, layer, KERAS_RELU if kind == "ReLU" else {})
        return [Step(place, kind, kind.lower())]
    if kind == "Flatten":
        return [Step(place, kind, Flatten())]
    raise ValueError(f"layer {place} must be {KERAS_LAYERS}, got {kind}")


def _keras_activation(place, function):
    name = getattr(function, "__name__", type(function).__name__)
    if name not in KERAS_ACTIVATIONS:
        raise ValueError(f"layer {place}: activation must be one of "
                         f"{', '.join(KERAS_ACTIVATIONS)}, got {name}")
    return Step(place, name, KERAS_ACTIVATIONS[name])


def from_sklearn(model: Any) -> Network:
    """A network that computes what a fitted MLPClassifier or MLPRegressor computes.

    For a classifier, the logits, without its final softmax or logistic function: for two classes,
    one logit, which is positive for classes_[1]. For a regressor, its predictions: one output per
    column of y.

    Raises ValueError for other models, one that is not fitted, and out_activation_ 'exp' (of
    loss='poisson').
    """
    kind = type(model).__name__
    if kind not in ("MLPClassifier", "MLPRegressor"):
        hint = "; give its last step" if kind == "Pipeline" else ""
        raise ValueError(f"model must be an MLPClassifier or an MLPRegressor, got {kind}{hint}")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"model must be fitted, got an {kind} without coefs_")
    if model.activation not in SKLEARN_ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(SKLEARN_ACTIVATIONS)}, got "
                         f"{model.activation!r}")
    if model.out_activation_ not in ("identity", "softmax", "logistic"):
        raise ValueError("out_activation_ must be 'identity', 'softmax' or 'logistic', got "
                         f"{model.out_activation_!r}")
    return MLP.from_arrays(model.coefs_, model.intercepts_, SKLEARN_ACTIVATIONS[model.activation])


def from_folder(path: FilePath, activation: str) -> Network:
    """`MLP.from_arrays` of the files W1.npy (D, K), b1.npy (K,), W2.npy, b2.npy, ... in a folder.

    They are files of numpy.save. Raises ValueError for a missing or invalid file, and for whatever
    `MLP.from_arrays` refuses.
    """
    path = Path(path)
    arrays: dict[str, list[np.ndarray]] = {"W": [], "b": []}
    layers = len(list(path.glob("W*.npy")))
    if layers == 0:
        raise ValueError(f"path must be a folder with W1.npy, b1.npy, W2.npy, ..., got {path}")
    for number in range(1, layers + 1):
        for name, of_all in arrays.items():
            file = path / f"{name}{number}.npy"
            try:
                of_all.append(read_array(file))
            except FileNotFoundError as error:
                raise ValueError(f"path must hold {file.name}, because there are {layers} files "
                                 f"W*.npy, got {path} without it") from error
    return MLP.from_arrays(arrays["W"], arrays["b"], activation)


def _network(layers):
    return (MLP if all(type(layer) is Dense for layer in layers) else Network)(layers)


def _flat(model, children, above=""):
    """[(place, layer), ...]: nested models are flattened, and layers without effect skipped.

    A layer that is used twice appears twice.
    """
    pairs = []
    for number, layer in enumerate(children(model)):
        place = f"{above}{number}"
        if type(layer).__name__ == "Sequential":
            pairs += _flat(layer, children, f"{place}.")
        elif type(layer).__name__ not in NO_EFFECT:
            pairs.append((place, layer))
    return pairs


def _joined(steps, layers):
    """`layers` and those of the steps, each with its activation.

    A final sigmoid or softmax is skipped, so that the network outputs logits.
    """
    if steps and steps[-1].ours in ("sigmoid", *ONLY_AT_THE_END):
        steps = steps[:-1]
    for place, name, ours in steps:
        if isinstance(ours, Layer):
            takes_rows = not layers or isinstance(layers[-1], Dense)
            if type(ours) is Flatten and takes_rows:
                continue
            if not layers and not isinstance(ours, Dense):
                raise ValueError(f"shape must be (C, H, W), the sides of one image, for layer "
                                 f"{place} takes images: from_torch(sequential, shape=(1, 28, "
                                 f"28)), say; got None for a {name}")
            layers.append(ours)
        elif ours in ONLY_AT_THE_END:
            raise ValueError(f"layer {place} must be the last to be {name}, got more behind it")
        elif ours != "identity":
            _activate(place, name, ours, layers)
    return layers


def _activate(place, name, activation, layers):
    """Give the activation to the layer with weights that precedes it.

    MaxPool2D or Flatten may come between: f never decreases, so the largest f(z) is f of the
    largest z, and the network computes the same.
    """
    number = len(layers) - 1
    while number >= 0 and type(layers[number]) in (MaxPool2D, Flatten):
        number -= 1
    if number < 0 or not layers[number].parameters or layers[number].activation != "identity":
        raise ValueError(f"layer {place} must follow a layer with weights that has no activation "
                         f"yet, got {name}")
    layers[number] = replace(layers[number], activation=activation)


def _check_options(place, layer, allowed):
    for option, only in allowed.items():
        value = _one(getattr(layer, option))
        if value != only:
            raise ValueError(f"layer {place}: {option} of {type(layer).__name__} must be {only!r}, "
                             f"got {value!r}")


def _integer(place, layer, option):
    value = _one(getattr(layer, option))
    if not isinstance(value, int):
        raise ValueError(f"layer {place}: {option} of {type(layer).__name__} must be one integer "
                         f"for both sides, got {value!r}")
    return value


def _one(value):
    """The number that a tuple repeats; anything else unchanged."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _of_tensor(place, name, tensor):
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in ("float32", "float64"):
        raise ValueError(f"layer {place}: {name} must be float32 or float64, got {kind}")
    return tensor.detach().cpu().numpy()
