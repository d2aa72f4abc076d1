"""Layer-wise Relevance Propagation by hand: every step an equation in NumPy."""
from lrp_numpy import plots, pruning, removal, rules, study, training
from lrp_numpy.data import Digits, load_mnist
from lrp_numpy.explain import Explanation, explain, explain_batches
from lrp_numpy.network import MLP, Dense, zero_centred
from lrp_numpy.removal import measure, remove, remove_and_measure
from lrp_numpy.training import History, train

__all__ = ["Dense", "Digits", "Explanation", "History", "MLP", "explain", "explain_batches",
           "load_mnist", "measure", "plots", "pruning", "removal", "remove", "remove_and_measure",
           "rules", "study", "train", "training", "zero_centred"]
