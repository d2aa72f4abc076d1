"""Each kernel against the equation that it computes, on odd sizes, sparse and dense numbers."""
import ast
import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy import ops, rules
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers.base import LinearPart
from lrp_numpy.ops import kernels, reference, remembering
from lrp_numpy.ops.remembering import Remembering, once, remember

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
def test_shares_of_distances(shape, real, density):
    a, W, _, s = case(*shape, real, density)
    u = W.T.copy()
    assert_equal(kernels.shares_of_distances(a, u, s), reference.shares_of_distances(a, u, s))


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
    """Not even by skipping zeros: where the equation is not finite, neither are the loops."""
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


def flat(values):
    """All arrays and numbers of a nest of tuples and lists."""
    return [one for value in values for one in flat(value)] if isinstance(
        values, (tuple, list)) else [values]


@pytest.mark.filterwarnings("ignore:invalid value")        # of 0 times infinity, in any thread
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 3, 14, 15), (2, 5, 4), (3, 1, 1, 1), (0, 2, 3, 3)])
def test_relu_of_images(shape, real):
    """The same numbers, also for what is not finite."""
    z, da = np.random.default_rng(0).normal(size=(2, *shape)).astype(real)
    odd = [np.nan, np.inf, -np.inf, 0, -0.0]
    for array, step in ((z, 7), (da, 5)):
        array.flat[::step] = np.resize(odd, len(array.flat[::step]))
    np.testing.assert_array_equal(kernels.relu(z), reference.relu(z))
    np.testing.assert_array_equal(kernels.relu_backward(z, da), reference.relu_backward(z, da))
    assert kernels.relu(z).dtype == kernels.relu_backward(z, da).dtype == real


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("shape, offset", [((300, 3, 14, 15), 0), ((300, 3, 14, 15), 30),
                                           ((7, 1, 5, 3), 2), ((1, 4, 2, 2), 1)])
def test_normalization_of_images(shape, real, offset):
    """Far from 0, and for many images or one."""
    rng = np.random.default_rng(0)
    a, dz = (rng.normal(size=(2, *shape)) + [[[[[offset]]]], [[[[0]]]]]).astype(real)
    W, b = rng.normal(size=(2, shape[1], 1, 1)).astype(real)
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if real == np.float64 else {
        "rtol": 1e-3, "atol": 1e-4 * max(1, offset)}
    mean, variance = reference.moments(a)
    np.testing.assert_allclose(mean.ravel(), a.mean(axis=(0, 2, 3), dtype=float), rtol=1e-4)
    np.testing.assert_allclose(variance.ravel(), a.var(axis=(0, 2, 3), dtype=float), rtol=1e-2)
    per_std = 1 / np.sqrt(variance + real(1e-5))
    for name, arguments in (("channel_sum", (dz,)), ("channel_sum", (dz, a)), ("moments", (a,)),
                            ("normalize", (a, mean, W * per_std, b)),
                            ("normalize_backward", (a, dz, mean, per_std, W))):
        ours, equation = (getattr(ops, name)(*arguments) for ops in (kernels, reference))
        for one, other in zip(flat(ours), flat(equation), strict=True):
            assert one.dtype == real and one.shape == other.shape
            scale = max(1, np.abs(other).max())
            np.testing.assert_allclose(one / scale, other / scale, **tolerance)


def test_moments_in_one_pass_lose_few_digits():
    """Where the first image is unlike all others; far from 0; where nothing varies."""
    a = np.random.default_rng(0).normal(size=(50, 3, 6, 7))
    a[0, 0] += 1e3
    a[:, 1] = 1e4 + a[:, 1] / 10
    a[:, 2] = 0.1
    a = a.astype(np.float32)
    mean, variance = kernels.moments(a)
    np.testing.assert_allclose(mean.ravel(), a.mean(axis=(0, 2, 3), dtype=float), rtol=1e-5)
    np.testing.assert_allclose(variance.ravel()[:2], a.var(axis=(0, 2, 3), dtype=float)[:2], 1e-4)
    assert 0 <= variance[2, 0, 0] < 1e-12


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("N, h, T, D", [(0, 1, 2, 3), (1, 1, 1, 1), (7, 2, 5, 12), (33, 4, 16, 48),
                                        (3, 3, 20, 129)])
def test_tokens_and_attention(N, h, T, D, real):
    """Rows shorter and longer than a vector, far from mean 0; scores that differ by hundreds."""
    rng = np.random.default_rng([N, D])
    a, dz = (rng.normal(size=(2, N, T, D)) + 3).astype(real)
    z = (4 * rng.normal(size=(N, T, D))).astype(real)
    W, b = rng.normal(size=(2, D)).astype(real)
    S, c = rng.normal(size=(2, N, h, T, T)).astype(real)
    S[:, 0] *= 200
    A, (_, *of_tokens) = reference.softmax(S.copy()), reference.normalize_tokens(a, W, b, 1e-2)
    for name, arguments in (
            ("gelu", (z,)), ("gelu_backward", (z, reference.gelu(z), dz)),
            ("normalize_tokens", (a, W, b, 1e-2)), ("normalize_tokens", (a[:, 0], W, b, 1e-2)),
            ("normalize_tokens_backward", (a, dz, *of_tokens, W)),
            ("softmax", (S,)), ("softmax", (S, True)), ("softmax_backward", (A, c)),
            ("softmax_relevance", (S, A, c))):
        ours, equation = (flat([getattr(engine, name)(*copies), copies]) for engine, copies in (
            (engine, [np.copy(one) if np.ndim(one) else one for one in arguments])
            for engine in (kernels, reference)))
        for one, other in zip(ours, equation, strict=True):
            if np.size(other):
                assert_equal(np.asarray(one, real), np.asarray(other, real))


@pytest.mark.parametrize("epsilon", [0.0, 0.3, "of each image"])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_relevance_of_normalized_tokens(real, epsilon):
    """By the four lines, and with outputs whose denominator is 0."""
    rng = np.random.default_rng(0)
    a, R = rng.normal(size=(2, 6, 5, 7)).astype(real)
    W, b = rng.normal(size=(2, 7)).astype(real)
    W[2] = b[2] = 0
    epsilon = rng.random((6, 1, 1)).astype(real) if isinstance(epsilon, str) else epsilon
    z, _, per_std = reference.normalize_tokens(a, W, b, 1e-2)
    layer, rows = lrp.LayerNorm((W * per_std).astype(real), b), []
    equation = rules.propagate(a, layer.W, b, R, epsilon, LinearPart(layer, reference, a, z), rows)
    ours, ledger = kernels.propagate_normalized(a, W, b, R, epsilon, z, per_std)
    assert_equal(ours, equation)
    for one, other in zip(ledger.T, rows[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3 if real == np.float32 else 1e-10,
                                   atol=1e-4 if real == np.float32 else 1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_loops_of_tokens_keep_what_is_not_finite(bad):
    """In the row where it is, and only there."""
    S = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    S[1, 2, 3, 1] = bad
    rows = np.ones((2, 3, 4), bool)
    rows[1, 2, 3] = False
    assert (np.isfinite(kernels.softmax(S.copy())).all(axis=3) == rows).all()
    for found in (kernels.gelu(S), kernels.gelu_backward(S, S, S)):
        assert (np.isfinite(found) == np.isfinite(S)).all()
    z, mean, per_std = kernels.normalize_tokens(S[:, 0], *np.ones((2, 4), np.float32), 1e-5)
    assert np.isfinite(z).all()
    for found in kernels.normalize_tokens(S[:, 2], *np.ones((2, 4), np.float32), 1e-5)[:2]:
        assert (np.isfinite(found).all(axis=2) == rows[:, 2]).all()


@pytest.mark.parametrize("density", [0.1, 1.0])     # position by position, or by lines
@pytest.mark.parametrize("N", [0, 1, 29, 100])      # images: parts of the same size, and of others
@pytest.mark.parametrize("C, K, size, kernel, stride, padding", [
    (1, 3, (9, 8), (5, 5), 1, 2), (16, 5, (7, 7), (3, 3), 1, 1), (13, 4, (8, 9), (3, 2), 2, 1),
    (65, 1, (3, 5), (1, 1), 1, 0), (8, 6, (30, 34), (3, 3), 1, 0), (16, 29, (7, 7), (3, 3), 1, 1),
    (65, 22, (4, 5), (3, 2), 2, 1), (2, 2, (5, 5), (1, 1), 1, 1), (2, 3, (5, 5), (1, 3), 1, 1),
    (2, 3, (5, 6), (2, 2), 1, 2)])      # padding as wide as the kernel: the output is longer
def test_gradients_of_a_convolution(C, K, size, kernel, stride, padding, N, density):
    """Of images that lie several in a line, alone, or, with over 1,024 numbers, in a longer one."""
    rng = np.random.default_rng([C, K, N])
    a, at = rng.normal(size=(N, C, *size)), (*kernel, stride, padding)
    dz = rng.normal(size=(N, K, *reference.output_size(size, kernel, stride, padding)))
    dz *= rng.random(dz.shape) < density
    for ours, equation in zip(kernels.convolve_gradients(a, dz, *at),
                              reference.convolve_gradients(a, dz, *at), strict=True):
        assert_equal(ours, equation)


@pytest.mark.parametrize("C, K, density", [(2, 3, 1.0), (8, 58, 1.0), (8, 58, 0.2)])
def test_the_gradient_of_a_bias_that_is_nearly_0(C, K, density):
    """As before a BatchNorm: Adam would divide by the rounding errors. 2e-8 of what is added up."""
    rng = np.random.default_rng(C)
    dz = rng.normal(size=(400, K, 4, 4)) + np.sign(np.arange(400) - 199.5)[:, None, None, None]
    dz = (dz * (rng.random(dz.shape) < density)).astype(np.float32)
    a = np.ones((400, C, 4, 4), np.float32)
    db = kernels.convolve_gradients(a, dz, 3, 3, 1, 1)[1]
    exact, added = (x.sum(axis=(0, 2, 3), dtype=float) for x in (dz, np.abs(dz)))
    assert db.dtype == np.float32 and np.all(np.abs(db.ravel() - exact) < 2e-8 * added)


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
            (lambda: kernels.relu_backward(np.ones((2, 3, 4)), np.ones((2, 3, 3))),
             "da must have shape"),
            (lambda: kernels.normalize(*np.ones((4, 2, 3, 1, 1))), "mean must have shape"),
            (lambda: kernels.channel_sum(np.ones((2, 3, 4, 4)), np.ones((2, 3, 4, 5))),
             "y must have shape"),
            (lambda: kernels.gelu_backward(*np.ones((2, 2, 3)), np.ones((2, 4))),
             "da must have shape"),
            (lambda: kernels.normalize_tokens(np.ones((2, 3, 4)), *np.ones((2, 3)), 1e-5),
             "W must have shape"),
            (lambda: kernels.normalize_tokens_backward(*np.ones((2, 2, 3, 4)),
                                                       *np.ones((2, 2, 3, 4)), np.ones(4)),
             "mean must have shape"),
            (lambda: kernels.softmax_backward(np.ones((2, 3, 4, 4)), np.ones((2, 3, 4, 5))),
             "dA must have shape"),
            (lambda: kernels.softmax_relevance(*np.ones((2, 2, 3, 4, 4)), np.ones((2, 3, 4, 5))),
             "c must have shape"),
            (lambda: kernels.propagate_normalized(a, W[0], b, a, 0.1, a, a), "per_std must have"),
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


# The two modules are one interface

def public(module):
    """{name: function} of what is made in a module for others."""
    functions = {name: getattr(one, "py_func", one) for name, one in vars(module).items()
                 if not name.startswith("_") and callable(one)}
    return {name: one for name, one in functions.items()
            if inspect.isfunction(one) and one.__module__ == reference.__name__}


def image_case():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 2, 7, 6)), rng.normal(size=(2, 4, 3, 2)), rng.normal(size=(4, 1, 1))


def arguments_of(name):
    """Some for each function, and other numbers in every call of the test."""
    a, W, b, R = case(5, 23, 33, np.float64, 0.5)
    images, kernel, bias = image_case()
    rng = np.random.default_rng(1)
    triples = [[rng.random((4, 5)) for _ in range(4)], [rng.random((23, 33)) for _ in range(3)],
               [rng.random(33) for _ in range(3)]]
    channels, scores = rng.random((4, 2, 1, 1)), rng.normal(size=(2, 3, 5, 5))
    tokens, of_tokens, of_features = (rng.normal(size=size) for size in (
        (3, 5, 7), (2, 3, 5, 1), (2, 7)))
    numbers = (3, 0.01, 0.8, 0.95, 1e-3)
    return {
        "linear": (a, W, b), "transpose": (R, W), "gradients": (a, R),
        "shares_of_distances": (a, rng.normal(size=(33, 23)), R),
        "terms": (np.abs(a), np.abs(a[::-1]), "chi2"),
        "sum_kernel": (np.abs(a), np.abs(W), "chi2"),
        "sum_kernel_shares": (np.abs(a), np.abs(W), R, "intersection"),
        "convolve": (images, kernel, bias, 2, 1),
        "convolve_transpose": (rng.normal(size=(3, 4, 4, 4)), kernel, images.shape, 2, 1),
        "convolve_gradients": (images, rng.normal(size=(3, 4, 4, 4)), 3, 2, 2, 1),
        "relu": (images,), "relu_backward": (images, images[::-1].copy()),
        "gelu": (images,), "gelu_backward": (images, reference.gelu(images), images[::-1] + 1),
        "normalize_tokens": (tokens, *of_features, 1e-3),
        "normalize_tokens_backward": (tokens, tokens[::-1] + 1, *of_tokens, of_features[0]),
        "softmax": (scores, True), "softmax_backward": (scores, scores[::-1] + 1),
        "softmax_relevance": (scores, reference.softmax(scores.copy()), scores[::-1] + 1),
        "channel_sum": (images, images[::-1] + 1), "moments": (images + 2,),
        "normalize": (images, *channels[:3]),
        "normalize_backward": (images, rng.normal(size=images.shape), *channels[1:]),
        "average_pool": (images, np.full((2, 2), 0.25), np.ones(1), 2),
        "average_pool_transpose": (rng.normal(size=(3, 2, 3, 3)), np.full((2, 2), 0.25),
                                   images.shape, 2),
        "max_pool": (images, 2, 2),
        "max_pool_backward": (images, rng.normal(size=(3, 2, 3, 3)), 2, 2),
        "zero_pad": (images, 2), "shifted": (images, 1, 0, (3, 2), 2),
        "output_size": ((7, 6), (3, 2), 2, 1), "log_softmax": (R,),
        "cross_entropy": (R, np.array([0, 3, 32, 1, 1])), "adam_step": (*triples[0], *numbers),
        "dense_adam_step": (a, R, *triples[1:], *numbers)}[name]


@pytest.mark.parametrize("name", public(reference))
def test_each_function_is_in_both_modules(name):
    """By the same name, with the same parameters and defaults, and it computes the same."""
    ours, equation = getattr(kernels, name), getattr(reference, name)
    signatures = [[(one.name, one.kind, one.default) for one in inspect.signature(
        getattr(function, "py_func", function)).parameters.values()]
        for function in (ours, equation)]
    assert signatures[0] == signatures[1] and name in kernels.__all__

    results, changed = [], []
    for function in (ours, equation):
        arguments = arguments_of(name)
        results.append(flat(function(*arguments)))
        changed.append(flat(arguments))
    for one, other in zip(*results, strict=True):
        assert np.shape(one) == np.shape(other)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    for one, other in zip(*changed, strict=True):       # Adam's arrays in place, others not at all
        if not isinstance(one, str):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_what_the_loops_have_more():
    """All public names of kernels are those of the equations, and what rules.propagate calls."""
    assert set(kernels.__all__) == {*public(reference), "loops"}
    assert reference.loops is None and callable(kernels.loops)


# The choice

@pytest.mark.parametrize("engine, work, module", [
    ("numpy", 0, reference), ("numpy", 1e300, reference), ("numba", 0, kernels),
    ("numba", 1e300, kernels), (None, 0, reference), (None, ops.LOOPS_FROM - 1, reference),
    (None, ops.LOOPS_FROM, kernels), (None, 10**15, kernels)])
def test_the_engine_goes_by_the_work_alone(engine, work, module):
    """The same answer before anything is compiled and after."""
    assert ops.choose(engine, work) is module
    assert ops.choose() is reference and ops.ENGINES == ("numpy", "numba")


@pytest.mark.parametrize("engine", ["torch", "", "NumPy", 0, True, ["numpy"], reference])
def test_other_engines_are_refused(engine):
    with pytest.raises(ValueError, match="^engine must be 'numpy' or 'numba', got "):
        ops.choose(engine)


def test_the_work_of_a_network():
    """By hand: D K for Dense, each weight of a kernel as often as it has places."""
    net = lrp.MLP.random([784, 500, 10])
    assert net.multiplications == 784 * 500 + 500 * 10
    assert net.choose_ops(None, int(ops.LOOPS_FROM / net.multiplications)) is reference
    assert net.choose_ops(None, int(ops.LOOPS_FROM / net.multiplications) + 1) is kernels
    assert net.choose_ops("numba", 1) is kernels
    assert lrp.transformer().choose_ops(None, 10**9) is kernels
    assert lrp.resnet().choose_ops(None, 10**9) is kernels
    assert lrp.lenet().multiplications == (
        8 * 25 * 28 * 28 + 8 * 16 * 25 * 10 * 10 + 400 * 120 + 120 * 10)
    none = lrp.Network([lrp.Unflatten((1, 4, 4)), lrp.MaxPool2D(2), lrp.Flatten()])
    assert none.multiplications == 0


def test_explain_goes_by_the_number_of_images(monkeypatch):
    """Of all its batches, so that each of them is computed by the same engine."""
    net = lrp.MLP.random([9, 40, 4], "tanh")
    x = np.random.default_rng(0).random((6, 9), np.float32)
    by, by_twos = ({engine: np.concatenate([lrp.explain(net, x[n:n + size], engine=engine).logits
                                            for n in range(0, 6, size)]) for engine in ops.ENGINES}
                   for size in (6, 2))      # a matmul of two rows may round differently
    assert (by["numpy"] != by["numba"]).any() and (by_twos["numpy"] != by_twos["numba"]).any()
    for least, engine in ((6, "numba"), (7, "numpy")):
        monkeypatch.setattr(ops, "LOOPS_FROM", least * net.multiplications)
        for logits in (lrp.explain(net, x).logits, net.forward(x)):
            np.testing.assert_array_equal(logits, by[engine])
        np.testing.assert_array_equal(np.concatenate(
            [part.logits for part in lrp.explain_batches(net, x, batch_size=2)]), by_twos[engine])


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import warnings
import numpy as np
import lrp_numpy as lrp
path, digits = sys.argv[1], lrp.load_mnist()
digits = lrp.Digits(*(array[:300] for array in digits))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.filterwarnings("ignore", message="gamma is made for")
    net = lrp.MLP.random([784, 20, 10], "relu")
    assert lrp.train(net, digits, 10, 10, progress=False).accuracy[-1] > 0.5
    e = lrp.explain(net, digits.test_images, "gamma")
    net.save(path)
    net = lrp.Network.load(path)
    assert not caught, caught
    for _ in range(2):
        loops = lrp.explain(net, digits.test_images, "gamma", engine="numba")
        assert (loops.input == e.input).all() and (net.forward(digits.test_images, "numba")
                                                   == net.forward(digits.test_images)).all()
        lrp.train(lrp.lenet(0, "relu", (2, 3), 5), digits, 1, progress=False, engine="numba")
        list(lrp.explain_batches(net, iter([digits.test_images])))
    try:
        net.forward(digits.test_images, "torch")
    except ValueError:
        pass
    else:
        raise AssertionError("it must be refused")
    print([str(one.message) for one in caught])
    assert "lrp_numpy.ops.kernels" not in sys.modules
"""


def test_without_numba(tmp_path):
    """All runs by the equations, and one warning is given when the loops are asked for."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_NUMBA, tmp_path / "net.npz"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    message, = ast.literal_eval(done.stdout)
    assert re.fullmatch(r"numba cannot be imported \(.*numba.*\), so the NumPy equations run "
                        "instead of the loops: the same results, but slower", message)
    assert done.stderr == ""


def test_the_equations_import_no_loops():
    """Numba is imported when the loops are first taken, and not before."""
    code = ("import sys, numpy as np, lrp_numpy as lrp; net = lrp.MLP.random([9, 4]); "
            "x = np.ones((2, 9), np.float32); lrp.explain(net, x, 'gamma'); "
            "lrp.train(net, lrp.Digits(x, np.zeros(2, int), x, np.zeros(2, int)), progress=False); "
            "assert 'numba' not in sys.modules; lrp.explain(net, x, engine='numba'); "
            "assert 'numba' in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# Weights that remember what was made of them

def results_of(W, b, a):
    """What a rule could do with its weights, and with other arrays beside them."""
    return [
        W + 0.5 * np.maximum(W, 0), 0.5 * W, W * 0.5, W**2, W**0, -W, abs(W), W - 1, 1 - W, W / 3,
        1 / (1 + W**2), W > 0, W == 0, ~(W > 0), np.minimum(W, 0), np.where(W > 0, W, 0),
        np.where(W > 0, 1.0, W), np.clip(W, -1, 1), np.sign(W), np.copysign(W, 0.0),
        np.copysign(W, -0.0), 0.0 * W, -0.0 * W, W * True, W * 1, W * 1.0, W * np.float32(2),
        np.concatenate([W, -W]), np.concatenate((W, W), axis=1), np.concatenate([W, a]),
        np.vstack([W, b]), np.stack([W, W]), np.split(W, [3]), W.T, W.T + 1, W.T @ W, W[0],
        W[:, 1:], W[:, ::-1] * 2, W[W > 0], W.reshape(-1), W.ravel() + 0, W.sum(), W.sum(axis=0),
        W.mean(axis=1, keepdims=True), np.mean(W), np.add.reduce(W, axis=1), W.std(axis=0), W.var(),
        W.round(1), np.std(W), np.median(W), np.modf(W), np.where(W > 0), W.max(), W.argmax(),
        np.linalg.norm(W), np.linalg.norm(W, axis=0), np.sort(W, axis=0), np.cumsum(W, axis=1),
        np.ones_like(W), np.zeros_like(b), np.zeros(W.shape), W.astype(np.float32), W.copy(),
        np.copy(W), np.array(W), np.asarray(W), a @ W, a @ W + b, a @ (2 * W) + 2 * b, W.T @ a.T,
        np.einsum("nj,jk->nk", a, W), np.einsum("jk->k", W), np.einsum("jk->kj", W), np.dot(a, W),
        np.add(W, b), np.add(b, b), np.outer(b, b), np.multiply.outer(b, b),
        np.maximum(W, 0, where=W > 0, out=np.zeros(W.shape)), np.sum(W, where=W > 0),
        np.sum(W, axis=0, where=W < 0), np.sum(W, axis=(0, 1)), np.sum(W, axis=-1),
        np.array_equal(W, W), np.broadcast_to(b, W.shape), np.isfinite(W).all(), float(W[0, 0]),
        len(W), W.shape, W.dtype, np.tensordot(a, W, axes=1), np.unravel_index(W.argmin(), W.shape)]


def assert_identical(ours, theirs, number):
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            assert_identical(one, other, number)
        return
    assert np.asarray(ours).dtype == np.asarray(theirs).dtype, number
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), err_msg=str(number))
    np.testing.assert_array_equal(np.signbit(np.asarray(ours, np.float64)),
                                  np.signbit(np.asarray(theirs, np.float64)), str(number))


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_what_is_remembered_is_what_plain_arrays_give(real):
    """To the bit and in its type, the first time and when it is looked up, for other a as well."""
    _, W, b, _ = case(4, 9, 9, real, 1.0)
    memo = {}
    remembered = remember(W, memo), remember(b, memo)
    for seed in (0, 0, 1):
        a = case(4, 9, 9, real, 0.5, seed)[0]
        ours, theirs = results_of(*remembered, a), results_of(W, b, a)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(other, np.dtype):
                assert one == other
            else:
                assert_identical(one, other, number)


def test_a_result_of_weights_alone_is_made_once():
    """And that of a result. What meets another array is a plain one, made anew."""
    W, memo = np.arange(-6.0, 6).reshape(3, 4), {}
    kept, a = remember(W, memo), np.ones((2, 3))
    for make in (lambda W: W + 0.5 * np.maximum(W, 0), lambda W: W**2, lambda W: W * 2.0,
                 lambda W: np.where(W > 0, W, 0), lambda W: np.concatenate([W, -W]),
                 lambda W: np.clip(W, -1, 1), lambda W: np.sum(W, axis=0, where=W > 0),
                 lambda W: np.zeros_like(W), lambda W: np.linalg.norm(W, axis=0)):
        assert make(kept) is make(kept)
        assert isinstance(make(kept), Remembering) and not make(kept).flags.writeable
    assert kept * 2 is not kept * 2.0 and kept * 1 is not kept * True
    for product in (a @ kept, kept * np.ones(4), np.where(np.ones(4) > 0, kept, 0)):
        assert type(product) is np.ndarray and product.flags.writeable
    for view in (kept.T, kept[1:], kept.reshape(-1)):       # an array like any other
        assert type(2 * view) is np.ndarray and (2 * view == 2 * np.asarray(view)).all()


def test_nothing_is_written_into_what_is_remembered():
    """Not the weights, not a result, not through a view; a copy can be written into."""
    W, memo = np.arange(6.0).reshape(2, 3), {}
    kept = remember(W, memo)
    double = 2 * kept
    for array in (kept, double, kept.T, kept[0], np.asarray(kept), kept.view(np.ndarray)):
        before = np.array(array)
        for write in (lambda x: x.__setitem__(..., 7), lambda x: x.fill(7), lambda x: x.sort(),
                      lambda x: np.multiply(x, 2, out=x), lambda x: x.__imul__(2),
                      lambda x: np.copyto(x, 7), lambda x: np.put(x, 0, 7),
                      lambda x: x.setflags(write=True)):
            with pytest.raises(ValueError, match="read-only|WRITEABLE"):
                write(array)
        np.testing.assert_array_equal(array, before)
    whole, rest = np.modf(kept), np.nonzero(kept)       # several arrays are not kept
    whole[0][...], rest[0][...] = 7, 7
    assert (np.modf(kept)[1] == W).all() and (np.nonzero(kept)[0] == np.nonzero(W)[0]).all()
    for copy in (kept.copy(), np.copy(kept), np.array(kept), double.copy(), np.copy(double)):
        copy[...] = 7
        copy *= 2
    assert (np.copy(kept) == W).all() and (2 * kept == 2 * W).all()
    kept_W, W[...] = W.copy(), 9        # the array that it was made of is another one
    assert (kept == kept_W).all()


def test_out_is_written_to():
    W, b = np.arange(6.0).reshape(2, 3), np.ones(3)
    memo = {}
    kept, kept_b = remember(W, memo), remember(b, memo)
    for _ in range(2):
        out = np.zeros((2, 3))
        assert np.multiply(kept, 2, out=out) is out and (out == 2 * W).all()
        assert np.add(out, kept, out) is out and (out == 3 * W).all()
        out += kept_b
        assert type(out) is np.ndarray and (out == 3 * W + b).all()
        assert np.sum(kept, axis=0, out=out[0]) is not None and (out[0] == W.sum(axis=0)).all()
        assert np.matmul(np.ones((1, 2)), kept, out=out[:1]).shape == (1, 3)


def test_no_identity_is_mistaken_for_another():
    """Arrays die, and new ones get their id; what was made of them is not taken for theirs."""
    memo = {}
    for number in range(500):
        W = remember(np.full(3, float(number)), memo)
        assert (2 * W == 2 * number).all() and (once(np.sum, W)) == 3 * number
        mask = remember(np.arange(3) < number % 4, memo)
        assert np.sum(W, where=mask) == min(number % 4, 3) * number


def test_a_memo_does_not_grow_with_the_batches():
    """Of a rule whose numbers are others for every batch, only some results are kept."""
    net = lrp.MLP.random([9, 8, 4], "relu", dtype=np.float64)
    x, sizes = np.random.default_rng(0).random((300, 9)), []

    def by_batch(a, W, b, R, **how):
        sizes.append(len(W.memo))
        factor = float(a.sum())
        return rules.propagate(a, factor * W, factor * b, R, **how)

    for engine in ops.ENGINES:
        parts = lrp.explain_batches(net, x, by_batch, batch_size=1, engine=engine)
        ours = np.concatenate([part.input for part in parts])
        np.testing.assert_allclose(ours, lrp.explain(net, x).input, rtol=1e-9, atol=1e-12)
    assert max(sizes) <= 64


@pytest.mark.parametrize("name", [*rules.RULES, *DIALECTS])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_changed_weights_are_made_once_a_call(monkeypatch, name, engine):
    """For eight batches nothing more is computed of weights than for one, and padded for the loops;
    the next call does it again, for the weights may have changed."""
    net = lrp.MLP.random([9, 40, 35, 4], "relu", dtype=np.float64)
    x, made, padded = np.random.default_rng(0).random((8, 9)), [], []
    keep, pad = remembering._keep, kernels.pad_rows
    monkeypatch.setattr(remembering, "_keep", lambda *entry: (made.append(1), keep(*entry))[1])
    monkeypatch.setattr(kernels, "pad_rows", lambda W: (padded.append(W.shape), pad(W))[1])

    def explained(batch_size):
        made.clear(), padded.clear()
        parts = list(lrp.explain_batches(net, x, name, engine=engine, batch_size=batch_size))
        return np.concatenate([part.input for part in parts]), len(made), len(padded)

    whole, made_once, padded_once = explained(8)
    alone, made_of_all, padded_of_all = explained(1)
    assert (made_of_all, padded_of_all) == (made_once, padded_once)
    assert (padded_once > 0) == (engine == "numba")
    keeps_weights = name == "0" or name.endswith("epsilon")
    assert (made_once > 0) == (engine == "numba" or not keeps_weights)
    np.testing.assert_allclose(alone, whole, rtol=1e-8, atol=1e-10 * np.abs(whole).max())
    again, made_again, _ = explained(8)
    assert made_again == made_once and (again == whole).all()
    net.layers[0].W[...] *= 2
    assert np.abs(explained(8)[0] - whole).max() > 1e-3


@pytest.mark.parametrize("name", [*rules.RULES, *DIALECTS])
def test_explain_is_the_rules_on_plain_arrays(name):
    """To the bit: remembering changes nothing."""
    net = lrp.MLP.random([9, 40, 35, 4], "relu", dtype=np.float64)
    x = np.random.default_rng(0).random((8, 9))
    e = lrp.explain(net, x, name, engine="numpy")
    a, R = net.activations(x, "numpy"), e.relevance[-1]
    for layer, a_in, expected in zip(net.layers[::-1], a[-2::-1], e.relevance[-2::-1]):
        R = {**rules.RULES, **DIALECTS}[name](a_in, layer.W, layer.b, R)
        np.testing.assert_array_equal(R, expected)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("write", [lambda W: W.__setitem__(0, 0.0), lambda W: W.__imul__(2),
                                   lambda W: np.multiply(W, 2, out=W), lambda W: W.sort(),
                                   lambda W: (2 * W).__setitem__(0, 0.0)])
def test_a_rule_that_writes_into_weights_is_refused(engine, write):
    """And the network is as it was."""
    net = lrp.MLP.random([9, 8, 4], "relu")
    x, before = np.random.default_rng(0).random((6, 9), np.float32), [
        layer.W.copy() for layer in net.layers]

    def careless(a, W, b, R, **how):
        write(W)
        return rules.propagate(a, W, b, R, **how)

    def careful(a, W, b, R, **how):
        W = W.copy()
        W[W < 0] = 0
        return rules.propagate(a, W, b, R, **how)

    with pytest.raises(ValueError, match="read-only"):
        lrp.explain(net, x, careless, engine=engine)
    e = lrp.explain(net, x, careful, engine=engine)
    expected = lrp.explain(net, x, "captum.alpha1_beta0", engine=engine, stabilizer=0)
    np.testing.assert_allclose(e.input, expected.input, rtol=1e-3, atol=1e-6)
    assert all((layer.W == W).all() for layer, W in zip(net.layers, before))
