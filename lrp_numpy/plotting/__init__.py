"""Drawing: relevance in colour, and the figures of the paper and of the studies."""
from lrp_numpy.plotting.curves import flipping_curves, pruning_curves
from lrp_numpy.plotting.figures import (bars, class_matrix, draw_image, flipped_images, heatmaps,
                                        loss_curve, samples, save)
from lrp_numpy.plotting.heatmap import (RELEVANCE, colour_bar, draw_relevance, negative_pixels,
                                        symmetric_limit)
from lrp_numpy.plotting.levels import three_levels
from lrp_numpy.plotting.readings import readings
from lrp_numpy.plotting.show import show

__all__ = ["RELEVANCE", "bars", "class_matrix", "colour_bar", "draw_image", "draw_relevance",
           "flipped_images", "flipping_curves", "heatmaps", "loss_curve", "negative_pixels",
           "pruning_curves", "readings", "samples", "save", "show", "symmetric_limit",
           "three_levels"]
