"""MNIST in a folder of one's own: under the names and in the formats that it is found in."""
import gzip
import io
import os
import struct
import zipfile

import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.datasets import folders
from lrp_numpy.datasets.folders import CSV_PAIR, IDX_NAMES, KERAS_ARRAYS
from lrp_numpy.utils import files

RNG = np.random.default_rng(0)
ARRAYS = [array for N in (14, 7) for array in (RNG.integers(0, 256, (N, 28, 28), np.uint8),
                                               RNG.integers(0, 10, N, np.uint8))]
HEADER = "label," + ",".join(f"pixel{j}" for j in range(784)) + "\n"


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def rows(images, labels):
    return "".join(",".join(map(str, [label, *image.ravel()])) + "\n"
                   for image, label in zip(images, labels))


def assert_digits(digits, arrays=ARRAYS):
    for (ours, array) in zip(digits, arrays):
        expected = array.reshape(len(array), -1) / 255 if array.ndim == 3 else array
        np.testing.assert_allclose(ours, expected, atol=1e-7)
        assert len(ours) == len(array)


def written(folder, name, content, packed=False):
    path = folder / (name + ".gz" * packed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name_of", [
    lambda name: name, lambda name: name.replace("-idx", ".idx"), lambda name: f"raw/{name}",
    lambda name: f"MNIST/raw/{name}", lambda name: f"{name}/{name}",
    lambda name: f"{name}/{name.replace('-idx', '.idx')}"])
def test_idx_files_as_unpackers_leave_them(tmp_path, monkeypatch, name_of, packed):
    if packed and name_of(IDX_NAMES[0]).startswith(IDX_NAMES[0] + "/"):
        pytest.skip("such folders hold unpacked files")
    for name, array in zip(IDX_NAMES, ARRAYS):
        written(tmp_path, name_of(name), idx(array), packed)
    assert_digits(lrp.load_mnist("mnist", tmp_path))
    monkeypatch.setenv("LRP_NUMPY_DATA", str(tmp_path))
    assert_digits(lrp.load_mnist("mnist"))


def test_keras_file(tmp_path):
    arrays = dict(zip(KERAS_ARRAYS, ARRAYS))
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "mnist.npz", **arrays)
        assert_digits(lrp.load_mnist("mnist", tmp_path))
        assert_digits(lrp.load_mnist("mnist", tmp_path / "mnist.npz"))


def test_a_keras_file_of_one_grey(tmp_path):
    """Its least number is its largest, too."""
    grey = [np.full_like(ARRAYS[0], 255), *ARRAYS[1:]]
    np.savez(tmp_path / "mnist.npz", **dict(zip(KERAS_ARRAYS, grey)))
    assert (lrp.load_mnist("mnist", tmp_path).train_images == 1).all()


def test_a_file_of_another_kind_is_refused(tmp_path):
    for name in ("digits.bin", "digits.csv.zip", "digits.txt"):
        (tmp_path / name).write_text("1,2,3\n")
        with pytest.raises(ValueError, match="folder must name a folder, or a file .npz or .csv"):
            lrp.load_mnist("mnist", tmp_path / name)


@pytest.mark.parametrize("header", ["", HEADER, HEADER.replace("\n", "\r\n"), "\ufeff" + HEADER])
def test_csv_files(tmp_path, header):
    images, labels = (np.concatenate(pair) for pair in (ARRAYS[::2], ARRAYS[1::2]))
    alone = tmp_path / "train.csv"
    alone.write_text(header + rows(images, labels), encoding="utf-8", newline="")
    expected = [images[:18], labels[:18], images[18:], labels[18:]]     # 21 digits, 3 for testing
    assert_digits(lrp.load_mnist("mnist", tmp_path), expected)
    assert_digits(lrp.load_mnist("mnist", alone), expected)
    for name, (of_images, of_labels) in zip(CSV_PAIR, (ARRAYS[:2], ARRAYS[2:])):
        (tmp_path / name).write_text(header + rows(of_images, of_labels), encoding="utf-8")
    assert_digits(lrp.load_mnist("mnist", tmp_path))


@pytest.mark.parametrize("content, message", [
    ("", "it holds none"), (HEADER, "it holds none"),
    ("pixel0" + HEADER[12:] + "0", "columns in the first"),
    (HEADER + "7," + "0," * 783 + "256\n", "256"), (HEADER + "7," + "0," * 783 + "-1\n", "-1"),
    (HEADER + "7," + "0," * 783 + "x\n", "'x'"), (HEADER + "7,0,0\n", "columns"),
    (HEADER + "7," + "0," * 783 + "0.5\n", "0.5"), ("0" * 10**6, "fewer than 12560 letters"),
    (HEADER + rows(ARRAYS[0], ARRAYS[1]) + "\0" * 20000, "fewer than 12560 letters"),
    ("\xff\xfe", "it holds none"), ("1,2\n", "2 columns in the first")])
def test_damaged_csv_files_are_refused(tmp_path, content, message):
    path = tmp_path / "train.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a CSV file of digits: .*" + message) as caught:
        lrp.load_mnist("mnist", tmp_path)
    assert str(path) in str(caught.value)


def test_csv_labels_beyond_9_are_refused(tmp_path):
    (tmp_path / "train.csv").write_text(rows(ARRAYS[0], 20 + ARRAYS[1]))
    with pytest.raises(ValueError, match=r"train.csv: labels must be 0..9"):
        lrp.load_mnist("mnist", tmp_path)


@pytest.mark.parametrize("change, message", [
    ({"x_test": None}, "lacks x_test"), ({"y_train": ARRAYS[1][:, None]}, "y_train of bytes"),
    ({"x_train": ARRAYS[0] / 255}, "x_train of bytes, .* float64"),
    ({"x_train": ARRAYS[0].astype(int) - 1}, "x_train from 0 to 255, got -1"),
    ({"x_train": ARRAYS[0][:, :27]}, "x_train of bytes"),
    ({"y_test": ARRAYS[3][:5]}, "holds 5 labels for 7 images")])
def test_damaged_keras_files_are_refused(tmp_path, change, message):
    arrays = {**dict(zip(KERAS_ARRAYS, ARRAYS)), **change}
    np.savez(tmp_path / "mnist.npz", **{name: array for name, array in arrays.items()
                                        if array is not None})
    with pytest.raises(ValueError, match=message) as caught:
        lrp.load_mnist("mnist", tmp_path)
    assert "mnist.npz" in str(caught.value)


def test_a_keras_file_that_unpacks_to_too_much(tmp_path, monkeypatch):
    content = io.BytesIO()
    np.save(content, np.zeros(10**6, np.uint8))
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in KERAS_ARRAYS:
            archive.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(ValueError, match="must unpack to at most 1000 bytes, got 1000128"):
        files.read_arrays(tmp_path / "mnist.npz", packed=1000)
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in KERAS_ARRAYS:       # more images than any of our readers takes
            archive.writestr(f"{name}.npy", bytes(102 * 784))
    monkeypatch.setattr(folders, "MAX_ITEMS", 100)
    with pytest.raises(ValueError, match="must unpack to at most 79400 bytes, got 79968"):
        lrp.load_mnist("mnist", tmp_path)


def test_what_is_alike_is_named(tmp_path):
    for name in ("train-images.idx3", "train_labels", "mnist-data", "something else"):
        (tmp_path / name).touch()
    (tmp_path / "MNIST").mkdir()
    with pytest.raises(ValueError) as caught:
        lrp.load_mnist("mnist", tmp_path)
    message = str(caught.value)
    assert "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz" in message
    for name in ("train-images.idx3", "mnist-data", "MNIST/"):
        assert repr(name) in message
    assert "something else" not in message
    with pytest.raises(ValueError, match=r"got .*mnis'.* \(but 'MNIST/'"):
        lrp.load_mnist("mnist", tmp_path / "mnis")


def test_the_missing_file_is_named(tmp_path):
    for name, array in list(zip(IDX_NAMES, ARRAYS))[:3]:
        written(tmp_path, name, idx(array))
    (tmp_path / "t10k-labels.idx1").touch()
    with pytest.raises(ValueError, match=f"neither {IDX_NAMES[3]} nor .*'t10k-labels.idx1'") as one:
        lrp.load_mnist("mnist", tmp_path)
    assert "mnist.npz" not in str(one.value)        # three of the four are there: no need of keras'


# ~, in every path

@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_home_in_paths(home, random_case, monkeypatch):
    np.savez(home / "mnist.npz", **dict(zip(KERAS_ARRAYS, ARRAYS)))
    assert_digits(lrp.load_mnist("mnist", "~"))
    assert_digits(lrp.load_mnist("mnist", "~/mnist.npz"))
    monkeypatch.setenv("LRP_NUMPY_DATA", "~")
    assert_digits(digits := lrp.load_mnist("mnist"))
    net = lrp.MLP.random([784, 3, 10], "relu")
    net.save("~/net.npz")
    assert lrp.Network.load("~/net.npz").sizes == [784, 3, 10]
    lrp.train(net, digits, 1, progress=False, checkpoint="~/run.npz")
    lrp.train(net, digits, 1, progress=False, checkpoint="~/run.npz")
    for name, array in (("W1", np.ones((2, 3))), ("b1", np.ones(3))):
        np.save(home / f"{name}.npy", array)
    assert lrp.from_folder("~", "relu").sizes == [2, 3]
    lrp.plotting.save(lrp.plotting.loss_curve(np.ones(3), 1), "~/new/loss.png")
    written(home, "labels", idx(ARRAYS[1]))
    assert len(lrp.datasets.read_idx("~/labels")) == 14
    assert {path.name for path in home.iterdir() if path.name[0] != "."} == {
        "mnist.npz", "net.npz", "run.npz", "W1.npy", "b1.npy", "new", "labels"}
    assert (home / "new" / "loss.png").is_file()


def test_home_on_the_command_line(home, monkeypatch):
    from lrp_numpy.cli import main as cli
    monkeypatch.chdir(home)
    assert cli.main(["train", "--epochs=1", "--hidden=3", "--out=~/made",
                     "--checkpoint=~/run.npz"]) == 0
    assert cli.main(["explain", "--network=~/made/network.npz", "--out=~/more"]) == 0
    assert {path.name for path in home.iterdir() if path.name[0] != "."} == {
        "made", "run.npz", "more"}


# Files that are too large

@pytest.mark.skipif(os.name != "posix", reason="no sparse files")
@pytest.mark.parametrize("size, shown", [(5 * 10**9, "5.0 GB"), (10**12, "1000.0 GB")])
def test_files_too_large_are_refused_at_once(tmp_path, size, shown):
    path = tmp_path / "W1.npy"
    for use in (lambda: lrp.Network.load(path), lambda: lrp.from_folder(tmp_path, "relu")):
        with open(path, "wb") as file:
            file.truncate(size)
        with pytest.raises(ValueError, match=f"must have at most 4.3 GB, got {shown}") as caught:
            use()
        assert str(path) in str(caught.value)


def test_an_array_that_no_layer_knows_is_refused(tmp_path):
    """A file of a later version: left out, the array would make another network."""
    net = lrp.MLP.random([4, 3, 2], "relu")
    net.save(tmp_path / "net.npz")
    arrays = dict(np.load(tmp_path / "net.npz"))
    for name in ("mask0", "W7", "relevance1"):
        np.savez(tmp_path / "other.npz", **arrays, **{name: np.ones(3)})
        with pytest.raises(ValueError, match=f"other.npz .*does not know: {name}"):
            lrp.Network.load(tmp_path / "other.npz")


def test_an_error_of_the_system_names_the_file_alone(tmp_path):
    with pytest.raises(OSError) as caught:
        with files.atomic_write(tmp_path / "file"):
            raise OSError(28, "No space left on device", "elsewhere", None, "there")
    assert str(caught.value) == f"[Errno 28] No space left on device: '{tmp_path / 'file'}'"
    with pytest.raises(OSError) as caught:
        lrp.MLP.random([4, 2]).save(tmp_path / "missing" / "net.npz")
    assert "->" not in str(caught.value) and str(tmp_path / "missing" / "net.npz") in str(
        caught.value)
