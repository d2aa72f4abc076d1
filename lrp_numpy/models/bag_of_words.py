"""Bag of visual words: what image classifiers were before networks took over, made a network."""
import math

import numpy as np

from lrp_numpy.layers import Histogram, KernelMachine, Patches
from lrp_numpy.layers.kernel_machine import KERNELS
from lrp_numpy.layers.words import MAPPINGS
from lrp_numpy.models.kmeans import KMeans
from lrp_numpy.network import Network, load_layers
from lrp_numpy.ops import choose
from lrp_numpy.ops.blas import one_core_free
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Array, FilePath, Seed
from lrp_numpy.utils.validation import as_float, check_choice, check_inputs, check_integer

FEATURES = 50_000           # of the images at most, drawn at random, from which the words are made
MAX_BYTES = 4_000_000_000   # of the kernel matrix
BATCH = 1000                # images whose patches are in memory at the same time


class BagOfWords(Network):
    """Images, cut into patches (layers.Patches), counted by words (layers.Histogram), classified by
    how alike the histograms of training images are (layers.KernelMachine).

    `explain(bw, images)` goes down its three levels: e.relevance[2] (N, V) is the relevance of the
    histograms' dimensions, e.relevance[1].sum(axis=2) (N, L) that of the local features, e.input
    (N, D) that of the pixels; it is in units of the logit. With a sum kernel each sums to the
    logit. Source: Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier
    Decisions by Layer-Wise Relevance Propagation", section "Bag of Words".
    """

    @classmethod
    @door
    def fit(cls, images: Array, labels: Array, words: int = 128, size: int = 7, step: int = 3,
            cells: int = 3, kernel: str = "intersection", mapping: str = "hard",
            ridge: float = 1.0, rng: Seed = 0, progress: bool = False) -> "BagOfWords":
        """Words by k-means, then kernel ridge regression of each class against the rest.

            (K + ridge I) alpha = Y - b,    K_ij = k(x_i, x_j),    Y = 1 for the class, else -1,
            b = the mean of Y

        images (N, D), square; labels (N,): integers or words; words: how many; size, step: of the
        patches, in pixels; cells: the image is counted in cells x cells parts; kernel, mapping: see
        layers.KernelMachine and layers.Histogram. The beta of the soft mapping is 1 over the mean
        squared distance of a feature to its nearest word, the Gaussian's gamma 1 over the mean
        squared distance of two histograms. rng: a seed or a numpy.random.Generator, for the
        features (at most 50,000) from which the words are made, and for k-means. progress=True
        shows a bar on a terminal. The memory at the end is twice that of the kernel matrix.

        Raises ValueError for arguments that do not fit, and for more images than a kernel matrix of
        4 GB allows, 31,622 in float32.
        """
        check_inputs(images, np.shape(images)[-1], "images")
        classes, y = _classes_of(labels, len(images))
        for name, value, least in (("words", words, 2), ("size", size, 1), ("step", step, 1),
                                   ("cells", cells, 1)):
            check_integer(name, value, least)
        check_choice("mapping", mapping, MAPPINGS)
        check_choice("kernel", kernel, KERNELS)
        if not 0 < as_float(ridge) < np.inf:
            raise ValueError(f"ridge must be a finite number above 0, got {ridge!r}")
        most = math.isqrt(MAX_BYTES // images.itemsize)
        if len(images) > most:
            raise ValueError(f"images must be at most {most}, so that the kernel matrix of "
                             f"{images.dtype} takes no more than 4 GB, got {len(images)}")
        rng = np.random.default_rng(rng)
        patches = Patches(math.isqrt(images.shape[1]), size, step)
        L, P = patches.out_shape(images.shape[1:])
        with one_core_free():
            some = rng.permutation(len(images))[:-(-FEATURES // L)]
            features = patches.preactivation(images[some]).reshape(-1, P)
            if words > len(features):
                raise ValueError(f"words must be at most {len(features)}, one for each patch, got "
                                 f"{words}")
            codebook = KMeans.fit(features, words, rng, iterations=50, progress=progress)
            beta = len(features) / max(codebook.inertia(features), 1e-30)
            histogram = Histogram(codebook.centroids, patches.grid, cells, mapping,
                                  beta if mapping == "soft" else np.inf)
            count = Network([patches, histogram]).forward
            x = np.concatenate([count(images[first:first + BATCH])     # for the sake of memory
                                for first in range(0, len(images), BATCH)])
            gamma = 1 / max(2 * x.var(axis=0, dtype=np.float64).sum(), 1e-30)
            Y = np.where(y[:, None] == np.arange(len(classes)), 1, -1).astype(x.dtype)
            b = Y.mean(axis=0, dtype=np.float64).astype(x.dtype)
            machine = KernelMachine(np.ascontiguousarray(x.T), np.zeros_like(Y), b, kernel, gamma)
            K = machine.kernel_of(x, choose(None, len(x) * x.size))
            K[np.diag_indices(len(K))] += ridge
            alpha = np.linalg.solve(K, Y - b)
        return cls([patches, histogram, KernelMachine(machine.u, alpha, b, kernel, gamma)],
                   None if (classes == np.arange(len(classes))).all() else classes)

    @staticmethod
    def load(path: FilePath) -> "BagOfWords":
        """The model that `save` wrote. Raises ValueError, naming the file, for anything else."""
        net = load_layers(path, "BagOfWords", [Patches, Histogram, KernelMachine])
        return BagOfWords(net.layers, net.classes)


def _classes_of(labels, count):
    """The different labels, sorted, and the number of each image's."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iuU":
        raise ValueError(f"labels must be {count} integers or words, one for each image, got "
                         f"{labels.dtype} of shape {labels.shape}")
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"labels must be of at least two classes, got {classes.tolist()}")
    return classes, y
