"""Why this and not that: the relevance of a difference of two logits."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import SHAPES


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [sizes for sizes in SHAPES if sizes[-1] > 1])
def test_the_output_is_the_difference(random_case, sizes, seed):
    net, x = random_case(sizes, "relu", seed)
    logits, K = net.forward(x), sizes[-1]
    for this, other in ((0, 1), (K - 1, 0)):
        two = lrp.contrast(net, this, other)
        np.testing.assert_allclose(two.forward(x)[:, 0], logits[:, this] - logits[:, other],
                                   rtol=1e-12, atol=1e-12)
        assert two.predict(x).tolist() == np.where(logits[:, this] > logits[:, other], this,
                                                   other).tolist()
        R_this, R_other = (lrp.explain(net, x, "0", target=k).input for k in (this, other))
        np.testing.assert_allclose(lrp.explain(two, x, "0").input, R_this - R_other, rtol=1e-8,
                                   atol=1e-8 * np.abs(R_this).max())
    assert net.forward(x).tolist() == logits.tolist()


def test_gamma_weighs_the_difference_by_its_own_sign():
    """By hand: a = (1, 1), w_4 = (3, 1), w_9 = (1, 2): z_4 - z_9 = 2 - 1 = 1. With gamma = 1 the
    positive 2 counts twice: 4 / (4 - 1) and -1 / (4 - 1). Both heatmaps alone are LRP-0's, for
    their weights are positive: (3, 1) - (1, 2)."""
    net = lrp.MLP.from_arrays([np.array([[3.0, 1.0], [1.0, 2.0]])], [np.zeros(2)],
                              "identity")
    x = np.ones((1, 2))
    np.testing.assert_allclose(lrp.explain(lrp.contrast(net, 0, 1), x, "gamma", gamma=1.0).input,
                               [[4 / 3, -1 / 3]])
    alone = [lrp.explain(net, x, "gamma", target=k, gamma=1.0).input for k in (0, 1)]
    np.testing.assert_allclose(alone[0] - alone[1], [[2, -1]])


def test_labels_and_other_layers():
    net = lrp.lenet(0)
    net.classes = list("abcdefghij")
    x = np.random.default_rng(0).random((3, 784), np.float32)
    two = lrp.contrast(net, "e", "j")
    logits = net.forward(x)
    np.testing.assert_allclose(two.forward(x)[:, 0], logits[:, 4] - logits[:, 9], atol=1e-5)
    assert set(two.predict(x)) <= {"e", "j"} and type(two) is lrp.Network
    assert type(lrp.contrast(lrp.MLP.random([3, 2]), 0, 1)) is lrp.MLP


@pytest.mark.parametrize("change, message", [
    ({"this": 2}, r"this .* got 2"), ({"other": -1}, "other .* got -1"),
    ({"other": 0}, "this and other must be two classes, got 0 twice"),
    ({"this": "a"}, "this"), ({"this": None}, "this"), ({"other": 0.5}, "other"),
    ({"net": lrp.KMeans(np.eye(3))}, "net must end in a Dense layer whose outputs .* got SoftMin")])
def test_refused(change, message):
    with pytest.raises(ValueError, match=message):
        lrp.contrast(**{"net": lrp.MLP.random([3, 2]), "this": 0, "other": 1, **change})
