"""Arrays -> figures; measures nothing.

Images are drawn black on white, relevance with symmetric limits: red for, blue against, white 0.
On grey paper red and blue look alike, so what speaks against bears a dot as well.
A draw_... function fills given axes; the others return a new Figure; `save` writes and closes it.
Images and relevance that are not finite, or no squares, are refused (ValueError).
"""
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from lrp_numpy.utils.validation import check_finite, check_integer
from lrp_numpy.utils.files import atomic_write
from lrp_numpy.utils.types import FilePath, Table
from lrp_numpy.evaluation.study import Curves

RELEVANCE = LinearSegmentedColormap.from_list("relevance", ["#2f6dff", "#ffffff", "#b40000"])
FRAME = "#c00000"       # around what is misclassified; the title says it too, for grey paper


def save(figure: Figure, path: FilePath) -> Path:
    """Write a figure in the format that its name ends in, such as PNG, making the folder if need
    be, and close it. Returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        figure.savefig(file, dpi=100, format=path.suffix[1:] or "png")
    plt.close(figure)
    return path


def draw_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """One image (D,) with D = side * side, black on white."""
    check_finite(image, "image")
    axes.imshow(_square(image), cmap="gray_r", vmin=0, vmax=1)
    _bare(axes, title)


def draw_relevance(axes: Axes, R: np.ndarray, title: str = "", limit: float | None = None,
                   dot: float = 1.2) -> None:
    """One image's relevance (D,): red for, blue and dotted against, white 0.

    The colours end at ±limit, in units of the logit; None: at ±max|R|. dot: size of the dots.
    """
    check_finite(R, "relevance")
    limit = limit or np.abs(R).max() or 1
    R = _square(R)
    axes.imshow(R, cmap=RELEVANCE, vmin=-limit, vmax=limit)
    x, y = against(R, limit).T
    axes.scatter(x, y, s=dot, color="black", linewidths=0)      # the sign on grey paper
    _bare(axes, title)


def against(R: np.ndarray, limit: float) -> np.ndarray:
    """Where the dots go that mark what speaks against: (column, row) of each (M, 2)."""
    return np.argwhere(_square(R) < -limit / 20)[:, ::-1]


def loss_curve(loss: np.ndarray, epochs: int, title: str = "Cross-entropy of each batch") -> Figure:
    """Figure 1 of the paper: loss (steps,) over the iterations, with a running mean."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    steps = np.arange(1, len(loss) + 1)
    window = min(len(loss), max(1, len(loss) // 50))
    mean = np.convolve(loss, np.full(window, 1 / window), mode="valid")
    axes.plot(steps, loss, color="0.75", linewidth=0.7, label="each batch",
              marker="." if len(loss) == 1 else None)
    axes.plot(steps[window - 1:], mean, color="0", label=f"mean of the last {window}")
    for epoch in range(1, epochs):
        axes.axvline(epoch * len(loss) / epochs, color="0.9", linewidth=0.7, zorder=0)
    axes.set(xlabel="step (grey lines: epochs)", ylabel="loss (nats)", title=title, ylim=(0, None))
    axes.legend()
    return figure


def samples(images: np.ndarray, labels: np.ndarray, predictions: np.ndarray,
            columns: int = 10) -> Figure:
    """Figure 2 of the paper: images with what the network says; what is wrong stands in a frame."""
    rows = -(-len(images) // columns)
    figure, grid = _grid(rows, columns, cell=0.85)
    for axes in grid.flat[len(images):]:
        axes.set_axis_off()
    for axes, image, label, said in zip(grid.flat, images, labels, predictions):
        draw_image(axes, image, str(said) if said == label else f"{said}, is {label}")
        if said != label:
            axes.title.set(color=FRAME, fontweight="bold")
            _frame(axes)
    return figure


def heatmaps(relevances: Sequence[np.ndarray], row_titles: Sequence[str],
             column_titles: Sequence[str], images: np.ndarray | None = None,
             targets: Sequence[np.ndarray] | None = None) -> Figure:
    """Figures 3 and 5 of the paper: a row for each digit, a column for each way to explain it.

    relevances: a list of arrays (N, D), one a column; images (N, D), if given, are drawn to their
    left; targets: the explained classes, a list of arrays (N,), one a column. Each heatmap has
    limits of its own, which stand beneath it in units of the logit.
    """
    first = 0 if images is None else 1
    figure, grid = _grid(len(row_titles), first + len(relevances))
    for i, row in enumerate(grid):
        if images is not None:
            draw_image(row[0], images[i])
        for column, (axes, R) in enumerate(zip(row[first:], relevances)):
            draw_relevance(axes, R[i])
            why = "" if targets is None else f"why {targets[column][i]}?  "
            axes.set_xlabel(f"{why}±{np.abs(R[i]).max():.2g}", fontsize=8)
        row[0].set_ylabel(row_titles[i], parse_math=False)
    for axes, title in zip(grid[0][first:], column_titles):
        axes.set_title(title, fontsize=9)
    return figure


def classes(means: np.ndarray) -> Figure:
    """A matrix of heatmaps, means (K, K, D): a row for each true class, a column for each class
    that is explained. All have the same limits, which stand beneath it in units of the logit."""
    figure, grid = _grid(len(means), len(means), cell=0.75)
    limit = np.nanmax(np.abs(means))
    for t, row in enumerate(grid):
        for k, axes in enumerate(row):
            if np.isnan(means[t, k]).all():     # a class without images
                _bare(axes, "none")
            else:
                draw_relevance(axes, means[t, k], limit=limit, dot=0.25)
        row[0].set_ylabel(f"is {t}")
    for k, axes in enumerate(grid[0]):
        axes.set_title(f"why {k}?", fontsize=9)
    figure.supxlabel(f"mean relevance, ±{limit:.2g}", fontsize=9)
    return figure


def bars(R: np.ndarray, names: Sequence[str], elsewhere: dict[str, float] | None = None,
         values: Sequence | np.ndarray | None = None, most: int = 10,
         unit: str = "units of the output") -> Figure:
    """The relevance (D,) of one row of a table as bars: red for, blue and hatched against.

    names: of the D features. The `most` features with the largest |R| have a bar each, the largest
    on top; all others share one. elsewhere: {name: relevance} of what no feature got, such as
    Explanation.elsewhere gives it; each has a bar below, unless it is 0. So the bars add up to the
    output, and the title says to what. values (D,), if given, stand beside the names; unit: that
    of the output, and so of relevance. Raises ValueError for names or values of another number
    than D, a `most` below 1, and relevance that is not finite.
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
    rows += [(name, part) for name, part in (elsewhere or {}).items() if part != 0]
    figure, axes = plt.subplots(figsize=(7, 0.28 * len(rows) + 1), layout="constrained")
    for place, (_, part) in enumerate(rows):
        is_for = part >= 0
        axes.barh(place, part, height=0.7, edgecolor="black", linewidth=0.6,
                  color=RELEVANCE(1.0 if is_for else 0.0), hatch=None if is_for else "////")
        axes.annotate(f"{part:+.3g}", (part, place), (4 if is_for else -4, 0), fontsize=8,
                      textcoords="offset points", va="center", ha="left" if is_for else "right")
    axes.axhline(min(most, len(R)) - 0.5, color="0.6", linewidth=0.7)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.margins(x=0.22)        # room for the numbers
    axes.locator_params(axis="x", nbins=6)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"relevance ({unit})",
             title=f"the bars add up to {sum(part for _, part in rows):.4g}")
    return figure


def removals(variants: Sequence[np.ndarray], predictions: Sequence[np.ndarray], labels: np.ndarray,
             column_titles: Sequence[str]) -> Figure:
    """Figure 4 of the paper: a row for each image, a column for each variant of it.

    variants: a list of arrays (N, D), one a column; predictions: a list of arrays (N,), what the
    network says to each; what is wrong stands in a frame.
    """
    figure, grid = _grid(len(labels), len(variants))
    for i, row in enumerate(grid):
        for axes, images, said in zip(row, variants, predictions):
            draw_image(axes, images[i])
            axes.set_xlabel(f"says {said[i]}", fontsize=8)
            if said[i] != labels[i]:
                _frame(axes)
                axes.xaxis.label.set(color=FRAME, fontweight="bold")
        row[0].set_ylabel(f"{labels[i]}")
    for axes, title in zip(grid[0], column_titles):
        axes.set_title(title, fontsize=9)
    return figure


def perturbation(results: dict[tuple[str, str, str], Curves], of: str, label: str) -> Figure:
    """Curves of what is left, against the share removed: a row for each fill, a column a network.

    results: {(network, rule, fill): study.Curves}; of: "accuracy" or "probability"; label: of the
    vertical axis. Least relevant first is drawn solid, most relevant first dashed, chance dotted.
    """
    names, rules, fills = (list(dict.fromkeys(part)) for part in zip(*results))
    figure, grid = plt.subplots(len(fills), len(names), squeeze=False, sharex=True, sharey=True,
                                figsize=(2.6 * len(names), 2.3 * len(fills) + 0.4),
                                layout="constrained")
    for (name, rule, fill), curves in results.items():
        axes = grid[fills.index(fill), names.index(name)]
        marker, grey = "o^s"[rules.index(rule) % 3], f"{0.35 * rules.index(rule):.2f}"
        for first, style in (("least", "-"), ("most", "--")):
            axes.plot(100 * curves.fractions, getattr(curves, of)[first], style, color=grey,
                      marker=marker, markersize=3, linewidth=1,
                      label=f"LRP-{rule}" if first == "least" else None)
        if rule == rules[0]:
            axes.plot(100 * curves.fractions, getattr(curves, of)["random"], ":", color="black",
                      label="by lot")
    for axes, name in zip(grid[0], names):
        axes.set_title(name, fontsize=9)
    for row, fill in zip(grid, fills):
        row[0].set_ylabel(f"{label}\n(fill: {fill})", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("pixels removed (%)", fontsize=9)
    grid[0, -1].legend(fontsize=7)
    return figure


def kept(rows: Table, what: str) -> Figure:
    """Accuracy against the number of inputs or neurons kept: a line for each ranking.

    rows: dicts with "ranking", "kept", "accuracy" and "retrained" (None where it was not done),
    as report.pruning_rows gives them; what: "inputs", say, for the horizontal axis.
    """
    rankings = list(dict.fromkeys(row["ranking"] for row in rows))
    figure, grid = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True, layout="constrained")
    for axes, key in zip(grid, ("accuracy", "retrained")):
        for i, ranking in enumerate(rankings):
            points = [(row["kept"], 100 * row[key]) for row in rows
                      if row["ranking"] == ranking and row[key] is not None]
            axes.plot(*zip(*points), ["-", "--", "-.", ":", "-", "--"][i % 6],
                      color=["0", "0", "0.3", "0.3", "0.6", "0.6"][i % 6], marker="osv^Dx"[i % 6],
                      markersize=4, label=ranking)
        axes.set(xlabel=f"{what} kept", title={"accuracy": "as they were cut",
                                               "retrained": "retrained"}[key])
    grid[0].set_ylabel("right (%)")
    grid[1].legend(fontsize=7)
    return figure


def _grid(rows, columns, cell=1.4):
    """Room for square images of `cell` inches, a line of text each, and three above them all."""
    return plt.subplots(rows, columns, squeeze=False, layout="constrained",
                        figsize=(cell * columns + 0.6, (cell + 0.25) * rows + 0.7))


def _square(image):
    side = int(np.sqrt(image.size))
    if side * side != image.size:
        raise ValueError(f"an image must be square to be drawn, got {image.size} pixels")
    return image.reshape(side, side)


def _bare(axes, title):
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def _frame(axes):
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=2.5)
