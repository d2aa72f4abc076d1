"""Training that stops and goes on: the same bits as training that never stopped."""
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import same

import lrp_numpy as lrp
from lrp_numpy.training import checkpoint as checkpoints
from lrp_numpy.training import train as training

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


def stop_after(monkeypatch, steps, what=lambda: os.kill(os.getpid(), signal.SIGINT),
               engine="numba"):
    """Ctrl-C within step number `steps`, counted from here."""
    step, count = training.STEPS[engine], []

    def counted(*arguments):
        count.append(1)
        if len(count) == steps:
            what()
        return step(*arguments)
    monkeypatch.setitem(training.STEPS, engine, counted)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox,
                                  np.random.SFC64])
@pytest.mark.parametrize("stops", [[1], [3], [7], [8], [5, 9, 3], [27], [28]])
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_stopped_and_gone_on(tmp_path, monkeypatch, small, engine, stops, bits):
    """Anywhere, several times: weights, history and generator agree."""
    whole, rng = network(), np.random.Generator(bits(7))
    history = lrp.train(whole, small, **settings(rng=rng, engine=engine))
    path = tmp_path / "run.npz"
    for steps in stops:
        with monkeypatch.context() as patch:
            stop_after(patch, steps, engine=engine)
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


def test_moments_are_kept(tmp_path, small):
    """More epochs than at first: Adam goes on with its m, v and t."""
    whole, net, path = network(), network(), tmp_path / "run.npz"
    lrp.train(whole, small, **settings(epochs=5))
    lrp.train(net, small, **settings(epochs=2), checkpoint=path)
    net = network()
    lrp.train(net, small, **settings(epochs=5), checkpoint=path)
    assert same(net, whole)
    done = network()
    history = lrp.train(done, small, **settings(epochs=5), checkpoint=path)     # nothing to do
    assert same(done, whole) and len(history.accuracy) == 5


def test_the_stopped_network_goes_on(tmp_path, monkeypatch, small):
    """Not only one like that with which the run began: also this one, as Ctrl-C left it."""
    whole, net, path = network(), network(), tmp_path / "run.npz"
    history = lrp.train(whole, small, **settings())
    for steps in (9, 4):
        with monkeypatch.context() as patch:
            stop_after(patch, steps)
            with pytest.raises(KeyboardInterrupt):
                lrp.train(net, small, **settings(), checkpoint=path)
    gone_on = lrp.train(net, small, **settings(), checkpoint=path)
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


def test_a_cnn_goes_on(tmp_path, monkeypatch, digits):
    few = SimpleNamespace(**{name: getattr(digits, name)[:200] for name in checkpoints.DIGITS})
    whole, path = lrp.lenet(0, maps=(2, 3), hidden=5), tmp_path / "run.npz"
    lrp.train(whole, few, 2, progress=False)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            lrp.train(lrp.lenet(0, maps=(2, 3), hidden=5), few, 2, progress=False, checkpoint=path)
    net = lrp.lenet(0, maps=(2, 3), hidden=5)
    lrp.train(net, few, 2, progress=False, checkpoint=path)
    assert all((getattr(one, name) == getattr(two, name)).all()
               for one, two in zip(net.layers, whole.layers) for name in one.parameters)


@pytest.mark.parametrize("change, message", [
    ({"net": network(sizes=(12, 9, 3))}, r"another network: float32 Dense W \(12, 8\).* there, "
                                         r"float32 Dense W \(12, 9\)"),
    ({"net": lrp.MLP.random([12, 8, 3], "tanh", rng=1)}, "another network: .*relu.*tanh"),
    ({"net": lrp.MLP.random([12, 8, 3], "relu", rng=1, dtype=np.float64)}, "another network"),
    ({"batch_size": 11}, "another batch_size: 10 there, 11 here"),
    ({"learning_rate": 0.1}, "another learning_rate: 0.001 there, 0.1 here"),
    ({"engine": "numpy"}, "another engine"),
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

    step = training.STEPS["numba"]

    def breaks(net, parameters, *arguments):
        loss = step(net, parameters, *arguments)
        getattr(parameters[0][1], which)[2] = np.inf
        signal.raise_signal(signal.SIGINT)
        return loss
    monkeypatch.setitem(training.STEPS, "numba", breaks)
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
