"""`explain(layer=, target=)`: why a hidden neuron is active."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES
from test_layers import network


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(3))
def test_a_hidden_neuron_by_hand(random_case, engine, seed):
    """Of the first layer: R_j = a_j w_j7 / z_7 times its activation; of the second by two steps."""
    net, x = random_case([9, 8, 7, 4], "relu", seed)
    (W1, b1), (W2, b2) = [(layer.W, layer.b) for layer in net.layers[:2]]
    z1 = x @ W1 + b1
    a1 = np.maximum(z1, 0)
    e = lrp.explain(net, x, layer=0, target=7, engine=engine)
    expected = np.where(z1[:, 7:] > 0, x * W1[:, 7], 0)
    np.testing.assert_allclose(e.input, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(e.target, 7)
    np.testing.assert_allclose(e.logits, a1, rtol=1e-12, atol=1e-14)
    z2 = a1 @ W2[:, 3] + b2[3]
    R1 = np.where(z2[:, None] > 0, a1 * W2[:, 3], 0)
    s = np.divide(R1, z1, where=z1 != 0, out=np.zeros_like(z1))
    e = lrp.explain(net, x, layer=1, target=3, engine=engine)
    np.testing.assert_allclose(e.relevance[1], R1, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(e.input, x * (s @ W1.T), rtol=1e-10, atol=1e-12)
    assert len(e.relevance) == 3 and len(e.ledger) == 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", ["0", "epsilon", "gamma_generalized"])
def test_a_pixel_of_a_channel_sees_its_patch_alone(engine, rule):
    """Channel 2, row 1, column 3 of a 3 x 3 convolution: only pixels under its kernel count, and
    the target is numbered as in a flattened image."""
    net, x = network(0, "tanh")
    shape = net.shapes[2]
    target = np.ravel_multi_index((2, 1, 3), shape)
    e = lrp.explain(net, x, rule, layer=1, target=target, engine=engine)
    R = e.input.reshape(-1, 2, 9, 8)
    np.testing.assert_allclose(e.relevance[-1][:, target],
                               net.activations(x)[2][:, 2, 1, 3], rtol=1e-12)
    outside = np.ones((9, 8), bool)
    outside[1:4, 3:6] = False
    assert (R[:, :, outside] == 0).all() and (R != 0).any()
    lost = sum(e.unassigned(0).values())
    np.testing.assert_allclose(R[0].sum() + lost, e.logits[0, target], rtol=1e-9)


def test_the_last_layer_is_the_logits(random_case):
    net, x = random_case([9, 8, 4], "relu", 0)
    for layer in (1, np.int64(1)):
        np.testing.assert_array_equal(lrp.explain(net, x, layer=layer, target=2).input,
                                      lrp.explain(net, x, target=2).input)
    assert [part.input.tolist() for part in lrp.explain_batches(net, x, layer=0, target=2,
                                                                batch_size=4)] == [
        lrp.explain(net, part, layer=0, target=2).input.tolist() for part in (x[:4], x[4:])]


def test_the_network_up_to_a_layer():
    net, x = network(1)
    for number in range(len(net.layers)):
        part = net.up_to(number)
        expected = net.activations(x)[number + 1]
        np.testing.assert_array_equal(part.forward(x), expected.reshape(len(x), -1))
        assert part.sizes[-1] == net.sizes[number + 1]


@pytest.mark.parametrize("layer", [-1, 2, 1.0, "0", True])
def test_refused(random_case, layer):
    net, x = random_case([9, 8, 4], "relu", 0)
    for use in (lrp.explain, lrp.explain_batches):
        with pytest.raises(ValueError, match="^number of the layer must be .*, got"):
            use(net, x, layer=layer)
    with pytest.raises(ValueError, match="^target must"):
        lrp.explain(net, x, layer=0, target=8)
