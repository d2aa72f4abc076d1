"""`warmup`: compile every loop, so that nobody waits for it later."""
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.explanation import explain
from lrp_numpy.models.lenet import lenet
from lrp_numpy.models.resnet import resnet
from lrp_numpy.models.transformer import transformer
from lrp_numpy.network import MLP, Network
from lrp_numpy.ops import when_compiling
from lrp_numpy.rules import RULES
from lrp_numpy.training.train import train


def warm_up() -> Iterator[str]:
    """Use every loop on a few random digits, in float32. Yields a line after each kind of network:
    the seconds that it took, and how many functions were compiled (0: all were on disk)."""
    for name, use in JOBS.items():
        began, compiled = time.perf_counter(), list[None]()
        with warnings.catch_warnings(), when_compiling(partial(compiled.append, None)):
            warnings.simplefilter("ignore")     # of rules that are not made for these numbers
            use()
        yield f"{name}: {time.perf_counter() - began:.1f} s, {len(compiled)} functions compiled"


def _train_and_explain(net: Network) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.random((200, 784), np.float32), rng.integers(0, 10, 200)
    train(net, Digits(images, labels, images[:20], labels[:20]), 1, progress=False, engine="numba")
    for rule in RULES:
        explain(net, images[:20], rule, engine="numba")


def _distances_and_histograms() -> None:
    from lrp_numpy.ops import kernels       # here, because importing numba is slow
    a = np.ones((3, 4), np.float32)
    kernels.shares_of_distances(a, a, a[:, :3].copy())
    kernels.sum_kernel(a, a.T.copy(), "chi2")
    kernels.sum_kernel_shares(a, a.T.copy(), a[:, :3].copy(), "chi2")


JOBS: dict[str, Callable[[], None]] = {
    "dense layers": lambda: _train_and_explain(MLP.random([784, 64, 40, 10], "relu")),
    # of few weights, and of many: their gradients have a loop each
    "convolutions": lambda: _train_and_explain(lenet(channels=(8, 32))),
    "batch normalization": lambda: _train_and_explain(resnet()),
    "tokens and attention": lambda: _train_and_explain(transformer()),
    "distances and histograms": _distances_and_histograms}
