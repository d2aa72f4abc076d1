"""IDX files, the format in which MNIST is published."""
import math
import struct
import zlib
from functools import partial

import numpy as np

from lrp_numpy.utils.doors import door
from lrp_numpy.utils.files import CHUNK_SIZE, check_regular_file, error_text, expanded, gunzip
from lrp_numpy.utils.types import FilePath

SIDE = 28                   # pixels
MAX_ITEMS = 1_000_000       # images or labels in a file; files with more are refused
MAX_BYTES = 16 + MAX_ITEMS * SIDE * SIDE        # of an IDX file, unpacked


@door
def read_idx(path: FilePath) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not: images (N, 28, 28) or labels (N,), as uint8.

    MNIST's format: two zero bytes, the type (8: bytes), the number of dimensions, each dimension as
    a big-endian 32-bit integer, then the bytes. The header is checked before memory is allocated.
    Raises ValueError, naming the file, if it cannot be read or is in any other format.
    """
    try:
        path = expanded(path)
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
