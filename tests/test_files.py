"""Files are written completely or not at all, and read without trusting their content."""
import gzip
import io
import os
import struct
import zipfile

import numpy as np
import pytest
from conftest import most_memory
from fuzz import TIMES, fuzz, idx_file, readers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lrp_numpy as lrp
from lrp_numpy.datasets import read_idx
from lrp_numpy.utils.files import MAX_ARRAYS, atomic_write, read_array, read_arrays


def test_atomic_write(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error):
            with atomic_write(path) as file:
                file.write(b"half")
                raise error
        assert path.read_bytes() == b"new" and [one.name for one in tmp_path.iterdir()] == ["file"]
    with pytest.raises(OSError, match="No space left on device: '.*file'"):
        with atomic_write(path) as file:
            raise OSError(28, "No space left on device")
    with pytest.raises(OSError, match="^another message$"):
        with atomic_write(path) as file:
            raise OSError("another message")


def test_files_are_flushed_to_disk_before_they_are_renamed(tmp_path, monkeypatch):
    flushed = []        # the size of the file at each flush
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_size))
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert flushed == [3]


def test_arrays_are_read_as_numpy_writes_them(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.ones((3, 2), "f4")),
              "text": np.array(["Dense", "Flatten"]), "one": np.array(7), "none": np.zeros((0, 4)),
              "word": np.array("relu")}
    path = tmp_path / "arrays.npz"
    np.savez(path, **arrays)
    found = read_arrays(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.save(tmp_path / "array.npy", array)
        np.testing.assert_array_equal(read_array(tmp_path / "array.npy"), array)


@pytest.mark.parametrize("name", readers())
def test_endless_files_are_refused(tmp_path, name):
    """A pipe that nobody writes to, a device without end, a folder, a link to itself."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    keep = os.open(tmp_path / "pipe", os.O_RDWR)        # so opening it does not wait for a writer
    refused = "(not a regular file|a directory|symbolic)"
    # a new checkpoint may replace a link that leads nowhere
    for path in ["pipe", "zeros", ""] + ["loop"] * (name != "checkpoint"):
        with pytest.raises(ValueError, match=f"{tmp_path / path}.*{refused}"):
            readers()[name].read(tmp_path / path)
    os.close(keep)


def test_only_regular_files_are_replaced(tmp_path):
    """And they keep their permissions."""
    path, folder = tmp_path / "file", tmp_path / "folder"
    path.touch(mode=0o600)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600
    os.mkfifo(tmp_path / "pipe")
    folder.mkdir()
    for name, what in (("pipe", "not a regular file"), ("folder", "a directory")):
        with pytest.raises(OSError, match=f"{tmp_path / name} is {what}"):
            with atomic_write(tmp_path / name) as file:
                file.write(b"new")
    longest = tmp_path / ("x" * 255)
    with atomic_write(longest) as file:
        file.write(b"new")
    assert len(list(tmp_path.iterdir())) == 4 and not list(folder.iterdir())


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder/file").read_bytes() == b"new"


def npz(path, content, compression=zipfile.ZIP_STORED, count=1):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for number in range(count):
            archive.writestr(f"x{number}.npy", content)
    return path


def npy(shape, dtype="<f8", data=b"", version=(1, 0)):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize("content, message", [
    (npy((10**12,)), "x0 declares 1000000000000 x 8 bytes but contains 0$"),
    (npy((-1,), data=bytes(8)), "x0 declares"),
    (npy((2,), data=bytes(24)), "x0 declares 2 x 8 bytes but contains 24$"),
    (npy((1,), "|O", bytes(8)), "got Python objects"),
    (npy((2**40, 2**40), data=bytes(8)), "x0 declares"),
    (npy((1,), data=bytes(8), version=(2, 0)), "version 1.0"),
    (npy("(" * 50), "cannot parse|readable"),
    (b"\x93NUMPY\x01\x00\x10\x00{'descr': (", "not a readable .npz file"),
    (b"not an array", "not a readable .npz file")])
def test_arrays_with_wrong_headers(tmp_path, content, message):
    """In an .npz file and in an .npy file."""
    with pytest.raises(ValueError, match=message):
        read_arrays(npz(tmp_path / "x.npz", content))
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match="x.npy is not an array saved by numpy.save: .*" + (
            message.replace("x0", "it") if "readable" not in message else "")):
        read_array(tmp_path / "x.npy")


def test_arrays_written_by_python_2(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy("(1L,)", data=struct.pack("<d", 7)))
    assert read_array(tmp_path / "x.npy").tolist() == [7]


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    bomb = npy((10**7,), data=bytes(8 * 10**7))
    with pytest.raises(ValueError, match="x0 must be stored uncompressed"):
        read_arrays(npz(tmp_path / "bomb.npz", bomb, zipfile.ZIP_DEFLATED))
    many = npz(tmp_path / "many.npz", b"", count=MAX_ARRAYS + 1)
    monkeypatch.setattr(zipfile, "ZipFile", None)       # they are counted before it is opened
    with pytest.raises(ValueError, match=f"at most {MAX_ARRAYS} arrays, got {MAX_ARRAYS + 1}"):
        read_arrays(many)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 2**33), max_size=4), st.binary(max_size=64),
       st.sampled_from(["<f8", ">f4", "<U5", "|b1", "<M8[s]", "|V0", "<i8"]))
def test_headers_of_any_kind(tmp_path_factory, shape, content, dtype):
    """An array that is read has as many bytes as follow its header; all others are refused."""
    path = npz(tmp_path_factory.getbasetemp() / "any.npz", npy(tuple(shape), dtype, content))
    try:
        array = read_arrays(path)["x0"]
    except ValueError as error:
        assert "not a readable .npz file" in str(error)
    else:
        assert array.shape == tuple(shape) and array.nbytes == len(content)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 65535), st.integers(0, 255), st.lists(st.integers(0, 2**32 - 1), max_size=5),
       st.binary(max_size=64))
def test_idx_headers_of_any_kind(tmp_path_factory, zeros, kind, shape, content):
    path = tmp_path_factory.getbasetemp() / "any.idx"
    path.write_bytes(struct.pack(">HBB", zeros, kind, len(shape))
                     + struct.pack(f">{len(shape)}I", *shape) + content)
    try:
        array = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert array.shape == tuple(shape) and array.tobytes() == content


@pytest.mark.parametrize("name", readers())
@pytest.mark.long
def test_damaged_files(tmp_path, name):
    """The short form of `python tests/fuzz.py`."""
    found = fuzz(name, readers()[name], 400, tmp_path, seed=1)
    assert found["wrong"] == [] and found["read"] > 0 and found["refused"] > 100


def test_large_files_take_little_memory(tmp_path):
    """At most four times the content, which the small damaged files above cannot show."""
    rng = np.random.default_rng(0)
    content = idx_file(rng.integers(0, 256, (5000, 28, 28), dtype=np.uint8))
    (tmp_path / "idx").write_bytes(content)
    (tmp_path / "idx.gz").write_bytes(gzip.compress(content, 1))
    with open(tmp_path / "npy", "wb") as file:
        np.save(file, rng.random((500, 784)))
    lrp.MLP.random([784, 900, 10]).save(tmp_path / "network")
    seven = rng.integers(200, 220, (1000, 1000), dtype=np.uint8)
    seven[200:250, 300:700], seven[200:800, 600:650] = 20, 20
    Image.fromarray(seven).save(tmp_path / "png", "png")
    by_name = readers()
    for name in ("idx", "idx.gz", "npy", "network", "png"):
        reader, path = by_name[name], tmp_path / name
        memory = most_memory(lambda: reader.read(path))
        assert memory < TIMES * reader.content_size(path.read_bytes()), name


def test_the_fuzzer_notices_bad_readers(tmp_path):
    """Readers that let errors through, do not name the file, or take too much memory."""
    reader = readers()["idx"]

    def crashes(path):
        return io.BytesIO(path.read_bytes()).getvalue()[3000]

    def is_vague(path):
        raise ValueError("something is wrong")

    def is_greedy(path):
        return bytes(10**7)
    for read, message in ((crashes, "IndexError"), (is_vague, "does not name the file"),
                          (is_greedy, "it takes 10")):
        found = fuzz("idx", reader._replace(read=read), 5, tmp_path)
        assert any(message in wrong for wrong in found["wrong"])
