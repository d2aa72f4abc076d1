"""Training that stops and goes on: the same bits as training that never stopped."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ENGINES, same

import lrp_numpy as lrp
from lrp_numpy import ops
from lrp_numpy.ops import choose
from lrp_numpy.training import checkpoint as checkpoints

# The package has a function of the name of this module
training = import_module("lrp_numpy.training.train")

RUN = """
import io, sys, time, numpy as np, lrp_numpy as lrp
whole = np.savez
def in_halves(file, **arrays):
    if "losses" not in arrays:
        return whole(file, **arrays)
    whole(content := io.BytesIO(), **arrays)
    half = len(content.getvalue()) // 2
    file.write(content.getvalue()[:half])
    file.flush()
    print("half of it", flush=True)
    time.sleep(0.05)
    file.write(content.getvalue()[half:])
np.savez = in_halves
net = lrp.MLP.random([784, 100, 10], "relu", rng=3)
lrp.train(net, lrp.load_mnist(), epochs=int(sys.argv[2]), rng=5, checkpoint=sys.argv[1],
          progress=False)
net.save(sys.argv[1] + ".net")
"""


@pytest.fixture
def small():
    """A few images of 12 pixels in 3 classes: 7 batches an epoch, the last one smaller."""
    rng = np.random.default_rng(0)
    images, labels = rng.random((64, 12), dtype=np.float32), rng.integers(0, 3, 64)
    return SimpleNamespace(train_images=images, train_labels=labels, test_images=images[:20],
                           test_labels=labels[:20])


def network(seed=1, sizes=(12, 8, 3)):
    return lrp.MLP.random(sizes, "relu", rng=seed)


def settings(**changed):
    return {"epochs": 4, "batch_size": 10, "rng": 7, "progress": False} | changed


def stop_after(monkeypatch, steps, what=lambda: os.kill(os.getpid(), signal.SIGINT)):
    """Ctrl-C within step number `steps`, counted from here."""
    step, count = training.training_step, []

    def counted(*arguments):
        count.append(1)
        if len(count) == steps:
            what()
        return step(*arguments)
    monkeypatch.setattr(training, "training_step", counted)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox,
                                  np.random.SFC64])
@pytest.mark.parametrize("stops", [[1], [3], [7], [8], [5, 9, 3], [27], [28]])
@pytest.mark.parametrize("engine", ENGINES)
def test_stopped_and_gone_on(tmp_path, monkeypatch, small, engine, stops, bits):
    """Anywhere, several times: weights, history and generator agree."""
    whole, rng = network(), np.random.Generator(bits(7))
    history = lrp.train(whole, small, **settings(rng=rng, engine=engine))
    path = tmp_path / "run.npz"
    for steps in stops:
        with monkeypatch.context() as patch:
            stop_after(patch, steps)
            with pytest.raises(KeyboardInterrupt):
                lrp.train(network(), small, **settings(rng=np.random.Generator(bits(7)),
                                                       engine=engine), checkpoint=path)
    net, again = network(), np.random.Generator(bits(7))
    gone_on = lrp.train(net, small, **settings(rng=again, engine=engine), checkpoint=path)
    assert same(net, whole)
    np.testing.assert_array_equal(gone_on.loss, history.loss)
    np.testing.assert_array_equal(gone_on.accuracy, history.accuracy)
    assert again.random() == rng.random()
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("engine", ENGINES)
def test_moments_are_kept(tmp_path, small, engine):
    """More epochs than at first: Adam goes on with its m, v and t."""
    whole, net, path = network(), network(), tmp_path / "run.npz"
    lrp.train(whole, small, **settings(epochs=5, engine=engine))
    lrp.train(net, small, **settings(epochs=2, engine=engine), checkpoint=path)
    net = network()
    lrp.train(net, small, **settings(epochs=5, engine=engine), checkpoint=path)
    assert same(net, whole)
    done = network()        # there is nothing left to do
    history = lrp.train(done, small, **settings(epochs=5, engine=engine), checkpoint=path)
    assert same(done, whole) and len(history.accuracy) == 5


@pytest.mark.parametrize("engine", ENGINES)
def test_the_stopped_network_goes_on(tmp_path, monkeypatch, small, engine):
    """Not only one like that with which the run began: also this one, as Ctrl-C left it."""
    whole, net, path = network(), network(), tmp_path / "run.npz"
    history = lrp.train(whole, small, **settings(engine=engine))
    for steps in (9, 4):
        with monkeypatch.context() as patch:
            stop_after(patch, steps)
            with pytest.raises(KeyboardInterrupt):
                lrp.train(net, small, **settings(engine=engine), checkpoint=path)
    gone_on = lrp.train(net, small, **settings(engine=engine), checkpoint=path)
    assert same(net, whole) and (gone_on.loss == history.loss).all()


@pytest.mark.parametrize("epochs", [0, 1])
def test_other_weights_are_refused(tmp_path, small, monkeypatch, epochs):
    """A network of the same shape that is neither where the run began nor where it is now."""
    path, net = tmp_path / "run.npz", network()
    with monkeypatch.context() as patch:
        stop_after(patch, 7 * epochs + 1)
        with pytest.raises(KeyboardInterrupt):
            lrp.train(net, small, **settings(), checkpoint=path)
    other, half = network(seed=2), network()
    half.layers[1].b[...] = net.layers[1].b + 1
    for wrong in (other, half):
        before, file = [layer.W.copy() for layer in wrong.layers], path.read_bytes()
        with pytest.raises(ValueError, match="cannot be used: it is of a run with another network: "
                                             "its weights are neither"):
            lrp.train(wrong, small, **settings(), checkpoint=path)
        assert all((layer.W == W).all() for layer, W in zip(wrong.layers, before))
        assert path.read_bytes() == file
    lrp.train(network(), small, **settings(), checkpoint=path)


def test_a_path_that_cannot_be_written_is_found_out_first(tmp_path, small):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "run.npz", tmp_path / "file" / "run.npz", tmp_path):
        net = network()
        with pytest.raises((OSError, ValueError), match=str(path)):
            lrp.train(net, small, **settings(), checkpoint=path)
        assert same(net, network())
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.long
def test_a_cnn_goes_on(tmp_path, monkeypatch, digits, engine):
    few = SimpleNamespace(**{name: getattr(digits, name)[:200] for name in checkpoints.DIGITS})

    def make():
        return lrp.lenet(0, channels=(2, 3), hidden=5)

    whole, path = make(), tmp_path / "run.npz"
    lrp.train(whole, few, 2, progress=False, engine=engine)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            lrp.train(make(), few, 2, progress=False, engine=engine, checkpoint=path)
    net = make()
    lrp.train(net, few, 2, progress=False, engine=engine, checkpoint=path)
    assert all((getattr(one, name) == getattr(two, name)).all()
               for one, two in zip(net.layers, whole.layers) for name in one.parameters)


@pytest.mark.parametrize("change, message", [
    ({"net": network(sizes=(12, 9, 3))}, r"another network: float32 Dense W \(12, 8\).* there, "
                                         r"float32 Dense W \(12, 9\)"),
    ({"net": lrp.MLP.random([12, 8, 3], "tanh", rng=1)}, "another network: .*relu.*tanh"),
    ({"net": lrp.MLP.random([12, 8, 3], "relu", rng=1, dtype=np.float64)}, "another network"),
    ({"batch_size": 11}, "another batch_size: 10 there, 11 here"),
    ({"learning_rate": 0.1}, "another learning_rate: 0.001 there, 0.1 here"),
    ({"engine": "numba"}, "another engine: 'numpy' there, 'numba' here"),
    ({"rng": 8}, "another rng: PCG64 .* there, PCG64 "),
    ({"train_images": 0}, r"another train_images: \(64, 12\) float32"),
    ({"test_labels": 0}, "another test_labels"),
    ({"epochs": 1}, "epochs must be at least 2, as many as the checkpoint .* has begun, got 1")])
def test_of_another_run(tmp_path, small, change, message):
    path = tmp_path / "run.npz"
    lrp.train(network(), small, **settings(epochs=2), checkpoint=path)
    before, net = path.read_bytes(), change.pop("net", network())
    untouched = [layer.W.copy() for layer in net.layers]
    for name in [name for name in change if name in checkpoints.DIGITS]:
        array = getattr(small, name).copy()
        array[change.pop(name)] = 1 - array[0]
        setattr(small, name, np.clip(array, 0, 2))
    with pytest.raises(ValueError, match=message):
        lrp.train(net, small, **settings(epochs=2) | change, checkpoint=path)
    assert path.read_bytes() == before
    assert all((layer.W == W).all() for layer, W in zip(net.layers, untouched))


def test_the_weights_of_every_layer_are_compared(tmp_path, small):
    path, net = tmp_path / "run.npz", network()
    lrp.train(net, small, **settings(epochs=1), checkpoint=path)
    for number, name in ((0, "W"), (0, "b"), (1, "W"), (1, "b")):
        other = lrp.MLP(net.layers)
        getattr(other.layers[number], name).ravel()[-1] += 1
        with pytest.raises(ValueError, match="its weights are neither"):
            lrp.train(other, small, **settings(), checkpoint=path)
    lrp.train(net, small, **settings(), checkpoint=path)


def test_what_a_checkpoint_does_not_say_is_missed(tmp_path, small):
    path = tmp_path / "run.npz"
    lrp.train(network(), small, **settings(epochs=1), checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file)
    identity = json.loads(str(arrays["identity"]))
    assert {"network", "rng", "batch_size", "learning_rate", "engine", "train_images"} <= set(
        identity)
    for name in identity:
        if name != checkpoints.FIRST_WEIGHTS:
            rest = {key: value for key, value in identity.items() if key != name}
            np.savez(path, **arrays | {"identity": np.array(json.dumps(rest))})
            with pytest.raises(ValueError, match=f"another {name}: None there"):
                lrp.train(network(), small, **settings(), checkpoint=path)


@pytest.mark.parametrize("damage", [
    lambda whole: b"", lambda whole: b"no zip file", lambda whole: whole[:-30],
    lambda whole: whole[:200] + b"\x00" * 50 + whole[250:], lambda whole: whole[:len(whole) // 2]])
def test_damaged_checkpoints_are_refused(tmp_path, small, damage):
    path = tmp_path / "run.npz"
    lrp.train(network(), small, **settings(epochs=1), checkpoint=path)
    path.write_bytes(damage(path.read_bytes()))
    net = network()
    with pytest.raises(ValueError, match="checkpoint .*run.npz cannot be used: "):
        lrp.train(net, small, **settings(), checkpoint=path)
    assert same(net, network())


@pytest.mark.parametrize("change", [
    {"identity": "[]"}, {"identity": "{"}, {"losses": None}, {"w_0_0": np.zeros(3)},
    {"m_1_1": None}, {"v_0_1": np.zeros(8, np.float64)}, {"identity": "[" * 100_000},
    {"identity": np.full(1, 0xffffffff, np.uint32).view("U1")[0:1].reshape(())},
    {"identity": " " * 2**18 + "{}"}, {"identity": None}, {"accuracies": None},
    {"losses": np.zeros(7, np.int64)}, {"accuracies": np.zeros((1, 1))},
    {"w_1_1": np.full(3, np.nan, np.float32)}, {"m_0_1": np.full(8, np.inf, np.float32)},
    {"v_1_1": np.full(3, -1, np.float32)}, {"losses": np.full(7, np.nan)}])
def test_whole_files_that_are_no_checkpoints(tmp_path, small, change):
    path, net = tmp_path / "run.npz", network()
    lrp.train(net, small, **settings(epochs=1), checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file) | change
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    net = network()
    with pytest.raises(ValueError, match="checkpoint .*run.npz cannot be used: [A-Za-z]"):
        lrp.train(net, small, **settings(), checkpoint=path)
    assert same(net, network())


def test_accuracies_that_do_not_fit(tmp_path, small):
    path = tmp_path / "run.npz"
    lrp.train(network(), small, **settings(epochs=1), checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"accuracies": np.zeros(3)})
    with pytest.raises(ValueError, match="must hold an accuracy for each of its 1 epochs, got 3"):
        lrp.train(network(), small, **settings(), checkpoint=path)


def fingerprint_by_hand(net, words, digits, rng, engine):
    """As version 0.1 put it together; words: of the network."""
    def short(*contents):
        return hashlib.sha256(b"".join(contents)).hexdigest()[:16]

    def of(array):
        return f"{array.shape} {array.dtype} {short(array.tobytes())}"

    weights = [getattr(layer, name).tobytes() for layer in net.layers for name in layer.parameters]
    state = json.dumps(np.random.default_rng(rng).bit_generator.state).encode()
    return {"network": words, "first weights": short(*weights),
            "train_images": of(digits.train_images), "train_labels": of(digits.train_labels),
            "test_images": of(digits.test_images), "test_labels": of(digits.test_labels),
            "rng": f"PCG64 {short(state)}", "batch_size": "10", "learning_rate": "0.001",
            "engine": repr(engine)}


FIRST_EDITION = {
    "float32 Dense W (12, 8) b (8,) relu Dense W (8, 3) b (3,) identity": network,
    "float32 Unflatten (1, 28, 28) Conv2D W (1, 2, 5, 5) b (2, 1, 1) relu 1 2 "
    "MaxPool2D 2 None winner Conv2D W (2, 3, 5, 5) b (3, 1, 1) relu 1 0 MaxPool2D 2 None winner "
    "Flatten Dense W (75, 5) b (5,) relu Dense W (5, 10) b (10,) identity":
        lambda: lrp.lenet(0, channels=(2, 3), hidden=5)}


@pytest.mark.parametrize("words", FIRST_EDITION)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [7, 10])
@pytest.mark.long
def test_a_checkpoint_of_the_first_edition_goes_on(tmp_path, words, engine, steps):
    """Written here array by array as version 0.1 did, after an epoch or in the middle of one."""
    rng, make, path = np.random.default_rng(0), FIRST_EDITION[words], tmp_path / "run.npz"
    images = rng.random((64, make().sizes[0]), dtype=np.float32)
    labels = rng.integers(0, 3, 64)
    digits = lrp.Digits(images, labels, images[:20], labels[:20])
    whole = make()
    history = lrp.train(whole, digits, **settings(), engine=engine)

    net = make()
    adam, order = lrp.Adam(net), np.random.default_rng(7)
    losses, accuracies = [], []
    for epoch in range(2):
        permutation = order.permutation(64)
        for start in range(0, 64, 10)[:steps - len(losses)]:
            batch = permutation[start:start + 10]
            losses.append(training.training_step(net, adam, images[batch], labels[batch],
                                                 choose(engine)))
        if len(losses) == 7 * (epoch + 1):
            accuracies.append((net.predict(images[:20], engine) == labels[:20]).mean())
    assert len(losses) == steps and len(accuracies) == 1
    arrays = {f"{name}_{number}_{which}": array for number, of_layer in enumerate(adam.state)
              for which, one in enumerate(of_layer) for name, array in zip("wmv", one)}
    np.savez(path, losses=np.array(losses, np.float64), accuracies=np.array(accuracies),
             identity=np.array(json.dumps(fingerprint_by_hand(make(), words, digits, 7, engine))),
             **arrays)

    gone_on = make()        # and the engine need not be named
    again = lrp.train(gone_on, digits, **settings(), checkpoint=path)
    np.testing.assert_array_equal(again.loss, history.loss)
    np.testing.assert_array_equal(again.accuracy, history.accuracy)
    assert all((getattr(one, name) == getattr(two, name)).all()
               for one, two in zip(gone_on.layers, whole.layers) for name in one.parameters)


def test_the_engine_of_a_checkpoint_is_kept(tmp_path, small, monkeypatch):
    """More epochs may be so much more work that the loops would be taken for it; that changes no
    run that has begun."""
    path, work = tmp_path / "run.npz", 64 * (12 * 8 + 8 * 3)
    monkeypatch.setattr(ops, "LOOPS_FROM", 3 * work)
    lrp.train(network(), small, **settings(epochs=2), checkpoint=path)
    net, whole = network(), network()
    lrp.train(net, small, **settings(epochs=5), checkpoint=path)
    lrp.train(whole, small, **settings(epochs=5), engine="numpy")
    loops = network()
    lrp.train(loops, small, **settings(epochs=5))
    assert same(net, whole) and not same(net, loops)


def test_divergence_keeps_the_last_good_one(tmp_path, small):
    path, fast = tmp_path / "run.npz", settings(learning_rate=1.0)
    lrp.train(network(), small, **fast | {"epochs": 1}, checkpoint=path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["w_1_1"] = np.full_like(arrays["w_1_1"], np.float32(3e38)) * [1, -1, 1]
    np.savez(path, **arrays | {"w_1_1": arrays["w_1_1"].astype(np.float32)})
    good = path.read_bytes()
    with pytest.raises(FloatingPointError, match="at step 8, with learning_rate=1.0; .*; the "
                                                 "checkpoint .*run.npz is from before"):
        lrp.train(network(), small, **fast, checkpoint=path)
    assert path.read_bytes() == good


@pytest.mark.parametrize("which", ["w", "m", "v"])
def test_ctrl_c_does_not_save_what_has_diverged(tmp_path, monkeypatch, small, which):
    """A step makes a weight or a moment infinite; Ctrl-C comes before it is looked for."""
    path, net = tmp_path / "run.npz", network()
    lrp.train(network(), small, **settings(epochs=1), checkpoint=path)
    good = path.read_bytes()

    step = training.training_step

    def breaks(net, adam, *arguments):
        loss = step(net, adam, *arguments)
        adam.state[0][1]["wmv".index(which)][2] = np.inf
        signal.raise_signal(signal.SIGINT)
        return loss
    monkeypatch.setattr(training, "training_step", breaks)
    with pytest.raises(FloatingPointError, match="moment is not finite at step 8, .* from before"):
        lrp.train(net, small, **settings(), checkpoint=path)
    assert path.read_bytes() == good


def test_a_full_disk_keeps_the_last_one(tmp_path, small, monkeypatch):
    path = tmp_path / "run.npz"
    lrp.train(network(), small, **settings(epochs=1), checkpoint=path)
    good = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(OSError, match="No space left on device: '.*run.npz'"):
        lrp.train(network(), small, **settings(), checkpoint=path)
    assert path.read_bytes() == good and len(list(tmp_path.iterdir())) == 1


def run(path, epochs):
    return subprocess.Popen([sys.executable, "-c", RUN, str(path), str(epochs)],
                            stdout=subprocess.PIPE, text=True)


def finished(path, epochs):
    with run(path, epochs) as process:
        process.communicate()
    assert process.returncode == 0


def epochs_in(path):
    """How many epochs a checkpoint holds, all of them whole."""
    with np.load(path) as file:
        assert len(file["losses"]) == 80 * len(file["accuracies"])
        assert all(np.isfinite(file[name]).all() for name in file.files if name != "identity")
        return len(file["accuracies"])


@pytest.mark.long
def test_killed(tmp_path):
    """SIGKILL while a checkpoint is half written: the one before lies there. Or at any moment: what
    lies there is whole. And the end is the same."""
    whole, path = tmp_path / "whole.npz", tmp_path / "run.npz"
    finished(whole, 12)
    for count, before in ((1, None), (3, 1), (2, 1), (4, 3)):
        with run(path, 12) as process:
            for _ in range(count):
                assert process.stdout.readline() == "half of it\n"
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert path.exists() == (before is not None) and (not before or epochs_in(path) == before)
    for delay in (0.1, 0.17):
        with run(path, 12) as process:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        assert 3 <= epochs_in(path) <= 12
    finished(path, 12)
    assert same(lrp.MLP.load(f"{path}.net"), lrp.MLP.load(f"{whole}.net"))


@pytest.mark.parametrize("what", ["ignored", "another thread"])
def test_where_ctrl_c_is_not_ours(tmp_path, small, what):
    """A Ctrl-C that is ignored, as in what a shell has put behind it, or that comes to others."""
    kept = signal.getsignal(signal.SIGINT)
    net, path, seen = network(), tmp_path / "run.npz", []

    def train():
        with checkpoints.ctrl_c_waits() as asked:
            seen.append(signal.getsignal(signal.SIGINT))
            if what == "ignored":
                signal.raise_signal(signal.SIGINT)
            seen.append(asked.is_set())
        lrp.train(net, small, **settings(), checkpoint=path)
    try:
        if what == "ignored":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            train()
            assert seen == [signal.SIG_IGN, False]
        else:
            thread = threading.Thread(target=train)
            thread.start()
            thread.join()
            assert seen == [kept, False]
    finally:
        signal.signal(signal.SIGINT, kept)
    whole = network()
    lrp.train(whole, small, **settings())
    assert same(net, whole)


def test_no_checkpoint_no_handler(small, monkeypatch):
    """Without a checkpoint, Ctrl-C stops at once, as ever."""
    seen = []
    stop_after(monkeypatch, 1, lambda: seen.append(signal.getsignal(signal.SIGINT)))
    lrp.train(network(), small, **settings(epochs=1))
    assert seen == [signal.default_int_handler]
