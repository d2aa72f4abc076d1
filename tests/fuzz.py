"""Damaged files by the hundred thousand, for every reader: `python tests/fuzz.py --count 100000`.

A valid file is damaged in one to four places; or its parts are, and their checksums are corrected.
For every such file, the reader must return or raise one ValueError that names the file, within a
second, and in at most four times the memory that the file's content needs, plus a fixed amount for
buffers. Files for which it does not are kept in the folder of --keep.

Only the memory of Python and NumPy is measured. Pillow's is not, but is limited: at most 36 million
pixels, and of a PNG file only as many as fit in its bytes.
"""
import argparse
import contextlib
import gzip
import io
import re
import struct
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, NamedTuple

import numpy as np
from PIL import Image

import lrp_numpy as lrp
from lrp_numpy.training import checkpoint
from lrp_numpy.datasets import download, folders, read_idx
from lrp_numpy.utils import files
from lrp_numpy.datasets import handwriting, pictures
from lrp_numpy.training import init_state

SECONDS = 1.0
TIMES = 4
BUFFERS = 1 << 20       # bytes that opening and reading a file of any length may take
LENGTHS = [0, 1, 2, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1]


class Reader(NamedTuple):
    """How to read a kind of file, a valid one, and how to split it into parts and join them."""
    read: Callable          # path -> anything, or ValueError
    valid: bytes
    split: Callable         # bytes -> list of bytes
    join: Callable          # list of bytes -> bytes
    content_size: Callable  # bytes of a file -> number of bytes of its content, unpacked


def idx_file(images):
    header = struct.pack(">HBB", 0, 8, 3) + struct.pack(">3I", *images.shape)
    return header + images.tobytes()


def zip_split(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [part for name in archive.namelist()
                for part in (name.encode(), archive.read(name))]


def zip_join(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")     # two parts may have the same name
        for name, part in zip(parts[::2], parts[1::2]):
            archive.writestr(name.decode("latin-1").replace("\0", "") or "x", part)
    return file.getvalue()


def png_split(content):
    parts, place = [], 8
    while place < len(content):
        size, = struct.unpack(">I", content[place:place + 4])
        parts.append(content[place + 4:place + 8 + size])
        place += 12 + size
    return [zlib.decompress(part[4:]) if part[:4] == b"IDAT" else part for part in parts]


def png_join(parts):
    file = b"\x89PNG\r\n\x1a\n"
    for part in parts:
        if part[:4] not in (b"IHDR", b"IEND", b"PLTE", b"tRNS", b"gAMA", b"pHYs", b"eXIf"):
            part = b"IDAT" + zlib.compress(part)
        file += struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
    return file


def picture_size(content):
    """The size of the colours and the ink of each pixel as float32, by the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(content), formats=pictures.FORMATS).size
    except Exception:
        return 0
    if width * height > pictures.MAX_PIXELS:
        return 0
    factor = -(-max(width, height) // pictures.MAX_SIDE)
    return 16 * (width // factor + 1) * (height // factor + 1)


def halves(content):
    return [content[:len(content) // 4], content[len(content) // 4:]]


def unpacked_size(content):
    """The size of a gzip file's content, up to that of MNIST's largest file."""
    try:
        return len(zlib.decompressobj(wbits=31).decompress(content, download.FILES[0].size))
    except zlib.error:
        return 0


def packed_size(content):
    """What the arrays of a compressed .npz file unpack to, as its directory says."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return sum(min(entry.file_size, 1000 * max(entry.compress_size, 1))
                       for entry in archive.infolist())
    except Exception:
        return 0


def packed_join(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, part in zip(parts[::2], parts[1::2]):
            archive.writestr(name.decode("latin-1").replace("\0", "") or "x", part)
    return file.getvalue()


def readers():
    """{name: Reader} for every kind of file that the package reads."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (3, 28, 28), dtype=np.uint8)
    idx = idx_file(images)
    net = lrp.Network([lrp.Unflatten((1, 6, 6)), lrp.Conv2D.random(1, 2, 3, "relu", 0),
                       lrp.MaxPool2D(2), lrp.Flatten(), lrp.Dense.random(8, 3, "identity", 0)])
    few = SimpleNamespace(train_images=rng.random((8, 36)), train_labels=np.arange(8) % 3,
                          test_images=rng.random((2, 36)), test_labels=np.arange(2))
    fingerprint = checkpoint.run_fingerprint(net, few, np.random.default_rng(0), batch_size=4)
    with tempfile.TemporaryDirectory() as folder:
        net.save(f"{folder}/network.npz")
        checkpoint.save(f"{folder}/run.npz", init_state(net), [1.0, 2.0], [0.5], fingerprint)
        network, run = (Path(folder, f"{name}.npz").read_bytes() for name in ("network", "run"))
    npy, keras = io.BytesIO(), io.BytesIO()
    np.savez_compressed(keras, **dict(zip(folders.KERAS_ARRAYS, 2 * [images, images[:, 0, 0]])))
    csv = ("label," + ",".join(f"pixel{j}" for j in range(784)) + "\n" + "".join(
        ",".join(map(str, [3, *image.ravel()])) + "\n" for image in images)).encode()
    np.save(npy, rng.random((40, 30)))
    seven, encoded = np.full((30, 20, 3), 230, np.uint8), {}
    seven[5:8, 4:15], seven[8:25, 11:14], exif = (20, 20, 90), (20, 20, 90), Image.Exif()
    exif[0x0112] = 6
    for form in pictures.FORMATS:
        file = io.BytesIO()
        Image.fromarray(seven).save(file, form, exif=exif)
        encoded[form] = file.getvalue()

    def resume(path):
        return checkpoint.load(path, init_state(net), fingerprint.copy(), steps=2, epochs=10)
    return {
        "idx": Reader(read_idx, idx, lambda file: [file[:4], file[4:16], file[16:]],
                      b"".join, len),
        "idx.gz": Reader(read_idx, gzip.compress(idx), lambda file: [gzip.decompress(file)],
                         lambda parts: gzip.compress(parts[0], 1), unpacked_size),
        "csv": Reader(folders.read_csv, csv, lambda file: re.split(b"(?<=[,\n])", file), b"".join,
                      len),
        "keras": Reader(folders.read_keras, keras.getvalue(), zip_split, packed_join, packed_size),
        "network": Reader(lrp.Network.load, network, zip_split, zip_join, len),
        "checkpoint": Reader(resume, run, zip_split, zip_join, len),
        "npy": Reader(files.read_array, npy.getvalue(),
                      lambda file: [file[:10], file[10:128], file[128:]], b"".join, len),
        "png": Reader(handwriting.read_digit, encoded["PNG"], png_split, png_join, picture_size),
        **{form.lower(): Reader(handwriting.read_digit, encoded[form], halves, b"".join,
                                picture_size)
           for form in pictures.FORMATS if form != "PNG"}}


def damaged(content, rng):
    """`content` with a bit, up to 16 bytes or a number changed, a part repeated, or a part lost."""
    content = bytearray(content)
    start = int(rng.integers(0, len(content) + 1))
    end = min(len(content), start + int(rng.integers(1, 17)))
    kind = rng.integers(0, 6)
    if kind == 0 and start < len(content):
        content[start] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        content[start:end] = rng.bytes(end - start)
    elif kind == 2:
        content[start:start + 4] = struct.pack(rng.choice(["<I", ">I"]), LENGTHS[rng.integers(9)])
    elif kind == 3:
        del content[start:end]
    elif kind == 4:
        content[start:start] = content[start:end]
    else:
        del content[start:]
    return bytes(content)


def sample(reader, rng):
    """One damaged file: damaged directly, or in its parts, with correct checksums."""
    if rng.random() < 0.4:
        content = reader.valid
        for _ in range(rng.integers(1, 5)):
            content = damaged(content, rng)
        return content
    parts = reader.split(reader.valid)
    for _ in range(rng.integers(1, 5)):
        number = rng.integers(len(parts))
        parts[number] = damaged(parts[number], rng)
    return reader.join(parts)


def fuzz(name, reader, count, folder, seed=0, keep=None):
    """Read `count` damaged files. Returns {"read", "refused", "wrong": [texts], "seconds": the
    longest, "memory": the largest in bytes, "times": the largest above BUFFERS, as a multiple of
    the content}."""
    found = {"read": 0, "refused": 0, "wrong": [], "seconds": 0.0, "memory": 0, "times": 0.0}
    path = Path(folder) / f"{name}.bin"
    path.write_bytes(reader.valid)
    with contextlib.suppress(Exception):
        reader.read(path)       # what is imported or kept at the first call does not count
    tracemalloc.start()
    for number in range(count):
        content = sample(reader, np.random.default_rng([seed, number]))
        path.write_bytes(content)
        size = max(reader.content_size(content), len(content), 1)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        begin, wrong = time.perf_counter(), None
        try:
            reader.read(path)
            found["read"] += 1
        except ValueError as error:
            found["refused"] += 1
            if str(path) not in str(error):
                wrong = f"the error does not name the file: {error}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - begin
        memory = tracemalloc.get_traced_memory()[1] - before
        times = max(0, memory - BUFFERS) / size
        found["seconds"] = max(found["seconds"], seconds)
        found["memory"] = max(found["memory"], memory)
        found["times"] = max(found["times"], times)
        if seconds > SECONDS:
            wrong = f"it takes {seconds:.1f} s"
        if times > TIMES:
            wrong = f"it takes {memory} bytes for {len(content)}"
        if wrong:
            found["wrong"].append(f"{name} {number}: {wrong}")
            if keep:
                Path(keep).mkdir(parents=True, exist_ok=True)
                (Path(keep) / f"{name}-{number}.bin").write_bytes(content)
    tracemalloc.stop()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", nargs="+", default=list(readers()), choices=list(readers()))
    parser.add_argument("--keep", metavar="DIR", default="out/fuzz",
                        help="where to keep the files for which a reader fails")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in options.reader:
            found = fuzz(name, readers()[name], options.count, folder, options.seed, options.keep)
            print(f"{name:10} {options.count} files: {found['read']} read, {found['refused']} "
                  f"refused, {len(found['wrong'])} wrong; at most {found['seconds']:.3f} s and "
                  f"{found['memory'] / 1000:.0f} KB: {found['times']:.1f} times the content above "
                  "the buffers", flush=True)
            print(*found["wrong"][:10], sep="\n", end="\n" if found["wrong"] else "")
            failed |= bool(found["wrong"])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
