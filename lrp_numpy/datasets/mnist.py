"""MNIST: the 10,000 digits that come with the package, or all 70,000.

MNIST is by Yann LeCun and Corinna Cortes (CC BY-SA 3.0). Each image is a row of 784 pixels, 28 x 28
line by line, from 0 (paper) to 1 (ink).
"""
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lrp_numpy.datasets import download
from lrp_numpy.datasets.folders import digit_arrays
from lrp_numpy.datasets.idx import SIDE, read_idx
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import FilePath
from lrp_numpy.utils.validation import check_choice


class Digits(NamedTuple):
    """Images and labels, for training and for testing."""
    train_images: np.ndarray    # (N, 784) float32 in [0, 1]
    train_labels: np.ndarray    # (N,) int64 in 0..9
    test_images: np.ndarray
    test_labels: np.ndarray


@door
def load_mnist(name: str = "mnist-10k", folder: FilePath | None = None) -> Digits:
    """Load MNIST as `Digits`: float32 images (N, 784) in [0, 1] and int64 labels (N,).

    name="mnist-10k": 8,000 training and 2,000 test digits, shipped with the package.
    name="mnist": all 60,000 and 10,000. They are read from `folder`, else from the folder that the
    environment variable LRP_NUMPY_DATA names, else from the cache, else they are downloaded into
    the cache (11 MB) and checked by SHA-256.

    A folder may hold MNIST as IDX files, as torchvision and most unpackers leave them, as keras'
    mnist.npz or as Kaggle's CSV files: see `folders.digit_arrays`. They are checked for their
    format only, so it may be any data set in MNIST's format with ten classes, such as
    Fashion-MNIST.

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
        found = digit_arrays("folder", folder)
    elif variable:
        found = digit_arrays("LRP_NUMPY_DATA", variable)
    else:
        paths = [download.cached(file) for file in download.FILES]
        found = [(str(path), read_idx(path)) for path in paths]
    for (source, array), dimensions in zip(found, (3, 1, 3, 1)):
        if array.ndim != dimensions:
            raise ValueError(f"{source} must hold {'images' if dimensions == 3 else 'labels'}, got "
                             f"{'labels' if dimensions == 3 else 'images'}")
    for (_, images), (source, labels) in (found[:2], found[2:]):
        if len(images) != len(labels):
            raise ValueError(f"{source} holds {len(labels)} labels for {len(images)} images")
        if len(labels) == 0 or labels.max() > 9:
            raise ValueError(f"{source}: labels must be 0..9 and at least one, got "
                             f"{len(labels)} labels, the largest {labels.max(initial=0)}")
    return _as_digits(*(array for _, array in found))


def _as_digits(train_images, train_labels, test_images, test_labels):
    def pixels(images):
        return images.reshape(len(images), SIDE * SIDE).astype(np.float32) / np.float32(255)

    return Digits(pixels(train_images), train_labels.astype(np.int64),
                  pixels(test_images), test_labels.astype(np.int64))
