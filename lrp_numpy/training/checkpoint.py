"""Training that can be stopped and resumed: its state in a file.

A checkpoint holds the weights, Adam's moments, the losses and accuracies so far, and a
`run_fingerprint`: what must be the same for the run to resume as if it had never stopped. The state
of the random generator is not saved, since it can be reconstructed: each epoch draws one order of
the images from it.
"""
import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.layers.saved import holds_layers
from lrp_numpy.utils.files import atomic_write, error_text, expanded, read_arrays
from lrp_numpy.utils.types import FilePath
from lrp_numpy.network import Network
from lrp_numpy.training.adam import State

DIGITS = ("train_images", "train_labels", "test_images", "test_labels")
FIRST_WEIGHTS = "first weights"     # the initial weights of a run
MAX_BYTES = 1 << 20        # of the fingerprint in a file; a longer one is refused


def run_fingerprint(net: Network, digits: Digits, rng: np.random.Generator,
                    **settings: Any) -> dict[str, str]:
    """{name: description}: two runs with the same descriptions take the same steps."""
    weights = [np.ascontiguousarray(getattr(layer, name))
               for layer in net.layers for name in layer.parameters]
    return {"network": architecture(net), FIRST_WEIGHTS: _hash(*weights)} | {
        name: fingerprint(getattr(digits, name)) for name in DIGITS} | {
        "rng": f"{type(rng.bit_generator).__name__} {_hash(_state_of(rng))}"} | {
        name: repr(value) for name, value in settings.items()}


def architecture(net: Network) -> str:
    """The layers of a network without their numbers: "Dense W (784, 500) b (500,) relu ..."."""
    return " ".join([str(net.dtype), *_words(net.layers)])


def _words(layers):
    words = []
    for layer in layers:
        words.append(type(layer).__name__)
        for field in fields(layer):
            value = getattr(layer, field.name)
            if field.name == "rule" and value is None:      # of AvgPool2D: version 0.1 had none
                continue
            words += ([field.name, str(value.shape)] if isinstance(value, np.ndarray) else
                      ["(", *_words(value), ")"] if holds_layers(value) else [str(value)])
    return words


def fingerprint(array: np.ndarray) -> str:
    """A short description of an array: its shape, type, and the start of its SHA-256."""
    array = np.ascontiguousarray(array)
    return f"{array.shape} {array.dtype} {_hash(array)}"


def _state_of(rng):
    return json.dumps(rng.bit_generator.state, default=lambda array: array.tolist()).encode()


def _hash(*contents):
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()[:16]


def save(path: FilePath, state: State, losses: list[float], accuracies: list[float],
         of: dict[str, str]) -> None:
    """Write a checkpoint to `path` (.npz, no pickle): whole, or not at all (OSError).

    of: a `run_fingerprint`.
    """
    with atomic_write(path) as file:
        np.savez(file, losses=np.array(losses, np.float64),
                 accuracies=np.array(accuracies, np.float64),
                 identity=np.array(json.dumps(of)), **dict(_named(state)))


def engine_of(path: FilePath) -> str | None:
    """The engine of the run that a checkpoint belongs to, or None if unknown."""
    try:
        return json.loads(str(read_arrays(path)["identity"]))["engine"].strip("'")
    except Exception:       # `load` reports what is wrong with the file
        return None


def _named(state):
    """[("w_0_1", array), ...]: the weights and moments of number 1 of layer 0, and so on."""
    return [(f"{name}_{layer}_{number}", array) for layer, of_layer in enumerate(state)
            for number, one in enumerate(of_layer) for name, array in zip("wmv", one)]


def load(path: FilePath, state: State, of: dict[str, str], steps: int,
         epochs: int) -> tuple[list[float], list[float], dict[str, str]]:
    """Fill `state` from a checkpoint; returns (losses, accuracies, fingerprint).

    of: the `run_fingerprint` of this run; steps: per epoch; epochs: to be trained in all.

    The network must have the run's initial weights or those in the checkpoint; the returned
    fingerprint has the initial ones. Returns ([], [], of) if there is no file yet. Raises
    ValueError, naming the file, if it is not a checkpoint, has another fingerprint, or has begun
    more epochs: the error names the difference, and nothing is changed.
    """
    path = expanded(path)
    if not path.exists():
        return [], [], of
    try:
        file = read_arrays(path)
        if file["identity"].nbytes > MAX_BYTES:
            raise ValueError(f"its identity must have at most {MAX_BYTES} bytes, got "
                             f"{file['identity'].nbytes}")
        saved = json.loads(str(file["identity"]))
        if not isinstance(saved, dict):
            raise ValueError("it does not say what it is a checkpoint of")
        for name in [*of, *saved]:
            if name != FIRST_WEIGHTS and saved.get(name) != of.get(name):
                raise ValueError(f"it is of a run with another {name}: {saved.get(name)} there, "
                                 f"{of.get(name)} here")
        arrays = [(name, array, file[name]) for name, array in _named(state)]
        losses, accuracies = (_checked(file[name], name) for name in ("losses", "accuracies"))
        if len(accuracies) != len(losses) // steps:
            raise ValueError(f"it must hold an accuracy for each of its {len(losses) // steps} "
                             f"epochs, got {len(accuracies)}")
        for name, array, kept in arrays:
            if kept.shape != array.shape or kept.dtype != array.dtype:
                raise ValueError(f"{name} must be {array.dtype} {array.shape}, got {kept.dtype} "
                                 f"{kept.shape}")
            if not np.isfinite(kept).all():
                raise ValueError(f"{name} must hold finite numbers only")
            if name.startswith("v_") and kept.min() < 0:
                raise ValueError(f"{name} must hold squares, got {kept.min()}")
        if saved.get(FIRST_WEIGHTS) != of[FIRST_WEIGHTS] and not all(
                (array == kept).all() for name, array, kept in arrays if name.startswith("w_")):
            raise ValueError("it is of a run with another network: its weights are neither those "
                             "with which the run began nor those that it had come to")
    except Exception as error:      # a damaged file can make NumPy and json raise anything
        raise ValueError(f"checkpoint {path} cannot be used: {error_text(error)}") from error
    begun = -(-len(losses) // steps)
    if begun > epochs:
        raise ValueError(f"epochs must be at least {begun}, as many as the checkpoint {path} has "
                         f"begun, got {epochs}")
    for _, array, kept in arrays:
        array[...] = kept
    return losses, accuracies, saved


def _checked(numbers, name):
    """A row of finite float64 numbers as a list."""
    if numbers.ndim != 1 or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be a row of finite float64 numbers")
    return numbers.tolist()


@contextmanager
def ctrl_c_waits() -> Iterator[threading.Event]:
    """Inside this context, Ctrl-C only sets the Event that is yielded.

    So it never interrupts a step after one layer has changed and before another has. Outside the
    main thread, which alone receives Ctrl-C, and where Ctrl-C is ignored, the Event is never set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread() or (
            signal.getsignal(signal.SIGINT) is signal.SIG_IGN):
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
