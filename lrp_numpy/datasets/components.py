"""Connected components of a mask: the pieces of ink in a picture."""
from typing import NamedTuple

import numpy as np


class Component(NamedTuple):
    """A connected piece: its box, rows top to bottom - 1, columns left to right - 1, and mass."""
    number: int
    top: int
    bottom: int
    left: int
    right: int
    mass: float

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def size(self) -> int:
        """The longer side of the box, in pixels."""
        return max(self.height, self.right - self.left)

    def gap(self, other: "Component") -> int:
        """The pixels between the two boxes, in the direction where they are further apart."""
        return max(self.top - other.bottom, other.top - self.bottom,
                   self.left - other.right, other.left - self.right, 0)


class Runs(NamedTuple):
    """The horizontal runs of True in a mask: run i is mask[row[i], start[i]:end[i]]."""
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray


def runs_of(mask: np.ndarray) -> Runs:
    """The runs of a mask (H, W), row by row from the left."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    return Runs(row, start, np.nonzero(edges == -1)[1])


def label_runs(runs: Runs, width: int) -> np.ndarray:
    """The component number of each run, from 0; runs touch also across a corner.

    Each run starts as a component of its own. Until nothing changes, two runs that touch take the
    smaller of their numbers, and every number that of the run which it names.
    """
    above, below = _touching(runs, width)
    number = np.arange(len(runs.row))
    while True:
        smaller = np.minimum(number[above], number[below])
        changed = number.copy()
        for side in (above, below):
            np.minimum.at(changed, number[side], smaller)
            np.minimum.at(changed, side, smaller)
        changed = changed[changed]
        if (changed == number).all():
            return np.unique(number, return_inverse=True)[1].reshape(number.shape)
        number = changed


def _touching(runs, width):
    """Pairs (above, below) of runs in neighbouring rows that touch."""
    stride = width + 2
    first = np.searchsorted(runs.row * stride + runs.end, (runs.row - 1) * stride + runs.start)
    last = np.searchsorted(runs.row * stride + runs.start, (runs.row - 1) * stride + runs.end,
                           side="right")
    counts = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(runs.row)), counts)
    within = np.arange(len(below)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + within, below


def components(mask: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, list[Component]]:
    """(numbers (H, W), from 1, 0 outside of mask; a Component each, the heaviest first).

    The mass of a component is the sum of `weight` (H, W) on it.
    """
    runs = runs_of(mask)
    label = label_runs(runs, mask.shape[1])
    count = int(label.max(initial=-1)) + 1
    numbers = np.zeros(mask.shape, np.int32)
    numbers[mask] = np.repeat(label + 1, runs.end - runs.start)
    mass = np.bincount(numbers[mask], weight[mask], count + 1)
    low, high = np.full((2, count), max(mask.shape)), np.zeros((2, count), int)
    for axis, (first, last) in enumerate(((runs.row, runs.row + 1), (runs.start, runs.end))):
        np.minimum.at(low[axis], label, first)
        np.maximum.at(high[axis], label, last)
    found = [Component(i + 1, int(low[0, i]), int(high[0, i]), int(low[1, i]), int(high[1, i]),
                       float(mass[i + 1])) for i in range(count)]
    return numbers, sorted(found, key=lambda component: -component.mass)
