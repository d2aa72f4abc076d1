"""Convolution, pooling and flattening: against torch, against loops, and against Dense layers."""
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, added_up, by_engine, slope
from lrp_numpy.ops import choose, kernels, reference
from lrp_numpy.rules import RULES, propagate
from lrp_numpy.training import cross_entropy

# C, K, H, W, h, w, stride, padding: more columns than rows and the other way round, a kernel as
# large as the image, steps that leave pixels over, more padding than a step
SHAPES = [(1, 1, 1, 1, 1, 1, 1, 0), (1, 2, 5, 5, 3, 3, 1, 0), (2, 3, 6, 5, 3, 2, 1, 1),
          (3, 9, 7, 8, 2, 3, 2, 0), (2, 2, 5, 5, 5, 5, 1, 0), (2, 3, 8, 7, 3, 3, 2, 1),
          (1, 8, 9, 9, 2, 2, 3, 2), (2, 4, 4, 9, 4, 2, 3, 0), (8, 3, 12, 12, 5, 5, 1, 0)]
PARAMETERS = {"epsilon": {"epsilon": 0.3}, "gamma": {"gamma": 0.7},
              "gamma_generalized": {"gamma": 0.7}, "alpha_beta": {"alpha": 1.5, "beta": 0.5},
              "z_box": {"low": -1.0, "high": 2.0}}


def on_every_shape(test):
    for mark in (pytest.mark.parametrize("shape", SHAPES, ids=str),
                 pytest.mark.parametrize("engine", ENGINES),
                 pytest.mark.parametrize("seed", range(3))):
        test = mark(test)
    return test


def case(shape, seed, N=3):
    """A Conv2D with non-zero biases, images of both signs with zeros, and dz or R."""
    C, K, H, W, h, w, stride, padding = shape
    rng = np.random.default_rng([seed, *shape])
    layer = lrp.Conv2D(rng.normal(size=(C, K, h, w)), rng.normal(size=(K, 1, 1)), "identity",
                       stride, padding)
    a = rng.normal(size=(N, C, H, W)) * (rng.random((N, C, H, W)) < 0.7)
    return layer, a, rng.normal(size=(N, *layer.out_shape((C, H, W))))


def assert_close(ours, theirs, what=""):
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12 * np.abs(theirs).max(),
                               err_msg=what)


def by_loops(layer, a):
    """z, one product after another."""
    C, K, h, w = layer.W.shape
    N, _, H, W = a.shape
    z = np.zeros((N, *layer.out_shape(a.shape[1:])))
    for n, k, y, x in np.ndindex(z.shape):
        for c, i, j in np.ndindex(C, h, w):
            row = y * layer.stride + i - layer.padding
            column = x * layer.stride + j - layer.padding
            if 0 <= row < H and 0 <= column < W:
                z[n, k, y, x] += a[n, c, row, column] * layer.W[c, k, i, j]
        z[n, k, y, x] += layer.b[k, 0, 0]
    return z


def unfolded(W, layer, shape):
    """The matrix (D, K') of a convolution by W: row for a pixel, column for an output."""
    C, K, h, w = W.shape
    out = layer.out_shape(shape)
    matrix = np.zeros((np.prod(shape), np.prod(out)))
    for column, (k, y, x) in enumerate(np.ndindex(out)):
        for c, i, j in np.ndindex(C, h, w):
            row = y * layer.stride + i - layer.padding
            of_row = x * layer.stride + j - layer.padding
            if 0 <= row < shape[1] and 0 <= of_row < shape[2]:
                matrix[np.ravel_multi_index((c, row, of_row), shape), column] = W[c, k, i, j]
    return matrix


@on_every_shape
def test_convolution_equals_its_loops(shape, engine, seed):
    layer, a, _ = case(shape, seed)
    ops = choose(engine)
    assert_close(layer.preactivation(a, ops), by_loops(layer, a))
    assert_close(layer.linear(a, -layer.W, 0 * layer.b, ops), layer.b - by_loops(layer, a))


def test_convolution_by_hand():
    """One image of 3 x 3 and the kernel [[1, 2], [0, -1]]; b = 10."""
    a = np.arange(9.0).reshape(1, 1, 3, 3)      # 0 1 2 / 3 4 5 / 6 7 8
    W, b = np.array([[[[1.0, 2.0], [0.0, -1.0]]]]), np.full((1, 1, 1), 10.0)
    layer = lrp.Conv2D(W, b, "identity")
    # 0 + 2 - 4, 1 + 4 - 5, 3 + 8 - 7, 4 + 10 - 8
    for engine in ENGINES:
        ops = choose(engine)
        assert layer.preactivation(a, ops).tolist() == [[[[8, 10], [14, 16]]]]
        back = layer.backward(a, np.array([[[[1.0, 0.0], [0.0, 1.0]]]]), ops)
        assert back.tolist() == [[[[1, 2, 0], [0, 0, 2], [0, 0, -1]]]]


@on_every_shape
def test_transpose_is_the_transposed_matrix(shape, engine, seed):
    layer, a, s = case(shape, seed)
    matrix = unfolded(layer.W, layer, a.shape[1:])
    c = layer.transpose(s, layer.W, a.shape, choose(engine))
    assert_close(c.reshape(len(a), -1), s.reshape(len(s), -1) @ matrix.T)


@on_every_shape
@pytest.mark.parametrize("rule", RULES)
def test_a_convolution_is_a_dense_layer(shape, engine, seed, rule):
    """Under every rule and with every row of the ledger: of its matrix, whose zeros are no weights
    (that is for flat, which gives every weight a 1)."""
    layer, a, R = case(shape, seed)
    if rule == "gamma":
        a = np.abs(a)
    parameters, N = PARAMETERS.get(rule, {}), len(a)
    b = np.repeat(layer.b.ravel(), R[0, 0].size)
    rows, expected = a.reshape(N, -1), []
    if rule == "flat":
        matrix = unfolded(np.ones_like(layer.W), layer, a.shape[1:])
        of_rows = propagate(np.ones_like(rows), matrix, 0 * b, R.reshape(N, -1), ledger=expected)
    else:
        matrix = unfolded(layer.W, layer, a.shape[1:])
        of_rows = RULES[rule](rows, matrix, b, R.reshape(N, -1), ledger=expected, **parameters)
    ours, row = by_engine(RULES[rule], layer, a, R, engine, **parameters)
    scale = 1 + np.abs(of_rows).max()       # contributions cancel: alpha-beta, gamma generalised
    np.testing.assert_allclose(ours.reshape(N, -1), of_rows, rtol=1e-10, atol=1e-11 * scale)
    np.testing.assert_allclose(row, added_up(expected), rtol=1e-10, atol=1e-11 * scale)
    np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-11 * scale)
    if engine == "numpy":       # as a user calls it, with the layer itself
        ledger = []
        plain = RULES[rule](a, layer.W, layer.b, R, layer=layer, ledger=ledger, **parameters)
        np.testing.assert_array_equal(plain, ours)
        np.testing.assert_array_equal(added_up(ledger), row)


@pytest.mark.parametrize("size, stride", [(1, 1), (2, 2), (3, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(3))
def test_pooling_equals_its_loops(size, stride, engine, seed):
    """Forward and back, with equal numbers in a square."""
    rng = np.random.default_rng(seed)
    a = np.maximum(rng.integers(-2, 4, (3, 2, 7, 8)), 0).astype(float)
    largest, mean = lrp.MaxPool2D(size, stride), lrp.AvgPool2D(size, stride)
    out = largest.out_shape(a.shape[1:])
    dz = rng.normal(size=(3, *out))
    z, average, da, da_average = np.zeros_like(dz), np.zeros_like(dz), 0 * a, 0 * a
    for n, c, y, x in np.ndindex(dz.shape):
        best, winner = -np.inf, None
        for i, j in np.ndindex(size, size):
            place = n, c, y * stride + i, x * stride + j
            average[n, c, y, x] += a[place] / size**2
            da_average[place] += dz[n, c, y, x] / size**2
            if a[place] > best:
                best, winner = a[place], place
        z[n, c, y, x] = best
        da[winner] += dz[n, c, y, x]
    ops = choose(engine)
    assert (largest.forward(a, ops) == z).all()
    assert_close(largest.backward(a, dz, ops), da)
    assert_close(mean.forward(a, ops), average)
    assert_close(mean.backward(a, dz, ops), da_average)


@pytest.mark.parametrize("engine", ENGINES)
def test_max_pool_does_not_hide_nan(engine):
    for place in np.ndindex(2, 2):
        a = np.ones((1, 1, 2, 2))
        a[(0, 0, *place)] = np.nan
        assert np.isnan(lrp.MaxPool2D(2).forward(a, choose(engine))).all()


def test_flatten_and_back():
    a = np.arange(24.0).reshape(2, 3, 2, 2)
    rows = lrp.Flatten().forward(a)
    assert rows.tolist() == [list(range(12)), list(range(12, 24))]
    assert (lrp.Flatten().backward(a, rows) == a).all()
    assert (lrp.Unflatten((3, 2, 2)).forward(rows) == a).all()
    assert (lrp.Unflatten((3, 2, 2)).backward(rows, a) == rows).all()


# Networks

def network(seed, activation="relu", pool=lrp.MaxPool2D(2), dtype=np.float64):
    """Two convolutions, one with stride and padding, and two Dense layers, with large biases."""
    rng = np.random.default_rng(seed)
    net = lrp.Network([
        lrp.Unflatten((2, 9, 8)), lrp.Conv2D.random(2, 3, 3, activation, rng, dtype=dtype), pool,
        lrp.Conv2D.random(3, 4, 2, activation, rng, stride=2, padding=1, dtype=dtype),
        lrp.Flatten(), lrp.Dense.random(16, 7, activation, rng, dtype),
        lrp.Dense.random(7, 5, "identity", rng, dtype)])
    for layer in net.layers:
        if layer.parameters:
            layer.b[...] = rng.normal(size=layer.b.shape)
    x = rng.random((6, 144)).astype(dtype)
    x[rng.random(x.shape) < 0.3] = 0
    return net, x


POOLS = [lrp.MaxPool2D(2), lrp.MaxPool2D(2, rule="average"), lrp.AvgPool2D(2)]
GIVEN = lrp.AvgPool2D(2, rule="given")


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("each_engine")
def test_a_network_is_one_of_dense_layers(pool, activation, seed):
    """The same logits, and for a random rule for each layer the same relevance of every neuron,
    as of the network in which each convolution is a Dense layer."""
    net, x = network(seed, activation, pool)
    rules = ["z_box", ("gamma_generalized", {"gamma": 0.3}), "epsilon", "alpha_beta"]
    e = lrp.explain(net, x, rules, epsilon=0.2)
    twins = []
    for layer, shape in zip(net.layers, net.shapes):
        if isinstance(layer, lrp.Conv2D):
            out = layer.out_shape(shape)
            twins += [lrp.Flatten(),
                      lrp.Dense(unfolded(layer.W, layer, shape),
                                np.repeat(layer.b.ravel(), np.prod(out[1:])), activation),
                      lrp.Unflatten(out)]
        else:
            twins.append(layer)
    twin = lrp.explain(lrp.Network(twins), x, rules, epsilon=0.2)
    assert_close(e.logits, twin.logits)
    theirs = {R.shape[1:]: R for R in twin.relevance}
    for R in e.relevance:
        np.testing.assert_allclose(R, theirs[R.shape[1:]], rtol=1e-8,
                                   atol=1e-10 * np.abs(R).max())


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("rule", [*RULES, "overview", "deep_taylor", "epsilon_plus_flat",
                                  "epsilon_gamma_box"])
@pytest.mark.parametrize("seed", range(2))
def test_both_engines_and_the_ledger(pool, rule, seed):
    net, x = network(seed, "relu", pool)
    ours, equation = (lrp.explain(net, x, rule, engine=engine) for engine in ("numba", "numpy"))
    assert [R.shape[1:] for R in ours.relevance] == net.shapes
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    for number, (one, other) in enumerate(zip(ours.ledger, equation.ledger)):
        scale = np.abs(np.array(other)).max()
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-8, atol=1e-10 * scale)
        np.testing.assert_allclose(one.received, sum(one[1:]), rtol=1e-10, atol=1e-12 * scale)
        for row, R in ((one.received, ours.relevance[number + 1]),
                       (one.inputs, ours.relevance[number])):
            np.testing.assert_allclose(row, R.reshape(len(x), -1).sum(axis=1), rtol=1e-10,
                                       atol=1e-12 * scale)


def test_winner_and_average_by_hand():
    """A square of 1, 3, 0, 0 with R = 8: all to the 3, or 2 and 6."""
    x = np.array([[1.0, 3.0, 0.0, 0.0]])
    for how, expected in (("winner", [[0, 8, 0, 0]]), ("average", [[2, 6, 0, 0]])):
        pool = lrp.MaxPool2D(2, rule=how)
        net = lrp.Network([lrp.Unflatten((1, 2, 2)), pool, lrp.Flatten()])
        for engine in ENGINES:
            e = lrp.explain(net, x, start=8.0, engine=engine)
            assert e.logits.tolist() == [[3]] and e.input.tolist() == expected


@pytest.mark.parametrize("kind", ["winner", "average", "mean"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_ledger_of_pooling(kind, engine):
    """What is dropped where a square is black, and so what is received is not what inputs get."""
    pool = lrp.AvgPool2D(2) if kind == "mean" else lrp.MaxPool2D(2, rule=kind)
    a = np.array([[[[1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]])
    R, ops, ledger = np.array([[[[8.0, 5.0]]]]), choose(engine), []
    R_inputs = pool.relevance(None, a, pool.preactivation(a, ops), R, ops, ledger)
    expected, row = {"winner": ([[0, 8, 5, 0], [0] * 4], [13, 13, 0, 0, 0]),
                     "average": ([[2, 6, 0, 0], [0] * 4], [13, 8, 0, 0, 5]),
                     "mean": ([[2, 6, 0, 0], [0] * 4], [13, 8, 0, 0, 5])}[kind]
    assert R_inputs.tolist() == [[expected]]
    assert np.array(added_up(ledger)).ravel().tolist() == row


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ledger_of_what_goes_back_as_derivatives_do(engine):
    """A layer that loses half of all relevance on the way: received is what came from above."""
    @dataclass(frozen=True, eq=False)
    class Halve(lrp.Flatten):
        def backward(self, a, dz, ops=None):
            return super().backward(a, dz, ops) / 2

    net = lrp.Network([lrp.Unflatten((1, 2, 2)), Halve()])
    e = lrp.explain(net, np.array([[1.0, 4.0, 2.0, 3.0]]), engine=engine)
    assert e.input.tolist() == [[0, 2, 0, 0]]
    assert np.array(e.ledger).squeeze().tolist() == [[2, 2, 0, 0, 0], [4, 2, 0, 0, 0]]


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.usefixtures("each_engine")
def test_gradients_by_finite_differences(pool, activation):
    net, x = network(5, activation, pool)
    labels = np.arange(len(x)) % 5
    forward_pass = net.forward_pass(x)
    gradients = net.backward(forward_pass, cross_entropy(forward_pass.a[-1], labels)[1])
    assert [len(of_layer) for of_layer in gradients] == [0, 2, 0, 2, 0, 2, 2]
    rng = np.random.default_rng(0)
    for layer, of_layer in zip(net.layers, gradients):
        for name, gradient in zip(layer.parameters, of_layer):
            parameter = getattr(layer, name)
            assert parameter.shape == gradient.shape
            places = np.ndindex(parameter.shape) if name == "b" else map(
                tuple, rng.integers(0, parameter.shape, (10, parameter.ndim)))
            for place in places:        # every bias, and ten weights
                assert gradient[place] == pytest.approx(
                    slope(net, x, labels, parameter, place), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_learns(digits, engine):
    net = lrp.lenet(rng=1, channels=(4, 8), hidden=30)
    few = lrp.Digits(digits.train_images[:2000], digits.train_labels[:2000],
                     digits.test_images[:500], digits.test_labels[:500])
    before = [getattr(layer, name).copy() for layer in net.layers for name in layer.parameters]
    history = lrp.train(net, few, epochs=1, batch_size=20, rng=1, learning_rate=4e-3,
                        progress=False, engine=engine)
    after = [getattr(layer, name) for layer in net.layers for name in layer.parameters]
    assert history.accuracy[-1] > 0.7 and history.loss[-10:].mean() < 1 < history.loss[0]
    assert all((one != other).mean() > 0.5 for one, other in zip(before, after))


def test_the_plan_of_lenet():
    net = lrp.lenet()
    assert net.shapes == [(784,), (1, 28, 28), (8, 28, 28), (8, 14, 14), (16, 10, 10), (16, 5, 5),
                          (400,), (120,), (10,)]
    assert [layer.activation for layer in net.layers if layer.parameters] == ["relu"] * 3 + [
        "identity"]
    # kernels of 5 x 5, and a bias for each channel or neuron
    assert sum(getattr(layer, name).size for layer in net.layers for name in layer.parameters) == (
        8 * 25 + 8 + 16 * 8 * 25 + 16 + 400 * 120 + 120 + 120 * 10 + 10) == 52754


def test_nothing_to_train():
    """Gradients are () for every layer, and training would have nothing to change."""
    net = lrp.Network([lrp.Unflatten((1, 4, 4)), lrp.MaxPool2D(2), lrp.Flatten()])
    x = np.random.default_rng(0).random((3, 16))
    assert net.backward(net.forward_pass(x), np.ones((3, 4))) == [(), (), ()]


def test_bytes_targets_and_batches(digits, each_engine):
    """What explain promises for an MLP, it keeps for a CNN."""
    net, x = lrp.lenet(rng=0), digits.test_images[:20]
    whole = lrp.explain(net, x, "gamma")
    parts = list(lrp.explain_batches(net, x, "gamma", batch_size=7))
    for number, R in enumerate(whole.relevance):    # a matmul of seven rows may round differently
        np.testing.assert_allclose(R, np.concatenate([part.relevance[number] for part in parts]),
                                   rtol=0, atol=0 if each_engine == "numba" else
                                   1e-4 * np.abs(R).max())
    as_bytes = lrp.explain(net, np.rint(255 * x).astype(np.uint8), "gamma", intermediate=False)
    assert len(as_bytes.relevance) == 1
    np.testing.assert_allclose(as_bytes.input, whole.input, atol=1e-4 * np.abs(whole.input).max())
    assert (lrp.explain(net, x, target=3).target == 3).all()
    assert lrp.explain(net, x[:0]).input.shape == (0, 784)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.usefixtures("each_engine")
def test_saved_networks_know_their_layers(tmp_path, pool):
    net, x = network(0, "relu", pool, np.float32)
    net.save(tmp_path / "net.npz")
    back = lrp.Network.load(tmp_path / "net.npz")
    assert type(back) is lrp.Network and back.shapes == net.shapes
    assert [repr(type(layer)) for layer in back.layers] == [repr(type(layer))
                                                            for layer in net.layers]
    assert str(back.layers[2]) == str(pool)
    assert (back.forward(x) == net.forward(x)).all()
    np.testing.assert_array_equal(lrp.explain(back, x, "gamma").input,
                                  lrp.explain(net, x, "gamma").input)
    for one, other in zip(back.layers, net.layers):
        assert {name: type(getattr(one, name)) for name in vars(one)} == {
            name: type(getattr(other, name)) for name in vars(other)}


def test_a_file_of_the_first_edition_still_loads(tmp_path):
    """Every kind of layer, array by array as version 0.1 wrote it: what is MaxPool2D's `rule` now
    was `relevance`, and None was left out."""
    rng = np.random.default_rng(0)
    sizes = {"W1": (1, 2, 3, 3), "b1": (2, 1, 1), "W3": (2, 3, 2, 2), "b3": (3, 1, 1),
             "W7": (3, 4), "b7": (4,), "W8": (4, 3), "b8": (3,)}
    arrays = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    numbers = {"shape0": [1, 12, 12], "activation1": "relu", "stride1": 1, "padding1": 1,
               "size2": 2, "relevance2": "average", "activation3": "tanh", "stride3": 2,
               "padding3": 0, "size4": 2, "stride4": 1, "size5": 2, "relevance5": "winner",
               "activation7": "zero_centred_sigmoid", "activation8": "identity"}
    path = tmp_path / "net.npz"
    np.savez(path, layers=np.array(["Unflatten", "Conv2D", "MaxPool2D", "Conv2D", "AvgPool2D",
                                    "MaxPool2D", "Flatten", "Dense", "Dense"]),
             **arrays, **{name: np.array(value) for name, value in numbers.items()})
    back = lrp.Network.load(path)
    W1, b1, W3, b3, W7, b7, W8, b8 = arrays.values()
    expected = lrp.Network([
        lrp.Unflatten((1, 12, 12)), lrp.Conv2D(W1, b1, "relu", 1, 1),
        lrp.MaxPool2D(2, rule="average"), lrp.Conv2D(W3, b3, "tanh", 2, 0), lrp.AvgPool2D(2, 1),
        lrp.MaxPool2D(2, None, "winner"), lrp.Flatten(), lrp.Dense(W7, b7, "zero_centred_sigmoid"),
        lrp.Dense(W8, b8, "identity")])
    for one, other in zip(back.layers, expected.layers, strict=True):
        assert type(one) is type(other)
        for field in fields(other):
            ours, theirs = getattr(one, field.name), getattr(other, field.name)
            assert type(ours) is type(theirs) and np.array_equal(ours, theirs)
    x = rng.random((5, 144), np.float32)
    np.testing.assert_array_equal(back.forward(x), expected.forward(x))
    np.testing.assert_array_equal(lrp.explain(back, x).input, lrp.explain(expected, x).input)
    back.save(path)                 # and what is saved now
    with np.load(path) as file:
        assert str(file["rule2"]) == "average" and "relevance2" not in file.files
    assert lrp.Network.load(path).layers[2].rule == "average"


def test_a_file_of_the_first_days_still_loads(tmp_path):
    """As MLP.save wrote it before there were other layers than Dense."""
    net = lrp.MLP.random([4, 3, 2], "tanh", rng=1)
    np.savez(tmp_path / "old.npz", activations=np.array(["tanh", "identity"]), W0=net.layers[0].W,
             b0=net.layers[0].b, W1=net.layers[1].W, b1=net.layers[1].b)
    back = lrp.MLP.load(tmp_path / "old.npz")
    x = np.random.default_rng(0).random((5, 4))
    assert type(back) is lrp.MLP and (back.forward(x) == net.forward(x)).all()


@pytest.mark.parametrize("name", ["Pickle", "Layer", "object", ""])
def test_other_layers_are_not_loaded(tmp_path, name):
    np.savez(tmp_path / "net.npz", layers=np.array([name]), W0=np.ones((2, 2)), b0=np.ones(2))
    with pytest.raises(ValueError, match=f"layer 0 must be one of Dense.*got {name}"):
        lrp.Network.load(tmp_path / "net.npz")


@pytest.mark.parametrize("pool", [lrp.MaxPool2D(2), lrp.AvgPool2D(2)], ids=str)
@pytest.mark.usefixtures("each_engine")
def test_a_sigmoid_cnn_is_centred(pool):
    """The same logits; hidden activations of 0 where z is 0; with padding it is refused."""
    rng = np.random.default_rng(0)
    net = lrp.Network([
        lrp.Unflatten((1, 8, 8)), lrp.Conv2D.random(1, 3, 3, "sigmoid", rng, dtype=np.float64),
        pool,
        lrp.Conv2D.random(3, 4, 2, "sigmoid", rng, dtype=np.float64), lrp.Flatten(),
        lrp.Dense.random(16, 5, "identity", rng, np.float64)])
    x = rng.random((4, 64))
    centred = lrp.zero_centred(net)
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=1e-12)
    np.testing.assert_allclose(centred.activations(x)[2], net.activations(x)[2] - 0.5, atol=1e-12)
    padded = list(net.layers)
    padded[3] = lrp.Conv2D.random(3, 4, 2, "sigmoid", rng, padding=1, dtype=np.float64)
    padded[5] = lrp.Dense.random(64, 5, "identity", rng, np.float64)
    with pytest.raises(ValueError, match="layer 3: padding must be 0 behind an activation"):
        lrp.zero_centred(lrp.Network(padded))


def misfits():
    conv = lrp.Conv2D.random(1, 2, 3, "relu", 0)
    begin, end = lrp.Unflatten((1, 6, 6)), [lrp.Flatten(), lrp.Dense.random(32, 3, "identity", 0)]
    return [
        ([conv, *end], "layer 0 must know how many numbers an image has.*got Conv2D"),
        ([begin, conv], r"layer 1: the last layer must give logits.*\(2, 4, 4\)"),
        ([begin, conv, end[1]], r"layer 2: it takes rows.*gives \(2, 4, 4\); Flatten"),
        ([begin, conv, end[0], lrp.Dense.random(30, 3, "relu", 0)], "layer 3: W must have 32 rows"),
        ([begin, replace(conv, stride=0), *end], "layer 1: stride must be an integer of at least"),
        ([begin, replace(conv, padding=-1), *end], "padding must be an integer of at least 0"),
        ([begin, replace(conv, padding=0.5), *end], "padding must be an integer of at least 0"),
        ([begin, replace(conv, stride=True), *end], "stride must be an integer .*, got True"),
        ([begin, replace(conv, stride=7), *end], "stride at most that .* padding 0 and stride 7"),
        ([begin, replace(conv, padding=7), *end], "padding must be at most 6, .* got padding 7"),
        ([begin, replace(conv, padding=1, stride=9), *end], "padding 1 and stride 9"),
        ([begin, lrp.MaxPool2D(2, stride=2**62), *end], "stride at most that with the padding"),
        ([begin, lrp.AvgPool2D(2, stride=7), *end], "stride at most that with the padding"),
        ([lrp.Unflatten((2**40, 2**40, 2**40)), *end], "W must have 1329227995784915872903807060280"
                                                       "344576 rows"),
        ([begin, replace(conv, activation="swish"), *end], "activation must be .*got 'swish'"),
        ([begin, replace(conv, b=np.ones(2)), *end], r"b must have shape \(2, 1, 1\)"),
        ([begin, replace(conv, W=np.ones((3, 3))), *end], r"W must have shape \(C, K, h, w\)"),
        ([begin, replace(conv, W=np.ones((1, 2, 7, 1))), *end], "kernel of 7 x 1 must fit"),
        ([lrp.Unflatten((1, 6, 5)), replace(conv, W=np.ones((1, 2, 7, 1))), *end],
         "kernel of 7 x 1 must fit into the image of 6 x 5 with padding 0"),
        ([begin, replace(conv, W=conv.W * np.nan), *end], "layer 1: W must be finite"),
        ([begin, conv, conv, *end], "one entry along its first axis for each of the 2 channels"),
        ([begin, lrp.MaxPool2D(7), *end], "kernel of 7 x 7 must fit into the image of 6 x 6"),
        ([begin, lrp.MaxPool2D(0), *end], "size must be an integer of at least 1"),
        ([begin, lrp.MaxPool2D(2, rule="all"), *end], "'winner' or 'average', got 'all'"),
        ([begin, lrp.MaxPool2D(2, rule=np.array(["winner"])), *end], "or 'average', got arr"),
        ([end[1], lrp.AvgPool2D(2)], r"takes images \(C, H, W\), but the layer before it gives"),
        ([lrp.Unflatten((6, 6)), conv], r"layer 1: it takes images \(C, H, W\), but .*\(6, 6\)"),
        ([lrp.Unflatten((36,)), conv], r"layer 0: shape must be \(C, H, W\) or \(T, D\)"),
        ([lrp.Unflatten(36), conv], r"layer 0: shape must be \(C, H, W\)"),
        ([lrp.Unflatten((0, 6, 6)), conv], r"layer 0: shape must be \(C, H, W\).*at least 1, got"),
        ([end[1], lrp.Unflatten((1, 1, 2))], "shape must hold 3 numbers"),
        ([lrp.Unflatten((1, None, 6)), conv], r"layer 0: shape must be \(C, H, W\)"),
        ([begin, lrp.Flatten], "layer 1 must be an instance of a dataclass"),
        ([begin, "Flatten"], "layer 1 must be an instance of a dataclass.*got 'Flatten'"),
        (lrp.Flatten(), "layer 0 must know how many numbers"),
        ([end[1], lrp.Unflatten((2, 2, 2))], "shape must hold 3 numbers"),
        ([], "at least one layer")]


def test_a_layer_shows_shapes_not_numbers():
    """At a prompt, and in an error; a layer of one's own as well, which may say something else."""
    net = lrp.MLP.random([3, 2, 4], "relu", 0)
    assert repr(net.layers[0]) == (
        "Dense(W=float32 (3, 2), b=float32 (2,), activation='relu')")
    assert repr(lrp.Residual([lrp.Flatten()])) == (
        "Residual(layers=(Flatten(),), shortcut=(), activation='identity')")

    @dataclass(frozen=True, eq=False)
    class Own(lrp.Flatten):
        W: np.ndarray

    @dataclass(frozen=True, eq=False)
    class Other(Own):
        def __repr__(self):
            return "mine"

    assert repr(Own(np.ones((2, 2)))).endswith("Own(W=float64 (2, 2))")
    assert repr(Other(np.ones(2))) == "mine"


@pytest.mark.parametrize("number", range(len(misfits())))
def test_networks_refused(number):
    stack, message = misfits()[number]
    with pytest.raises(ValueError, match=message):
        lrp.Network(stack)


@pytest.mark.parametrize("layer", [lrp.Conv2D.random(1, 2, 3, "relu", 0, 6), lrp.AvgPool2D(1, 6),
                                   lrp.Conv2D.random(1, 2, 1, "relu", 0, 18, 6), lrp.MaxPool2D(6)])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_longest_stride_and_padding(layer, engine):
    net = lrp.Network([lrp.Unflatten((1, 6, 6)), layer, lrp.Flatten()])
    assert net.shapes[2][1:] == (1, 1) and net.forward(np.ones((2, 36), np.float32), engine).size


@pytest.mark.parametrize("make, message", [
    (lambda: lrp.lenet(channels=(8,)), "channels must be two numbers"),
    (lambda: lrp.lenet(channels=(0, 16)), "K must be an integer of at least 1, got 0"),
    (lambda: lrp.lenet(channels=(8.0, 16)), "K must be an integer of at least 1, got 8.0"),
    (lambda: lrp.lenet(hidden=0), "K must be an integer of at least 1, got 0"),
    (lambda: lrp.lenet(activation="swish"), "activation must be .*got 'swish'"),
    (lambda: lrp.Conv2D.random(1, 2, (3, 3), "relu", 0), "size must be an integer"),
    (lambda: lrp.Dense.random(0, 2, "relu", 0), "D must be an integer of at least 1, got 0"),
    (lambda: lrp.MLP(lrp.lenet().layers), "layer 0 of an MLP must be Dense, got Unflatten")])
def test_sizes_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_image_cannot_be_the_centred_end():
    net = lrp.Network([lrp.Unflatten((1, 4, 4)), lrp.Conv2D.random(1, 2, 3, "sigmoid", 0),
                       lrp.MaxPool2D(2), lrp.Flatten()])
    with pytest.raises(ValueError, match="got layer 1 with sigmoid and nothing behind it"):
        lrp.zero_centred(net)


def test_kernels_refuse_what_does_not_fit():
    layer, a, s = case((2, 3, 6, 5, 3, 2, 1, 1), 0)
    for call, message in (
            (lambda: kernels.convolve(a[:, :1], layer.W, layer.b), "a must have shape"),
            (lambda: kernels.convolve(a, layer.W, layer.b.ravel()), "b must have shape"),
            (lambda: kernels.convolve_transpose(s, layer.W, a.shape), "s must have shape"),
            (lambda: kernels.convolve_gradients(a, s, 3, 2), "dz must have shape"),
            (lambda: layer.preactivation(a[:, :1]), "a must have shape"),
            (lambda: replace(layer, b=layer.b.ravel()).preactivation(a), "b must have shape"),
            (lambda: lrp.MaxPool2D(2).backward(a, s, kernels), "dz must have shape"),
            (lambda: lrp.MaxPool2D(2).backward(a, s), "dz must have shape"),
            (lambda: kernels.adam_step(*(np.ones(k) for k in (4, 1, 4, 4)), 1, 0.001, 0.9, 0.999,
                                       1e-8), "gradient must")):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_types_are_kept(real, engine):
    net, x = network(0, dtype=real)
    forward_pass = net.forward_pass(x, engine)
    assert {array.dtype for array in [*forward_pass.a, *forward_pass.z]} == {np.dtype(real)}
    assert {array.dtype for pair in net.backward(forward_pass, np.ones((6, 5), real))
            for array in pair} == {np.dtype(real)}
    for rule in RULES:
        assert {R.dtype for R in lrp.explain(net, x, rule, engine=engine).relevance} == {
            np.dtype(real)}


def test_equations_change_nothing():
    layer, a, s = case(SHAPES[5], 0)
    before = [array.copy() for array in (a, s, layer.W, layer.b)]
    for one in (a, s):
        one.flags.writeable = False
    for engine in ENGINES:
        ops = choose(engine)
        layer.preactivation(a, ops), layer.backward(a, s, ops), layer.gradients(a, s, ops)
    reference.max_pool_backward(a, a, 1, 1), kernels.max_pool_backward(a, a, 1, 1)
    assert all((one == other).all() for one, other in zip(before, (a, s, layer.W, layer.b)))


@pytest.mark.parametrize("rule, parameters", [
    ("0", {}), ("epsilon", {"epsilon": 0.3}), ("gamma", {}), ("gamma_generalized", {}),
    ("alpha_beta", {}), ("z_plus", {}), ("z_box", {"low": -9.0, "high": 9.0})])
@pytest.mark.parametrize("engine", ENGINES)
def test_pooling_by_the_given_rule(rule, parameters, engine):
    """As a Dense layer with weights of 1/4 propagates, channel by channel."""
    net, x = network(0, "tanh", GIVEN)
    a = net.activations(x)[2]
    R = np.random.default_rng(0).normal(size=net.activations(x)[3].shape)
    H, W = a.shape[2:]
    matrix = np.zeros((H * W, R[0, 0].size))
    for k, (y, left) in enumerate(np.ndindex(R.shape[2:])):
        for i, j in np.ndindex(2, 2):
            matrix[(2 * y + i) * W + 2 * left + j, k] = 0.25
    ops = choose(engine)
    z = GIVEN.linear(a, GIVEN.W, GIVEN.b, ops)
    its_rule = partial(RULES[rule], **parameters)
    ours = GIVEN.relevance(its_rule, a, z, R, ops)
    for channel in range(a.shape[1]):
        expected = its_rule(a[:, channel].reshape(len(a), -1), matrix, np.zeros(len(matrix.T)),
                            R[:, channel].reshape(len(a), -1))
        np.testing.assert_allclose(ours[:, channel].reshape(len(a), -1), expected, rtol=1e-10,
                                   atol=1e-12)


def test_pooling_takes_a_rule_if_it_is_told_to(tmp_path):
    given, fixed = (network(0, "tanh", pool)[0] for pool in (GIVEN, lrp.AvgPool2D(2)))
    x = network(0, "tanh")[1]
    given.save(tmp_path / "net.npz")
    back = lrp.Network.load(tmp_path / "net.npz")
    for net in (given, back):
        e = lrp.explain(net, x, ["0", "flat", "0", "0", "0"])
        assert (e.input != lrp.explain(fixed, x, "0").input).any()
        np.testing.assert_array_equal(lrp.explain(net, x, "0").input,
                                      lrp.explain(fixed, x, "0").input)
    assert str(back.layers[2]) == str(GIVEN)
    with pytest.raises(ValueError, match="one for each of the 4 layers"):
        lrp.explain(fixed, x, ["0", "flat", "0", "0", "0"])
    with pytest.raises(ValueError, match="rule must be None or 'given', got 'flat'"):
        network(0, "tanh", lrp.AvgPool2D(2, rule="flat"))
