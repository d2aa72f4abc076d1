"""Picture files of any common kind, read into colours, at most MAX_SIDE pixels a side.

The content is not trusted: sizes are checked before anything is decoded, and a file that holds more
parts or bytes than a picture needs is refused.
"""
import io
import os
import struct
import warnings
from collections.abc import Callable

import numpy as np
from PIL import Image

from lrp_numpy.utils.files import check_regular_file, error_text, expanded
from lrp_numpy.utils.types import FilePath

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_SIDE = 2000             # pixels of the result; a larger picture is reduced by a whole factor
MAX_PIXELS = 36_000_000     # in the file: A4 at 600 dots per inch has 34.8 million
MAX_FILE_SIDE = 20_000      # in the file
MAX_BYTES = 300_000_000     # of the file: MAX_PIXELS with four values of 16 bits
MAX_PARTS = 20_000          # chunks of a PNG file, segments of a JPEG file
MAX_UNPACKED_RATIO = 1032   # bytes that one byte of a PNG file can unpack to (deflate)
STRIP_ROWS = 64             # rows of the result to convert at a time
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)     # of red, green, blue: ITU-R BT.601
MIN_CONTRAST = 0.05         # between ink and paper, where white is 1
ORIENTATION = 0x0112        # the EXIF tag
START_OF_SCAN = 0xda        # the JPEG marker after which there is no more to walk over
NO_SEGMENT = (0xff, *range(0xd0, 0xda))     # JPEG markers without a length, and filling bytes
TURNED: dict[int, Callable] = {     # EXIF orientation: the colours as they are meant to be seen
    2: lambda colours: colours[:, ::-1],
    3: lambda colours: colours[::-1, ::-1],
    4: lambda colours: colours[::-1],
    5: lambda colours: colours.swapaxes(0, 1),
    6: lambda colours: colours.swapaxes(0, 1)[:, ::-1],
    7: lambda colours: colours.swapaxes(0, 1)[::-1, ::-1],
    8: lambda colours: colours.swapaxes(0, 1)[::-1]}


def read_picture(path: FilePath) -> np.ndarray:
    """Read a picture: colours (H, W, 3), float32 in [0, 1], red, green, blue.

    The file is PNG, JPEG, WebP, BMP, TIFF or GIF (its first frame); its content decides, not its
    name. A picture with a side above MAX_SIDE is reduced by a whole factor: each pixel is the mean
    of factor x factor pixels. Where the file is transparent, the paper behind it is white; if
    nothing would show on white, as with white ink on a clear canvas, it is black. Grey values of 16
    bits count from 0 to 2^n - 1, n the number of bits that the largest needs (10 for a camera of 10
    bits). The orientation of EXIF is obeyed.

    Raises ValueError, naming the file, if it is missing, damaged, no such picture, or larger than
    MAX_PIXELS, MAX_FILE_SIDE, MAX_BYTES, MAX_PARTS allow; all but damage is found before decoding.
    """
    try:
        content = _content(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # about Pillow's size limit, or odd metadata
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_size(picture, len(content))
                picture.draft(None, (MAX_SIDE, MAX_SIDE))   # JPEG is decoded at a half to an eighth
                factor = -(-max(picture.size) // MAX_SIDE)
                picture.load()
                turned = TURNED.get(_orientation(picture), lambda colours: colours)
                return np.ascontiguousarray(turned(_over_paper(*_colours(picture, factor))))
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path} cannot be read as a picture: not a file of the kind "
                         f"{', '.join(FORMATS)}") from error
    except FileNotFoundError as error:
        raise ValueError(f"{path} cannot be read as a picture: no such file") from error
    except Exception as error:      # damaged files make Pillow raise all kinds of errors
        raise ValueError(f"{path} cannot be read as a picture: {error_text(error)}") from error


def _content(path):
    """The bytes of a file. (Pillow, given a path, would trust the lengths in the file.)"""
    path = expanded(path)
    check_regular_file(path)
    size = os.path.getsize(path)
    if size > MAX_BYTES:
        raise ValueError(f"it must have at most {MAX_BYTES:,} bytes, got {size:,}")
    content = path.read_bytes()
    _check_parts(content)
    return content


def _check_parts(content):
    """Refuse the chunks of a PNG and the segments of a JPEG file if there are too many.

    Pillow takes seconds for a million of them.
    """
    is_png, place, parts = content.startswith(b"\x89PNG"), 2, 0
    if is_png:
        place = 8
    elif not content.startswith(b"\xff\xd8"):
        return
    while place + 4 <= len(content) and (is_png or content[place + 1] != START_OF_SCAN):
        if not is_png and content[place + 1] in NO_SEGMENT:
            place += 1
        else:
            place += (12 + struct.unpack(">I", content[place:place + 4])[0] if is_png else
                      2 + struct.unpack(">H", content[place + 2:place + 4])[0])
        parts += 1
        if parts > MAX_PARTS:
            raise ValueError(f"it must have at most {MAX_PARTS} parts, got more")


def _check_size(picture, size):
    width, height = picture.size
    if max(width, height) > MAX_FILE_SIDE or width * height > MAX_PIXELS:
        raise ValueError(f"it must have at most {MAX_PIXELS:,} pixels, {MAX_FILE_SIDE:,} a side, "
                         f"got {width} x {height}")
    if picture.format == "PNG" and width * height / 8 > MAX_UNPACKED_RATIO * size:
        raise ValueError(f"{width} x {height} pixels do not fit in {size} bytes")


def _orientation(picture):
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:       # metadata that cannot be read: the picture is taken as it stands
        return 1


def _colours(picture, factor):
    """Colours (H, W, 3) and alpha (H, W), float32 in [0, 1], reduced by a whole factor.

    By strips: all colours of the file as floats would take too much memory.
    """
    height, width = -(-picture.height // factor), -(-picture.width // factor)
    colours, alpha = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
    is_deep = picture.mode[0] in "IF"
    white = _white(picture) if is_deep else 255
    for top in range(0, height, STRIP_ROWS):
        strip = picture.crop((0, top * factor, picture.width,
                              min((top + STRIP_ROWS) * factor, picture.height)))
        part = np.s_[top:top + STRIP_ROWS]
        if is_deep:         # grey with more than 8 bits, of which one level may be transparent
            grey = np.asarray(strip)
            visible = grey != picture.info.get("transparency", -1)
            alpha[part] = block_means(visible, factor)
            colours[part] = block_means(np.clip(grey / white, 0, 1), factor)[..., None]
        else:
            pixels = np.asarray(strip.convert("RGBA").reduce(factor)) / np.float32(255)
            colours[part], alpha[part] = pixels[..., :3], pixels[..., 3]
    return colours, alpha


def _white(picture):
    """The grey value that is white. Raises ValueError for one that is not finite."""
    low, high = picture.getextrema()
    if not np.isfinite([low, high]).all():
        raise ValueError("its grey values must be finite")
    if picture.mode == "F":
        return np.float32(max(high, 1.0))
    return np.float32(2 ** max(8, int(high).bit_length()) - 1)


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """The means of factor x factor pixels of image (H, W) or (H, W, C), float32.

    At the far edges, of as many as there are.
    """
    sums, sizes = image.astype(np.float32), []
    for axis in (0, 1):
        starts = np.arange(0, image.shape[axis], factor)
        sizes.append(np.diff(np.append(starts, image.shape[axis])))
        sums = np.add.reduceat(sums, starts, axis=axis)
    count = np.outer(*sizes).astype(np.float32)
    return sums / count.reshape(count.shape + (1,) * (image.ndim - 2))


def _over_paper(colours, alpha):
    """The colours over white paper, or over black if nothing shows on white."""
    if alpha.min() == 1:
        return colours
    colours *= alpha[..., None]
    clear = np.subtract(1, alpha, out=alpha)
    brightness = colours @ LUMINANCE + clear
    if np.ptp(brightness) >= MIN_CONTRAST:
        colours += clear[..., None]
    return colours
