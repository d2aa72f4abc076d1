"""Files that are written whole or not at all, and read without trust."""
import os
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lrp_numpy.kinds import FilePath

MOST_ARRAYS = 10_000        # in an .npz file; one with more is not believed

# All that reading a damaged file can end in
FAULTS = (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, SyntaxError,
          RecursionError, MemoryError, OverflowError, NotImplementedError, zipfile.BadZipFile,
          zlib.error, tokenize.TokenError)


@contextmanager
def written_whole(path: FilePath) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the name `path` when all has been written.

    Whatever happens before (an error, a full disk, the end of the process), `path` is what it was:
    the bytes go into a file beside it, which is renamed at the end. Raises what the writing raises,
    an OSError with the name of the file.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        if error.errno is not None and error.filename is None:      # of a full disk, say
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: FilePath, text: str) -> None:
    """Write `text` to `path` as UTF-8: whole, or not at all (OSError)."""
    with written_whole(path) as file:
        file.write(text.encode())


def read_arrays(path: FilePath) -> dict[str, np.ndarray]:
    """{name: array} from an .npz file as numpy.savez writes it.

    Nothing is believed: not unpickled, and every array's header must promise just the bytes that
    lie there, uncompressed, before room is made for it. So it takes no more memory than the file is
    long, and as much again for one array. Raises ValueError for anything else.
    """
    arrays, size = {}, os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ARRAYS:
                raise ValueError(f"it must hold at most {MOST_ARRAYS} arrays, got {len(entries)}")
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                    raise ValueError(f"{name} must be stored as it is, uncompressed")
                size -= entry.file_size
                with archive.open(entry) as file:
                    arrays[name] = _array(file, name, entry.file_size)
    except FAULTS as error:
        raise ValueError(f"not an .npz file that can be read: {error}") from error
    return arrays


def read_array(path: FilePath) -> np.ndarray:
    """The array in an .npy file as numpy.save writes it, believed as little as by `read_arrays`.

    Raises FileNotFoundError, and ValueError, naming the file, for anything else.
    """
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            return _array(file, "it", size)
    except FAULTS as error:
        raise ValueError(f"{path} is not an array saved by numpy.save: {error}") from error


def _array(file, name, size):
    """One array in the .npy format, of which the file has `size` bytes left."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} must be in version 1.0 of the .npy format, got {version}")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError(f"{name} must hold numbers or text, got Python objects")
    count = 1
    for side in shape:      # in Python's integers, which do not overflow
        count *= side
    content = size - file.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != content:
        raise ValueError(f"{name} promises {count} times {dtype.itemsize} bytes, and {content} lie "
                         "there")
    flat = np.frombuffer(file.read(content), dtype) if count else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C").copy(order="K")
