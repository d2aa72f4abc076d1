"""What a user adds from outside, each thing once: a rule, a layer, a function for one layer; and
the ways to name the rules of the layers."""
from dataclasses import dataclass, replace
from functools import partial, wraps

import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.composites import PRESETS
from lrp_numpy.rules import RULES, Term, lrp_gamma, lrp_z_plus, rule
from test_layers import network

ENGINES = ["numpy", "numba"]


@rule
def lrp_power(W, b, power=2.0):
    """A rule of one's own: weights as they are to some power of their size, and no bias."""
    return [Term([np.sign(W) * np.abs(W)**power], 0 * b)]


@dataclass(frozen=True, eq=False)
class Scale(lrp.layers.Layer):
    """A layer of one's own: each number times a weight, plus a bias."""
    W: np.ndarray       # of the shape of one image
    b: np.ndarray
    activation: str = "relu"
    parameters = ("W", "b")

    def out_shape(self, shape):
        return shape

    def apply(self, a, W, b, engine="numpy"):
        return a * W + b

    def transposed(self, s, W, shape, engine="numpy"):
        return s * W

    def gradients(self, a, dz, engine="numpy"):
        return (a * dz).sum(axis=0), dz.sum(axis=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("of", ["dense", "pictures"])
def test_a_rule_is_one_function(random_case, engine, of):
    """Run by both engines, on Dense layers and convolutions, with a parameter, and it conserves."""
    net, x = random_case([9, 8, 4], "relu", 0) if of == "dense" else network(0)
    e = lrp.explain(net, x, lrp_power, power=3.0, engine=engine)
    other = lrp.explain(net, x, (lrp_power, {"power": 3.0}), engine="numpy")
    np.testing.assert_allclose(e.input, other.input, rtol=1e-8,
                               atol=1e-10 * np.abs(other.input).max())
    for row in e.ledger:
        np.testing.assert_allclose(row.received, row.inputs + row.dropped, rtol=1e-9)
    assert np.abs(e.input).max() > 0 and (lrp.explain(net, x, lrp_power).input != e.input).any()


def test_a_rule_may_keep_the_weights_and_change_the_inputs(random_case):
    """Then z is not the one that is known already."""
    @rule
    def lrp_of_weights(W, b):
        return [Term([W], b, inputs=lambda a: [np.ones_like(a)])]

    net, x = random_case([9, 8, 4], "relu", 0)
    ours, equation = (lrp.explain(net, x, lrp_of_weights, engine=engine) for engine in ENGINES)
    np.testing.assert_allclose(ours.input, equation.input, rtol=1e-9)
    assert np.abs(ours.input - lrp.explain(net, x).input).max() > 0.1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_is_one_class(random_case, engine):
    """It is trained, and explained under every rule, as the Dense layer with a diagonal W is."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=8), rng.normal(size=8)
    first, last = random_case([9, 8, 4], "relu", 0)[0].layers
    x = rng.random((6, 9))
    nets = [lrp.Network([first, middle, last])
            for middle in (Scale(W, b), lrp.Dense(np.diag(W), b, "relu"))]
    for name in RULES:
        if name == "flat":
            continue        # the zeros beside the diagonal are weights to it
        ours, theirs = (lrp.explain(net, x, name, engine=engine) for net in nets)
        for one, other in zip(ours.relevance, theirs.relevance):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
        for one, other in zip(ours.ledger, theirs.ledger):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    labels = rng.integers(0, 4, 6)
    a, dense = (net.activations(x) for net in nets)
    dlogits = rng.normal(size=(6, 4))
    for one, other in zip(nets[0].backward(a, dlogits), nets[1].backward(dense, dlogits)):
        dW = np.diag(other[0]) if one[0].ndim == 1 else other[0]
        np.testing.assert_allclose(one[0], dW, rtol=1e-10)
        np.testing.assert_allclose(one[1], other[1], rtol=1e-10)
    history = lrp.train(nets[0], lrp.Digits(x, labels, x, labels), epochs=50, batch_size=6,
                        learning_rate=0.05, progress=False, engine=engine)
    assert history.loss[-1] < 0.3 * history.loss[0] and (nets[0].layers[1].W != W).any()


def test_a_layer_on_pictures_and_in_a_file(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    scale = Scale(rng.random((1, 3, 3)), rng.random((1, 3, 3)))
    net = lrp.Network([lrp.Unflatten((1, 3, 3)), scale, lrp.Flatten(),
                       lrp.Dense.random(9, 2, "identity", rng, np.float64)])
    x = rng.random((4, 9))
    for name in RULES:
        one, other = (lrp.explain(net, x, name, engine=engine) for engine in ENGINES)
        np.testing.assert_allclose(one.input, other.input, rtol=1e-8)
    net.save(tmp_path / "net.npz")
    with pytest.raises(ValueError, match="layer 1 must be one of Dense.*got Scale"):
        lrp.Network.load(tmp_path / "net.npz")
    monkeypatch.setitem(lrp.layers.LAYERS, "Scale", Scale)
    assert (lrp.Network.load(tmp_path / "net.npz").forward(x) == net.forward(x)).all()


@pytest.mark.parametrize("name", RULES)
def test_what_a_layer_hands_on_may_lie_in_any_order(name):
    """A layer that turns the picture gives an array that is not C-contiguous."""
    @dataclass(frozen=True, eq=False)
    class Turn(lrp.layers.Layer):
        rule = "back"

        def out_shape(self, shape):
            return shape[0], shape[2], shape[1]

        def linear(self, a, engine="numba"):
            return a.transpose(0, 1, 3, 2)

        def backward(self, a, dz, engine="numpy"):
            return dz.transpose(0, 1, 3, 2)

    rng = np.random.default_rng(0)
    net = lrp.Network([lrp.Unflatten((1, 4, 5)), Turn(),
                       lrp.Conv2D.random(1, 2, 2, "relu", rng, dtype=np.float64), lrp.Flatten(),
                       lrp.Dense.random(24, 3, "identity", rng, np.float64)])
    x = rng.random((4, 20))
    ours, equation = (lrp.explain(net, x, name, engine=engine) for engine in ENGINES)
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())


def test_a_layer_of_one_s_own_is_centred():
    rng = np.random.default_rng(0)
    first, last = lrp.MLP.random([5, 4, 3], "tanh", 0, np.float64).layers
    net = lrp.Network([first, Scale(rng.random(4), rng.random(4), "sigmoid"), last])
    x = rng.random((6, 5))
    np.testing.assert_allclose(lrp.zero_centred(net).forward(x), net.forward(x), rtol=1e-12)
    net = lrp.Network([replace(first, activation="sigmoid"), Scale(rng.random(4), rng.random(4)),
                       last])
    with pytest.raises(ValueError, match="layer 1: Scale has no bias that could collect"):
        lrp.zero_centred(net)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_of_the_wrong_shape_are_refused(engine):
    """A loop would read beyond them, or use the first image's alone."""
    class Forgetful(Scale):
        def gradients(self, a, dz, engine="numpy"):
            return a * dz, dz

    first, last = lrp.MLP.random([5, 4, 3], "relu", 0, np.float64).layers
    net = lrp.Network([first, Forgetful(np.ones(4), np.ones(4)), last])
    x, labels = np.ones((6, 5)), np.zeros(6, int)
    with pytest.raises(ValueError, match="shape"):
        lrp.train(net, lrp.Digits(x, labels, x, labels), 1, 6, progress=False, engine=engine)


def test_what_wraps_a_rule_is_not_the_rule(random_case):
    """functools.wraps copies a rule's attributes, not what the wrapper does."""
    net, x = random_case([9, 8, 4], "relu", 0)

    @wraps(lrp_gamma)
    def twice(a, W, b, R, ledger=None, layer=lrp.Dense):
        return 2 * lrp_gamma(a, W, b, R, ledger=ledger, layer=layer)

    for engine in ENGINES:
        np.testing.assert_allclose(lrp.explain(net, x, twice, engine=engine).input,
                                   4 * lrp.explain(net, x, "gamma", engine=engine).input)


def test_what_a_layer_or_a_network_lacks_is_named():
    @dataclass(frozen=True, eq=False)
    class Nothing(lrp.layers.Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing needs out_shape"):
        lrp.Network([lrp.Unflatten((1, 2, 2)), Nothing()])

    class Plain(lrp.layers.Layer):
        pass

    with pytest.raises(ValueError, match="layer 1 must be an instance of a dataclass"):
        lrp.Network([lrp.Unflatten((1, 2, 2)), Plain()])
    net = lrp.Network([lrp.Unflatten((1, 2, 2)), lrp.MaxPool2D(2), lrp.Flatten()])
    for arguments in ({"rule": "bogus"}, {"rule": "gamma", "alpha": 1.0}):
        with pytest.raises(ValueError, match="rule"):
            lrp.explain(net, np.ones((1, 4)), **arguments)

    class Odd(lrp.Flatten):
        rule = "nonsense"

    net = lrp.Network([lrp.Unflatten((1, 2, 2)), Odd()])
    with pytest.raises(ValueError, match="rule of Odd must be None, 'back' or one of"):
        lrp.explain(net, np.ones((1, 4)))
    with pytest.raises(ValueError, match="x must be an array or an iterable of arrays, got None"):
        lrp.explain_batches(lrp.MLP.random([4, 2]), None)


# Rules for the layers

@pytest.mark.parametrize("engine", ENGINES)
def test_the_ways_to_name_a_rule(random_case, engine):
    net, x = random_case([9, 8, 7, 4], "relu", 0)
    expected = lrp.explain(net, x, ["gamma", "epsilon", "z_plus"], gamma=0.5, epsilon=0.1,
                           engine=engine)
    for same in ([("gamma", {"gamma": 0.5}), ("epsilon", {"epsilon": 0.1}), "z_plus"],
                 [partial(lrp_gamma, gamma=0.5), ("epsilon", {"epsilon": 0.1}), lrp_z_plus],
                 ((lrp_gamma, {"gamma": 0.5}), (RULES["epsilon"], {"epsilon": 0.1}), "z_plus")):
        e = lrp.explain(net, x, same, engine=engine)
        for one, other in zip(e.relevance, expected.relevance):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(np.array(e.ledger), np.array(expected.ledger), atol=1e-9)
    # what a pair brings is not overwritten, what it leaves open is given
    e = lrp.explain(net, x, [("gamma", {"gamma": 0.5}), "gamma", "0"], gamma=2.0, engine=engine)
    both = lrp.explain(net, x, [("gamma", {"gamma": 0.5}), ("gamma", {"gamma": 2.0}), "0"],
                       engine=engine)
    np.testing.assert_array_equal(e.input, both.input)
    one_pair = lrp.explain(net, x, ("gamma", {"gamma": 0.5}), engine=engine)
    np.testing.assert_array_equal(one_pair.input,
                                  lrp.explain(net, x, "gamma", gamma=0.5, engine=engine).input)


@pytest.mark.parametrize("engine", ENGINES)
def test_any_function_of_a_W_b_R(random_case, engine):
    """Without a ledger of its own, what went to bias and stabilizer is not known, and said so."""
    net, x = random_case([9, 8, 4], "relu", 0)

    def as_typed(a, W, b, R):
        return a * ((R / (a @ W + b)) @ W.T)

    e = lrp.explain(net, x, [as_typed, "0"], engine=engine)
    expected = lrp.explain(net, x, "0", engine=engine)
    np.testing.assert_allclose(e.input, expected.input, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(e.ledger[0].inputs, expected.ledger[0].inputs, atol=1e-9)
    assert np.isnan(e.ledger[0].bias).all() and np.isfinite(e.ledger[1].bias).all()


def test_presets_choose_for_each_kind_of_layer():
    cnn, mlp = network(0)[0], lrp.MLP.random([4, 3, 3, 3, 2])
    names = {name: [[rule for rule, _ in PRESETS[name](net)] for net in (cnn, mlp)]
             for name in PRESETS}
    assert names == {
        "overview": [["z_box", "gamma", "epsilon", "0"]] * 2,
        "deep_taylor": [["z_box", "z_plus", "z_plus", "z_plus"]] * 2,
        "epsilon_plus_flat": [["flat", "z_plus", "epsilon", "epsilon"],
                              ["flat", "epsilon", "epsilon", "epsilon"]],
        "epsilon_gamma_box": [["z_box", "gamma", "epsilon", "epsilon"],
                              ["z_box", "epsilon", "epsilon", "epsilon"]]}
    five = PRESETS["overview"](lrp.MLP.random([4, 3, 3, 3, 3, 2]))
    assert [rule for rule, _ in five] == ["z_box", "gamma", "gamma", "epsilon", "0"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_lists_of_rules(name, engine):
    net, x = network(1)
    chosen = PRESETS[name](net)
    e, same = (lrp.explain(net, x, rules, engine=engine) for rules in (name, chosen))
    np.testing.assert_array_equal(e.input, same.input)
    if "epsilon" in dict(chosen):
        other = lrp.explain(net, x, name, epsilon=3.0, engine=engine)
        assert (other.ledger[-2].epsilon != e.ledger[-2].epsilon).any()


@pytest.mark.parametrize("rules, parameters, message", [
    ("overview", {}, "'overview' is for networks with at least 3 layers that have weights, got 2"),
    (["0"], {}, "one for each of the 2 layers with weights, got 1"),
    (["overview", "0"], {}, "the name of a preset alone.*got 'overview' as one of them"),
    (PRESETS["overview"], {}, "the name of a preset alone"),
    (partial(lrp_gamma, gamma=1.0), {"alpha": 1.0}, "alpha is not a parameter of rule"),
    (lambda a, W, b, R: R.sum(), {}, r"relevance of the shape of a, \(6, 8\), got \(\)"),
    ("epsilon", {"signed": "no"}, "signed must be True or False, got 'no'"),
    ("0", {"bias": np.zeros(3)}, "bias must be 'modified', 'unmodified' or 'none'"),
    (["0", "z_minus"], {}, "rule must be one of '0', .*a function.*preset.*got 'z_minus'"),
    ([("gamma", {"epsilon": 1.0}), "0"], {}, "epsilon is not a parameter of rule gamma"),
    (["gamma", "0"], {"epsilon": 1.0}, "epsilon is not a parameter of rule gamma, 0"),
    (lambda a, W, b, R: R, {"gamma": 1.0}, "gamma is not a parameter of rule <lambda>"),
    (7, {}, "got 7"), ([("0", {}, {}), "0"], {}, "rule must be one of"),
    ("0", {"bias": "half"}, "bias must be 'modified', 'unmodified' or 'none', got 'half'"),
    ("alpha_beta", {"signs": "w"}, "signs must be 'contributions' or 'weights', got 'w'"),
    ("0", {"start": np.inf}, "start must be None or a finite float64 number, got inf"),
    ("0", {"start": "logit"}, "start must be None or a finite float64 number, got 'logit'")])
@pytest.mark.parametrize("engine", ENGINES)
def test_rules_refused(random_case, rules, parameters, message, engine):
    net, x = random_case([9, 8, 4], "relu", 0)
    with pytest.raises(ValueError, match=message):
        lrp.explain(net, x, rules, engine=engine, **parameters)


# What other software means

def one_neuron():
    """a = [1, 2], w = [3, -1], b = 1: z = 2; R = 4."""
    return np.array([[1., 2.]]), np.array([[3.], [-1.]]), np.array([1.]), np.array([[4.]])


@pytest.mark.parametrize("name, parameters, inputs, of_bias, of_epsilon", [
    ("0", {"bias": "none"}, [12, -8], 0, 0),                            # z = 1
    ("epsilon", {"epsilon": 1.0, "bias": "none"}, [6, -4], 0, 2),       # z = 1, + 1
    ("gamma", {"gamma": 1.0, "bias": "unmodified"}, [4.8, -1.6], 0.8, 0),   # 6 - 2 + 1 = 5
    ("gamma", {"gamma": 1.0, "bias": "none"}, [6, -2], 0, 0),           # 6 - 2 = 4
    ("gamma_generalized", {"gamma": 1.0, "bias": "none"}, [6, -2], 0, 0),
    ("z_plus", {"bias": "none"}, [4, 0], 0, 0),
    ("w_square", {"bias": "modified"}, [36 / 11, 4 / 11], 4 / 11, 0),   # 9 + 1 + 1
    ("flat", {"bias": "modified"}, [4 / 3, 4 / 3], 4 / 3, 0),
    ("z_box", {"low": 0.0, "high": 2.0, "bias": "unmodified"}, [3, 0], 1, 0)])
def test_variants_by_hand(name, parameters, inputs, of_bias, of_epsilon):
    ledger = []
    ours = RULES[name](*one_neuron(), ledger=ledger, **parameters)
    np.testing.assert_allclose(ours, [inputs], rtol=1e-14, atol=1e-15)
    assert ledger[0].bias[0] == pytest.approx(of_bias)
    assert ledger[0].epsilon[0] == pytest.approx(of_epsilon)


def test_unsigned_epsilon_by_hand():
    """z = -2: with the sign the denominator is -3, without it -1; at epsilon = 2 it is 0."""
    a, W, b, R = np.array([[2.]]), np.array([[-1.]]), np.zeros(1), np.array([[6.]])
    epsilon = RULES["epsilon"]
    assert epsilon(a, W, b, R, epsilon=1.0).tolist() == [[4]]
    ledger = []
    assert epsilon(a, W, b, R, epsilon=1.0, signed=False, ledger=ledger).tolist() == [[12]]
    assert [float(part[0]) for part in ledger[0]] == [6, 12, 0, -6, 0]
    assert epsilon(a, W, b, R, epsilon=2.0, signed=False, ledger=ledger).tolist() == [[0]]
    assert [float(part[0]) for part in ledger[1]] == [6, 0, 0, 0, 6]


def test_signs_of_weights_or_of_contributions():
    """a = -1 with w = -2 contributes +2: for z-plus if contributions count, not if weights do."""
    a, W, b, R = np.array([[-1., 1.]]), np.array([[-2.], [2.]]), np.zeros(1), np.array([[4.]])
    assert lrp_z_plus(a, W, b, R).tolist() == [[2, 2]]
    assert lrp_z_plus(a, W, b, R, signs="weights").tolist() == [[0, 4]]


@pytest.mark.parametrize("name, parameters", [
    (name, {"bias": bias}) for name in RULES for bias in ("modified", "unmodified", "none")
] + [("epsilon", {"signed": False}), ("z_plus", {"signs": "weights"}),
     ("alpha_beta", {"signs": "weights"})])
@pytest.mark.parametrize("of", ["dense", "wide", "pictures"])
@pytest.mark.filterwarnings("ignore:gamma is made")
def test_variants_by_both_engines(random_case, name, parameters, of):
    """With tanh, so that relevance comes to negative z as well."""
    net, x = network(0, "tanh") if of == "pictures" else random_case(
        [9, 8, 4] if of == "dense" else [9, 40, 4], "tanh", 0)
    ours, equation = (lrp.explain(net, x, name, engine=engine, **parameters)
                      for engine in ("numba", "numpy"))
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    for one, other in zip(ours.ledger, equation.ledger):
        scale = np.abs(np.array(other)).max()
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-8, atol=1e-10 * scale)
        np.testing.assert_allclose(one.received, sum(one[1:]), rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_start(random_case, engine):
    """Relevance is linear in it: start=1 is the relevance of the logit, divided by the logit."""
    net, x = random_case([9, 8, 4], "relu", 0)
    e, one = (lrp.explain(net, x, "gamma", start=start, engine=engine) for start in (None, 1.0))
    logit = e.logits[np.arange(6), e.target][:, None]
    assert (one.relevance[-1].sum(axis=1) == 1).all() and (one.logits == e.logits).all()
    np.testing.assert_allclose(one.input * logit, e.input, rtol=1e-9)
    part, = lrp.explain_batches(net, x, "gamma", start=1.0, engine=engine)
    np.testing.assert_array_equal(part.input, one.input)


@pytest.mark.parametrize("engine", ENGINES)
def test_gamma_warns_of_negative_activations(random_case, engine):
    net, x = random_case([9, 8, 4], "tanh", 0)
    with pytest.warns(UserWarning, match="'gamma_generalized'"):
        lrp.explain(net, x, "gamma", engine=engine)
    with pytest.warns(UserWarning, match="'gamma_generalized'"):
        lrp_gamma(*(np.array(one) for one in ([[-1.]], [[1.]], [0.], [[1.]])))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("error")
def test_no_warning_where_none_is_due(random_case, engine):
    net, x = random_case([9, 8, 4], "tanh", 0)
    lrp.explain(net, x, "gamma_generalized", engine=engine)
    lrp.explain(net, x, "gamma", gamma=0.0, engine=engine)
    lrp.explain(net, x, ["gamma", "0"], engine=engine)
    lrp.explain(random_case([9, 8, 4], "relu", 0)[0], x[:0], "gamma", engine=engine)
