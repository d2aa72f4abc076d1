"""Training that can be stopped and go on: what it has come to, in a file.

A checkpoint holds the weights, Adam's moments, the losses and accuracies so far, the state of the
random generator before the epoch that is under way, and an `identity`: what must be the same for
the run to go on as if it had never stopped.
"""
import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lrp_numpy.data import Digits
from lrp_numpy.files import read_arrays, written_whole
from lrp_numpy.kinds import FilePath
from lrp_numpy.network import Network

Parameters = list[tuple[Any, ...]]      # a training.Parameter for each array of each layer

DIGITS = ("train_images", "train_labels", "test_images", "test_labels")


def identity(net: Network, digits: Digits, rng: np.random.Generator,
             **settings: Any) -> dict[str, str]:
    """{what: a text}: two runs with the same texts take the same steps."""
    return {"network": described(net)} | {
        name: fingerprint(getattr(digits, name)) for name in DIGITS} | {
        "rng": f"{type(rng.bit_generator).__name__} {_short_hash(state_of(rng).encode())}"} | {
        name: repr(value) for name, value in settings.items()}


def described(net: Network) -> str:
    """The layers of a network without their numbers: "Dense W (784, 500) b (500,) relu ..."."""
    words = [str(net.dtype)]
    for layer in net.layers:
        words.append(type(layer).__name__)
        for field in fields(layer):
            value = getattr(layer, field.name)
            words += ([field.name, str(value.shape)] if isinstance(value, np.ndarray) else
                      [str(value)])
    return " ".join(words)


def fingerprint(array: np.ndarray) -> str:
    """An array in a few words: its shape, its type, and the beginning of its SHA-256."""
    array = np.ascontiguousarray(array)
    return f"{array.shape} {array.dtype} {_short_hash(array)}"


def _short_hash(content):
    return hashlib.sha256(content).hexdigest()[:16]


def state_of(rng: np.random.Generator) -> str:
    """The state of a numpy.random.Generator as a text, for `save`."""
    return json.dumps(rng.bit_generator.state, default=lambda array: array.tolist())


def save(path: FilePath, parameters: Parameters, losses: list[float], accuracies: list[float],
         rng_state: str, of: dict[str, str]) -> None:
    """Write a checkpoint to `path` (.npz, no pickle): whole, or not at all (OSError).

    parameters: [(training.Parameter, ...), ...]; losses, accuracies: lists; rng_state: from
    `state_of`; of: an `identity`.
    """
    arrays = {f"{name}_{layer}_{number}": array
              for layer, of_layer in enumerate(parameters)
              for number, one in enumerate(of_layer) for name, array in one._asdict().items()}
    with written_whole(path) as file:
        np.savez(file, losses=np.array(losses, np.float64),
                 accuracies=np.array(accuracies, np.float64),
                 rng_state=np.array(rng_state), identity=np.array(json.dumps(of)), **arrays)


def load(path: FilePath, parameters: Parameters, rng: np.random.Generator, of: dict[str, str],
         steps: int, epochs: int) -> tuple[list[float], list[float]]:
    """Fill `parameters` from a checkpoint, put `rng` into its state; returns (losses, accuracies).

    of: an `identity`; steps: in an epoch; epochs: that are to be trained in all.
    Returns ([], []), and changes nothing, if there is no file yet. Raises ValueError, naming
    the file, for one that is no checkpoint, one whose identity differs, and one that has begun more
    epochs: what differs is named, and nothing has been changed.
    """
    path = Path(path)
    if not path.exists():
        return [], []
    try:
        file = read_arrays(path)
        saved = json.loads(str(file["identity"]))
        if not isinstance(saved, dict):
            raise ValueError("it does not say what it is a checkpoint of")
        _check_same(saved, of)
        arrays = [(array, file[f"{name}_{layer}_{number}"])
                  for layer, of_layer in enumerate(parameters)
                  for number, one in enumerate(of_layer) for name, array in one._asdict().items()]
        so_far = file["losses"], file["accuracies"]
        if any(one.ndim != 1 or one.dtype != np.float64 for one in so_far):
            raise ValueError("losses and accuracies must be rows of float64 numbers")
        losses, accuracies = (one.tolist() for one in so_far)
        if len(accuracies) != len(losses) // steps:
            raise ValueError(f"it must hold an accuracy for each of its {len(losses) // steps} "
                             f"epochs, got {len(accuracies)}")
        state = json.loads(str(file["rng_state"]))
        type(rng.bit_generator)().state = state         # it raises here, if it is none
        for array, kept in arrays:
            if kept.shape != array.shape or kept.dtype != array.dtype:
                raise ValueError(f"an array must be {array.dtype} {array.shape}, got {kept.dtype} "
                                 f"{kept.shape}")
        for name, array in file.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} must hold finite numbers only")
            if name.startswith("v_") and array.min() < 0:
                raise ValueError(f"{name} must hold squares, got {array.min()}")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"checkpoint {path} cannot be used: {error}") from error
    begun = -(-len(losses) // steps)
    if begun > epochs:
        raise ValueError(f"epochs must be at least {begun}, as many as the checkpoint {path} has "
                         f"begun, got {epochs}")
    for array, kept in arrays:
        array[...] = kept
    rng.bit_generator.state = state
    return losses, accuracies


def _check_same(saved, of):
    for name in [*of, *saved]:
        if saved.get(name) != of.get(name):
            raise ValueError(f"it is of a run with another {name}: {saved.get(name)} there, "
                             f"{of.get(name)} here")


@contextmanager
def ctrl_c_waits() -> Iterator[threading.Event]:
    """Within it, Ctrl-C is only noted: yields an Event that is set by it.

    So a step is never cut in the middle, with one layer changed and another not yet. Outside of the
    main thread, which alone gets Ctrl-C, the Event is never set.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
