"""What LRP is compared with: gradients and occlusion, an equation each."""
import numpy as np

from lrp_numpy.network import Network
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import as_indices
from lrp_numpy.utils.types import Seed, Target
from lrp_numpy.utils.validation import as_float, check_inputs, check_integer


@door
def gradient(net: Network, x: np.ndarray, target: Target = None) -> np.ndarray:
    """dz_c / dx (N, D): by how much the logit z_c changes for each unit of an input.

    x (N, D); target: the class c, as in `explain`. Raises ValueError for x or a target that does
    not fit. Source: Simonyan et al. 2014, "Deep Inside Convolutional Networks", who draw its size.
    """
    return _gradient(net, x, _classes(net, x, target))


@door
def gradient_times_input(net: Network, x: np.ndarray, target: Target = None) -> np.ndarray:
    """x dz_c / dx (N, D), in units of the logit.

    For ReLU networks it is LRP-0. Arguments and errors as in `gradient`. Source: Shrikumar et al.
    2016, "Not Just a Black Box: Learning Important Features Through Propagating Activation
    Differences".
    """
    return x * gradient(net, x, target)


@door
def integrated_gradients(net: Network, x: np.ndarray, target: Target = None, baseline: float = 0.0,
                         samples: int = 50) -> np.ndarray:
    """The gradient's mean on the way from the baseline x0 to x, times that way (N, D).

        R = (x - x0)  mean over t of  dz_c / dx (x0 + t (x - x0)),    t = (m + 1/2) / samples

    In units of the logit: R sums to z_c(x) - z_c(x0), the better, the more samples. baseline: the
    number x0 of all inputs; the rest as in `gradient`. Raises ValueError for a baseline that is not
    finite. Source: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks".
    """
    check_integer("samples", samples)
    classes = _classes(net, x, target)
    way, total = x - _finite("baseline", baseline, x), np.zeros_like(x)
    for m in range(samples):
        total += _gradient(net, x - way * x.dtype.type(1 - (m + 0.5) / samples), classes)
    return way * total / samples


@door
def smooth_grad(net: Network, x: np.ndarray, target: Target = None, noise: float = 0.15,
                samples: int = 25, rng: Seed = 0) -> np.ndarray:
    """The gradient's mean over noisy copies of x (N, D).

        mean over the samples of  dz_c / dx (x + noise n),    n normal with standard deviation 1

    The class is that of x without noise. noise >= 0, in the units of x; rng: a seed or a
    numpy.random.Generator; the rest as in `gradient`. Raises ValueError for other noise. Source:
    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise".
    """
    check_integer("samples", samples)
    if not 0 <= as_float(noise) < np.inf:
        raise ValueError(f"noise must be a finite number of at least 0, got {noise!r}")
    rng, classes, total = np.random.default_rng(rng), _classes(net, x, target), np.zeros_like(x)
    for _ in range(samples):
        total += _gradient(net, x + (noise * rng.normal(size=x.shape)).astype(x.dtype), classes)
    return total / samples


@door
def occlusion(net: Network, x: np.ndarray, target: Target = None,
              fill: float = 0.0) -> np.ndarray:
    """What each input is worth: the logit less the logit without it (N, D), in units of the logit.

        R_i = z_c(x) - z_c(x with x_i = fill)

    One forward pass for each input. fill: a number; the rest as in `gradient`. Raises ValueError
    for a fill that is not finite. Source: Zeiler and Fergus 2014, "Visualizing and Understanding
    Convolutional Networks", with larger patches.
    """
    classes, fill = _classes(net, x, target), _finite("fill", fill, x)
    logits, R = net.forward(x), np.zeros_like(x)
    for i in range(x.shape[1]):
        rows = np.flatnonzero(x[:, i] != fill)
        without = x[rows]
        without[:, i] = fill
        R[rows, i] = logits[rows, classes[rows]] - net.forward(without)[np.arange(len(rows)),
                                                                        classes[rows]]
    return R


def _classes(net, x, target):
    """The explained class of each image, as the index of its logit."""
    check_inputs(x, net.sizes[0])
    given = as_indices(target, len(x), net.sizes[-1], net.classes)
    return net.forward(x).argmax(axis=1) if given is None else np.full(len(x), given)


def _gradient(net, x, classes):
    a, z = net.forward_pass(x)
    da = (classes[:, None] == np.arange(net.sizes[-1])).astype(a[-1].dtype)
    for layer, below, z_l, above in reversed(list(zip(net.layers, a, z, a[1:]))):
        da = layer.backward(below, layer.delta(z_l, above, da))
    return da


def _finite(name, value, x):
    """The number, in x's type."""
    if not abs(as_float(value)) < np.inf:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return x.dtype.type(value)
