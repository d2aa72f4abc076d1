"""How the relevance of a bag of visual words goes down: words, patches, pixels."""
from collections.abc import Sequence
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lrp_numpy.explanation import explain
from lrp_numpy.layers import Histogram, Patches
from lrp_numpy.models.bag_of_words import BagOfWords
from lrp_numpy.plotting.figures import draw_image
from lrp_numpy.plotting.heatmap import colour_bar, draw_relevance
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Target

WORDS = 4       # of each image


@door
def three_levels(net: BagOfWords, images: np.ndarray, row_titles: Sequence[str],
                 target: Target = None) -> Figure:
    """A row for each image (N, D): it, its four most relevant words, its patches, its pixels.

    target: the explained class, as in `explain`; row_titles: N of them. Below a word stands its
    relevance, that of all cells together, in units of the logit; a square of the patches' heatmap
    is one patch. Raises ValueError for another kind of network, and for what `explain` refuses.
    """
    if not isinstance(net, BagOfWords):
        raise ValueError(f"net must be a BagOfWords, got {type(net).__name__}")
    e = explain(net, images, target=target)
    if not len(images) or len(row_titles) != len(images):
        raise ValueError("images and row_titles must be equally many, at least one, got "
                         f"{len(images)} and {len(row_titles)}")
    patches, histogram = cast(Patches, net.layers[0]), cast(Histogram, net.layers[1])
    R_words = e.relevance[2].reshape(len(images), -1, len(histogram.words)).sum(axis=1)
    R_patches = e.relevance[1].sum(axis=2)
    figure, grid = plt.subplots(len(images), WORDS + 3, squeeze=False, layout="constrained",
                                figsize=(1.3 * (WORDS + 3) + 0.6, 1.5 * len(images) + 0.3))
    for n, row in enumerate(grid):
        draw_image(row[0], images[n])
        row[0].set_ylabel(row_titles[n], parse_math=False)
        for axes, d in zip(row[1:], np.argsort(-np.abs(R_words[n]), kind="stable")[:WORDS]):
            draw_image(axes, histogram.words[d])
            axes.set_xlabel(f"{R_words[n, d]:+.2f}", fontsize=8)
        for axes, R in ((row[-2], R_patches[n].reshape(patches.grid)), (row[-1], e.input[n])):
            draw_relevance(axes, R.ravel())
            axes.set_xlabel(f"±{np.abs(R).max():.2g}", fontsize=8)
    for column, title in ((0, "image"), (1, "most relevant words"), (-2, "patches"),
                          (-1, "pixels")):
        grid[0, column].set_title(title, fontsize=9, loc="left" if column == 1 else "center")
    colour_bar(figure, grid.ravel().tolist())
    return figure
