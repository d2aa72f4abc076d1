"""Gradients, integrated gradients, SmoothGrad, occlusion: torch's autograd, captum, loops."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import SHAPES
from lrp_numpy import evaluation
from lrp_numpy.evaluation import (gradient, gradient_times_input, integrated_gradients, occlusion,
                                  smooth_grad)

METHODS = [gradient, gradient_times_input, integrated_gradients, smooth_grad, occlusion]


def cnn(seed):
    """A small LeNet of float64 with non-zero biases, and three images of 8 x 8."""
    rng = np.random.default_rng(seed)
    net = lrp.Network([
        lrp.Unflatten((1, 8, 8)),
        lrp.Conv2D(rng.normal(size=(1, 3, 3, 3)), rng.normal(size=(3, 1, 1)), "relu"),
        lrp.MaxPool2D(2), lrp.Flatten(),
        lrp.Dense(rng.normal(size=(27, 4)), rng.normal(size=4), "identity")])
    return net, rng.random((3, 64))


def numbers(net, x):
    """The gradient of the predicted logit by central differences."""
    k, h, found = net.forward(x).argmax(axis=1), 1e-6, np.zeros_like(x)
    for n, i in np.ndindex(x.shape):
        up, down = x[n:n + 1].copy(), x[n:n + 1].copy()
        up[0, i] += h
        down[0, i] -= h
        found[n, i] = (net.forward(up)[0, k[n]] - net.forward(down)[0, k[n]]) / (2 * h)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_finite_differences(random_case, seed):
    for net, x in (cnn(seed), random_case([7, 9, 8, 4], "tanh", seed),
                   random_case([6, 5, 3], "sigmoid", seed)):
        np.testing.assert_allclose(gradient(net, x), numbers(net, x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("sizes", SHAPES)
def test_beside_autograd(random_case, sizes, activation, seed):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    net, x = random_case(sizes, activation, seed)
    target = np.random.default_rng(seed).integers(0, sizes[-1], len(x))

    def logits(x):
        for layer in net.layers[:-1]:
            x = x @ torch.tensor(layer.W) + torch.tensor(layer.b)
            x = {"relu": torch.relu, "tanh": torch.tanh,
                 "gelu": torch.nn.functional.gelu}[activation](x)
        return x @ torch.tensor(net.layers[-1].W) + torch.tensor(net.layers[-1].b)

    def grad(values):
        t = torch.tensor(values, requires_grad=True)
        logits(t)[torch.arange(len(t)), torch.tensor(target)].sum().backward()
        return t.grad.numpy()

    def close(ours, theirs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)

    close(gradient(net, x, target), grad(x))
    close(gradient_times_input(net, x, target), x * grad(x))
    path = [grad(0.5 + (m + 0.5) / 7 * (x - 0.5)) for m in range(7)]
    close(integrated_gradients(net, x, target, 0.5, 7), (x - 0.5) * np.mean(path, axis=0))
    rng = np.random.default_rng(3)
    noisy = [grad(x + 0.2 * rng.normal(size=x.shape)) for _ in range(4)]
    close(smooth_grad(net, x, target, 0.2, 4, rng=3), np.mean(noisy, axis=0))
    by_loop = np.zeros_like(x)
    for n, i in np.ndindex(x.shape):
        other = x[n:n + 1].copy()
        other[0, i] = 0.25
        by_loop[n, i] = (net.forward(x[n:n + 1]) - net.forward(other))[0, target[n]]
    close(occlusion(net, x, target, 0.25), by_loop)


@pytest.mark.parametrize("seed", range(2))
def test_beside_captum(seed):
    attr = pytest.importorskip("captum.attr", exc_type=ImportError)
    import torch
    net, x = cnn(seed)
    conv, dense = net.layers[1], net.layers[4]
    model = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(27, 4)).double()
    with torch.no_grad():
        model[1].weight[:] = torch.tensor(conv.W.transpose(1, 0, 2, 3))
        model[1].bias[:] = torch.tensor(conv.b[:, 0, 0])
        model[5].weight[:], model[5].bias[:] = torch.tensor(dense.W.T), torch.tensor(dense.b)
    t, k = torch.tensor(x, requires_grad=True), net.predict(x)
    target = torch.tensor(k)
    for ours, theirs in (
            (gradient(net, x), attr.Saliency(model).attribute(t, target, abs=False)),
            (gradient_times_input(net, x), attr.InputXGradient(model).attribute(t, target)),
            (integrated_gradients(net, x, samples=20), attr.IntegratedGradients(model).attribute(
                t, 0.0, target, n_steps=20, method="riemann_middle")),
            (occlusion(net, x), attr.FeatureAblation(model).attribute(t, 0.0, target))):
        # captum's integrated gradients go their way in steps of float32
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-7, atol=1e-7)


def test_integrated_gradients_are_complete(random_case):
    net, x = random_case([7, 9, 4], "tanh", 0)
    rows, k = np.arange(len(x)), net.predict(x)
    difference = net.forward(x)[rows, k] - net.forward(np.full_like(x, 0.3))[rows, k]
    errors = [np.abs(integrated_gradients(net, x, k, 0.3, count).sum(axis=1) - difference).max()
              for count in (10, 100, 1000)]
    assert errors[2] < 1e-5 and errors[0] > 20 * errors[1] > 400 * errors[2]


def test_gradient_times_input_is_lrp_0_of_a_relu_network(random_case):
    for seed in range(3):
        net, x = random_case([7, 9, 8, 4], "relu", seed)
        np.testing.assert_allclose(gradient_times_input(net, x), lrp.explain(net, x, "0").input,
                                   rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_types_targets_and_labels(method):
    net, x = cnn(0)
    before = x.copy()
    logits = net.forward(x)
    np.testing.assert_array_equal(method(net, x), method(net, x, logits.argmax(axis=1)))
    assert (method(net, x, 0) != method(net, x, 1)).any() and (x == before).all()
    net.classes = list("abcd")
    np.testing.assert_array_equal(method(net, x, "b"), method(net, x, ["b"] * 3))
    assert method(net, x[:0]).shape == (0, 64)
    small = lrp.MLP.random([64, 5, 3], "relu", rng=0)
    assert method(small, x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("method, change, message", [
    (integrated_gradients, {"samples": 0}, "samples must be an integer of at least 1, got 0"),
    (integrated_gradients, {"baseline": np.nan}, "baseline must be a finite number, got nan"),
    (smooth_grad, {"samples": 1.5}, "samples must be an integer of at least 1, got 1.5"),
    (smooth_grad, {"noise": -1}, "noise must be a finite number of at least 0, got -1"),
    (occlusion, {"fill": np.inf}, "fill must be a finite number, got inf"),
    *((method, {"target": 4}, "target .* got 4") for method in METHODS),
    *((method, {"x": np.ones((2, 9))}, r"x must be .* \(N, 64\)") for method in METHODS)])
def test_refused(method, change, message):
    net, x = cnn(0)
    with pytest.raises(ValueError, match=message):
        method(**{"net": net, "x": x, **change})


def test_all_are_public():
    assert all(method.__name__ in evaluation.__all__ for method in METHODS)
