"""MNIST in a folder of your own: the names and formats under which it is usually found.

`digit_arrays` returns four arrays of bytes, as they are in the files, each with the name of its
source. Nothing in a file is trusted.
"""
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from lrp_numpy.datasets.idx import MAX_ITEMS, SIDE, read_idx
from lrp_numpy.utils.files import check_regular_file, error_text, expanded, read_arrays
from lrp_numpy.utils.types import FilePath

# (source, array): train images (N, 28, 28), train labels (N,), test images, test labels
Arrays = list[tuple[str, np.ndarray]]

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
             "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
BELOW = (".", "raw", "MNIST/raw")               # torchvision's folders
KERAS_NAME, KERAS_ARRAYS = "mnist.npz", ("x_train", "y_train", "x_test", "y_test")
CSV_PAIR, CSV_ALONE = ("mnist_train.csv", "mnist_test.csv"), "train.csv"
TEST_SHARE = 7              # of a CSV file without a partner, the last seventh is for testing
PIXELS = SIDE * SIDE
MAX_LINE = 16 * (PIXELS + 1)                     # letters in a line of a CSV file


def digit_arrays(argument: str, folder: FilePath) -> Arrays:
    """The four arrays of MNIST, with their sources, from a folder or a file of keras or Kaggle.

    In this order: the four IDX files, also as NAME.idx3-ubyte, gzipped, in folders of their own
    names, or in raw/ or MNIST/raw/ below; keras' mnist.npz; mnist_train.csv with mnist_test.csv;
    Kaggle's train.csv, whose last seventh becomes the test digits (its test.csv has no labels).
    Raises ValueError, naming the argument and what else is there, or the file that is damaged.
    """
    path = expanded(folder)
    if path.is_file():
        if path.suffix == ".npz":
            return read_keras(path)
        if path.suffix == ".csv":
            return read_csv(path)
    if not path.is_dir():
        raise ValueError(f"{argument} must name a folder, or a file .npz or .csv with MNIST, got "
                         f"{str(folder)!r}{_alike(path.parent, [path.name])}")
    for below in BELOW:
        found = [find_idx(path / below, name) for name in IDX_NAMES]
        if all(found):
            return [(str(one), read_idx(one)) for one in found if one]
        if any(found):
            _miss(argument, path / below, [name for name, one in zip(IDX_NAMES, found) if not one])
    if (path / KERAS_NAME).is_file():
        return read_keras(path / KERAS_NAME)
    if all((path / name).is_file() for name in CSV_PAIR):
        return read_csv(*(path / name for name in CSV_PAIR))
    if (path / CSV_ALONE).is_file():
        return read_csv(path / CSV_ALONE)
    _miss(argument, path, [*IDX_NAMES, KERAS_NAME, *CSV_PAIR, CSV_ALONE])


def find_idx(folder: Path, name: str) -> Path | None:
    """The IDX file called `name`, however it was unpacked; None if it is not there."""
    names = [name, name.replace("-idx", ".idx")]
    for one in [*names, *(f"{one}.gz" for one in names)]:
        for path in (folder / one, *(folder / one / inner for inner in names)):
            if path.is_file():
                return path
    return None


def _miss(argument, folder, names) -> NoReturn:
    """Raise ValueError: the names are not in the folder."""
    idx = [name for name in names if name in IDX_NAMES]
    lacking = " nor ".join(f"{name} nor {name}.gz" for name in idx[:1])
    others = "" if len(names) <= len(IDX_NAMES) else f", nor {KERAS_NAME}, nor {CSV_ALONE}"
    raise ValueError(f"{argument} must name a folder with MNIST's four IDX files, gzipped or not, "
                     f"got {str(folder)!r}, which contains neither {lacking}{others}"
                     f"{_alike(folder, names)}")


def _alike(folder, names):
    """", but ..., which is like it": what the folder holds that the user may have meant."""
    try:
        there = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())[:1000]
    except OSError:
        return ""
    close = {one for name in names for one in difflib.get_close_matches(name, there, 3, 0.5)}
    close |= {one for one in there if "mnist" in one.lower() or one == "raw/"}
    return f" (but {', '.join(map(repr, sorted(close)[:6]))})" if close else ""


def read_keras(path: FilePath) -> Arrays:
    """The arrays of keras' mnist.npz. Raises ValueError, naming the file, for any other."""
    try:
        arrays = read_arrays(path, packed=MAX_ITEMS * PIXELS + 1000)
    except ValueError as error:
        raise ValueError(f"{path} is not keras' mnist.npz: {error_text(error)}") from error
    missing = [name for name in KERAS_ARRAYS if name not in arrays]
    if missing:
        raise ValueError(f"{path} must hold keras' arrays {', '.join(KERAS_ARRAYS)}, but lacks "
                         f"{', '.join(missing)}")
    for name in KERAS_ARRAYS:
        shape, dtype = arrays[name].shape, arrays[name].dtype
        expected = (SIDE, SIDE) if name[0] == "x" else ()
        if dtype.kind not in "ui" or len(shape) != len(expected) + 1 or shape[1:] != expected:
            raise ValueError(f"{path} must hold {name} of bytes, of shape "
                             f"{('N', *expected)}, got {dtype} {shape}")
        if len(arrays[name]) and not 0 <= arrays[name].min() <= arrays[name].max() <= 255:
            raise ValueError(f"{path} must hold {name} from 0 to 255, got {arrays[name].min()} to "
                             f"{arrays[name].max()}")
    return [(f"{name} in {path}", arrays[name].astype(np.uint8)) for name in KERAS_ARRAYS]


def read_csv(path: FilePath, test: FilePath | None = None) -> Arrays:
    """The digits of a CSV file: a line each of label, pixel 0, ..., pixel 783, from 0 to 255.

    test: the file of the test digits; None takes the last seventh of `path`. A first line of names
    is skipped. Raises ValueError, naming the file, for anything else.
    """
    table = _table(path)
    if test is None:
        first = len(table) - len(table) // TEST_SHARE
        parts = [(path, table[:first]), (path, table[first:])]
    else:
        parts = [(path, table), (test, _table(test))]
    return [(str(source), array) for source, part in parts
            for array in (part[:, 1:].reshape(-1, SIDE, SIDE), part[:, 0])]


def _table(path):
    try:
        check_regular_file(path)
        with open(path, encoding="utf-8-sig") as file:
            lines = _lines(file)
            first = next(lines, "")
            if not first.split(",")[0].strip().lstrip("-").isdecimal():     # the names of columns
                first = next(lines, "")
            if not first:
                raise ValueError("it holds none")
            if first.count(",") != PIXELS:
                raise ValueError(f"its lines must hold a label and {PIXELS} pixels, got "
                                 f"{first.count(',') + 1} columns in the first")
            table = np.loadtxt(_chain(first, lines), np.uint8, delimiter=",", ndmin=2,
                               comments=None)
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a CSV file of digits: {error_text(error)}") from error
    return table


def _chain(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _lines(file) -> Iterator[str]:
    """The lines of a text file; none may be longer than that of a digit, nor may they be more."""
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE or number > MAX_ITEMS:
            raise ValueError(f"it must have at most {MAX_ITEMS} lines, of fewer than {MAX_LINE} "
                             "letters")
        yield line
