"""Cross-entropy, Adam and the loop: against definitions and hand calculations."""
import re
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, arrays_of, same, terminal
from lrp_numpy import ops
from lrp_numpy.ops import choose, kernels
from lrp_numpy.ops.reference import adam_step, cross_entropy
from lrp_numpy.training import Adam, softmax, training_step

# The package has a function of the name of this module
training = import_module("lrp_numpy.training.train")
PAPERS = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}    # the numbers of Adam's paper


def small_digits(N=50, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    x = rng.random((N, 4)).astype(np.float32)
    labels = (x[:, :classes].argmax(axis=1))
    return lrp.Digits(x, labels, x, labels)


@pytest.mark.parametrize("seed", range(5))
def test_softmax_and_cross_entropy_as_defined(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (7, 4)), rng.integers(0, 4, 7)
    p = np.array([[np.exp(logit) / sum(np.exp(row)) for logit in row] for row in logits])
    np.testing.assert_allclose(softmax(logits), p, rtol=1e-12)
    loss, dlogits = cross_entropy(logits, labels)
    assert loss == pytest.approx(-np.mean([np.log(p[n, labels[n]]) for n in range(7)]), rel=1e-12)
    np.testing.assert_allclose(dlogits, (p - np.eye(4)[labels]) / 7, rtol=1e-10)


def test_huge_logits_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        loss, dlogits = cross_entropy(np.array([[1e4, -1e4], [0, 1e4]]), np.array([1, 1]))
    assert loss == 1e4
    np.testing.assert_allclose(dlogits, [[0.5, -0.5], [0, 0]])


def test_adam_by_hand():
    """Two steps with gradients 1 and 3: first step is learning_rate, whatever the gradient."""
    w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    adam_step(w, np.array([1.0]), m, v, 1, learning_rate=0.1, **PAPERS)
    assert (m[0], v[0]) == pytest.approx((0.1, 0.001))
    assert w[0] == pytest.approx(0.9, rel=1e-7)
    adam_step(w, np.array([3.0]), m, v, 2, learning_rate=0.1, **PAPERS)
    # m = 0.09 + 0.3 = 0.39, m^ = 0.39/0.19; v = 0.000999 + 0.009, v^ = 0.009999/0.001999
    assert w[0] == pytest.approx(0.9 - 0.1 * (0.39 / 0.19) / np.sqrt(0.009999 / 0.001999), rel=1e-7)


def test_adam_adds_epsilon_after_the_correction():
    """Kingma and Ba's algorithm 1; the paper's shortcut with another epsilon differs here."""
    w = np.array([0.0])
    adam_step(w, np.array([1e-8]), np.zeros(1), np.zeros(1), 1, learning_rate=1.0, **PAPERS)
    assert w[0] == pytest.approx(-0.5)      # m^ = 1e-8, sqrt(v^) = 1e-8, epsilon = 1e-8


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("P", [1, 7, 1000])
def test_adam_kernel_equals_the_equation(dtype, rtol, P):
    rng = np.random.default_rng(P)
    one, other = ([rng.normal(size=P).astype(dtype), np.zeros(P, dtype), np.zeros(P, dtype)]
                  for rng in (np.random.default_rng(1), np.random.default_rng(1)))
    for t in range(1, 20):
        gradient = rng.normal(size=P).astype(dtype)
        adam_step(one[0], gradient, *one[1:], t, 0.02, 0.8, 0.99, 1e-6)
        kernels.adam_step(other[0], gradient, *other[1:], t, 0.02, 0.8, 0.99, 1e-6)
    for array, twin in zip(one, other):
        assert twin.dtype == dtype
        np.testing.assert_allclose(twin, array, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("step", [adam_step, kernels.adam_step])
def test_adam_if_nothing_is_named(step):
    """The numbers of the paper: 0.001, 0.9, 0.999 and 1e-8. By hand, the first step with g = 2e-8:
    m = 0.1 g, v = 0.001 g^2, m^ = g, v^ = g^2, so w goes down by 0.001 g / (g + 1e-8)."""
    adam = Adam(lrp.MLP.random([1, 1]))
    assert adam.numbers == (0, 0.001, 0.9, 0.999, 1e-8)
    w, g, m, v = np.array([1.0]), np.array([2e-8]), np.zeros(1), np.zeros(1)
    adam.t = 1
    step(w, g, m, v, *adam.numbers)
    np.testing.assert_allclose([w[0], m[0]], [1 - 0.001 * 2 / 3, 2e-9], rtol=1e-12)
    assert v[0] == pytest.approx(4e-19, rel=1e-9)


NUMBERS = [{}, {"beta1": 0.5}, {"beta2": 0.9}, {"epsilon": 0.1}, {"learning_rate": 0.07},
           {"beta1": 0.0, "beta2": 0.0}]


def wide_network():
    """Layers on whose rows the loops go, and others along whose columns they go."""
    return lrp.MLP.random([4, 40, 5, 3], "tanh", rng=0, dtype=np.float64)


def small_cnn():
    return lrp.lenet(0, "tanh", (2, 3), 7, np.float64)


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
@pytest.mark.parametrize("make", [wide_network, small_cnn])
@pytest.mark.parametrize("when", ["made", "later"])
def test_adam_is_one_object(make, numbers, when):
    """What is changed in it, at the beginning or later, both engines follow, as does Adam written
    out here; the number of the step is its own."""
    rng, nets = np.random.default_rng(0), [make() for _ in range(3)]
    x, labels = rng.normal(size=(3, 6, nets[0].sizes[0])), rng.integers(0, 3, (3, 6))
    adams = [Adam(net, **(numbers if when == "made" else {})) for net in nets[:2]]
    for adam in adams:
        for name, value in numbers.items():
            setattr(adam, name, value)
    by_hand = {"learning_rate": 0.001, **PAPERS, **numbers}
    moments = [[(0, 0) for _ in layer.parameters] for layer in nets[2].layers]
    for t in (1, 2, 3):
        losses = [training_step(net, adam, x[t - 1], labels[t - 1], choose(engine))
                  for net, adam, engine in zip(nets, adams, ENGINES)]
        forward_pass = nets[2].forward_pass(x[t - 1])
        loss, dlogits = cross_entropy(forward_pass.a[-1], labels[t - 1])
        np.testing.assert_allclose(losses, loss, rtol=1e-10)
        gradients = nets[2].backward(forward_pass, dlogits)
        for layer, of_layer, kept in zip(nets[2].layers, gradients, moments):
            for number, (name, g) in enumerate(zip(layer.parameters, of_layer)):
                m, v = kept[number]
                m = by_hand["beta1"] * m + (1 - by_hand["beta1"]) * g
                v = by_hand["beta2"] * v + (1 - by_hand["beta2"]) * g * g
                kept[number] = m, v
                m_hat, v_hat = m / (1 - by_hand["beta1"]**t), v / (1 - by_hand["beta2"]**t)
                getattr(layer, name)[...] -= by_hand["learning_rate"] * m_hat / (
                    np.sqrt(v_hat) + by_hand["epsilon"])
        assert [adam.t for adam in adams] == [t, t]
    for net, adam in zip(nets, adams):
        for layer, expected, of_layer, kept in zip(net.layers, nets[2].layers, adam.state, moments):
            for name, (w, m, v), theirs in zip(layer.parameters, of_layer, kept, strict=True):
                assert w is getattr(layer, name)
                for one, other in zip((w, m, v), (getattr(expected, name), *theirs)):
                    # where a gradient is all but 0, its rounding decides on the step
                    clear = np.abs(theirs[0]) > 1e-9
                    np.testing.assert_allclose(one[clear], other[clear], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name, value, message", [
    ("learning_rate", 0, "learning_rate must be a finite number above 0, got 0"),
    ("epsilon", 0, "epsilon must be a finite number above 0, got 0"),
    ("epsilon", np.inf, "epsilon must be a finite number above 0, got inf"),
    ("beta1", 1, "beta1 must be a number of at least 0 and below 1, got 1"),
    ("beta1", -0.1, "beta1 must be a number of at least 0 and below 1, got -0.1"),
    ("beta2", 1.5, "beta2 must be a number of at least 0 and below 1, got 1.5"),
    ("beta2", np.nan, "beta2 must be a number of at least 0 and below 1, got nan"),
    ("beta1", "0.9", "beta1 must be a number of at least 0 and below 1, got '0.9'")])
def test_adam_refuses(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Adam(lrp.MLP.random([4, 3]), **{name: value})


def test_nothing_below_the_lowest_trained_layer_is_changed():
    """Nor computed: a layer without weights at the bottom is never asked for a derivative."""
    class Bottom(lrp.Unflatten):
        def backward(self, a, dz, ops=None):
            raise AssertionError("nobody needs it")

    class First(lrp.Dense):
        backward = Bottom.backward

    first, last = lrp.MLP.random([4, 5, 3], "relu").layers
    for net, number in ((lrp.Network([Bottom((1, 2, 2)), lrp.Flatten(), first, last]), 2),
                        (lrp.Network([First(first.W, first.b, "relu"), last]), 0),
                        (lrp.Network([Bottom((1, 2, 2)), lrp.Flatten(),
                                      First(first.W, first.b, "relu"), last]), 2)):
        assert net.first_trained == number
        gradients = net.backward(net.forward_pass(small_digits().test_images),
                                 np.ones((50, 3), np.float32))
        assert [len(of_layer) for of_layer in gradients] == [0] * number + [2, 2]
        for engine in ENGINES:
            lrp.train(net, small_digits(), 1, progress=False, engine=engine)


def scripted(monkeypatch, losses):
    """Steps that change nothing and have these losses."""
    losses = iter(losses)
    monkeypatch.setattr(training, "training_step", lambda *arguments: next(losses))


def test_the_loss_that_diverged_is_named(monkeypatch):
    scripted(monkeypatch, [2.0, 3.0, np.inf])
    with pytest.raises(FloatingPointError, match="diverged: the loss is inf at step 3, with "
                                                 "learning_rate=0.001; try a smaller one$"):
        lrp.train(lrp.MLP.random([4, 3]), small_digits(), batch_size=20, progress=False)


def test_the_bar_shows_the_last(monkeypatch):
    """On a terminal."""
    scripted(monkeypatch, [4.0, 3.0, 2.0, 1.0])
    accuracies = iter([0.25, 0.75])
    monkeypatch.setattr(training, "accuracy", lambda *arguments: next(accuracies))
    with terminal() as shown:
        history = lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=2, batch_size=25)
    last = shown.getvalue().split("\r")[-1]
    assert "loss=1.000" in last and "accuracy=75.00%" in last and " 4/4 " in last
    assert history.loss.tolist() == [4, 3, 2, 1] and history.accuracy.tolist() == [0.25, 0.75]


def test_one_line_an_epoch_where_there_is_no_terminal(monkeypatch, capfd):
    """In a notebook or a log: the loss of the last batch, and the accuracy after it."""
    scripted(monkeypatch, [4.0, 3.0, 2.0, 1.0])
    accuracies = iter([0.25, 0.75])
    monkeypatch.setattr(training, "accuracy", lambda *arguments: next(accuracies))
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=2, batch_size=25)
    assert capfd.readouterr() == ("", "epoch 1 of 2: loss 3.000, accuracy 25.00%\n"
                                      "epoch 2 of 2: loss 1.000, accuracy 75.00%\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_training_learns_and_reports(digits, engine):
    net = lrp.MLP.random([784, 30, 10], "tanh", rng=0)
    history = lrp.train(net, digits, epochs=2, rng=0, progress=False, engine=engine)
    assert history.loss.shape == (160,) and history.accuracy.shape == (2,)
    assert history.loss[-20:].mean() < 0.6 < 2 < history.loss[0]
    assert history.accuracy[-1] == (net.predict(digits.test_images) == digits.test_labels).mean()
    assert history.accuracy[-1] > 0.85


@pytest.mark.parametrize("engine", ENGINES)
def test_the_accuracy_is_that_of_the_test_images(engine):
    """After each epoch, of other images with other labels than those that are learned."""
    learned, others = small_digits(), small_digits(40, seed=1)
    wrong = (others.test_labels + 1) % 3
    digits = learned._replace(test_images=others.test_images, test_labels=wrong)
    net, after, again = lrp.MLP.random([4, 20, 3], "relu", rng=0), [], None
    history = lrp.train(net, digits, 30, 10, 0.01, progress=False, engine=engine)
    for epochs in (1, 15, 30):
        again = lrp.MLP.random([4, 20, 3], "relu", rng=0)
        lrp.train(again, digits, epochs, 10, 0.01, progress=False, engine=engine)
        after.append(lrp.training.accuracy(again, others.test_images, wrong, engine))
    assert history.accuracy[[0, 14, 29]].tolist() == after
    assert history.accuracy[-1] < 0.2
    assert lrp.training.accuracy(net, learned.train_images, learned.train_labels) > 0.8


@pytest.mark.parametrize("engine", ENGINES)
def test_training_depends_on_rng_alone(engine):
    def weights(rng):
        net = lrp.MLP.random([4, 5, 3], "relu", rng=0)
        lrp.train(net, small_digits(), epochs=2, batch_size=8, rng=rng, progress=False,
                  engine=engine)
        return net.layers[0].W

    assert (weights(1) == weights(np.random.default_rng(1))).all()
    assert (weights(1) != weights(2)).any()


@pytest.fixture
def seen(monkeypatch):
    """The images of every forward pass of a network of one layer, in turn."""
    seen, whole = [], lrp.Dense.preactivation
    monkeypatch.setattr(lrp.Dense, "preactivation",
                        lambda layer, a, *rest: (seen.append(a), whole(layer, a, *rest))[1])
    return seen


@pytest.mark.parametrize("engine", ENGINES)
def test_training_if_nothing_is_named(engine):
    """Ten epochs of batches of 100 with 0.001, from the seed 0."""
    nets = [lrp.MLP.random([4, 5, 3]) for _ in range(2)]
    history = lrp.train(nets[0], small_digits(N=250), progress=False, engine=engine)
    lrp.train(nets[1], small_digits(N=250), 10, 100, 1e-3, 0, progress=False, engine=engine)
    assert len(history.accuracy) == 10 and len(history.loss) == 30
    assert same(*nets)


@pytest.mark.parametrize("epochs, N", [(1, 50), (2, 50), (3, 47)])
def test_the_engine_if_none_is_named(monkeypatch, epochs, N):
    """By images x epochs x multiplications alone: the equations below, the loops from there on."""
    def trained_by(engine):
        net = lrp.MLP.random([4, 40, 3], rng=0)
        lrp.train(net, small_digits(N), epochs, 20, progress=False, engine=engine)
        return net

    work = N * epochs * (4 * 40 + 40 * 3)
    assert not same(trained_by("numpy"), trained_by("numba"))       # they round differently
    for least, engine in ((work, "numba"), (work + 1, "numpy"), (ops.LOOPS_FROM, "numpy")):
        monkeypatch.setattr(ops, "LOOPS_FROM", least)
        assert same(trained_by(None), trained_by(engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_digits_of_a_wider_type_will_do(engine):
    """They are made numbers of the network's type, and as long as they fit, nothing is refused."""
    nets = [lrp.MLP.random([4, 5, 3]) for _ in range(2)]
    narrow = small_digits()
    wide = narrow._replace(train_images=narrow.train_images.astype(np.float64),
                           test_images=narrow.test_images.astype(np.float64))
    for net, digits in zip(nets, (narrow, wide)):
        lrp.train(net, digits, epochs=2, progress=False, engine=engine)
    assert same(*nets)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_image_is_seen_once_an_epoch(seen, engine):
    """Also those of the last, smaller batch."""
    digits = small_digits(50)._replace(test_images=np.zeros((1, 4), np.float32),
                                       test_labels=np.zeros(1, int))
    history = lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, batch_size=8, progress=False,
                        engine=engine)
    batches = seen[:-1]             # the last is the test image
    assert [len(batch) for batch in batches] == [8] * 6 + [2] and len(history.loss) == 7
    rows = np.concatenate(batches)
    assert (rows != digits.train_images).any()
    assert (np.sort(rows, axis=0) == np.sort(digits.train_images, axis=0)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_data_are_not_changed(engine):
    digits = small_digits()
    before = [array.copy() for array in digits]
    for array in digits:
        array.flags.writeable = False
    lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, progress=False, engine=engine)
    assert all((one == other).all() for one, other in zip(before, digits))


@pytest.mark.parametrize("settings, message", [
    ({"epochs": True}, "epochs must be an integer of at least 1, got True"),
    ({"engine": ["numba"]}, r"engine must be 'numpy' or 'numba', got \['numba'\]"),
    ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
    ({"batch_size": 2.5}, "batch_size must be an integer of at least 1, got 2.5"),
    ({"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0"),
    ({"learning_rate": 10**400}, "learning_rate must be a finite number above 0, got 1000"),
    ({"learning_rate": -1}, "learning_rate must be a finite number above 0, got -1"),
    ({"learning_rate": "fast"}, "learning_rate must be a finite number above 0, got 'fast'"),
    ({"learning_rate": np.nan}, "learning_rate must be a finite number above 0, got nan"),
    ({"learning_rate": np.inf}, "learning_rate must be a finite number above 0, got inf")])
def test_settings_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lrp.train(lrp.MLP.random([4, 3]), small_digits(), **settings)


def test_an_accuracy_needs_its_labels(trained, digits):
    x, labels = digits.test_images[:5], digits.test_labels[:5]
    right = (trained.predict(x) == labels).mean()
    assert lrp.training.accuracy(trained, x, labels) == right
    for engine in ENGINES:
        assert lrp.training.accuracy(trained, x, labels, engine) == right
    for wrong, message in ((labels[:1], "labels must be 5 integers"), (labels + 9, "lie in 0..9"),
                           (labels - 9, "lie in 0..9"), (labels / 1, "labels must be 5 integers")):
        with pytest.raises(ValueError, match=message):
            lrp.training.accuracy(trained, x, wrong)
    with pytest.raises(ValueError, match="images must hold at least one image, got none"):
        lrp.training.accuracy(trained, x[:0], labels[:0])


@pytest.mark.parametrize("change, message", [
    ({"train_labels": np.full(50, 3)}, r"train_labels must lie in 0..2, got 3"),
    ({"train_labels": np.arange(50)}, r"train_labels must lie in 0..2, got 3"),
    ({"test_labels": -np.arange(50)}, r"test_labels must lie in 0..2, got -1"),
    ({"test_images": np.full((50, 4), 4e38)}, "test_images must fit into float32, .*, got 4e.38"),
    ({"train_images": np.full((50, 4), -4e38)}, "train_images must fit into float32, .* got 4e.38"),
    ({"test_labels": np.full(50, -1)}, r"test_labels must lie in 0..2, got -1"),
    ({"train_images": np.zeros((0, 4)), "train_labels": np.zeros(0, int)},
     "train_images must hold at least one image, got none"),
    ({"train_labels": np.zeros(49, int)}, "train_labels must be 50 integers"),
    ({"train_labels": np.zeros(50)}, "train_labels must be 50 integers.*float64"),
    ({"train_images": np.full((50, 4), np.nan)}, "train_images must be finite, got nan in row 0"),
    ({"test_images": np.zeros((50, 5))}, r"test_images must be an array of shape \(N, 4\)")])
def test_digits_refused(change, message):
    net = lrp.MLP.random([4, 50, 3])
    before = arrays_of(net)
    with pytest.raises(ValueError, match=message):
        lrp.train(net, small_digits()._replace(**change), epochs=1)
    assert all((one == other).all() for pair in zip(before, arrays_of(net))
               for one, other in zip(*pair))


def test_divergence_is_reported():
    digits = small_digits()._replace(train_images=np.full((50, 4), 1e30, np.float32))
    for engine in ENGINES:
        with pytest.raises(FloatingPointError, match="diverged: .* at step .*learning_rate=1e"):
            lrp.train(lrp.MLP.random([4, 5, 3], "relu"), digits, epochs=9, learning_rate=1e30,
                      progress=False, engine=engine)
    digits = small_digits()._replace(train_images=np.full((50, 4), 3e38, np.float32))
    for engine in ENGINES:      # logits of 4 * 3e38 are infinite
        net = lrp.MLP.from_arrays([np.ones((4, 3), np.float32)], [np.ones(3, np.float32)], "relu")
        with pytest.raises(FloatingPointError, match="diverged: the loss is (nan|inf) at step 1"):
            lrp.train(net, digits, progress=False, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_in_the_last_step_is_reported(engine):
    """One step of an infinite length: its loss was still finite."""
    with pytest.raises(FloatingPointError, match="a weight or its moment is not finite at step 1"):
        lrp.train(lrp.MLP.random([4, 5, 3], "relu"), small_digits(), epochs=1, learning_rate=1e39,
                  progress=False, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_on_the_test_images_is_reported(engine):
    """The weights are finite, as is the loss, but not every logit."""
    digits = small_digits()._replace(test_images=np.full((50, 4), 3e38, np.float32))
    with pytest.raises(FloatingPointError, match="training diverged: logits must be finite, got .*"
                                                 " at step 1, with learning_rate=10"):
        lrp.train(lrp.MLP.random([4, 5, 3], "relu"), digits, 1, 50, 10, progress=False,
                  engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_epoch_has_another_order(seen, engine):
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=2, batch_size=50, progress=False,
              engine=engine)
    first, _, second, _ = seen
    assert (first != second).any() and (np.sort(first, axis=0) == np.sort(second, axis=0)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_lists_and_numpy_numbers_will_do(engine):
    digits = small_digits()
    digits = digits._replace(train_labels=digits.train_labels.tolist(),
                             test_labels=digits.test_labels.tolist())
    history = lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, batch_size=np.uint8(20),
                        learning_rate=np.float32(0.01), progress=False, engine=engine)
    assert len(history.loss) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_another_layout_are_refused(engine):
    """Training them would change a copy and leave the network as it was."""
    net = lrp.MLP.random([4, 3])
    net.layers[0] = replace(net.layers[0], W=np.asfortranarray(net.layers[0].W))
    with pytest.raises(ValueError, match="must be C-contiguous"):
        lrp.train(net, small_digits(), epochs=1, progress=False, engine=engine)


def test_progress_goes_to_stderr(capfd):
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=3, batch_size=8)
    out, err = capfd.readouterr()
    line = r"epoch \d of 3: loss \d\.\d{3}, accuracy \d+\.\d\d%"
    assert out == "" and [bool(re.fullmatch(line, one)) for one in err.splitlines()] == [True] * 3
    with terminal() as shown:
        lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=3, batch_size=8)
    shown = shown.getvalue()        # 50 images are 7 batches
    assert " 21/21 " in shown and "accuracy=" in shown and "loss=" in shown and "epoch" not in shown
    for is_terminal in (True, False):
        with terminal() if is_terminal else nullcontext() as shown:
            lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=1, progress=False)
        assert capfd.readouterr() == ("", "") and (not is_terminal or shown.getvalue() == "")


@pytest.mark.parametrize("given", ["digits", "a tuple", "x, y"])
def test_whatever_holds_the_digits(random_case, given):
    net, x = random_case([9, 8, 4], "relu", 0)
    y = np.arange(len(x)) % 4
    arguments = {"digits": (lrp.Digits(x, y, x, y),), "a tuple": ((x, y, x, y),), "x, y": (x, y)}
    other = lrp.MLP(net.layers)
    expected = lrp.train(other, lrp.Digits(x, y, x, y), 3, 2, progress=False)
    history = lrp.train(net, *arguments[given], 3, 2, progress=False)
    np.testing.assert_array_equal(history.loss, expected.loss)
    np.testing.assert_array_equal(history.accuracy, expected.accuracy)
    assert len(lrp.train(net, *arguments[given], epochs=1, progress=False).accuracy) == 1
    assert lrp.train(net, x, y.tolist(), epochs=1, progress=False).loss.shape == (1,)


@pytest.mark.parametrize("wrong, name", [(None, "NoneType"), ("mnist", "str"), ((1, 2), "tuple"),
                                         (np.ones((3, 9)), "ndarray")])
def test_what_holds_no_digits_is_refused(random_case, wrong, name):
    with pytest.raises(ValueError, match=f"^digits must have train_images, .*, got {name}"):
        lrp.train(random_case([9, 8, 4], "relu", 0)[0], wrong, progress=False)
