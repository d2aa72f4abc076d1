"""Bag of visual words as layers: an image cut into patches, and the patches counted by words."""
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.base import Layer, noted
from lrp_numpy.layers.distances import relative_distances
from lrp_numpy.layers.soft_min import SoftMin
from lrp_numpy.ops import reference
from lrp_numpy.ops.reference import output_size, shifted
from lrp_numpy.rules import divide
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import as_float, check_choice, check_integer

FLAT = 0.1          # a patch with a smaller norm is not enlarged to 1: it is next to empty
MAPPINGS = ("hard", "soft")


@dataclass(frozen=True, eq=False)
class Patches(Layer):
    """Images (N, side^2) -> local features (N, L, P): patches of P = size^2 pixels, normalised.

        c_l = patch_l - mean(patch_l),    a_l = c_l / max(|c_l|, 0.1)

    A patch begins every `step` pixels, row by row. Relevance passes the normalisation unchanged,
    and is added up where patches overlap:

        R_pixel = sum of R over the entries of all patches that are this pixel

    Source: Bach et al. 2015, "On Pixel-Wise Explanations ...", section "Bag of Words".
    """
    side: int           # pixels in a row, and in a column, of an image
    size: int           # of a patch
    step: int
    takes_rule = False

    @property
    def in_shape(self) -> Shape:
        check_integer("side", self.side)
        return (self.side**2,)

    @property
    def grid(self) -> Shape:
        """The rows and columns of patches."""
        return output_size((self.side, self.side), (self.size, self.size), self.step)

    def out_shape(self, shape: Shape) -> Shape:
        for name in ("size", "step"):
            check_integer(name, getattr(self, name))
        if shape != self.in_shape or self.size > self.side:
            raise ValueError(f"side must be the square root of the {math.prod(shape)} pixels, and "
                             f"size at most side, got {self.side} and {self.size}")
        return math.prod(self.grid), self.size**2

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        c, norm = self._centred(a)
        return c / np.maximum(norm, FLAT)

    def _centred(self, a):
        """c (N, L, P), and |c| (N, L, 1)."""
        image = a.reshape(len(a), 1, self.side, self.side)
        patches = np.stack([shifted(image, i, j, (self.size, self.size), self.step)[:, 0]
                            for i, j in np.ndindex(self.size, self.size)], axis=3)
        patches = patches.reshape(len(a), *self.out_shape(a.shape[1:]))
        c = patches - patches.mean(axis=2, keepdims=True)
        return c, np.sqrt((c**2).sum(axis=2, keepdims=True))

    def add_up(self, R: Array) -> Array:
        """What the patches' entries R (N, L, P) add up to, for each pixel: (N, side^2)."""
        image = np.zeros((len(R), 1, self.side, self.side), R.dtype)
        R = R.reshape(len(R), *self.grid, self.size, self.size)
        for i, j in np.ndindex(self.size, self.size):
            shifted(image, i, j, (self.size, self.size), self.step)[:, 0] += R[..., i, j]
        return image.reshape(len(R), self.side**2)

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """The derivative, through the normalisation."""
        c, norm = self._centred(a)
        z = c / np.maximum(norm, FLAT)
        along = np.where(norm > FLAT, (z * dz).sum(axis=2, keepdims=True) * z, 0)
        dc = (dz - along) / np.maximum(norm, FLAT)
        return self.add_up(dc - dc.mean(axis=2, keepdims=True))

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """Added up where patches overlap, whatever `rule` is."""
        return noted(R, self.add_up(R), ledger)


@dataclass(frozen=True, eq=False)
class Histogram(Layer):
    """Local features (N, L, P) -> histograms (N, V): how much of each visual word is in each cell.

        m_d(l): how far feature l is word d; sum_d m_d(l) = 1
            "hard"      1 for the nearest word, else 0
            "soft"      softmax over d of -beta |a_l - word_d|^2
        x_d = sum of m_d(l) over the features l of a cell

    The image is divided into cells x cells cells (1: the whole image); V = cells^2 M for M words.
    Each feature gets its part of the relevance of each word; a word that is nowhere in its cell
    shares its relevance equally among the cell's L_cell features. Of a feature, all P entries get
    the same:

        R_l = sum_d  m_d(l) / x_d  R_d    (d with x_d = 0: R_d / L_cell),    R_lp = R_l / P

    The derivative of "hard" is 0 everywhere. Source: Bach et al. 2015, as above.
    """
    words: Array            # (M, P)
    grid: Shape             # the rows and columns of patches, L = rows x columns
    cells: int = 1
    mapping: str = "hard"
    beta: float = np.inf    # of the soft mapping, in units of 1 / squared distance
    constants = ("words",)
    takes_rule = False

    def out_shape(self, shape: Shape) -> Shape:
        if np.ndim(self.words) != 2 or len(self.words) < 2:
            raise ValueError(f"words must be at least 2 rows, got shape {np.shape(self.words)}")
        if (not isinstance(self.grid, tuple) or len(self.grid) != 2
                or shape != (math.prod(self.grid), self.words.shape[1])):
            raise ValueError("words must have as many columns as a feature has numbers, and grid "
                             f"as many rows times columns as there are features, {shape}, got "
                             f"{np.shape(self.words)} and {self.grid!r}")
        check_integer("cells", self.cells)
        if self.cells > min(self.grid):
            raise ValueError(f"cells must be at most {min(self.grid)}, so that there is a patch in "
                             f"each, got {self.cells}")
        check_choice("mapping", self.mapping, MAPPINGS)
        if not as_float(self.beta) > 0 or self.mapping == "soft" and self.beta == np.inf:
            raise ValueError(f"beta must be a finite number above 0, got {self.beta!r}")
        return (self.cells**2 * len(self.words),)

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return shape[0] * self.words.size

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """x (N, V), cell after cell."""
        m, cell = self.mapped(a), self.cell_of_features()
        x = np.stack([m[:, cell == number].sum(axis=1) for number in range(self.cells**2)], axis=1)
        return x.reshape(len(a), *self.out_shape(a.shape[1:]))

    def mapped(self, a: Array) -> Array:
        """m (N, L, M)."""
        d = relative_distances(a, self.words)
        if self.mapping == "soft":
            return SoftMin(self.beta).shares(d)
        return (d.argmin(axis=2)[..., None] == np.arange(len(self.words))).astype(a.dtype)

    def cell_of_features(self) -> Array:
        """The number of each feature's cell (L,)."""
        rows, columns = (np.arange(count) * self.cells // count for count in self.grid)
        return (rows[:, None] * self.cells + columns).ravel()

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da_l = 2 beta sum_d m_d (g_d - sum_d' m_d' g_d') word_d, g: dz of the feature's cell."""
        if self.mapping == "hard":
            return np.zeros_like(a)
        m, g = self.mapped(a), self._by_feature(dz)
        return 2 * self.beta * (m * (g - (m * g).sum(axis=2, keepdims=True))) @ self.words

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """In proportion to the mapping, whatever `rule` is."""
        x = self.preactivation(a) if z is None else z
        m, features = self.mapped(a), np.bincount(self.cell_of_features())
        R_each = divide(R, x)
        R_absent = np.where(x == 0, R, 0) / np.repeat(features, len(self.words)).astype(R.dtype)
        R_l = (m * self._by_feature(R_each)).sum(axis=2) + self._by_feature(R_absent).sum(axis=2)
        R_inputs = np.repeat(R_l[..., None] / a.shape[2], a.shape[2], axis=2)
        return noted(R, R_inputs, ledger)

    def _by_feature(self, values):
        """Of numbers (N, V), those of each feature's cell: (N, L, M)."""
        of_cells = values.reshape(len(values), self.cells**2, len(self.words))
        return of_cells[:, self.cell_of_features()]
