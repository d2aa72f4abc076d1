"""What the lessons share: a folder for their figures, and the drawing of a small network."""
from pathlib import Path

import matplotlib.pyplot as plt
from lrp_numpy.plotting import RELEVANCE

FIGURES = Path(__file__).parent / "figures"


def show(figure, name):
    """Save a figure as figures/NAME.png and print its path; a notebook displays it as well."""
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / f"{name}.png", dpi=100)
    print(f"figure: lessons/figures/{name}.png")


def draw_network(panels):
    """Draw a small network, once for each panel: (title, numbers in the neurons, on the arrows).

    The numbers in the neurons are a list of layers, input first; those on the arrows are a list of
    matrices [from, to]. An arrow is red where its number is positive, blue and dashed where it is
    negative, and as wide as the number is large.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.2),
                                layout="constrained")
    for axes, (title, neurons, arrows) in zip(grid, panels):
        places = [[(x, (len(layer) - 1) / 2 - i) for i in range(len(layer))]
                  for x, layer in enumerate(neurons)]
        for x, matrix in enumerate(arrows):
            for i, row in enumerate(matrix):
                for j, amount in enumerate(row):
                    start, end = places[x][i], places[x + 1][j]
                    axes.plot(*zip(start, end), zorder=1, linewidth=1 + 1.5 * abs(amount),
                              color=RELEVANCE(1.0 if amount >= 0 else 0.0),
                              linestyle="-" if amount >= 0 else "--")
                    near = [s + 0.33 * (e - s) for s, e in zip(start, end)]
                    axes.text(*near, f"{amount:+g}", ha="center", va="center", fontsize=9,
                              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        for x, name in enumerate(("pixels", "hidden", "output")[:len(neurons)]):
            axes.text(x, -0.95, name, ha="center", color="0.4")
        for layer, numbers in zip(places, neurons):
            for place, number in zip(layer, numbers):
                axes.text(*place, f"{number:g}", ha="center", va="center", fontsize=12,
                          bbox={"boxstyle": "circle,pad=0.5", "facecolor": "white"})
        axes.set(title=title, xlim=(-0.3, len(neurons) - 0.7), ylim=(-1, 1))
        axes.set_axis_off()
    return figure
