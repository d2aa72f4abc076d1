"""explain: a network by hand, targets, a rule for each layer, the ledger from logits to pixels."""
import re
import warnings

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, SHAPES, arrays_of, most_memory, terminal
from lrp_numpy import explanation, rules


def hand_network():
    """2-2-1: hidden a = [3, 1], logit = 4, LRP-0 gives the pixels 4 and -1 and the biases 1."""
    return lrp.MLP.from_arrays([np.array([[2., 1.], [1., -1.]]), np.array([[1.], [2.]])],
                               [np.array([0., 1.]), np.array([-1.])], "relu")


@pytest.mark.usefixtures("each_engine")
def test_a_2_2_1_network_by_hand():
    x = np.array([[1., 1.]])
    e = lrp.explain(hand_network(), x, "0")
    # z = [2 + 1 + 0, 1 - 1 + 1] = [3, 1]; logit = 3 * 1 + 1 * 2 - 1 = 4
    assert e.logits.tolist() == [[4]] and e.relevance[2].tolist() == [[4]]
    # s = 4 / 4 = 1: hidden [3, 2], bias -1
    assert e.relevance[1].tolist() == [[3, 2]]
    # s = [3 / 3, 2 / 1] = [1, 2]: pixels [2 + 2, 1 - 2] = [4, -1], bias 0 * 1 + 1 * 2 = 2
    assert e.relevance[0].tolist() == [[4, -1]] and e.input is e.relevance[0]
    rows = [[float(part[0]) for part in row] for row in e.ledger]
    assert rows == [[5, 3, 2, 0, 0], [4, 5, -1, 0, 0]]
    e = lrp.explain(hand_network(), x, "epsilon", epsilon=1.0)
    # s = 4 / 5: hidden [2.4, 1.6]; s = [2.4 / 4, 1.6 / 2] = [0.6, 0.8]
    np.testing.assert_allclose(e.relevance[1], [[2.4, 1.6]], rtol=1e-15)
    np.testing.assert_allclose(e.relevance[0], [[2.0, -0.2]], rtol=1e-14)
    e = lrp.explain(hand_network(), x, "gamma", gamma=1.0)
    # upper: w = [2, 4], b = -1: z = 6 + 4 - 1 = 9, hidden [24/9, 16/9]
    # lower: w = [[4, 2], [2, -1]], b = [0, 2]: z = [6, 3]; s = [4/9, 16/27]
    np.testing.assert_allclose(e.relevance[1], [[24 / 9, 16 / 9]], rtol=1e-15)
    np.testing.assert_allclose(e.relevance[0], [[16 / 9 + 32 / 27, 8 / 9 - 16 / 27]], rtol=1e-14)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("rule, parameters", [("0", {}), ("epsilon", {"epsilon": 0.1}),
                                              ("gamma", {"gamma": 0.5})])
@pytest.mark.usefixtures("each_engine")
def test_the_ledger_from_logit_to_pixels(random_case, sizes, activation, rule, parameters):
    net, x = random_case(sizes, activation, seed=3)
    e = lrp.explain(net, x, rule, **parameters)
    assert len(e.ledger) == len(net.layers) and len(e.relevance) == len(net.layers) + 1
    explained = e.logits[np.arange(len(x)), e.target]
    np.testing.assert_allclose(e.ledger[-1].received, explained, rtol=1e-12)
    for number, row in enumerate(e.ledger):
        scale = np.abs(np.array(row)).max()
        np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-12 * scale)
        np.testing.assert_allclose(row.inputs, e.relevance[number].sum(axis=1), rtol=1e-10,
                                   atol=1e-12 * scale)
        np.testing.assert_allclose(row.received, e.relevance[number + 1].sum(axis=1), rtol=1e-10,
                                   atol=1e-12 * scale)
        assert e.relevance[number].shape == (len(x), sizes[number])


@pytest.mark.usefixtures("each_engine")
def test_a_regression_by_hand():
    """z = 3 a1 - 2 a2 + 10 for a = [-1, 2] is 3: -3 and -4 from the inputs, 10 from the bias."""
    W, b = np.array([[3.0, 1.0], [-2.0, 1.0]]), np.array([10.0, -9.0])
    x = np.array([[-1.0, 2.0]])
    one = lrp.MLP.from_arrays([W[:, :1]], [b[:1]], "relu")
    for target in (None, 0, np.array([0])):
        e = lrp.explain(one, x, target=target)
        assert e.relevance[1].tolist() == [[3]] and e.input.tolist() == [[-3, -4]]
        assert e.unassigned(0) == {"bias": 10, "epsilon": 0, "dropped": 0}
    with pytest.raises(ValueError, match=r"target must lie in 0\.\.0, got 1"):
        lrp.explain(one, x, target=1)
    two = lrp.MLP.from_arrays([W], [b], "relu")         # the second output: -1 + 2 - 9 = -8
    assert two.forward(x).tolist() == [[3, -8]]
    assert lrp.explain(two, x).target == 0 and lrp.explain(two, x).input.tolist() == [[-3, -4]]
    e = lrp.explain(two, x, target=1)
    assert e.relevance[1].tolist() == [[0, -8]] and e.input.tolist() == [[-1, 2]]
    e = lrp.explain(two, x, "epsilon", target=1, epsilon=8.0)       # z becomes -16: all is halved
    assert e.input.tolist() == [[-0.5, 1]]
    assert e.unassigned(0) == {"bias": -4.5, "epsilon": -4, "dropped": 0}


@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("sizes", [[3, 1], [5, 4, 1], [6, 5, 4, 1]], ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_single_output(random_case, sizes, activation, rule):
    """All of it is explained, also where it is negative; by loops as by equations; rewritten too.
    """
    net, x = random_case(sizes, activation, seed=1, N=20)
    net = lrp.zero_centred(net)
    net.layers[-1].b[...] -= np.median(net.forward(x))      # so that it has both signs
    e, slow = (lrp.explain(net, x, rule, engine=engine) for engine in ("numba", "numpy"))
    for one, engine in ((slow, "numpy"), (e, "numba")):
        output = net.forward(x, engine)
        np.testing.assert_array_equal(one.relevance[-1], output)
    assert e.target.tolist() == [0] * 20
    for one, other in zip(e.relevance, slow.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10 * np.abs(one).max())
    for n in range(20):
        parts = [*e.input[n], *e.unassigned(n).values()]
        assert sum(parts) == pytest.approx(output[n, 0], abs=1e-11 * np.abs(parts).max())


@pytest.mark.usefixtures("each_engine")
def test_targets(random_case):
    net, x = random_case([9, 8, 7, 4], "relu", seed=0)
    logits = net.forward(x)
    predicted = lrp.explain(net, x)
    assert (predicted.target == logits.argmax(axis=1)).all()
    all_2 = lrp.explain(net, x, target=2)
    each = lrp.explain(net, x, target=np.array([2, 2, 2, 0, 1, 3]))
    for e, classes in ((all_2, [2] * 6), (each, [2, 2, 2, 0, 1, 3])):
        start = np.zeros_like(logits)
        start[range(6), classes] = logits[range(6), classes]
        assert (e.relevance[-1] == start).all()
    assert (all_2.input[:3] == each.input[:3]).all()
    assert (all_2.input[3:] != each.input[3:]).any(axis=1).all()        # the class matters


@pytest.mark.usefixtures("each_engine")
def test_weights_matter(random_case):
    """Relevance that ignores the weights of any layer would stay as it is."""
    net, x = random_case([9, 8, 7, 4], "relu", seed=0)
    before = lrp.explain(net, x, target=1).input
    for layer in net.layers:
        layer.W[...] = layer.W[::-1]
        after = lrp.explain(net, x, target=1).input
        assert (np.abs(after - before).max(axis=1) > 1e-3).mean() > 0.5
        before = after


@pytest.mark.usefixtures("each_engine")
def test_one_by_one_equals_the_batch(random_case):
    net, x = random_case([9, 8, 7, 4], "tanh", seed=1)
    whole = lrp.explain(net, x, "epsilon")
    for n in range(len(x)):
        one = lrp.explain(net, x[n:n + 1], "epsilon")
        for ours, theirs in zip(one.relevance, whole.relevance):
            np.testing.assert_allclose(ours[0], theirs[n], rtol=1e-12, atol=1e-14)


def test_a_rule_for_each_layer_is_input_side_first(random_case):
    net, x = random_case([5, 4, 3], "relu", seed=0)
    e = lrp.explain(net, x, ["gamma", "epsilon"], gamma=0.5, epsilon=0.1, engine="numpy")
    lower, upper = net.layers
    a0, a1, _ = net.activations(x, "numpy")
    hidden = rules.lrp_epsilon(a1, upper.W, upper.b, e.relevance[2], epsilon=0.1)
    np.testing.assert_array_equal(e.relevance[1], hidden)
    np.testing.assert_array_equal(
        e.relevance[0], rules.lrp_gamma(a0, lower.W, lower.b, hidden, gamma=0.5))
    other_way = lrp.explain(net, x, ["epsilon", "gamma"], gamma=0.5, epsilon=0.1)
    assert (np.abs(other_way.input - e.input) > 1e-6).any()


def test_names_are_the_rules():
    assert rules.RULES == {name: getattr(rules, f"lrp_{name}") for name in rules.RULES}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("each_engine")
def test_the_type_is_kept_and_nothing_is_changed(random_case, dtype):
    net = lrp.MLP.random([5, 4, 3], "relu", dtype=dtype)
    x = np.random.default_rng(0).random((6, 5)).astype(dtype)
    before = x.copy()
    x.flags.writeable = False
    e = lrp.explain(net, x, "gamma")
    assert {R.dtype for R in e.relevance} == {np.dtype(dtype)}
    assert (x == before).all() and not np.shares_memory(e.input, x)


@pytest.mark.parametrize("of_net, of_x, of_R", [
    (np.float32, np.float64, np.float64), (np.float64, np.float32, np.float64),
    (np.float32, np.float32, np.float32), (np.float32, np.uint8, np.float32),
    (np.float64, np.uint8, np.float64)])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_wider_type_is_taken(of_net, of_x, of_R, engine):
    net = lrp.MLP.random([5, 4, 3], "relu", dtype=of_net)
    e = lrp.explain(net, np.full((2, 5), 2, of_x), engine=engine)
    assert {R.dtype for R in e.relevance} == {np.dtype(of_R)}


@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.usefixtures("each_engine")
def test_a_rule_must_return_the_shape_of_a(random_case, more):
    net, x = random_case([5, 4, 3], "relu", 0)

    def wrong(a, W, b, R):
        return np.ones((len(a), a.shape[1] + more))
    with pytest.raises(ValueError, match=r"rule must return relevance of the shape of a, \(6, 4\), "
                                         rf"got \(6, {4 + more}\)"):
        lrp.explain(net, x, wrong)


@pytest.mark.usefixtures("each_engine")
def test_no_images():
    e = lrp.explain(hand_network(), np.zeros((0, 2)), target=0)
    assert e.input.shape == (0, 2) and e.ledger[0].received.shape == (0,)
    for make in lrp.lenet, lrp.resnet, lrp.transformer:
        e = lrp.explain(make(), np.zeros((0, 784), np.float32))
        assert e.input.shape == (0, 784) and e.logits.shape == (0, 10)
        assert all(row.inputs.shape == (0,) for row in e.ledger)


@pytest.mark.parametrize("arguments, message", [
    ({"rule": "gama"}, "rule must be one of '0', 'epsilon', 'gamma', .*got 'gama'"),
    ({"rule": ["0", "0", "0"]}, "one for each of the 2 layers with weights, got 3"),
    ({"rule": 0}, "rule must be one of '0', 'epsilon', 'gamma', .*got 0"),
    ({"rule": None}, "rule must be one of '0', 'epsilon', 'gamma', .*got None"),
    ({"W": 1}, "W is not a parameter of rule 0"),
    ({"ledger": []}, "ledger is not a parameter of rule 0"),
    ({"rule": ["0", "zennit"]}, "got 'zennit'"),
    ({"rule": "gamma", "epsilon": 0.1}, "epsilon is not a parameter of rule gamma, got .*0.1"),
    ({"rule": "0", "ledgers": []}, "ledgers is not a parameter"),
    ({"rule": "gamma", "gamma": -1}, "gamma must be a finite number of at least 0, got -1"),
    ({"target": 3}, "target must lie in 0..2, got 3"),
    ({"target": -1}, "target must lie in 0..2, got -1"),
    ({"target": [0, 1]}, "target must be 6 integers"),
    ({"target": 1.0}, "target must be None, an integer, or one integer for .*6 images, got 1.0")])
@pytest.mark.usefixtures("each_engine")
def test_refused(random_case, arguments, message):
    net, x = random_case([5, 4, 3], "relu", 0)
    with pytest.raises(ValueError, match=message):
        lrp.explain(net, x, **arguments)


def test_a_half_at_zero_is_warned_of(random_case):
    """Once a call, naming the cure; a zero-centred network, ReLU and tanh are silent."""
    net, x = random_case([5, 4, 4, 3], "sigmoid", 0)
    with pytest.warns(UserWarning, match=r"sigmoid\(0\) is 0.5.*zero_centred\(net\)") as warned:
        lrp.explain(net, x)
    assert len(warned) == 1 and warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lrp.explain(lrp.zero_centred(net), x)
        for activation in ("relu", "tanh"):
            lrp.explain(random_case([5, 4, 3], activation, 0)[0], x)


@pytest.mark.parametrize("rule, parameters", [("0", {}), ("epsilon", {"epsilon": 0.1}),
                                              ("gamma", {"gamma": 0.5})])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("each_engine")
def test_a_zero_centred_sigmoid_is_a_tanh(random_case, rule, parameters, seed):
    """The same logits and the same LRP-0 as the tanh network with halved weights. Its ledger adds
    up, and a unit is never worth more than (sigmoid(z) - 1/2) / z <= 1/4 allows."""
    net, x = random_case([9, 8, 4], "sigmoid", seed)
    centred = lrp.zero_centred(net)
    (W1, W2), (b1, b2) = arrays_of(net)
    tanh = lrp.MLP.from_arrays([W1 / 2, W2 / 2], [b1 / 2, b2 + W2.sum(axis=0) / 2], "tanh")
    ours, theirs = lrp.explain(centred, x, rule, **parameters), lrp.explain(tanh, x, "0")
    if rule == "0":
        np.testing.assert_allclose(ours.input, theirs.input, rtol=1e-9, atol=1e-12)
        z = x @ W1 + b1
        worth = np.abs(ours.relevance[1] / z)
        assert (worth <= 0.25 * np.abs(W2[:, ours.target].T) + 1e-12).all()
    for row in ours.ledger:
        scale = np.abs(np.array(row)).max()
        np.testing.assert_allclose(row.received, sum(row[1:]), rtol=1e-10, atol=1e-12 * scale)


# A start of one's own

def one_hot(net, x, target, values=None):
    """start=None, written out: the logit of the class, or `values`, and 0 elsewhere."""
    start, rows = np.zeros((len(x), net.sizes[-1])), np.arange(len(x))
    start[rows, target] = net.forward(x)[rows, target] if values is None else values
    return start


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("sizes", [[9, 8, 4], [7, 33, 40, 4]], ids=str)
def test_a_start_for_every_output(random_case, rule, sizes):
    """One that is one-hot is what a target is; and relevance and ledger are linear in it."""
    net, x = random_case(sizes, "relu", 0, N=8)
    target = np.array([0, 1, 2, 3, 3, 2, 1, 0])
    by_target = lrp.explain(net, x, rule, target)
    by_start = lrp.explain(net, x, rule, target, start=one_hot(net, x, target))
    assert_same(by_start, by_target)
    ones = lrp.explain(net, x, rule, target, start=1)
    assert_same(lrp.explain(net, x, rule, target, start=one_hot(net, x, target, 1.0)), ones)
    as_list = one_hot(net, x, target, 1).astype(int).tolist()
    assert_same(lrp.explain(net, x, rule, target, start=as_list), ones)

    starts = np.random.default_rng(1).normal(size=(2, 8, 4))
    one, two, sum_of_both = (lrp.explain(net, x, rule, start=start)
                             for start in (starts[0], starts[1], 2 * starts[0] - 3 * starts[1]))
    np.testing.assert_array_equal(one.relevance[-1], starts[0])
    assert (one.target == net.predict(x)).all() and (one.logits == net.forward(x)).all()
    for R, *parts in zip(sum_of_both.relevance, one.relevance, two.relevance):
        scale = max(1, *(np.abs(part).max() for part in parts))
        np.testing.assert_allclose(R, 2 * parts[0] - 3 * parts[1], rtol=1e-9, atol=1e-11 * scale)
    for row, *parts in zip(sum_of_both.ledger, one.ledger, two.ledger):
        row, parts = np.array(row), np.array(parts)
        scale = max(1, np.abs(parts).max())
        np.testing.assert_allclose(row, 2 * parts[0] - 3 * parts[1], atol=1e-10 * scale)
        np.testing.assert_allclose(row[0], row[1:].sum(axis=0), atol=1e-10 * scale)
    np.testing.assert_allclose(one.ledger[-1].received, starts[0].sum(axis=1), rtol=1e-12)


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("rule, is_linear", [("0", True), ("epsilon", False), ("gamma", False),
                                             ("z_plus", False)])
def test_why_4_and_not_9(random_case, rule, is_linear):
    """Starting from z_4 at 4 and -z_9 at 9 is the relevance of z_4 less that of z_9. Under LRP-0
    it is also that of one more output, z_4 - z_9; other rules see other weights there."""
    net, x = random_case([12, 9, 10], "relu", 0, N=20)
    logits = net.forward(x)
    start = np.zeros_like(logits)
    start[:, 4], start[:, 9] = logits[:, 4], -logits[:, 9]
    e = lrp.explain(net, x, rule, start=start)
    four, nine = (lrp.explain(net, x, rule, target=target) for target in (4, 9))
    for R, R_4, R_9 in zip(e.relevance, four.relevance, nine.relevance):
        scale = np.abs([R_4, R_9]).max()
        np.testing.assert_allclose(R, R_4 - R_9, rtol=1e-9, atol=1e-11 * scale)

    (W1, W2), (b1, b2) = arrays_of(net)
    difference = lrp.MLP.from_arrays([W1, (W2[:, 4] - W2[:, 9])[:, None]],
                                     [b1, b2[[4]] - b2[[9]]], "relu")
    one_output = lrp.explain(difference, x, rule)
    np.testing.assert_allclose(one_output.logits[:, 0], logits[:, 4] - logits[:, 9], rtol=1e-9)
    distance = np.abs(one_output.input - e.input).max() / np.abs(e.input).max()
    assert distance < 1e-9 if is_linear else distance > 0.01


@pytest.mark.parametrize("start, message", [
    (np.ones((6, 3)), "start must be None, a number, or an array of shape "
                      r"\(6, 4\), got \(6, 3\)$"),
    (np.ones((5, 4)), r"array of shape \(6, 4\), got \(5, 4\)$"),
    (np.ones(4), r"array of shape \(6, 4\), got \(4,\)$"),
    (np.ones((1, 4)), r"array of shape \(6, 4\), got \(1, 4\)$"),
    (np.ones((6, 4, 1)), r"array of shape \(6, 4\), got \(6, 4, 1\)$"),
    (np.array([[1.0] * 4] * 2 + [[1.0, 1.0, np.nan, 1.0]] * 4),
     "^start must be finite, got nan in row 2, column 2$"),
    (np.full((6, 4), np.inf), "^start must be finite, got inf in row 0, column 0$"),
    (np.full((6, 4), "a"), "start must hold integers or floats, got <U1"),
    (np.full((6, 4), None), "start must hold integers or floats, got object"),
    (np.full((6, 4), 1j), "start must hold integers or floats, got complex128"),
    (np.inf, "start must be None or a finite float64 number, got inf"),
    ("logit", "start must be None or a finite float64 number, got 'logit'")])
def test_starts_refused(random_case, start, message):
    net, x = random_case([9, 8, 4], "relu", 0)
    for use in (lrp.explain, lrp.explain_batches):      # at once
        with pytest.raises(ValueError, match=message):
            use(net, x, start=start)


def test_a_start_beyond_the_type_of_the_network_is_refused():
    net, x = lrp.MLP.random([9, 4]), np.ones((6, 9), np.float32)
    with pytest.raises(ValueError, match="start must be finite, got inf in row 0, column 0"):
        lrp.explain(net, x, start=np.full((6, 4), 1e300))


# Many images

@pytest.fixture
def small_batches(monkeypatch):
    """Three images of a [9, 8, 7, 4] network in float64 to a batch."""
    monkeypatch.setattr(explanation, "BATCH_BYTES", 3 * 3 * 28 * 8)
    monkeypatch.setattr(explanation, "SHARED", 1)


def assert_same(one, other):
    for ours, theirs in zip(one.relevance, other.relevance):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.array(one.ledger), np.array(other.ledger))
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.logits, other.logits)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("target", [None, 2, [0, 1, 2, 3, 3, 2, 1, 0]])
def test_batches_make_no_difference(random_case, small_batches, engine, target):
    """Eight images in batches of three, one by one, and by explain_batches: the same."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    whole = lrp.explain(net, x, "gamma", target, engine=engine)
    each = None if target is None else np.broadcast_to(target, 8)
    for n in range(8):
        one = lrp.explain(net, x[n:n + 1], "gamma", None if each is None else each[n:n + 1],
                          engine=engine)
        for ours, theirs in zip(one.relevance, whole.relevance):
            np.testing.assert_allclose(ours[0], theirs[n], rtol=1e-9, atol=1e-12)
    for size, lengths in ((None, [3, 3, 2]), (1, [1] * 8), (5, [5, 3]), (100, [8])):
        parts = list(lrp.explain_batches(net, x, "gamma", target, engine=engine, batch_size=size))
        assert [len(part.target) for part in parts] == lengths
        for number, R in enumerate(whole.relevance):
            joined = np.concatenate([part.relevance[number] for part in parts])
            np.testing.assert_allclose(joined, R, rtol=1e-9, atol=1e-12)
        received = np.concatenate([part.ledger[0].received for part in parts])
        np.testing.assert_allclose(received, whole.ledger[0].received, rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_image_has_its_own_start(random_case, small_batches, engine):
    """Also across the batches of explain, and those of explain_batches."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    start = np.random.default_rng(0).normal(size=(8, 4))
    whole = lrp.explain(net, x, "gamma", start=start, engine=engine)
    for n in range(8):
        one = lrp.explain(net, x[n:n + 1], "gamma", start=start[n:n + 1], engine=engine)
        np.testing.assert_allclose(one.input[0], whole.input[n], rtol=1e-9, atol=1e-12)
    for size, lengths in ((None, [3, 3, 2]), (5, [5, 3])):
        parts = list(lrp.explain_batches(net, x, "gamma", start=start, engine=engine,
                                         batch_size=size))
        assert [len(part.target) for part in parts] == lengths
        for number, R in enumerate(whole.relevance):
            joined = np.concatenate([part.relevance[number] for part in parts])
            np.testing.assert_allclose(joined, R, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"start must be None or one number if x is not an array, "
                                         r"got \(8, 4\)"):
        lrp.explain_batches(net, iter([x]), start=start)
    part, = lrp.explain_batches(net, iter([x]), start=2.0, target=1, engine=engine, batch_size=8)
    expected = lrp.explain(net, x, start=2.0, target=1, engine=engine)
    np.testing.assert_allclose(part.input, expected.input, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("each_engine")
def test_at_least_one_image_to_a_batch(random_case, monkeypatch):
    """Also of a network so large that not even one fits; and of one image there is one batch."""
    monkeypatch.setattr(explanation, "BATCH_BYTES", 1)
    monkeypatch.setattr(explanation, "SHARED", 1)
    net, x = random_case([9, 8, 4], "relu", 0, N=3)
    assert [len(part.target) for part in lrp.explain_batches(net, x)] == [1, 1, 1]
    assert [len(part.target) for part in lrp.explain_batches(net, x[:1])] == [1]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_input_alone(random_case, small_batches, engine):
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    whole = lrp.explain(net, x, "epsilon", engine=engine)
    alone = lrp.explain(net, x, "epsilon", intermediate=False, engine=engine)
    assert len(alone.relevance) == 1 and len(alone.ledger) == 3
    assert_same(alone, whole._replace(relevance=whole.relevance[:1]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes(tmp_path, small_batches, dtype, engine):
    """uint8 images are divided by 255, in the type of the network; also from a file."""
    net = lrp.MLP.random([9, 8, 7, 4], "relu", dtype=dtype)
    x = np.random.default_rng(0).integers(0, 256, (8, 9), np.uint8)
    x.flags.writeable = False
    e = lrp.explain(net, x, "gamma", engine=engine)
    assert e.input.dtype == dtype
    assert_same(e, lrp.explain(net, x.astype(dtype) / 255, "gamma", engine=engine))
    np.save(tmp_path / "x.npy", x)
    assert_same(e, lrp.explain(net, np.load(tmp_path / "x.npy", mmap_mode="r"), "gamma",
                               engine=engine))


@pytest.mark.usefixtures("each_engine")
def test_a_stream_of_arrays(tmp_path, random_case):
    """A generator, of which no more is asked for than is used, and a file mapped into memory."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    asked = []

    def stream():
        for start in (0, 3, 6):
            asked.append(start)
            yield x[start:start + 3]

    parts = lrp.explain_batches(net, stream(), target=1, batch_size=2)
    first = next(parts)
    assert asked == [0] and len(first.target) == 2
    parts = [first, *parts]
    assert [len(part.target) for part in parts] == [2, 1, 2, 1, 2]
    whole = lrp.explain(net, x, target=1)
    np.testing.assert_allclose(np.concatenate([part.input for part in parts]), whole.input,
                               rtol=1e-9, atol=1e-12)
    np.save(tmp_path / "x.npy", x)
    part, = lrp.explain_batches(net, np.load(tmp_path / "x.npy", mmap_mode="r"), target=1)
    assert_same(part, whole)


def test_batches_refused(random_case):
    """At once, not when the first piece is asked for; images when it comes to them."""
    net, x = random_case([5, 4, 3], "relu", 0)
    with pytest.raises(ValueError, match=r"x must be an array of shape \(N, 5\)"):
        lrp.explain_batches(net, np.array(1.0))
    for arguments, message in (({"rule": "gama"}, "rule must be one of"),
                               ({"target": 3}, "target must lie in 0..2"),
                               ({"target": [0, 1]}, "target must be 6 integers"),
                               ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
                               ({"batch_size": 2.0}, "batch_size must be an integer")):
        with pytest.raises(ValueError, match=message):
            lrp.explain_batches(net, x, **arguments)
    with pytest.raises(ValueError, match="None or one class if x is not an array"):
        lrp.explain_batches(net, iter([x]), target=[0] * 6)
    with pytest.raises(ValueError, match=r"shape \(N, 5\)"):
        next(lrp.explain_batches(net, [x[:, :4]]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_row_that_is_not_finite_is_named(random_case, small_batches, engine, bad):
    """Counted from the first image, not from the first of its batch; also where W is 0."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    net.layers[0].W[2] = 0
    x[7, 2] = bad
    with pytest.raises(ValueError, match=f"got {bad} in row 7, column 2"):
        lrp.explain(net, x, engine=engine)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_relevance_beyond_its_type_is_named(random_case, small_batches, engine):
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    with pytest.raises(FloatingPointError, match="relevance must be finite, got .* for what enters "
                                                 "layer 2, in row 0: .* too large for float64"):
        lrp.explain(net, x, "gamma", engine=engine, gamma=1.7e308)

    def infinite_in_row_5(a, W, b, R):
        relevance = np.zeros_like(a)
        relevance[(a == x[5]).all(axis=1), 1] = np.inf
        return relevance
    with pytest.raises(FloatingPointError, match="got inf for what enters layer 0, in row 5: "):
        lrp.explain(net, x, [infinite_in_row_5, "0", "0"], engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_z_beyond_its_type_is_named(random_case, small_batches, engine, activation, number):
    """Otherwise what is handed to such a z would be lost: R / infinity is 0."""
    net, x = random_case([9, 8, 7, 4], activation, 0, N=8)
    x[:7], x[7] = 0, 1      # z = 0 all the way up, but for the last image, where all is positive
    for layer in net.layers:
        layer.W[...], layer.b[...] = np.abs(layer.W), 0
    net.layers[number].W[...] = 1.7e308
    with pytest.raises(FloatingPointError, match=f"^z of layer {number} must be finite, got inf "
                                                 "in row 7, column 0: .* too large for float64"):
        lrp.explain(net, x, "epsilon", engine=engine)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["dense", "cnn"])
@pytest.mark.parametrize("rule, parameters", [
    ("gamma", {"gamma": 3e38}), ("epsilon", {"epsilon": 1e39}), ("z_box", {"high": 3e38}),
    ("w_square", {})])
def test_no_relevance_is_lost_by_an_overflow(engine, kind, rule, parameters):
    """R / infinity is 0, and would be gone. Where NumPy takes a wider type by itself, as it did
    before version 2, the ledger adds up."""
    net = lrp.lenet(0, channels=(2, 3), hidden=20) if kind == "cnn" else lrp.MLP.random(
        [784, 20, 10], "relu")
    if rule == "w_square":
        net.layers[-1].W[...] = 1e20
        net.layers[-2].W[...] *= 1e-19
    x = np.random.default_rng(0).random((3, 784), np.float32)
    try:
        ledger = lrp.explain(net, x, rule, engine=engine, **parameters).ledger
    except FloatingPointError as error:
        assert re.match("relevance must be finite, got .* too large for float32", str(error))
    else:
        assert engine == "numpy" and int(np.__version__.split(".")[0]) < 2
        for row in ledger:
            np.testing.assert_allclose(sum(row[1:]), row.received, rtol=1e-4)


@pytest.mark.usefixtures("each_engine")
def test_a_stream_is_of_one_network(random_case):
    """Also if the network is trained while the stream is used."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    expected = [part.input for part in lrp.explain_batches(net, x, batch_size=4)]
    parts = lrp.explain_batches(net, x, batch_size=4)
    first = next(parts).input
    for layer in net.layers:
        layer.W[...], layer.b[...] = 0, 100
    np.testing.assert_array_equal(np.concatenate([first, next(parts).input]),
                                  np.concatenate(expected))


def test_warned_of_in_batches_too(random_case):
    net, x = random_case([5, 4, 3], "sigmoid", 0)
    with pytest.warns(UserWarning, match="zero_centred") as warned:
        lrp.explain_batches(net, x)
    assert len(warned) == 1 and warned[0].filename == __file__


def test_a_stream_leaves_the_filters_of_warnings_alone(random_case):
    """While it waits to be used, and at its end: what its user sets stays."""
    net, x = random_case([5, 4, 3], "sigmoid", 0)
    with warnings.catch_warnings():
        parts = lrp.explain_batches(net, x, batch_size=2)
        before = list(warnings.filters)
        next(parts)
        assert warnings.filters == before
        with pytest.warns(UserWarning, match="zero_centred"):       # of another call
            lrp.explain(net, x)
        warnings.simplefilter("ignore", FutureWarning)
        mine = list(warnings.filters)
        assert len(list(parts)) == 2 and warnings.filters == mine


def test_progress_is_shown_if_asked_for(random_case, small_batches, capfd):
    """And only on a terminal: in a log or a notebook it would be one line for each update."""
    net, x = random_case([9, 8, 7, 4], "relu", 0, N=8)
    for progress in (False, True):
        lrp.explain(net, x, progress=progress)
        list(lrp.explain_batches(net, x, progress=progress))
        assert capfd.readouterr() == ("", "")
    with terminal() as shown:
        lrp.explain(net, x)
        list(lrp.explain_batches(net, x))
    assert shown.getvalue() == ""
    for use in (lrp.explain, lambda *arguments, **more: list(
            lrp.explain_batches(*arguments, **more))):
        with terminal() as shown:
            use(net, x, progress=True)
        bars = shown.getvalue().splitlines(keepends=True)
        assert [" 8/8 " in bar for bar in bars if bar.endswith("\n")] == [True]
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_memory_does_not_grow_with_the_images():
    """What a stream of 80,000 images needs at its peak, and what one of 20,000 does."""
    net, x = lrp.MLP.random([784, 50, 10], "relu"), np.zeros((10_000, 784), np.uint8)
    x[:, ::5] = 200

    def explain_all(arrays):
        for part in lrp.explain_batches(net, arrays, "gamma"):
            pass

    explain_all([x])        # what is imported and compiled stays
    few, many = (most_memory(lambda: explain_all([x] * times)) for times in (2, 8))
    # Two threads may or may not be at their peaks together; kept results would take 4 times as much
    of_one = 784 * 4 * explanation.SHARED * explanation._batch_size(net)    # the relevance of one
    # The caller has one while the next is computed
    assert few < 2.5 * of_one and many < 1.3 * few


@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("sizes", [[9, 8, 4], [7, 33, 40, 4]], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_every_rule_by_both_engines(random_case, rule, sizes, activation):
    """Every relevance and every ledger, and the ledger from one layer to the next."""
    net, x = random_case(sizes, activation, seed=2)
    ours, equation = (lrp.explain(net, x, rule, engine=engine) for engine in ("numba", "numpy"))
    for one, other in zip(ours.relevance, equation.relevance):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(other).max())
    for number, (one, other) in enumerate(zip(ours.ledger, equation.ledger)):
        scale = np.abs(np.array(other)).max()
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-8, atol=1e-10 * scale)
        np.testing.assert_allclose(one.received, sum(one[1:]), rtol=1e-10, atol=1e-12 * scale)
        np.testing.assert_allclose(one.inputs, ours.relevance[number].sum(axis=1), rtol=1e-10,
                                   atol=1e-12 * scale)
