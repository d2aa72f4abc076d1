"""Every equation against torch, layer by layer, in float64 to 1e-10. Skipped without torch."""
import numpy as np
import pytest

import lrp_numpy as lrp
import test_layers as layer_cases
from conftest import ENGINES, SHAPES, arrays_of, by_engine
from lrp_numpy.ops import choose
from lrp_numpy.training import Adam, cross_entropy, training_step

torch_reference = pytest.importorskip("torch_reference", exc_type=ImportError)

every_network = [pytest.mark.parametrize("sizes", SHAPES, ids=str),
                 pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"]),
                 pytest.mark.parametrize("engine", ENGINES),
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
    forward_pass = net.forward_pass(x, engine)
    loss, dlogits = choose(engine).cross_entropy(forward_pass.a[-1], labels)
    dW, db = zip(*net.backward(forward_pass, dlogits))
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


@pytest.mark.parametrize("activation", torch_reference.ACTIVATIONS)
@pytest.mark.parametrize("sizes", [[5, 4, 3], [7, 33, 40, 4]], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_activation_learns_as_in_torch(random_case, activation, sizes, engine):
    """Every gradient, and the first steps of Adam."""
    net, x = random_case(sizes, activation, 0)
    labels = np.random.default_rng(99).integers(0, sizes[-1], len(x))
    forward_pass = net.forward_pass(x, engine)
    loss, dlogits = cross_entropy(forward_pass.a[-1], labels)
    dW, db = zip(*net.backward(forward_pass, dlogits))
    their_loss, their_dW, their_db = torch_reference.loss_and_gradients(
        x, labels, *arrays_of(net), activation)
    assert loss == pytest.approx(their_loss, rel=1e-10)
    assert_equal_by_layer(dW, their_dW, "dW of layer")
    assert_equal_by_layer(db, their_db, "db of layer")
    their_W, their_b, their_losses = torch_reference.adam(
        x, labels, *arrays_of(net), activation, steps=5, learning_rate=0.01)
    history = lrp.train(net, lrp.Digits(x, labels, x, labels), 5, len(x), 0.01, progress=False,
                        engine=engine)
    np.testing.assert_allclose(history.loss, their_losses, rtol=1e-10)
    for ours, theirs in zip(arrays_of(net), (their_W, their_b)):
        for one, other in zip(ours, theirs):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("activation", torch_reference.ACTIVATIONS)
@pytest.mark.parametrize("sizes", [[9, 8, 7, 4], [7, 33, 40, 4]], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings(r"ignore:softplus\(0\) is")
def test_every_activation_is_explained_as_by_torch(random_case, activation, sizes, engine, rule):
    net, x = random_case(sizes, activation, 1)
    target = np.random.default_rng(0).integers(0, sizes[-1], len(x))
    e = lrp.explain(net, x, rule, target, engine=engine, **RULES[rule])
    theirs = torch_reference.relevance(x, *arrays_of(net), activation, target,
                                       [RULES[rule]] * len(net.layers))
    assert_equal_by_layer(e.relevance[::-1], theirs[::-1], "relevance, logits first:")


@pytest.mark.parametrize("numbers", [
    {}, {"learning_rate": 0.02}, {"beta1": 0.5}, {"beta2": 0.9}, {"epsilon": 1e-3},
    {"beta1": 0.0, "beta2": 0.5, "epsilon": 1e-2, "learning_rate": 0.1}], ids=str)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sizes", [[5, 4, 3], [7, 33, 40, 4]], ids=str)
def test_a_training_step_is_that_of_torchs_adam(random_case, numbers, engine, sizes):
    """A batch after another, for every number of Adam: weights, moments and losses."""
    torch = torch_reference.torch
    net, _ = random_case(sizes, "tanh", 0)
    rng, adam = np.random.default_rng(0), Adam(net, **numbers)
    batches = [(rng.normal(size=(6, sizes[0])), rng.integers(0, sizes[-1], 6)) for _ in range(8)]
    parameters = torch_reference.tensors([array for layer in net.layers
                                          for array in (layer.W, layer.b)], True)
    optimizer = torch.optim.Adam(parameters, lr=adam.learning_rate, eps=adam.epsilon,
                                 betas=(adam.beta1, adam.beta2))
    for x, labels in batches:
        loss = training_step(net, adam, x, labels, choose(engine))
        optimizer.zero_grad()
        logits = torch_reference.activations(torch.tensor(x), parameters[::2], parameters[1::2],
                                             "tanh")[-1]
        their_loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        their_loss.backward()
        optimizer.step()
        assert loss == pytest.approx(their_loss.item(), rel=1e-10)
    assert adam.t == 8
    triples = [one for of_layer in adam.state for one in of_layer]
    for (w, m, v), parameter in zip(triples, parameters, strict=True):
        kept = optimizer.state[parameter]
        for ours, theirs in ((w, parameter.detach()), (m, kept["exp_avg"]),
                             (v, kept["exp_avg_sq"])):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-9, atol=1e-12)


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


# Convolution and pooling

@layer_cases.on_every_shape
def test_convolution_and_its_gradients(shape, engine, seed):
    layer, a, dz = layer_cases.case(shape, seed)
    z, (da, dW, db) = torch_reference.gradients(
        lambda a, W, b: torch_reference.convolution(a, W, b, layer.stride, layer.padding),
        [a, layer.W, layer.b], dz)
    ops = choose(engine)
    assert_equal_by_layer([layer.preactivation(a, ops)], [z], "z")
    assert_equal_by_layer(layer.gradients(a, dz, ops), [dW, db], "gradient")
    assert_equal_by_layer([layer.backward(a, dz, ops)], [da], "da")


@layer_cases.on_every_shape
@pytest.mark.parametrize("rule", lrp.rules.RULES)
def test_convolution_under_every_rule(shape, engine, seed, rule):
    layer, a, R = layer_cases.case(shape, seed)
    a = np.abs(a) if rule == "gamma" else a
    parameters = layer_cases.PARAMETERS.get(rule, {})
    theirs = torch_reference.lrp_by_gradients(
        rule, a, layer.W, layer.b, R, lambda a, W: torch_reference.convolution(
            a, W, torch_reference.torch.zeros(W.shape[1], dtype=a.dtype), layer.stride,
            layer.padding), **parameters)
    ours, _ = by_engine(lrp.rules.RULES[rule], layer, a, R, engine, **parameters)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * (1 + np.abs(theirs).max()))


@pytest.mark.parametrize("rule", lrp.rules.RULES)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("K", [7, 40])
@pytest.mark.parametrize("seed", range(4))
def test_dense_under_every_rule(rule, engine, K, seed):
    rng = np.random.default_rng(seed)
    a, W, b, R = (rng.normal(size=size) for size in ((5, 8), (8, K), K, (5, K)))
    a = np.abs(a) if rule == "gamma" else a
    parameters = layer_cases.PARAMETERS.get(rule, {})
    theirs = torch_reference.lrp_by_gradients(rule, a, W, b, R, lambda a, W: a @ W, **parameters)
    ours, _ = by_engine(lrp.rules.RULES[rule], lrp.Dense(W, b, "relu"), a, R, engine, **parameters)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * (1 + np.abs(theirs).max()))


@pytest.mark.parametrize("size, stride", [(2, 2), (3, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(3))
def test_pooling_and_its_gradient(size, stride, kind, engine, seed):
    """After a ReLU, so that many squares have equal numbers."""
    rng = np.random.default_rng(seed)
    a = np.maximum(rng.normal(size=(3, 2, 8, 7)) - 0.5, 0)
    layer = {"max_pool2d": lrp.MaxPool2D, "avg_pool2d": lrp.AvgPool2D}[kind](size, stride)
    dz = rng.normal(size=(3, *layer.out_shape(a.shape[1:])))
    pool = getattr(torch_reference.torch.nn.functional, kind)
    z, (da,) = torch_reference.gradients(lambda a: pool(a, size, stride), [a], dz)
    ops = choose(engine)
    assert_equal_by_layer([layer.forward(a, ops), layer.backward(a, dz, ops)], [z, da], "")


def torch_cnn(net):
    """A function of x and all weights (W, b, W, b, ...) that gives the logits, in torch."""
    nn = torch_reference.torch.nn.functional
    activations = {"relu": nn.relu, "tanh": torch_reference.torch.tanh}

    def logits(x, *arrays):
        a, arrays = x, list(arrays)
        for layer in net.layers:
            if isinstance(layer, lrp.Unflatten):
                a = a.reshape(-1, *layer.shape)
            elif isinstance(layer, lrp.MaxPool2D):
                a = nn.max_pool2d(a, layer.size, layer.step)
            elif isinstance(layer, lrp.AvgPool2D):
                a = nn.avg_pool2d(a, layer.size, layer.step)
            elif isinstance(layer, lrp.Flatten):
                a = a.flatten(1)
            else:
                W, b = arrays.pop(0), arrays.pop(0)
                a = (torch_reference.convolution(a, W, b, layer.stride, layer.padding)
                     if isinstance(layer, lrp.Conv2D) else a @ W + b)
                a = activations.get(layer.activation, lambda a: a)(a)
        return a
    return logits


@pytest.mark.parametrize("pool", layer_cases.POOLS, ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(3))
def test_a_cnn_learns_as_torch_does(pool, activation, engine, seed):
    """Its gradients and ten steps of Adam."""
    torch = torch_reference.torch
    net, x = layer_cases.network(seed, activation, pool)
    labels = np.random.default_rng(seed).integers(0, 5, len(x))
    arrays = [getattr(layer, name) for layer in net.layers for name in layer.parameters]
    theirs = torch_reference.tensors(arrays, True)
    optimizer, losses, first = torch.optim.Adam(theirs, lr=0.01), [], None
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch_cnn(net)(torch.tensor(x), *theirs),
                                                 torch.tensor(labels))
        loss.backward()
        first = first or [one.grad.numpy().copy() for one in theirs]
        optimizer.step()
        losses.append(loss.item())
    forward_pass = net.forward_pass(x, engine)
    ours = net.backward(forward_pass, cross_entropy(forward_pass.a[-1], labels)[1])
    assert_equal_by_layer([one for of_layer in ours for one in of_layer], first, "gradient")
    history = lrp.train(net, lrp.Digits(x, labels, x, labels), epochs=10, batch_size=len(x),
                        learning_rate=0.01, progress=False, engine=engine)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    arrays = [getattr(layer, name) for layer in net.layers for name in layer.parameters]
    for one, other in zip(arrays, theirs):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pool", ["winner", "mean"])
@pytest.mark.parametrize("seed", range(3))
def test_lrp_0_is_gradient_times_input_for_a_cnn(pool, seed):
    """With the largest or the mean of each window: both are linear where ReLU is."""
    net, x = layer_cases.network(seed, "relu",
                                 lrp.AvgPool2D(2) if pool == "mean" else lrp.MaxPool2D(2))
    e = lrp.explain(net, x)
    arrays = [getattr(layer, name) for layer in net.layers for name in layer.parameters]
    one_hot = np.eye(5)[e.target]
    _, (dx, *_) = torch_reference.gradients(torch_cnn(net), [x, *arrays], one_hot)
    np.testing.assert_allclose(e.input, x * dx, rtol=1e-10, atol=1e-12 * np.abs(x * dx).max())
