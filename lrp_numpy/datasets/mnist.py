"""MNIST: the 10,000 digits that come with the package, or all 70,000.

MNIST is by Yann LeCun and Corinna Cortes (CC BY-SA 3.0). Images are rows of 784 pixels, 28 x 28
read line by line, from 0 (paper) to 1 (ink).
"""
import hashlib
import math
import os
import struct
import time
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import requests
from requests.exceptions import ChunkedEncodingError
from tqdm import tqdm

from lrp_numpy.utils.validation import check_choice
from lrp_numpy.utils.files import (CHUNK_SIZE, atomic_write, check_regular_file, error_text,
                                   gunzip)
from lrp_numpy.utils.types import FilePath

SIDE = 28
MOST_ITEMS = 1_000_000      # an IDX header that promises more is not believed
MOST_BYTES = 16 + MOST_ITEMS * SIDE * SIDE      # of an IDX file, unpacked
PACKET = 128                # bytes that are waited for: few, so that a slow mirror is noticed
TIMEOUT = (10, 30)          # seconds: to connect, and between two packets of the answer
SLOWEST = 4096              # bytes a second, in TIMEOUT[1] seconds; from fewer we turn away
CUTS = 5                    # of the connection, after which we give up
ELSEWHERE = ("set XDG_CACHE_HOME, or name a folder with MNIST's four IDX files in LRP_NUMPY_DATA")


class Digits(NamedTuple):
    """Images and labels, for training and for testing."""
    train_images: np.ndarray    # (N, 784) float32 in [0, 1]
    train_labels: np.ndarray    # (N,) int64 in 0..9
    test_images: np.ndarray
    test_labels: np.ndarray


class IDXFile(NamedTuple):
    """One of MNIST's four files: its published name, and what it unpacks to."""
    name: str
    size: int
    sha256: str


FILES = (   # in the order of Digits
    IDXFile("train-images-idx3-ubyte", 47040016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    IDXFile("train-labels-idx1-ubyte", 60008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    IDXFile("t10k-images-idx3-ubyte", 7840016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    IDXFile("t10k-labels-idx1-ubyte", 10008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


class DownloadError(OSError, ValueError):
    """No mirror gave the right file; the message lists what each one did."""


def load_mnist(name: str = "mnist-10k", folder: FilePath | None = None) -> Digits:
    """Load MNIST as `Digits`: float32 images (N, 784) in [0, 1] and int64 labels (N,).

    name="mnist-10k": 8,000 training and 2,000 test digits, shipped with the package.
    name="mnist": all 60,000 and 10,000. They are read from `folder`, else from the folder that the
    environment variable LRP_NUMPY_DATA names (four IDX files, gzipped or not), else from the
    cache, else they are downloaded into the cache (11 MB) and checked by SHA-256.

    Files in a folder of yours are checked for their form only, so any data set in MNIST's format
    with ten classes (Fashion-MNIST, say) can be put there.

    Raises ValueError for an unknown name and for a missing or damaged file, and DownloadError (an
    OSError and a ValueError) when no mirror gives the right data.
    """
    check_choice("name", name, ("mnist-10k", "mnist"))
    if name == "mnist-10k":
        if folder is not None:
            raise ValueError(f"folder goes with name='mnist' only, got folder={str(folder)!r} "
                             "with name='mnist-10k', which is shipped")
        with np.load(Path(__file__).with_name("mnist_10k.npz"), allow_pickle=False) as shipped:
            return _as_digits(*(shipped[field] for field in Digits._fields))
    variable = os.environ.get("LRP_NUMPY_DATA")
    if folder is not None:
        paths = [_find("folder", Path(folder), file.name) for file in FILES]
    elif variable:
        paths = [_find("LRP_NUMPY_DATA", Path(variable), file.name) for file in FILES]
    else:
        paths = [_cached(file) for file in FILES]
    arrays = [read_idx(path) for path in paths]
    for path, array, dimensions in zip(paths, arrays, (3, 1, 3, 1)):
        if array.ndim != dimensions:
            raise ValueError(f"{path} must hold {'images' if dimensions == 3 else 'labels'}, got "
                             f"{'labels' if dimensions == 3 else 'images'}")
    for images, labels, path in ((*arrays[:2], paths[1]), (*arrays[2:], paths[3])):
        if len(images) != len(labels):
            raise ValueError(f"{path} holds {len(labels)} labels for {len(images)} images")
        if len(labels) == 0 or labels.max() > 9:
            raise ValueError(f"{path}: labels must be 0..9 and at least one, got "
                             f"{len(labels)} labels, the largest {labels.max(initial=0)}")
    return _as_digits(*arrays)


def _as_digits(train_images, train_labels, test_images, test_labels):
    def pixels(images):
        return images.reshape(len(images), SIDE * SIDE).astype(np.float32) / np.float32(255)

    return Digits(pixels(train_images), train_labels.astype(np.int64),
                  pixels(test_images), test_labels.astype(np.int64))


def _find(argument, folder, name):
    if not folder.is_dir():
        raise ValueError(f"{argument} must name a folder, got {str(folder)!r}, which is none")
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise ValueError(f"{argument} must name a folder with MNIST's four IDX files, gzipped or not, "
                     f"got {str(folder)!r}: neither {name} nor {name}.gz is there")


def read_idx(path: FilePath) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not: images (N, 28, 28) or labels (N,), as uint8.

    The format is MNIST's: two zero bytes, the type (8: bytes), the number of dimensions, each
    dimension as a big-endian 32-bit number, then the bytes themselves. The header is checked
    before anything is allocated. Raises ValueError, naming the file, if it cannot be read or is
    not exactly that.
    """
    try:
        check_regular_file(path)
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            pieces = iter(partial(file.read, CHUNK_SIZE), b"")
            return _parse_idx(gunzip(pieces, MOST_BYTES) if packed else pieces, path)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error_text(error)}") from error


def _parse_idx(pieces, path):
    rest = bytearray()

    def take(size):     # piece by piece, so that no room is made for what is not there
        nonlocal rest
        while len(rest) < size and (piece := next(pieces, b"")):
            rest.extend(piece)
        if len(rest) < size:
            raise ValueError(f"{path} is truncated: {size} bytes expected, {len(rest)} found")
        taken, rest = rest[:size], rest[size:]
        return taken

    zeros, kind, dimensions = struct.unpack(">HBB", take(4))
    if zeros != 0 or kind != 8 or dimensions not in (1, 3):
        raise ValueError(f"{path} is not an IDX file of images or labels: it must begin with "
                         f"0 0 8 3 or 0 0 8 1, got {zeros >> 8} {zeros & 255} {kind} {dimensions}")
    shape = struct.unpack(f">{dimensions}I", take(4 * dimensions))
    if shape[0] > MOST_ITEMS or shape[1:] not in ((), (SIDE, SIDE)):
        raise ValueError(f"{path} must hold at most {MOST_ITEMS} labels or {SIDE} x {SIDE} images, "
                         f"its header says {' x '.join(map(str, shape))}")
    content = take(math.prod(shape))
    if rest or next(pieces, b""):
        raise ValueError(f"{path} goes on after the {len(content)} bytes that its header promises")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _cache_folder():
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "lrp_numpy"
    except RuntimeError as error:
        raise DownloadError(f"there is no home folder for a cache; {ELSEWHERE}") from error


def _cached(file):
    """The path of `file` in the cache, downloaded first if it is missing there or damaged."""
    path = _cache_folder() / file.name
    try:
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256:
                return path
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"the cache folder {path.parent} cannot be used ({error.strerror}); "
                            f"{ELSEWHERE}") from error
    problems = []
    for mirror in MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            _download(url, file, path)
            return path
        except (requests.RequestException, ValueError, EOFError, zlib.error) as error:
            offline = isinstance(error, (requests.ConnectionError, ChunkedEncodingError))
            problems.append(f"{url} ({'connection failed' if offline else error})")
        except OSError as error:
            raise DownloadError(f"{path} cannot be written: {error.strerror}") from error
    raise DownloadError(
        f"{file.name} could not be downloaded. Without a network, use the 10,000 digits that are "
        "shipped, load_mnist('mnist-10k') or --data mnist-10k, or name a folder with MNIST's four "
        "IDX files: load_mnist('mnist', folder=...), --folder or LRP_NUMPY_DATA. Tried: "
        + ", ".join(problems))


def _download(url, file, path):
    """Fetch and unpack `url` to `path`, which appears only when it is whole and right."""
    with atomic_write(path) as out, tqdm(
            total=file.size, unit="B", unit_scale=True, desc=file.name, delay=1) as bar:
        digest, size = hashlib.sha256(), 0
        for piece in gunzip(_fetched(url), limit=file.size):
            out.write(piece)
            digest.update(piece)
            size += len(piece)
            bar.update(len(piece))
        if digest.hexdigest() != file.sha256:
            raise DownloadError(f"not the published file: {size} bytes for {file.size}, "
                                f"SHA-256 {digest.hexdigest()} for {file.sha256}")


def _fetched(url):
    """The bytes at `url`, piece by piece; where the connection is cut, the rest is asked for."""
    here = 0
    for _ in range(CUTS):
        before = here
        try:
            for piece in _answer(url, start=here):
                yield piece
                here += len(piece)
            return
        except (requests.ConnectionError, ChunkedEncodingError):
            if here == before:
                raise
    raise DownloadError(f"the connection was cut {CUTS} times, the last time after {here} bytes")


def _answer(url, start):
    """The bytes at `url` from number `start` on, piece by piece."""
    with requests.Session() as session:
        for scheme in [scheme for scheme in session.adapters if not url.startswith(scheme)]:
            del session.adapters[scheme]        # no redirect leads to another scheme than url's
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with session.get(url, stream=True, timeout=TIMEOUT, headers=headers) as answer:
            answer.raise_for_status()
            skip = 0 if answer.status_code == 206 else start    # 206: the rest alone has come
            begin, fresh = time.monotonic(), 0
            for piece in answer.iter_content(PACKET):
                fresh, seconds = fresh + len(piece), time.monotonic() - begin
                if seconds > TIMEOUT[1]:
                    if fresh < SLOWEST * seconds:
                        raise DownloadError(f"too slow: {fresh} bytes in {seconds:.0f} s")
                    begin, fresh = time.monotonic(), 0
                yield piece[skip:]
                skip = max(0, skip - len(piece))
