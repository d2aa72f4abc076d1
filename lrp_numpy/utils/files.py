"""Files that are written whole or not at all, and read without trust."""
import os
import shutil
import stat
import uuid
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lrp_numpy.utils.types import FilePath

MOST_ARRAYS = 10_000        # in an .npz file; one with more is not believed
PIECE = 1 << 16             # bytes that are read at once


@contextmanager
def written_whole(path: FilePath) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the name `path` when all has been written.

    Whatever happens before (an error, a full disk, the end of the process, a power cut), `path` is
    what it was: the bytes go into a file beside it, .NAME.part, which is renamed when they lie on
    the disk. Raises what the writing raises, an OSError with the name of the file, and OSError for
    a folder, a pipe or a device. A link is followed: what it leads to is replaced.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        if path.exists():
            check_ordinary(path)
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())     # or the name could change before the bytes have arrived
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    except OSError as error:
        if error.errno is not None:     # of a full disk, say: this is the name that is known
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):     # there is none any more, or there was no place for one
            part.unlink()


def write_text(path: FilePath, text: str) -> None:
    """Write `text` to `path` as UTF-8: whole, or not at all (OSError)."""
    with written_whole(path) as file:
        file.write(text.encode())


def check_ordinary(path: FilePath) -> None:
    """Raise OSError where there is no file, and for what is no ordinary one.

    To read a pipe or a device would wait, or take all memory; to write would replace it.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is " + ("a directory" if stat.S_ISDIR(mode) else "no ordinary file"))


def why(error: Exception) -> str:
    """What an error says, or what it is called if it says nothing."""
    return str(error) or type(error).__name__


class Arrays(dict[str, np.ndarray]):
    """{name: array}, which says what it lacks."""

    def __missing__(self, name):
        raise ValueError(f"it holds no array {name!r}")


def read_arrays(path: FilePath) -> Arrays:
    """{name: array} from an .npz file as numpy.savez writes it.

    Nothing is believed: not unpickled, and every array's header must promise just the bytes that
    lie there, uncompressed, before room is made for it. So it takes no more memory than the file is
    long, and as much again for one array. Raises FileNotFoundError, and ValueError for anything
    else.
    """
    arrays = Arrays()
    try:
        check_ordinary(path)
        with open(path, "rb") as file:      # zipfile takes its time for many entries: look before
            _check_count(_occurrences(file, b"PK\x01\x02"))
        size = os.path.getsize(path)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_count(len(entries))
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                    raise ValueError(f"{name} must be stored as it is, uncompressed")
                size -= entry.file_size
                with archive.open(entry) as file:
                    arrays[name] = _array(file, name, entry.file_size)
    except FileNotFoundError:
        raise
    except Exception as error:      # whatever a damaged file makes zipfile and NumPy stumble over
        raise ValueError(f"not an .npz file that can be read: {why(error)}") from error
    return arrays


def _occurrences(file, word):
    count, end = 0, b""
    while piece := file.read(PIECE):
        piece = end + piece     # the word may lie across two pieces
        count += piece.count(word)
        end = piece[1 - len(word):]
    return count


def _check_count(count):
    if count > MOST_ARRAYS:
        raise ValueError(f"it must hold at most {MOST_ARRAYS} arrays, got {count}")


def read_array(path: FilePath) -> np.ndarray:
    """The array in an .npy file as numpy.save writes it, believed as little as by `read_arrays`.

    Raises FileNotFoundError, and ValueError, naming the file, for anything else.
    """
    try:
        check_ordinary(path)
        with open(path, "rb") as file:
            return _array(file, "it", os.path.getsize(path))
    except FileNotFoundError:
        raise
    except Exception as error:      # as above
        raise ValueError(f"{path} is not an array saved by numpy.save: {why(error)}") from error


def _array(file, name, size):
    """One array in the .npy format, of which the file has `size` bytes left."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} must be in version 1.0 of the .npy format, got {version}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # NumPy reads what Python 2 wrote, and complains
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
