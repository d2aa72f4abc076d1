"""k-means: Lloyd's algorithm by hand, and the clusters as a network that LRP explains."""
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from lrp_numpy.layers import Rivals, SoftMin
from lrp_numpy.layers.distances import relative_distances
from lrp_numpy.network import Network, load_layers
from lrp_numpy.ops.blas import one_core_free
from lrp_numpy.ops.cores import thread_count
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import as_labels
from lrp_numpy.utils.types import Array, FilePath, Seed
from lrp_numpy.utils.validation import check_inputs, check_integer

BLOCK = 2**20       # numbers of x at a time: they are still in the cache when they are read again


class KMeans(Network):
    """k-means as a network: cluster c has the logit f_c(x), which is positive for the nearest one.

        f_c(x) = softmin over k != c of h_ck,    h_ck = |x - mu_k|^2 - |x - mu_c|^2

    (layers.Rivals, layers.SoftMin.) So `explain(km, x)` tells which pixels place x in its cluster,
    and not in those of its rivals, and `explain(km, x, target=3)` what speaks for cluster 3. As
    relevance[1][n, c] of the result has that of each rival of c, in units of the squared distance.

    beta is the soft-min's stiffness, in units of 1 / squared distance. inf, the default, compares
    with the nearest rival alone: f_c is exactly how much nearer c is than any other, so its sign is
    the assignment. A finite beta, as in `explain(km, x, beta=0.5)`, lets rivals that are almost as
    near have their say, and relevance then changes smoothly where the nearest rival changes, which
    is why Kauffmann et al. use one; but f_c is lower, by up to log(K - 1) / beta, and can be
    negative in c's own cluster: it is log(P / (1 - P)) / beta of the soft assignment P = softmax
    over k of -beta |x - mu_k|^2.

    Source: Kauffmann et al. 2022, "From Clustering to Cluster Explanations via Neural Networks".
    """

    def __init__(self, centroids: Array, beta: float = np.inf, classes: object = None) -> None:
        """centroids (K, D), at least two different ones; classes: labels of the clusters."""
        super().__init__([Rivals(centroids), SoftMin(beta)], classes)
        if len(np.unique(self.centroids, axis=0)) < len(self.centroids):
            raise ValueError("centroids must differ from one another, got two that are equal")

    @property
    def centroids(self) -> Array:
        """mu (K, D)."""
        return self.layers[0].centroids         # type: ignore[attr-defined]

    @classmethod
    @door
    def fit(cls, x: Array, clusters: int, rng: Seed = 0, iterations: int = 300, starts: int = 1,
            centroids: Array | None = None, progress: bool = False) -> "KMeans":
        """Clusters of the rows of x (N, D), by k-means++ and Lloyd's algorithm.

        It repeats two steps, and stops when no row changes its cluster, or after `iterations`:

            assignment: the cluster of a row is that with the nearest centroid
            update:     a centroid is the mean of its rows

        Neither can increase the inertia, the sum over the rows of |x - mu|^2 to the nearest
        centroid. A cluster without rows takes the row farthest from its centroid. clusters: K;
        rng: a seed or a numpy.random.Generator; starts: how often to begin, to keep the run with
        the least inertia; centroids (K, D): where to begin, in place of `kmeans_plus_plus`;
        progress=True shows a bar on a terminal.

        Raises ValueError for x that is not finite, fewer than two clusters, or more than there are
        different rows. Sources: Lloyd 1982, "Least Squares Quantization in PCM"; Arthur and
        Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding".
        """
        check_inputs(x, np.shape(x)[-1])
        for name, value, least in (("clusters", clusters, 2), ("iterations", iterations, 1),
                                   ("starts", starts, 1)):
            check_integer(name, value, least)
        _check_different_rows(x, clusters)
        if centroids is not None:
            check_inputs(centroids, x.shape[1], "centroids")
            if len(centroids) != clusters:
                raise ValueError(f"centroids must be {clusters} rows, one for each cluster, got "
                                 f"{len(centroids)}")
        rng, runs = np.random.default_rng(rng), []
        with tqdm(total=starts * iterations, desc="clustering", unit="step",
                  disable=None if progress else True) as bar, one_core_free():
            for _ in range(starts):
                begin = kmeans_plus_plus(x, clusters, rng) if centroids is None else centroids
                runs.append(lloyd(x, begin, iterations, bar))
        return cls(min(runs, key=lambda mu: assign(x, mu)[1].sum()))

    def predict(self, x: Array, engine: str | None = None) -> Array:
        """The cluster with the nearest centroid (N,), by its label if the clusters have labels."""
        check_inputs(x, self.sizes[0])
        return as_labels(assign(x, self.centroids)[0], self.sizes[-1], self.classes)

    def inertia(self, x: Array) -> float:
        """The sum over the rows of x (N, D) of |x - mu|^2, mu the nearest centroid."""
        check_inputs(x, self.sizes[0])
        return float(assign(x, self.centroids)[1].sum())

    @staticmethod
    def load(path: FilePath) -> "KMeans":
        """The clusters that `save` wrote. Raises ValueError, naming the file, for anything else."""
        net = load_layers(path, "KMeans", [Rivals, SoftMin])
        rivals, soft_min = net.layers
        return KMeans(rivals.centroids, soft_min.beta, net.classes)     # type: ignore


def assign(x: Array, mu: Array) -> tuple[Array, Array]:
    """For each row of x (N, D), the number of the nearest of mu (K, D), and |x - mu|^2 to it: (N,).

    The nearest is that with the least `relative_distances`; the distance itself is then computed as
    it is written. Of equally near ones it is the first.
    """
    nearest, squares = np.empty(len(x), np.int64), np.empty(len(x))
    for part in _parts(x):
        nearest[part] = relative_distances(x[part], mu).argmin(axis=1)
        squares[part] = ((x[part] - mu[nearest[part]])**2).sum(axis=1)
    return nearest, squares


def lloyd(x: Array, mu: Array, iterations: int, bar: tqdm | None = None) -> Array:
    """The centroids (K, D) after so many steps of Lloyd's algorithm from mu (K, D), or when no row
    changes its cluster.

    The sum of each cluster's rows is kept, in float64, and only rows that change are moved.
    """
    K, nearest = len(mu), np.full(len(x), -1)
    sums, counts = np.zeros((K, x.shape[1])), np.zeros(K, np.int64)
    mu, parts = mu.astype(x.dtype), list(_parts(x))

    def assign_part(part):
        """By how much the sums and counts change; None if no row changes its cluster."""
        now = relative_distances(x[part], mu).argmin(axis=1)
        moved = now != nearest[part]
        if not moved.any():
            return None
        change = _one_hot(now[moved], K, x.dtype) - _one_hot(nearest[part][moved], K, x.dtype)
        nearest[part] = now
        return change.T @ x[part][moved], change.sum(axis=0).astype(np.int64)

    with ThreadPoolExecutor(thread_count()) as pool:    # NumPy's products let go of Python's lock
        for _ in range(iterations):
            changes = [change for change in pool.map(assign_part, parts) if change is not None]
            for change_of_sums, change_of_counts in changes:        # in the order of the parts
                sums += change_of_sums
                counts += change_of_counts
            if bar is not None:
                bar.update()
            if not changes:
                break
            _fill_empty(x, mu, nearest, sums, counts)
            mu = (sums / counts[:, None]).astype(x.dtype)
    return mu


def kmeans_plus_plus(x: Array, clusters: int, rng: np.random.Generator) -> Array:
    """Rows of x (N, D) to begin with, far from one another: (clusters, D).

    The first is drawn uniformly, each further one with probability proportional to |x - mu|^2 to
    the nearest so far; of 2 + log(clusters) rows that are drawn, the one stays that leaves the
    least inertia. Source: Arthur and Vassilvitskii 2007, whose own code draws several, too.
    """
    draws = 2 + int(np.log(clusters))
    chosen = [int(rng.integers(len(x)))]
    squares = _squares_to(x, x[chosen])[:, 0]
    for _ in range(1, clusters):
        drawn = rng.choice(len(x), draws, p=squares / squares.sum())
        each = np.minimum(squares[:, None], _squares_to(x, x[drawn]))
        best = int(each.sum(axis=0).argmin())
        chosen.append(int(drawn[best]))
        squares = each[:, best]
        squares[chosen] = 0         # not rounded: no row is chosen twice
    return x[chosen]


def _squares_to(x, mu):
    """|x - mu|^2 (N, K), for few mu."""
    return np.concatenate([((x[part, None] - mu)**2).sum(axis=2, dtype=np.float64)
                           for part in _parts(x, len(mu))])


def _fill_empty(x, mu, nearest, sums, counts):
    """Each cluster without rows takes the row that is farthest from its centroid."""
    for empty in np.flatnonzero(counts == 0):
        squares = ((x - mu[nearest])**2).sum(axis=1)
        squares[counts[nearest] < 2] = -1           # or its own cluster would be empty
        farthest = int(squares.argmax())
        sums[nearest[farthest]] -= x[farthest]
        counts[nearest[farthest]] -= 1
        nearest[farthest], sums[empty], counts[empty] = empty, x[farthest], 1


def _one_hot(which, K, dtype):
    """(N, K): 1 where a row's cluster is, and nothing for cluster -1."""
    return (which[:, None] == np.arange(K)).astype(dtype)


def _parts(x: Array, factor: int = 1) -> Iterator[slice]:
    """Slices of the rows of x that are small enough for the cache."""
    step = max(1, BLOCK // (factor * x.shape[1]))
    for start in range(0, len(x), step):
        yield slice(start, min(start + step, len(x)))


def _check_different_rows(x, clusters):
    """x must have at least `clusters` different rows; looked for in ever larger parts of it."""
    count = clusters
    while True:
        different = len(np.unique(x[:count], axis=0))
        if different >= clusters:
            return
        if count >= len(x):
            raise ValueError(f"clusters must be at most {different}, the number of different rows "
                             f"of x, got {clusters}")
        count *= 4
