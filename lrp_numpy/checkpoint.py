"""Training that can be stopped and go on: what it has come to, in a file.

A checkpoint holds the weights, Adam's moments, the losses and accuracies so far, the state of the
random generator before the epoch that is under way, and an `identity`: what must be the same for
the run to go on as if it had never stopped.
"""
import hashlib
import json
import signal
import threading
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np

from lrp_numpy.files import read_arrays, written_whole

DIGITS = ("train_images", "train_labels", "test_images", "test_labels")


def identity(net, digits, rng, **settings):
    """{what: a text}: two runs with the same texts take the same steps."""
    return {"network": described(net)} | {
        name: fingerprint(getattr(digits, name)) for name in DIGITS} | {
        "rng": f"{type(rng.bit_generator).__name__} {_short_hash(state_of(rng).encode())}"} | {
        name: repr(value) for name, value in settings.items()}


def described(net):
    """The layers of a network without their numbers: "Dense W (784, 500) b (500,) relu ..."."""
    words = [str(net.dtype)]
    for layer in net.layers:
        words.append(type(layer).__name__)
        for field in fields(layer):
            value = getattr(layer, field.name)
            words += ([field.name, str(value.shape)] if isinstance(value, np.ndarray) else
                      [str(value)])
    return " ".join(words)


def fingerprint(array):
    """An array in a few words: its shape, its type, and the beginning of its SHA-256."""
    array = np.ascontiguousarray(array)
    return f"{array.shape} {array.dtype} {_short_hash(array)}"


def _short_hash(content):
    return hashlib.sha256(content).hexdigest()[:16]


def state_of(rng):
    """The state of a numpy.random.Generator as a text, for `save`."""
    return json.dumps(rng.bit_generator.state, default=lambda array: array.tolist())


def save(path, parameters, losses, accuracies, rng_state, of):
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


def load(path, parameters, rng, of):
    """Fill `parameters` from a checkpoint, put `rng` into its state; returns (losses, accuracies).

    Returns ([], []), and changes nothing, if there is no file yet. Raises ValueError, naming
    the file, for one that is no checkpoint, and for one whose identity differs: what differs is
    named, and nothing has been changed.
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
        state = json.loads(str(file["rng_state"]))
        type(rng.bit_generator)().state = state         # it raises here, if it is none
        for array, kept in arrays:
            if kept.shape != array.shape or kept.dtype != array.dtype:
                raise ValueError(f"an array must be {array.dtype} {array.shape}, got {kept.dtype} "
                                 f"{kept.shape}")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"checkpoint {path} cannot be used: {error}") from error
    for array, kept in arrays:
        array[...] = kept
    rng.bit_generator.state = state
    return [one.tolist() for one in so_far]


def _check_same(saved, of):
    for name in of.keys() | saved.keys():
        if saved.get(name) != of.get(name):
            raise ValueError(f"it is of a run with another {name}: {saved.get(name)} there, "
                             f"{of.get(name)} here")


@contextmanager
def ctrl_c_waits():
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
