"""Cross-entropy, Adam and the loop: against definitions and hand calculations."""
from dataclasses import replace

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import arrays_of, same
from lrp_numpy.ops import kernels
from lrp_numpy.training.train import adam_step, cross_entropy, softmax


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
    adam_step(w, np.array([1.0]), m, v, 1, learning_rate=0.1)
    assert (m[0], v[0]) == pytest.approx((0.1, 0.001))
    assert w[0] == pytest.approx(0.9, rel=1e-7)
    adam_step(w, np.array([3.0]), m, v, 2, learning_rate=0.1)
    # m = 0.09 + 0.3 = 0.39, m^ = 0.39/0.19; v = 0.000999 + 0.009, v^ = 0.009999/0.001999
    assert w[0] == pytest.approx(0.9 - 0.1 * (0.39 / 0.19) / np.sqrt(0.009999 / 0.001999), rel=1e-7)


def test_adam_adds_epsilon_after_the_correction():
    """Kingma and Ba's algorithm 1; the paper's shortcut with another epsilon differs here."""
    w = np.array([0.0])
    adam_step(w, np.array([1e-8]), np.zeros(1), np.zeros(1), 1, learning_rate=1.0)
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
    w, g, m, v = np.array([1.0]), np.array([2e-8]), np.zeros(1), np.zeros(1)
    step(w, g, m, v, 1)
    np.testing.assert_allclose([w[0], m[0]], [1 - 0.001 * 2 / 3, 2e-9], rtol=1e-12)
    assert v[0] == pytest.approx(4e-19, rel=1e-9)


def scripted(monkeypatch, losses):
    """Steps that change nothing and have these losses."""
    losses = iter(losses)
    monkeypatch.setitem(lrp.training.STEPS, "numba", lambda *arguments: next(losses))


def test_the_loss_that_diverged_is_named(monkeypatch):
    scripted(monkeypatch, [2.0, 3.0, np.inf])
    with pytest.raises(FloatingPointError, match="diverged: the loss is inf at step 3, with "
                                                 "learning_rate=0.001; try a smaller one$"):
        lrp.train(lrp.MLP.random([4, 3]), small_digits(), batch_size=20, progress=False)


def test_the_bar_shows_the_last(monkeypatch, capfd):
    scripted(monkeypatch, [4.0, 3.0, 2.0, 1.0])
    accuracies = iter([0.25, 0.75])
    monkeypatch.setattr(lrp.training, "accuracy", lambda *arguments: next(accuracies))
    history = lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=2, batch_size=25)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "loss=1.000" in last and "accuracy=75.00%" in last and " 4/4 " in last
    assert history.loss.tolist() == [4, 3, 2, 1] and history.accuracy.tolist() == [0.25, 0.75]


def test_training_learns_and_tells(digits):
    net = lrp.MLP.random([784, 30, 10], "tanh", rng=0)
    history = lrp.train(net, digits, epochs=2, rng=0, progress=False)
    assert history.loss.shape == (160,) and history.accuracy.shape == (2,)
    assert history.loss[-20:].mean() < 0.6 < 2 < history.loss[0]
    assert history.accuracy[-1] == (net.predict(digits.test_images) == digits.test_labels).mean()
    assert history.accuracy[-1] > 0.85


def test_training_depends_on_rng_alone():
    def weights(rng):
        net = lrp.MLP.random([4, 5, 3], "relu", rng=0)
        lrp.train(net, small_digits(), epochs=2, batch_size=8, rng=rng, progress=False)
        return net.layers[0].W

    assert (weights(1) == weights(np.random.default_rng(1))).all()
    assert (weights(1) != weights(2)).any()


@pytest.fixture
def seen(monkeypatch):
    """The images of every forward pass, in turn."""
    seen, whole = [], lrp.MLP.activations
    monkeypatch.setattr(lrp.MLP, "activations",
                        lambda net, x, *rest, **more: (
                            seen.append(x), whole(net, x, *rest, **more))[1])
    return seen


def test_training_if_nothing_is_named():
    """Ten epochs of batches of 100 with 0.001, from the seed 0."""
    nets = [lrp.MLP.random([4, 5, 3]) for _ in range(2)]
    history = lrp.train(nets[0], small_digits(N=250), progress=False)
    lrp.train(nets[1], small_digits(N=250), 10, 100, 1e-3, 0, progress=False)
    assert len(history.accuracy) == 10 and len(history.loss) == 30
    assert same(*nets)


def test_digits_of_a_wider_type_will_do():
    """They are made numbers of the network's type, and as long as they fit, nothing is refused."""
    nets = [lrp.MLP.random([4, 5, 3]) for _ in range(2)]
    narrow = small_digits()
    wide = narrow._replace(train_images=narrow.train_images.astype(np.float64),
                           test_images=narrow.test_images.astype(np.float64))
    for net, digits in zip(nets, (narrow, wide)):
        lrp.train(net, digits, epochs=2, progress=False)
    assert same(*nets)


def test_every_image_is_seen_once_an_epoch(seen):
    """Also those of the last, smaller batch."""
    digits = small_digits(50)._replace(test_images=np.zeros((1, 4), np.float32),
                                       test_labels=np.zeros(1, int))
    history = lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, batch_size=8, progress=False)
    batches = seen[:-1]             # the last is the test image
    assert [len(batch) for batch in batches] == [8] * 6 + [2] and len(history.loss) == 7
    rows = np.concatenate(batches)
    assert (rows != digits.train_images).any()
    assert (np.sort(rows, axis=0) == np.sort(digits.train_images, axis=0)).all()


def test_data_are_not_changed():
    digits = small_digits()
    before = [array.copy() for array in digits]
    for array in digits:
        array.flags.writeable = False
    lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, progress=False)
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
    net = lrp.MLP.random([4, 3])
    before = arrays_of(net)
    with pytest.raises(ValueError, match=message):
        lrp.train(net, small_digits()._replace(**change), epochs=1)
    assert all((one == other).all() for pair in zip(before, arrays_of(net))
               for one, other in zip(*pair))


def test_divergence_is_said():
    digits = small_digits()._replace(train_images=np.full((50, 4), 1e30, np.float32))
    with pytest.raises(FloatingPointError, match="diverged: .* at step .*learning_rate=1e"):
        with np.errstate(all="ignore"):
            lrp.train(lrp.MLP.random([4, 5, 3], "relu"), digits, epochs=9, learning_rate=1e30,
                      progress=False)
    digits = small_digits()._replace(train_images=np.full((50, 4), 3e38, np.float32))
    for engine in ("numba", "numpy"):       # logits of 4 * 3e38 are infinite
        net = lrp.MLP.from_arrays([np.ones((4, 3), np.float32)], [np.ones(3, np.float32)], "relu")
        with pytest.raises(FloatingPointError, match="diverged: the loss is (nan|inf) at step 1"):
            with np.errstate(all="ignore"):
                lrp.train(net, digits, progress=False, engine=engine)


def test_divergence_in_the_last_step_is_said():
    """One step of an infinite length: its loss was still finite."""
    with pytest.raises(FloatingPointError, match="a weight or its moment is not finite at step 1"):
        with np.errstate(all="ignore"):
            lrp.train(lrp.MLP.random([4, 5, 3], "relu"), small_digits(), epochs=1,
                      learning_rate=1e39, progress=False)


def test_divergence_that_only_the_test_images_show_is_said():
    """The weights are finite, as is the loss, but not every logit."""
    digits = small_digits()._replace(test_images=np.full((50, 4), 3e38, np.float32))
    with pytest.raises(FloatingPointError, match="training diverged: logits must be finite, got .*"
                                                 " at step 1, with learning_rate=10"):
        lrp.train(lrp.MLP.random([4, 5, 3], "relu"), digits, 1, 50, 10, progress=False)


def test_every_epoch_has_another_order(seen):
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=2, batch_size=50, progress=False)
    first, _, second, _ = seen
    assert (first != second).any() and (np.sort(first, axis=0) == np.sort(second, axis=0)).all()


def test_lists_and_numpy_numbers_will_do():
    digits = small_digits()
    digits = digits._replace(train_labels=digits.train_labels.tolist(),
                             test_labels=digits.test_labels.tolist())
    history = lrp.train(lrp.MLP.random([4, 3]), digits, epochs=1, batch_size=np.uint8(20),
                        learning_rate=np.float32(0.01), progress=False)
    assert len(history.loss) == 3


def test_weights_of_another_layout_are_refused():
    """Training them would change a copy and leave the network as it was."""
    net = lrp.MLP.random([4, 3])
    net.layers[0] = replace(net.layers[0], W=np.asfortranarray(net.layers[0].W))
    with pytest.raises(ValueError, match="must be C-contiguous"):
        lrp.train(net, small_digits(), epochs=1, progress=False)


def test_progress_goes_to_stderr(capfd):
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=1)
    out, err = capfd.readouterr()
    assert out == "" and "accuracy=" in err and "loss=" in err
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=3, batch_size=8)
    assert " 21/21 " in capfd.readouterr().err      # 50 images are 7 batches
    lrp.train(lrp.MLP.random([4, 3]), small_digits(), epochs=1, progress=False)
    assert capfd.readouterr() == ("", "")
