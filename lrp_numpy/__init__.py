"""Layer-wise Relevance Propagation by hand: every step an equation in NumPy."""
from lrp_numpy import layers, plots, presets, pruning, removal, rules, study, training
from lrp_numpy.data import Digits, load_mnist
from lrp_numpy.explain import Explanation, explain, explain_batches
from lrp_numpy.layers import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D, Unflatten
from lrp_numpy.network import MLP, Network, lenet, zero_centred
from lrp_numpy.removal import measure, remove, remove_and_measure
from lrp_numpy.training import History, train

__all__ = ["AvgPool2D", "Conv2D", "Dense", "Digits", "Explanation", "Flatten", "History", "MLP",
           "MaxPool2D", "Network", "Unflatten", "explain", "explain_batches", "layers", "lenet",
           "load_mnist", "measure", "plots", "presets", "pruning", "removal", "remove",
           "remove_and_measure", "rules", "study", "train", "training", "zero_centred"]
