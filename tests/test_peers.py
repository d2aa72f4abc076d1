"""Numbers that other projects' own tests assert, computed anew by ours.

Only the numbers are theirs: the inputs, weights and expected relevance of small cases, most of them
worked out by hand there, too.
"""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES
from lrp_numpy.layers import Dense, MaxPool2D
from lrp_numpy.rules import RULES

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def close(ours, theirs, rtol=1e-12):
    np.testing.assert_allclose(np.squeeze(ours), np.array(theirs, float), rtol=rtol, atol=1e-12)


# captum, tests/attr/test_lrp.py: 3-3-1, all weights 2 and then 3, no bias, the input (1, 2, 3)

def captums(first=2.0):
    """The network; `first` leads from the first input to the first hidden neuron."""
    W1, W2 = np.full((3, 3), 2.0), np.full((3, 1), 3.0)
    W1[0, 0] = first
    return lrp.MLP.from_arrays([W1, W2], [np.zeros(3), np.zeros(1)], "relu")


@pytest.mark.parametrize("first, rule, expected", [
    (2, "captum.epsilon", [18, 36, 54]), (2, "0", [18, 36, 54]),
    (-2, [("captum.gamma", {"gamma": 1.0}), "captum.gamma"], [28 / 3, 104 / 3, 52]),
    (-2, [("gamma", {"gamma": 1.0}), "gamma"], [28 / 3, 104 / 3, 52]),
    (-2, "captum.alpha1_beta0", [12, 33.6, 50.4]), (-2, "z_plus", [12, 33.6, 50.4])])
def test_captums_three_inputs(engine, first, rule, expected):
    x = np.array([[1.0, 2.0, 3.0]])
    e = lrp.explain(captums(first), x, rule, engine=engine)
    close(e.input, expected, rtol=1e-9)     # 1e-9 is in captum's denominators
    assert e.input.sum() == pytest.approx(e.logits[0, 0], rel=1e-9)


def test_captums_batch(engine):
    x = np.array([[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]])
    close(lrp.explain(captums(), x, "0", engine=engine).input, [[18, 36, 54], [54, 108, 162]])


def test_captums_tanh(engine):
    net = lrp.MLP.from_arrays([np.full((3, 3), 0.1), np.full((3, 1), 0.1)],
                              [np.zeros(3), np.zeros(1)], "tanh")
    e = lrp.explain(net, np.array([[1.0, 2.0, 3.0]]), "0", engine=engine)
    np.testing.assert_allclose(e.input[0], [0.0269, 0.0537, 0.0806], atol=5e-5)


def test_captums_largest_of_four_pixels(engine):
    net = lrp.Network([lrp.Unflatten((1, 2, 2)), MaxPool2D(2), lrp.Flatten()])
    e = lrp.explain(net, np.array([[1.0, 2.0, 5.0, 6.0]]), engine=engine)
    close(e.input, [0, 0, 0, 6])


# RelevancePropagation.jl, test/test_rules.jl: worked out by hand there. Its W is ours transposed.

def one_layer(rule, a, W, b, R, engine, **parameters):
    """R of the inputs of one layer, by `explain`, from relevance R of its outputs."""
    a, W, b, R = (np.array(array, float) for array in (a, W, b, R))
    net = lrp.Network([Dense(W.T.copy(), b, "identity")])
    return lrp.explain(net, a[None], rule, start=R[None], engine=engine, **parameters).input[0]


@pytest.mark.parametrize("rule, a, W, b, R, expected, parameters", [
    ("0", [1, 2], [[3, 4], [5, 6]], [7, 8], [1 / 3, 2 / 3], [17 / 90, 316 / 675], {}),
    ("alpha_beta", [1, 1], [[1, -1]], [-1], [-1], [-1, 0], {"alpha": 1, "beta": 0}),
    ("alpha_beta", [1, 1], [[1, -1]], [-1], [-1], [-2, 0.5], {"alpha": 2, "beta": 1}),
    ("z_plus", [1, 1], [[1, -1]], [-1], [-1], [-1, 0], {}),
    # z = (-7, 1): the first column is favoured downwards, the second upwards
    ("gamma_generalized", [-1, 1], [[1, -4], [2, 0]], [-2, 3], [-0.07, 1],
     [-0.07 * 1.25 / 8.75 - 2 / 1.75, -0.07 * 5 / 8.75], {"gamma": 0.25})])
def test_relevance_propagation_jl(engine, rule, a, W, b, R, expected, parameters):
    close(one_layer(rule, a, W, b, R, engine, **parameters), expected)
    if engine == "numpy":
        arrays = (np.array([a], float), np.array(W, float).T, np.array(b, float),
                  np.array([R], float))
        close(RULES[rule](*arrays, **parameters), expected)


def test_relevance_propagation_jl_s_pooling(engine):
    """Its arrays are column by column; squares overlap, and 10 is the largest of two."""
    a = np.array([[1, 2, 3], [10, 5, 6], [7, 8, 9]], float)
    net = lrp.Network([lrp.Unflatten((1, 3, 3)), MaxPool2D(2, stride=1), lrp.Flatten()])
    e = lrp.explain(net, a.reshape(1, 9), start=np.array([[1, 2, 3, 4]]) / 30, engine=engine)
    close(e.input.reshape(3, 3), np.array([[0, 0, 0], [4, 0, 2], [0, 0, 4]]) / 30)


# innvestigate, tests/tools/test_perturbate.py: squares of 2 x 2 pixels, the most relevant first

def test_innvestigates_perturbation_scores(engine):
    """Mean of the squared outputs after 0, 1, 2 and 3 of the four squares are set to 0, in the
    order of the mean absolute gradient."""
    x, W = np.arange(32.0).reshape(2, 16), np.arange(16.0)[:, None]
    net = lrp.MLP.from_arrays([W], [np.zeros(1)], "relu")
    close(net.forward(x, engine), [1240, 3160])
    squares = np.abs(W).reshape(2, 2, 2, 2).mean(axis=(1, 3))       # by row and column
    relevance = np.tile(squares.repeat(2, axis=0).repeat(2, axis=1).ravel(), (2, 1))
    scores = [float((net.forward(lrp.flip(x, relevance, "morf", count / 4), engine)**2).mean())
              for count in range(4)]
    assert scores == pytest.approx([5761600, 1654564, 182672, 21284], rel=1e-12)
