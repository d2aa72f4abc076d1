"""Layer-wise Relevance Propagation by hand: every step an equation in NumPy."""
from lrp_numpy.layers import base as layers
from lrp_numpy import composites as presets
from lrp_numpy import rules
from lrp_numpy import evaluation, plotting
from lrp_numpy.training import train as training
from lrp_numpy.datasets.mnist import Digits, load_mnist
from lrp_numpy.explanation import Explanation, explain, explain_batches
from lrp_numpy.layers.base import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D, Unflatten
from lrp_numpy.network import MLP, Network, lenet, zero_centred
from lrp_numpy.evaluation.pixel_flipping import flip, flip_and_measure, measure
from lrp_numpy.training.train import History, train

__all__ = ["AvgPool2D", "Conv2D", "Dense", "Digits", "Explanation", "Flatten", "History", "MLP",
           "MaxPool2D", "Network", "Unflatten", "evaluation", "explain", "explain_batches", "flip",
           "flip_and_measure", "layers", "lenet", "load_mnist", "measure", "plotting", "presets",
           "rules", "train", "training", "zero_centred"]
