"""The activation functions: against torch, against finite differences, and in networks that are
trained, explained, centred and saved."""
import math
import subprocess
import sys
import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, arrays_of, slope
from lrp_numpy.layers.activations import (ACTIVATIONS, BUILT_IN, HIDDEN_ACTIVATIONS, at_zero,
                                          zero_centred_name)
from lrp_numpy.rules import RULES
from lrp_numpy.training import cross_entropy

NEW = ["leaky_relu", "elu", "selu", "gelu", "silu", "softplus"]
NOT_0_AT_0 = {"sigmoid": 0.5, "softplus": math.log(2)}
# Where z is large, small, nearly nothing, and where functions have their kink
Z = np.concatenate([np.linspace(-40, 40, 4001), np.random.default_rng(0).normal(size=1000),
                    [0.0, -0.0, 1e-300, -1e-300, 1e-9, -1e-9, 700.0, -700.0]])

on_every = pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
of_softplus_and_sigmoid = pytest.mark.filterwarnings(r"ignore:(softplus|sigmoid)\(0\) is")


def torchs(torch, name):
    nn = torch.nn.functional
    return {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
            "identity": lambda z: 1 * z, "leaky_relu": nn.leaky_relu, "elu": nn.elu,
            "selu": nn.selu, "gelu": nn.gelu, "silu": nn.silu,
            # torch's takes z for softplus(z) from 20 on, where they are 2e-9 apart
            "softplus": lambda z: nn.softplus(z, threshold=1000)}[name]


def test_the_choices_for_hidden_layers():
    assert set(NEW) < set(HIDDEN_ACTIVATIONS) < set(BUILT_IN)
    assert sorted(HIDDEN_ACTIVATIONS) == sorted([*NEW, "relu", "sigmoid", "tanh"])


@pytest.mark.parametrize("name", [*HIDDEN_ACTIVATIONS, "identity"])
def test_values_and_derivatives_of_torch(name):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    z = torch.tensor(Z, requires_grad=True)
    theirs = torchs(torch, name)(z)
    theirs.sum().backward()
    f, derivative = ACTIVATIONS[name]
    np.testing.assert_allclose(f(Z), theirs.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(derivative(Z, f(Z)), z.grad.numpy(), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", BUILT_IN)
def test_derivatives_by_finite_differences(name):
    """Away from 0, where some have a kink."""
    z, step = np.concatenate([np.linspace(-9, -0.01, 500), np.linspace(0.01, 9, 500)]), 1e-6
    f, derivative = ACTIVATIONS[name]
    slope = (f(z + step) - f(z - step)) / (2 * step)
    np.testing.assert_allclose(derivative(z, f(z)), slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept_and_nothing_overflows(name, dtype):
    f, derivative = ACTIVATIONS[name]
    with np.errstate(all="raise", under="ignore"):
        ends = np.array([-1e4, 0, 1e4], dtype)
        a = f(ends)
        slope = derivative(ends, a)
    assert a.dtype == slope.dtype == dtype and np.isfinite(a).all() and np.isfinite(slope).all()
    assert np.isnan(f(np.array([np.nan], dtype))).all()
    assert f(np.zeros((0, 3), dtype)).shape == (0, 3)
    z = Z[np.abs(Z) < 50]
    np.testing.assert_allclose(f(z.astype(np.float32)), f(z), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_an_activation_is_at_0(name):
    """LRP relies on f(0) = 0; the two for which it is something else can be centred."""
    expected = NOT_0_AT_0.get(name, 0.0)
    assert at_zero(name) == pytest.approx(expected, rel=1e-15) and (at_zero(name) == 0) == (
        expected == 0)
    centred = zero_centred_name(name)
    assert (centred == name) == (expected == 0) and at_zero(centred) == 0


@on_every
def test_f_of_a_number(name):
    """As a student calls it: f(0.0), not f(np.array([0.0]))."""
    f = ACTIVATIONS[name].f
    for z in (-1.5, 0.0, 2, 4.0):
        assert f(z) == f(np.array([float(z)]))[0]


def test_values_by_hand():
    """At -1 and 2, as the papers define them."""
    e, z = math.e, np.array([-1.0, 2.0])
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    for name, values in {
            "leaky_relu": [-0.01, 2], "elu": [1 / e - 1, 2],
            "selu": [scale * alpha * (1 / e - 1), 2 * scale],
            "gelu": [-(1 + math.erf(-1 / math.sqrt(2))) / 2, 1 + math.erf(math.sqrt(2))],
            "silu": [-1 / (1 + e), 2 / (1 + e**-2)],
            "softplus": [math.log(1 + 1 / e), math.log(1 + e**2)],
            "zero_centred_softplus": [math.log(1 + 1 / e) - math.log(2),
                                      math.log(1 + e**2) - math.log(2)]}.items():
        np.testing.assert_allclose(ACTIVATIONS[name].f(z), values, rtol=1e-14, err_msg=name)


def test_selu_keeps_mean_0_and_variance_1():
    """That is what its two constants are for: of z with a normal distribution."""
    z, width = np.linspace(-12, 12, 200_001, retstep=True)
    density = width * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    a = ACTIVATIONS["selu"].f(z)
    assert (a * density).sum() == pytest.approx(0, abs=1e-6)
    assert (a * a * density).sum() == pytest.approx(1, abs=1e-6)


def test_a_centred_softplus_is_accurate_near_0():
    """softplus(z) - log 2 = z/2 + z^2/8 - z^4/192 + z^6/2880 - ...; a difference of two numbers
    near 0.7 would have lost all digits at z = 1e-16."""
    f, derivative = ACTIVATIONS["zero_centred_softplus"]
    assert f(np.zeros(1))[0] == 0 and f(np.array([-0.0]))[0] == 0
    for size in (1e-300, 1e-16, 1e-12, 1e-8, 1e-5, 1e-3, 0.02):
        z = np.array([-size, size])
        series = z / 2 + z**2 / 8 - z**4 / 192 + z**6 / 2880
        np.testing.assert_allclose(f(z), series, rtol=1e-14)
    z = np.concatenate([np.linspace(0.02, 500, 999), np.linspace(-500, -0.02, 999)])
    np.testing.assert_allclose(f(z), np.logaddexp(0, z) - math.log(2), rtol=1e-13)
    np.testing.assert_allclose(derivative(z, f(z)), ACTIVATIONS["softplus"].derivative(z, 0 * z),
                               rtol=1e-15)
    # the share of a neuron's z that it hands on: between 0 and 1, and a half at 0
    share = f(z) / z
    assert (share > 0).all() and (share < 1).all() and np.all(np.diff(share[z > 0]) > 0)


# In networks

@on_every
@pytest.mark.parametrize("sizes", [[5, 4, 3], [4, 6, 5, 3]], ids=str)
def test_gradients_of_networks(random_case, name, sizes):
    net, x = random_case(sizes, name, seed=5)
    labels = np.arange(len(x)) % 3
    forward_pass = net.forward_pass(x)
    gradients = net.backward(forward_pass, cross_entropy(forward_pass.a[-1], labels)[1])
    for layer, pair in zip(net.layers, gradients, strict=True):
        for parameter, gradient in zip((layer.W, layer.b), pair, strict=True):
            for place in np.ndindex(parameter.shape):
                assert gradient[place] == pytest.approx(
                    slope(net, x, labels, parameter, place), rel=1e-5, abs=1e-8)


@on_every
@pytest.mark.parametrize("engine", ENGINES)
def test_networks_learn(name, engine):
    """Whether two numbers have the same sign, which no straight line separates."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = lrp.MLP.random([2, 24, 2], name, rng=1)
    history = lrp.train(net, lrp.Digits(x, labels, x, labels), 30, 20, 0.02, progress=False,
                        engine=engine)
    assert history.loss[0] > 0.5 > 0.3 > history.loss[-20:].mean() and history.accuracy[-1] > 0.9


@on_every
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
@of_softplus_and_sigmoid
def test_networks_are_explained(random_case, name, engine, rule):
    """Every ledger closes, and a neuron's relevance passes its activation unchanged: it is what
    the rule makes of the a and z of the forward pass."""
    net, x = random_case([6, 5, 4, 3], name, seed=1)
    e = lrp.explain(net, x, rule, engine=engine)
    a = net.activations(x)
    for number, row in enumerate(e.ledger):
        scale = np.abs(np.array(row)).max()
        np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-11 * scale)
        layer = net.layers[number]
        R = RULES[rule](a[number], layer.W, layer.b, e.relevance[number + 1])
        np.testing.assert_allclose(e.relevance[number], R, rtol=1e-8,
                                   atol=1e-10 * max(1, np.abs(R).max()))


@on_every
@pytest.mark.long
def test_a_cnn_takes_them_all(name):
    """Both engines train it to the same weights, and explain it the same."""
    rng = np.random.default_rng(0)
    x, labels = rng.random((40, 784)), rng.integers(0, 10, 40)
    nets = [lrp.lenet(0, name, (2, 3), 7, np.float64) for _ in ENGINES]
    for net, engine in zip(nets, ENGINES):
        lrp.train(net, lrp.Digits(x, labels, x, labels), 2, 20, progress=False, engine=engine)
    explanations = []
    for net, engine in zip(nets, ENGINES):
        # with padding, a convolution cannot collect f(0)
        with pytest.warns(UserWarning) if name in NOT_0_AT_0 else nullcontext():
            explanations.append(lrp.explain(net, x, "epsilon", engine=engine))
    one, other = explanations
    np.testing.assert_allclose(one.logits, other.logits, rtol=1e-8)
    for R, twin in zip(one.relevance, other.relevance):
        np.testing.assert_allclose(R, twin, rtol=1e-6, atol=1e-8 * np.abs(R).max())


@on_every
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_centring_changes_no_output(name, dtype, rtol):
    net = lrp.MLP.random([5, 7, 6, 3], name, rng=2, dtype=dtype)
    x = np.random.default_rng(0).normal(size=(20, 5)).astype(dtype)
    before, centred = arrays_of(net), lrp.zero_centred(net)
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=rtol, atol=rtol)
    assert all((one == other).all() for pair in zip(before, arrays_of(net))
               for one, other in zip(*pair))
    for a, centred_a in zip(net.activations(x)[1:-1], centred.activations(x)[1:-1]):
        np.testing.assert_allclose(centred_a, a - at_zero(name), atol=10 * np.finfo(dtype).eps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lrp.explain(centred, x, "gamma_generalized")


def test_f_of_0_is_warned_of():
    net = lrp.MLP.random([5, 4, 3], "softplus")
    with pytest.warns(UserWarning, match=r"softplus\(0\) is 0.693147.*zero_centred\(net\)"):
        lrp.explain(net, np.ones((2, 5), np.float32))


@on_every
def test_networks_are_saved_and_loaded(tmp_path, name):
    net = lrp.zero_centred(lrp.MLP.random([5, 4, 3], name))
    x = np.random.default_rng(0).random((6, 5), np.float32)
    net.save(tmp_path / "net.npz")
    back = lrp.Network.load(tmp_path / "net.npz")
    assert [layer.activation for layer in back.layers] == [zero_centred_name(name), "identity"]
    np.testing.assert_array_equal(back.forward(x), net.forward(x))


def test_a_centred_network_is_loaded_in_a_fresh_process(tmp_path):
    """There nobody has centred anything before, so its activation must be known."""
    x = np.random.default_rng(0).random((6, 5), np.float32)
    np.save(tmp_path / "x.npy", x)
    for name in NOT_0_AT_0:
        net = lrp.zero_centred(lrp.MLP.random([5, 4, 3], name))
        net.save(tmp_path / f"{name}.npz")
        code = ("import sys, numpy as np, lrp_numpy as lrp; net = lrp.Network.load(sys.argv[1]); "
                "e = lrp.explain(net, np.load(sys.argv[2]), 'gamma_generalized'); "
                "np.savez(sys.argv[3], logits=e.logits, R=e.input)")
        subprocess.run([sys.executable, "-W", "error", "-c", code, tmp_path / f"{name}.npz",
                        tmp_path / "x.npy", tmp_path / "e.npz"], check=True, timeout=60)
        e = lrp.explain(net, x, "gamma_generalized")
        with np.load(tmp_path / "e.npz") as there:
            np.testing.assert_array_equal(there["logits"], e.logits)
            np.testing.assert_array_equal(there["R"], e.input)


@pytest.mark.parametrize("name, f", [
    ("zero_centred_softplus", lambda z: math.log1p(math.exp(z)) - math.log(2)),
    ("zero_centred_sigmoid", lambda z: 1 / (1 + math.exp(-z)) - 0.5)])
def test_centred_activations_by_their_definition(name, f):
    z = np.linspace(-6, 6, 25)
    np.testing.assert_allclose(ACTIVATIONS[name].f(z), [f(one) for one in z], rtol=1e-10,
                               atol=1e-12)
