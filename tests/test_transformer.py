"""Tokens, positions, LayerNorm, attention: against torch's autograd, by hand, and against LXT."""
from functools import partial

import numpy as np
import pytest

import lrp_numpy as lrp
import modern_torch
from conftest import ENGINES, slope
from lrp_numpy.rules import RULES
from lrp_numpy.training import Adam, cross_entropy, training_step

torch = pytest.importorskip("torch", exc_type=ImportError)


def randomized(net, seed=0, biases=1.0, size=0.5):
    """The same layers with random arrays, so that no bias is 0 (biases=0: all are)."""
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        for name in layer.parameters:
            array = getattr(layer, name)
            array[...] = rng.normal(size=array.shape) * size
            if name.split(".")[-1] == "b":
                array *= biases
            if name.split(".")[-1] == "variance":
                array[...] = 0.5 + rng.random(array.shape)
    return net


def attention_net(T=5, D=6, heads=2, causal=False, seed=0, activation="gelu", **how):
    """Tokens of 4 pixels, attention and an MLP with residual connections, and three logits."""
    def dense(D, K, activation="identity"):
        return lrp.Dense.random(D, K, activation, 0, np.float64)

    def norm():
        return lrp.LayerNorm.untrained(D, np.float64)

    return randomized(lrp.Network([
        lrp.Tokens((1, 2, 2 * T), 2), dense(4, D), lrp.Positions(np.zeros((T, D))),
        lrp.Residual([norm(), dense(D, 3 * D), lrp.SelfAttention(heads, causal), dense(D, D)]),
        lrp.Residual([norm(), dense(D, 7, activation), dense(7, D)]),
        norm(), lrp.MeanOverTokens(), dense(D, 3)]), seed, **how)


def images(net, N=4, seed=1):
    return np.random.default_rng(seed).normal(size=(N, net.sizes[0]))


CASES = pytest.mark.parametrize("T, D, heads, causal, seed", [
    (5, 6, 1, False, 0), (5, 6, 2, False, 1), (4, 6, 3, True, 2), (1, 4, 2, False, 3),
    (3, 8, 8, True, 4), (7, 5, 1, True, 5), (2, 12, 4, False, 6)])


@CASES
def test_forward_and_every_gradient(T, D, heads, causal, seed):
    net = attention_net(T, D, heads, causal, seed)
    x, dlogits = images(net), np.random.default_rng(seed).normal(size=(4, 3))
    arrays = modern_torch.tensors(net)
    theirs = modern_torch.forward(net.layers, torch.tensor(x), arrays)
    (theirs * torch.tensor(dlogits)).sum().backward()
    passed = net.forward_pass(x)
    np.testing.assert_allclose(passed.a[-1], theirs.detach().numpy(), rtol=1e-10, atol=1e-10)
    for number, (layer, of_layer) in enumerate(zip(net.layers, net.backward(passed, dlogits))):
        for name, gradient in zip(layer.parameters, of_layer, strict=True):
            np.testing.assert_allclose(gradient, arrays[f"{number}.{name}"].grad.numpy(),
                                       rtol=1e-10, atol=1e-10, err_msg=f"{number}.{name}")


def test_gradient_of_the_input():
    net = attention_net()
    x = images(net)
    a = torch.tensor(x, requires_grad=True)
    modern_torch.forward(net.layers, a, modern_torch.tensors(net, False))[:, 1].sum().backward()
    np.testing.assert_allclose(lrp.evaluation.gradient(net, x, 1), a.grad.numpy(), rtol=1e-10,
                               atol=1e-10)


def test_gradients_by_finite_differences():
    net = attention_net(T=3, D=4, heads=2, causal=True)
    x, labels = images(net, 5), np.arange(5) % 3
    passed = net.forward_pass(x)
    gradients = net.backward(passed, cross_entropy(passed.a[-1], labels)[1])
    for layer, of_layer in zip(net.layers, gradients):
        for name, gradient in zip(layer.parameters, of_layer):
            parameter = getattr(layer, name)
            for place in list(np.ndindex(parameter.shape))[::7]:
                assert gradient[place] == pytest.approx(
                    slope(net, x, labels, parameter, place), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_fifty_steps_of_adam(engine):
    net = attention_net(size=0.3)
    x, labels = images(net, 8), np.arange(8) % 3
    theirs, losses = modern_torch.adam(net, x, labels, 50, 0.01)
    adam = Adam(net, 0.01)
    ours = [training_step(net, adam, x, labels, lrp.ops.choose(engine)) for _ in range(50)]
    np.testing.assert_allclose(ours, losses, rtol=1e-8)
    for number, layer in enumerate(net.layers):
        for name in layer.parameters:
            np.testing.assert_allclose(getattr(layer, name), theirs[f"{number}.{name}"], rtol=0,
                                       atol=1e-8, err_msg=f"{number}.{name}")
    assert ours[-1] < ours[0] / 2


@CASES
@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_relevance_is_input_times_gradient_with_constants(T, D, heads, causal, seed, attention,
                                                          activation):
    net = attention_net(T, D, heads, causal, seed, activation)
    x = images(net)
    e = lrp.explain(net, x, "0", attention=attention)
    theirs = modern_torch.relevance(net, x, e.target, attention)
    scale = 1 + np.abs(theirs).max()
    np.testing.assert_allclose(e.input, theirs, rtol=0, atol=1e-8 * scale)
    if attention == "attnlrp":      # which is the default
        np.testing.assert_array_equal(lrp.explain(net, x, "0").input, e.input)


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_ledger_closes_in_every_layer(rule, attention, engine):
    net = attention_net(T=4, D=6, heads=2, causal=True)
    x = images(net)
    how = {"low": -9.0, "high": 9.0} if rule == "z_box" else {}
    e = lrp.explain(net, x, rule, attention=attention, engine=engine, **how)
    for row, R in zip(e.ledger, e.relevance):
        scale = 1 + np.abs(row).max()
        np.testing.assert_allclose(row.received, row.inputs + row.bias + row.epsilon + row.dropped,
                                   rtol=0, atol=1e-10 * scale)
        np.testing.assert_allclose(row.inputs, R.reshape(len(R), -1).sum(axis=1), rtol=0,
                                   atol=1e-10 * scale)
    for row, below in zip(e.ledger[1:], e.ledger):
        np.testing.assert_allclose(row.inputs, below.received, rtol=0, atol=1e-10 * (
            1 + np.abs(row).max()))


@pytest.mark.parametrize("attention", ["attnlrp", "cp"])
@pytest.mark.parametrize("rule", [*RULES, "epsilon, relative"])
def test_both_engines_explain_alike(rule, attention):
    """Relevance and ledger; a stabilizer of each token, too."""
    net = attention_net(T=4, D=6, heads=2, causal=True, activation="gelu")
    x, (name, *relative) = images(net), rule.split(", ")
    how = {"z_box": {"low": -9.0, "high": 9.0}}.get(name, dict.fromkeys(relative, True))
    ours, equations = (lrp.explain(net, x, name, attention=attention, engine=engine, **how)
                       for engine in ENGINES)
    for one, other in zip([*ours.relevance, *map(np.array, ours.ledger)],
                          [*equations.relevance, *map(np.array, equations.ledger)], strict=True):
        scale = 1 + np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=1e-10)


def test_without_biases_all_relevance_reaches_the_input():
    """With attention weights that are constant. The softmax of AttnLRP keeps some, as a bias."""
    net = attention_net(biases=0.0)
    x = images(net)
    e = lrp.explain(net, x, "0", attention="cp")
    np.testing.assert_allclose(e.input.sum(axis=1), e.logits.max(axis=1), rtol=1e-8)
    e = lrp.explain(net, x, "0")
    kept = sum(row.bias for row in e.ledger)
    assert np.abs(kept).min() > 1e-3 and np.abs(e.ledger[3].bias - kept).max() < 1e-10
    np.testing.assert_allclose(e.input.sum(axis=1) + kept, e.logits.max(axis=1), rtol=1e-8)


def test_attention_by_hand():
    """Two tokens, one head, one number: token 0 looks for token 1, log 3 more than for itself."""
    layer = lrp.SelfAttention()
    a = np.array([[[1.0, 0.0, 4.0], [0.0, np.log(3), 8.0]]])     # query, key, value of each token
    np.testing.assert_allclose(layer.preactivation(a), [[[0.25 * 4 + 0.75 * 8],
                                                         [0.5 * 4 + 0.5 * 8]]])
    R, ledger = np.array([[[7.0], [0.0]]]), []
    np.testing.assert_allclose(
        lrp.SelfAttention(attention="cp").relevance(None, a, None, R, ledger=ledger)[0],
        [[0, 0, 1], [0, 0, 6]])
    # A gets 3.5: 0.5 and 3.0; of it S = (0, log 3) gets log 3 (3 - 0.75 * 3.5), half to each factor
    R_S = np.log(3) * (3 - 0.75 * 3.5)
    np.testing.assert_allclose(layer.relevance(None, a, None, R, ledger=ledger)[0],
                               [[R_S / 2, 0, 0.5], [0, R_S / 2, 3]])
    np.testing.assert_allclose([row.bias[0] for row in ledger], [0, 3.5 - R_S])


def test_masks():
    """What a causal token does not see changes nothing and gets nothing."""
    layer, a = lrp.SelfAttention(2, causal=True), np.random.default_rng(0).normal(size=(3, 4, 12))
    other = a.copy()
    other[:, 2:] += 1
    np.testing.assert_array_equal(layer.preactivation(a)[:, :2], layer.preactivation(other)[:, :2])
    R = np.zeros((3, 4, 4))
    R[:, 1] = 1
    for attention in ("attnlrp", "cp"):
        R_a = lrp.SelfAttention(2, True, attention).relevance(None, a, None, R)
        assert (R_a[:, 2:] == 0).all() and (R_a[:, :2, 8:] != 0).all()


def test_tokens_by_hand():
    """An image of 2 x 4 pixels with two channels: two squares, each channel by channel."""
    layer, a = lrp.Tokens((2, 2, 4), 2), np.arange(16.0).reshape(1, 16)
    tokens = layer.preactivation(a)
    assert tokens.tolist() == [[[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]]
    np.testing.assert_array_equal(layer.backward(a, tokens), a)
    image = a.reshape(1, 2, 2, 4)
    np.testing.assert_array_equal(layer.preactivation(image), tokens)
    np.testing.assert_array_equal(layer.backward(image, tokens), image)


@pytest.mark.parametrize("rule, epsilon", [("0", 0), ("epsilon", 0.25), ("gamma", 0)])
def test_what_stabilizes_the_sums(rule, epsilon):
    """By hand: a = 1 and -3, positions 1: R a / (z + epsilon sign z)."""
    a, b, R = np.array([[[1.0, -3.0]]]), np.ones((1, 2)), np.array([[[3.0, 5.0]]])
    net = lrp.Network([lrp.Tokens((1, 1, 2), 1), lrp.Dense(np.eye(1), np.zeros(1), "identity"),
                       lrp.Positions(np.ones((2, 1))), lrp.Flatten()])
    ledger = []
    R_a = lrp.Positions(b).relevance(RULES[rule], a, a + b, R, ledger=ledger)
    np.testing.assert_allclose(R_a, [[[3 / (2 + epsilon), 15 / (2 + epsilon)]]])
    np.testing.assert_allclose(ledger[0].epsilon, 3 * epsilon / (2 + epsilon) + 5 * epsilon / (
        2 + epsilon))
    e = lrp.explain(net, a[0], rule, start=R[0])
    np.testing.assert_allclose(e.relevance[2].ravel(), R_a.ravel())


def test_a_network_as_a_file(tmp_path):
    net = attention_net(causal=True)
    x = images(net)
    net.save(tmp_path / "net.npz")
    loaded = lrp.Network.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(loaded.forward(x), net.forward(x))
    for option in ("attnlrp", "cp"):
        np.testing.assert_array_equal(*(lrp.explain(one, x, "0", attention=option).input
                                        for one in (net, loaded)))
    assert loaded.layers[3].layers[2].causal is True and loaded.layers[3].shortcut == ()


def test_float32_stays():
    net = lrp.transformer(rng=1)
    x = np.random.default_rng(0).random((3, 784), np.float32)
    passed = net.forward_pass(x)
    assert all(array.dtype == np.float32 for part in passed for array in part)
    assert all(gradient.dtype == np.float32 for of_layer in net.backward(passed, passed.a[-1])
               for gradient in of_layer)
    for rule in ("0", "epsilon"):
        e = lrp.explain(net, x, rule)
        assert all(R.dtype == np.float32 for R in e.relevance)
        wide = lrp.explain(lrp.Network([*net.layers[:-1], lrp.Dense(
            net.layers[-1].W.astype(float), net.layers[-1].b, "identity")]), x.astype(float), rule)
        np.testing.assert_allclose(e.input, wide.input, atol=1e-3 * np.abs(wide.input).max())
    assert net.dtype == np.float32 and lrp.evaluation.count_parameters(net) == 41674


def test_it_learns(digits):
    net = lrp.transformer(rng=0)
    history = lrp.train(net, digits, epochs=1, learning_rate=2e-3, progress=False)
    assert history.accuracy[0] > 0.6


def dense(D, K):
    return lrp.Dense.random(D, K, "identity", 0)


TOKENS = [lrp.Tokens((1, 4, 4), 2), dense(4, 6)]


@pytest.mark.parametrize("make, message", [
    (lambda: lrp.transformer(heads=5), "heads must divide width, 48, got 5"),
    (lambda: lrp.transformer(size=5), "size must divide 28, the side of an image, got 5"),
    (lambda: lrp.transformer(blocks=-1), "blocks must be an integer of at least 0, got -1"),
    (lambda: lrp.transformer(activation="cosine"), "activation must be"),
    (lambda: lrp.Network([*TOKENS, lrp.SelfAttention(3)]), "heads must divide the width 2, got 3"),
    (lambda: lrp.Network([*TOKENS, lrp.SelfAttention(0)]), "heads must be an integer of at least"),
    (lambda: lrp.Network([*TOKENS, lrp.SelfAttention(1, attention="raw")]),
     "layer 2: attention must be 'attnlrp' or 'cp', got 'raw'"),
    (lambda: lrp.Network([*TOKENS, lrp.SelfAttention(1, causal=2)]), "causal must be True or"),
    (lambda: lrp.Network([TOKENS[0], lrp.SelfAttention()]), "queries, keys and values side by"),
    (lambda: lrp.Network([lrp.Tokens((1, 4, 4), 3)]), "size must divide both sides of the image"),
    (lambda: lrp.Network([lrp.Tokens((4, 4), 2)]), r"shape must be \(C, H, W\), three integers"),
    (lambda: lrp.Network([*TOKENS, lrp.Positions(np.zeros((4, 5)))]),
     r"b must have the shape \(T, D\) of the tokens before it, \(4, 6\), got \(4, 5\)"),
    (lambda: lrp.Network([*TOKENS, lrp.LayerNorm.untrained(5)]), r"W must have shape \(6,\)"),
    (lambda: lrp.Network([*TOKENS, lrp.LayerNorm(np.ones(6), np.ones(6), 0.0)]),
     "epsilon must be a finite number above 0, got 0.0"),
    (lambda: lrp.Network([dense(4, 6), lrp.MeanOverTokens()]), r"takes tokens \(T, D\)"),
    (lambda: lrp.Network([*TOKENS, dense(5, 2)]), "W must have 6 rows"),
    (lambda: lrp.Network(TOKENS), "the last layer must give logits"),
    (lambda: lrp.explain(lrp.transformer(), np.zeros((1, 784)), attention="raw"),
     "attention must be 'attnlrp' or 'cp', got 'raw'"),
    (lambda: lrp.explain(lrp.lenet(), np.zeros((1, 784)), attention="cp"),
     "attention is not a parameter of rule 0, got attention='cp'")])
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_norm_is_a_matrix_if_its_deviation_is_constant():
    """Of one token, z = a @ M + b; M from its own standard deviation."""
    rng = np.random.default_rng(0)
    a, W, b, R = rng.normal(size=(3, 1, 5)), *rng.normal(size=(2, 5)), rng.normal(size=(3, 1, 5))
    for rule, how in (("0", {}), ("epsilon", {"epsilon": 0.5}),
                      ("epsilon", {"epsilon": 0.5, "relative": True})):
        ours = lrp.LayerNorm(W, b).relevance(partial(RULES[rule], **how), a, None, R)
        for n in range(3):
            std = np.sqrt(a[n].var() + 1e-5)
            M = (np.eye(5) - 1 / 5) * W / std
            np.testing.assert_allclose(ours[n], RULES[rule](a[n], M, b, R[n], **how), rtol=1e-10)


def test_values_under_epsilon():
    """With constant attention weights, O is V times a matrix: the epsilon rule."""
    rng = np.random.default_rng(0)
    a, R = rng.normal(size=(1, 4, 6)), rng.normal(size=(1, 4, 2))
    heads = lrp.SelfAttention().attend(a)
    ours = lrp.SelfAttention(attention="cp").relevance(RULES["epsilon"], a, None, R)[0, :, 4:]
    for number in range(2):
        theirs = RULES["epsilon"](heads.V[0, 0, :, number][None], heads.A[0, 0].T, np.zeros(4),
                                  R[:, :, number])
        np.testing.assert_allclose(ours[:, number], theirs[0], rtol=1e-10)


@pytest.mark.long
def test_accuracy_on_the_shipped_digits(digits):
    """Six epochs, some 15 seconds."""
    history = lrp.train(lrp.transformer(), digits, 6, learning_rate=2e-3, progress=False)
    assert history.accuracy[-1] >= 0.88
