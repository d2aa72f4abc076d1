"""Arrays -> figures; measures nothing.

`draw_image` fills given axes; the other functions return a new Figure; `save` writes and closes it.
Lines and frames have colours of Okabe and Ito, which colour-blind readers tell apart, and differ in
line style or marker, for grey print. Images and relevance must be finite and square (ValueError).
"""
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrp_numpy.plotting.heatmap import (RELEVANCE, as_square, colour_bar, draw_relevance,
                                        symmetric_limit, without_ticks)
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.files import atomic_write, expanded
from lrp_numpy.utils.types import FilePath
from lrp_numpy.utils.validation import as_float, check_finite, check_integer

BLUE, VERMILION = "#0072b2", "#d55e00"      # of Okabe and Ito


def save(figure: Figure, path: FilePath) -> Path:
    """Write a figure in the format of the path's ending, such as .png, and close it.

    Makes the folder if it does not exist. Returns the path.
    """
    path = expanded(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        figure.savefig(file, dpi=100, format=path.suffix[1:] or "png")
    plt.close(figure)
    return path


@door
def draw_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Draw one image (D,), D = side * side, black on white, on the given axes."""
    check_finite(image, "image")
    axes.imshow(as_square(image), cmap="gray_r", vmin=0, vmax=1)
    without_ticks(axes, title)


@door
def loss_curve(loss: np.ndarray, epochs: int, title: str = "Cross-entropy of each batch") -> Figure:
    """Figure 1 of the paper: loss (steps,) in nats over the steps, with a running mean."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    steps = np.arange(1, len(loss) + 1)
    window = min(len(loss), max(1, len(loss) // 50))
    mean = np.convolve(loss, np.full(window, 1 / window), mode="valid")
    axes.plot(steps, loss, color="0.7", linewidth=0.7, marker="." if len(loss) == 1 else None)
    axes.plot(steps[window - 1:], mean, color=BLUE, linewidth=1.8)
    for epoch in range(1, epochs):
        axes.axvline(epoch * len(loss) / epochs, color="0.9", linewidth=0.7, zorder=0)
    axes.annotate("each batch", (1, loss[0]), (8, -2), textcoords="offset points", color="0.45")
    axes.annotate(f"mean of {window} batches", (len(loss), mean[-1]), (0, 24), ha="right",
                  textcoords="offset points", color=BLUE)
    axes.set(xlabel="step (grey lines: epochs)", ylabel="loss (nats)", title=title, ylim=(0, None))
    return figure


@door
def samples(images: np.ndarray, labels: np.ndarray, predictions: np.ndarray,
            columns: int = 10) -> Figure:
    """Figure 2 of the paper: images with their predictions; misclassified ones are framed.

    images (N, D), labels (N,), predictions (N,). Raises ValueError unless they are equally many.
    """
    if not len(images) == len(labels) == len(predictions) > 0:
        raise ValueError("images, labels and predictions must be equally many, at least one, got "
                         f"{len(images)}, {len(labels)} and {len(predictions)}")
    rows = -(-len(images) // columns)
    figure, grid = _grid(rows, columns, cell=0.85)
    for axes in grid.flat[len(images):]:
        axes.set_axis_off()
    for axes, image, label, prediction in zip(grid.flat, images, labels, predictions):
        is_wrong = prediction != label
        draw_image(axes, image, f"{prediction} (is {label})" if is_wrong else str(prediction))
        if is_wrong:
            _frame(axes, axes.title)
    wrong = int(np.sum(np.asarray(labels) != np.asarray(predictions)))
    entitle(figure, f"Predictions: {wrong} of {len(images)} misclassified (framed)")
    return figure


@door
def heatmaps(relevances: Sequence[np.ndarray], row_titles: Sequence[str],
             column_titles: Sequence[str], images: np.ndarray | None = None,
             targets: Sequence[np.ndarray] | None = None, title: str = "",
             dots: bool = False, limit: float | None = None) -> Figure:
    """Figures 3 and 5 of the paper: a row for each image, a column for each explanation.

    relevances: a list of arrays (N, D), one a column; images (N, D), if given, are drawn to their
    left; targets: the explained classes, a list of arrays (N,), one a column; dots as in
    `draw_relevance`. limit: None gives each heatmap colours of its own, which end at the number
    below it, in units of the logit; a number is where the colours of all end, so that they can be
    compared. Raises ValueError for a limit that is not finite and above 0.
    """
    if limit is not None and not 0 < as_float(limit) < np.inf:
        raise ValueError(f"limit must be None or a finite number above 0, got {limit!r}")
    of_images = [] if images is None else [images]
    for name, arrays in (("relevances", relevances), ("images", of_images),
                         ("targets", [] if targets is None else targets)):
        _check_rows(name, arrays, len(row_titles))
    if not len(row_titles) or not len(relevances):
        raise ValueError("row_titles and relevances must each hold at least one, got "
                         f"{len(row_titles)} and {len(relevances)}")
    for name, each in (("column_titles", column_titles), ("targets", targets)):
        if each is not None and len(each) != len(relevances):
            raise ValueError(f"{name} must be as many as relevances, {len(relevances)}, got "
                             f"{len(each)}")
    first = 0 if images is None else 1
    figure, grid = _grid(len(row_titles), first + len(relevances))
    for i, row in enumerate(grid):
        if images is not None:
            draw_image(row[0], images[i])
        for column, (axes, R) in enumerate(zip(row[first:], relevances)):
            draw_relevance(axes, R[i], limit=limit, dots=dots)
            target = "" if targets is None else f"explains {targets[column][i]}, "
            axes.set_xlabel(f"{target}±{np.abs(R[i]).max():.2g}", fontsize=8)
        row[0].set_ylabel(row_titles[i], parse_math=False)
    for axes, column_title in zip(grid[0][first:], column_titles):
        axes.set_title(column_title, fontsize=9, parse_math=False)
    colour_bar(figure, grid.ravel().tolist(), limit)
    entitle(figure, title)
    return figure


@door
def class_matrix(means: np.ndarray, dots: bool = False) -> Figure:
    """A matrix of heatmaps, means (K, K, D): a row for each true class, a column for each explained
    class. All have the same limits, in units of the logit; a class without images (NaN) is blank.
    """
    figure, grid = _grid(len(means), len(means), cell=0.75, text=0.05)
    limit = symmetric_limit(means[~np.isnan(means)])
    for t, row in enumerate(grid):
        for k, axes in enumerate(row):
            if np.isnan(means[t, k]).all():
                without_ticks(axes, "none")
            else:
                draw_relevance(axes, means[t, k], limit=limit, dots=dots)
        row[0].set_ylabel(str(t))
    for k, axes in enumerate(grid[0]):
        axes.set_title(str(k), fontsize=9)
    entitle(figure, "Mean relevance of each true class (rows) for each explained class (columns)")
    colour_bar(figure, grid.ravel().tolist(), limit)
    return figure


@door
def bars(R: np.ndarray, names: Sequence[str], unassigned: dict[str, float] | None = None,
         values: Sequence | np.ndarray | None = None, most: int = 10,
         unit: str = "units of the output") -> Figure:
    """The relevance (D,) of one row of a table as bars: red positive, blue and hatched negative.

    names: of the D features. The `most` features with the largest |R| have a bar each, the largest
    on top; all others share one. unassigned: {name: relevance} of what no feature received, as
    Explanation.unassigned gives it; each has a bar below, unless it is 0. So the bars add up to the
    output, which the title gives. values (D,), if given, stand beside the names; unit: of the
    output, and so of relevance. Raises ValueError unless there are D names and D values, for a
    `most` below 1, and for relevance that is not finite.
    """
    for what, given in (("names", names), ("values", R if values is None else values)):
        if np.shape(R) != (len(given),):
            raise ValueError(f"{what} must be as many as the relevance has numbers, one row's, got "
                             f"{len(given)} for {np.shape(R)}")
    check_integer("most", most)
    check_finite(np.asarray(R), "relevance")
    order = np.argsort(-np.abs(R), kind="stable")
    rows = [(names[j] if values is None else f"{names[j]} = {values[j]:.4g}", R[j])
            for j in order[:most]]
    others = len(R) - len(rows)
    if others:
        rows.append((f"{others} other{'s' if others > 1 else ''}", R[order[most:]].sum()))
    rows += [(name, part) for name, part in (unassigned or {}).items() if part != 0]
    figure, axes = plt.subplots(figsize=(7, 0.28 * len(rows) + 1), layout="constrained")
    for place, (_, part) in enumerate(rows):
        colour, hatch, side, align = ((1.0, None, 4, "left") if part >= 0 else
                                      (0.0, "////", -4, "right"))
        axes.barh(place, part, height=0.7, edgecolor="black", linewidth=0.6,
                  color=RELEVANCE(colour), hatch=hatch)
        axes.annotate(f"{part:+.3g}", (part, place), (side, 0), fontsize=8,
                      textcoords="offset points", va="center", ha=align)
    axes.axhline(min(most, len(R)) - 0.5, color="0.6", linewidth=0.7)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], parse_math=False)
    axes.margins(x=0.22)        # room for the numbers
    axes.locator_params(axis="x", nbins=6)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"relevance ({unit})",
             title=f"The bars add up to {sum(part for _, part in rows):.4g}")
    return figure


@door
def flipped_images(variants: Sequence[np.ndarray], predictions: Sequence[np.ndarray],
                   labels: np.ndarray, column_titles: Sequence[str], title: str = "") -> Figure:
    """Figure 4 of the paper: a row for each image, a column for each variant of it.

    variants: a list of arrays (N, D), one a column; predictions: a list of arrays (N,), the class
    predicted for each; labels (N,). Misclassified images are framed.
    """
    _check_rows("variants", variants, len(labels))
    _check_rows("predictions", predictions, len(labels))
    if not len(variants) == len(predictions) == len(column_titles) > 0 or not len(labels):
        raise ValueError("variants, predictions and column_titles must be equally many, at least "
                         f"one, and labels at least one, got {len(variants)}, {len(predictions)}, "
                         f"{len(column_titles)} and {len(labels)}")
    figure, grid = _grid(len(labels), len(variants))
    for i, row in enumerate(grid):
        for axes, images, predicted in zip(row, variants, predictions):
            draw_image(axes, images[i])
            axes.set_xlabel(f"predicted {predicted[i]}", fontsize=8)
            if predicted[i] != labels[i]:
                _frame(axes, axes.xaxis.label)
        row[0].set_ylabel(f"{labels[i]}")
    for axes, column_title in zip(grid[0], column_titles):
        axes.set_title(column_title, fontsize=9, parse_math=False)
    entitle(figure, title)
    return figure


def _check_rows(name, arrays, rows):
    """Each of the arrays must have a row for each image."""
    for array in arrays:
        if np.ndim(array) == 0 or len(array) < rows:
            raise ValueError(f"{name} must have {rows} rows, one for each image, got "
                             f"{'none' if np.ndim(array) == 0 else len(array)}")


def entitle(figure: Figure, title: str) -> None:
    """A title above all axes, if there is one; "$" is no mathematics."""
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)


def _grid(rows, columns, cell=1.4, text=0.25):
    """Room for square images of `cell` inches, a line of `text` each, and three above them all."""
    return plt.subplots(rows, columns, squeeze=False, layout="constrained",
                        figsize=(cell * columns + 1, (cell + text) * rows + 0.7))


def _frame(axes, text):
    for spine in axes.spines.values():
        spine.set(color=VERMILION, linewidth=2.5)
    text.set(color=VERMILION, fontweight="bold")
