"""Your own handwriting, converted to digits as in MNIST, which a network trained on MNIST can read.

`ink` is a picture (H, W) from 0 (paper) to 1 (black ink). A digit is a row of 784 pixels.
"""
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from lrp_numpy.datasets.idx import SIDE
from lrp_numpy.utils.files import check_regular_file, error_text
from lrp_numpy.utils.types import FilePath

BOX_SIDE = 20               # pixels: the longer side of a digit's bounding box in MNIST
BOX_THRESHOLD = 0.25        # of the darkest ink: fainter ink does not extend the box
MIN_CONTRAST = 0.05         # between ink and paper, where white is 1
MAX_SIDE = 4096             # pixels of a picture; larger ones are not decoded
MAX_UNPACKED_RATIO = 1032   # bytes that one byte of a PNG file can unpack to (deflate)
STRIP_ROWS = 64             # rows of a picture to convert at a time
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)     # of red, green, blue: ITU-R BT.601


def like_mnist(ink: np.ndarray) -> np.ndarray:
    """Convert ink (H, W), floats in [0, 1], to a digit as in MNIST: (784,) float32 in [0, 1].

    The steps follow those that made MNIST. Crop to the bounding box of the ink and scale it,
    keeping its proportions, so that its longer side has 20 pixels. Each pixel is the mean of the
    area that it covers:

        out = rows @ ink @ columns.T        rows, columns: `resampling_matrix`

    Then shift it by whole pixels, so that its centre of mass is in pixel (14, 14) of 28 x 28, or as
    near as possible without cutting anything off. Last, divide by the largest value, so that a pale
    or thin pen gives black ink. (The darkest pixel of each MNIST digit is at least 0.996.)

    The box contains all ink that is at least a quarter as dark as the darkest, so the noise of a
    camera, which is everywhere, does not enlarge it. With this threshold, the boxes of MNIST's own
    digits still have 20 pixels.

    Raises ValueError for other arrays, and for one without ink.
    Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section
    III.A.
    """
    _check_ink(ink)
    is_dark = ink >= BOX_THRESHOLD * ink.max()
    box = ink[_extent(is_dark.any(axis=1)), _extent(is_dark.any(axis=0))]
    rows, columns = (resampling_matrix(size, max(box.shape)) for size in box.shape)
    small = rows @ box @ columns.T
    digit = np.zeros((SIDE, SIDE), np.float32)
    digit[_centred(small.sum(axis=1)), _centred(small.sum(axis=0))] = small / small.max()
    return digit.ravel()


def read_digit(path: FilePath) -> np.ndarray:
    """Read a digit from a PNG file: (784,) float32 in [0, 1].

    A picture of 28 x 28 pixels is taken to be scaled and centred already. Any other goes through
    `like_mnist`. Raises ValueError as `read_picture` does.
    """
    ink = read_picture(path)
    return ink.ravel() if ink.shape == (SIDE, SIDE) else like_mnist(ink)


def read_picture(path: FilePath) -> np.ndarray:
    """Read the ink (H, W), float32 in [0, 1], from a PNG file of any kind.

    Colours become their luminance, over white paper where they are transparent. The brightness of
    the paper is the median of the picture's border. If it is nearer to the brightest pixel than to
    the darkest, the ink is darker than the paper; otherwise it is brighter, as in MNIST. Ink is the
    difference from the paper in that direction, so grey paper is 0, too. But a shadow across the
    paper counts as ink.

    Raises ValueError, naming the file, if it is missing, damaged or not a PNG file, has a side
    above MAX_SIDE (checked before decoding), or contains no ink.
    """
    grey = _read_grey(path)
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    is_bright = paper - grey.min() >= grey.max() - paper
    ink = np.subtract(*((paper, grey) if is_bright else (grey, paper)), out=grey)   # saves memory
    np.clip(ink, 0, 1, out=ink)
    if ink.max() < MIN_CONTRAST:
        raise ValueError(f"{path} must show a digit, but there is no ink: no pixel differs from "
                         f"the paper by {MIN_CONTRAST:.0%}")
    return ink


def _read_grey(path):
    """The brightness (H, W) of a PNG file, float32, from 0 (black) to 1 (white)."""
    try:
        check_regular_file(path)
        content = Path(path).read_bytes()       # given a path, Pillow trusts its lengths
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # about Pillow's size limit: ours is lower
            with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
                if max(picture.size) > MAX_SIDE:
                    raise ValueError(f"a side must have at most {MAX_SIDE} pixels, got "
                                     f"{picture.width} x {picture.height}")
                if picture.width * picture.height / 8 > MAX_UNPACKED_RATIO * len(content):
                    raise ValueError(f"{picture.width} x {picture.height} pixels do not fit in "
                                     f"{len(content)} bytes")
                return _luminance(picture)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path} cannot be read as a picture: not a PNG file") from error
    except FileNotFoundError as error:
        raise ValueError(f"{path} cannot be read as a picture: no such file") from error
    except Exception as error:      # damaged files make Pillow raise all kinds of errors
        raise ValueError(f"{path} cannot be read as a picture: {error_text(error)}") from error


def _luminance(picture):
    grey = np.empty((picture.height, picture.width), np.float32)
    for top in range(0, picture.height, STRIP_ROWS):    # all colours as floats would take too much
        strip = picture.crop((0, top, picture.width, min(top + STRIP_ROWS, picture.height)))
        if picture.mode.startswith("I"):        # 16-bit grey, of which one level may be transparent
            pixels = np.asarray(strip)
            is_clear = pixels == picture.info.get("transparency", -1)
            grey[top:top + STRIP_ROWS] = np.where(is_clear, 1, pixels / np.float32(65535))
        else:
            colours = np.asarray(strip.convert("RGBA")) / np.float32(255)
            alpha = colours[..., 3]
            grey[top:top + STRIP_ROWS] = colours[..., :3] @ LUMINANCE * alpha + (1 - alpha)
    return grey


def resampling_matrix(size: int, longer: int) -> np.ndarray:
    """The matrix (K, size) that scales `size` pixels, as `longer` become 20, by area averaging.

    Entry [k, j] is the share of new pixel k that old pixel j covers, so each row sums to 1. The
    last may sum to less: K = 20 size / longer is rounded up, and beyond the end there is paper.
    """
    edges = np.arange(-(-BOX_SIDE * size // longer) + 1) * longer / BOX_SIDE
    j = np.arange(size)
    covered = np.minimum(edges[1:, None], j + 1) - np.maximum(edges[:-1, None], j)
    return np.maximum(covered, 0) * BOX_SIDE / longer


def _extent(is_dark):
    """The slice from the first to the last True of is_dark (n,)."""
    places = np.flatnonzero(is_dark)
    return slice(places[0], places[-1] + 1)


def _centred(ink):
    """The slice of 28 pixels for ink (n,) that puts its centre of mass in pixel 14.

    Exactly between two places, the first is taken: 1e-6 is above all rounding errors.
    """
    mean = np.arange(len(ink)) @ ink / ink.sum()
    start = int(np.clip(np.ceil(SIDE / 2 - mean - 0.5 - 1e-6), 0, SIDE - len(ink)))
    return slice(start, start + len(ink))


def _check_ink(ink):
    if not isinstance(ink, np.ndarray) or ink.ndim != 2 or ink.dtype.kind != "f":
        got = f"{ink.dtype} {ink.shape}" if isinstance(ink, np.ndarray) else type(ink).__name__
        raise ValueError(f"ink must be an array (H, W) of floats, got {got}")
    if not ink.any():
        raise ValueError("ink must be above 0 somewhere, got none")
    if not (ink.min() >= 0 and ink.max() <= 1):     # NaN is refused as well
        raise ValueError(f"ink must lie in [0, 1], got {ink.min():g} to {ink.max():g}")
