"""Every equation against torch, layer by layer, in float64 to 1e-10. Skipped without torch."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import SHAPES, arrays_of
from lrp_numpy.training import cross_entropy

torch_reference = pytest.importorskip("torch_reference", exc_type=ImportError)

every_network = [pytest.mark.parametrize("sizes", SHAPES, ids=str),
                 pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"]),
                 pytest.mark.parametrize("engine", ["numba", "numpy"]),
                 pytest.mark.parametrize("seed", range(3))]
RULES = {"0": {}, "epsilon": {"epsilon": 0.3}, "gamma": {"gamma": 0.7}}


def on_every_network(test):
    for mark in every_network:
        test = mark(test)
    return test


def assert_equal_by_layer(ours, theirs, what):
    """Name the first layer, from the one computed first, where two lists of arrays differ."""
    assert len(ours) == len(theirs)
    for number, (one, other) in enumerate(zip(ours, theirs)):
        # atol: the reference itself rounds at the scale of the largest entry
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12 * np.abs(other).max(),
                                   err_msg=f"{what} {number}")


@on_every_network
def test_activations(random_case, sizes, activation, engine, seed):
    net, x = random_case(sizes, activation, seed)
    weights, biases = arrays_of(net)
    theirs = torch_reference.activations(
        *torch_reference.tensors([x]), torch_reference.tensors(weights),
        torch_reference.tensors(biases), activation)
    assert_equal_by_layer(net.activations(x, engine), [a.numpy() for a in theirs], "activation")


@on_every_network
def test_loss_and_every_gradient(random_case, sizes, activation, engine, seed):
    net, x = random_case(sizes, activation, seed)
    labels = np.random.default_rng(seed + 99).integers(0, sizes[-1], len(x))
    a = net.activations(x, engine)
    loss, dlogits = cross_entropy(a[-1], labels)
    dW, db = zip(*net.backward(a, dlogits))
    their_loss, their_dW, their_db = torch_reference.loss_and_gradients(
        x, labels, *arrays_of(net), activation)
    assert loss == pytest.approx(their_loss, rel=1e-10)
    assert_equal_by_layer(dW, their_dW, "dW of layer")
    assert_equal_by_layer(db, their_db, "db of layer")


@on_every_network
def test_many_steps_of_adam(random_case, sizes, activation, engine, seed):
    net, x = random_case(sizes, activation, seed)
    labels = np.random.default_rng(seed + 99).integers(0, sizes[-1], len(x))
    # Adam divides by sqrt(v): where a gradient is nearly 0 it magnifies rounding, step after step,
    # and among the 1,700 weights of the widest network there is such a one
    steps = 50 if max(sizes) < 10 else 10
    their_W, their_b, their_losses = torch_reference.adam(
        x, labels, *arrays_of(net), activation, steps=steps, learning_rate=0.01)
    digits = lrp.Digits(x, labels, x, labels)
    # rng only shuffles, and a batch of everything has the same gradient in any order
    history = lrp.train(net, digits, epochs=steps, batch_size=len(x), learning_rate=0.01,
                        progress=False, engine=engine)
    weights, biases = arrays_of(net)
    np.testing.assert_allclose(history.loss, their_losses, rtol=1e-10)
    for ours, theirs in ((weights, their_W), (biases, their_b)):
        for number, (one, other) in enumerate(zip(ours, theirs)):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12,
                                       err_msg=f"layer {number}")


@on_every_network
@pytest.mark.parametrize("rule", RULES)
def test_every_relevance(random_case, sizes, activation, engine, seed, rule):
    net, x = random_case(sizes, activation, seed)
    target = np.random.default_rng(seed).integers(0, sizes[-1], len(x))
    e = lrp.explain(net, x, rule, target, engine=engine, **RULES[rule])
    theirs = torch_reference.relevance(x, *arrays_of(net), activation, target,
                                       [RULES[rule]] * len(net.layers))
    assert_equal_by_layer(e.relevance[::-1], theirs[::-1], "relevance, logits first:")


@pytest.mark.parametrize("seed", range(3))
def test_a_rule_for_each_layer(random_case, seed):
    net, x = random_case([9, 8, 7, 4], "relu", seed)
    e = lrp.explain(net, x, ["gamma", "epsilon", "0"], gamma=0.5, epsilon=0.1)
    theirs = torch_reference.relevance(x, *arrays_of(net), "relu", e.target,
                                       [{"gamma": 0.5}, {"epsilon": 0.1}, {}])
    assert_equal_by_layer(e.relevance[::-1], theirs[::-1], "relevance, logits first:")


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_lrp_0_is_gradient_times_input_for_relu(random_case, sizes, seed):
    net, x = random_case(sizes, "relu", seed)
    e = lrp.explain(net, x, "0")
    theirs = torch_reference.gradient_times_input(x, *arrays_of(net), "relu", e.target)
    np.testing.assert_allclose(e.input, theirs, rtol=1e-10, atol=1e-12 * np.abs(theirs).max())


def test_the_trained_network(trained, digits):
    """Real digits, in float32, to what float32 can hold."""
    x = digits.test_images[:200]
    for rule, settings in RULES.items():
        e = lrp.explain(trained, x, rule, **settings)
        theirs = torch_reference.relevance(
            x.astype(np.float64), *[[array.astype(np.float64) for array in arrays]
                                    for arrays in arrays_of(trained)],
            "relu", e.target, [settings] * 2)
        close = np.abs(e.input - theirs[0]).max(axis=1) <= 1e-3 * np.abs(theirs[0]).max(axis=1)
        # LRP-0 has no bound where z is nearly 0: a few images may differ more
        assert close.mean() >= 0.98, rule
