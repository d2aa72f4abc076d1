"""The labels of a network's outputs: where they enter, where they leave, and what is refused."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import rows


@pytest.fixture
def case(random_case):
    """A network of three outputs, and rows for which it predicts all three."""
    net, x = random_case([4, 5, 3], "relu", 1)[0], 3 * rows(4, np.float64, N=40)
    assert set(net.predict(x).tolist()) == {0, 1, 2}
    return net, x


def with_classes(net, classes):
    return type(net)(net.layers, classes)


def test_the_label_wins_over_the_index(case):
    """With the classes 1, 2, 0 the label 0 is the last output; and -1 is no label."""
    net, x = case
    shifted = with_classes(net, [1, 2, 0])
    np.testing.assert_array_equal(shifted.predict(x), (net.predict(x) + 1) % 3)
    for label, index in ((1, 0), (2, 1), (0, 2), (np.int8(0), 2), (True, 0)):
        e = lrp.explain(shifted, x, target=label)
        np.testing.assert_array_equal(e.input, lrp.explain(net, x, target=index).input)
        assert e.target.tolist() == [int(label)] * len(x)
    with pytest.raises(ValueError, match="target must be one of the network's classes, 1, 2, 0, "
                                         "got -1"):
        lrp.explain(shifted, x, target=-1)


def test_labels_for_each_image(case):
    net, x = case
    named = with_classes(net, ["a", "b", "c"])
    names = named.predict(x)
    expected = lrp.explain(net, x, "epsilon")
    for target in (names, names.tolist(), names.astype(object), net.predict(x), None):
        e = lrp.explain(named, x, "epsilon", target=target)
        np.testing.assert_array_equal(e.target, names)
        np.testing.assert_array_equal(e.input, expected.input)
    parts = list(lrp.explain_batches(named, x, "epsilon", target=names, batch_size=7))
    np.testing.assert_array_equal(np.concatenate([part.target for part in parts]), names)
    np.testing.assert_allclose(np.concatenate([part.input for part in parts]), expected.input,
                               rtol=1e-10, atol=1e-12)
    of_one, = lrp.explain_batches(named, iter([x]), target="c")
    assert of_one.target.tolist() == ["c"] * len(x)


def test_indices_stay_what_they_are_without_labels(case):
    net, x = case
    assert net.classes is None and net.predict(x).dtype.kind == "i"
    assert lrp.explain(net, x, target=2).target.tolist() == [2] * len(x)


@pytest.mark.parametrize("target, message", [
    (3.0, r"target must be None, an integer, or one integer for each of the 40 images, got 3\.0"),
    ("a", "target must be None, an integer, or one integer for each of the 40 images, got 'a'"),
    (True, "target must be None, an integer, .* got True"),
    ([[0], [1, 2]], r"target must be None, one class, or one class for each of the 40 images, got "
                    r"lists of different lengths: \[\[0\], \[1, 2\]\]"),
    ([0.0] * 40, "target must be 40 integers, one for each image, got float64"),
    ([[0]] * 40, r"target must be 40 integers, .*of shape \(40, 1\)"),
    (3, r"target must lie in 0\.\.2, got 3")])
def test_targets_that_are_refused(case, target, message):
    net, x = case
    with pytest.raises(ValueError, match=f"^{message}"):
        lrp.explain(net, x, target=target)
    with pytest.raises(ValueError, match=f"^{message}"):
        lrp.explain_batches(net, x, target=target)


@pytest.mark.parametrize("target, message", [
    ("d", "target must be one of the network's classes, 'a', 'b', 'c', got 'd'"),
    (1.0, "target must be one of the network's classes, 'a', 'b', 'c', got 1.0"),
    (["a"] * 39 + ["d"], "target must be one of the network's classes, .*, got 'd'"),
    (["a", "b"], r"target must be 40 integers.*of shape \(2,\)"),
    (3, r"target must lie in 0\.\.2, got 3")])
def test_labels_that_are_refused(case, target, message):
    net, x = case
    with pytest.raises(ValueError, match=message):
        lrp.explain(with_classes(net, ["a", "b", "c"]), x, target=target)


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "a"], [1, 2, None], 3, [[1, 2, 3]],
                                     [1j, 2j, 3j]], ids=str)
def test_classes_that_are_refused(case, classes):
    net, _ = case
    with pytest.raises(ValueError, match="classes must be 3 different numbers or words, one for "
                                         "each output, got "):
        net.classes = classes
    assert net.classes is None


def test_the_two_classes_of_one_output(random_case):
    net, x = random_case([4, 5, 1], "relu", 0)[0], 3 * rows(4, np.float64, N=40)
    net.classes = [10, 20]
    z = net.forward(x)[:, 0]
    assert (z > 0).any() and (z <= 0).any()
    np.testing.assert_array_equal(net.predict(x), np.where(z > 0, 20, 10))
    np.testing.assert_array_equal(lrp.explain(net, x).target, 20)
    with pytest.raises(ValueError, match="target must be 20, or None: .* negative for 10, .*t 10"):
        lrp.explain(net, x, target=10)
    with pytest.raises(ValueError, match="classes must be 2 different .* each side of the one out"):
        net.classes = ["yes"]


def test_labels_are_kept(case, tmp_path):
    """In a file, and by what makes one network of another."""
    net, x = case
    for classes in (["a", "bb", "c"], [7, 8, 9], [0.5, 1.5, 2.5]):
        net.classes = np.array(classes, object)     # as a table's column has them
        assert repr(net) == f"MLP(sizes=[4, 5, 3], classes={classes})"
        net.save(tmp_path / "net.npz")
        loaded = lrp.Network.load(tmp_path / "net.npz")
        for other in (loaded, lrp.zero_centred(net), lrp.fold_batchnorm(net),
                      lrp.evaluation.pruning.prune_inputs(net, np.array([0, 2]))):
            assert other.classes.tolist() == classes
    net.classes = None
    assert repr(net) == "MLP(sizes=[4, 5, 3])"
    net.save(tmp_path / "net.npz")
    assert lrp.Network.load(tmp_path / "net.npz").classes is None


@pytest.mark.parametrize("classes", [list("jihgfedcba"), list(range(9, -1, -1)), None], ids=str)
def test_training_and_evaluation_speak_labels(digits, classes):
    """The same weights, curves and heatmaps, whatever the outputs are called."""
    def run(classes, named):
        net = lrp.MLP.random([784, 10], rng=0)
        net.classes = classes
        x, labels = digits.train_images[:500], named(digits.train_labels[:500])
        some = lrp.Digits(x, labels, x[:90], labels[:90])
        history = lrp.train(net, some, epochs=2, progress=False)
        relevance = np.where(x[:40] > 0, lrp.explain(net, x[:40]).input, 0)
        curves = lrp.evaluation.perturbation_curves(net, x[:40], labels[:40], relevance, [0.3])
        top, heatmaps = lrp.evaluation.explain_top_two(net, x[:5])
        return (net.layers[0].W, history.accuracy, lrp.measure(net, x[:40], labels[:40]).correct,
                curves.accuracy["lerf"], heatmaps,
                lrp.evaluation.mean_relevances(net, x[:40], labels[:40])), top, lrp.measure(
                    net, x[:40], labels[:40]).prediction

    expected, top, predicted = run(None, lambda labels: labels)
    names = np.arange(10) if classes is None else np.array(classes)
    found, top_names, predicted_names = run(classes, lambda labels: names[labels])
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(names[top], top_names)
    np.testing.assert_array_equal(names[predicted], predicted_names)


def test_labels_of_training_that_are_none(digits):
    net = lrp.MLP.random([784, 10], rng=0)
    net.classes = range(1, 11)
    with pytest.raises(ValueError, match="train_labels must be one of the network's classes, 1, 2, "
                                         ".*, 10, got 0"):
        lrp.train(net, digits, epochs=1, progress=False)
    net.classes = list("abcdefghij")        # no number is a label: then a number is an index
    assert lrp.train(net, digits, epochs=1, progress=False).accuracy[-1] > 0.8


def test_models_of_other_libraries_are_told_from_networks(case):
    net, x = case
    for wrong, name in ((None, "NoneType"), ("net.npz", "str"), ((net, x), "tuple"),
                        (net.layers[0], "Dense of lrp_numpy.layers.dense")):
        for ask in (lrp.explain, lrp.explain_batches):
            with pytest.raises(ValueError, match=f"^net must be a Network of lrp_.*, got {name}$"):
                ask(wrong, x)


@pytest.mark.parametrize("package, function", [
    ("torch.nn.modules.linear", "from_torch"), ("keras.src.models.sequential", "from_keras"),
    ("tf_keras.models", "from_keras"), ("sklearn.pipeline", "from_sklearn")])
def test_the_right_conversion_is_named(case, package, function):
    model = type("Own", (type("Model", (), {"__module__": package}),), {})()
    with pytest.raises(ValueError, match=rf"got Own of .*; lrp\.{function}\(model\) makes one"):
        lrp.explain(model, case[1])


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_big_endian_arrays(digits, kind, engine):
    """As they lie in files of other machines: wherever x enters."""
    net = lrp.MLP.random([784, 8, 10], "relu", rng=0, dtype=np.dtype(kind))
    x = digits.test_images[:30].astype(kind)
    swapped = x.astype(f">{kind}")
    assert not swapped.dtype.isnative
    for ask in (net.forward, net.predict):
        np.testing.assert_array_equal(ask(swapped, engine), ask(x, engine))
    for one, other in zip(net.activations(swapped, engine), net.activations(x, engine)):
        np.testing.assert_array_equal(one, other)
    for rule in ("gamma_generalized", "z_box"):
        ours, theirs = (lrp.explain(net, each, rule, engine=engine) for each in (x, swapped))
        np.testing.assert_array_equal(ours.input, theirs.input)
        assert theirs.input.dtype == x.dtype and theirs.input.dtype.isnative
    start = np.ones((30, 10), f">{kind}")
    np.testing.assert_array_equal(lrp.explain(net, x, start=start).input,
                                  lrp.explain(net, x, start=start.astype(kind)).input)
    target = np.arange(30).astype(">i4") % 10
    np.testing.assert_array_equal(lrp.explain(net, x, target=target).target, target)


def test_big_endian_weights_and_digits(digits):
    x, labels = digits.test_images[:200], digits.test_labels[:200]
    nets = []
    for order in "<>":
        net = lrp.MLP.random([784, 8, 10], "relu", rng=0)
        net = lrp.MLP.from_arrays([layer.W.astype(f"{order}f4") for layer in net.layers],
                                  [layer.b.astype(f"{order}f4") for layer in net.layers], "relu")
        some = lrp.Digits(x.astype(f"{order}f4"), labels, x[:50].astype(f"{order}f4"), labels[:50])
        lrp.train(net, some, epochs=1, progress=False)
        nets.append(net)
    for one, other in zip(*(net.layers for net in nets)):
        assert other.W.dtype.isnative
        np.testing.assert_array_equal(one.W, other.W)
    layer, a = nets[0].layers[1], np.abs(x[:4, :8])
    R = lrp.rules.lrp_epsilon(a, layer.W, layer.b, np.ones((4, 10), np.float32))
    swapped = lrp.rules.lrp_epsilon(a.astype(">f4"), layer.W.astype(">f4"), layer.b, np.ones(
        (4, 10), ">f4"))
    np.testing.assert_array_equal(R, swapped)
