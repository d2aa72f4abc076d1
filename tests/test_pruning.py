"""Pruned inputs and neurons: the smaller network has the outputs that it should have."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import SHAPES, arrays_of
from lrp_numpy.evaluation import pruning


@pytest.mark.parametrize("sizes", [sizes for sizes in SHAPES if sizes[0] > 2], ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_fewer_inputs_are_inputs_set_to_0(random_case, sizes, activation):
    net, x = random_case(sizes, activation, 0)
    before = arrays_of(net)
    kept = np.array([0, sizes[0] - 1])
    small = pruning.prune_inputs(net, kept)
    masked = np.zeros_like(x)
    masked[:, kept] = x[:, kept]
    assert small.sizes == [2, *sizes[1:]]
    np.testing.assert_allclose(small.forward(x[:, kept]), net.forward(masked), rtol=1e-12)
    small.layers[0].W[:] = 7            # a copy
    assert all((one == other).all() for pair in zip(before, arrays_of(net))
               for one, other in zip(*pair))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("layer", [1, 2])
def test_fewer_neurons_are_neurons_set_to_0(random_case, activation, layer):
    net, x = random_case([9, 8, 7, 4], activation, 0)
    kept = [4, 0, 5]
    small = pruning.prune_neurons(net, layer, kept)
    a = net.activations(x)[layer]
    masked = np.zeros_like(a)
    masked[:, kept] = a[:, kept]
    for later in net.layers[layer:]:
        masked = later.forward(masked)
    assert small.sizes[layer] == 3
    np.testing.assert_allclose(small.forward(x), masked, rtol=1e-12, atol=1e-13)


def test_importance_as_defined(random_case):
    net, x = random_case([9, 8, 4], "relu", 1)
    R = lrp.explain(net, x, "epsilon", epsilon=0.1).relevance
    a = net.activations(x)
    for layer in (0, 1):
        W = net.layers[layer].W
        expected = {
            "mean relevance": [np.mean(R[layer][:, j]) for j in range(len(W))],
            "mean absolute relevance": [np.mean(abs(R[layer][:, j])) for j in range(len(W))],
            "variance": [np.mean((a[layer][:, j] - a[layer][:, j].mean())**2)
                         for j in range(len(W))],
            "activation times weight": [np.mean(abs(a[layer][:, j])) * sum(abs(W[j]))
                                        for j in range(len(W))]}
        for by, values in expected.items():
            np.testing.assert_allclose(
                pruning.neuron_importance(net, x, layer, by, "epsilon", epsilon=0.1), values,
                rtol=1e-12)
    np.testing.assert_array_equal(pruning.importance(net, x, "variance"), x.var(axis=0))
    one, again, other = (pruning.importance(net, x, "random", rng=rng) for rng in (1, 1, 2))
    assert (one == again).all() and (one != other).any()
    for importance in (pruning.importance, lambda net, x, *more, rng=0: pruning.neuron_importance(
            net, x, 0, *more, rng=rng)):
        np.testing.assert_array_equal(importance(net, x, "random"),
                                      importance(net, x, "random", rng=0))
    np.testing.assert_array_equal(pruning.neuron_importance(net, x, 1, "random"),
                                  pruning.neuron_importance(net, x, 1, "random", rng=0))


def test_top_k():
    assert pruning.top_k([0.1, 5.0, -2.0, 3.0], 2).tolist() == [1, 3]
    assert pruning.top_k([0.1, 5.0, -2.0, 3.0], 4).tolist() == [0, 1, 2, 3]
    assert pruning.top_k([0.1, 5.0, -2.0, 3.0], 1).tolist() == [1]
    ties = {tuple(pruning.top_k(np.zeros(6), 2, rng=seed)) for seed in range(40)}
    assert len(ties) > 8                # at random, not by position
    zeros = np.zeros(50)
    default, named, other = (pruning.top_k(zeros, 9, *rng).tolist() for rng in ([], [0], [1]))
    assert default == named != other


def test_the_most_important_inputs_are_kept(trained, digits):
    """Important and unimportant swapped would show here."""
    score = pruning.importance(trained, digits.train_images[:1000], "mean absolute relevance")
    accuracy = {}
    for name, ranking in (("most", score), ("least", -score), ("random", np.random.default_rng(
            0).random(784))):
        kept = pruning.top_k(ranking, 392)
        fewer = pruning.select_pixels(digits, kept)
        assert fewer.train_images.shape == (8000, 392) and fewer.test_images.shape == (2000, 392)
        np.testing.assert_array_equal(fewer.test_images, digits.test_images[:, kept])
        small = pruning.prune_inputs(trained, kept)
        accuracy[name] = (small.predict(fewer.test_images) == fewer.test_labels).mean()
    original = (trained.predict(digits.test_images) == digits.test_labels).mean()
    assert accuracy["most"] > original - 0.02 > accuracy["random"] > accuracy["least"]


def test_the_smaller_network_is_retrained(trained, digits):
    score = pruning.importance(trained, digits.train_images[:1000], "mean absolute relevance")
    kept = pruning.top_k(score, 120)
    small, fewer = pruning.prune_inputs(trained, kept), pruning.select_pixels(digits, kept)
    before = (small.predict(fewer.test_images) == fewer.test_labels).mean()
    history = lrp.train(small, fewer, epochs=1, progress=False)
    assert history.accuracy[-1] > before + 0.05


def test_counts():
    net = lrp.MLP.random([784, 500, 10])
    assert pruning.count_parameters(net) == 397_510
    assert net.multiplications == 784 * 500 + 500 * 10
    times = pruning.microseconds_per_image([net, net], [np.ones((9, 784), np.float32)] * 2, 3)
    assert times.shape == (2,) and (times > 0).all()


def test_the_median_of_the_turns_is_taken(monkeypatch):
    """By a clock that stands still but while a network works: the first turn warms up."""
    now, order = [1000.0], []

    class Slow:
        def __init__(self, name, seconds):
            self.name, self.seconds = name, iter(seconds)

        def activations(self, x):
            order.append((self.name, len(x)))
            now[0] += next(self.seconds)

    monkeypatch.setattr(pruning.time, "perf_counter", lambda: now[0])
    nets = [Slow("a", [90, 2, 8, 4]), Slow("b", [3, 30, 0, 60])]
    times = pruning.microseconds_per_image(nets, [np.ones((2, 1)), np.ones((5, 1))], 3)
    np.testing.assert_allclose(times, [4e6 / 2, 30e6 / 5])
    assert order == [("a", 2), ("b", 5)] * 4
    nets = [Slow("a", [9] * 16)]
    pruning.microseconds_per_image(nets, [np.ones((1, 1))])
    assert next(nets[0].seconds, None) is None      # 15 turns, and the one that warms up


@pytest.mark.parametrize("call, message", [
    (lambda net, x: pruning.importance(net, x, "size"), "by must be 'mean relevance', .* 'size'"),
    (lambda net, x: pruning.importance(net, x[:, 1:], "variance"), r"shape \(N, 9\)"),
    (lambda net, x: pruning.neuron_importance(net, x, 2, "random"), "must lie in 0..1, got 2"),
    (lambda net, x: pruning.prune_neurons(net, -1, [0]), "layer must lie in 0..1, got -1"),
    (lambda net, x: pruning.top_k(np.ones(3), 0), "count must lie in 1..3, got 0"),
    (lambda net, x: pruning.top_k(np.ones(3), 4), "count must lie in 1..3, got 4"),
    (lambda net, x: pruning.top_k(np.ones(3), 2.0), "count must lie in 1..3, got 2.0"),
    (lambda net, x: pruning.importance(net, x[:0], "variance"), "at least one image, got none"),
    (lambda net, x: pruning.select_pixels(lrp.load_mnist(), [-1]), "different indices in 0..783"),
    (lambda net, x: pruning.select_pixels(lrp.load_mnist(), [784]), "different indices in 0..783"),
    (lambda net, x: pruning.prune_inputs(net, [0, 9]), "different indices in 0..8, got .0, 9."),
    (lambda net, x: pruning.prune_inputs(net, [0, 12]), "different indices in 0..8, got .0, 12."),
    (lambda net, x: pruning.prune_inputs(net, [1, 1]), "different indices"),
    (lambda net, x: pruning.prune_inputs(net, []), "different indices"),
    (lambda net, x: pruning.prune_inputs(net, np.zeros(0, int)), "different indices"),
    (lambda net, x: pruning.prune_inputs(net, [-1, 0]), "different indices"),
    (lambda net, x: pruning.prune_inputs(net, 3), "different indices"),
    (lambda net, x: pruning.prune_inputs(net, [[0, 1]]), "different indices"),
    (lambda net, x: pruning.prune_neurons(net, 2, [0]), "layer must lie in 0..1, got 2"),
    (lambda net, x: pruning.prune_neurons(net, 7, [0]), "layer must lie in 0..1, got 7"),
    (lambda net, x: pruning.prune_neurons(net, 0.0, [0]), "layer must lie in 0..1, got 0.0"),
    (lambda net, x: pruning.prune_inputs(net, [0.5]), "different indices")])
def test_refused(random_case, call, message):
    net, x = random_case([9, 8, 4], "relu", 0)
    with pytest.raises(ValueError, match=message):
        call(net, x)


@pytest.mark.parametrize("kept", [[0], [3], [8]])
def test_one_may_be_kept(random_case, kept):
    net, x = random_case([9, 8, 4], "relu", 0)
    assert pruning.prune_inputs(net, kept).layers[0].W.tolist() == net.layers[0].W[kept].tolist()
    small = pruning.prune_neurons(net, 1, kept[:1] if kept[0] < 8 else [7])
    assert small.sizes == [9, 1, 4]


def test_the_layer_and_the_one_below_must_be_dense():
    """Whatever the others are."""
    one, other = lrp.Dense(np.ones((3, 2)), np.ones(2), "relu"), lrp.Dense(
        np.ones((2, 2)), np.ones(2), "identity")
    assert pruning.prune_inputs(lrp.Network([one, lrp.Flatten()]), [0]).sizes == [1, 2, 2]
    for layers, number in (([one, lrp.Flatten(), other], 1), ([one, lrp.Flatten()], 1)):
        with pytest.raises(ValueError, match="layer must be Dense, and so must the one below it, "
                                             "got 1 with layer 1 a Flatten"):
            pruning.prune_neurons(lrp.Network(layers), number, [0])
    with pytest.raises(ValueError, match="got 2 with layer 1 a Flatten"):
        pruning.prune_neurons(lrp.Network([one, lrp.Flatten(), other]), 2, [0])
    with pytest.raises(ValueError, match=r"layer must lie in 0\.\.2, got 3"):
        pruning.prune_neurons(lrp.Network([one, lrp.Flatten(), other]), 3, [0])


def test_a_cnn_is_counted_and_its_dense_layers_are_cut(digits):
    """784 * 25 * 8 + 100 * 25 * 128 multiplications of the convolutions, then the Dense layers."""
    net, x = lrp.lenet(rng=0), digits.test_images[:50]
    assert pruning.count_parameters(net) == 8 * 26 + 16 * 201 + 401 * 120 + 121 * 10 == 52_754
    assert net.multiplications == 784 * 200 + 100 * 3200 + 400 * 120 + 120 * 10
    importance = pruning.neuron_importance(net, x, 7, "mean absolute relevance")
    small = pruning.prune_neurons(net, 7, pruning.top_k(importance, 60))
    assert small.sizes[-2:] == [60, 10] and small.forward(x).shape == (50, 10)
    with pytest.raises(ValueError, match="got 6 with layer 5 a Flatten"):
        pruning.prune_neurons(net, 6, [0, 1])
    with pytest.raises(ValueError, match="layer 0 a Unflatten"):
        pruning.prune_inputs(net, [0, 1])
