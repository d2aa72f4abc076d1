"""Your own handwriting, converted to digits as in MNIST, which a network trained on MNIST can read.

`ink` is a picture (H, W) from 0 (paper) to 1 (black ink). A digit is a row of 784 pixels.
"""
from typing import NamedTuple

import numpy as np

from lrp_numpy.datasets.idx import SIDE
from lrp_numpy.datasets.ink import find_ink
from lrp_numpy.datasets.pictures import LUMINANCE, read_picture
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import FilePath

BOX_SIDE = 20               # pixels: the longer side of a digit's bounding box in MNIST
BOX_THRESHOLD = 0.25        # of the darkest ink: fainter ink does not extend the box


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


class Reading(NamedTuple):
    """What is done to a picture, step by step; all float32 in [0, 1]."""
    picture: np.ndarray     # colours (H, W, 3), as they are meant to be seen
    ink: np.ndarray         # (H, W)
    digit: np.ndarray       # (784,), what a network sees


@door
def read_digit(path: FilePath) -> np.ndarray:
    """Read a digit from a picture: (784,) float32 in [0, 1], as a network trained on MNIST sees it.

    The file is PNG, JPEG, WebP, BMP, TIFF or GIF. Ink may be darker or brighter than the paper, or
    of another colour, anywhere in the picture, on plain, ruled or squared paper. `reading` also
    returns the steps.

    Raises ValueError, naming the file, if it cannot be read (`read_picture`), or does not show one
    digit clearly (`find_ink`).
    """
    return reading(path).digit


def reading(path: FilePath) -> Reading:
    """Read a digit as `read_digit` does, and return each step.

    A picture of 28 x 28 pixels is taken as it stands if it already is what MNIST's digits are
    (`is_like_mnist`). Any other goes through `find_ink` and `like_mnist`.
    """
    picture = read_picture(path)
    if picture.shape[:2] == (SIDE, SIDE):
        ink = plain_ink(picture)
        if is_like_mnist(ink):
            return Reading(picture, ink, ink.ravel())
    try:
        ink = find_ink(picture)
    except ValueError as error:
        raise ValueError(f"{path} must show a digit, but {error}") from error
    return Reading(picture, ink, like_mnist(ink))


def is_like_mnist(ink: np.ndarray) -> bool:
    """Whether ink (28, 28) is scaled and centred as MNIST's digits are.

    Its longer side is 19 or 20 pixels, its centre of mass within 1.1 pixels of (14, 14), both ways,
    and its darkest pixel at least 0.9. Of MNIST's 10,000 test digits, 9,995 are so.
    """
    darkest = ink.max()
    if darkest < 0.9:
        return False
    is_dark = ink >= BOX_THRESHOLD * darkest
    sides = [np.ptp(np.flatnonzero(is_dark.any(axis=axis))) + 1 for axis in (0, 1)]
    centre = [np.arange(SIDE) @ ink.sum(axis=axis) / ink.sum() for axis in (0, 1)]
    return max(sides) in (BOX_SIDE - 1, BOX_SIDE) and np.abs(np.subtract(centre, 14)).max() <= 1.1


def plain_ink(picture: np.ndarray) -> np.ndarray:
    """The ink (H, W) of colours (H, W, 3): the difference in brightness from the paper.

    The paper is the median of the picture's rim. If it is nearer to the brightest pixel than to the
    darkest, the ink is darker than the paper; otherwise it is brighter, as in MNIST.
    """
    grey = picture @ LUMINANCE
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    is_bright = paper - grey.min() >= grey.max() - paper
    return np.clip(paper - grey if is_bright else grey - paper, 0, 1)


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
