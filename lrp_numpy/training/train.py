"""Cross-entropy, Adam and the training loop."""
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lrp_numpy.training import checkpoint as checkpoints
from lrp_numpy.ops import kernels
from lrp_numpy.training.checkpoint import Parameter, Parameters
from lrp_numpy.utils.validation import as_float, check_choice, check_inputs, check_integer, check_labels
from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.utils.types import FilePath, Seed
from lrp_numpy.network import Network


class History(NamedTuple):
    """What training looked like."""
    loss: np.ndarray        # (steps,) cross-entropy of each batch, in nats
    accuracy: np.ndarray    # (epochs,) fraction of the test images that is right after each epoch


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log p_k = logit_k - log sum_k' exp(logit_k'), row by row (N, K)."""
    shifted = logits - logits.max(axis=1, keepdims=True)    # the same p, and exp cannot overflow
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """p_k = exp(logit_k) / sum_k' exp(logit_k'), row by row (N, K)."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss of a batch and its derivative, from logits (N, K) and labels (N,) in 0..K-1.

        loss    = -1/N sum_n log p[n, labels[n]]                (nats)
        dlogits = 1/N (p - one_hot(labels))                     (N, K)
    """
    log_p = log_softmax(logits)
    rows = np.arange(len(labels))
    loss = -log_p[rows, labels].mean()
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return loss, dlogits / len(labels)


def adam_step(w: np.ndarray, gradient: np.ndarray, m: np.ndarray, v: np.ndarray, t: int,
              learning_rate: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
              epsilon: float = 1e-8) -> None:
    """Step t = 1, 2, ... of Adam; changes w, m and v (arrays of one shape) in place.

        m <- beta1 m + (1 - beta1) g            running mean of the gradient
        v <- beta2 v + (1 - beta2) g^2          and of its square
        m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
        w <- w - learning_rate m^ / (sqrt(v^) + epsilon)

    Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """
    m[...] = beta1 * m + (1 - beta1) * gradient
    v[...] = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w -= learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


def accuracy(net: Network, images: np.ndarray, labels: np.ndarray, engine: str = "numba") -> float:
    """The fraction of images (N, D) whose largest logit is that of the label (N,).

    Raises ValueError for no images at all, labels that do not fit, and what `forward` refuses.
    """
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    check_labels(labels, len(images), net.sizes[-1])
    return float((net.predict(images, engine) == labels).mean())


def trainable(net: Network) -> Parameters:
    """[(W, b), ...]: the arrays of `net` as Parameters without a past, one tuple a layer."""
    arrays = [[getattr(layer, name) for name in layer.parameters] for layer in net.layers]
    return [tuple(Parameter(w, np.zeros_like(w), np.zeros_like(w)) for w in of_layer)
            for of_layer in arrays]


def step_by_equations(net: Network, parameters: Parameters, x: np.ndarray, labels: np.ndarray,
                      t: int, learning_rate: float) -> float:
    """One step of training, number t = 1, 2, ...: changes the parameters, returns the loss.

    x (N, D), labels (N,): a batch, x of the network's type; parameters: what `trainable` gave for
    `net`.
    """
    a = net.activations(x, engine="numpy")
    loss, dlogits = cross_entropy(a[-1], labels)
    for gradients, pair in zip(net.backward(a, dlogits), parameters):
        for gradient, (w, m, v) in zip(gradients, pair):
            adam_step(w, gradient, m, v, t, learning_rate)
    return loss


def step_by_loops(net: Network, parameters: Parameters, x: np.ndarray, labels: np.ndarray, t: int,
                  learning_rate: float) -> float:
    """The same by kernels.py. A layer's W is changed as soon as dz has been handed down through it,
    and its gradient is used up row by row."""
    a = net.activations(x)
    loss, da = kernels.cross_entropy(a[-1], labels)
    for number in reversed(range(net.first_trained, len(net.layers))):
        layer = net.layers[number]
        dz = layer.delta(a[number + 1], da)
        if number > net.first_trained:      # nobody asks for the derivatives below it
            da = layer.backward(a[number], dz, "numba")
        layer.descend(a[number], dz, parameters[number], t, learning_rate)
    return loss


STEPS = {"numpy": step_by_equations, "numba": step_by_loops}


def train(net: Network, digits: Digits, epochs: int = 10, batch_size: int = 100,
          learning_rate: float = 1e-3, rng: Seed = 0, progress: bool = True, engine: str = "numba",
          checkpoint: FilePath | None = None) -> History:
    """Train `net` in place with Adam on the cross-entropy, and return its `History`.

    digits: anything with train_images (N, D), train_labels (N,), test_images, test_labels. Every
    epoch shuffles the training images with `rng` (a seed or a numpy.random.Generator); a batch is
    cast to the type of the network, and the last may be smaller. progress=False hides the bar on
    stderr; engine="numpy" takes the equations instead of the loops in kernels.py, the same to
    rounding, but slower.

    checkpoint: a file, written before the first epoch, after each, and on Ctrl-C. If it is there
    already, training goes on from it, and ends with the same bits as if it had never stopped;
    `epochs` may be more. `net` must be as it was when that run began, or as that run left it;
    `rng`, as it was then: a seed, or a Generator in that state.

    Each step is forward, cross_entropy, backward and adam_step.

    Raises ValueError for settings or digits that do not fit, and for a checkpoint of another
    network, other digits, settings or seed; FloatingPointError when the loss, a weight or a moment
    is no longer finite: `net` is then of no more use, and the checkpoint is the last good one.
    """
    check_integer("epochs", epochs)
    check_integer("batch_size", batch_size)
    if not 0 < as_float(learning_rate) < np.inf:
        raise ValueError(f"learning_rate must be a finite number above 0, got {learning_rate!r}")
    _check_digits(net, "train", digits.train_images, digits.train_labels)
    _check_digits(net, "test", digits.test_images, digits.test_labels)
    check_choice("engine", engine, STEPS)
    parameters, real = trainable(net), net.dtype
    if not all(one.w.flags.carray for of_layer in parameters for one in of_layer):
        raise ValueError("W and b must be C-contiguous and writeable to be trained, as networks "
                         "make them")
    rng = np.random.default_rng(rng)
    batch_size, learning_rate = int(batch_size), float(learning_rate)
    images, labels = digits.train_images, np.asarray(digits.train_labels).astype(np.int64)
    test_labels = np.asarray(digits.test_labels)
    steps = -(-len(images) // batch_size)       # in an epoch
    losses: list[float] = []
    accuracies: list[float] = []
    save = None
    if checkpoint is not None:
        identity = checkpoints.identity(net, digits, rng, batch_size=batch_size,
                                        learning_rate=learning_rate, engine=engine)
        losses, accuracies, identity = checkpoints.load(checkpoint, parameters, identity, steps,
                                                        epochs)
        save = partial(checkpoints.save, checkpoint, parameters, losses, accuracies, identity)
        save()          # so that a file that cannot be written is found out now
    for _ in accuracies:
        rng.permutation(len(images))    # the orders of the epochs that are behind

    def check_weights():
        if not all(np.isfinite(array).all() for of_layer in parameters for one in of_layer
                   for array in one):
            raise _diverged("a weight or its moment is not finite", losses, learning_rate,
                            checkpoint)

    with tqdm(total=epochs * steps, initial=len(losses), desc="training", unit="step",
              disable=not progress) as bar, _stop_between_steps(save, check_weights) as stop:
        for epoch in range(len(losses) // steps, epochs):
            order = rng.permutation(len(images))
            for start in range(batch_size * (len(losses) - epoch * steps), len(images), batch_size):
                stop()
                batch = order[start:start + batch_size]
                x = images.take(batch, axis=0).astype(real, copy=False)
                losses.append(STEPS[engine](net, parameters, x, labels[batch], len(losses) + 1,
                                            learning_rate))
                if not np.isfinite(losses[-1]):
                    raise _diverged(f"the loss is {losses[-1]}", losses, learning_rate, checkpoint)
                bar.update()
            check_weights()
            try:
                accuracies.append(accuracy(net, digits.test_images, test_labels, engine))
            except FloatingPointError as error:
                raise _diverged(str(error), losses, learning_rate, checkpoint) from error
            bar.set_postfix(loss=f"{losses[-1]:.3f}", accuracy=f"{accuracies[-1]:.2%}")
            if save:
                save()
            stop()
    return History(np.array(losses, np.float64), np.array(accuracies))


@contextmanager
def _stop_between_steps(save, check_weights):
    """A function to be called between steps: after Ctrl-C, it saves and raises KeyboardInterrupt.

    What is not finite is not saved. Without a checkpoint to save to, Ctrl-C stops as always.
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


def _diverged(what, losses, learning_rate, checkpoint):
    kept = "" if checkpoint is None or not Path(checkpoint).exists() else (
        f"; the checkpoint {checkpoint} is from before")
    return FloatingPointError(f"training diverged: {what} at step {len(losses)}, with "
                              f"learning_rate={learning_rate}; try a smaller one{kept}")


def _check_digits(net, part, images, labels):
    check_inputs(images, net.sizes[0], f"{part}_images")
    if len(images) == 0:
        raise ValueError(f"{part}_images must hold at least one image, got none")
    if images.dtype.itemsize > net.dtype.itemsize:
        largest = max(images.max(), -images.min())
        if largest > np.finfo(net.dtype).max:
            raise ValueError(f"{part}_images must fit into {net.dtype}, the network's type, got "
                             f"{largest:g}")
    check_labels(labels, len(images), net.sizes[-1], f"{part}_labels")
