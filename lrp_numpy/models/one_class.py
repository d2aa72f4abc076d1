"""A one-class model: how unlike the examples is x? A kernel density as a network."""
import numpy as np

from lrp_numpy.layers import SoftMin, SquaredDistances
from lrp_numpy.layers.distances import squared_distances
from lrp_numpy.network import Network, load_layers
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Array, FilePath, Seed
from lrp_numpy.utils.validation import as_float, check_inputs, native

SAMPLE = 500        # rows by which the bandwidth is chosen
STEPS = 50          # of its search, which ends as soon as gamma changes by less than 0.1 %


class OneClass(Network):
    """Outlierness: the one logit of a kernel density with a Gaussian kernel.

        o(x) = -1/gamma log sum_j alpha_j exp(-gamma |x - u_j|^2) = softmin_j h_j,
        h_j = |x - u_j|^2 - log(alpha_j) / gamma

    (layers.SquaredDistances, layers.SoftMin.) It is in units of the squared distance: about the
    squared distance to the nearest example u_j, the more exactly the larger gamma is, plus what the
    weight of that example costs, log(J) / gamma for J equal ones. `explain(kd, x)` shares it out:

        R_j = p_j o(x),    R_i = sum_j  (x_i - u_ji)^2 / h_j  R_j

    so a pixel is relevant if it is unlike the nearest examples, whether too light or too dark. The
    weights' part is the ledger's `bias`. Source: Kauffmann et al. 2020, "Towards explaining
    anomalies: A deep Taylor decomposition of one-class models".
    """

    def __init__(self, points: Array, gamma: float, alpha: Array | None = None,
                 classes: object = None) -> None:
        """points u (J, D); alpha (J,): weights above 0; None: 1 / J each. gamma > 0, in units of
        1 / squared distance. Raises ValueError for others."""
        check_inputs(points, np.shape(points)[-1] if np.ndim(points) else "D", "points")
        if len(points) == 0:
            raise ValueError("points must have at least one row, got none")
        if not 0 < as_float(gamma) < np.inf:
            raise ValueError(f"gamma must be a finite number above 0, got {gamma!r}")
        J = len(points)
        alpha = np.full(J, 1 / J) if alpha is None else np.asarray(alpha)
        if alpha.shape != (J,) or alpha.dtype.kind not in "iuf" or not (
                np.isfinite(alpha) & (alpha > 0)).all():
            raise ValueError(f"alpha must be {J} finite numbers above 0, one for each point, got "
                             f"{alpha!r}")
        bias = (-np.log(alpha.astype(np.float64)) / gamma).astype(points.dtype)
        super().__init__([SquaredDistances(points, bias), SoftMin(float(gamma))], classes)

    @property
    def points(self) -> Array:
        """u (J, D)."""
        return self.layers[0].points            # type: ignore[attr-defined]

    @property
    def gamma(self) -> float:
        """The kernel's gamma: 1 / (2 bandwidth^2)."""
        return self.layers[1].beta              # type: ignore[attr-defined]

    @classmethod
    @door
    def fit(cls, x: Array, gamma: float | None = None, rng: Seed = 0) -> "OneClass":
        """The rows of x (N, D) as examples of equal weight.

        gamma: None chooses it by `likely_gamma`, of at most 500 rows drawn with `rng` (a seed or a
        numpy.random.Generator). Raises ValueError for x that is not finite, has fewer than two
        rows or, if gamma is None, only equal ones.
        """
        check_inputs(x, np.shape(x)[-1])
        if len(x) < 2:
            raise ValueError(f"x must have at least two rows, got {len(x)}")
        return cls(x, likely_gamma(x, rng) if gamma is None else gamma)

    def outlierness(self, x: Array) -> Array:
        """o(x) (N,) for rows x (N, D)."""
        return self.forward(x)[:, 0]

    @staticmethod
    def load(path: FilePath) -> "OneClass":
        """The model that `save` wrote. Raises ValueError, naming the file, for anything else."""
        net = load_layers(path, "OneClass", [SquaredDistances, SoftMin])
        distances, soft_min = net.layers
        model = OneClass(distances.points, soft_min.beta, classes=net.classes)  # type: ignore
        model.layers = net.layers       # with the weights as they were saved
        return model


def likely_gamma(x: Array, rng: Seed = 0) -> float:
    """The gamma that makes a row of x (N, D) most likely under the density of all other rows.

        log density of x_i = log sum_{j != i} exp(-gamma d_ij) + D/2 log(gamma) + ...,
        d_ij = |x_i - x_j|^2

    Where the derivative of its mean over i is 0, gamma = D / (2 mean_i sum_j p_ij d_ij), with
    p_ij = softmax_j(-gamma d_ij); starting from the nearest neighbours' distances, this is repeated
    until it holds. Equal rows (d_ij = 0) are left out, or gamma would be infinite.
    Source: leave-one-out likelihood, Duin 1976, "On the Choice of Smoothing Parameters for Parzen
    Estimators of Probability Density Functions".
    """
    x = native(x).astype(np.float64)
    some = np.random.default_rng(rng).permutation(len(x))[:SAMPLE]
    centred = x - x.mean(axis=0)
    d = squared_distances(centred[some], centred)
    d[d <= 1e-12 * (centred**2).sum(axis=1).max()] = np.inf     # the row itself, and its equals
    d = d[np.isfinite(d).any(axis=1)]
    if len(d) == 0:
        raise ValueError("x must have rows that differ from one another, got equal ones")
    nearest = d.min(axis=1, keepdims=True)
    gamma, above = x.shape[1] / (2 * nearest.mean()), d - nearest
    for _ in range(STEPS):
        p = np.exp(-gamma * above)
        mean = (p * np.where(np.isfinite(d), d, 0)).sum(axis=1) / p.sum(axis=1)
        before, gamma = gamma, x.shape[1] / (2 * mean.mean())
        if abs(gamma - before) < 1e-3 * gamma:
            break
    return float(gamma)
