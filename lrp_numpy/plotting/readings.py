"""How a picture became a digit, step by step."""
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lrp_numpy.datasets.handwriting import Reading
from lrp_numpy.plotting.figures import draw_image
from lrp_numpy.plotting.heatmap import without_ticks
from lrp_numpy.utils.doors import door


@door
def readings(steps: Sequence[Reading], names: Sequence[str]) -> Figure:
    """A row for each picture: as it was read; what was taken for ink, black; the 28 x 28 pixels
    that a network sees.

    steps as `handwriting.reading` returns them, and a name each. Raises ValueError for others.
    """
    if len(names) != len(steps):
        raise ValueError(f"names must be as many as steps, {len(steps)}, got {len(names)}")
    figure, grid = plt.subplots(len(steps), 3, squeeze=False, layout="constrained",
                                figsize=(6.5, 2.1 * len(steps) + 0.3))
    for row, step, name in zip(grid, steps, names):
        row[0].imshow(step.picture)
        row[1].imshow(step.ink, cmap="gray_r", vmin=0, vmax=1)
        draw_image(row[2], step.digit)
        without_ticks(row[0])
        without_ticks(row[1])
        row[0].set_ylabel(name, parse_math=False)
    for axes, title in zip(grid[0], ("picture", "taken for ink", "what the network sees")):
        axes.set_title(title, fontsize=9)
    return figure
