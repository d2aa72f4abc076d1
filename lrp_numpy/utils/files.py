"""Files: written completely or not at all, and read without trusting their content."""
import os
import shutil
import stat
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lrp_numpy.utils.types import FilePath

MAX_ARRAYS = 10_000         # in an .npz file; files with more are refused
MAX_SIZE = 1 << 32          # bytes of an .npz or .npy file; larger ones are refused
CHUNK_SIZE = 1 << 16        # bytes to read or unpack at a time


def expanded(path: FilePath) -> Path:
    """The path, with the home folder in place of a leading ~."""
    return Path(os.path.expanduser(path))


@contextmanager
def atomic_write(path: FilePath) -> Iterator[BinaryIO]:
    """Open a binary file for writing; `path` changes only when everything has been written.

    The bytes go to a .part file in the same folder, which is flushed to disk and then renamed
    to `path`. After an error, a full disk, a killed process or a power cut, `path` is as it was. A
    symbolic link is followed: its target is replaced. Raises OSError, naming `path`, if writing
    fails or `path` is a folder, a pipe or a device.
    """
    path = Path(os.path.realpath(expanded(path)))
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        if path.exists():
            check_regular_file(path)
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())     # otherwise the rename could reach the disk before the bytes
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error    # the user's file
    finally:
        with suppress(OSError):     # already renamed, or never created
            part.unlink()


def write_text(path: FilePath, text: str) -> None:
    """Write `text` to `path` as UTF-8, by `atomic_write`. Raises OSError."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_regular_file(path: FilePath) -> None:
    """Raise OSError unless `path` is a regular file.

    Reading a pipe or a device could block or fill the memory; writing would replace it.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is " + ("a directory" if stat.S_ISDIR(mode) else
                                       "not a regular file"))


def error_text(error: Exception) -> str:
    """The message of an error, or the name of its class if it has none."""
    return str(error) or type(error).__name__


class NamedArrays(dict[str, np.ndarray]):
    """{name: array}. A missing name raises a ValueError that a user can read."""

    def __missing__(self, name):
        raise ValueError(f"it holds no array {name!r}")


def read_arrays(path: FilePath, packed: int = 0) -> NamedArrays:
    """Read {name: array} from an .npz file written by numpy.savez, of at most 4 GB.

    The content is not trusted. Nothing is unpickled or decompressed, and no memory is allocated for
    an array until its header matches the number of bytes in the file. So reading takes at most the
    size of the file, plus that of one array. packed: the bytes that a compressed array may unpack
    to, for files written by numpy.savez_compressed. Raises FileNotFoundError, and ValueError for
    any other problem.
    """
    arrays, path = NamedArrays(), expanded(path)
    try:
        _check_file(path)
        with open(path, "rb") as file:      # count first: zipfile is slow if there are many entries
            _check_count(_occurrences(file, b"PK\x01\x02"))
        size = os.path.getsize(path)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_count(len(entries))
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if packed and entry.compress_type == zipfile.ZIP_DEFLATED:
                    if entry.file_size > packed:
                        raise ValueError(f"{name} must unpack to at most {packed} bytes, got "
                                         f"{entry.file_size}")
                elif entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                    raise ValueError(f"{name} must be stored uncompressed")
                else:
                    size -= entry.file_size
                with archive.open(entry) as file:
                    arrays[name] = _read_npy(file, name, entry.file_size)
    except FileNotFoundError:
        raise
    except Exception as error:      # damaged files make zipfile and NumPy raise all kinds of errors
        raise ValueError(f"not a readable .npz file: {error_text(error)}") from error
    return arrays


def _check_file(path):
    check_regular_file(path)
    size = os.path.getsize(path)
    if size > MAX_SIZE:
        raise ValueError(f"it must have at most {MAX_SIZE / 1e9:.1f} GB, got {size / 1e9:.1f} GB")


def _occurrences(file, word):
    count, end = 0, b""
    while chunk := file.read(CHUNK_SIZE):
        chunk = end + chunk     # the word may span two chunks
        count += chunk.count(word)
        end = chunk[1 - len(word):]
    return count


def _check_count(count):
    if count > MAX_ARRAYS:
        raise ValueError(f"it must hold at most {MAX_ARRAYS} arrays, got {count}")


def read_array(path: FilePath) -> np.ndarray:
    """Read an array from an .npy file written by numpy.save, as carefully as `read_arrays`.

    Raises FileNotFoundError, and ValueError, naming the file, for any other problem.
    """
    path = expanded(path)
    try:
        _check_file(path)
        with open(path, "rb") as file:
            return _read_npy(file, "it", os.path.getsize(path))
    except FileNotFoundError:
        raise
    except Exception as error:      # as above
        raise ValueError(
            f"{path} is not an array saved by numpy.save: {error_text(error)}") from error


def _read_npy(file, name, size):
    """Read one array in the .npy format; `size` is the number of bytes left in the file."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name} must be in version 1.0 of the .npy format, got {version}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # NumPy warns about files written by Python 2
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError(f"{name} must hold numbers or text, got Python objects")
    count = 1
    for side in shape:      # Python integers, which cannot overflow
        count *= side
    content = size - file.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != content:
        raise ValueError(f"{name} declares {count} x {dtype.itemsize} bytes but contains {content}")
    flat = np.frombuffer(file.read(content), dtype) if count else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if is_fortran else "C").copy(order="K")


def gunzip(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Unpack a gzip file, given and returned in chunks, to at most `limit` bytes.

    Only the first member is unpacked; everything after it is ignored. Raises zlib.error if the data
    is damaged or unpacks to more than `limit` bytes, and EOFError if it is truncated.
    """
    decompressor, left = zlib.decompressobj(wbits=31), limit
    for packed in chunks:
        while packed and not decompressor.eof:
            chunk = decompressor.decompress(packed, min(CHUNK_SIZE, left + 1))
            packed = decompressor.unconsumed_tail
            left -= len(chunk)
            if left < 0:
                raise zlib.error(f"unpacks to more than {limit} bytes")
            if chunk:
                yield chunk
        if decompressor.eof:
            return
    raise EOFError("the gzip data is truncated")
