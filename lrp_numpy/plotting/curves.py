"""Curves of the studies: what is lost as pixels are flipped, as inputs or neurons are pruned."""
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lrp_numpy.evaluation.study import Curves
from lrp_numpy.plotting.figures import BLUE, VERMILION, entitle
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Table


@door
def flipping_curves(results: dict[tuple[str, str], Curves]) -> Figure:
    """Perturbation curves of the accuracy: a column for each network, a row for each rule.

    results: {(network, rule): study.Curves}. The area between LeRF and MoRF is shaded, and its
    size, the SRG, given.
    """
    names, rules = (list(dict.fromkeys(part)) for part in zip(*results))
    figure, grid = plt.subplots(len(rules), len(names), squeeze=False, sharex=True, sharey=True,
                                figsize=(2.3 * len(names) + 0.6, 1.5 * len(rules) + 0.8),
                                layout="constrained")
    for (name, rule), curves in results.items():
        axes, accuracy = grid[rules.index(rule), names.index(name)], curves.accuracy
        percent = 100 * curves.fractions
        for order, text, style, colour in (("lerf", "LeRF", "-o", BLUE),
                                           ("morf", "MoRF", "--s", VERMILION),
                                           ("random", "random", ":", "black")):
            axes.plot(percent, 100 * accuracy[order], style, color=colour, markersize=2.5,
                      linewidth=1.2, label=text)
        axes.fill_between(percent, 100 * accuracy["morf"], 100 * accuracy["lerf"], color="0.93",
                          zorder=0)
        axes.set_title(f"SRG {curves.srg(accuracy):.2f}", fontsize=8, loc="right", pad=2)
    for axes in grid[:, -1]:
        _label_ends(axes)
    for axes, name in zip(grid[0], names):
        axes.set_title(name, fontsize=9, loc="left", pad=2, parse_math=False)
    for row, rule in zip(grid, rules):
        row[0].set_ylabel(f"{rule}\naccuracy (%)", fontsize=8)
        row[0].set_ylim(0, 104)
    for axes in grid[-1]:
        axes.set_xlabel("non-zero pixels flipped (%)", fontsize=9)
    entitle(figure, "The wider the gap between LeRF and MoRF, the better the heatmap")
    return figure


@door
def pruning_curves(rows: Table, what: str) -> Figure:
    """Accuracy against the number of inputs or neurons kept: a panel for each ranking.

    rows: dicts with "ranking", "kept", "accuracy" and "retrained" (None where it was not done),
    as report.pruning_rows gives them; what: "inputs", say, for the horizontal axis. The ranking
    "random", if there is one, is repeated in grey in the other panels.
    """
    rankings = list(dict.fromkeys(row["ranking"] for row in rows))
    columns = min(3, len(rankings))
    lines = -(-len(rankings) // columns)
    figure, grid = plt.subplots(lines, columns, squeeze=False, sharex=True, sharey=True,
                                figsize=(2.8 * columns, 2.2 * lines + 0.7), layout="constrained")
    for axes in grid.flat[len(rankings):]:
        axes.set_axis_off()
    for axes, ranking in zip(grid.flat, rankings):
        for shown in [ranking] + ["random"] * ("random" in rankings and ranking != "random"):
            is_own = shown == ranking
            for key, text, style, colour in (("accuracy", "as pruned", "--s", VERMILION),
                                             ("retrained", "retrained", "-o", BLUE)):
                points = [(row["kept"], 100 * row[key]) for row in rows
                          if row["ranking"] == shown and row[key] is not None]
                axes.plot(*np.reshape(points, (-1, 2)).T, style, color=colour if is_own else "0.75",
                          markersize=3.5, zorder=2 if is_own else 1,
                          label=text if is_own else f"random, {text}")
        axes.set_title(ranking, fontsize=9, parse_math=False)
        axes.set(xlabel=f"{what} kept", ylabel="accuracy (%)")
        axes.label_outer()
    figure.legend(handles=max((axes.get_lines() for axes in grid.flat), key=len), fontsize=8,
                  loc="outside lower center", ncols=4)
    entitle(figure, f"The higher the curve, the better the ranking finds {what} to prune")
    return figure


def _label_ends(axes, apart=16):
    """Write each line's label at its right end, the labels at least `apart` in units of y."""
    place = -np.inf
    for line in sorted(axes.get_lines(), key=lambda line: line.get_ydata()[-1]):
        place = max(line.get_ydata()[-1], place + apart)
        axes.annotate(line.get_label(), (1, place), (4, 0), color=line.get_color(), fontsize=8,
                      xycoords=("axes fraction", "data"), textcoords="offset points", va="center")
