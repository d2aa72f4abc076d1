"""What several test files need: random networks with non-zero biases, and the digits."""
import contextlib
import io
import os
import signal
import tracemalloc

import numpy as np
import pytest

os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("LRP_NUMPY_DATA", None)      # the tests see the same data everywhere

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:   # so a shell starts what runs behind it
    signal.signal(signal.SIGINT, signal.default_int_handler)

import lrp_numpy as lrp  # noqa: E402
from browser import chromium  # noqa: E402
from lrp_numpy import ops  # noqa: E402
from lrp_numpy.layers.base import LinearPart  # noqa: E402
from lrp_numpy.rules import LedgerRow  # noqa: E402
from lrp_numpy.training import cross_entropy  # noqa: E402

ENGINES = ["numpy", "numba"]
SHAPES = [[3, 2], [5, 4, 3], [1, 7, 2], [6, 1, 5], [9, 8, 7, 4], [7, 33, 40, 4]]


@pytest.fixture(scope="session")
def digits():
    return lrp.load_mnist()


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="session")
def trained(digits):
    """A ReLU network that knows its digits, trained quickly."""
    net = lrp.MLP.random([784, 60, 10], "relu", rng=1)
    lrp.train(net, digits, epochs=3, rng=1, progress=False)
    return net


@pytest.fixture
def random_case():
    """case(sizes, activation, seed, N): a float64 network with non-zero biases, and N inputs."""
    def case(sizes, activation, seed, N=6):
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=(D, K)) for D, K in zip(sizes[:-1], sizes[1:])]
        biases = [rng.normal(size=K) for K in sizes[1:]]
        x = rng.random((N, sizes[0]))
        x[rng.random(x.shape) < 0.3] = 0        # black pixels
        return lrp.MLP.from_arrays(weights, biases, activation), x
    return case


@pytest.fixture(params=ENGINES)
def each_engine(request, monkeypatch):
    """A test that uses it runs twice: what names no engine takes the equations, or the loops."""
    monkeypatch.setattr(ops, "LOOPS_FROM", {"numpy": np.inf, "numba": 0}[request.param])
    return request.param


def arrays_of(net):
    """([W1, W2, ...], [b1, b2, ...]) as copies."""
    return [layer.W.copy() for layer in net.layers], [layer.b.copy() for layer in net.layers]


def by_engine(rule, layer, a, R, engine, **parameters):
    """(R of the inputs, a LedgerRow of all uses of the four lines): one layer under one rule, as
    `explain` calls it."""
    module, ledger = ops.choose(engine), []
    part = LinearPart(layer, module, a, layer.linear(a, layer.W, layer.b, module))
    R_inputs = rule(a, layer.W, layer.b, R, layer=part, ledger=ledger, **parameters)
    return R_inputs, added_up(ledger)


def added_up(ledger):
    """One LedgerRow for all uses that a rule made of the four lines."""
    return LedgerRow(*[sum(parts) for parts in zip(*ledger)])


def slope(net, x, labels, parameter, place, step=1e-5):
    """How the loss changes with one number of a parameter of `net`, by finite differences."""
    losses, value = [], parameter[place]
    for h in (step, -step):
        parameter[place] = value + h
        losses.append(cross_entropy(net.forward(x), labels)[0])
    parameter[place] = value
    return (losses[0] - losses[1]) / (2 * step)


CLOSE = {np.float32: 1e-5, np.float64: 1e-10}
both_types = pytest.mark.parametrize("dtype", CLOSE)


def rows(width, dtype, N=20):
    """Numbers of both signs, as standardised data has them."""
    return np.random.default_rng(width).normal(size=(N, width)).astype(dtype)


def assert_same(net, x, theirs, atol=None):
    """The same outputs by both engines; and the class is that of its layers."""
    for engine in ENGINES:
        ours = net.forward(x, engine)
        assert ours.dtype == net.dtype == x.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol or CLOSE[x.dtype.type])
    assert type(net) is (lrp.MLP if all(type(layer) is lrp.Dense for layer in net.layers) else
                         lrp.Network)


def same(net, other):
    """Whether two networks have the same weights, to the bit."""
    return all((one.W == two.W).all() and (one.b == two.b).all()
               for one, two in zip(net.layers, other.layers))


@contextlib.contextmanager
def terminal():
    """Within it, stderr is a terminal, whose text is kept."""
    shown = io.StringIO()
    shown.isatty = lambda: True
    with contextlib.redirect_stderr(shown):
        yield shown


def most_memory(call):
    """How many bytes Python and NumPy take while `call()` runs, at the peak."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
