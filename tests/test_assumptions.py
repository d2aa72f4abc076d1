"""Warnings where a rule's assumptions do not hold, and none where they do."""
import warnings

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES
from lrp_numpy.rules import RULES

GAMMA, Z_BOX = "gamma is made for", "z_box is made for"


def warned(call):
    """The messages, and the files that they point to."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught], {one.filename for one in caught}


def one_layer(z, engine=None):
    """A network with two logits, z and 1, for the input 1."""
    return lrp.MLP.from_arrays([np.array([[1.0, 1.0]])], [np.array([z - 1, 0.0])], "relu")


@pytest.mark.parametrize("engine", ENGINES)
def test_gamma_where_a_logit_is_negative(engine):
    """With z = 0.5 - 0.6, gamma = 0.2 makes 0.6 - 0.6 of it: relevance is beyond all bounds."""
    net, x = lrp.MLP.from_arrays([np.array([[0.5, 1.0], [-0.6, 1.0]])], [np.zeros(2)],
                                 "relu"), np.ones((1, 2))
    found, files = warned(lambda: lrp.explain(net, x, "gamma", 0, gamma=0.2 - 1e-9,
                                              engine=engine))
    assert files == {__file__} and len(found) == 1
    assert found[0].startswith(GAMMA) and "'gamma_generalized'" in found[0]
    assert np.abs(lrp.explain(net, x, "gamma", 0, gamma=0.2 - 1e-9).input).max() > 1e6
    assert np.abs(lrp.explain(net, x, "gamma_generalized", 0, gamma=0.2).input).max() < 1
    for target, rule, parameters in ((1, "gamma", {}), (0, "gamma", {"gamma": 0.0}),
                                     (0, "gamma_generalized", {}), (0, "epsilon", {})):
        assert warned(lambda: lrp.explain(net, x, rule, target, engine=engine,
                                          **parameters)) == ([], set())


@pytest.mark.parametrize("engine", ENGINES)
def test_gamma_in_a_relu_network(random_case, engine):
    """A negative z of a hidden neuron has no relevance there, and is no reason to warn."""
    net, x = random_case([9, 8, 4], "relu", 0)
    logits = net.forward(x)
    is_up = logits.max(axis=1) > 0
    assert is_up.any()
    assert warned(lambda: lrp.explain(net, x[is_up], "gamma", engine=engine))[0] == []
    down = logits.argmin(axis=1)
    assert (logits.min(axis=1) < 0).any()
    assert warned(lambda: lrp.explain(net, x, "gamma", down, engine=engine))[0]


def test_called_alone_the_warning_points_to_the_caller():
    a, W, b, R = np.ones((1, 1)), -np.ones((1, 1)), np.zeros(1), np.ones((1, 1))
    found, files = warned(lambda: RULES["gamma"](a, W, b, R))
    assert len(found) == 1 and found[0].startswith(GAMMA) and files == {__file__}
    assert warned(lambda: RULES["gamma"](a, W, b, 0 * R))[0] == []
    found, files = warned(lambda: RULES["gamma"](-a, -W, b, R))
    assert len(found) == 1 and "activations" in found[0] and files == {__file__}
    found, files = warned(lambda: RULES["z_box"](3 * a, W, b, R))
    assert len(found) == 1 and "from 3 to 3" in found[0] and files == {__file__}


@pytest.mark.parametrize("engine", ENGINES)
def test_z_box_outside_its_box(random_case, engine):
    net, x = random_case([9, 8, 4], "relu", 0)
    x = np.abs(x) / np.abs(x).max()
    low, high = x.min(axis=0) - 0.1, x.max(axis=0) + 0.1
    for box in ({}, {"low": low, "high": high}, {"low": -1, "high": 2}):
        assert warned(lambda: lrp.explain(net, x, ["z_box", "epsilon"], engine=engine,
                                          **box))[0] == []
    for box in ({"high": 0.9}, {"low": 0.05}, {"low": low, "high": high - 0.2}):
        found, _ = warned(lambda: lrp.explain(net, x, ["z_box", "epsilon"], engine=engine, **box))
        assert found and all(one.startswith(Z_BOX) for one in found), box


def test_bytes_that_are_only_0_and_1(random_case):
    """They would be taken as nearly black: 1/255."""
    net, _ = random_case([9, 8, 4], "relu", 0)
    bits = np.eye(9, dtype=np.uint8)
    for use in (lrp.explain, lambda *arguments: list(lrp.explain_batches(*arguments))):
        found, _ = warned(lambda: use(net, bits))
        assert len(found) == 1 and "divided by 255" in found[0]
    for x in (255 * bits, 2 * bits, 0 * bits, bits[:0], bits.astype(np.float32)):
        assert warned(lambda: lrp.explain(net, x))[0] == []
    assert warned(lambda: lrp.explain(net, bits))[1] == {__file__}
