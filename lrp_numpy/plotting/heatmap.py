"""The colours of relevance: red positive, blue negative, white 0, symmetric limits."""
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from lrp_numpy.utils.doors import door
from lrp_numpy.utils.validation import check_finite

RELEVANCE = LinearSegmentedColormap.from_list("relevance", ["#2f6dff", "#ffffff", "#b40000"])


@door
def draw_relevance(axes: Axes, R: np.ndarray, title: str = "", limit: float | None = None,
                   dots: bool = False) -> None:
    """Draw one image's relevance (D,), D = side * side, on the given axes.

    The colours end at ±limit, in units of the logit; None: at ±max|R|. dots=True marks the
    `negative_pixels` with black dots, for grey print, where red and blue look alike. Raises
    ValueError for relevance that is not finite or not a square.
    """
    check_finite(R, "relevance")
    limit = limit or symmetric_limit(R)
    axes.imshow(as_square(R), cmap=RELEVANCE, vmin=-limit, vmax=limit)
    if dots:
        columns, rows = negative_pixels(R, limit).T
        axes.scatter(columns, rows, s=1, color="black", linewidths=0)
    without_ticks(axes, title)


def symmetric_limit(R: np.ndarray) -> float:
    """max|R|, in units of R; 1 where R is 0 everywhere."""
    return float(np.abs(R).max(initial=0)) or 1.0


def negative_pixels(R: np.ndarray, limit: float) -> np.ndarray:
    """The pixels with visible negative relevance, R < -limit / 20: (column, row) of each (M, 2)."""
    return np.argwhere(as_square(R) < -limit / 20)[:, ::-1]


def colour_bar(figure: Figure, axes: Sequence[Axes], limit: float | None = None) -> Colorbar:
    """One bar beside `axes` that shows the colours of relevance from -limit to +limit.

    None: from -max to +max, for heatmaps that have limits of their own.
    """
    length = min(2.5, 0.8 * figure.get_figheight())      # in inches, 0.1 wide
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), RELEVANCE), ax=axes, ticks=[-1, 0, 1],
                          shrink=length / figure.get_figheight(), aspect=length / 0.1,
                          fraction=0.02, pad=0.02)
    end = "max" if limit is None else f"{limit:.2g}"
    bar.ax.set_yticklabels([f"−{end}", "0", f"+{end}"], fontsize=8)
    bar.set_label("relevance", fontsize=8)
    return bar


def as_square(image: np.ndarray) -> np.ndarray:
    """An image (D,) as (side, side). Raises ValueError unless D = side * side."""
    side = int(np.sqrt(image.size))
    if side * side != image.size:
        raise ValueError(f"an image must be square to be drawn, got {image.size} pixels")
    return image.reshape(side, side)


def without_ticks(axes: Axes, title: str = "") -> None:
    """Axes of an image: a title, no ticks."""
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, parse_math=False)
