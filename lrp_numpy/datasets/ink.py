"""Which pixels of a picture are ink, and how dark it is there.

Paper is what most of the neighbourhood is; ink is what differs from it in brightness or colour.
What is no part of a digit is left out: a frame or a strip along an edge, the lines of ruled and
squared paper, specks. A picture that shows two digits, or is unclear, is refused.
"""
import numpy as np

from lrp_numpy.datasets.components import Component, components, runs_of
from lrp_numpy.datasets.paper import PAPER_STEPS, difference_from_paper
from lrp_numpy.datasets.pictures import MIN_CONTRAST

NOISE_TIMES = 4                     # times the paper's median difference: below is noise
INK_SHARE = 0.35                    # of the strong ink's difference: fainter is no ink
EDGE_SHARE = 1 / 4                  # of a side: the widest frame or strip
LINE_SHARE = 0.6                    # of a row that a ruled line covers at least
LINE_WIDTH = 0.03                   # of the side: the widest line
MAX_SLOPE = 0.08                    # of ruled lines: of the side, along the other one
NEAR = 0.12                         # of the digit's size: pieces nearer than that belong to it
SPECK = 0.06                        # of the digit's size: smaller pieces are specks
MAX_RUNS = 200_000                  # pieces of rows; more are noise, not a digit
MAX_BESIDE = 2.5                    # times the digit's ink: more in all is no picture of a digit
MAX_CROSSINGS = 6                   # of a digit with the picture's edges; more are lines


def find_ink(colours: np.ndarray) -> np.ndarray:
    """The ink (H, W), float32 from 0 (paper) to 1 (darkest), of colours (H, W, 3) in [0, 1].

        difference = (colours - paper) / max(brightness of the paper, 0.5)
        ink = difference @ v / (v @ v)      v: the mean difference of the digit's strong pixels

    so that a pixel that the pen covers by half is 0.5, whether ink and paper differ in brightness
    or in colour, and whichever is brighter. `paper` is the local mean of what differs little from
    it. Ink is 0 outside of the digit's connected pieces.

    Raises ValueError if there is no ink, if there are two digits of like size, or if the picture
    is unclear.
    """
    difference = difference_from_paper(colours)
    distance = np.sqrt(np.einsum("hwc,hwc->hw", difference, difference) / 3)
    noise = np.median(distance[distance < PAPER_STEPS[0]]) if distance.min() < PAPER_STEPS[0] else 0
    faint = max(MIN_CONTRAST, NOISE_TIMES * float(noise))
    if distance.max() < faint:
        raise ValueError("there is no ink: no pixel differs from the paper by "
                         f"{faint:.0%} of the paper's brightness")
    seen, distance = distance, without_lines(without_edges(distance, faint), faint)
    if distance.max() < faint:
        raise ValueError("there is no ink besides lines and edges")
    strong = np.percentile(distance[distance >= faint], 95)
    mask = distance >= max(faint, INK_SHARE * strong)
    is_digit, size = _digit(mask, distance)
    v = _pen(difference[is_digit], distance[is_digit])
    ink = difference @ (v / (v @ v))
    np.clip(ink, 0, 1, out=ink)
    ink *= _grown(is_digit, 1 + size // 20)    # with the pale border of its strokes
    np.maximum(seen, faint / 100, out=seen)
    ink *= np.divide(distance, seen, out=seen)      # what lines covered is left out
    return ink.astype(np.float32, copy=False)


def _pen(difference, distance):
    """The mean difference (N, 3) of the strong pixels that differ as the strongest does."""
    strong = difference[distance >= 0.7 * np.percentile(distance, 95)]
    return strong[strong @ difference[distance.argmax()] > 0].mean(axis=0)


def without_edges(distance: np.ndarray, faint: float) -> np.ndarray:
    """`distance` (H, W), 0 in a frame or a strip: rows along an edge that are mostly ink.

    They must end before a quarter of the picture, and no ink may go on from them inwards, unless
    they reach further to both sides than all other ink: the bar of a 7 at the edge is no strip.
    """
    distance = distance.copy()
    for turns in range(4):
        view = np.rot90(distance, turns)
        height, width = view.shape
        share = (view[:, width // 10:width - width // 10] >= faint).mean(axis=1)
        end = int(np.argmax(share <= 0.5)) if (share <= 0.5).any() else height
        first = end + 1 + height // 100         # past the blurred border of the strip
        if 0 < end <= EDGE_SHARE * height and (
                share[first] < 0.02 or _is_within(view[first:] >= faint)):
            view[:first] = 0
    return distance


def _is_within(mask):
    """Whether the ink leaves a thirtieth of the width free on both sides."""
    columns = np.flatnonzero(mask.mean(axis=0) > 0.01) / mask.shape[1]
    return not columns.size or (columns[0] >= 1 / 30 and columns[-1] <= 29 / 30)


def without_lines(distance: np.ndarray, faint: float) -> np.ndarray:
    """`distance` (H, W) without ruled lines: thin rows, or columns, of ink from edge to edge.

    A line's pixels become the lesser of those above and below it, so that a stroke that crosses
    it goes on; where they are clearly darker than the line, they stay. Lines may be at a slant. A
    single line must reach further to both sides than all other ink.
    """
    rise, slide = _slope(distance >= faint), _slope(distance.T >= faint)
    rows = _bands(_sheared(distance, rise) >= faint)
    columns = _bands(_sheared(distance.T, slide) >= faint)
    if not rows and not columns:
        return distance
    no_columns = _sheared(distance.T, slide)
    for first, last in columns:
        no_columns[first:last] = 0          # what crosses a row is no column of a grid
    no_columns = _sheared(no_columns, -slide).T
    cleared = _sheared(_interpolated(_sheared(distance, rise), _sheared(no_columns, rise), rows),
                       -rise)
    turned = _sheared(cleared.T, slide)
    cleared = _sheared(_interpolated(turned, turned, columns), -slide).T
    if len(rows) + len(columns) == 1 and not _is_within(
            (cleared if rows else cleared.T) >= faint):
        return distance
    return cleared


def _slope(mask):
    """How many rows the lines in a mask fall from its left to its right end: where most are found.

    The fourth powers of the rows' shares of ink are summed: full rows count most.
    """
    step = max(1, mask.shape[1] // 100)
    few, most = mask[:, ::step], round(MAX_SLOPE * mask.shape[1])
    slopes = sorted(range(-most, most + 1, max(1, mask.shape[1] // 300)), key=abs)
    found = [(_sheared(few, slope).mean(axis=1)**4).sum() for slope in [0, *slopes]]
    return [0, *slopes][int(np.argmax(found))]


def _sheared(image, slope):
    """image (H, W), whose column at the right end moved up by `slope` rows, those before by less.

    What leaves it above comes back below, so that the opposite slope restores the image.
    """
    height, width = image.shape
    if slope == 0:
        return image.copy()
    moved = np.rint(np.arange(width) * (slope / width)).astype(int)
    return image[(np.arange(height)[:, None] + moved) % height, np.arange(width)]


def _interpolated(distance, across, bands):
    """`distance` without bands of rows, where a stroke is seen in `across`, above and below."""
    height, width = distance.shape
    cleared = distance.copy()
    for first, last in bands:
        above, below = (_row_maximum(across[row], last - first) if 0 <= row < height
                        else np.zeros(width) for row in (first - 1, last))
        line = distance[first:last]
        level = np.median(line, axis=1, keepdims=True)
        darker = np.where(line > 1.25 * level + 0.08, line, 0)
        cleared[first:last] = np.maximum(np.minimum(line, np.minimum(above, below)), darker)
    return cleared


def _bands(mask):
    """[(first, last)]: rows of lines, that cover most of the width and reach both of its ends."""
    inked = np.flatnonzero(mask.any(axis=0))        # a frame that was left out is no part of a line
    if not inked.size or inked[-1] - inked[0] < 0.8 * mask.shape[1]:
        return []
    mask = mask[:, inked[0]:inked[-1] + 1]
    share, end = mask.mean(axis=1), max(1, mask.shape[1] // 10)
    is_line = np.minimum.reduce([share, mask[:, :end].mean(axis=1),
                                 mask[:, -end:].mean(axis=1)]) > LINE_SHARE
    lines = runs_of(is_line[None])
    thickest = max(2, round(LINE_WIDTH * len(mask)))
    soft = np.pad(share > LINE_SHARE / 2, 1)        # the pale edges of a line
    return [(int(first - soft[first]), int(last + soft[last + 1]))
            for first, last in zip(lines.start, lines.end) if last - first <= thickest]


def _row_maximum(row, reach):
    """The maximum of row (W,) over `reach` pixels to each side."""
    padded = np.pad(row, reach)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)


def _digit(mask, distance):
    """(whether a pixel is of the one digit (H, W), the size of the digit's largest piece)."""
    join = max(mask.shape) // 100       # a pale pen leaves gaps
    if len(runs_of(mask).row) > MAX_RUNS:
        raise ValueError("it is unclear: there is noise everywhere")
    numbers, pieces = components(_grown(mask, join), distance * mask)
    numbers = numbers * mask
    pieces = _without_surroundings(pieces, numbers)
    main = pieces[0]
    if (numbers == main.number).mean() > 0.6:
        raise ValueError("it is unclear: more than half of it would be ink")
    if _crossings(numbers == main.number) > MAX_CROSSINGS:
        raise ValueError("it is unclear: lines that run into its edges cannot be told "
                         "from the digit")
    digit, others = [main], pieces[1:]
    near = NEAR * main.size
    for piece in others:
        if piece.gap(main) <= near and piece.size - 2 * join >= SPECK * main.size:
            digit.append(piece)
        elif piece.height >= 0.6 * main.height and piece.mass >= 0.15 * main.mass:
            raise ValueError("it shows two of like size")
    if sum(piece.mass for piece in pieces) > MAX_BESIDE * sum(piece.mass for piece in digit):
        raise ValueError("it is unclear: there is more ink beside the digit than in it")
    return np.logical_or.reduce([numbers == piece.number for piece in digit]), main.size


def _without_surroundings(pieces, numbers):
    """The components without what lies along an edge or around all others, if a digit is left."""
    longest = max(numbers.shape)

    def is_digit(piece: Component) -> bool:
        return piece.size >= 0.1 * longest

    def is_surrounding(piece: Component) -> bool:
        box = numbers[piece.top:piece.bottom, piece.left:piece.right] == piece.number
        along_edge = max(
            (numbers[edge] == piece.number).mean() for edge in (np.s_[0], np.s_[-1], np.s_[:, 0],
                                                                np.s_[:, -1])) > 0.25
        around = (piece.size > 0.7 * longest and box.mean() < 0.15 and any(
            other.height > 0.25 * piece.height and other.top > piece.top
            and other.bottom < piece.bottom and other.left > piece.left
            and other.right < piece.right for other in pieces))
        return along_edge or around

    large = [piece for piece in pieces if is_digit(piece)]
    left = [piece for piece in large if not is_surrounding(piece)]
    if not left or len(left) == len(large):
        return pieces
    dropped = {piece.number for piece in large} - {piece.number for piece in left}
    return [piece for piece in pieces if piece.number not in dropped]


def _crossings(is_piece):
    """How often a piece meets the edges of the picture."""
    return sum(len(runs_of(edge[None]).row) for edge in (is_piece[0], is_piece[-1],
                                                         is_piece[:, 0], is_piece[:, -1]))


def _grown(mask, reach):
    """The mask (H, W) grown by `reach` pixels in each direction."""
    for axis in (0, 1):
        size = mask.shape[axis]
        sums = np.cumsum(np.insert(mask, 0, False, axis=axis), axis=axis, dtype=np.int16)
        last = sums.take(np.minimum(np.arange(size) + reach + 1, size), axis)
        mask = last > sums.take(np.maximum(np.arange(size) - reach, 0), axis)
    return mask
