"""Layer-wise Relevance Propagation by hand: every step an equation in NumPy.

The names below are imported when they are first used, so that `import lrp_numpy` takes no time.
"""
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrp_numpy import (composites, dialects, evaluation, layers, ops, plotting, rules,
                           training)
    from lrp_numpy.datasets.handwriting import read_digit
    from lrp_numpy.datasets.mnist import Digits, load_mnist
    from lrp_numpy.evaluation.pixel_flipping import flip, flip_and_measure, measure
    from lrp_numpy.explanation import Explanation, explain, explain_batches
    from lrp_numpy.layers import (AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, Histogram,
                                  KernelMachine, LayerNorm, MaxPool2D, MeanOverTokens, Patches,
                                  Permute, Positions, Residual, Rivals, SelfAttention, SoftMin,
                                  SquaredDistances, Tokens, Unflatten)
    from lrp_numpy.models.bag_of_words import BagOfWords
    from lrp_numpy.models.canonize import fold_batchnorm, zero_centred
    from lrp_numpy.models.contrast import contrast
    from lrp_numpy.models.from_folder import from_folder
    from lrp_numpy.models.from_keras import from_keras
    from lrp_numpy.models.from_sklearn import from_sklearn
    from lrp_numpy.models.from_torch import from_torch
    from lrp_numpy.models.kmeans import KMeans
    from lrp_numpy.models.lenet import lenet
    from lrp_numpy.models.one_class import OneClass
    from lrp_numpy.models.resnet import resnet
    from lrp_numpy.models.transformer import transformer
    from lrp_numpy.network import MLP, Network
    from lrp_numpy.training.adam import Adam
    from lrp_numpy.training.train import History, train

MODULES = ("composites", "dialects", "evaluation", "layers", "ops", "plotting", "rules", "training")
HOMES = {
    "datasets.handwriting": ("read_digit",),
    "datasets.mnist": ("Digits", "load_mnist"),
    "evaluation.pixel_flipping": ("flip", "flip_and_measure", "measure"),
    "explanation": ("Explanation", "explain", "explain_batches"),
    "layers": ("AvgPool2D", "BatchNorm", "Conv2D", "Dense", "Flatten", "Histogram",
               "KernelMachine", "LayerNorm", "MaxPool2D", "MeanOverTokens", "Patches", "Permute",
               "Positions", "Residual", "Rivals", "SelfAttention", "SoftMin", "SquaredDistances",
               "Tokens", "Unflatten"),
    "models.bag_of_words": ("BagOfWords",),
    "models.canonize": ("fold_batchnorm", "zero_centred"),
    "models.contrast": ("contrast",),
    "models.from_folder": ("from_folder",),
    "models.from_keras": ("from_keras",),
    "models.from_sklearn": ("from_sklearn",),
    "models.from_torch": ("from_torch",),
    "models.kmeans": ("KMeans",),
    "models.lenet": ("lenet",),
    "models.one_class": ("OneClass",),
    "models.resnet": ("resnet",),
    "models.transformer": ("transformer",),
    "network": ("MLP", "Network"),
    "training.adam": ("Adam",),
    "training.train": ("History", "train"),
}
HOME_OF = {name: home for home, names in HOMES.items() for name in names}

__all__ = [*MODULES, *HOME_OF]


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"lrp_numpy.{name}")
    if name not in HOME_OF:
        raise AttributeError(f"module 'lrp_numpy' has no attribute {name!r}")
    return getattr(import_module(f"lrp_numpy.{HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
