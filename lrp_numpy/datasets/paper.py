"""The paper of a picture: what most of each neighbourhood is, under light that may fall."""
import numpy as np

from lrp_numpy.datasets.pictures import LUMINANCE, block_means

PAPER_SIDE = 150                    # pixels: the paper changes slowly, so a small picture shows it
PAPER_STEPS = (0.2, 0.1)            # differences from the paper that still are paper, step by step
SURFACE_STEPS = 20                  # of reweighted least squares
LIGHT_RANGE = 0.45                  # how much darker or brighter paper may be than most of it
PAPER_WINDOW = 1 / 8                # of the longer side, to each side of a pixel


def difference_from_paper(colours: np.ndarray) -> np.ndarray:
    """The difference of colours (H, W, 3) from the paper, in units of the paper's brightness.

        (colours - paper) / max(brightness of the paper, 0.5)
    """
    factor = -(-max(colours.shape) // PAPER_SIDE)
    paper = _paper(block_means(colours, factor))
    rows, columns = (np.arange(size) // factor for size in colours.shape[:2])
    difference = paper[rows[:, None], columns]
    light = np.maximum(difference @ LUMINANCE, 0.5)
    np.subtract(colours, difference, out=difference)
    difference /= light[..., None]
    return difference


def _paper(colours):
    """The colour of the paper at each pixel (H, W, 3): a smooth surface, then a local mean.

    What differs by more than half of what ink does is not paper.
    """
    surface = _surface(colours)
    strong = np.percentile(np.abs(colours - surface).max(axis=2), 98)
    reach = max(1, round(PAPER_WINDOW * max(colours.shape)))
    count, paper = box_sum(np.ones(colours.shape[:2]), reach), surface
    for step in PAPER_STEPS:
        near = np.abs(colours - paper).max(axis=2) <= min(step, strong / 2)
        is_paper = near.astype(np.float64)
        found = box_sum(is_paper, reach)[..., None]
        sums = box_sum(colours * is_paper[..., None], reach)
        paper = np.where(found > 0.02 * count[..., None], sums / np.maximum(found, 1), surface)
    return paper.astype(np.float32)


def _surface(colours):
    """The polynomial of second degree (H, W, 3) that has the least mean |difference| from colours.

    By weighted least squares, with weights 1 / |difference|; at first from the commonest colour.
    Pixels that differ from that by more than light can fall are left out.
    """
    height, width = colours.shape[:2]
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
    step = max(1, max(height, width) // 60)
    points, seen = (array[::step, ::step].reshape(-1, array.shape[2]) for array in (terms, colours))
    commonest = _commonest(colours)
    near = np.abs(seen - commonest).max(axis=1) <= LIGHT_RANGE
    points, seen = (points[near], seen[near]) if near.sum() >= 50 else (points, seen)
    fitted = np.broadcast_to(commonest, seen.shape)
    for _ in range(SURFACE_STEPS):
        weight = 1 / np.maximum(np.abs(seen - fitted).max(axis=1, keepdims=True), 0.01)
        root = np.sqrt(weight)
        factors = np.linalg.lstsq(root * points, root * seen, rcond=None)[0]
        fitted = points @ factors
    return np.clip(terms @ factors, seen.min(axis=0), seen.max(axis=0))


def _commonest(colours):
    """The median colour (3,) of the pixels about as bright as most are."""
    brightness = colours @ LUMINANCE
    counts, edges = np.histogram(brightness, 16, (0, 1))
    middle = edges[counts.argmax()] + 1 / 32
    return np.median(colours[np.abs(brightness - middle) <= PAPER_STEPS[0]], axis=0)


def box_sum(image: np.ndarray, reach: int) -> np.ndarray:
    """The sum of image (H, W) or (H, W, C) over `reach` pixels to each side, within the image.

    Differences of cumulative sums, along one axis after the other.
    """
    for axis in (0, 1):
        size = image.shape[axis]
        sums = np.cumsum(np.insert(image, 0, 0, axis=axis), axis=axis, dtype=image.dtype)
        first = np.maximum(np.arange(size) - reach, 0)
        last = np.minimum(np.arange(size) + reach + 1, size)
        image = sums.take(last, axis)
        image -= sums.take(first, axis)
    return image
