"""What captum means by its rules, said in ours. Skipped without captum (the extra "bench")."""
import numpy as np
import pytest

import lrp_numpy as lrp
from test_layers import network

torch = pytest.importorskip("torch", exc_type=ImportError)
torch_reference = pytest.importorskip("torch_reference", exc_type=ImportError)
attr = pytest.importorskip("captum.attr", exc_type=ImportError)
lrp_rules = pytest.importorskip("captum.attr._utils.lrp_rules", exc_type=ImportError)

# captum's rules all add 1e-9 to z, which it magnifies where z is nearly 0: so here it is less,
# except in the rules that are named epsilon
NOTHING = 1e-300
# captum's rule, and the same in ours
SAME = {
    "epsilon": (lambda: lrp_rules.EpsilonRule(), "epsilon", {"epsilon": 1e-9}),
    "epsilon 0.3": (lambda: lrp_rules.EpsilonRule(0.3), "epsilon", {"epsilon": 0.3}),
    "gamma": (lambda: lrp_rules.GammaRule(0.5), "gamma", {"gamma": 0.5, "bias": "unmodified"}),
    "gamma, no bias": (lambda: lrp_rules.GammaRule(0.5, set_bias_to_zero=True), "gamma",
                       {"gamma": 0.5, "bias": "none"}),
    "alpha1-beta0": (lambda: lrp_rules.Alpha1_Beta0_Rule(), "z_plus",
                     {"bias": "unmodified", "signs": "weights"}),
    "alpha1-beta0, no bias": (lambda: lrp_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True), "z_plus",
                              {"bias": "none", "signs": "weights"})}


def captums(net, x, target, make_rule, shape):
    """captum's relevance of the inputs. It deletes the rules in every call."""
    model = torch_reference.as_module(net).eval()
    for module in model:
        if hasattr(module, "weight"):
            module.rule = make_rule()
            if not isinstance(module.rule, lrp_rules.EpsilonRule):
                module.rule.STABILITY_FACTOR = NOTHING
        elif not isinstance(module, (torch.nn.ReLU, torch.nn.Tanh)):
            module.rule = lrp_rules.EpsilonRule(NOTHING)
    x = torch.tensor(x.reshape(-1, *shape), requires_grad=True)
    return attr.LRP(model).attribute(x, target=torch.tensor(target)).detach().numpy()


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("of", ["dense", "tanh", "max", "mean"])
@pytest.mark.filterwarnings("ignore")
def test_captums_rules(random_case, name, seed, of):
    make_rule, rule, parameters = SAME[name]
    if of in ("dense", "tanh"):
        net, x = random_case([9, 8, 7, 4], "relu" if of == "dense" else "tanh", seed)
        shape = (9,)
    else:
        net, x = network(seed, "relu", lrp.MaxPool2D(2) if of == "max" else lrp.AvgPool2D(2))
        shape = (2, 9, 8)
    e = lrp.explain(net, x, rule, **parameters)
    theirs = captums(net, x, e.target, make_rule, shape).reshape(len(x), -1)
    np.testing.assert_allclose(e.input, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.filterwarnings("ignore")
def test_the_words_make_a_difference(random_case):
    """Without them, ours is not captum's."""
    net, x = random_case([9, 8, 7, 4], "relu", 0)
    for name in ("gamma", "alpha1-beta0"):
        make_rule, rule, parameters = SAME[name]
        plain = {key: parameters[key] for key in parameters if key == "gamma"}
        e = lrp.explain(net, x, rule, **plain)
        theirs = captums(net, x, e.target, make_rule, (9,))
        assert np.abs(e.input - theirs).max() > 0.01 * np.abs(theirs).max()
