"""Each rule against its sum written as loops, against hand calculations, and by its properties."""
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import ENGINES, added_up, by_engine
from lrp_numpy.composites import parameters_of
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers import Conv2D, Dense
from lrp_numpy.layers.base import LinearPart
from lrp_numpy.ops import reference
from lrp_numpy.rules import (RULES, lrp_0, lrp_epsilon, lrp_gamma, lrp_z_box, negative, positive,
                             propagate, sign, stabilize)

CASES = [("0", {}), ("epsilon", {"epsilon": 0.3}), ("epsilon", {"epsilon": 5.0}),
         ("gamma", {"gamma": 0.25}), ("gamma", {"gamma": 10.0})]
ALL = {**RULES, **DIALECTS}
SHAPES = [(1, 1, 1), (4, 3, 2), (2, 1, 5), (3, 6, 1), (5, 8, 7)]      # N, D, K


def case(N, D, K, seed):
    """a >= 0 with some zeros, weights and relevance of both signs, non-zero biases."""
    rng = np.random.default_rng(seed)
    a = np.maximum(rng.normal(size=(N, D)), 0)
    return a, rng.normal(size=(D, K)), rng.normal(size=K), rng.normal(size=(N, K))


def by_loops(a, W, b, R, epsilon=0.0, gamma=0.0):
    """The sums of the docstrings, element by element; also what the bias got, image by image."""
    (N, D), K = a.shape, len(b)
    R_inputs, R_bias = np.zeros((N, D)), np.zeros(N)
    for n in range(N):
        for k in range(K):
            part = [a[n, j] * (W[j, k] + gamma * max(W[j, k], 0)) for j in range(D)]
            bias = b[k] + gamma * max(b[k], 0)
            z = sum(part) + bias
            z += epsilon if z >= 0 else -epsilon
            for j in range(D):
                R_inputs[n, j] += part[j] / z * R[n, k]
            R_bias[n] += bias / z * R[n, k]
    return R_inputs, R_bias


def on_every_case(test):
    for mark in (pytest.mark.parametrize("name, parameters", CASES),
                 pytest.mark.parametrize("shape", SHAPES),
                 pytest.mark.parametrize("seed", range(4))):
        test = mark(test)
    return test


@on_every_case
def test_rules_equal_their_sums(name, parameters, shape, seed):
    a, W, b, R = case(*shape, seed)
    ledger = []
    R_inputs = RULES[name](a, W, b, R, ledger=ledger, **parameters)
    expected, bias = by_loops(a, W, b, R, **parameters)
    np.testing.assert_allclose(R_inputs, expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ledger[0].bias, bias, rtol=1e-10, atol=1e-13)


@on_every_case
def test_the_ledger_adds_up(name, parameters, shape, seed):
    a, W, b, R = case(*shape, seed)
    ledger = []
    R_inputs = RULES[name](a, W, b, R, ledger=ledger, **parameters)
    row, = ledger
    np.testing.assert_allclose(row.received, R.sum(axis=1), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(row.inputs, R_inputs.sum(axis=1), rtol=1e-10, atol=1e-12)
    total = row.inputs + row.bias + row.epsilon + row.dropped
    scale = np.abs(np.array(row)).max()
    np.testing.assert_allclose(row.received, total, rtol=1e-10, atol=1e-13 * scale)
    assert (row.dropped == 0).all()
    assert ((row.epsilon != 0) == ("epsilon" in parameters)).all()


def test_a_negative_z_is_stabilized_downwards():
    """z = -2, R = 4, epsilon = 1: 4 / (-2 - 1) for each unit of z."""
    a, W, b, R = np.array([[1., 3.]]), np.array([[1.], [-1.]]), np.zeros(1), np.array([[4.]])
    expected = np.array([[1, -3]]) * 4 / -3
    np.testing.assert_allclose(propagate(a, W, b, R, 1.0), expected, rtol=1e-15)
    np.testing.assert_allclose(propagate(a, W, b, R, np.ones(1)), expected, rtol=1e-15)
    np.testing.assert_allclose(lrp_epsilon(a, W, b, R, 1.0), expected, rtol=1e-15)


def test_by_hand():
    """a = [1, 2], w = [3, -1], b = 1: z = 3 - 2 + 1 = 2, and R = 4 is two for each unit of z."""
    a, W, b, R = np.array([[1., 2.]]), np.array([[3.], [-1.]]), np.array([1.]), np.array([[4.]])
    assert lrp_0(a, W, b, R).tolist() == [[6, -4]]                  # and 2 for the bias
    assert lrp_epsilon(a, W, b, R, epsilon=2.0).tolist() == [[3, -2]]       # 4 / (2 + 2) = 1
    # gamma = 1: w = [6, -1], b = 2, z = 6 - 2 + 2 = 6
    np.testing.assert_allclose(lrp_gamma(a, W, b, R, gamma=1.0), [[4, -4 / 3]], rtol=1e-15)
    ledger = []
    lrp_epsilon(a, W, b, R, epsilon=2.0, ledger=ledger)
    assert [float(part[0]) for part in ledger[0]] == [4, 1, 1, 2, 0]


@pytest.mark.parametrize("name, parameters", [
    *CASES, ("z_box", {"low": -0.5, "high": 0.5}), ("w_square", {}), ("flat", {}),
    ("alpha_beta", {}), ("z_plus", {}), ("gamma_generalized", {"gamma": 0.5}),
    ("epsilon", {"relative": True}), *((name, {}) for name in DIALECTS)])
@pytest.mark.parametrize("dtype", [int, np.int8, np.uint8])
def test_integers_will_do(name, parameters, dtype):
    """As a student types them; no product wraps round, nothing is cut to whole numbers."""
    integers = [np.array(numbers, dtype) for numbers in (
        [[100, 120], [1, 0]], [[20, 1], [3, 100]], [1, 2], [[4, 1], [100, 3]])]
    rule = ALL[name]
    ours = rule(*integers, **parameters)
    theirs = rule(*(array.astype(float) for array in integers), **parameters)
    assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, theirs)


def test_a_rule_s_own_parameters():
    assert {name: parameters_of(name) for name in RULES} == {
        "0": [], "epsilon": ["epsilon", "relative"], "gamma": ["gamma"],
        "gamma_generalized": ["gamma"], "alpha_beta": ["alpha", "beta"], "z_plus": [],
        "w_square": [], "flat": [], "z_box": ["low", "high"]}


def test_negative_z_is_stabilized_away_from_zero():
    """z = -2: epsilon = 2 gives -4, not 0."""
    a, W, b, R = np.array([[2.]]), np.array([[-1.]]), np.zeros(1), np.array([[4.]])
    assert lrp_epsilon(a, W, b, R, epsilon=2.0).tolist() == [[2.0]]
    z = np.array([-1., -0.0, 0., 1.])
    np.testing.assert_array_equal(stabilize(z, 0.5), [-1.5, 0.5, 0.5, 1.5])


def test_relevance_of_z_0_is_dropped_and_recorded():
    """The first output has z = 1 - 1 = 0 and R = 5; the second has z = 2."""
    a, W, b = np.array([[1., 1.]]), np.array([[1., 1.], [-1., 1.]]), np.zeros(2)
    R, ledger = np.array([[5., 3.]]), []
    with np.errstate(all="raise"):
        R_inputs = lrp_0(a, W, b, R, ledger=ledger)
    assert R_inputs.tolist() == [[1.5, 1.5]]
    assert [float(part[0]) for part in ledger[0]] == [8, 3, 0, 0, 5]
    # The stabilizer, with sign(0) = +1, absorbs it instead
    lrp_epsilon(a, W, b, R, epsilon=0.1, ledger=ledger)
    assert ledger[1].dropped[0] == 0
    assert ledger[1].epsilon[0] == pytest.approx(5 + 3 * 0.1 / 2.1)


@pytest.mark.parametrize("seed", range(4))
def test_limits_give_lrp_0(seed):
    a, W, b, R = case(5, 8, 7, seed)
    expected = lrp_0(a, W, b, R)
    np.testing.assert_array_equal(lrp_gamma(a, W, b, R, gamma=0.0), expected)
    np.testing.assert_array_equal(lrp_epsilon(a, W, b, R, epsilon=0.0), expected)
    distances = [np.abs(lrp_epsilon(a, W, b, R, epsilon=epsilon) - expected).max()
                 for epsilon in (1e-6, 1e-8, 1e-10)]
    np.testing.assert_allclose(distances[1:], np.array(distances[:-1]) / 100, rtol=0.1)
    assert 0 < distances[-1] < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_large_gamma_leaves_only_the_positive(seed):
    a, W, b, R = case(5, 8, 7, seed)
    R = np.abs(R)
    b = np.abs(b)
    expected = propagate(a, positive(W), b, R)
    np.testing.assert_allclose(lrp_gamma(a, W, b, R, gamma=1e9), expected, rtol=1e-6, atol=1e-6)
    assert (lrp_gamma(a, W, b, R, gamma=1e9) >= -1e-6).all()


@pytest.mark.parametrize("name, parameters", CASES)
def test_the_type_is_kept_and_nothing_is_changed(name, parameters):
    for dtype in (np.float32, np.float64):
        given = [array.astype(dtype) for array in case(4, 3, 2, 0)]
        before = [array.copy() for array in given]
        for array in given:
            array.flags.writeable = False
        assert RULES[name](*given, **parameters).dtype == dtype
        as_numpy = {key: np.float64(value) for key, value in parameters.items()}
        assert RULES[name](*given, **as_numpy).dtype == dtype
        assert all((one == other).all() for one, other in zip(given, before))


def test_nan_is_not_hidden():
    """Neither by the four lines as `explain` calls them, after it has looked at a."""
    a, W, b, R = case(4, 3, 2, 0)
    a[1, 2] = np.nan
    with pytest.raises(ValueError, match="^a must be finite, got nan in row 1, column 2$"):
        propagate(a, W, b, R, 0.25)
    layer = LinearPart(Dense(W, b, "relu"), reference, a, None)
    R_inputs = propagate(a, W, b, R, 0.25, layer)
    assert np.isnan(R_inputs[1]).all() and np.isfinite(R_inputs[[0, 2, 3]]).all()


@pytest.mark.parametrize("rule", [propagate, *ALL.values()])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_rules_refuse_what_is_not_finite(rule, bad):
    good = dict(zip("aWbR", case(4, 3, 2, 0)))
    for name, place, where in [("a", (1, 2), "in row 1, column 2"), ("W", (2, 1), "in row 2, col"),
                               ("b", (1,), r"at \[1\]"), ("R", (3, 0), "in row 3, column 0")]:
        array = good[name].copy()
        array[place] = bad
        array.flat[-1] = np.nan if array.flat[-1] != bad else bad
        with pytest.raises(ValueError, match=f"^{name} must be finite, got {bad} {where}"):
            rule(**good | {name: array})


@pytest.mark.parametrize("rule", [propagate, *ALL.values()])
@pytest.mark.parametrize("name, change, message", [
    ("a", lambda a: a[:, :2], r"a must have shape \(4, 3\), got \(4, 2\)"),
    ("W", lambda W: W[:, :1], r"b must have shape \(1,\), got \(2,\)"),
    ("b", lambda b: b[:1], r"b must have shape \(2,\), got \(1,\)"),
    ("R", lambda R: R[:, :1], r"R must have shape \(4, 2\), got \(4, 1\)"),
    ("R", lambda R: R[:1], r"R must have shape \(4, 2\), got \(1, 2\)"),
    ("a", lambda a: a.tolist(), "a must be a NumPy array of .* float64, got list"),
    ("b", lambda b: b.astype(np.float16), "b must be a NumPy array of .* float64, got float16"),
    ("R", lambda R: R.astype(complex), "R must be a NumPy array of .* float64, got complex128"),
    ("W", lambda W: W.astype(object), "W must be a NumPy array of .* float64, got object")])
def test_the_rules_refuse_what_does_not_fit(rule, name, change, message):
    """Also what NumPy would stretch until it fits."""
    arrays = dict(zip("aWbR", case(4, 3, 2, 0)))
    with pytest.raises(ValueError, match=f"^{message}$"):
        rule(**arrays | {name: change(arrays[name])})


@pytest.mark.parametrize("arguments, options", [
    ("aWb", {}), ("aWbR", {"R": None}), ("aWbR", {"other": 1.0}), ("aWbR" + 9 * "R", {})])
def test_arguments_too_few_too_many_twice_or_unknown(arguments, options):
    """A TypeError, as of any function."""
    arrays = dict(zip("aWbR", case(4, 3, 2, 0)))
    for rule in ALL.values():
        with pytest.raises(TypeError):
            rule(*(arrays[name] for name in arguments), **options)


numbers = st.floats(-4, 4, width=32)
rule_and_parameters = st.sampled_from(CASES)


@settings(max_examples=200, deadline=None)
@given(a=arrays(np.float64, (3, 4), elements=st.floats(0, 4, width=32)),
       W=arrays(np.float64, (4, 2), elements=numbers), b=arrays(np.float64, 2, elements=numbers),
       R=arrays(np.float64, (3, 2), elements=numbers), rule=rule_and_parameters)
def test_properties(a, W, b, R, rule):
    """For any numbers: black pixels get nothing, R enters linearly, rows do not mix, and the ledger
    adds up."""
    name, parameters = rule
    lrp, ledger = RULES[name], []
    R_inputs = lrp(a, W, b, R, ledger=ledger, **parameters)
    scale = 1e-9 * (1 + np.abs(R_inputs).max() + np.abs(np.array(ledger[0])).max())
    assert (R_inputs[a == 0] == 0).all()
    np.testing.assert_allclose(lrp(a, W, b, -2 * R, **parameters), -2 * R_inputs, atol=scale)
    np.testing.assert_allclose(lrp(a[1:2], W, b, R[1:2], **parameters), R_inputs[1:2], atol=scale)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(lrp(a[:, order], W[order], b, R, **parameters), R_inputs[:, order],
                               atol=scale)
    row = ledger[0]
    np.testing.assert_allclose(row.received, sum(row[1:]), atol=scale)


def test_parts():
    x = np.array([-2., 0., 3.])
    assert positive(x).tolist() == [0, 0, 3] and negative(x).tolist() == [-2, 0, 0]
    assert sign(np.array([-2., -0., 0., 3.])).tolist() == [-1, 1, 1, 1]


@pytest.mark.parametrize("rule, parameter", [(lrp_epsilon, "epsilon"), (lrp_gamma, "gamma")])
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, float("inf"), "a", [0.1], 10**400, 1j])
def test_parameters_refused(rule, parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} must be a finite number of at least 0, got"):
        rule(*case(4, 3, 2, 0), **{parameter: value})


# Rules that are more than one application of the four lines, or look at other inputs

MORE = [("gamma_generalized", {"gamma": 0.25}), ("gamma_generalized", {"gamma": 10.0}),
        ("alpha_beta", {"alpha": 2.0, "beta": 1.0}), ("alpha_beta", {"alpha": 1.5, "beta": 0.5}),
        ("z_plus", {}), ("w_square", {}), ("flat", {}), ("z_box", {"low": -1.0, "high": 2.0})]


def shares_by_loops(name, a_n, w, b_k, parameters):
    """One output k: [(the contribution of each input, that of the bias, the share of R), ...]."""
    parts = [x * y for x, y in zip(a_n, w)]
    z = sum(parts) + b_k
    if name == "gamma_generalized":
        s, gamma = (1 if z >= 0 else -1), parameters["gamma"]
        return [([part + gamma * (part if s * part > 0 else 0) for part in parts],
                 b_k + gamma * (b_k if s * b_k > 0 else 0), 1.0)]
    if name in ("alpha_beta", "z_plus"):
        alpha, beta = parameters.get("alpha", 1.0), parameters.get("beta", 0.0)
        return [([max(part, 0) for part in parts], max(b_k, 0), alpha),
                ([min(part, 0) for part in parts], min(b_k, 0), -beta)]
    if name == "w_square":
        return [([y * y for y in w], 0.0, 1.0)]
    if name == "flat":
        return [([1.0 for _ in w], 0.0, 1.0)]
    low, high = parameters["low"], parameters["high"]
    return [([x * y - (low if y > 0 else high) * y for x, y in zip(a_n, w)], 0.0, 1.0)]


def more_by_loops(name, a, W, b, R, parameters):
    """(R of the inputs, what the bias got, what was dropped), element by element."""
    inputs, bias, dropped = np.zeros(a.shape), np.zeros(len(a)), np.zeros(len(a))
    for n in range(len(a)):
        for k in range(len(b)):
            for parts, of_bias, share in shares_by_loops(name, a[n], W[:, k], b[k], parameters):
                total = sum(parts) + of_bias
                if total == 0:
                    dropped[n] += share * R[n, k]
                    continue
                for j, part in enumerate(parts):
                    inputs[n, j] += part / total * share * R[n, k]
                bias[n] += of_bias / total * share * R[n, k]
    return inputs, bias, dropped


@pytest.mark.parametrize("name, parameters", MORE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_more_rules_equal_their_sums(name, parameters, shape, seed):
    """For activations of both signs, with every row of the ledger."""
    rng = np.random.default_rng(seed + 7)
    _, W, b, R = case(*shape, seed)
    a = rng.normal(size=shape[:2]) * (rng.random(shape[:2]) < 0.7)
    ledger, before = [], [array.copy() for array in (a, W, b, R)]
    ours = RULES[name](a, W, b, R, ledger=ledger, **parameters)
    inputs, bias, dropped = more_by_loops(name, a, W, b, R, parameters)
    scale = 1 + np.abs(inputs).max()
    np.testing.assert_allclose(ours, inputs, rtol=1e-10, atol=1e-12 * scale)
    row = added_up(ledger)
    np.testing.assert_allclose(row.bias, bias, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(row.dropped, dropped, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(row.received, R.sum(axis=1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-12 * scale)
    assert all((one == other).all() for one, other in zip(before, (a, W, b, R)))


@pytest.mark.parametrize("seed", range(4))
def test_where_rules_meet(seed):
    """The generalised gamma is gamma where all is positive, and LRP-0 for gamma = 0; z-plus is
    alpha-beta with 1 and 0, and gamma's limit."""
    a, W, b, R = case(5, 8, 7, seed)
    same = {"atol": 1e-12, "rtol": 1e-10}
    generalized, gamma = RULES["gamma_generalized"], RULES["gamma"]
    upper = np.where(a @ W + b >= 0, R, 0)
    np.testing.assert_allclose(generalized(a, W, b, upper, 0.5), gamma(a, W, b, upper, 0.5), **same)
    np.testing.assert_allclose(generalized(-a, W, b, R, 0.0), lrp_0(-a, W, b, R), **same)
    z_plus = RULES["z_plus"](a, W, b, R)
    np.testing.assert_allclose(z_plus, RULES["alpha_beta"](a, W, b, R, 1.0, 0.0), **same)
    limit = generalized(a, W, np.abs(b), np.where(a @ W + np.abs(b) >= 0, R, 0), 1e10)
    expected = RULES["z_plus"](a, W, np.abs(b), np.where(a @ W + np.abs(b) >= 0, R, 0))
    np.testing.assert_allclose(limit, expected, rtol=1e-6, atol=1e-6)


def test_more_rules_by_hand():
    """a = [1, 2], w = [3, -1], b = 1, R = 4. Positive: 3 and the bias 1; negative: -2."""
    a, W, b, R = np.array([[1., 2.]]), np.array([[3.], [-1.]]), np.array([1.]), np.array([[4.]])
    assert RULES["z_plus"](a, W, b, R).tolist() == [[3, 0]]
    assert RULES["alpha_beta"](a, W, b, R).tolist() == [[6, -4]]
    np.testing.assert_allclose(RULES["w_square"](a, W, b, R), [[3.6, 0.4]])
    assert RULES["flat"](a, W, b, R).tolist() == [[2, 2]]
    # pixels in [0, 2]: 1 * 3 - 0 * 3 = 3 and 2 * -1 - 2 * -1 = 0
    assert RULES["z_box"](a, W, b, R, 0.0, 2.0).tolist() == [[4, 0]]
    # for z = 2 > 0, positive contributions count twice: 6 - 2 + 2 = 6
    np.testing.assert_allclose(RULES["gamma_generalized"](a, W, b, R, 1.0), [[4, -4 / 3]])


@pytest.mark.parametrize("parameters, message", [
    ({"alpha": 2.0, "beta": 0.0}, "alpha - beta must be 1, got alpha=2, beta=0"),
    ({"alpha": 0.5, "beta": -0.5}, "alpha must be at least 1, got 0.5.*'toolbox.alpha_beta'"),
    ({"alpha": 1.0, "beta": -0.5}, "beta must be a finite number of at least 0, got -0.5"),
    ({"alpha": np.nan}, "alpha must be a finite number of at least 0, got nan")])
def test_alpha_and_beta_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        RULES["alpha_beta"](*case(4, 3, 2, 0), **parameters)


@pytest.mark.parametrize("low, high", [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (0.0, np.inf),
                                       (0.0, float("inf")), ("a", 1.0), (-np.inf, 1.0),
                                       (0.0, 10**400), (0, None)])
def test_boxes_refused(low, high):
    with pytest.raises(ValueError, match="low and high must be finite with low < high, a number or "
                                         r"one for each input \(3,\), got .* and"):
        RULES["z_box"](*case(4, 3, 2, 0), low=low, high=high)


def test_what_the_rules_do_without_parameters():
    """By hand: a = [1, 2], w = [3, -1], b = 2, R = 10; z = 3 - 2 + 2 = 3."""
    a, W, b, R = np.array([[1., 2.]]), np.array([[3.], [-1.]]), np.array([2.]), np.array([[10.]])
    for name, parts, of_bias, total in [
            ("0", [3, -2], 2, 3), ("epsilon", [3, -2], 2, 3.25),
            ("gamma", [3.75, -2], 2.5, 4.25), ("gamma_generalized", [3.75, -2], 2.5, 4.25),
            ("alpha_beta", [6 / 5, -1], 4 / 5, 1), ("z_plus", [3, 0], 2, 5),
            ("w_square", [9, 1], 0, 10), ("flat", [1, 1], 0, 2),
            ("z_box", [3, -2 + 1], 0, 2)]:      # the pixels' range is 0 to 1
        ledger = []
        ours = RULES[name](a, W, b, R, ledger=ledger)
        np.testing.assert_allclose(ours, [np.array(parts) / total * 10], err_msg=name)
        assert added_up(ledger).bias[0] == pytest.approx(of_bias / total * 10), name


def test_z_exactly_0_counts_as_positive():
    """a w = [1, -1], z = 0: what is positive counts twice, [2, -1], and the sum is 1."""
    a, W, b, R = np.array([[1., 1.]]), np.array([[1.], [-1.]]), np.zeros(1), np.array([[4.]])
    assert RULES["gamma_generalized"](a, W, b, R, gamma=1.0).tolist() == [[8, -4]]


@pytest.mark.parametrize("gamma, a, warns", [
    (0.25, [-0.5, 2.0], True), (0.25, [0.5, -1e-30], True), (0.25, [0.0, 0.5], False),
    (0.25, [0.0, 0.0], False), (0.25, [3.0, 0.5], False), (0.0, [-0.5, 2.0], False)])
def test_gamma_warns_of_what_it_is_not_made_for(gamma, a, warns):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        lrp_gamma(np.array([a]), np.ones((2, 1)), np.zeros(1), np.ones((1, 1)), gamma=gamma)
    assert [("gamma is made for activations of at least 0" in str(one.message), one.filename)
            for one in said] == [(True, __file__)] * warns


# An epsilon for each output, relative to z, and a box for each input

EPSILONS = [(), (1,), (1, 1), (5,), (1, 5), (4, 1), (4, 5)]


@pytest.mark.parametrize("size", EPSILONS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("K", [5, 40])
def test_an_epsilon_for_each_output(size, engine, K):
    """Each output, or each example, alone with its own number."""
    size = tuple(K if side == 5 else side for side in size)
    a, W, b, R = case(4, 7, K, 0)
    epsilon = np.random.default_rng(1).random(size) + 0.1
    layer = Dense(W, b, "relu")
    ours, row = by_engine(propagate, layer, a, R, engine, epsilon=epsilon)
    each, expected, absorbed = np.broadcast_to(epsilon, R.shape), np.zeros(a.shape), np.zeros(4)
    for n, k in np.ndindex(R.shape):
        only_k = np.zeros((1, K))
        only_k[0, k] = R[n, k]
        inputs, _ = by_loops(a[n:n + 1], W, b, only_k, epsilon=each[n, k])
        expected[n] += inputs[0]
        z = a[n] @ W[:, k] + b[k]
        absorbed[n] += R[n, k] * each[n, k] / (each[n, k] + abs(z))
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(row.epsilon, absorbed, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(), (3,), (3, 1, 1), (4, 1, 1, 1), (1, 3, 5, 4), (4, 3, 5, 4)],
                         ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_epsilon_for_each_output_of_a_convolution(size, engine):
    """As in its four lines written out; (3,) is no shape that fits z (4, 3, 5, 4)."""
    rng = np.random.default_rng(0)
    layer = Conv2D(rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(3, 1, 1)), "relu")
    a, R, epsilon = rng.random((4, 2, 6, 6)), rng.normal(size=(4, 3, 5, 4)), rng.random(size)
    if size == (3,):
        with pytest.raises(ValueError, match="broadcast"):
            by_engine(propagate, layer, a, R, engine, epsilon=epsilon)
        return
    ours, row = by_engine(propagate, layer, a, R, engine, epsilon=epsilon)
    z = layer.linear(a, layer.W, layer.b)
    s = R / np.where(z >= 0, z + epsilon, z - epsilon)
    expected = a * layer.transpose(s, layer.W, a.shape)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(row.bias, (s * layer.b).sum(axis=(1, 2, 3)), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-10)


def test_a_relative_epsilon_by_hand():
    """z = [1, -7]: their root mean square is 5, and 0.2 of it is 1: s = [4 / 2, 16 / -8]."""
    a, W, b = np.array([[1.0]]), np.array([[1.0, -6.0]]), np.array([0.0, -1.0])
    R, ledger = np.array([[4.0, 16.0]]), []
    assert lrp_epsilon(a, W, b, R, 0.2, relative=True, ledger=ledger).tolist() == [[14]]
    assert [float(part[0]) for part in ledger[0]] == [20, 14, 2, 4, 0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(4))
def test_a_relative_epsilon(engine, seed):
    """Each example with its own size; the same when z, or all of a batch, is scaled."""
    a, W, b, R = case(5, 8, 7, seed)
    layer = Dense(W, b, "relu")
    ours, row = by_engine(lrp_epsilon, layer, a, R, engine, epsilon=0.3, relative=True)
    for n in range(5):
        z = a[n] @ W + b
        size = np.sqrt(sum(z_k * z_k for z_k in z) / 7)
        expected, bias = by_loops(a[n:n + 1], W, b, R[n:n + 1], epsilon=0.3 * size)
        np.testing.assert_allclose(ours[n], expected[0], rtol=1e-10, atol=1e-13)
        assert row.bias[n] == pytest.approx(bias[0], rel=1e-10)
    np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10)
    scaled, _ = by_engine(lrp_epsilon, Dense(1e3 * W, 1e3 * b, "relu"), a, R, engine, epsilon=0.3,
                          relative=True)
    np.testing.assert_allclose(scaled, ours, rtol=1e-9, atol=1e-12)
    absolute, _ = by_engine(lrp_epsilon, layer, a, R, engine, epsilon=0.3)
    assert (np.abs(absolute - ours).max(axis=1) > 1e-3).all()
    np.testing.assert_allclose(lrp_epsilon(a, W, b, R, 0.0, relative=True), lrp_0(a, W, b, R),
                               rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_relative_epsilon_of_images(engine):
    """The mean is over channels, rows and columns of one image."""
    rng = np.random.default_rng(0)
    layer = Conv2D(rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(3, 1, 1)), "relu")
    a, R = rng.random((4, 2, 6, 6)), rng.normal(size=(4, 3, 5, 4))
    ours, _ = by_engine(lrp_epsilon, layer, a, R, engine, epsilon=0.3, relative=True)
    for n, z in enumerate(layer.linear(a, layer.W, layer.b)):
        one, _ = by_engine(lrp_epsilon, layer, a[n:n + 1], R[n:n + 1], engine,
                           epsilon=0.3 * np.linalg.norm(z) / np.sqrt(z.size))
        np.testing.assert_allclose(ours[n], one[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_box_for_each_input(engine):
    """Inputs of different ranges: each is as it is alone in a box of two numbers."""
    rng = np.random.default_rng(0)
    W, b, a, R = (rng.normal(size=size) for size in ((6, 5), 5, (4, 6), (4, 5)))
    low, high = -rng.random(6) - 0.5, rng.random(6) + 0.5
    ours, row = by_engine(lrp_z_box, Dense(W, b, "relu"), a, R, engine, low=low, high=high)
    expected = np.zeros(a.shape)
    for n, k in np.ndindex(R.shape):
        parts = [a[n, j] * W[j, k] - (low[j] if W[j, k] > 0 else high[j]) * W[j, k]
                 for j in range(6)]
        expected[n] += np.array(parts) / sum(parts) * R[n, k]
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(row.inputs, row.received, rtol=1e-10)
    assert (row.bias == 0).all()
    same, _ = by_engine(lrp_z_box, Dense(W, b, "relu"), a, R, engine, low=np.full(6, -1), high=1)
    one, _ = by_engine(lrp_z_box, Dense(W, b, "relu"), a, R, engine, low=-1.0, high=1.0)
    np.testing.assert_array_equal(same, one)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_box_for_each_channel(engine):
    """As images have it whose channels were standardised; an end may be (C, 1, 1) or (C, H, W)."""
    rng = np.random.default_rng(0)
    layer = Conv2D(rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(3, 1, 1)), "relu", padding=1)
    a, R = rng.normal(size=(4, 2, 6, 6)), rng.normal(size=(4, 3, 7, 6))
    low, high = np.array([-3.0, -2.0]).reshape(2, 1, 1), np.full((2, 6, 6), 4.0)
    ours, row = by_engine(lrp_z_box, layer, a, R, engine, low=low, high=high)
    up, down = np.maximum(layer.W, 0), np.minimum(layer.W, 0)
    low, high = np.broadcast_to(low, a.shape), np.broadcast_to(high, a.shape)
    none = np.zeros((3, 1, 1))
    s = R / (layer.linear(a, layer.W, none) - layer.linear(low, up, none)
             - layer.linear(high, down, none))
    expected = (a * layer.transpose(s, layer.W, a.shape) - low * layer.transpose(s, up, a.shape)
                - high * layer.transpose(s, down, a.shape))
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-11 * np.abs(expected).max())
    np.testing.assert_allclose(row.inputs, row.received, rtol=1e-9)


@pytest.mark.parametrize("low", [np.zeros(4), np.zeros((1, 3, 1)), np.array([0.0, 2.0, 0.0]),
                                 np.array([0.0, np.nan, 0.0]), ["a"] * 3])
def test_boxes_for_each_input_refused(low):
    with pytest.raises(ValueError, match="low and high must be finite with low < high"):
        lrp_z_box(*case(4, 3, 2, 0), low=low, high=1.0)
