"""MNIST: the 10,000 digits that come with the package, or all 70,000.

MNIST is by Yann LeCun and Corinna Cortes (CC BY-SA 3.0). Each image is a row of 784 pixels, 28 x 28
line by line, from 0 (paper) to 1 (ink).
"""
import math
import os
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lrp_numpy.datasets import download
from lrp_numpy.utils.files import CHUNK_SIZE, check_regular_file, error_text, gunzip
from lrp_numpy.utils.types import FilePath
from lrp_numpy.utils.validation import check_choice

SIDE = 28                   # pixels
MAX_ITEMS = 1_000_000       # images or labels in an IDX file; files with more are refused
MAX_BYTES = 16 + MAX_ITEMS * SIDE * SIDE        # of an IDX file, unpacked


class Digits(NamedTuple):
    """Images and labels, for training and for testing."""
    train_images: np.ndarray    # (N, 784) float32 in [0, 1]
    train_labels: np.ndarray    # (N,) int64 in 0..9
    test_images: np.ndarray
    test_labels: np.ndarray


def load_mnist(name: str = "mnist-10k", folder: FilePath | None = None) -> Digits:
    """Load MNIST as `Digits`: float32 images (N, 784) in [0, 1] and int64 labels (N,).

    name="mnist-10k": 8,000 training and 2,000 test digits, shipped with the package.
    name="mnist": all 60,000 and 10,000. They are read from `folder`, else from the folder that the
    environment variable LRP_NUMPY_DATA names (four IDX files, gzipped or not), else from the
    cache, else they are downloaded into the cache (11 MB) and checked by SHA-256.

    Files in your own folder are checked for their format only, so it may hold any data set in
    MNIST's format with ten classes, such as Fashion-MNIST.

    Raises ValueError for an unknown name and for a missing or damaged file, and DownloadError (an
    OSError and a ValueError) if no mirror gives the right data.
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
        paths = [_find("folder", Path(folder), file.name) for file in download.FILES]
    elif variable:
        paths = [_find("LRP_NUMPY_DATA", Path(variable), file.name) for file in download.FILES]
    else:
        paths = [download.cached(file) for file in download.FILES]
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
        raise ValueError(f"{argument} must name a folder, got {str(folder)!r}")
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise ValueError(f"{argument} must name a folder with MNIST's four IDX files, gzipped or not, "
                     f"got {str(folder)!r}, which contains neither {name} nor {name}.gz")


def read_idx(path: FilePath) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not: images (N, 28, 28) or labels (N,), as uint8.

    MNIST's format: two zero bytes, the type (8: bytes), the number of dimensions, each dimension as
    a big-endian 32-bit integer, then the bytes. The header is checked before memory is allocated.
    Raises ValueError, naming the file, if it cannot be read or is in any other format.
    """
    try:
        check_regular_file(path)
        with open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            chunks = iter(partial(file.read, CHUNK_SIZE), b"")
            return _parse_idx(gunzip(chunks, MAX_BYTES) if is_gzip else chunks, path)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error_text(error)}") from error


def _parse_idx(chunks, path):
    rest = bytearray()

    def take(size):     # chunk by chunk: a false header must not make us allocate memory
        nonlocal rest
        while len(rest) < size and (chunk := next(chunks, b"")):
            rest.extend(chunk)
        if len(rest) < size:
            raise ValueError(f"{path} is truncated: {size} bytes expected, {len(rest)} found")
        taken, rest = rest[:size], rest[size:]
        return taken

    zeros, kind, dimensions = struct.unpack(">HBB", take(4))
    if zeros != 0 or kind != 8 or dimensions not in (1, 3):
        raise ValueError(f"{path} is not an IDX file of images or labels: it must begin with "
                         f"0 0 8 3 or 0 0 8 1, got {zeros >> 8} {zeros & 255} {kind} {dimensions}")
    shape = struct.unpack(f">{dimensions}I", take(4 * dimensions))
    if shape[0] > MAX_ITEMS or shape[1:] not in ((), (SIDE, SIDE)):
        raise ValueError(f"{path} must hold at most {MAX_ITEMS} labels or {SIDE} x {SIDE} images, "
                         f"got {' x '.join(map(str, shape))} in its header")
    content = take(math.prod(shape))
    if rest or next(chunks, b""):
        raise ValueError(f"{path} has more than the {len(content)} bytes that its header declares")
    return np.frombuffer(content, np.uint8).reshape(shape)
