"""BatchNorm, folded and as a layer of its own; layers that reorder axes; pooling of rectangles."""
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, rows, slope
from lrp_numpy.ops import reference
from lrp_numpy.training import cross_entropy


def norm(*shape, seed=0, positive=False, shift=1.0):
    """A BatchNorm whose W has both signs, unless all are to be positive."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=shape)
    return lrp.BatchNorm(abs(W) if positive else W, shift * rng.normal(size=shape))


def dense(D, K, activation="identity", seed=0):
    return lrp.Dense.random(D, K, activation, seed, np.float64)


def conv(C, K, size, activation="identity", **how):
    return lrp.Conv2D.random(C, K, size, activation, 1, dtype=np.float64, **how)


# {name: (layers, how many BatchNorm layers are left)}
FOLDED = {
    "behind Dense": ([dense(5, 4), norm(4), dense(4, 3)], 0),
    "before Dense": ([norm(5), dense(5, 4, "relu"), norm(4), dense(4, 3)], 0),
    "behind and before an activation": ([dense(5, 4), lrp.BatchNorm(
        np.arange(-1.0, 3), np.ones(4), "relu"), norm(4), dense(4, 3)], 0),
    "three in turn": ([norm(5), norm(5, seed=1), norm(5, seed=2), dense(5, 3)], 0),
    "nothing but BatchNorm": ([norm(5), norm(5, seed=1)], 1),
    "an activation of its own": ([lrp.BatchNorm(np.ones(5), np.ones(5), "tanh"), dense(5, 3)], 1),
    "another of its own": ([lrp.BatchNorm(np.ones(5), np.ones(5), "elu"), dense(5, 3)], 1),
    "behind a convolution": ([lrp.Unflatten((2, 6, 5)), conv(2, 3, 2, padding=1), norm(3, 1, 1),
                              lrp.Flatten(), dense(126, 3)], 0),
    "through Flatten": ([lrp.Unflatten((2, 6, 5)), conv(2, 3, 2, "relu"), norm(3, 1, 1),
                         lrp.AvgPool2D(2), lrp.Flatten(), dense(12, 3)], 0),
    "through Permute": ([lrp.Unflatten((2, 6, 5)), norm(2, 1, 1), lrp.Permute((1, 2, 0)),
                         lrp.Flatten(), dense(60, 3)], 0),
    "not through Permute into a convolution": ([lrp.Unflatten((2, 2, 2)), norm(2, 1, 1),
                                                lrp.Permute((1, 2, 0)), conv(2, 3, 1),
                                                lrp.Flatten()], 1),
    "into a convolution": ([lrp.Unflatten((2, 6, 5)), norm(2, 1, 1), conv(2, 3, 2), lrp.Flatten()],
                           0),
    "into padding, without a shift": ([lrp.Unflatten((2, 6, 5)), norm(2, 1, 1, shift=0),
                                       conv(2, 3, 2, padding=1), lrp.Flatten()], 0),
    "not into padding, with a shift": ([lrp.Unflatten((2, 6, 5)), norm(2, 1, 1),
                                        conv(2, 3, 2, padding=1), lrp.Flatten()], 1),
    "through max pooling": ([lrp.Unflatten((2, 6, 4)), norm(2, 1, 1, positive=True),
                             lrp.MaxPool2D(2), lrp.Flatten(), dense(12, 3)], 0),
    "not through max pooling, if negative": ([lrp.Unflatten((2, 6, 4)), norm(2, 1, 1, seed=3),
                                              lrp.MaxPool2D(2), lrp.Flatten(), dense(12, 3)], 1),
    "not through max pooling, if slightly negative": ([lrp.Unflatten((1, 2, 2)), lrp.BatchNorm(
        np.full((1, 1, 1), -0.5), np.zeros((1, 1, 1))), lrp.MaxPool2D(2), lrp.Flatten(),
        dense(1, 3)], 1),
    "into a BatchNorm behind pooling": ([lrp.Unflatten((2, 6, 4)), norm(2, 1, 1), lrp.AvgPool2D(2),
                                         norm(2, 1, 1, seed=1), conv(2, 1, 1), lrp.Flatten()], 0)}


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batchnorm_is_folded(name, dtype):
    layers, remaining = FOLDED[name]
    net = lrp.Network(layers)
    if dtype == np.float32:
        net = lrp.Network([type(layer)(*(getattr(layer, field).astype(dtype)
                                         if field in layer.parameters else getattr(layer, field)
                                         for field in [one.name for one in fields(layer)]))
                           for layer in layers])
    before = [layer.W.copy() for layer in net.layers if layer.parameters]
    folded = lrp.fold_batchnorm(net)
    assert sum(type(layer) is lrp.BatchNorm for layer in folded.layers) == remaining
    assert folded.dtype == dtype and len(folded.layers) < len(net.layers) + remaining
    x = rows(net.sizes[0], dtype)
    np.testing.assert_allclose(folded.forward(x), net.forward(x), rtol=0,
                               atol=1e-12 if dtype == np.float64 else 1e-5)
    assert type(folded) is (lrp.MLP if all(type(one) is lrp.Dense for one in folded.layers)
                            else lrp.Network)
    for one, other in zip(before, [layer.W for layer in net.layers if layer.parameters]):
        np.testing.assert_array_equal(one, other)       # net is not changed


def test_a_network_without_batchnorm_stays():
    net = lrp.lenet(rng=0)
    folded = lrp.fold_batchnorm(net)
    assert [type(one) for one in folded.layers] == [type(one) for one in net.layers]
    np.testing.assert_array_equal(folded.layers[1].W, net.layers[1].W)


def test_batchnorm_by_hand():
    """(3 - 1) / sqrt(3 + 1) * 5 + 7 = 12; and of the second feature (3 - 2) / 1 * 1 + 0 = 1."""
    layer = lrp.BatchNorm.from_statistics(np.array([1.0, 2.0]), np.array([3.0, 0.0]),
                                          np.array([5.0, 1.0]), np.array([7.0, 0.0]), 1.0)
    assert layer.W.tolist() == [2.5, 1] and layer.b.tolist() == [4.5, -2]
    assert layer.forward(np.array([[3.0, 3.0]])).tolist() == [[12, 1]]
    single = lrp.BatchNorm.from_statistics(*np.ones((4, 2), np.float32), epsilon=1e-3)
    assert single.W.dtype == single.b.dtype == np.float32


@pytest.mark.parametrize("engine", ENGINES)
def test_batchnorm_of_one_image_is_what_remains_of_a_convolution(engine):
    """A 1 x 1 convolution with a diagonal matrix computes the same, and is explained likewise."""
    own = norm(3, 1, 1)
    diagonal = lrp.Conv2D(np.diag(own.W.ravel()).reshape(3, 3, 1, 1), own.b, "identity")
    x = rows(36, np.float64)
    nets = [lrp.Network([lrp.Unflatten((3, 4, 3)), layer, lrp.Flatten(), dense(36, 4)])
            for layer in (own, diagonal)]
    for rule in ("0", "epsilon", "gamma_generalized", "z_plus", "w_square",
                 [("z_box", {"low": -9, "high": 9}), "epsilon"]):
        one, other = (lrp.explain(net, x, rule, engine=engine) for net in nets)
        np.testing.assert_allclose(one.input, other.input, rtol=1e-10, atol=1e-10)
        for row, twin in zip(one.ledger, other.ledger):
            np.testing.assert_allclose(row, twin, rtol=1e-10, atol=1e-10)
        for row, below in pairwise(reversed(one.ledger)):
            np.testing.assert_allclose(row.received, row.inputs + row.bias + row.epsilon
                                       + row.dropped, rtol=0, atol=1e-10)
            np.testing.assert_allclose(row.inputs, below.received, rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [
    [dense(5, 4), norm(4), dense(4, 3)],
    [lrp.Unflatten((2, 3, 2)), norm(2, 1, 1), lrp.Permute((2, 0, 1)), lrp.Flatten(),
     dense(12, 3)]], ids=["rows", "images"])
def test_gradients_of_batchnorm(layers):
    """By finite differences: also those of what lies below it."""
    net = lrp.Network(layers)
    x, labels = rows(net.sizes[0], np.float64, N=7), np.arange(7) % 3
    passed = net.forward_pass(x)
    gradients = net.backward(passed, cross_entropy(passed.a[-1], labels)[1])
    for layer, of_layer in zip(net.layers, gradients):
        for name, gradient in zip(layer.parameters, of_layer):
            parameter = getattr(layer, name)
            assert gradient.shape == parameter.shape
            for place in list(np.ndindex(parameter.shape))[::5]:
                assert gradient[place] == pytest.approx(slope(net, x, labels, parameter, place),
                                                        rel=1e-5, abs=1e-8)


def test_batchnorm_is_trained(digits):
    rng = np.random.default_rng(0)
    net = lrp.Network([lrp.Dense.random(784, 20, "identity", rng), lrp.BatchNorm(
        np.ones(20, np.float32), np.zeros(20, np.float32), "relu"),
        lrp.Dense.random(20, 10, "identity", rng)])
    history = lrp.train(net, digits, epochs=1, progress=False)
    assert history.accuracy[-1] > 0.8 and (net.layers[1].W != 1).all()


def test_zero_centring_passes_batchnorm():
    net = lrp.Network([dense(5, 4, "sigmoid"), norm(4), dense(4, 3)])
    centred, x = lrp.zero_centred(net), rows(5, np.float64)
    assert centred.layers[0].activation == "zero_centred_sigmoid"
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=0, atol=1e-12)
    own = lrp.Network([lrp.BatchNorm(np.ones(5), np.ones(5), "sigmoid"), dense(5, 3)])
    np.testing.assert_allclose(lrp.zero_centred(own).forward(x), own.forward(x), atol=1e-12)
    assert lrp.zero_centred(own).layers[0].activation == "zero_centred_sigmoid"


def test_networks_as_files(tmp_path):
    """Every field of the new layers comes back."""
    net = lrp.Network([lrp.Unflatten((4, 6, 2)), lrp.Permute((2, 0, 1)), norm(2, 1, 1),
                       lrp.AvgPool2D((2, 3), 2), lrp.Flatten(), norm(8)])
    net.save(tmp_path / "net.npz")
    loaded = lrp.Network.load(tmp_path / "net.npz")
    assert loaded.layers[1].axes == (2, 0, 1) and loaded.layers[3].size == (2, 3)
    x = rows(48, np.float64)
    np.testing.assert_array_equal(loaded.forward(x), net.forward(x))


def test_permuted_images():
    """(H, W, C) to (C, H, W): each number goes to its place, and its relevance comes back."""
    layer, a = lrp.Permute((2, 0, 1)), np.arange(24.0).reshape(1, 2, 3, 4)
    out = layer.forward(a)
    assert layer.out_shape((2, 3, 4)) == (4, 2, 3) == out.shape[1:]
    for y, x, c in np.ndindex(2, 3, 4):
        assert out[0, c, y, x] == a[0, y, x, c]
    np.testing.assert_array_equal(layer.backward(a, out), a)
    ledger = []
    np.testing.assert_array_equal(layer.relevance(None, a, None, out, ledger=ledger), a)
    assert ledger[0].received == ledger[0].inputs == a.sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_mean_of_a_rectangle(engine):
    """By hand: windows of 2 rows and 3 columns, 2 apart; relevance in proportion to the values."""
    a = np.arange(1.0, 21).reshape(1, 1, 4, 5)
    net = lrp.Network([lrp.Unflatten((1, 4, 5)), lrp.AvgPool2D((2, 3), 2), lrp.Flatten()])
    means = [[a[0, 0, y:y + 2, x:x + 3].mean() for x in (0, 2)] for y in (0, 2)]
    np.testing.assert_allclose(net.forward(a.reshape(1, 20), engine), np.reshape(means, (1, 4)))
    e = lrp.explain(net, a.reshape(1, 20), "0", target=1, engine=engine)
    expected = np.zeros((4, 5))
    expected[:2, 2:] = a[0, 0, :2, 2:] / 6
    np.testing.assert_allclose(e.input.reshape(4, 5), expected, rtol=1e-12)
    assert reference.average_pool(a, np.full((4, 5), 1 / 20), np.zeros(1), 5).ravel() == [10.5]


@pytest.mark.parametrize("layers, message", [
    ([norm(3), norm(4)], r"layer 1: W must have shape \(3,\), one number for each feature or "
                         r"channel of the \(3,\) before it, got \(4,\)"),
    ([lrp.Unflatten((2, 3, 3)), norm(2), lrp.Flatten()], r"W must have shape \(2, 1, 1\)"),
    ([norm(2, 1, 1)], "layer 0 must know how many numbers an image has"),
    ([lrp.BatchNorm(np.ones(3), np.ones(2))], r"layer 0: b must have shape \(3,\), got \(2,\)"),
    ([lrp.BatchNorm(np.ones(3), np.ones(3), "cosine")], "activation must be 'relu'"),
    ([lrp.BatchNorm(np.array([1, np.nan]), np.ones(2))], "layer 0: W must be finite, got nan"),
    ([lrp.Unflatten((2, 3, 3)), lrp.Permute((0, 1)), lrp.Flatten()],
     r"axes must be the axes 0..2 of \(2, 3, 3\) in some order, got \(0, 1\)"),
    ([lrp.Unflatten((2, 3, 3)), lrp.Permute([2, 0, 1])], "axes must be the axes"),
    ([lrp.Unflatten((2, 3, 3)), lrp.AvgPool2D((2, 2, 1), 1)], "size must be one integer or two"),
    ([lrp.Unflatten((2, 3, 3)), lrp.AvgPool2D((2, 0), 1)], "size must be an integer of at least 1"),
    ([lrp.Unflatten((2, 3, 3)), lrp.AvgPool2D((4, 1), 1)], "its kernel of 4 x 1 must fit into"),
    ([lrp.Unflatten((2, 3, 3)), lrp.AvgPool2D((2, 1))], "stride must be an integer of at least 1"),
    ([lrp.Unflatten((2, 3, 3)), lrp.MaxPool2D((2, 1), 1)], "size must be an integer of at least")])
def test_what_is_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        lrp.Network(layers)
