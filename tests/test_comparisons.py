"""Heatmaps to compare, against one image after another, and one start for both classes."""
import numpy as np
import pytest

from lrp_numpy.evaluation import comparisons
from lrp_numpy.explanation import explain
from lrp_numpy.rules import RULES, lrp_epsilon


@pytest.mark.parametrize("rule, parameters", [("0", {}), ("epsilon", {"epsilon": 0.1})])
def test_mean_relevances(random_case, rule, parameters):
    net, x = random_case([9, 6, 4], "relu", 1, N=20)
    labels = np.arange(20) % 3      # no image of class 3
    means = comparisons.mean_relevances(net, x, labels, rule, **parameters)
    assert means.shape == (4, 4, 9) and np.isnan(means[3]).all()
    for t in range(3):
        for k in range(4):
            one_by_one = [explain(net, x[n:n + 1], rule, k, **parameters).input[0]
                          for n in range(20) if labels[n] == t]
            np.testing.assert_allclose(means[t, k], sum(one_by_one) / len(one_by_one), rtol=1e-10)


def test_explain_top_two(random_case):
    """The third heatmap is that of a neuron with the difference of both classes' weights."""
    net, x = random_case([9, 6, 4], "relu", 2, N=10)
    (first, second), lower = net.layers, net.activations(x)
    pair, (one, other, why_not) = comparisons.explain_top_two(net, x, "epsilon", epsilon=0.1)
    logits = lower[-1]
    for n in range(10):
        best, next_best = sorted(range(4), key=lambda k: -logits[n, k])[:2]
        assert pair[n].tolist() == [best, next_best]
        W, b = (array[..., [best]] - array[..., [next_best]] for array in (second.W, second.b))
        R = lrp_epsilon(lower[1][n:n + 1], W, b, logits[n:n + 1, [best]] - logits[n, next_best],
                        epsilon=0.1)
        R = lrp_epsilon(x[n:n + 1], first.W, first.b, R, epsilon=0.1)
        np.testing.assert_allclose(why_not[n:n + 1], R, rtol=1e-9, atol=1e-12)
    for target, R in ((pair[:, 0], one), (pair[:, 1], other)):
        np.testing.assert_array_equal(R, explain(net, x, "epsilon", target, epsilon=0.1).input)


def test_a_single_output_has_no_second(random_case):
    net, x = random_case([5, 4, 1], "relu", 0)
    with pytest.raises(ValueError, match="net must have at least 2 outputs, got 1"):
        comparisons.explain_top_two(net, x)


def test_every_rule(random_case):
    """Rules for pixels take the first layer only; parameters reach the rules that have them."""
    net, x = random_case([9, 6, 5, 4], "relu", 3)
    found = comparisons.every_rule(net, x, epsilon=0.5, gamma=2.0)
    assert list(found) == list(RULES)
    np.testing.assert_array_equal(found["gamma"], explain(net, x, "gamma", gamma=2.0).input)
    np.testing.assert_array_equal(found["z_plus"], explain(net, x, "z_plus").input)
    np.testing.assert_array_equal(
        found["z_box"], explain(net, x, ["z_box", "epsilon", "epsilon"], epsilon=0.5).input)


def test_every_rule_of_a_network_of_one_layer(random_case):
    net, x = random_case([9, 4], "relu", 0)
    found = comparisons.every_rule(net, x, epsilon=0.5)
    for name, R in found.items():
        parameters = {"epsilon": {"epsilon": 0.5}}.get(name, {})
        np.testing.assert_array_equal(R, explain(net, x, name, **parameters).input)
