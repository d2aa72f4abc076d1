"""The command line: what it prints and writes, and its messages about wrong input."""
import csv
import inspect
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import lrp_numpy as lrp
from lrp_numpy.cli import commands, job, parser
from lrp_numpy.cli import main as cli

QUICK = ["--hidden", "20", "--epochs", "1"]
COMMANDS = ["redo", "paper", "report", "train", "explain", "gallery", "flip", "draw", "page",
            "warmup"]


def run(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "lrp_numpy", *arguments], cwd=cwd, text=True,
                          capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def few_digits(tmp_path_factory, digits):
    """The options for 2,000 training and 400 test digits, in IDX files."""
    folder = tmp_path_factory.mktemp("few")
    for name, array in (("train-images-idx3", digits.train_images[:2000]),
                        ("train-labels-idx1", digits.train_labels[:2000]),
                        ("t10k-images-idx3", digits.test_images[:400]),
                        ("t10k-labels-idx1", digits.test_labels[:400])):
        if array.ndim == 2:
            array = np.rint(255 * array).reshape(-1, 28, 28)
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / f"{name}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return ["--data", "mnist", "--folder", str(folder)]


def test_the_main_job(tmp_path):
    """With no arguments at all: in an empty folder, as a user runs it."""
    result = run(cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for line in ("8,000 digits for training", "784-500-10 sigmoid", "Table 1. LRP-gamma",
                 "Table 2. LRP-0", "mean of 5", "accuracy of 2,000", "written:"):
        assert line in result.stdout
    assert result.stderr.count("epoch ") == 10 and "epoch 10 of 10: loss" in result.stderr
    assert "epoch 1" not in result.stdout
    warnings = re.findall("lrp_numpy: warning: (.*) is 0.5|lrp_numpy: warning: (.*) is made for",
                          result.stderr)
    assert set(warnings) == {("sigmoid(0)", ""), ("", "gamma")}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"figure1_loss.png", "figure2_samples.png", "figure3_relevance.png",
                     "figure4_flipped.png", "figure5_relevance_after.png", "loss.csv",
                     "network.npz", "table1_gamma.csv", "table2_0.csv", "tables.md"}
    assert all(f"out/{name}" in result.stdout for name in names)
    net, digits = lrp.MLP.load(tmp_path / "out" / "network.npz"), lrp.load_mnist()
    assert net.sizes == [784, 500, 10]
    accuracy = (net.predict(digits.test_images) == digits.test_labels).mean()
    assert accuracy >= 0.91 and f"test accuracy {accuracy:.2%} after 10 epochs" in result.stdout
    with open(tmp_path / "out" / "table2_0.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["digit"] for row in rows] == ["0", "1", "2", "4", "7", "mean", "all"]
    # The table has the numbers of the library
    chosen = int(rows[3]["image"])
    flipped = lrp.flip_and_measure(net, digits.test_images, digits.test_labels, "0")
    assert digits.test_labels[chosen] == 4
    assert float(rows[3]["IFRC"]) == pytest.approx(flipped.morf.confidence[chosen], rel=1e-5)
    assert float(rows[6]["prediction_lerf"]) == pytest.approx(flipped.lerf.correct.mean())


@pytest.mark.long
def test_every_choice_is_an_option(tmp_path, capsys):
    arguments = ["--activation", "relu", "--hidden", "30", "20", "--epochs", "2", "--batch-size",
                 "50", "--learning-rate", "0.002", "--rule", "epsilon", "gamma,0,epsilon",
                 "--epsilon", "0.1", "--gamma", "2", "--fraction", "0.3", "--fill", "mean",
                 "--order", "absolute", "--pixels", "nonzero", "--digits", "3", "8", "--seed", "5",
                 "--out", str(tmp_path / "a" / "b")]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "784-30-20-10 relu" in out and "after 2 epochs" in out
    assert "Table 1. LRP-epsilon (epsilon=0.1): 30 % of the non-zero pixels flipped, absolute " \
           "order, fill: mean" in out
    assert "Table 2. LRP-gamma,0,epsilon (epsilon=0.1, gamma=2)" in out
    digits, net = lrp.load_mnist(), lrp.MLP.random([784, 30, 20, 10], "relu", rng=5)
    lrp.train(net, digits, 2, 50, 0.002, rng=5, progress=False)
    saved = lrp.MLP.load(tmp_path / "a" / "b" / "network.npz")
    for ours, theirs in zip(net.layers, saved.layers):
        np.testing.assert_array_equal(ours.W, theirs.W)
    flipped = lrp.flip_and_measure(
        net, digits.test_images, digits.test_labels, ["gamma", "0", "epsilon"], 0.3,
        digits.train_images.mean(axis=0), "absolute", "nonzero", 5, epsilon=0.1, gamma=2)
    with open(tmp_path / "a" / "b" / "table2_gamma_0_epsilon.csv") as file:
        row = list(csv.DictReader(file))[-1]
    assert float(row["UFRC"]) == pytest.approx(flipped.lerf.confidence.mean(), rel=1e-5)


def test_the_single_steps(tmp_path, capsys):
    out, network = str(tmp_path), str(tmp_path / "network.npz")
    assert cli.main(["train", *QUICK, "--out", out]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "figure1_loss.png", "figure2_samples.png", "loss.csv", "network.npz"}
    capsys.readouterr()

    assert cli.main(["explain", "--network", network, "--digits", "4", "--target", "9",
                     "--rule", "gamma", "epsilon", "--out", out]) == 0
    printed = capsys.readouterr()
    assert "explained 9" in printed.out and "received" in printed.out
    assert [line.split()[2] for line in printed.err.splitlines()] == ["sigmoid(0)", "gamma"]
    saved = np.load(tmp_path / "explain_relevance.npz")
    e = lrp.explain(lrp.MLP.load(network), saved["images"], "gamma", 9, gamma=0.25)
    np.testing.assert_array_equal(saved["relevance_gamma"], e.input)
    assert saved["target"].tolist() == [9] and saved["labels"].tolist() == [4]
    assert f"{e.ledger[1].received[0]:+.4f}" in printed.out

    assert cli.main(["flip", "--network", network, "--rule", "0", "--out", out]) == 0
    assert "Table 1. LRP-0" in capsys.readouterr().out
    assert (tmp_path / "table1_0.csv").exists() and (tmp_path / "figure4_flipped.png").exists()


@pytest.mark.long
def test_zero_centred(tmp_path, capsys):
    """The same accuracy, another table, and no warning."""
    cli.main(["train", "--epochs", "3", "--hidden", "100", "--out", str(tmp_path)])
    capsys.readouterr()
    last = {}
    for option in ("--network", "--zero-centred"):
        assert cli.main(["flip", "--network", str(tmp_path / "network.npz"), "--rule", "0",
                         "--out", str(tmp_path), *([option] if option != "--network" else [])]) == 0
        printed = capsys.readouterr()
        last[option] = re.search(r"accuracy of 2,000 +([\d.]+)% +([\d.]+)% +([\d.]+)%",
                                 printed.out)
        assert ("warning" in printed.err) == (option == "--network")
    original, _, lerf = (float(part) for part in last["--network"].groups())
    centred, centred_morf, centred_lerf = map(float, last["--zero-centred"].groups())
    assert original == centred > lerf + 5
    assert centred_morf < 5 and centred_lerf > original - 1


@pytest.mark.long
def test_the_same_seed_gives_the_same_files(tmp_path):
    for folder in ("a", "b"):
        assert cli.main([*QUICK, "--rule", "0", "--out", str(tmp_path / folder)]) == 0
    for path in (tmp_path / "a").iterdir():
        if path.suffix != ".npz":           # a zip file holds the time
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("arguments, message", [
    (["--rule", "zennit"], "--rule must be one of 0, epsilon, gamma.*got 'zennit'"),
    (["--rule", "gamma,0,0"], "one for each of the 2 layers with weights, got 3"),
    (["--rule", "overview"], "'overview' is for networks with at least 3 layers"),
    (["--model", "cnn", "--hidden", "20", "20"], "--hidden must be one number with --model cnn"),
    (["--model", "transformer", "--hidden", "9", "9"], "must be one number with --model transf"),
    (["--model", "resnet", "--hidden", "20"], "--hidden must be left out with --model resnet"),
    (["--fraction", "1.5"], "--fraction: must lie between 0 and 1, got 1.5"),
    (["--fraction", "-0.1"], "--fraction: must lie between 0 and 1"),
    (["--fraction", "nan"], "--fraction: must lie between 0 and 1"),
    (["--hidden", "0"], "--hidden: must be at least 1, got 0"),
    (["--hidden", "many"], "--hidden: invalid integer value: 'many'"),
    (["--hidden", "1000000000000"], "Unable to allocate"),
    (["--fraction", "half"], "--fraction: invalid number value: 'half'"),
    (["--epochs", "0"], "--epochs: must be at least 1"),
    (["--batch-size", "-3"], "--batch-size: must be at least 1"),
    (["--learning-rate", "0"], "--learning-rate: must be at least 1e-12, got 0"),
    (["--learning-rate", "inf"], "learning_rate must be a finite number above 0, got inf"),
    (["--data", "mnist", "--folder", "/nowhere", "--rule", "nope"], "--rule must be one of"),
    (["--epsilon", "-1"], "--epsilon: must be at least 0, got -1"),
    (["--gamma", "inf"], "gamma must be a finite number of at least 0, got inf"),
    (["--seed", "-1"], "--seed: must be at least 0"),
    (["--digits", "10"], "--digits: invalid choice: 10"),
    (["--data", "cifar"], "--data: invalid choice: 'cifar'"),
    (["--data", "mnist", "--folder", "/nowhere"], "folder must name a folder, .*, got '/nowhere'"),
    (["--folder", "/nowhere"], "--folder needs --data mnist, got --data mnist-10k"),
    (["explain", "--target", "10"], "--target: invalid choice: 10"),
    (["explain", "--network", "/nowhere/net.npz"], "/nowhere/net.npz is not a network"),
    (["explain", "--image", "/nowhere/3.png"], "/nowhere/3.png cannot be read as a picture"),
    (["explain", "--image", __file__], "test_cli.py cannot be read as a picture: not a file of"),
    (["explain", "--image", "3.png", "--digits", "3"], "--digits: not allowed with .* --image"),
    (["--activation", "step"], "--activation: invalid choice: 'step'"),
    (["dance"], "invalid choice: 'dance'"),
    (["--bogus"], "unrecognized arguments: --bogus")])
def test_wrong_input(tmp_path, capsys, arguments, message):
    """One line that names the option, and exit status 2, before any training."""
    try:
        status = cli.main([*arguments, "--out", str(tmp_path)])
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.count("\n") == 1
    assert re.search(message, printed.err), printed.err
    assert "accuracy" not in printed.out and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert cli.main([*QUICK, "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert "--out must be a folder that can be written to" in error and error.count("\n") == 1
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_network_for_other_images(tmp_path, capsys):
    lrp.MLP.random([5, 3]).save(tmp_path / "net.npz")
    assert cli.main(["flip", "--network", str(tmp_path / "net.npz"), "--rule", "0",
                     "--out", str(tmp_path)]) == 2
    assert "--network must have 784 inputs and 10 outputs, got" in capsys.readouterr().err


@pytest.mark.long
def test_the_paper_on_every_test_image(tmp_path, capsys, few_digits):
    assert cli.main(["paper", "--hidden", "20", "--epochs", "1", "--seeds", "3", *few_digits,
                     "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "size-matched random" in printed.out and "SRG (probability)" in printed.out
    assert "2,000 digits for training, 400 for testing" in printed.out and printed.err == ""
    assert {path.name for path in tmp_path.iterdir()} == {
        "pixel_flipping.csv", "results_curves.png"}
    with open(tmp_path / "pixel_flipping.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["fill"] == "0"]
    net = lrp.MLP.random([784, 20, 10], "relu", rng=3)
    history = lrp.train(net, lrp.load_mnist("mnist", few_digits[-1]), epochs=1, rng=3,
                        progress=False)
    row, = (row for row in rows if row["network"] == "relu" and row["flipped"] == "original")
    assert float(row["accuracy_mean"]) == pytest.approx(history.accuracy[-1])


@pytest.mark.long
def test_the_paper_with_a_cnn(tmp_path, capsys, few_digits):
    """Both networks in one table and one figure, with the numbers of the library."""
    assert cli.main(["paper", "--model", "cnn", "--hidden", "20", "--epochs", "1", "--seeds", "3",
                     *few_digits, "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "pixel_flipping.csv", "results_curves.png"}
    with open(tmp_path / "pixel_flipping.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["fill"] == "0"]
    assert {row["network"] for row in rows} == {"relu", "CNN"}
    net = lrp.lenet(3)
    history = lrp.train(net, lrp.load_mnist("mnist", few_digits[-1]), epochs=1,
                        learning_rate=2e-3, rng=3, progress=False)
    row, = (row for row in rows if row["network"] == "CNN" and row["flipped"] == "original")
    assert float(row["accuracy_mean"]) == pytest.approx(history.accuracy[-1])


@pytest.mark.long
@pytest.mark.parametrize("model, name", [("transformer", "transformer gelu"),
                                         ("resnet", "ResNet relu")])
def test_other_models_are_trained_saved_and_explained(tmp_path, capsys, model, name):
    out = str(tmp_path)
    assert cli.main(["train", "--model", model, "--epochs", "1", "--out", out]) == 0
    assert f"{name}: " in capsys.readouterr().out
    assert cli.main(["explain", "--network", f"{out}/network.npz", "--rule", "epsilon",
                     "--out", out]) == 0
    net = lrp.fold_batchnorm(lrp.Network.load(tmp_path / "network.npz"))
    with np.load(tmp_path / "explain_relevance.npz") as file:
        np.testing.assert_array_equal(file["relevance_epsilon"],
                                      lrp.explain(net, file["images"], "epsilon").input)
    assert cli.main(["gallery", "--network", f"{out}/network.npz", "--out", out]) == 0
    assert cli.main(["explain", "--model", model, "--epochs", "1", "--rule", "0", "--out",
                     out]) == 0


@pytest.mark.long
@pytest.mark.parametrize("model, name", [("transformer", "transformer"), ("resnet", "ResNet")])
def test_the_paper_with_other_models(tmp_path, few_digits, model, name):
    assert cli.main(["paper", "--model", model, "--hidden", "20", "--epochs", "1", "--seeds", "3",
                     *few_digits, "--out", str(tmp_path)]) == 0
    with open(tmp_path / "pixel_flipping.csv") as file:
        assert {row["network"] for row in csv.DictReader(file)} == {"relu", name}


@pytest.mark.long
def test_a_cnn_is_trained_saved_and_explained(tmp_path, capsys):
    out = str(tmp_path)
    assert cli.main(["train", "--model", "cnn", *QUICK, "--out", out]) == 0
    assert "CNN relu: " in capsys.readouterr().out
    net = lrp.Network.load(tmp_path / "network.npz")
    assert net.sizes[-3:] == [400, 20, 10]
    assert cli.main(["explain", "--network", f"{out}/network.npz", "--rule", "epsilon_gamma_box",
                     "overview", "--gamma", "0.5", "--out", out]) == 0
    assert "LRP-epsilon_gamma_box (epsilon=0.25, gamma=0.5)" in capsys.readouterr().out
    with np.load(tmp_path / "explain_relevance.npz") as file:
        expected = lrp.explain(net, file["images"], "overview", gamma=0.5).input
        np.testing.assert_array_equal(file["relevance_overview"], expected)
    assert cli.main(["flip", "--network", f"{out}/network.npz", "--rule", "0", "--out", out]) == 0


@pytest.mark.long
@pytest.mark.parametrize("activation", parser.HIDDEN_ACTIVATIONS)
def test_every_activation_is_trained_saved_and_explained(tmp_path, capsys, activation):
    out = ["--out", str(tmp_path)]
    assert cli.main(["train", "--activation", activation, *QUICK, *out]) == 0
    assert f"784-20-10 {activation}: test accuracy" in capsys.readouterr().out
    net, digits = lrp.MLP.random([784, 20, 10], activation, rng=0), lrp.load_mnist()
    lrp.train(net, digits, epochs=1, progress=False)
    assert (net.forward(digits.test_images) ==
            lrp.MLP.load(tmp_path / "network.npz").forward(digits.test_images)).all()
    assert cli.main(["explain", "--network", str(tmp_path / "network.npz"), "--zero-centred",
                     "--rule", "epsilon", "--digits", "4", *out]) == 0
    with np.load(tmp_path / "explain_relevance.npz") as file:
        e = lrp.explain(lrp.zero_centred(net), file["images"], "epsilon", epsilon=0.25)
        np.testing.assert_array_equal(file["relevance_epsilon"], e.input)


def test_rules_of_other_software(tmp_path, capsys):
    lrp.MLP.random([784, 20, 10], "relu", rng=0).save(tmp_path / "network.npz")
    assert cli.main(["explain", "--network", str(tmp_path / "network.npz"), "--rule",
                     "captum.gamma", "captum.gamma,epsilon", "--gamma", "0.5",
                     "--out", str(tmp_path)]) == 0
    assert "LRP-captum.gamma (gamma=0.5): the ledger" in capsys.readouterr().out
    with np.load(tmp_path / "explain_relevance.npz") as file:
        net = lrp.MLP.load(tmp_path / "network.npz")
        for name, rule, parameters in (
                ("captum.gamma", "captum.gamma", {}),
                ("captum.gamma_epsilon", ["captum.gamma", "epsilon"], {"epsilon": 0.25})):
            e = lrp.explain(net, file["images"], rule, gamma=0.5, **parameters)
            np.testing.assert_array_equal(file[f"relevance_{name}"], e.input)


@pytest.mark.long
def test_the_galleries(tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["gallery", *QUICK, "--activation", "relu", "--rule", "0", "gamma,epsilon",
                     "--out", str(out)]) == 0
    names = {"gallery_classes_0.png", "gallery_top_two_0.png", "gallery_rules.png",
             "gallery_classes_gamma_epsilon.png", "gallery_top_two_gamma_epsilon.png"}
    assert names <= {path.name for path in out.iterdir()}
    printed = capsys.readouterr().out
    assert all(str(out / name) in printed for name in names)
    assert cli.main(["gallery", "--network", str(out / "network.npz"), "--out", str(out)]) == 0
    assert str(out / "gallery_classes_epsilon.png") in capsys.readouterr().out


@pytest.mark.long
def test_digits_of_your_own(tmp_path, capsys):
    """Explained like test digits: one in MNIST's size, and the same enlarged on white paper.
    Special characters of LaTeX in a file name are harmless."""
    digits = lrp.load_mnist()
    image, label = digits.test_images[0].reshape(28, 28), digits.test_labels[0]
    grey, out = np.rint(255 * image).astype(np.uint8), tmp_path / "out"
    own = [str(tmp_path / "small.png"), str(tmp_path / "a $large^ one.png")]
    Image.fromarray(grey).save(own[0])
    Image.fromarray(255 - np.pad(np.kron(grey, np.ones((6, 6), np.uint8)), (9, 70))).save(own[1])
    network = str(tmp_path / "network.npz")
    assert cli.main(["train", "--activation", "relu", "--epochs", "2", "--out", str(tmp_path)]) == 0
    for options, rule, parameters in (
            (["--rule", "gamma", "0"], "gamma", {"gamma": 0.25}),
            (["--rule", "epsilon", "--target", "9", "--epsilon", "1", "--zero-centred"], "epsilon",
             {"epsilon": 1.0, "target": 9})):
        capsys.readouterr()
        assert cli.main(["explain", "--network", network, "--image", *own, *options,
                         "--out", str(out)]) == 0
        printed = capsys.readouterr().out
        net = lrp.MLP.load(network)
        with np.load(out / "explain_relevance.npz") as saved:
            assert saved["files"].tolist() == own and "labels" not in saved
            np.testing.assert_allclose(saved["images"][0], digits.test_images[0], atol=1e-6)
            np.testing.assert_allclose(saved["images"][1], saved["images"][0], atol=0.1)
            e = lrp.explain(net, saved["images"], rule, **parameters)
            np.testing.assert_array_equal(saved[f"relevance_{rule}"], e.input)
            assert saved["target"].tolist() == e.target.tolist()
        assert (out / "explain_pictures.png").stat().st_size > 0
        assert f"{out / 'explain_pictures.png'}" in printed
        for i, name in enumerate(("small", "a $large^ one")):
            probability = 100 * np.exp(e.logits[i, label]) / np.exp(e.logits[i]).sum()
            line, = set(re.findall(rf"{re.escape(name)}: predicted {label} \(probability "
                                   r"(.*)%\), explained " + str(e.target[i]), printed))
            assert float(line) == pytest.approx(probability, abs=0.006)
    assert cli.main(["explain", "--network", network, "--digits", "4", "--out", str(out)]) == 0
    assert "digit 4: predicted 4 (probability" in capsys.readouterr().out


def test_draw_without_a_window(tmp_path, capsys, monkeypatch):
    """It writes a picture instead; errors are one line, before any training."""
    network, picture = str(tmp_path / "network.npz"), str(tmp_path / "new" / "draw.png")
    assert cli.main(["draw", *QUICK, "--picture", picture]) == 0
    assert "784-20-10 relu" in capsys.readouterr().out
    lrp.MLP.random([784, 10], rng=0).save(network)
    once = plt.imread(picture)
    assert cli.main(["draw", "--network", network, "--picture", picture]) == 0
    assert (plt.imread(picture) != once).any()
    assert {path.name for path in tmp_path.rglob("*")} == {"network.npz", "new", "draw.png"}
    assert not plt.get_fignums()
    monkeypatch.delenv("DISPLAY", raising=False)
    for arguments, message in (
            ([], "draw needs a display and a GUI toolkit .*; --picture FILE writes"),
            (["--picture", str(tmp_path / "draw.jpg")], "--picture must end in .png, got"),
            (["--picture", network + "/draw.png"], "the folder of --picture must be a folder that"),
            (["--picture", picture, "--network", picture], "is not a network")):
        capsys.readouterr()
        assert cli.main(["draw", *arguments]) == 2
        printed = capsys.readouterr()
        assert re.search(message, printed.err) and printed.err.count("\n") == 1
        assert "accuracy" not in printed.out


def test_a_message_is_one_line(tmp_path, capsys):
    """Whatever text a file contains: line breaks, escape sequences, a million letters."""
    path = tmp_path / "network.npz"
    for name, shown in (("Den\nse", r"Den\nse"), ("\x1b[2JDense", r"\x1b[2JDense"),
                        ("ü – 数字", "ü – 数字"), ("x" * 10**6, "x" * 1000)):
        np.savez(path, layers=np.array([name]))
        assert cli.main(["explain", "--network", str(path), "--out", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert shown in error and error.count("\n") == 1 and len(error) < 2100
        assert error.startswith("lrp_numpy: error: ") and "\x1b" not in error
    assert cli.in_one_line("a\x07\u2028\ud800b\t") == r"a\x07\u2028\ud800b\t"
    assert cli.main(["explain", "--image", "a\nb.png", "--out", str(tmp_path)]) == 2
    assert r"a\nb.png cannot be read as a picture: no such file" in capsys.readouterr().err


def test_a_checkpoint_is_not_written_over(tmp_path, capsys):
    for name in ("network.npz", "loss.csv", "../out/network.npz", "explain_relevance.npz"):
        assert cli.main(["train", *QUICK, "--out", str(tmp_path / "out"), "--checkpoint",
                         str(tmp_path / "out" / name)]) == 2
        assert "--checkpoint, if it is in --out, must end" in capsys.readouterr().err
    assert cli.main(["train", *QUICK, "--out", str(tmp_path), "--checkpoint",
                     str(tmp_path / "run.npz")]) == 0


@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams(tmp_path, closed):
    """After `>&-` the command does its work and prints nothing."""
    command = f"{shlex.quote(sys.executable)} -m lrp_numpy train --hidden 5 --epochs 1 {closed}>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert (tmp_path / "out" / "network.npz").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_letters_that_cannot_be_shown(tmp_path):
    """A file name that is not UTF-8, and a terminal for ASCII only."""
    digit = (255 * lrp.load_mnist().test_images[0].reshape(28, 28)).astype(np.uint8)
    lrp.MLP.random([784, 10], rng=0).save(tmp_path / "network.npz")
    image = tmp_path / os.fsdecode(b"\xff.png")
    Image.fromarray(digit).save(image)
    done = subprocess.run([sys.executable, "-m", "lrp_numpy", "explain", "--network", "network.npz",
                           "--image", image, "--out", "数字"], cwd=tmp_path, capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert rb"\u6570\u5b57/explain_heatmaps.png" in done.stdout
    assert (tmp_path / "数字" / "explain_heatmaps.png").is_file()


def test_divergence_is_one_line(tmp_path, capsys):
    with np.errstate(all="ignore"):
        assert cli.main(["train", *QUICK, "--learning-rate", "1e39", "--out", str(tmp_path)]) == 2
    assert "lrp_numpy: error: training diverged" in capsys.readouterr().err
    assert not (tmp_path / "network.npz").exists()


def test_the_figures_show_what_was_flipped(tmp_path, monkeypatch, capsys):
    """Each figure gets the arrays that belong to it, none swapped."""
    drawn = {}
    for name in ("samples", "heatmaps", "flipped_images", "loss_curve"):
        def record(*arguments, _name=name, _draw=getattr(lrp.plotting, name), **settings):
            drawn.setdefault(_name, []).append((arguments, settings))
            return _draw(*arguments, **settings)
        monkeypatch.setattr(lrp.plotting, name, record)
    assert cli.main(["--hidden", "30", "--epochs", "2", "--activation", "relu", "--rule", "0",
                     "--digits", "3", "5", "--seed", "4", "--fill", "mean",
                     "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    digits, net = lrp.load_mnist(), lrp.MLP.load(tmp_path / "network.npz")
    chosen = lrp.evaluation.first_of_each(digits.test_labels, [3, 5])
    flipped = lrp.flip_and_measure(net, digits.test_images, digits.test_labels, "0",
                                   fill=digits.train_images.mean(axis=0), rng=4)
    variants = [digits.test_images[chosen], flipped.morf_images[chosen],
                flipped.lerf_images[chosen]]
    (shown, labels, predicted), _ = drawn["samples"][0]
    np.testing.assert_array_equal(predicted, net.predict(shown))
    np.testing.assert_array_equal(labels, digits.test_labels[:50])
    (images, predictions, _, titles, _), _ = drawn["flipped_images"][0]
    assert len(images) == len(predictions) == len(titles) == 3
    for image, prediction, variant in zip(images, predictions, variants):
        np.testing.assert_array_equal(image, variant)
        np.testing.assert_array_equal(prediction, net.predict(variant))
    assert titles == ["original", "LRP-0\nMoRF", "LRP-0\nLeRF"]
    figure3, figure5 = drawn["heatmaps"]
    np.testing.assert_array_equal(figure3[0][0][0], flipped.relevance[chosen])
    assert len(figure5[0][0]) == len(figure5[1]["targets"]) == 2
    for heatmap, target, variant in zip(figure5[0][0], figure5[1]["targets"], variants[1:]):
        e = lrp.explain(net, variant, "0")
        np.testing.assert_array_equal(heatmap, e.input)
        np.testing.assert_array_equal(target, e.target)
    steps = (tmp_path / "loss.csv").read_text().splitlines()
    assert steps[1].startswith("1,") and len(steps) == 1 + len(drawn["loss_curve"][0][0][0]) == 161


def test_the_defaults_are_the_paper_s(capsys):
    assert vars(parser.parse([])) == {
        "command": "redo", "model": "mlp", "activation": "sigmoid", "hidden": [500], "epochs": 10,
        "batch_size": 100, "learning_rate": 0.001, "digits": [0, 1, 2, 4, 7],
        "rule": ["gamma", "0"],
        "epsilon": None, "gamma": None, "zero_centred": False, "fraction": 0.15, "fill": "zero",
        "order": "signed", "pixels": "all", "data": "mnist-10k", "folder": None, "out": "out",
        "seed": 0, "checkpoint": None}
    for given, of_ours, of_theirs in (([], 0.25, {}),
                                      (["--epsilon", "0.1"], 0.1, {"epsilon": 0.1})):
        options = parser.parse(given)
        assert job._rule("gamma,epsilon", options, None)[1] == {"gamma": 0.25, "epsilon": of_ours}
        assert job._rule("captum.epsilon", options, None) == ("captum.epsilon", of_theirs)
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(lrp.train).parameters.items()}
    assert [defaults[name] for name in ("epochs", "batch_size", "learning_rate")] == [10, 100, 1e-3]
    for arguments, expected in (
            (["report"], {"out": "lessons", "hidden": 500, "epochs": 10, "seeds": [0, 1, 2]}),
            (["train", "--model", "cnn"], {"activation": "relu", "hidden": [120],
                                           "learning_rate": 0.002}),
            (["train", "--model", "transformer"], {"activation": "gelu", "hidden": [96],
                                                   "learning_rate": 0.002}),
            (["train", "--model", "resnet"], {"activation": "relu", "hidden": []}),
            (["draw"], {"activation": "relu", "hidden": [500], "learning_rate": 0.001}),
            (["train"], {"activation": "sigmoid"}), (["gallery"], {"rule": ["epsilon"]})):
        assert vars(parser.parse(arguments)).items() >= expected.items()
    assert list(commands.COMMANDS) == COMMANDS


def test_ctrl_c(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "train", interrupted)
    assert cli.main([*QUICK, "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "lrp_numpy: interrupted\n"


@pytest.mark.long
def test_stopped_and_gone_on(tmp_path, capsys):
    """Ctrl-C as a terminal sends it; the same command continues, and ends as without it."""
    path = tmp_path / "new" / "run.npz"
    command = [sys.executable, "-m", "lrp_numpy", "train", "--epochs", "40", "--hidden", "100",
               "--checkpoint", str(path), "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    last = process.communicate(timeout=60)[1].splitlines()[-1]
    assert last.endswith("lrp_numpy: interrupted; run the same command again to continue from "
                         f"{path}")
    assert process.returncode == 130
    assert cli.main(command[3:]) == 0
    assert f"continuing from {path}" in capsys.readouterr().out
    net, digits = lrp.MLP.random([784, 100, 10], rng=0), lrp.load_mnist()
    lrp.train(net, digits, epochs=40, progress=False)
    again = lrp.MLP.load(tmp_path / "network.npz")
    assert all((one.W == two.W).all() for one, two in zip(net.layers, again.layers))
    for arguments, message in (
            (["--hidden", "50"], "error: checkpoint .* another network: .* there, .* here"),
            (["--epochs", "2"], "error: epochs must be at least 40"),
            (["--seed", "1"], "another rng")):
        assert cli.main(command[3:] + arguments) == 2
        printed = capsys.readouterr().err.splitlines()[-1]
        assert re.search(message, printed)
    assert cli.main(["explain", "--network", str(tmp_path / "network.npz"), "--checkpoint",
                     str(path)]) == 2
    assert "--checkpoint is for training" in capsys.readouterr().err


@pytest.mark.parametrize("options, printed", [
    (["--activation", "relu", *QUICK], "epoch "),
    (["--network", "none.npz"], "lrp_numpy: error: none.npz is not a network saved by ")])
def test_the_reader_closes_the_pipe(tmp_path, options, printed):
    """As in `python -m lrp_numpy explain | head -1`: no message, no traceback, status 1."""
    with subprocess.Popen([sys.executable, "-m", "lrp_numpy", "explain", *options], cwd=tmp_path,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        lines = process.stderr.read().splitlines()
    assert process.returncode == 1
    assert all(line.startswith(printed) for line in lines)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(capsys, command):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and "usage: python -m lrp_numpy" in out
    assert max(map(len, out.splitlines())) <= 100


def test_help_imports_nothing_slow():
    program = ("import sys; from lrp_numpy.cli.main import main\n"
               "try: main(sys.argv[1:])\n"
               "except SystemExit: print(*sys.modules, file=sys.stderr)")
    for command in ("", "redo"):
        done = subprocess.run([sys.executable, "-c", program, *command.split(), "--help"],
                              text=True, capture_output=True)
        assert "usage: python -m lrp_numpy" in done.stdout
        assert not {"numba", "matplotlib", "requests", "PIL"} & set(done.stderr.split())
