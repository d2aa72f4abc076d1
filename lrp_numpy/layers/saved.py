"""Layers as the named arrays of a file, and back. The file is not trusted."""
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from lrp_numpy.layers import LAYERS, Dense, Layer

MAX_LAYERS = 1000       # in a file; a file with more is refused
MAX_SIDES = 8           # dimensions of a shape in a file, likewise


def as_arrays(layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    """{"layers": the names of their classes, "W0": a field of layer 0, ...}; None is left out.

    A field that holds layers, such as `layers` of a Residual, is saved likewise: "layers3" has the
    names of their classes, and "W3.layers.0" a field of the first.
    """
    return {"layers": _names_of(layers)} | _fields_of(layers, "")


def _names_of(layers):
    return np.array([type(layer).__name__ for layer in layers], np.str_)


def _fields_of(layers, before):
    arrays = {}
    for number, layer in enumerate(layers):
        for field in fields(layer):
            value, path = getattr(layer, field.name), f"{before}{number}"
            if holds_layers(value):
                arrays[field.name + path] = _names_of(value)
                arrays |= _fields_of(value, f"{path}.{field.name}.")
            elif value is not None:
                arrays[field.name + path] = np.array(value)
    return arrays


def from_arrays(file: Mapping[str, np.ndarray], others: Sequence[str] = ()) -> list[Layer]:
    """The layers from what `as_arrays` made of them, or as version 0.1 saved them.

    others: the names of arrays that belong to something else. Raises ValueError for an array that
    no layer knows: leaving it out would make another network of it.
    """
    known = {"layers", "activations", *others}
    if "activations" in file:       # version 0.1
        names = _names_in(file, "activations")
        layers: list[Layer] = [Dense(file[f"W{number}"], file[f"b{number}"], name)
                               for number, name in enumerate(names)]
        known |= {f"{name}{number}" for name in "Wb" for number in range(len(names))}
    else:
        layers = _layers(file, _names_in(file, "layers"), "", known)
    if not set(file) <= known:
        raise ValueError("it holds what this version of lrp_numpy does not know: "
                         f"{', '.join(sorted(set(file) - known))}")
    return layers


def _names_in(file, key):
    names = file[key].tolist()
    if len(names) > MAX_LAYERS:
        raise ValueError(f"it must have at most {MAX_LAYERS} layers, got {len(names)}")
    return names


def _layers(file, names, before, known):
    """The layers of these names, whose fields end in before + number; adds to what is `known`."""
    return [_layer(file, name, f"{before}{number}", known) for number, name in enumerate(names)]


def _layer(file, name, path, known):
    """The layer whose fields end in `path`; numbers, strings and shapes get their own type back.
    """
    if name not in LAYERS:
        raise ValueError(f"layer {path} must be one of {', '.join(LAYERS)}, got {name}")
    values = {}
    for field in fields(LAYERS[name]):
        # `rule` was `relevance` in version 0.1
        keys = [f"{one}{path}" for one in (("relevance", "rule") if field.name == "rule" else
                                           (field.name,))]
        known.update(keys)
        key = next((one for one in keys if one in file), field.name + path)
        if key in file or field.default is not None:        # None is not saved
            value = file[key]
            is_shape = value.ndim == 1 and value.dtype.kind == "i" and len(value) <= MAX_SIDES
            is_names = value.ndim == 1 and value.dtype.kind == "U"
            values[field.name] = (
                tuple(_layers(file, _names_in(file, key), f"{path}.{field.name}.", known))
                if is_names else value.item() if value.ndim == 0 else
                tuple(value.tolist()) if is_shape else value)
    return LAYERS[name](**values)


def holds_layers(value: Any) -> bool:
    """Whether the value of a field is layers, such as those of a Residual."""
    return isinstance(value, tuple) and all(isinstance(one, Layer) for one in value)
