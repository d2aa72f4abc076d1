"""What other software means by the names of the rules: each dialect against the software itself
where it can be imported (captum, of the extra "bench"; `pip install --no-deps zennit`), and against
its sums otherwise."""
import importlib.util
import runpy
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, added_up, by_engine
from lrp_numpy.composites import parameters_of
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers import Conv2D, Dense
from lrp_numpy.rules import RULES, lrp_alpha_beta, lrp_epsilon, lrp_gamma
from test_layers import SHAPES, case, network


def assert_close(ours, theirs, what=""):
    """To 1e-10, of the number itself or of the largest."""
    scale = np.abs(theirs).max(initial=0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * scale, err_msg=what)


# (N, D, K): one of each, rows below, at and above 32
DENSE = [(1, 1, 1), (4, 3, 2), (2, 1, 5), (3, 6, 1), (5, 8, 7), (3, 9, 40), (6, 40, 32)]


def dense_case(shape, seed):
    """A Dense layer with non-zero biases, inputs of both signs with zeros, and relevance."""
    N, D, K = shape
    rng = np.random.default_rng([seed, *shape])
    layer = Dense(rng.normal(size=(D, K)), rng.normal(size=K), "relu")
    a = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.7)
    return layer, a, rng.normal(size=(N, K))


CASES = [*(("dense", shape) for shape in DENSE), *(("images", shape) for shape in SHAPES)]
on_every_case = [pytest.mark.parametrize("kind, shape", CASES, ids=str),
                 pytest.mark.parametrize("seed", range(3))]


def on_every_layer(test):
    for mark in on_every_case:
        test = mark(test)
    return test


def any_case(kind, shape, seed):
    return dense_case(shape, seed) if kind == "dense" else case(shape, seed)


# zennit

@pytest.fixture(scope="module")
def zennit():
    """zennit's rules. Of torchvision, which zennit imports for its canonizers, two empty classes
    will do."""
    pytest.importorskip("torch", exc_type=ImportError)
    if importlib.util.find_spec("zennit") is None:
        pytest.skip("zennit is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("torchvision") is None:
            for name in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
                patch.setitem(sys.modules, name, types.ModuleType(name))
            resnet = sys.modules["torchvision.models.resnet"]
            resnet.Bottleneck, resnet.BasicBlock = type("Block", (), {}), type("Block", (), {})
        return pytest.importorskip("zennit.rules", exc_type=ImportError)


# The dialect, its parameters, and the same for zennit's class
ZENNIT = [("zennit.epsilon", {}, "Epsilon", {}),
          ("zennit.epsilon", {"epsilon": 0.3}, "Epsilon", {"epsilon": 0.3}),
          ("zennit.gamma", {}, "Gamma", {}),
          ("zennit.gamma", {"gamma": 3.0, "stabilizer": 0.1}, "Gamma",
           {"gamma": 3.0, "stabilizer": 0.1}),
          ("zennit.alpha_beta", {}, "AlphaBeta", {}),
          ("zennit.alpha_beta", {"alpha": 1.5, "beta": 0.5, "stabilizer": 0.1}, "AlphaBeta",
           {"alpha": 1.5, "beta": 0.5, "stabilizer": 0.1}),
          ("zennit.alpha_beta", {"alpha": 1.0, "beta": 0.0}, "AlphaBeta",
           {"alpha": 1.0, "beta": 0.0}),
          ("zennit.z_plus", {}, "ZPlus", {}),
          ("zennit.z_plus", {"stabilizer": 0.1}, "ZPlus", {"stabilizer": 0.1}),
          ("zennit.w_square", {}, "WSquare", {}),
          ("zennit.w_square", {"stabilizer": 0.1}, "WSquare", {"stabilizer": 0.1}),
          ("zennit.flat", {}, "Flat", {}), ("zennit.flat", {"stabilizer": 0.5}, "Flat",
                                            {"stabilizer": 0.5}),
          ("zennit.z_box", {"low": -4.0, "high": 5.0}, "ZBox", {"low": -4.0, "high": 5.0}),
          ("zennit.z_box", {"low": -4.0, "high": 5.0, "stabilizer": 0.1}, "ZBox",
           {"low": -4.0, "high": 5.0, "stabilizer": 0.1})]


def as_module(torch, layer):
    """The same layer in torch."""
    if isinstance(layer, Dense):
        module, weight = torch.nn.Linear(*layer.W.shape), layer.W.T
    else:
        C, K, h, w = layer.W.shape
        module = torch.nn.Conv2d(C, K, (h, w), layer.stride, layer.padding)
        weight = layer.W.transpose(1, 0, 2, 3)
    module = module.double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight.copy()))
        module.bias.copy_(torch.tensor(layer.b.ravel()))
    return module


def zennits(rule, layer, a, R):
    """What zennit's rule makes of R."""
    import torch

    module = as_module(torch, layer)
    handle = rule.register(module)
    a = torch.tensor(a, requires_grad=True)
    relevance, = torch.autograd.grad(module(a), a, torch.tensor(R))
    handle.remove()
    return relevance.detach().numpy()


@on_every_layer
@pytest.mark.parametrize("name, parameters, theirs, their_parameters", ZENNIT)
def test_zennits_rules(zennit, kind, shape, seed, name, parameters, theirs, their_parameters):
    layer, a, R = any_case(kind, shape, seed)
    relevance = zennits(getattr(zennit, theirs)(**their_parameters), layer, a, R)
    for engine in ENGINES:
        ours, _ = by_engine(DIALECTS[name], layer, a, R, engine, **parameters)
        assert_close(ours, relevance, engine)


# Our own rules and zennit's, without what its stabilizer does; its w-square and flat keep the bias
SAME = [("0", {}, "Epsilon", {"epsilon": 1e-300}),
        ("epsilon", {"epsilon": 0.3}, "Epsilon", {"epsilon": 0.3}),
        ("gamma_generalized", {"gamma": 0.6}, "Gamma", {"gamma": 0.6, "stabilizer": 1e-300}),
        ("alpha_beta", {"alpha": 1.5, "beta": 0.5}, "AlphaBeta",
         {"alpha": 1.5, "beta": 0.5, "stabilizer": 1e-300}),
        ("z_plus", {}, "ZPlus", {"stabilizer": 1e-300}),
        ("zennit.w_square", {"stabilizer": 1e-300}, "WSquare", {"stabilizer": 1e-300}),
        ("zennit.flat", {"stabilizer": 1e-300}, "Flat", {"stabilizer": 1e-300}),
        ("z_box", {"low": -4.0, "high": 5.0}, "ZBox",
         {"low": -4.0, "high": 5.0, "stabilizer": 1e-300})]


@on_every_layer
@pytest.mark.parametrize("name, parameters, theirs, their_parameters", SAME)
def test_our_rules_are_zennits_but_for_the_stabilizer(zennit, kind, shape, seed, name, parameters,
                                                      theirs, their_parameters):
    """To 1e-12, of the number itself or of the largest."""
    layer, a, R = any_case(kind, shape, seed)
    relevance = zennits(getattr(zennit, theirs)(**their_parameters), layer, a, R)
    scale = max(1, np.abs(relevance).max())
    for engine in ENGINES:
        ours, _ = by_engine({**RULES, **DIALECTS}[name], layer, a, R, engine, **parameters)
        np.testing.assert_allclose(ours, relevance, rtol=1e-12, atol=1e-12 * scale)


def test_zennits_defaults(zennit):
    """Parameters that are not named are zennit's, but for z-box, where zennit has none."""
    layer, a, R = dense_case((5, 8, 7), 0)
    for name in DIALECTS:
        if name.startswith("zennit.") and name != "zennit.z_box":
            theirs = next(kind for one, _, kind, _ in ZENNIT if one == name)
            plain = zennits(getattr(zennit, theirs)(), layer, a, R)
            assert_close(DIALECTS[name](a, layer.W, layer.b, R), plain, name)
    a = np.abs(a) / 9
    assert_close(DIALECTS["zennit.z_box"](a, layer.W, layer.b, R),      # pixels, as in the rule
                 zennits(zennit.ZBox(0.0, 1.0), layer, a, R))


@pytest.mark.parametrize("of", ["dense", "images"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name, parameters, theirs, their_parameters", ZENNIT)
def test_whole_networks_as_zennit_explains_them(zennit, random_case, of, seed, name, parameters,
                                                theirs, their_parameters):
    """Every layer under the same rule, with ReLU, and the mean of each square of pixels."""
    import torch
    from torch_reference import as_module
    from zennit.composites import LayerMapComposite

    net, x = (random_case([9, 8, 7, 4], "relu", seed) if of == "dense" else
              network(seed, "relu", lrp.AvgPool2D(2)))
    e = lrp.explain(net, x, name, **parameters)
    shape = (9,) if of == "dense" else (2, 9, 8)
    images = torch.tensor(x.reshape(-1, *shape), requires_grad=True)
    rule = getattr(zennit, theirs)(**their_parameters)
    composite = LayerMapComposite([(torch.nn.ReLU, zennit.Pass()),
                                   (torch.nn.AvgPool2d, zennit.Norm(1e-300)),
                                   ((torch.nn.Linear, torch.nn.Conv2d), rule)])
    with composite.context(as_module(net)) as module:
        relevance, = torch.autograd.grad(module(images), images,
                                         torch.tensor(e.relevance[-1]))
    assert_close(e.input, relevance.numpy().reshape(len(x), -1))


def test_z_exactly_0_under_zennits_gamma(zennit):
    """zennit leaves its R out, where the rule itself takes z = 0 as positive; the ledger says so.
    """
    layer = Dense(np.array([[1.0, 1.0], [-1.0, 1.0]]), np.zeros(2), "relu")
    a, R = np.array([[1.0, 1.0]]), np.array([[5.0, 3.0]])
    for engine in ENGINES:
        ours, row = by_engine(DIALECTS["zennit.gamma"], layer, a, R, engine, gamma=1.0)
        assert_close(ours, zennits(zennit.Gamma(1.0), layer, a, R))
        np.testing.assert_allclose(ours, [[1.5, 1.5]], rtol=1e-6)
        np.testing.assert_allclose(np.array(row).ravel(), [8, 3, 0, 0, 5], rtol=1e-6, atol=1e-5)
        rule, _ = by_engine(RULES["gamma_generalized"], layer, a, R, engine, gamma=1.0)
        np.testing.assert_allclose(rule, [[11.5, -3.5]])


def test_z_exactly_0_with_a_bias_under_zennits_gamma(zennit):
    """z = 1 - 1 with a bias of -1: it is z that must be 0, not a w."""
    layer = Dense(np.array([[1.0, 1.0, 2.0]]), np.array([-1.0, 1.0, -2.0]), "relu")
    a, R = np.array([[1.0]]), np.array([[5.0, 3.0, 2.0]])
    for engine in ENGINES:
        ours, row = by_engine(DIALECTS["zennit.gamma"], layer, a, R, engine, gamma=1.0)
        assert_close(ours, zennits(zennit.Gamma(1.0), layer, a, R))
        np.testing.assert_allclose(np.array(row).ravel(), [10, 1.5, 1.5, 0, 7], rtol=1e-6,
                                   atol=1e-5)


def test_a_negative_part_of_0_under_zennits_alpha_beta(zennit):
    """No negative contribution: the stabilizer, with sign(0) = +1, absorbs what goes there."""
    layer = Dense(np.array([[2.0]]), np.array([1.0]), "relu")
    a, R = np.array([[1.0]]), np.array([[3.0]])
    for engine in ENGINES:
        ours, row = by_engine(DIALECTS["zennit.alpha_beta"], layer, a, R, engine)
        assert_close(ours, zennits(zennit.AlphaBeta(), layer, a, R))
        np.testing.assert_allclose(np.array(row).ravel(), [3, 4, 2, -3, 0], rtol=1e-6, atol=1e-5)


# captum

# captum's rule, its arguments, and the dialect with the same
CAPTUM = {
    "epsilon": ("EpsilonRule", {}, "captum.epsilon", {}),
    "epsilon 0.3": ("EpsilonRule", {"epsilon": 0.3}, "captum.epsilon", {"epsilon": 0.3}),
    "gamma": ("GammaRule", {}, "captum.gamma", {}),
    "gamma 0.5": ("GammaRule", {"gamma": 0.5}, "captum.gamma", {"gamma": 0.5}),
    "gamma, no bias": ("GammaRule", {"gamma": 0.5, "set_bias_to_zero": True}, "captum.gamma",
                       {"gamma": 0.5, "set_bias_to_zero": True}),
    "alpha1-beta0": ("Alpha1_Beta0_Rule", {}, "captum.alpha1_beta0", {}),
    "alpha1-beta0, no bias": ("Alpha1_Beta0_Rule", {"set_bias_to_zero": True},
                              "captum.alpha1_beta0", {"set_bias_to_zero": True})}


def captums(net, x, target, rule, parameters, shape):
    """captum's relevance of the inputs. It deletes the rules in every call."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    torch_reference = pytest.importorskip("torch_reference", exc_type=ImportError)
    attr = pytest.importorskip("captum.attr", exc_type=ImportError)
    rules = pytest.importorskip("captum.attr._utils.lrp_rules", exc_type=ImportError)
    model = torch_reference.as_module(net).eval()
    for module in model:
        if hasattr(module, "weight"):
            module.rule = getattr(rules, rule)(**parameters)
        elif not isinstance(module, (torch.nn.ReLU, torch.nn.Tanh)):
            module.rule = rules.EpsilonRule(1e-300)     # pooling adds nothing to z here
    x = torch.tensor(x.reshape(-1, *shape), requires_grad=True)
    return attr.LRP(model).attribute(x, target=torch.tensor(target)).detach().numpy()


@pytest.mark.parametrize("name", CAPTUM)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("of", ["dense", "tanh", "max", "mean"])
@pytest.mark.filterwarnings("ignore")
def test_captums_rules(random_case, name, seed, of):
    theirs, their_parameters, dialect, parameters = CAPTUM[name]
    if of in ("dense", "tanh"):
        net, x = random_case([9, 8, 7, 4], "relu" if of == "dense" else "tanh", seed)
        shape = (9,)
    else:
        net, x = network(seed, "relu", lrp.MaxPool2D(2) if of == "max" else lrp.AvgPool2D(2))
        shape = (2, 9, 8)
    target = net.predict(x)
    relevance = captums(net, x, target, theirs, their_parameters, shape).reshape(len(x), -1)
    for engine in ENGINES:
        e = lrp.explain(net, x, dialect, target, engine=engine, **parameters)
        assert_close(e.input, relevance, engine)


@pytest.mark.filterwarnings("ignore")
def test_the_dialect_makes_a_difference(random_case):
    """The rules of the same name are not captum's."""
    net, x = random_case([9, 8, 7, 4], "relu", 0)
    for name, rule in (("gamma 0.5", ("gamma", {"gamma": 0.5})), ("alpha1-beta0", "z_plus")):
        theirs, parameters, _, _ = CAPTUM[name]
        e = lrp.explain(net, x, rule)
        relevance = captums(net, x, e.target, theirs, parameters, (9,))
        assert np.abs(e.input - relevance).max() > 0.01 * np.abs(relevance).max()


@pytest.mark.parametrize("pool", [lrp.MaxPool2D(2), lrp.AvgPool2D(2)], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_epsilon_gamma_box_is_zennits(zennit, random_case, pool, activation, seed):
    """Of a CNN; and of Dense layers alone, where it is epsilon."""
    import torch
    from zennit.composites import EpsilonGammaBox
    import torch_reference
    cnn, mlp = network(seed, activation, pool), random_case([9, 8, 4], activation, seed)
    for (net, x), shape in ((cnn, (2, 9, 8)), (mlp, (9,))):
        target = net.predict(x)
        inputs = torch.tensor(x.reshape(-1, *shape), requires_grad=True)
        box = EpsilonGammaBox(low=torch.zeros_like(inputs), high=torch.ones_like(inputs),
                              epsilon=0.3, gamma=0.6, stabilizer=1e-300)
        with box.context(torch_reference.as_module(net)) as model:
            logits = model(inputs)
            start = logits.detach() * torch.nn.functional.one_hot(torch.tensor(target),
                                                                  logits.shape[1])
            relevance, = torch.autograd.grad(logits, inputs, start)
        parameters = {"epsilon": 0.3, **({"gamma": 0.6} if net is cnn[0] else {})}
        for engine in ENGINES:
            assert_close(lrp.explain(net, x, "epsilon_gamma_box", target, engine=engine,
                                     **parameters).input,
                         relevance.numpy().reshape(len(x), -1), engine)


# The LRP toolbox

def toolbox_by_loops(a, W, b, R, alpha):
    """Its alpha-beta: each contribution by itself, and alpha + beta = 1; where nothing is positive
    (or negative), it divides 0 by 0, and here that part is dropped."""
    beta, inputs, bias, dropped = 1 - alpha, np.zeros(a.shape), np.zeros(len(a)), np.zeros(len(a))
    for n, k in np.ndindex(R.shape):
        parts = [a[n, j] * W[j, k] for j in range(len(W))]
        for share, one_sign in ((alpha, max), (beta, min)):
            own, of_bias = [one_sign(part, 0.0) for part in parts], one_sign(b[k], 0.0)
            total = sum(own) + of_bias
            if total == 0:
                dropped[n] += share * R[n, k]
                continue
            for j, part in enumerate(own):
                inputs[n, j] += part / total * share * R[n, k]
            bias[n] += of_bias / total * share * R[n, k]
    return inputs, bias, dropped


@pytest.mark.parametrize("shape", DENSE, ids=str)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("alpha", [None, 2.0, 1.0, 0.5, 0.0])
def test_the_toolboxs_alpha_beta(shape, seed, engine, alpha):
    layer, a, R = dense_case(shape, seed)
    ours, row = by_engine(DIALECTS["toolbox.alpha_beta"], layer, a, R, engine,
                          **({} if alpha is None else {"alpha": alpha}))
    inputs, bias, dropped = toolbox_by_loops(a, layer.W, layer.b, R,
                                             2.0 if alpha is None else alpha)
    assert_close(ours, inputs)
    scale = 1 + np.abs(inputs).max()
    np.testing.assert_allclose(row.bias, bias, rtol=1e-10, atol=1e-11 * scale)
    np.testing.assert_allclose(row.dropped, dropped, rtol=1e-10, atol=1e-11 * scale)


def test_the_toolboxs_beta_has_the_other_sign():
    """alpha = 2 and beta = -1 there are alpha = 2 and beta = 1 here."""
    layer, a, R = dense_case((5, 8, 7), 0)
    arguments = a, layer.W, layer.b, R
    for alpha in (1.0, 1.5, 2.0):
        assert_close(DIALECTS["toolbox.alpha_beta"](*arguments, alpha=alpha),
                     lrp_alpha_beta(*arguments, alpha=alpha, beta=alpha - 1))
    # below 1, the negative contributions count for the output: here there is no such rule
    assert DIALECTS["toolbox.alpha_beta"](*arguments, alpha=0.5).shape == a.shape
    with pytest.raises(ValueError, match="alpha must be a finite number of at least 0, got -1"):
        DIALECTS["toolbox.alpha_beta"](*arguments, alpha=-1)


# The tutorial of Montavon et al.

def tutorials_steps(z_of, a, R, epsilon):
    """Its steps, as they stand in its second part: one example, and torch's gradient."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    relevance = []
    for one, R_one in zip(a, R):
        one = torch.tensor(one[None], requires_grad=True)
        z = z_of(one)
        z = z + 1e-9 + epsilon * ((z**2).mean()**.5).data       # step 1
        s = (torch.tensor(R_one[None]) / z).data                # step 2
        (z * s).sum().backward()                                # step 3
        relevance.append((one * one.grad).detach().numpy()[0])  # step 4
    return np.array(relevance)


@on_every_layer
@pytest.mark.parametrize("epsilon", [None, 0.1, 0.0])
def test_the_tutorials_epsilon(kind, shape, seed, epsilon):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    layer, a, R = any_case(kind, shape, seed)
    relevance = tutorials_steps(as_module(torch, layer), a, R, 0.25 if epsilon is None else epsilon)
    for engine in ENGINES:
        ours, _ = by_engine(DIALECTS["tutorial.epsilon"], layer, a, R, engine,
                            **({} if epsilon is None else {"epsilon": epsilon}))
        assert_close(ours, relevance, engine)


@pytest.mark.parametrize("shape", DENSE, ids=str)
def test_the_tutorials_first_part(shape):
    """On one digit: z + 0.1 sqrt(mean z^2) + 1e-9, s = R / z, c = s W.T, R = A c."""
    layer, A, R = dense_case(shape, 0)
    A, R = A[:1], R[:1]
    z = A.dot(layer.W) + layer.b
    z = z + 0.1 * (z**2).mean()**.5 + 1e-9
    s = R / z
    c = s.dot(layer.W.T)
    assert_close(DIALECTS["tutorial.epsilon"](A, layer.W, layer.b, R, epsilon=0.1), A * c)


def test_the_tutorials_epsilon_has_no_sign():
    """z = -2: with the sign of z the denominator is -3, without it -1; at epsilon = 1 it is 0, but
    for 1e-9."""
    a, W, b, R = np.array([[2.]]), np.array([[-1.]]), np.zeros(1), np.array([[6.]])
    epsilon = DIALECTS["tutorial.epsilon"]
    assert lrp_epsilon(a, W, b, R, epsilon=0.5, relative=True).tolist() == [[4]]
    for engine in ENGINES:
        ours, row = by_engine(epsilon, Dense(W, b, "relu"), a, R, engine, epsilon=0.5)
        np.testing.assert_allclose(ours, [[12]], rtol=1e-8)
        np.testing.assert_allclose(np.array(row).ravel(), [6, 12, 0, -6, 0], rtol=1e-8, atol=1e-12)
        pole, row = by_engine(epsilon, Dense(W, b, "relu"), a, R, engine, epsilon=1.0)
        assert np.abs(pole).max() > 1e9 and np.abs(row.epsilon).max() > 1e9
    # z = -2 for R = 4: 4 / (-2 + 1) for each unit of z, where LRP-epsilon has 4 / (-2 - 1)
    a, W, b, R = np.array([[1., 3.]]), np.array([[1.], [-1.]]), np.zeros(1), np.array([[4.]])
    np.testing.assert_allclose(epsilon(a, W, b, R, epsilon=0.5), [[-4, 12]], rtol=1e-8)


# All of them

PARAMETERS = {"zennit.z_box": {"low": -4.0, "high": 5.0}}


def test_names_and_parameters():
    assert {name: parameters_of(name) for name in DIALECTS} == {
        "zennit.epsilon": ["epsilon"], "zennit.gamma": ["gamma", "stabilizer"],
        "zennit.alpha_beta": ["alpha", "beta", "stabilizer"], "zennit.z_plus": ["stabilizer"],
        "zennit.w_square": ["stabilizer"], "zennit.flat": ["stabilizer"],
        "zennit.z_box": ["low", "high", "stabilizer"], "captum.epsilon": ["epsilon"],
        "captum.gamma": ["gamma", "set_bias_to_zero", "stabilizer"],
        "captum.alpha1_beta0": ["set_bias_to_zero", "stabilizer"], "toolbox.alpha_beta": ["alpha"],
        "tutorial.epsilon": ["epsilon"]}
    assert all(function.__name__ == name.replace(".", "_") for name, function in DIALECTS.items())
    assert not set(DIALECTS) & set(RULES)


@on_every_layer
@pytest.mark.parametrize("name", DIALECTS)
def test_both_engines_and_the_ledger(kind, shape, seed, name):
    layer, a, R = any_case(kind, shape, seed)
    parameters, before = PARAMETERS.get(name, {}), [one.copy() for one in (a, layer.W, layer.b, R)]
    equation, ledger = by_engine(DIALECTS[name], layer, a, R, "numpy", **parameters)
    ours, row = by_engine(DIALECTS[name], layer, a, R, "numba", **parameters)
    assert_close(ours, equation)
    scale = max(1, np.abs(equation).max(), np.abs(np.array(ledger)).max())
    for one, R_inputs in ((ledger, equation), (row, ours)):
        np.testing.assert_allclose(np.array(one), np.array(ledger), rtol=1e-10, atol=1e-10 * scale)
        np.testing.assert_allclose(one.received, R.reshape(len(R), -1).sum(axis=1), rtol=1e-10,
                                   atol=1e-11 * scale)
        np.testing.assert_allclose(one.inputs, R_inputs.reshape(len(R), -1).sum(axis=1), rtol=1e-10,
                                   atol=1e-11 * scale)
        np.testing.assert_allclose(one.received, sum(one[1:]), rtol=1e-10, atol=1e-11 * scale)
    assert all((one == other).all() for one, other in zip((a, layer.W, layer.b, R), before))
    plain = [] if isinstance(layer, Dense) else [layer]     # as a user calls it
    rows = []
    called = DIALECTS[name](a, layer.W, layer.b, R, ledger=rows, **parameters,
                            **({"layer": layer} if plain else {}))
    np.testing.assert_array_equal(called, equation)
    np.testing.assert_array_equal(np.array(added_up(rows)), np.array(ledger))


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("of", ["dense", "wide", "images"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_whole_networks_by_both_engines(random_case, name, of, activation):
    """By name and as a function; with tanh, so that relevance comes to negative z as well."""
    net, x = network(0, activation) if of == "images" else random_case(
        [9, 8, 4] if of == "dense" else [9, 40, 4], activation, 0)
    parameters = PARAMETERS.get(name, {})
    ours, equation = (lrp.explain(net, x, name, engine=engine, **parameters)
                      for engine in ("numba", "numpy"))
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    for number, (one, other) in enumerate(zip(ours.ledger, equation.ledger)):
        scale = np.abs(np.array(other)).max()
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-8, atol=1e-10 * scale)
        np.testing.assert_allclose(one.received, sum(one[1:]), rtol=1e-9, atol=1e-11 * scale)
        for part, R in ((one.received, ours.relevance[number + 1]),
                        (one.inputs, ours.relevance[number])):
            np.testing.assert_allclose(part, R.reshape(len(x), -1).sum(axis=1), rtol=1e-9,
                                       atol=1e-11 * scale)
    function = lrp.explain(net, x, DIALECTS[name], engine="numpy", **parameters)
    np.testing.assert_array_equal(function.input, equation.input)


@pytest.mark.parametrize("name", [*RULES, *DIALECTS])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore:gamma is made")
def test_biases_of_0(name, engine):
    """Nothing goes to them, and nothing is divided by them."""
    for layer, a, R in (dense_case((5, 8, 7), 0), dense_case((5, 8, 40), 0), case(SHAPES[2], 0)):
        layer.b[...] = 0
        ours, row = by_engine({**RULES, **DIALECTS}[name], layer, a, R, engine,
                              **PARAMETERS.get(name, {}))
        assert np.isfinite(ours).all() and (row.bias == 0).all()
        np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-9,
                                   atol=1e-10 * np.abs(ours).max())


def one_neuron():
    """a = [1, 2], w = [3, -1], b = 1: z = 2; R = 4."""
    return np.array([[1., 2.]]), np.array([[3.], [-1.]]), np.array([1.]), np.array([[4.]])


@pytest.mark.parametrize("name, parameters, inputs, of_bias, of_epsilon", [
    ("captum.epsilon", {"epsilon": 1.0}, [4, -8 / 3], 4 / 3, 4 / 3),                # 2 + 1
    ("captum.gamma", {"gamma": 1.0, "stabilizer": 0}, [4.8, -1.6], 0.8, 0),  # 6 - 2 + 1 = 5
    ("captum.gamma", {"gamma": 1.0, "stabilizer": 1}, [4, -4 / 3], 2 / 3, 2 / 3),      # and 1
    ("captum.gamma", {"gamma": 1.0, "set_bias_to_zero": True, "stabilizer": 0}, [6, -2], 0, 0),
    ("captum.alpha1_beta0", {"stabilizer": 0}, [3, 0], 1, 0),                          # 3 + 1
    ("captum.alpha1_beta0", {"set_bias_to_zero": True, "stabilizer": 0}, [4, 0], 0, 0),
    ("zennit.epsilon", {"epsilon": 2.0}, [3, -2], 1, 2),                            # 2 + 2
    ("zennit.gamma", {"gamma": 1.0, "stabilizer": 2.0}, [3, -1], 1, 1),  # 6 - 2 + 2 + 2
    ("zennit.alpha_beta", {"stabilizer": 0}, [6, -4], 2, 0),       # 2 of 3 and 1; -1 of -2 alone
    ("zennit.z_plus", {"stabilizer": 4}, [1.5, 0], 0.5, 2),                            # 3 + 1 + 4
    ("zennit.w_square", {"stabilizer": 0}, [36 / 11, 4 / 11], 4 / 11, 0),              # 9 + 1 + 1
    ("zennit.flat", {"stabilizer": 2}, [1, 1], 0, 2),                                  # 1 + 1 + 2
    ("zennit.z_box", {"low": 0, "high": 2, "stabilizer": 1}, [3, 0], 0, 1),            # 3 + 0 + 1
    ("toolbox.alpha_beta", {"alpha": 0.5}, [1.5, 2], 0.5, 0)])  # half of each
def test_by_hand(name, parameters, inputs, of_bias, of_epsilon):
    ledger = []
    ours = DIALECTS[name](*one_neuron(), ledger=ledger, **parameters)
    np.testing.assert_allclose(ours, [inputs], rtol=1e-14, atol=1e-15)
    row = added_up(ledger)
    assert row.bias[0] == pytest.approx(of_bias) and row.epsilon[0] == pytest.approx(of_epsilon)


def test_signs_of_weights_or_of_contributions():
    """a = -1 with w = -2 contributes +2: for z-plus contributions count, for captum weights."""
    a, W, b, R = np.array([[-1., 1.]]), np.array([[-2.], [2.]]), np.zeros(1), np.array([[4.]])
    assert RULES["z_plus"](a, W, b, R).tolist() == [[2, 2]]
    assert DIALECTS["zennit.z_plus"](a, W, b, R, stabilizer=0).tolist() == [[2, 2]]
    assert DIALECTS["captum.alpha1_beta0"](a, W, b, R, stabilizer=0).tolist() == [[0, 4]]


def test_gamma_of_negative_activations_is_captums_own():
    """captum does not look at the sign of a; the rule does what captum does, and warns."""
    layer, a, R = dense_case((5, 8, 7), 0)
    arguments = a, layer.W, 0 * layer.b, R
    with pytest.warns(UserWarning, match="'gamma_generalized'"):
        rule = lrp_gamma(*arguments)
    assert_close(DIALECTS["captum.gamma"](*arguments, stabilizer=0), rule)


@pytest.mark.parametrize("name, parameter", [
    (name, parameter) for name in DIALECTS for parameter in parameters_of(name)
    if parameter in ("epsilon", "gamma", "alpha")])
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, "a", None])
def test_parameters_refused(name, parameter, value):
    layer, a, R = dense_case((5, 8, 7), 0)
    with pytest.raises(ValueError, match=f"{parameter} must be a finite number of at least 0, got"):
        DIALECTS[name](a, layer.W, layer.b, R, **{parameter: value})


def test_other_parameters_refused():
    layer, a, R = dense_case((5, 8, 7), 0)
    for low, high in ((1, 1), (0, np.inf), ("a", 1)):
        with pytest.raises(ValueError, match="low and high must be finite with low < high"):
            DIALECTS["zennit.z_box"](a, layer.W, layer.b, R, low=low, high=high)
    with pytest.raises(ValueError, match="alpha - beta must be 1, got alpha=2, beta=0"):
        DIALECTS["zennit.alpha_beta"](a, layer.W, layer.b, R, beta=0)


@pytest.mark.parametrize("kind", [Dense, Conv2D])
def test_types_are_kept(kind):
    layer, a, R = dense_case((5, 8, 7), 0) if kind is Dense else case(SHAPES[2], 0)
    for name in DIALECTS:
        for engine in ENGINES:
            narrow = kind(layer.W.astype(np.float32), layer.b.astype(np.float32), "relu",
                          *([] if kind is Dense else [layer.stride, layer.padding]))
            ours, _ = by_engine(DIALECTS[name], narrow, a.astype(np.float32), R.astype(np.float32),
                                engine, **PARAMETERS.get(name, {}))
            assert ours.dtype == np.float32, (name, engine)


@pytest.mark.long
def test_the_example_in_pytorch_agrees_with_captum_and_zennit(zennit, capsys):
    pytest.importorskip("captum", exc_type=ImportError)
    example = Path(__file__).parent.parent / "lessons" / "examples" / "lrp_in_pytorch.py"
    runpy.run_path(str(example), run_name="__main__")
    printed = capsys.readouterr().out
    assert "captum: largest difference" in printed and "zennit: largest difference" in printed
