"""The training loop: batches, Adam steps, progress, checkpoints."""
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.network import Network, run
from lrp_numpy.ops import reference
from lrp_numpy.ops.blas import one_core_free
from lrp_numpy.ops.reference import log_softmax
from lrp_numpy.training import checkpoint as checkpoints
from lrp_numpy.training.adam import Adam
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import label_indices
from lrp_numpy.utils.files import expanded
from lrp_numpy.utils.types import FilePath, Seed
from lrp_numpy.utils.validation import check_inputs, check_integer


class History(NamedTuple):
    """The course of a training run."""
    loss: np.ndarray        # (steps,) cross-entropy of each batch, in nats
    accuracy: np.ndarray    # (epochs,) accuracy on the test images after each epoch


@door
def softmax(logits: np.ndarray) -> np.ndarray:
    """p_k = exp(logit_k) / sum_k' exp(logit_k'), row by row (N, K)."""
    return np.exp(log_softmax(logits))


@door
def accuracy(net: Network, images: np.ndarray, labels: np.ndarray,
             engine: str | None = None) -> float:
    """The fraction of images (N, D) whose largest logit is that of the label (N,).

    Raises ValueError for no images, labels that do not fit, and whatever `forward` refuses.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    indices = label_indices(labels, len(images), net.sizes[-1], net.classes)
    return float((net.forward(images, engine).argmax(axis=1) == indices).mean())


@np.errstate(over="ignore", invalid="ignore")       # `train` checks the result
def training_step(net: Network, adam: Adam, x: np.ndarray, labels: np.ndarray,
                  ops: ModuleType = reference) -> float:
    """One step of training: forward, loss, backward and Adam, on the weights. Returns the loss.

    x (N, D), labels (N,): a batch, x of the network's type; ops: the engine, see `ops`. Goes from
    the last layer to the first; a layer's W changes as soon as dz has been propagated through it.
    """
    layers = [layer.keeping(trains=True) for layer in net.layers]
    a, z = run(layers, x, ops)
    loss, da = ops.cross_entropy(a[-1], labels)
    adam.t += 1
    first = net.first_trained
    for number in reversed(range(first, len(net.layers))):
        layer = layers[number]
        dz = layer.delta(z[number], a[number + 1], da, ops)
        if number > first:      # the derivatives below it are not needed
            da = layer.backward(a[number], dz, ops)
        layer.adam_step(a[number], dz, adam.state[number], adam.numbers, ops)
    return loss


def _labels_may_follow(train: Callable[..., History]) -> Callable[..., History]:
    """`train`, which takes images and labels side by side in place of digits, too."""
    @wraps(train)
    def with_labels(net, digits, *settings, **named):
        if settings and np.ndim(settings[0]) > 0:
            digits, settings = Digits(digits, settings[0], digits, settings[0]), settings[1:]
        return train(net, _as_digits(digits), *settings, **named)
    return with_labels


@_labels_may_follow
@door
def train(net: Network, digits: Any, epochs: int = 10, batch_size: int = 100,
          learning_rate: float = 1e-3, rng: Seed = 0, progress: bool = True,
          engine: str | None = None, checkpoint: FilePath | None = None) -> History:
    """Train `net` in place with Adam on the cross-entropy, and return its `History`.

    digits: anything with train_images (N, D), train_labels (N,), test_images, test_labels; a tuple
    of these four. Or two arguments, images and their labels, as in train(net, x, y, epochs=5): the
    accuracy in `History` is then that on the training images.

    Every epoch shuffles the training images with `rng` (a seed or a numpy.random.Generator); a
    batch is cast to the type of the network, and the last may be smaller. progress=True shows a bar
    on a terminal, or one line per epoch elsewhere, on stderr. engine: "numpy", "numba" or None, see
    `ops`: the results agree to rounding.

    checkpoint: a file, written before the first epoch, after each, and on Ctrl-C. If it exists,
    training resumes from it, and ends with the same bits as if it had never stopped; `epochs` may
    be larger. `net` must be as it was when that run began, or as that run left it; `rng` must be as
    it was at the start: the same seed, or a Generator in the same state.

    Each step is `training_step`: forward, cross-entropy, backward, Adam.

    Raises ValueError for settings or digits that do not fit, and for a checkpoint of another
    network, other digits, settings or seed; FloatingPointError when the loss, a weight or a moment
    is no longer finite: `net` is then useless, and the checkpoint is the last good one.
    """
    check_integer("epochs", epochs)
    check_integer("batch_size", batch_size)
    if not any(layer.parameters for layer in net.layers):
        raise ValueError(f"net must have a layer with weights to train, got {net!r}")
    adam = Adam(net, learning_rate)
    _check_digits(net, "train", digits.train_images, digits.train_labels)
    _check_digits(net, "test", digits.test_images, digits.test_labels)
    images, labels = digits.train_images, label_indices(
        digits.train_labels, len(digits.train_labels), net.sizes[-1], net.classes).astype(np.int64)
    if engine is None and checkpoint is not None:
        engine = checkpoints.engine_of(checkpoint)      # more epochs must not change the engine
    ops = net.choose_ops(engine, int(epochs) * len(images))
    engine = "numpy" if ops is reference else "numba"
    if not all(w.flags.carray for of_layer in adam.state for w, _, _ in of_layer):
        raise ValueError("W and b must be C-contiguous and writeable to be trained, as networks "
                         "make them")
    rng = np.random.default_rng(rng)
    batch_size = int(batch_size)
    test_labels = np.asarray(digits.test_labels)
    steps = -(-len(images) // batch_size)       # in an epoch
    losses: list[float] = []
    accuracies: list[float] = []
    save = None
    if checkpoint is not None:
        fingerprint = checkpoints.run_fingerprint(
            net, digits, rng, batch_size=batch_size, learning_rate=adam.learning_rate,
            engine=engine)
        losses, accuracies, fingerprint = checkpoints.load(checkpoint, adam.state, fingerprint,
                                                           steps, epochs)
        save = partial(checkpoints.save, checkpoint, adam.state, losses, accuracies, fingerprint)
        save()          # so that a file that cannot be written fails now
    for _ in accuracies:
        rng.permutation(len(images))    # the orders of the epochs already trained
    adam.t = len(losses)

    def check_weights():
        if not all(np.isfinite(array).all() for of_layer in adam.state for one in of_layer
                   for array in one):
            raise _diverged("a weight or its moment is not finite", losses, adam, checkpoint)

    with _progress(progress, epochs, steps, len(losses)) as show, _stop_between_steps(
            save, check_weights) as stop, one_core_free():
        for epoch in range(len(losses) // steps, epochs):
            order = rng.permutation(len(images))
            for start in range(batch_size * (len(losses) - epoch * steps), len(images), batch_size):
                stop()
                batch = order[start:start + batch_size]
                x = images.take(batch, axis=0).astype(net.dtype, copy=False)
                losses.append(training_step(net, adam, x, labels[batch], ops))
                if not np.isfinite(losses[-1]):
                    raise _diverged(f"the loss is {losses[-1]}", losses, adam, checkpoint)
                show()
            check_weights()
            try:
                accuracies.append(accuracy(net, digits.test_images, test_labels, engine))
            except FloatingPointError as error:
                raise _diverged(str(error), losses, adam, checkpoint) from error
            show(epoch + 1, losses[-1], accuracies[-1])
            if save:
                save()
            stop()
    return History(np.array(losses, np.float64), np.array(accuracies))


@contextmanager
def _progress(progress: bool, epochs: int, steps: int, begun: int) -> Iterator:
    """A function to call after each step, and after each epoch with its results: a bar on a
    terminal; elsewhere, in a notebook or a log, one line per epoch."""
    bar = tqdm(total=epochs * steps, initial=begun, desc="training", unit="step",
               disable=None if progress else True)

    def show(epoch=None, loss=0.0, accuracy=0.0):
        if epoch is None:
            bar.update()
        elif not bar.disable:
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.2%}")
        elif progress:
            print(f"epoch {epoch} of {epochs}: loss {loss:.3f}, accuracy {accuracy:.2%}",
                  file=sys.stderr, flush=True)

    with bar:
        yield show


@contextmanager
def _stop_between_steps(save, check_weights):
    """A function to call between steps: after Ctrl-C, it saves and raises KeyboardInterrupt.

    Weights that are not finite are not saved. Without a checkpoint, Ctrl-C stops as usual.
    """
    if save is None:
        yield lambda: None
        return
    with checkpoints.ctrl_c_waits() as asked:
        def stop():
            if asked.is_set():
                check_weights()
                save()
                raise KeyboardInterrupt
        yield stop


def _diverged(what, losses, adam, checkpoint):
    kept = "" if checkpoint is None or not expanded(checkpoint).exists() else (
        f"; the checkpoint {checkpoint} is from before")
    return FloatingPointError(f"training diverged: {what} at step {len(losses)}, with "
                              f"learning_rate={adam.learning_rate}; try a smaller one{kept}")


def _as_digits(digits):
    """`Digits` of what `train` takes."""
    if isinstance(digits, (tuple, list)) and len(digits) == len(Digits._fields):
        return Digits(*digits)
    if not all(hasattr(digits, name) for name in Digits._fields):
        raise ValueError(f"digits must have {', '.join(Digits._fields)}, or be a tuple of these, "
                         "or images that are followed by their labels, got "
                         f"{type(digits).__name__} without labels")
    return digits


def _check_digits(net, part, images, labels):
    check_inputs(images, net.sizes[0], f"{part}_images")
    if len(images) == 0:
        raise ValueError(f"{part}_images must hold at least one image, got none")
    if images.dtype.itemsize > net.dtype.itemsize:
        largest = max(images.max(), -images.min())
        if largest > np.finfo(net.dtype).max:
            raise ValueError(f"{part}_images must fit into {net.dtype}, the network's type, got "
                             f"{largest:g}")
    label_indices(labels, len(images), net.sizes[-1], net.classes, f"{part}_labels")
