"""Each kernel against the equation that it computes, on odd sizes, sparse and dense numbers."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy import rules
from lrp_numpy.layers.base import LinearPart
from lrp_numpy.ops import kernels, reference

ADAM = (0.9, 0.999, 1e-8)       # beta1, beta2, epsilon

# N, D, K: ones, more and fewer than a block of eight, rows below, at and above 32
SHAPES = [(1, 1, 1), (1, 9, 3), (3, 1, 40), (2, 17, 31), (4, 16, 32), (5, 23, 33), (3, 8, 77),
          (2, 100, 10), (9, 5, 64)]


def case(N, D, K, real, density, seed=0):
    """a of both signs with a share of `density` not 0; weights, biases and relevance of both signs;
    R is 0 in places."""
    rng = np.random.default_rng([N, D, K, seed])
    a = rng.normal(size=(N, D)) * (rng.random((N, D)) < density)
    R = rng.normal(size=(N, K)) * (rng.random((N, K)) < 0.7)
    return [array.astype(real) for array in (a, rng.normal(size=(D, K)), rng.normal(size=K), R)]


def on_every_case(test):
    for mark in (pytest.mark.parametrize("shape", SHAPES, ids=str),
                 pytest.mark.parametrize("real", [np.float64, np.float32]),
                 pytest.mark.parametrize("density", [0.0, 0.2, 1.0])):
        test = mark(test)
    return test


def assert_equal(ours, equation):
    """rtol 1e-10 in float64, 1e-4 of the largest in float32: sums taken in another order."""
    assert ours.dtype == equation.dtype and ours.shape == equation.shape
    rtol, atol = (1e-10, 1e-12) if ours.dtype == np.float64 else (0, 1e-4)
    np.testing.assert_allclose(ours, equation, rtol, atol * max(np.abs(equation).max(), 1e-30))


@on_every_case
def test_linear_and_its_transpose(shape, real, density):
    a, W, b, dz = case(*shape, real, density)
    assert_equal(kernels.linear(a, W, b), reference.linear(a, W, b))
    assert_equal(kernels.linear(a, kernels.pad_rows(W), b), reference.linear(a, W, b))
    assert_equal(kernels.transpose(dz, W), reference.transpose(dz, W))


@on_every_case
def test_gradients(shape, real, density):
    a, _, _, dz = case(*shape, real, density)
    for ours, equation in zip(kernels.gradients(a, dz), reference.gradients(a, dz), strict=True):
        assert_equal(ours, equation)


@pytest.mark.parametrize("shape", [(1, 1), (5, 31), (5, 32), (3, 33), (7, 100)])
@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_rows_are_padded(shape, real):
    """The same numbers, then zeros; every long row begins on a cache line."""
    W = np.random.default_rng(0).normal(size=shape).astype(real)
    rows = kernels.pad_rows(W)
    assert rows.dtype == real and not np.shares_memory(rows, W)
    assert (rows[:, :shape[1]] == W).all() and (rows[:, shape[1]:] == 0).all()
    if shape[1] >= 32:
        assert all(row.ctypes.data % 64 == 0 for row in rows)


@on_every_case
@pytest.mark.parametrize("epsilon, gamma", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5)])
def test_propagate(shape, real, density, epsilon, gamma):
    a, W, b, R = case(*shape, real, density)
    W, b = W + real(gamma) * rules.positive(W), b + real(gamma) * rules.positive(b)
    b[0] = 0        # with a = 0, z is 0 there
    rows = []
    # The same z for both, since 1/z magnifies what rounding makes of it
    z = reference.linear(a, W, b)
    equation = np.zeros_like(a) + rules.propagate(a, W, b, R, epsilon, ledger=rows)
    ours, ledger = kernels.propagate_dense(a, W, b, R, epsilon, z)
    assert_equal(ours, equation)
    scale = 1 + np.abs(np.array(rows[0])).max()
    tolerance = 1e-12 if real == np.float64 else 1e-5
    np.testing.assert_allclose(ledger.T, rows[0], rtol=0, atol=tolerance * scale)
    if real == np.float64:
        alone, _ = kernels.propagate_dense(a, W, b, R, epsilon)
        np.testing.assert_allclose(alone, equation, rtol=1e-7, atol=1e-10 * scale)
    padded, _ = kernels.propagate_dense(a, kernels.pad_rows(W), b, R, epsilon, z)
    assert_equal(padded, equation)


@on_every_case
def test_dense_adam_step(shape, real, density):
    """Three steps, so that Adam's memory and bias correction take part."""
    a, W, b, dz = case(*shape, real, density)
    ours, theirs, equation = ([(w.copy(), np.zeros_like(w), np.zeros_like(w)) for w in (W, b)]
                              for _ in range(3))
    for t in (1, 2, 3):
        kernels.dense_adam_step(a, t * dz, *ours, t, 0.01, *ADAM)
        reference.dense_adam_step(a, t * dz, *equation, t, 0.01, *ADAM)
        for (w, m, v), gradient in zip(theirs, (a.T @ (t * dz), (t * dz).sum(axis=0))):
            reference.adam_step(w, gradient, m, v, t, 0.01, *ADAM)
    for one, other in zip(equation, theirs):
        for array, twin in zip(one, other):
            np.testing.assert_array_equal(array, twin)
    for (w, m, v), (their_w, their_m, their_v) in zip(ours, theirs):
        assert_equal(m, their_m)
        assert_equal(v, their_v)
        # Where the gradient is all but 0, Adam's step keeps its size; rounding may choose its sign
        clear = (np.abs(their_m) > 1e-3) | (their_v == 0)
        assert clear.mean() > 0.8
        assert_equal(w[clear], their_w[clear])


def test_adam_forgets_what_is_next_to_nothing():
    """m and v below 1e-30 become 0, those above do not; no weight changes by it, NaN stays."""
    m = np.array([1e-31, -1e-31, 1e-29, -1e-29, 0, np.nan], np.float32)
    w, v = np.ones(6, np.float32), np.array([1e-31, 1e-29, 0, 0, 1e-40, 0], np.float32)
    expected = [array.copy() for array in (w, m, v)]
    nothing = np.zeros(6, np.float32)
    kernels.adam_step(w, nothing, m, v, 100, 0.001, *ADAM)
    reference.adam_step(expected[0], nothing, *expected[1:], 100, 0.001, *ADAM)
    np.testing.assert_array_equal(w, expected[0])
    assert m[:2].tolist() == [0, 0] and m[2] > 0 > m[3] and np.isnan(m[5]) and np.isnan(w[5])
    assert v[0] == 0 and v[1] > 0 and v[4] == 0


@pytest.mark.parametrize("real", [np.float64, np.float32])
@pytest.mark.parametrize("N, K", [(1, 1), (1, 2), (7, 10), (100, 3)])
def test_cross_entropy(N, K, real):
    rng = np.random.default_rng(N)
    logits, labels = (30 * rng.normal(size=(N, K))).astype(real), rng.integers(0, K, N)
    loss, dlogits = kernels.cross_entropy(logits, labels)
    expected, equation = reference.cross_entropy(logits, labels)
    assert loss == pytest.approx(expected, rel=1e-10 if real == np.float64 else 1e-5, abs=1e-7)
    np.testing.assert_allclose(dlogits, equation, atol=1e-14 if real == np.float64 else 1e-6)


@pytest.mark.parametrize("shape", [(3, 20, 7), (3, 20, 40)])
@pytest.mark.parametrize("what", ["a", "R"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_not_hidden(shape, what, bad):
    """Not even by skipping zeros: where the equation is not finite, the loops are not."""
    a, W, b, R = case(*shape, np.float64, 0.2)
    {"a": a, "R": R}[what][1, 3] = bad
    with np.errstate(invalid="ignore"):
        rows = []
        checked = LinearPart(lrp.Dense(W, b, "relu"), reference, a, None)
        equation = rules.propagate(a, W, b, R, 0.1, checked, rows)
        ours, ledger = kernels.propagate_dense(a, W, b, R, 0.1)
        z = reference.linear(a, W, b)
    assert (np.isfinite(ours) == np.isfinite(equation)).all() and not np.isfinite(ours[1]).all()
    assert (np.isfinite(kernels.linear(a, W, b)) == np.isfinite(z)).all()
    assert (np.isfinite(ledger.T) == np.isfinite(np.array(rows[0]))).all()


@pytest.mark.parametrize("K", [7, 40])
def test_what_does_not_fit_is_refused(K):
    """A loop does not see the end of an array."""
    (a, W, b, R), step = case(3, 20, K, np.float64, 1.0), (1, 0.001, *ADAM)
    for call, message in (
            (lambda: kernels.linear(a[:, :5], W, b), r"a must have shape \(3, 20\), got \(3, 5\)"),
            (lambda: kernels.linear(np.hstack([a, a]), W, b), "a must have shape"),
            (lambda: kernels.linear(a[0], W, b), "a must have shape"),
            (lambda: kernels.linear(a, W, b[:, None]), "b must have shape"),
            (lambda: kernels.linear(a, W, np.append(b, b)), "b must have shape"),
            (lambda: kernels.linear(a, W, b[:K // 2]), "b must have shape"),
            (lambda: kernels.transpose(R[:, 1:], W), "s must have shape"),
            (lambda: kernels.gradients(a, R[:2]), "dz must have shape"),
            (lambda: kernels.propagate_dense(a, W, b, R[:, 1:], 0.1), "R must have shape"),
            (lambda: kernels.propagate_dense(a, W, b, R[:2], 0.1), "R must have shape"),
            (lambda: kernels.propagate_dense(a, W, b, R, 0.1, R[:2]), "z must have shape"),
            (lambda: kernels.propagate_dense(a, W, b, R, np.ones((2, K))), "broadcast"),
            (lambda: kernels.divide(R[:2], R, b, 0.1), "R must have shape"),
            (lambda: kernels.dense_adam_step(a, R[:2], [W] * 3, [b] * 3, *step), "must have shape"),
            (lambda: kernels.dense_adam_step(a[:, 1:], R, [W] * 3, [b] * 3, *step),
             "a must have shape"),
            (lambda: kernels.adam_step(W, W[1:], W, W, *step), "gradient must have shape"),
            (lambda: kernels.adam_step(W.T, W.T, W.T, W.T, *step), "must be C-contiguous")):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("K", [7, 40])
def test_no_images(K):
    a, W, b, R = case(3, 20, K, np.float32, 1.0)
    assert kernels.linear(a[:0], W, b).shape == (0, K)
    for epsilon in (0.1, np.ones((0, K)), np.ones((0, 1)), np.ones((1, K)), np.ones(K)):
        ours, ledger = kernels.propagate_dense(a[:0], W, b, R[:0], epsilon)
        assert ours.shape == (0, 20) and ledger.shape == (0, 5)


@pytest.mark.parametrize("K", [7, 40])
def test_any_layout_and_any_numbers(K):
    """Read-only, strided, transposed, of mixed types: as NumPy takes them; nothing is changed."""
    a, W, b, R = case(4, 20, K, np.float64, 0.5)
    z = a @ W + b
    wide = np.zeros((4, 40))
    wide[:, ::2] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    for one in (np.asfortranarray(a), wide[:, ::2], frozen, a[::-1][::-1]):
        assert_equal(kernels.linear(one, np.asfortranarray(W), b), z)
    assert kernels.linear(a, W.astype(np.float32), b).dtype == np.float64
    assert kernels.linear(a.astype(np.float32), W.astype(np.float32),
                          b.astype(np.float32)).dtype == np.float32
    before = [array.copy() for array in (a, W, b, R)]
    kernels.propagate_dense(a, W, b, R, 0.1)
    assert all((one == other).all() for one, other in zip(before, (a, W, b, R)))


@pytest.mark.parametrize("rule", ["0", "epsilon", "gamma"])
def test_both_engines_on_real_digits(trained, digits, rule):
    x = digits.test_images[:300]
    ours, equation = (lrp.explain(trained, x, rule, engine=engine) for engine in ("numba", "numpy"))
    assert (ours.target == equation.target).all()
    for e, engine in ((ours, "numba"), (equation, "numpy")):
        np.testing.assert_array_equal(e.logits, trained.forward(x, engine))
    # z differs by rounding, and LRP-0 and gamma divide by z: all but a few images agree closely
    far = np.abs(ours.input - equation.input).max(axis=1) > 1e-4 * np.abs(equation.input).max()
    assert far.mean() <= (0.0 if rule == "epsilon" else 0.01)


@pytest.mark.parametrize("seed", range(3))
def test_both_engines_train_alike(digits, seed):
    few = digits._replace(train_images=digits.train_images[:2000],
                          train_labels=digits.train_labels[:2000])
    histories = []
    for engine in ("numba", "numpy"):
        net = lrp.MLP.random([784, 50, 10], "sigmoid", rng=seed)
        histories.append(lrp.train(net, few, epochs=2, rng=seed, progress=False, engine=engine))
    one, other = histories
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-4)
    np.testing.assert_allclose(one.accuracy, other.accuracy, atol=0.002)
