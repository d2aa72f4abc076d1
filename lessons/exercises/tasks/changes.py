"""What the tasks are made of: small arrays, and functions with one argument changed."""
import numpy as np


def array(*rows):
    return np.array(rows, np.float64)


def normal(seed, *shapes):
    """Random arrays, one for each shape."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def turned(function, *places):
    """The function with the arguments at these places transposed."""
    return lambda *values: function(*(x.T if i in places else x for i, x in enumerate(values)))


def without(function, place):
    """The function with the argument at this place set to 0."""
    return lambda *values: function(*(0 * x if i == place else x for i, x in enumerate(values)))


def with_ones(function, place):
    """The function with ones in the place of this argument."""
    return lambda *values: function(*(np.ones_like(x) if i == place else x
                                      for i, x in enumerate(values)))
