"""Layer-wise Relevance Propagation by hand: every step an equation in NumPy."""
from lrp_numpy.layers import base as layers
from lrp_numpy.plotting import figures as plots
from lrp_numpy import composites as presets
from lrp_numpy.evaluation import pruning
from lrp_numpy.evaluation import pixel_flipping as removal
from lrp_numpy import rules
from lrp_numpy.evaluation import study
from lrp_numpy.training import train as training
from lrp_numpy.datasets.mnist import Digits, load_mnist
from lrp_numpy.explanation import Explanation, explain, explain_batches
from lrp_numpy.layers.base import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D, Unflatten
from lrp_numpy.network import MLP, Network, lenet, zero_centred
from lrp_numpy.evaluation.pixel_flipping import measure, remove, remove_and_measure
from lrp_numpy.training.train import History, train

__all__ = ["AvgPool2D", "Conv2D", "Dense", "Digits", "Explanation", "Flatten", "History", "MLP",
           "MaxPool2D", "Network", "Unflatten", "explain", "explain_batches", "layers", "lenet",
           "load_mnist", "measure", "plots", "presets", "pruning", "removal", "remove",
           "remove_and_measure", "rules", "study", "train", "training", "zero_centred"]
