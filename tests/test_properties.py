"""What must hold of every network, image and rule, tried on random ones."""
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lrp_numpy as lrp
from conftest import ENGINES as BOTH
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers.activations import BUILT_IN
from lrp_numpy.rules import RULES

PARAMETERS = {"epsilon": {"epsilon": 0.5}, "gamma": {"gamma": 0.5},
              "gamma_generalized": {"gamma": 0.5}}
EVERY_RULE = [*RULES, *DIALECTS]
# Those that multiply by the input, so that a black pixel gets nothing
OF_THE_INPUT = [name for name in EVERY_RULE
                if name.split(".")[-1] not in ("w_square", "flat", "z_box")]
ENGINES = st.sampled_from(BOTH)


@st.composite
def cases(draw, rules=tuple(EVERY_RULE), activations=BUILT_IN):
    """(net, x, rule, parameters): float64, non-zero biases, some pixels black."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=4))
    net = lrp.MLP.from_arrays([rng.normal(size=shape) for shape in zip(sizes[:-1], sizes[1:])],
                              [rng.normal(size=size) for size in sizes[1:]],
                              draw(st.sampled_from(activations)))
    x = rng.random((draw(st.integers(1, 5)), sizes[0]))
    x[rng.random(x.shape) < 0.3] = 0
    rule = draw(st.sampled_from(rules))
    return net, x, rule, PARAMETERS.get(rule, {})


def explain(net, x, rule, parameters, engine, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # of gamma, of sigmoid and softplus
        return lrp.explain(net, x, rule, engine=engine, **parameters, **settings)


def close(one, other, scale=None):
    """Equal to rounding, measured by the largest: LRP-0 divides by what may be nearly 0."""
    scale = max(np.abs(other).max(initial=0), 1) if scale is None else scale
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9 * scale)


@settings(max_examples=150, deadline=None)
@given(cases(), ENGINES, st.floats(-10, 10))
def test_relevance_is_linear_in_the_start(case, engine, factor):
    net, x, rule, parameters = case
    target = np.zeros(len(x), int)
    once = explain(net, x, rule, parameters, engine, start=1.0, target=target)
    scaled = explain(net, x, rule, parameters, engine, start=factor, target=target)
    for R, R_scaled in zip(once.relevance, scaled.relevance):
        close(R_scaled, factor * R, max(1, np.abs(R).max()) * max(1, abs(factor)))


@settings(max_examples=150, deadline=None)
@given(cases(), ENGINES)
def test_the_ledger_is_kept(case, engine):
    """All that a layer receives goes somewhere, and what its inputs get, the next one receives."""
    net, x, rule, parameters = case
    e = explain(net, x, rule, parameters, engine)
    scale = max(1, *(np.abs(part).max() for row in e.ledger for part in row))
    for number, row in enumerate(e.ledger):
        close(row.inputs + row.bias + row.epsilon + row.dropped, row.received, scale)
        close(row.inputs, e.relevance[number].sum(axis=1), scale)
        close(row.received, e.relevance[number + 1].sum(axis=1), scale)


@settings(max_examples=100, deadline=None)
@given(cases(), ENGINES, st.randoms(use_true_random=False))
def test_permuted_inputs_have_permuted_relevance(case, engine, random):
    net, x, rule, parameters = case
    order = random.sample(range(x.shape[1]), x.shape[1])
    first, *others = net.layers
    permuted = lrp.MLP([lrp.Dense(first.W[order], first.b, first.activation), *others])
    R = explain(net, x, rule, parameters, engine).input
    close(explain(permuted, x[:, order], rule, parameters, engine).input, R[:, order])


@settings(max_examples=100, deadline=None)
@given(cases(OF_THE_INPUT), ENGINES)
def test_black_pixels_get_nothing(case, engine):
    net, x, rule, parameters = case
    assert (explain(net, x, rule, parameters, engine).input[x == 0] == 0).all()


@settings(max_examples=100, deadline=None)
@given(cases(), ENGINES)
def test_images_do_not_know_of_one_another(case, engine):
    """Twice the same is explained twice the same, and a batch as one by one."""
    net, x, rule, parameters = case
    R = explain(net, np.concatenate([x, x]), rule, parameters, engine).input
    close(R[:len(x)], R[len(x):])
    for n in range(len(x)):
        close(explain(net, x[n:n + 1], rule, parameters, engine).input[0], R[n])


@settings(max_examples=100, deadline=None)
@given(cases())
def test_zero_centring_changes_no_output(case):
    net, x, *_ = case
    close(lrp.zero_centred(net).forward(x), net.forward(x))


@settings(max_examples=60, deadline=None)
@given(cases(), ENGINES, st.sampled_from(["copy", "Fortran", "strided", "backwards", "read-only"]))
def test_arrays_of_any_layout(case, engine, layout):
    """How the numbers lie in memory makes no difference, and nothing that is given is changed."""
    net, x, rule, parameters = case
    wide = np.zeros((2 * len(x), 2 * x.shape[1]))
    wide[::2, 1::2] = x
    other = {"copy": x.copy(), "Fortran": np.asfortranarray(x), "strided": wide[::2, 1::2],
             "backwards": x[::-1].copy()[::-1], "read-only": x.copy()}[layout]
    other.setflags(write=layout != "read-only")
    weights = [layer.W.copy() for layer in net.layers]
    R = explain(net, x, rule, parameters, engine).input
    close(explain(net, other, rule, parameters, engine).input, R)
    np.testing.assert_array_equal(other, x)
    assert all((layer.W == W).all() for layer, W in zip(net.layers, weights))


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("use", [
    lambda net, x: net.forward(x), lambda net, x: net.predict(x),
    lambda net, x: lrp.explain(net, x), lambda net, x: lrp.flip(x, np.zeros_like(x), "morf"),
    lambda net, x: lrp.measure(net, x, np.zeros(len(x), int)),
    lambda net, x: list(lrp.explain_batches(net, x)),
    lambda net, x: lrp.evaluation.importance(net, x, "variance"),
    lambda net, x: net.activations(x),
    lambda net, x: lrp.training.accuracy(net, x, np.zeros(len(x), int)),
    lambda net, x: lrp.evaluation.flip_ranked(x, np.zeros(x.shape, int), 0.5)],
    ids=["forward", "predict", "explain", "flip", "measure", "explain_batches", "importance",
         "activations", "accuracy", "flip_ranked"])
def test_the_first_bad_number_is_named(random_case, use, bad):
    net, x = random_case([6, 5, 3], "relu", 0, N=8)
    x[5, 2] = x[6, 0] = bad
    with pytest.raises(ValueError, match=f"x must be finite, got {bad} in row 5, column 2"):
        use(net, x)


@pytest.mark.parametrize("bad", BAD)
def test_bad_numbers_elsewhere_are_named(random_case, bad):
    net, x = random_case([6, 5, 3], "relu", 0, N=8)
    R = np.zeros_like(x)
    R[1, 4] = bad
    with pytest.raises(ValueError, match=f"relevance must be finite, got {bad} in row 1, column 4"):
        lrp.flip(x, R, "morf")
    with pytest.raises(ValueError, match=f"flipped must be finite, got {bad} in row 1, column 4"):
        lrp.evaluation.size_matched_random(x, R)
    with pytest.raises(ValueError, match=rf"importance must be finite, got {bad} at \[4\]"):
        lrp.evaluation.top_k(R[1], 2)
    for draw, name in ((lrp.plotting.draw_image, "image"),
                       (lrp.plotting.draw_relevance, "relevance"),
                       (lambda _, R: lrp.plotting.bars(R, "abcdef"), "relevance")):
        with pytest.raises(ValueError, match=rf"{name} must be finite, got {bad} at \[4\]"):
            draw(None, R[1])
    for name, place in (("W", "in row 0, column 1"), ("b", r"at \[1\]")):
        weights, biases = ([getattr(layer, part).copy() for layer in net.layers]
                           for part in ("W", "b"))
        {"W": weights[0], "b": biases[1]}[name].flat[1:3] = bad
        with pytest.raises(ValueError, match=f"{name} must be finite, got {bad} {place}"):
            lrp.MLP.from_arrays(weights, biases, "relu")
    for name in ("train_images", "test_images"):
        images = {"train_images": x.copy(), "test_images": x.copy()}
        images[name][3, 1] = bad
        digits = lrp.Digits(images["train_images"], np.zeros(8, int), images["test_images"],
                            np.zeros(8, int))
        with pytest.raises(ValueError, match=f"{name} must be finite, got {bad} in row 3, column"):
            lrp.train(net, digits, progress=False)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.int8, bool, complex, object])
def test_other_numbers_are_refused(random_case, dtype):
    net, x = random_case([6, 5, 3], "relu", 0)
    for use in (net.forward, net.predict, lambda x: lrp.explain(net, x),
                lambda x: lrp.flip(x, np.zeros(x.shape), "morf")):
        with pytest.raises(ValueError, match="x must be float32 or float64, got "
                                             f"{np.dtype(dtype)}"):
            use(x.astype(dtype))


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("rule", EVERY_RULE)
def test_no_images_and_one(random_case, rule, engine):
    net, x = random_case([6, 5, 3], "relu", 0)
    none, one = (explain(net, x[:N], rule, {}, engine) for N in (0, 1))
    assert [R.shape for R in none.relevance] == [(0, 6), (0, 5), (0, 3)]
    assert [R.shape for R in one.relevance] == [(1, 6), (1, 5), (1, 3)]
    assert net.forward(x[:0]).shape == (0, 3) and net.predict(x[:0]).shape == (0,)
    assert lrp.flip(x[:0], x[:0], "morf").shape == (0, 6)
