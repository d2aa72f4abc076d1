"""Handwriting of your own, made into what a network for MNIST has learned to read.

`ink` is a picture (H, W): 0 is paper, 1 is black ink. A digit is MNIST's (784,).
"""
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from lrp_numpy.datasets.mnist import SIDE
from lrp_numpy.utils.files import check_regular_file, error_text
from lrp_numpy.utils.types import FilePath

LONGER_SIDE = 20            # pixels of a digit's box in MNIST
FAINT = 0.25                # of the darkest ink: what is fainter has no say in where the box ends
LEAST_CONTRAST = 0.05       # of white: what stands out less from the paper is no ink
LONGEST_SIDE = 4096         # of a picture, in pixels; a larger one is not decoded
MOST_PACKED = 1032          # bytes that one byte of a PNG file can unpack to (deflate)
STRIP = 64                  # rows of a picture that are looked at at once
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)     # of red, green, blue: ITU-R BT.601


def like_mnist(ink: np.ndarray) -> np.ndarray:
    """Ink (H, W), floats in [0, 1], as a digit of MNIST (784,), float32 in [0, 1].

    It is made as MNIST's digits were: the box around the ink is cut out and scaled, its proportions
    kept, so that its longer side has 20 pixels, each the mean of the area that it covers,

        out = rows @ ink @ columns.T        rows, columns: see `overlaps`

    and moved by whole pixels, so that its centre of mass is in pixel (14, 14) of 28 x 28, or as
    near as it gets with nothing cut off. Then the darkest pixel is made 1, as it is in MNIST (0.996
    at least), so that a pale or thin pen writes black.

    The box ends where ink is a quarter as dark as the darkest: so the noise of a camera, which is
    everywhere, does not make it larger. MNIST's digits still have 20 pixels when looked at so.

    Raises ValueError for other arrays, and for one without ink.
    Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section
    III.A.
    """
    _check_ink(ink)
    is_clear = ink >= FAINT * ink.max()
    box = ink[_extent(is_clear.any(axis=1)), _extent(is_clear.any(axis=0))]
    rows, columns = (overlaps(size, max(box.shape)) for size in box.shape)
    small = rows @ box @ columns.T
    digit = np.zeros((SIDE, SIDE), np.float32)
    digit[_centred(small.sum(axis=1)), _centred(small.sum(axis=0))] = small / small.max()
    return digit.ravel()


def read_digit(path: FilePath) -> np.ndarray:
    """A PNG file as a digit of MNIST (784,), float32 in [0, 1].

    The ink of a picture of 28 x 28 pixels is taken as it stands: such a picture is a digit that has
    been scaled and centred. Any other goes through `like_mnist`. Raises what `read_picture` does.
    """
    ink = read_picture(path)
    return ink.ravel() if ink.shape == (SIDE, SIDE) else like_mnist(ink)


def read_picture(path: FilePath) -> np.ndarray:
    """The ink (H, W), float32 in [0, 1], in a PNG file of any kind.

    Grey is the luminance of the colours, and what is transparent lies on white paper. The rim tells
    which is the paper: its median is the paper's brightness, and where that is nearer to the
    brightest pixel than to the darkest, the ink is dark; else it is bright, as in MNIST. Ink is how
    far a pixel is from the paper, in the ink's direction, so grey paper is 0 as well. A shadow
    across the paper is ink, though.

    Raises ValueError, naming the file, for one that is missing, damaged, no PNG or longer than
    LONGEST_SIDE, which is found out before it is decoded, and for a picture without ink.
    """
    grey = _read_grey(path)
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    is_bright = paper - grey.min() >= grey.max() - paper
    ink = np.subtract(*((paper, grey) if is_bright else (grey, paper)), out=grey)   # saves room
    np.clip(ink, 0, 1, out=ink)
    if ink.max() < LEAST_CONTRAST:
        raise ValueError(f"{path} must show a digit, but there is no ink: no pixel differs from "
                         f"the paper by {LEAST_CONTRAST:.0%}")
    return ink


def _read_grey(path):
    """The brightness (H, W) of a PNG file, float32: 0 is black, 1 is white."""
    try:
        check_regular_file(path)
        content = Path(path).read_bytes()       # from a file, Pillow reads as much as it promises
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # Pillow's own limit: ours is lower, and an error
            with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
                if max(picture.size) > LONGEST_SIDE:
                    raise ValueError(f"a side must have at most {LONGEST_SIDE} pixels, got "
                                     f"{picture.width} x {picture.height}")
                if picture.width * picture.height / 8 > MOST_PACKED * len(content):
                    raise ValueError(f"{picture.width} x {picture.height} pixels cannot lie in "
                                     f"{len(content)} bytes")
                return _luminance(picture)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path} cannot be read as a picture: not a PNG file") from error
    except FileNotFoundError as error:
        raise ValueError(f"{path} cannot be read as a picture: no such file") from error
    except Exception as error:      # whatever a damaged file makes Pillow stumble over
        raise ValueError(f"{path} cannot be read as a picture: {error_text(error)}") from error


def _luminance(picture):
    grey = np.empty((picture.height, picture.width), np.float32)
    for top in range(0, picture.height, STRIP):     # so that all colours as floats need no room
        strip = picture.crop((0, top, picture.width, min(top + STRIP, picture.height)))
        if picture.mode.startswith("I"):        # 16 bits of grey, which may name a transparent one
            pixels = np.asarray(strip)
            is_clear = pixels == picture.info.get("transparency", -1)
            grey[top:top + STRIP] = np.where(is_clear, 1, pixels / np.float32(65535))
        else:
            colours = np.asarray(strip.convert("RGBA")) / np.float32(255)
            alpha = colours[..., 3]
            grey[top:top + STRIP] = colours[..., :3] @ LUMINANCE * alpha + (1 - alpha)
    return grey


def overlaps(size: int, longer: int) -> np.ndarray:
    """The matrix (K, size) that scales `size` pixels as `longer` become 20, by area averaging.

    Entry [k, j] is the share of new pixel k that old pixel j covers, so a row sums to 1. Only the
    last may sum to less, since K = 20 size / longer is rounded up: past the end there is paper.
    """
    edges = np.arange(-(-LONGER_SIDE * size // longer) + 1) * longer / LONGER_SIDE
    j = np.arange(size)
    covered = np.minimum(edges[1:, None], j + 1) - np.maximum(edges[:-1, None], j)
    return np.maximum(covered, 0) * LONGER_SIDE / longer


def _extent(is_inked):
    """slice from the first to the last True of is_inked (n,)."""
    places = np.flatnonzero(is_inked)
    return slice(places[0], places[-1] + 1)


def _centred(ink):
    """Where ink (n,) goes along a side of 28, so that its centre of mass is in pixel 14.

    If that is right between two places, the first is taken, whatever rounding says: 1e-6.
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
