"""Is a heatmap right, and what is it good for? Pixel flipping, pruning, comparisons, other methods.
"""
from lrp_numpy.evaluation.comparisons import (FOR_PIXELS, every_rule, explain_top_two,
                                              mean_relevances)
from lrp_numpy.evaluation.other_methods import (gradient, gradient_times_input,
                                                integrated_gradients, occlusion, smooth_grad)
from lrp_numpy.evaluation.pixel_flipping import (Outcome, PixelFlipping, check_classes, confidence,
                                                 first_of_each, flip, flip_and_measure, flip_ranked,
                                                 margin, measure, rank, size_matched_random)
from lrp_numpy.evaluation.pruning import (RANKINGS, count_parameters, importance,
                                          microseconds_per_image, neuron_importance,
                                          prune_inputs, prune_neurons, select_pixels, top_k)
from lrp_numpy.evaluation.study import (MEASURES, Curves, Estimate, Outcomes, estimate, estimates,
                                        outcomes, perturbation_curves)

__all__ = ["Curves", "Estimate", "FOR_PIXELS", "MEASURES", "Outcome", "Outcomes", "PixelFlipping",
           "RANKINGS", "check_classes", "confidence", "count_parameters", "estimate", "estimates",
           "every_rule", "explain_top_two", "first_of_each", "flip", "flip_and_measure",
           "flip_ranked", "gradient", "gradient_times_input", "importance",
           "integrated_gradients", "margin", "mean_relevances", "measure",
           "microseconds_per_image", "neuron_importance", "occlusion", "outcomes",
           "perturbation_curves", "prune_inputs", "prune_neurons", "rank", "select_pixels",
           "size_matched_random", "smooth_grad", "top_k"]
