"""Layers as the named arrays of a file, and back. The file is not trusted."""
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from lrp_numpy.layers import LAYERS, Dense, Layer

MAX_LAYERS = 1000       # in a file; a file with more is refused
MAX_SIDES = 8           # dimensions of a shape in a file, likewise


def as_arrays(layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    """{"layers": the names of their classes, "W0": a field of layer 0, ...}; None is left out."""
    arrays = {"layers": np.array([type(layer).__name__ for layer in layers])}
    for number, layer in enumerate(layers):
        for field in fields(layer):
            if getattr(layer, field.name) is not None:
                arrays[f"{field.name}{number}"] = np.array(getattr(layer, field.name))
    return arrays


def from_arrays(file: Mapping[str, np.ndarray], others: Sequence[str] = ()) -> list[Layer]:
    """The layers from what `as_arrays` made of them, or as version 0.1 saved them.

    others: the names of arrays that belong to something else. Raises ValueError for an array that
    no layer knows: leaving it out would make another network of it.
    """
    of_first_version = "activations" in file
    names = file["activations" if of_first_version else "layers"].tolist()
    if len(names) > MAX_LAYERS:
        raise ValueError(f"it must have at most {MAX_LAYERS} layers, got {len(names)}")
    layers = [Dense(file[f"W{number}"], file[f"b{number}"], name)
              for number, name in enumerate(names)] if of_first_version else [
        _layer(file, name, number) for number, name in enumerate(names)]
    known = {"layers", "activations", *others} | {
        name for number, layer in enumerate(layers) for field in fields(layer)
        for name in _names(field, number)}
    if not set(file) <= known:
        raise ValueError("it holds what this version of lrp_numpy does not know: "
                         f"{', '.join(sorted(set(file) - known))}")
    return layers


def _names(field: Any, number: int) -> list[str]:
    """Under which a field of layer `number` may be saved; `rule` was `relevance` in version 0.1."""
    return [f"{name}{number}" for name in (
        ("relevance", "rule") if field.name == "rule" else (field.name,))]


def _layer(file, name, number):
    """Layer `number`; numbers, strings and shapes get their own type back."""
    if name not in LAYERS:
        raise ValueError(f"layer {number} must be one of {', '.join(LAYERS)}, got {name}")
    values = {}
    for field in fields(LAYERS[name]):
        key = next((one for one in _names(field, number) if one in file),
                   f"{field.name}{number}")
        if key in file or field.default is not None:        # None is not saved
            value = file[key]
            is_shape = value.ndim == 1 and value.dtype.kind == "i" and len(value) <= MAX_SIDES
            values[field.name] = (value.item() if value.ndim == 0 else
                                  tuple(value.tolist()) if is_shape else value)
    return LAYERS[name](**values)
