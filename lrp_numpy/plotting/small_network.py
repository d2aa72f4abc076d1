"""A small network, drawn with its numbers: forward, or relevance on its way back."""
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrp_numpy.plotting.heatmap import RELEVANCE


def draw_network(panels: Sequence[tuple]) -> Figure:
    """Draw a small network, once for each panel: a title and what `draw_panel` takes."""
    figure, grid = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6),
                                layout="constrained")
    for axes, (title, *panel) in zip(grid, panels):
        draw_panel(axes, *panel)
        axes.set_title(title)
    return figure


def draw_panel(axes: Axes, neurons: Sequence, arrows: Sequence, biases: Sequence,
               back: bool = False) -> None:
    """Draw a small network: the numbers in the neurons, on the arrows, and on those of the biases.

    The numbers in the neurons are a list of layers, input first; those on the arrows are a list of
    matrices [from, to]; those of the biases a list of layers, the first hidden one first. None in
    the place of a layer leaves its numbers, or its arrows, out. An arrow points to the right, or to
    the left if the network is read `back`; it is red where its number is positive, blue and dashed
    where it is negative, and as wide as the number is large. Biases are squares.
    """
    sizes = [len(arrows[0]), *(len(layer) for layer in biases)]
    places = [[(float(x), 1.2 * ((size - 1) / 2 - i)) for i in range(size)]
              for x, size in enumerate(sizes)]
    below = [[(x - 0.27, y - 0.5) for x, y in layer] for layer in places[1:]]

    def arrow(start, end, amount, near=None):
        start, end = (end, start) if back else (start, end)
        colour = RELEVANCE(1.0 if amount >= 0 else 0.0)
        axes.annotate("", end, start, zorder=1, arrowprops={
            "arrowstyle": "-|>,head_width=0.3,head_length=0.5", "color": colour, "shrinkA": 13,
            "shrinkB": 15, "linewidth": 1 + abs(amount), "mutation_scale": 12,
            "linestyle": "-" if amount >= 0 else (0, (3, 1.5))})
        if near is not None:
            near = 1 - near if back else near
            x, y = (s + near * (e - s) for s, e in zip(start, end))
            axes.text(x, y, f"{amount:+g}", ha="center", va="center", fontsize=9,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})

    for x, (matrix, bias) in enumerate(zip(arrows, biases)):
        is_known = neurons[x if back else x + 1] is not None
        if is_known:
            for i, start in enumerate(places[x]):
                for j, end in enumerate(places[x + 1]):
                    arrow(start, end, matrix[i][j], 0.36)
        for start, end, amount in zip(below[x], places[x + 1], bias):
            if is_known:
                arrow(start, end, amount)
            axes.text(*start, f"{amount:g}" if is_known else " ", ha="center", va="center",
                      fontsize=10, bbox={"boxstyle": "square,pad=0.35", "facecolor": "white",
                                         "edgecolor": "0.4"})
    for x, name in enumerate(("pixels", "hidden", "output")[:len(sizes)]):
        axes.text(x, -1.42, name, ha="center", color="0.4")
    for layer, numbers in zip(places, neurons):
        for i, place in enumerate(layer):
            axes.text(*place, " " if numbers is None else f"{numbers[i]:g}", ha="center",
                      va="center", fontsize=12,
                      bbox={"boxstyle": "circle,pad=0.45", "facecolor": "white"})
    axes.set(xlim=(-0.3, len(sizes) - 0.7), ylim=(-1.5, 1.05))
    axes.set_axis_off()
