"""What a user adds from outside, each thing once: a rule, a layer, a layer with a relevance of its
own; and the ways to name the rules of the layers."""
from dataclasses import dataclass, replace
from functools import partial, wraps

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, slope
from lrp_numpy.composites import COMPOSITES, parameters_of
from lrp_numpy.dialects import DIALECTS, captum_gamma
from lrp_numpy.layers import Dense, Layer
from lrp_numpy.ops import reference
from lrp_numpy.rules import (RULES, LedgerRow, divide, lrp_gamma, lrp_z_plus, propagate, stabilize,
                             total)
from lrp_numpy.training import cross_entropy
from test_layers import network


def lrp_power(a, W, b, R, power=2.0, **how):
    """A new rule: weights as they are to some power of their size, and no bias."""
    return propagate(a, np.sign(W) * np.abs(W)**power, 0 * b, R, **how)


@dataclass(frozen=True, eq=False)
class Scale(Layer):
    """A new layer: each number times a weight, plus a bias."""
    W: np.ndarray       # of the shape of one image
    b: np.ndarray
    activation: str = "relu"
    parameters = ("W", "b")

    def out_shape(self, shape):
        return shape

    def linear(self, a, W, b, ops=reference):
        return a * W + b

    def transpose(self, s, W, shape, ops=reference):
        return s * W

    def gradients(self, a, dz, ops=reference):
        return (a * dz).sum(axis=0), dz.sum(axis=0)


def every_kind(random_case, of):
    """(net, x): Dense layers with short rows, with long ones, or convolutions."""
    return network(0) if of == "images" else random_case(
        [9, 8, 4] if of == "dense" else [9, 40, 4], "relu", 0)


KINDS = pytest.mark.parametrize("of", ["dense", "wide", "images"])


@pytest.mark.parametrize("engine", ENGINES)
@KINDS
def test_a_rule_is_one_function(random_case, engine, of):
    """Run by both engines, on Dense layers and convolutions, with a parameter, and it conserves."""
    net, x = every_kind(random_case, of)
    e = lrp.explain(net, x, lrp_power, power=3.0, engine=engine)
    other = lrp.explain(net, x, (lrp_power, {"power": 3.0}), engine="numpy")
    np.testing.assert_allclose(e.input, other.input, rtol=1e-8,
                               atol=1e-10 * np.abs(other.input).max())
    for row in e.ledger:
        np.testing.assert_allclose(row.received, row.inputs + row.dropped, rtol=1e-9)
    assert np.abs(e.input).max() > 0 and (lrp.explain(net, x, lrp_power).input != e.input).any()


@pytest.mark.parametrize("engine", ENGINES)
@KINDS
def test_a_rule_equals_its_four_lines(random_case, engine, of):
    """lrp_power written out with the layer's own linear and transpose, layer by layer."""
    net, x = every_kind(random_case, of)
    e = lrp.explain(net, x, lrp_power, power=3.0, engine=engine)
    a = net.activations(x)
    for number, layer in enumerate(net.layers):
        if not layer.parameters:
            continue
        W, R = layer.W**3, e.relevance[number + 1]
        z = layer.linear(a[number], W, 0 * layer.b)
        s = np.where(z == 0, 0, R / np.where(z == 0, 1, z))
        expected = a[number] * layer.transpose(s, W, a[number].shape)
        np.testing.assert_allclose(e.relevance[number], expected, rtol=1e-8,
                                   atol=1e-10 * np.abs(expected).max())


def equal_shares(a, W, b, R):
    """A rule that takes neither layer nor ledger: every input gets the same."""
    return np.zeros_like(a) + (total(R) / a[0].size).reshape(-1, *[1] * (a.ndim - 1))


@pytest.mark.parametrize("engine", ENGINES)
@KINDS
def test_a_rule_may_take_a_W_b_R_alone(random_case, engine, of):
    """Its row of the ledger holds what is known: what came, and what the inputs got."""
    net, x = every_kind(random_case, of)
    e = lrp.explain(net, x, equal_shares, engine=engine)
    logit = e.relevance[-1].sum(axis=1)
    np.testing.assert_allclose(e.input, np.broadcast_to(logit[:, None] / x.shape[1], x.shape),
                               rtol=1e-10)
    for layer, row in zip(net.layers, e.ledger):
        np.testing.assert_allclose(row.received, logit, rtol=1e-10)
        np.testing.assert_allclose(row.inputs, logit, rtol=1e-10)
        assert all((part == 0).all() != np.isnan(part).all() == bool(layer.parameters)
                   for part in row[2:])


@pytest.mark.parametrize("engine", ENGINES)
@KINDS
@pytest.mark.parametrize("takes", ["a W b R layer", "a W b R ledger", "a W b R layer ledger",
                                   "a W b R *, layer", "a W b R power=1 layer", "a W b R **how",
                                   "partial", "object"])
def test_what_a_rule_takes_is_what_it_is_given(random_case, engine, of, takes):
    """LRP-0 in every form in which it can be written down; all give the same."""
    def by_layer(a, W, b, R, layer):
        return a * layer.transpose(divide(R, layer.linear(a, W, b)), W, a.shape)

    def by_ledger(a, W, b, R, ledger):
        ledger.append((total(R), total(R), *np.full((3, len(R)), 7.0)))
        return np.zeros_like(a) + R.sum() * 0

    def by_both(a, W, b, R, layer, ledger):
        return propagate(a, W, b, R, layer=layer, ledger=ledger)

    def by_keyword(a, W, b, R, *, layer):
        return by_layer(a, W, b, R, layer)

    def by_parameter(a, W, b, R, power=1, layer=reference):
        return by_layer(a, W**power, b, R, layer)

    def by_how(a, W, b, R, **how):
        return propagate(a, W, b, R, **how)

    class Rule:
        def __call__(self, a, W, b, R, **how):
            return propagate(a, W, b, R, **how)

    rule = {"a W b R layer": by_layer, "a W b R ledger": by_ledger, "a W b R layer ledger": by_both,
            "a W b R *, layer": by_keyword, "a W b R power=1 layer": by_parameter,
            "a W b R **how": by_how, "partial": partial(by_how, epsilon=0.0),
            "object": Rule()}[takes]
    assert parameters_of(rule) == (["power"] if "power" in takes else [])
    net, x = every_kind(random_case, of)
    e = lrp.explain(net, x, rule, engine=engine)
    if takes == "a W b R ledger":
        assert all((row.bias == 7).all() for layer, row in zip(net.layers, e.ledger)
                   if layer.parameters)
        return
    expected = lrp.explain(net, x, "0", engine=engine)
    for R, theirs in zip(e.relevance, expected.relevance):
        np.testing.assert_allclose(R, theirs, rtol=1e-8, atol=1e-10 * np.abs(theirs).max())
    knows = "ledger" in takes or "how" in takes or takes in ("partial", "object")
    assert all(np.isfinite(row.bias).all() == (knows or not layer.parameters)
               for layer, row in zip(net.layers, e.ledger))


def test_a_rule_may_keep_the_weights_and_change_the_inputs(random_case):
    """Then z is not the one that is known already."""
    def lrp_of_weights(a, W, b, R, **how):
        return propagate(np.ones_like(a), W, b, R, **how)

    net, x = random_case([9, 8, 4], "relu", 0)
    ours, equation = (lrp.explain(net, x, lrp_of_weights, engine=engine) for engine in ENGINES)
    np.testing.assert_allclose(ours.input, equation.input, rtol=1e-9)
    assert np.abs(ours.input - lrp.explain(net, x).input).max() > 0.1


@pytest.mark.parametrize("changed", ["a", "W", "b", "none"])
@pytest.mark.parametrize("engine", ENGINES)
@KINDS
def test_the_known_z_is_that_of_the_very_arrays(random_case, changed, engine, of):
    """Of other numbers in one of the three, z is computed anew."""
    def of_others(a, W, b, R, **how):
        return propagate(*(2 * array if name == changed else array
                           for name, array in zip("aWb", (a, W, b))), R, **how)

    net, x = every_kind(random_case, of)
    e = lrp.explain(net, x, of_others, engine=engine)
    a = net.activations(x)
    for number, layer in enumerate(net.layers):
        if layer.parameters:
            arrays = [2 * array if name == changed else array
                      for name, array in zip("aWb", (a[number], layer.W, layer.b))]
            R = RULES["0"](*arrays, e.relevance[number + 1], layer=layer)
            np.testing.assert_allclose(e.relevance[number], R, rtol=1e-8,
                                       atol=1e-10 * np.abs(R).max())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_is_one_class(random_case, engine):
    """It is trained, and explained under every rule, as the Dense layer with a diagonal W is."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=8), rng.normal(size=8)
    first, last = random_case([9, 8, 4], "relu", 0)[0].layers
    x = rng.random((6, 9))
    nets = [lrp.Network([first, middle, last])
            for middle in (Scale(W, b), lrp.Dense(np.diag(W), b, "relu"))]
    for name in [*RULES, *DIALECTS]:
        if "flat" in name:
            continue        # the zeros beside the diagonal are weights to it
        ours, theirs = (lrp.explain(net, x, name, engine=engine) for net in nets)
        for one, other in zip(ours.relevance, theirs.relevance):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
        for one, other in zip(ours.ledger, theirs.ledger):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    labels = rng.integers(0, 4, 6)
    dlogits = rng.normal(size=(6, 4))
    for one, other in zip(*(net.backward(net.forward_pass(x), dlogits) for net in nets)):
        dW = np.diag(other[0]) if one[0].ndim == 1 else other[0]
        np.testing.assert_allclose(one[0], dW, rtol=1e-10)
        np.testing.assert_allclose(one[1], other[1], rtol=1e-10)
    history = lrp.train(nets[0], lrp.Digits(x, labels, x, labels), epochs=50, batch_size=6,
                        learning_rate=0.05, progress=False, engine=engine)
    assert history.loss[-1] < 0.3 * history.loss[0] and (nets[0].layers[1].W != W).any()


def test_a_layer_on_images_and_in_a_file(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    scale = Scale(rng.random((1, 3, 3)), rng.random((1, 3, 3)))
    net = lrp.Network([lrp.Unflatten((1, 3, 3)), scale, lrp.Flatten(),
                       lrp.Dense.random(9, 2, "identity", rng, np.float64)])
    x = rng.random((4, 9))
    for name in [*RULES, *DIALECTS]:
        one, other = (lrp.explain(net, x, name, engine=engine) for engine in ENGINES)
        np.testing.assert_allclose(one.input, other.input, rtol=1e-8)
    net.save(tmp_path / "net.npz")
    with pytest.raises(ValueError, match="layer 1 must be one of Dense.*got Scale"):
        lrp.Network.load(tmp_path / "net.npz")
    monkeypatch.setitem(lrp.layers.LAYERS, "Scale", Scale)
    assert (lrp.Network.load(tmp_path / "net.npz").forward(x) == net.forward(x)).all()


@pytest.mark.parametrize("name", RULES)
def test_what_a_layer_hands_on_may_lie_in_any_order(name):
    """A layer that turns the image gives an array that is not C-contiguous."""
    @dataclass(frozen=True, eq=False)
    class Turn(Layer):
        takes_rule = False

        def out_shape(self, shape):
            return shape[0], shape[2], shape[1]

        def preactivation(self, a, ops=reference):
            return a.transpose(0, 1, 3, 2)

        def backward(self, a, dz, ops=reference):
            return dz.transpose(0, 1, 3, 2)

        def relevance(self, rule, a, z, R, ops=reference, ledger=None, **how):
            return self.by_backward(a, R, ops, ledger)

    rng = np.random.default_rng(0)
    net = lrp.Network([lrp.Unflatten((1, 4, 5)), Turn(),
                       lrp.Conv2D.random(1, 2, 2, "relu", rng, dtype=np.float64), lrp.Flatten(),
                       lrp.Dense.random(24, 3, "identity", rng, np.float64)])
    x = rng.random((4, 20))
    ours, equation = (lrp.explain(net, x, name, engine=engine) for engine in ENGINES)
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())


def test_a_new_layer_is_centred():
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
        def gradients(self, a, dz, ops=reference):
            return a * dz, dz

    first, last = lrp.MLP.random([5, 4, 3], "relu", 0, np.float64).layers
    net = lrp.Network([first, Forgetful(np.ones(4), np.ones(4)), last])
    x, labels = np.ones((6, 5)), np.zeros(6, int)
    digits = lrp.Digits(x, labels, x, labels)
    with pytest.raises(ValueError, match="shape"):
        lrp.train(net, digits, 1, 6, progress=False, engine=engine)

    class Shorter(Scale):       # one array too few
        def gradients(self, a, dz, ops=reference):
            return ((a * dz).sum(axis=0),)

    net = lrp.Network([first, Shorter(np.ones(4), np.ones(4)), last])
    with pytest.raises(ValueError, match="zip"):
        lrp.train(net, digits, 1, 6, progress=False, engine=engine)


def test_what_wraps_a_rule_is_not_the_rule(random_case):
    """functools.wraps copies a rule's attributes, not what the wrapper does."""
    net, x = random_case([9, 8, 4], "relu", 0)

    @wraps(lrp_gamma)
    def twice(a, W, b, R, ledger=None, layer=reference):
        return 2 * lrp_gamma(a, W, b, R, ledger=ledger, layer=layer)

    for engine in ENGINES:
        np.testing.assert_allclose(lrp.explain(net, x, twice, engine=engine).input,
                                   4 * lrp.explain(net, x, "gamma", engine=engine).input)


def test_what_a_layer_or_a_network_lacks_is_named():
    @dataclass(frozen=True, eq=False)
    class Nothing(Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing needs out_shape"):
        lrp.Network([lrp.Unflatten((1, 2, 2)), Nothing()])

    @dataclass(frozen=True, eq=False)
    class Shape(Layer):
        W, b = np.ones(2), np.zeros(2)

        def out_shape(self, shape):
            return shape

    layer, a = Shape(), np.ones((1, 2))
    with pytest.raises(NotImplementedError, match=r"Shape needs linear\(a, W, b, ops\)"):
        layer.forward(a)
    with pytest.raises(NotImplementedError, match=r"Shape needs transpose\(s, W, shape, ops\)"):
        layer.backward(a, a)

    class Plain(Layer):
        pass

    with pytest.raises(ValueError, match="layer 1 must be an instance of a dataclass"):
        lrp.Network([lrp.Unflatten((1, 2, 2)), Plain()])
    net = lrp.Network([lrp.Unflatten((1, 2, 2)), lrp.MaxPool2D(2), lrp.Flatten()])
    for arguments in ({"rule": "bogus"}, {"rule": "gamma", "alpha": 1.0}):
        with pytest.raises(ValueError, match="rule"):
            lrp.explain(net, np.ones((1, 4)), **arguments)
    with pytest.raises(ValueError, match="x must be an array or an iterable of arrays, got None"):
        lrp.explain_batches(lrp.MLP.random([4, 2]), None)


# A layer with a relevance of its own

@dataclass(frozen=True, eq=False)
class Residual(Layer):
    """y = x + relu(x @ W + b). Relevance is shared in proportion x : relu(...), stabilized; the
    second share goes on to x by the rule of the caller."""
    W: np.ndarray
    b: np.ndarray
    epsilon: float = 1e-3
    parameters = ("W", "b")

    def out_shape(self, shape):
        if self.W.shape != (*shape, *shape):
            raise ValueError(f"W must have shape {(*shape, *shape)}, got {self.W.shape}")
        return shape

    def branch(self, a, ops):
        return np.maximum(ops.linear(a, self.W, self.b), 0)

    def preactivation(self, a, ops=reference):
        return a + self.branch(a, ops)

    def gradients(self, a, dz, ops=reference):
        return ops.gradients(a, dz * (self.branch(a, ops) > 0))

    def backward(self, a, dz, ops=reference):
        return dz + ops.transpose(dz * (self.branch(a, ops) > 0), self.W)

    def linear(self, a, W, b, ops=reference):
        return ops.linear(a, W, b)

    def transpose(self, s, W, shape, ops=reference):
        return ops.transpose(s, W)

    def relevance(self, rule, a, z, R, ops=reference, ledger=None, **how):
        s, rows = divide(R, stabilize(z, self.epsilon)), []
        R_branch = self.branch(a, ops) * s
        R_inputs = a * s + super().relevance(rule, a, None, R_branch, ops, rows)
        below = LedgerRow(*[sum(parts) for parts in zip(*rows)])
        if ledger is not None:
            ledger.append(LedgerRow(
                received=total(R), inputs=total(R_inputs), bias=below.bias,
                epsilon=below.epsilon + total(R - z * s), dropped=below.dropped))
        return R_inputs


def residual_network(epsilon=1e-3):
    rng = np.random.default_rng(0)
    net = lrp.Network([Dense(rng.normal(size=(9, 6)), rng.normal(size=6), "relu"),
                       Residual(rng.normal(size=(6, 6)), rng.normal(size=6), epsilon),
                       Dense(rng.normal(size=(6, 4)), rng.normal(size=4), "identity")])
    return net, rng.random((7, 9))


@pytest.mark.parametrize("rule", [*RULES, *DIALECTS])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_that_owns_its_relevance(rule, engine):
    """Its ledger closes under every rule, and what it hands down is as written out here."""
    net, x = residual_network()
    e = lrp.explain(net, x, rule, engine=engine)
    for number, row in enumerate(e.ledger):
        scale = np.abs(np.array(row)).max()
        np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-9, atol=1e-11 * scale)
        for part, R in ((row.received, e.relevance[number + 1]), (row.inputs, e.relevance[number])):
            np.testing.assert_allclose(part, R.sum(axis=1), rtol=1e-10, atol=1e-11 * scale)
    _, a, y, _ = net.activations(x)
    block, R = net.layers[1], e.relevance[2]
    share = R / (y + 1e-3)              # both x and relu(...) are at least 0 here
    of_branch = {**RULES, **DIALECTS}[rule](a, block.W, block.b, share * (y - a))
    np.testing.assert_allclose(e.relevance[1], share * a + of_branch, rtol=1e-8,
                               atol=1e-10 * max(1, np.abs(of_branch).max()))


def test_without_a_stabilizer_lrp_0_of_a_residual_network_is_gradient_times_input():
    """But for the biases, of which there are none here."""
    net, x = residual_network(epsilon=0.0)
    for layer in net.layers:
        layer.b[...] = 0
    e = lrp.explain(net, x)
    np.testing.assert_allclose(e.input.sum(axis=1), e.relevance[-1].sum(axis=1), rtol=1e-9)
    for j in range(9):
        step = np.zeros(9)
        step[j] = 1e-6
        rows = np.arange(7)
        slope = (net.forward(x + step) - net.forward(x - step))[rows, e.target] / 2e-6
        np.testing.assert_allclose(e.input[:, j], x[:, j] * slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_such_a_layer_is_trained_and_saved(tmp_path, monkeypatch, engine):
    net, x = residual_network()
    labels = np.arange(7) % 4
    forward_pass = net.forward_pass(x, engine)
    gradients = net.backward(forward_pass, cross_entropy(forward_pass.a[-1], labels)[1])
    block = net.layers[1]
    for parameter, gradient in zip((block.W, block.b), gradients[1], strict=True):
        for place in np.ndindex(parameter.shape):
            assert gradient[place] == pytest.approx(
                slope(net, x, labels, parameter, place), rel=1e-5, abs=1e-8)
    history = lrp.train(net, lrp.Digits(x, labels, x, labels), 100, 7, 0.02, progress=False,
                        engine=engine)
    assert history.loss[-1] < 0.3 * history.loss[0]
    net.save(tmp_path / "net.npz")
    monkeypatch.setitem(lrp.layers.LAYERS, "Residual", Residual)
    back = lrp.Network.load(tmp_path / "net.npz")
    assert back.layers[1].epsilon == 1e-3 and (back.forward(x) == net.forward(x)).all()


@dataclass(frozen=True, eq=False)
class Fields(lrp.Flatten):
    """A layer with a field of each kind that a file can hold."""
    text: str
    number: int
    real: float
    flag: bool
    one: tuple              # a shape of one number stays a shape
    eight: tuple
    row: np.ndarray         # and a row of numbers stays a row
    whole: np.ndarray
    none: float | None = None


def test_the_fields_of_a_layer_come_back_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setitem(lrp.layers.LAYERS, "Fields", Fields)
    layer = Fields("text", 3, 0.5, True, (5,), tuple(range(8)), np.array([0.5]), np.arange(9))
    net = lrp.Network([lrp.Unflatten((1, 2, 2)), layer])
    net.save(tmp_path / "net.npz")
    back = lrp.Network.load(tmp_path / "net.npz").layers[1]
    for name in ("text", "number", "real", "flag", "one", "eight", "none"):
        ours, theirs = getattr(back, name), getattr(layer, name)
        assert type(ours) is type(theirs) and ours == theirs, name
    assert all(type(side) is int for side in back.one + back.eight)
    for name in ("row", "whole"):
        ours, theirs = getattr(back, name), getattr(layer, name)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    assert len(vars(back)) == len(vars(layer)) == 9


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
    """Without a ledger of its own, what went to bias and stabilizer is not known: NaN."""
    net, x = random_case([9, 8, 4], "relu", 0)

    def as_typed(a, W, b, R):
        return a * ((R / (a @ W + b)) @ W.T)

    e = lrp.explain(net, x, [as_typed, "0"], engine=engine)
    expected = lrp.explain(net, x, "0", engine=engine)
    np.testing.assert_allclose(e.input, expected.input, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(e.ledger[0].inputs, expected.ledger[0].inputs, atol=1e-9)
    assert np.isnan(e.ledger[0].bias).all() and np.isfinite(e.ledger[1].bias).all()


def test_composites_choose_for_each_kind_of_layer():
    cnn, mlp = network(0)[0], lrp.MLP.random([4, 3, 3, 3, 2])
    names = {name: [[rule for rule, _ in COMPOSITES[name](net)] for net in (cnn, mlp)]
             for name in COMPOSITES}
    assert names == {
        "overview": [["z_box", "gamma", "epsilon", "0"]] * 2,
        "deep_taylor": [["z_box", "z_plus", "z_plus", "z_plus"]] * 2,
        "epsilon_plus_flat": [["flat", "z_plus", "epsilon", "epsilon"],
                              ["flat", "epsilon", "epsilon", "epsilon"]],
        "epsilon_gamma_box": [["z_box", "gamma_generalized", "epsilon", "epsilon"],
                              ["epsilon"] * 4]}
    five = COMPOSITES["overview"](lrp.MLP.random([4, 3, 3, 3, 3, 2]))
    assert [rule for rule, _ in five] == ["z_box", "gamma", "gamma", "epsilon", "0"]


@pytest.mark.parametrize("name, least, rules", [
    ("overview", 3, ["z_box", "gamma", "0"]), ("deep_taylor", 1, ["z_box"]),
    ("epsilon_plus_flat", 2, ["flat", "epsilon"]), ("epsilon_gamma_box", 1, ["epsilon"])])
def test_the_smallest_networks_of_composites(random_case, name, least, rules):
    net, x = random_case([5, 4, 4, 3][-least - 1:], "relu", 0)
    assert [rule for rule, _ in COMPOSITES[name](net)] == rules
    np.testing.assert_array_equal(lrp.explain(net, x, name).input,
                                  lrp.explain(net, x, rules).input)
    if least > 1:
        with pytest.raises(ValueError, match=f"'{name}' is for networks with at least {least} "
                                             f"layers that have weights, got {least - 1}"):
            lrp.explain(lrp.MLP(net.layers[1:]), net.activations(x)[1], name)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_lists_of_rules(name, engine):
    net, x = network(1)
    chosen = COMPOSITES[name](net)
    e, same = (lrp.explain(net, x, rules, engine=engine) for rules in (name, chosen))
    np.testing.assert_array_equal(e.input, same.input)
    if "epsilon" in dict(chosen):
        other = lrp.explain(net, x, name, epsilon=3.0, engine=engine)
        assert (other.ledger[-2].epsilon != e.ledger[-2].epsilon).any()


@pytest.mark.parametrize("rules, parameters, message", [
    ("overview", {}, "'overview' is for networks with at least 3 layers that have weights, got 2"),
    (["0"], {}, "one for each of the 2 layers with weights, got 1"),
    (["overview", "0"], {}, "the name of a composite alone.*got 'overview' as one of them"),
    (COMPOSITES["overview"], {}, "the name of a composite alone"),
    (partial(lrp_gamma, gamma=1.0), {"alpha": 1.0}, "alpha is not a parameter of rule"),
    (lambda a, W, b, R: R.sum(), {}, r"relevance of the shape of a, \(6, 8\), got \(\)"),
    ("epsilon", {"signed": False}, "signed is not a parameter of rule epsilon, got signed=False"),
    ("captum.gamma", {"alpha": 1.0}, "alpha is not a parameter of rule captum.gamma"),
    (captum_gamma, {"alpha": 1.0}, "alpha is not a parameter of rule captum_gamma"),
    ("captum.gama", {}, "a dialect .*'captum.gamma'.*got 'captum.gama'"),
    (["0", "z_minus"], {}, "rule must be one of '0', .*a function.*composite.*got 'z_minus'"),
    ([("gamma", {"epsilon": 1.0}), "0"], {}, "epsilon is not a parameter of rule gamma"),
    (["gamma", "0"], {"epsilon": 1.0}, "epsilon is not a parameter of rule gamma, 0"),
    (lambda a, W, b, R: R, {"gamma": 1.0}, "gamma is not a parameter of rule <lambda>"),
    (7, {}, "got 7"), ([("0", {}, {}), "0"], {}, "rule must be one of"),
    ("0", {"bias": "none"}, "bias is not a parameter of rule 0, got bias='none'"),
    ("alpha_beta", {"signs": "w"}, "signs is not a parameter of rule alpha_beta, got signs='w'"),
    ("0", {"start": np.inf}, "start must be None or a finite float64 number, got inf"),
    ("0", {"start": "logit"}, "start must be None or a finite float64 number, got 'logit'")])
@pytest.mark.parametrize("engine", ENGINES)
def test_rules_refused(random_case, rules, parameters, message, engine):
    net, x = random_case([9, 8, 4], "relu", 0)
    with pytest.raises(ValueError, match=message):
        lrp.explain(net, x, rules, engine=engine, **parameters)


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
    lrp.explain(net, x, ["captum.gamma", "0"], engine=engine)
    lrp.explain(random_case([9, 8, 4], "relu", 0)[0], x[:0], "gamma", engine=engine)
