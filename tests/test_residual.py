"""Residual connections and BatchNorm in training: against torch's autograd and by hand."""
from itertools import pairwise

import numpy as np
import pytest

import lrp_numpy as lrp
import modern_torch
from conftest import ENGINES, slope
from lrp_numpy.ops import reference
from lrp_numpy.rules import RULES
from lrp_numpy.training import Adam, cross_entropy, training_step
from test_transformer import randomized

torch = pytest.importorskip("torch", exc_type=ImportError)


def dense(D, K, activation="identity"):
    return lrp.Dense.random(D, K, activation, 0, np.float64)


def conv(C, K, size, activation="relu", stride=1):
    return [lrp.Conv2D.random(C, K, size, "identity", 0, stride, size // 2, np.float64),
            lrp.BatchNorm.untrained(K, activation, True, np.float64)]


def norm(D, activation="identity"):
    return lrp.BatchNorm.untrained(D, activation, dtype=np.float64)


# Rows, images, a shortcut with layers of its own, one within another, BatchNorm before and behind
NETS = {
    "rows": lambda: [dense(5, 4), norm(4, "tanh"), lrp.Residual(
        [dense(4, 6, "relu"), dense(6, 4)], activation="relu"), dense(4, 3)],
    "first": lambda: [lrp.Residual([dense(5, 5, "tanh"), dense(5, 5)]), dense(5, 3)],
    "shortcut": lambda: [dense(5, 4), lrp.Residual([norm(4), dense(4, 6, "gelu"), dense(6, 3)],
                                                   [dense(4, 3)])],
    "nested": lambda: [dense(5, 4), lrp.Residual([
        dense(4, 4, "relu"), lrp.Residual([dense(4, 4, "tanh"), norm(4)], activation="relu"),
        dense(4, 3)], [lrp.Residual([dense(4, 4)]), dense(4, 3)]), dense(3, 3)],
    "images": lambda: [lrp.Unflatten((1, 4, 6)), *conv(1, 3, 3), lrp.Residual(
        [*conv(3, 3, 3), *conv(3, 3, 3, "identity")], activation="relu"), lrp.Residual(
        [*conv(3, 4, 3, "relu", 2), *conv(4, 4, 3, "identity")],
        conv(3, 4, 1, "identity", 2), "relu"), lrp.AvgPool2D(2), lrp.Flatten(), dense(4, 3)]}


def case(name, seed=0, N=6, **how):
    net = randomized(lrp.Network(NETS[name]()), seed, **how)
    return net, np.random.default_rng(seed + 1).normal(size=(N, net.sizes[0]))


EACH = pytest.mark.parametrize("name", NETS)


@EACH
@pytest.mark.parametrize("seed", range(3))
def test_forward_and_every_gradient(name, seed):
    """BatchNorm with its constants, of which torch has no derivative."""
    net, x = case(name, seed)
    dlogits = np.random.default_rng(seed).normal(size=(len(x), 3))
    arrays = modern_torch.tensors(net)
    theirs = modern_torch.forward(net.layers, torch.tensor(x), arrays)
    (theirs * torch.tensor(dlogits)).sum().backward()
    passed = net.forward_pass(x)
    np.testing.assert_allclose(passed.a[-1], theirs.detach().numpy(), rtol=1e-10, atol=1e-10)
    for number, (layer, of_layer) in enumerate(zip(net.layers, net.backward(passed, dlogits))):
        for path, gradient in zip(layer.parameters, of_layer, strict=True):
            if arrays[f"{number}.{path}"].requires_grad:
                np.testing.assert_allclose(gradient, arrays[f"{number}.{path}"].grad.numpy(),
                                           rtol=1e-10, atol=1e-10, err_msg=path)


@EACH
def test_gradients_by_finite_differences(name):
    """mean and variance as well."""
    net, x = case(name, size=0.3)
    labels = np.arange(len(x)) % 3
    passed = net.forward_pass(x)
    gradients = net.backward(passed, cross_entropy(passed.a[-1], labels)[1])
    for layer, of_layer in zip(net.layers, gradients):
        for path, gradient in zip(layer.parameters, of_layer):
            parameter = getattr(layer, path)
            for place in list(np.ndindex(parameter.shape))[::5]:
                assert gradient[place] == pytest.approx(
                    slope(net, x, labels, parameter, place, 1e-6), rel=1e-4, abs=1e-7), path


@EACH
@pytest.mark.parametrize("engine", ENGINES)
def test_fifty_steps_of_adam(name, engine):
    """BatchNorm by the batch; its constants as torch's running mean and variance."""
    net, x = case(name, size=0.3)
    labels = np.arange(len(x)) % 3
    theirs, losses = modern_torch.adam(net, x, labels, 50, 0.01)
    adam = Adam(net, 0.01)
    ours = [training_step(net, adam, x, labels, lrp.ops.choose(engine)) for _ in range(50)]
    np.testing.assert_allclose(ours, losses, rtol=1e-8)
    for number, layer in enumerate(net.layers):
        for path in layer.parameters:
            np.testing.assert_allclose(getattr(layer, path), theirs[f"{number}.{path}"], rtol=0,
                                       atol=1e-8, err_msg=path)


@pytest.mark.parametrize("shape", [(7, 3), (1, 3), (4, 3, 5, 2)], ids=str)
def test_running_statistics(shape):
    a = np.random.default_rng(0).normal(2, 3, size=shape)
    layer = randomized(lrp.Network([norm(3)])).layers[0] if len(shape) == 2 else (
        lrp.BatchNorm.untrained(3, images=True, dtype=np.float64))
    if shape[0] == 1:       # torch refuses a single row: its variance is 0, divided by 0
        twin = layer.keeping(trains=True)
        np.testing.assert_array_equal(twin.preactivation(a), layer.b[None])
        return
    theirs = (torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d)(3).double()
    with torch.no_grad():
        for ours, name in (("W", "weight"), ("b", "bias"), ("mean", "running_mean"),
                           ("variance", "running_var")):
            getattr(theirs, name).copy_(torch.tensor(getattr(layer, ours).ravel()))
    twin = layer.keeping(trains=True)
    np.testing.assert_allclose(twin.preactivation(a), theirs(torch.tensor(a)).detach(), rtol=1e-10)
    state = [(getattr(layer, name), *np.zeros((2, *layer.W.shape))) for name in layer.parameters]
    twin.adam_step(a, np.ones(shape), state, (1, 0.0, 0.9, 0.999, 1e-8))
    np.testing.assert_allclose(layer.mean.ravel(), theirs.running_mean, rtol=1e-10)
    np.testing.assert_allclose(layer.variance.ravel(), theirs.running_var, rtol=1e-10)
    theirs.eval()
    np.testing.assert_allclose(layer.preactivation(a), theirs(torch.tensor(a)).detach(),
                               rtol=1e-10, atol=1e-12)


@EACH
@pytest.mark.parametrize("seed", range(3))
def test_relevance_is_input_times_gradient(name, seed):
    """Under LRP-0, with activations that pass relevance on unchanged."""
    net, x = case(name, seed)
    e = lrp.explain(net, x, "0")
    theirs = modern_torch.relevance(net, x, e.target, "attnlrp")
    np.testing.assert_allclose(e.input, theirs, rtol=0, atol=1e-8 * (1 + np.abs(theirs).max()))


@EACH
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_ledger_closes_in_every_layer(name, rule, engine):
    net, x = case(name)
    how = {"low": -1e4, "high": 1e4} if rule == "z_box" else {}
    e = lrp.explain(net, x, rule, engine=engine, **how)
    for row, R in zip(e.ledger, e.relevance):
        scale = 1 + np.abs(row).max()
        np.testing.assert_allclose(row.received, row.inputs + row.bias + row.epsilon + row.dropped,
                                   rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(row.inputs, R.reshape(len(R), -1).sum(axis=1), rtol=0,
                                   atol=1e-10 * scale)
    for row, above in pairwise(e.ledger):
        np.testing.assert_allclose(row.received, above.inputs, rtol=0,
                                   atol=1e-10 * (1 + np.abs(row).max()))


@pytest.mark.parametrize("rule, epsilon", [("0", 0.0), ("epsilon", 0.25), ("gamma", 0.0)])
def test_a_sum_by_hand(rule, epsilon):
    """x = 2 and F(x) = 3 x = 6 share R = 8: 2 and 6 without a stabilizer. Of x = -1, -4 of R."""
    layer = lrp.Residual([lrp.Dense(np.array([[3.0]]), np.zeros(1), "identity")])
    a, R, ledger = np.array([[2.0], [-1.0]]), np.array([[8.0], [-4.0]]), []
    lrp_0_inside = layer.relevance(RULES[rule], a, None, R, ledger=ledger)
    s = R / np.array([[8 + epsilon], [-4 - epsilon]])
    inside = {"0": 1, "epsilon": np.array([[6 / 6.25], [3 / 3.25]]), "gamma": 1}[rule]
    np.testing.assert_allclose(lrp_0_inside, a * s + 3 * a * s * inside)
    np.testing.assert_allclose(ledger[0].received, ledger[0].inputs + ledger[0].epsilon)


def test_nothing_at_all_is_dropped_and_told():
    """x + F(x) = 0 exactly: without a stabilizer R cannot be shared."""
    layer, ledger = lrp.Residual([lrp.Dense(-np.eye(1), np.zeros(1), "identity")]), []
    R = layer.relevance(RULES["0"], np.ones((1, 1)), None, np.full((1, 1), 5.0), ledger=ledger)
    assert R == 0 and ledger[0].dropped == 5


def test_a_rule_without_a_ledger_is_unknown_within():
    def lrp_mine(a, W, b, R):
        return RULES["0"](a, W, b, R)

    net, x = case("first")
    e = lrp.explain(net, x, lrp_mine)
    np.testing.assert_allclose(e.input, lrp.explain(net, x, "0").input)
    assert np.isnan(e.ledger[0].bias).all() and np.isfinite(e.ledger[0].inputs).all()


@EACH
def test_a_network_as_a_file(name, tmp_path):
    net, x = case(name)
    net.save(tmp_path / "net.npz")
    loaded = lrp.Network.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(loaded.forward(x), net.forward(x))
    assert [layer.parameters for layer in loaded.layers] == [
        layer.parameters for layer in net.layers]


@pytest.mark.parametrize("change, message", [
    (lambda file: file.pop("W1.layers.0"), "W1.layers.0"),
    (lambda file: file.update({"W1.layers.9": np.ones(3)}), "does not know: W1.layers.9"),
    (lambda file: file.update(layers1=np.array(["Dense"] * 1001)), "at most 1000 layers, got 1001"),
    (lambda file: file.update(layers1=np.array(["Dense", "Ghost", "Dense"])),
     "layer 1.layers.1 must be one of Dense"),
    (lambda file: file.update(layers1=np.array([], "U")), "at least one layer, got none"),
    (lambda file: file.update({"W1.layers.0": np.ones((3, 3))}), r"layers\[0\]: W must have 4")])
def test_a_damaged_file_is_refused(change, message, tmp_path):
    case("nested")[0].save(tmp_path / "net.npz")
    file = dict(np.load(tmp_path / "net.npz"))
    change(file)
    np.savez(tmp_path / "net.npz", **file)
    with pytest.raises(ValueError, match=f"net.npz is not a network.*{message}"):
        lrp.Network.load(tmp_path / "net.npz")


@EACH
def test_batchnorm_is_folded_within(name):
    net, x = case(name)
    folded = lrp.fold_batchnorm(net)
    np.testing.assert_allclose(folded.forward(x), net.forward(x), rtol=0, atol=1e-10)
    left = [path for layer in folded.layers for path in layer.parameters if "mean" in path]
    assert not left and not any(type(layer) is lrp.BatchNorm for layer in folded.layers)
    if name == "images":
        assert [type(layer).__name__ for layer in folded.layers[2].layers] == ["Conv2D"] * 2
        assert [type(layer).__name__ for layer in folded.layers[3].shortcut] == ["Conv2D"]
    np.testing.assert_array_equal(net.forward(x), case(name)[0].forward(x))     # net stays


def test_training_resumes_with_the_same_bits(tmp_path):
    """From a checkpoint: with the running statistics."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 24)), np.arange(40) % 3
    digits = lrp.Digits(x, labels, x, labels)
    whole, halves = case("images")[0], case("images")[0]
    how = dict(batch_size=7, progress=False)
    lrp.train(whole, digits, 4, **how)
    lrp.train(halves, digits, 2, checkpoint=tmp_path / "c.npz", **how)
    again = case("images")[0]
    lrp.train(again, digits, 4, checkpoint=tmp_path / "c.npz", **how)
    for one, other in zip(whole.layers, again.layers):
        for path in one.parameters:
            np.testing.assert_array_equal(getattr(one, path), getattr(other, path))
    other = lrp.Network([*case("images")[0].layers[:4], lrp.Residual([*conv(3, 3, 3)]),
                         *case("images")[0].layers[4:]])
    with pytest.raises(ValueError, match="another network"):
        lrp.train(other, digits, 4, checkpoint=tmp_path / "c.npz", **how)


def test_a_pass_keeps_nothing_in_the_network(tmp_path):
    """And what one array left behind is not taken for another's."""
    net, x = case("images")
    lrp.explain(net, x)
    training_step(net, Adam(net), x, np.arange(len(x)) % 3, reference)
    assert all(layer.kept is None for layer in net.layers)
    layer = net.layers[3].keeping()
    a = np.random.default_rng(0).normal(size=(2, 3, 4, 6))
    for one in (a, a + 1, a):
        np.testing.assert_array_equal(layer.preactivation(one), net.layers[3].preactivation(one))


def test_explained_in_batches(monkeypatch):
    net, x = case("images", N=30)
    whole = lrp.explain(net, x, "epsilon")
    monkeypatch.setattr("lrp_numpy.explanation.BATCH_BYTES", 1)
    parts = list(lrp.explain_batches(net, x, "epsilon", batch_size=4))
    for number, R in enumerate(whole.relevance):
        np.testing.assert_allclose(np.concatenate([part.relevance[number] for part in parts]), R,
                                   rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(lrp.explain(net, x, "epsilon").input, whole.input, rtol=1e-9,
                               atol=1e-12)


def test_activations_within_are_warned_of():
    net = lrp.Network([lrp.Residual([dense(4, 4, "sigmoid"), dense(4, 4)]), dense(4, 3)])
    with pytest.warns(UserWarning, match=r"sigmoid\(0\) is 0.5"):
        lrp.explain(net, np.zeros((1, 4)) + 1)
    centred = lrp.zero_centred(net)
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=1e-12)
    assert centred.layers[0].activations == {"zero_centred_sigmoid", "identity"}


@pytest.mark.long
def test_the_residual_network(digits):
    net = lrp.resnet()
    assert net.dtype == np.float32 and net.predict(digits.test_images[:3]).shape == (3,)
    small = lrp.Digits(*(part[:1000] for part in digits))
    history = lrp.train(net, small, 2, 20, learning_rate=2e-3, progress=False)
    assert history.accuracy[-1] > 0.8
    assert all(getattr(layer, path).dtype == np.float32 for layer in net.layers
               for path in layer.parameters)
    folded, x = lrp.fold_batchnorm(net), digits.test_images[:20]
    np.testing.assert_allclose(folded.forward(x), net.forward(x), atol=1e-4)
    assert len(folded.layers) == 6
    assert [name for name, _ in lrp.composites.epsilon_gamma_box(folded)] == [
        "z_box", "gamma_generalized", "gamma_generalized", "epsilon"]
    e = lrp.explain(folded, x, "epsilon_gamma_box")
    assert np.isfinite(e.input).all() and e.input.dtype == np.float32


@pytest.mark.parametrize("make, message", [
    (lambda: lrp.Residual([]), "layers must hold at least one layer, got none"),
    (lambda: lrp.Residual(3), "layers must be a list, got 3"),
    (lambda: lrp.Residual([3]), "layers must hold layers, got 3"),
    (lambda: lrp.Residual([dense(2, 2)], [None]), "shortcut must hold layers, got None"),
    (lambda: lrp.Network([lrp.Residual([dense(4, 3)])]),
     r"layer 0: layers must give the shape that shortcut gives, \(4,\), got \(3,\)"),
    (lambda: lrp.Network([lrp.Residual([dense(4, 4), dense(3, 4)])]),
     r"layer 0: layers\[1\]: W must have 4 rows"),
    (lambda: lrp.Network([lrp.Residual([dense(4, 4)], activation="cosine")]), "activation must be"),
    (lambda: lrp.Network([lrp.Residual([dense(4, 4)], activation=3)]), "activation must be"),
    (lambda: lrp.Network([dense(4, 3), lrp.BatchNorm(np.ones(3), np.ones(3), mean=np.ones(3))]),
     "mean and variance must both be arrays, or both None"),
    (lambda: lrp.Network([lrp.BatchNorm(*np.ones((2, 3)), "relu", np.ones(3), -np.ones(3))]),
     "variance must be at least 0, got -1.0"),
    (lambda: lrp.Network([lrp.BatchNorm(*np.ones((2, 3)), "relu", *np.ones((2, 3)), momentum=2)]),
     r"momentum must lie in \[0, 1\], got 2"),
    (lambda: lrp.Network([lrp.BatchNorm(*np.ones((2, 3)), "relu", np.ones(3), np.ones(2))]),
     r"variance must have shape \(3,\), got \(2,\)"),
    (lambda: lrp.BatchNorm.untrained(0), "features must be an integer of at least 1, got 0"),
    (lambda: lrp.resnet(channels=(1, 2, 3)), "channels must be two integers")])
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
