"""Bag of visual words: each level against loops over the published sums, in float64."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES
from lrp_numpy.layers import Histogram, KernelMachine, Patches

SETTINGS = [dict(kernel="intersection"), dict(kernel="chi2", cells=2),
            dict(kernel="intersection", mapping="soft"),
            dict(kernel="chi2", mapping="soft", cells=2)]


def case(seed, N=24, side=9, **settings):
    """(a model of three classes, images), float64."""
    rng = np.random.default_rng(seed)
    x = rng.random((N, side**2)) * (rng.random((N, side**2)) < 0.4)
    settings = {"words": 6, "size": 3, "step": 2, "cells": 1, "ridge": 0.7, **settings}
    return lrp.BagOfWords.fit(x, np.arange(N) % 3, rng=seed, **settings), x


def k_d(x, u, kernel):
    return min(x, u) if kernel == "intersection" else 0 if x + u == 0 else 2 * x * u / (x + u)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_each_level_by_loops(settings, engine):
    bw, x = case(0, **settings)
    patches, histogram, machine = bw.layers
    for target in range(3):
        e = lrp.explain(bw, x[:4], target=target, engine=engine)
        for n in range(4):
            f = e.logits[n, target]
            image = x[n].reshape(9, 9)
            places = [(r, c) for r in range(0, 7, 2) for c in range(0, 7, 2)]
            features = []
            for r, c in places:
                cut = image[r:r + 3, c:c + 3].ravel()
                cut = cut - cut.mean()
                features.append(cut / max(np.sqrt((cut**2).sum()), 0.1))
            m = []
            for one in features:
                d = np.array([((one - word)**2).sum() for word in histogram.words])
                hard = np.arange(6) == d.argmin()
                soft = np.exp(-histogram.beta * d) if histogram.mapping == "soft" else hard
                m.append(soft / soft.sum())
            cells = histogram.cells
            cell = [(i // 4 * cells // 4) * cells + i % 4 * cells // 4 for i in range(16)]
            V = 6 * cells**2
            hist = np.zeros(V)
            for p in range(16):
                for d in range(6):
                    hist[6 * cell[p] + d] += m[p][d]
            K = machine.u.shape[1]
            logit = machine.b[target] + sum(
                machine.alpha[i, target] * k_d(hist[d], machine.u[d, i], machine.kernel)
                for i in range(K) for d in range(V))
            R_d = [machine.b[target] / V + sum(
                machine.alpha[i, target] * k_d(hist[d], machine.u[d, i], machine.kernel)
                for i in range(K)) for d in range(V)]
            R_l = [sum(m[p][d] / hist[6 * cell[p] + d] * R_d[6 * cell[p] + d]
                       if hist[6 * cell[p] + d] else R_d[6 * cell[p] + d] / cell.count(cell[p])
                       for d in range(6)) for p in range(16)]
            R = np.zeros((9, 9))
            for p, (r, c) in enumerate(places):
                R[r:r + 3, c:c + 3] += R_l[p] / 9
            assert abs(f - logit) < 1e-10 and abs(e.input[n].sum() - f) < 1e-10
            np.testing.assert_allclose(e.relevance[2][n], R_d, atol=1e-10)
            np.testing.assert_allclose(e.relevance[1][n].sum(axis=1), R_l, atol=1e-10)
            np.testing.assert_allclose(e.input[n], R.ravel(), atol=1e-10)
            assert not any(abs(value) > 1e-10 for value in e.unassigned(n).values())


@pytest.mark.parametrize("kernel", ["intersection", "chi2", "gaussian"])
def test_alpha_is_that_of_scikit_learn(kernel):
    ridge = pytest.importorskip("sklearn.kernel_ridge")
    bw, x = case(1, kernel=kernel)
    machine = bw.layers[2]
    u = machine.u.T
    K = np.array([[np.exp(-machine.gamma * ((a - b)**2).sum()) if kernel == "gaussian" else
                   sum(k_d(*pair, kernel) for pair in zip(a, b)) for b in u] for a in u])
    Y = np.where(np.arange(24)[:, None] % 3 == np.arange(3), 1.0, -1.0)
    theirs = ridge.KernelRidge(alpha=0.7, kernel="precomputed").fit(K, Y - Y.mean(axis=0))
    np.testing.assert_allclose(machine.alpha, theirs.dual_coef_, atol=1e-10)
    np.testing.assert_allclose(bw.forward(x), K @ theirs.dual_coef_ + Y.mean(axis=0), atol=1e-10)


def test_the_gaussian_is_expanded_around_a_root():
    """f is 0 at x0; relevance is the gradient there times x - x0; the ledger holds the rest."""
    torch = pytest.importorskip("torch")
    bw, x = case(2, kernel="gaussian")
    machine, e = bw.layers[2], lrp.explain(bw, x)
    f = e.logits[np.arange(24), e.target]
    s = np.eye(3)[e.target]
    hist = bw.layers[1].preactivation(bw.layers[0].preactivation(x))
    root = torch.tensor(machine.roots(hist, s), requires_grad=True)
    squares = ((root[:, :, None] - torch.tensor(machine.u))**2).sum(dim=1)
    value = ((torch.exp(-machine.gamma * squares) @ torch.tensor(machine.alpha)
              + torch.tensor(machine.b)) * torch.tensor(s)).sum(dim=1)
    value.sum().backward()
    assert abs(value).max() < 1e-9 and (np.abs(hist - root.detach().numpy()).max(axis=1) > 0).all()
    R = (hist - root.detach().numpy()) * root.grad.numpy()
    np.testing.assert_allclose(e.relevance[2], R, atol=1e-10)
    np.testing.assert_allclose(e.input.sum(axis=1) + e.ledger[2].dropped, f, atol=1e-10)


@pytest.mark.parametrize("kernel", ["intersection", "chi2", "gaussian"])
@pytest.mark.parametrize("mapping", ["hard", "soft"])
def test_gradients_by_finite_differences(kernel, mapping):
    bw, x = case(3, kernel=kernel, mapping=mapping)
    rng = np.random.default_rng(0)
    for number, layer in enumerate(bw.layers):
        if mapping == "hard" and number == 1:
            continue
        a = bw.activations(x[:2])[number]
        a = a + (0.01 * rng.random(a.shape) if number == 2 else 0)      # off the kinks of min
        dz = rng.normal(size=layer.preactivation(a).shape)
        da = layer.backward(a, dz)
        direction = rng.normal(size=a.shape)
        up, down = (layer.preactivation(a + h * direction) for h in (1e-6, -1e-6))
        np.testing.assert_allclose((da * direction).sum(), ((up - down) * dz).sum() / 2e-6,
                                   rtol=1e-5)


def test_three_words_by_hand():
    """x = (2, 0, 1), examples (1, 1, 1) and (3, 0, 0) with weights 1 and -0.5, b = 0.3:
    k = 2 and 2, f = 0.3 + 2 - 1; R = 0.1 + (1 - 1, 0, 1 - 0)."""
    machine = KernelMachine(np.array([[1.0, 3], [1, 0], [1, 0]]), np.array([[1.0], [-0.5]]),
                            np.array([0.3]))
    x = np.array([[2.0, 0, 1]])
    e = lrp.explain(lrp.Network([machine]), x)
    np.testing.assert_allclose(e.logits, [[1.3]])
    np.testing.assert_allclose(e.input, [[0.1, 0.1, 1.1]])


def test_the_corner_that_differs_gets_the_relevance():
    """Two classes that differ in one corner only."""
    rng = np.random.default_rng(0)
    x = 0.05 * rng.random((200, 81))
    y = np.arange(200) % 2
    image = x.reshape(-1, 9, 9)
    image[y == 1, 1, :3] += 1           # a bar, lying or standing
    image[y == 0, :3, 1] += 1
    bw = lrp.BagOfWords.fit(x[:100], y[:100], words=12, size=3, step=1, cells=3)
    assert (bw.predict(x[100:]) == y[100:]).mean() > 0.95
    R = np.abs(lrp.explain(bw, x[100:]).input).reshape(-1, 9, 9)
    assert R[:, :5, :5].sum() > 2 * R.sum() * 25 / 81


@pytest.mark.long
def test_digits(digits, tmp_path):
    few = 3000
    bw = lrp.BagOfWords.fit(digits.train_images[:few], digits.train_labels[:few])
    assert (bw.predict(digits.test_images) == digits.test_labels).mean() > 0.92
    bw.save(tmp_path / "bw.npz")
    loaded = lrp.BagOfWords.load(tmp_path / "bw.npz")
    np.testing.assert_array_equal(loaded.forward(digits.test_images[:9]),
                                  bw.forward(digits.test_images[:9]))
    named = lrp.BagOfWords.fit(digits.train_images[:300], np.array(["even", "odd"])[
        digits.train_labels[:300] % 2], words=20)
    assert set(named.predict(digits.test_images[:50])) == {"even", "odd"}


X = np.random.default_rng(0).random((20, 81))
Y = np.arange(20) % 2


@pytest.mark.parametrize("call, message", [
    (lambda: lrp.BagOfWords.fit(X, Y[:5]), "labels must be 20 integers or words"),
    (lambda: lrp.BagOfWords.fit(X, 0 * Y), "labels must be of at least two classes"),
    (lambda: lrp.BagOfWords.fit(X * np.nan, Y), "images must be finite"),
    (lambda: lrp.BagOfWords.fit(X[:, :80], Y, size=3), "side must be the square root"),
    (lambda: lrp.BagOfWords.fit(X, Y, size=10), "size at most side, got 9 and 10"),
    (lambda: lrp.BagOfWords.fit(X, Y, step=0), "step must be an integer of at least 1"),
    (lambda: lrp.BagOfWords.fit(X, Y, words=1), "words must be an integer of at least 2"),
    (lambda: lrp.BagOfWords.fit(X, Y, words=9999, size=3), "words must be at most"),
    (lambda: lrp.BagOfWords.fit(X, Y, words=3, size=3, cells=9), "cells must be at most 3"),
    (lambda: lrp.BagOfWords.fit(X, Y, words=3, size=3, kernel="cubic"), "kernel must be"),
    (lambda: lrp.BagOfWords.fit(X, Y, words=3, size=3, mapping="both"), "mapping must be"),
    (lambda: lrp.BagOfWords.fit(X, Y, ridge=0), "ridge must be a finite number above 0"),
    (lambda: lrp.Network([KernelMachine(-X, np.ones((81, 2)), np.ones(2))]),
     "u must hold numbers of at least 0 for the intersection kernel"),
    (lambda: lrp.explain(lrp.Network([KernelMachine(X, np.ones((81, 2)), np.ones(2))]),
                         -np.ones((1, 20))), "x must hold numbers of at least 0"),
    (lambda: Histogram(X, (3, 3), beta=np.inf, mapping="soft").out_shape((9, 81)), "beta must be"),
    (lambda: lrp.explain(lrp.BagOfWords, X), "net must be a Network")])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_patches_cover_the_image():
    patches = Patches(9, 3, 2)
    assert patches.grid == (4, 4) and patches.out_shape((81,)) == (16, 9)
    assert patches.add_up(np.ones((1, 16, 9))).min() == 1
