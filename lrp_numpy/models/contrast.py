"""Why this class and not that one: a network whose one output is the difference of two logits."""
from dataclasses import replace

import numpy as np

from lrp_numpy.layers import Dense
from lrp_numpy.network import Network, of_layers
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.labels import label_indices


@door
def contrast(net: Network, this: int | str, other: int | str) -> Network:
    """The network with the one output z_this - z_other; explain it to ask "why this, not that?"

        W' = W_this - W_other,    b' = b_this - b_other       (the columns of the last layer)

    The relevance of the difference is not the difference of two relevances: LRP-gamma weighs
    w_this - w_other by its own sign, and epsilon is added once. Under LRP-0 both are the same.
    this, other: two classes of `net`, whose last layer must be Dense without an activation. Returns
    a new network, which predicts `this` where the difference is positive, else `other`. Raises
    ValueError for any other layer or class.
    """
    last = net.layers[-1]
    if type(last) is not Dense or last.activation != "identity":
        raise ValueError("net must end in a Dense layer whose outputs are the logits, got "
                         f"{type(last).__name__} with activation {last.activation!r}")
    (t,), (o,) = (label_indices(np.array([label]), 1, net.sizes[-1], net.classes, name)
                  for name, label in (("this", this), ("other", other)))
    if t == o:
        raise ValueError(f"this and other must be two classes, got {this!r} twice")
    W, b = (array[..., [t]] - array[..., [o]] for array in (last.W, last.b))
    return of_layers([*net.layers[:-1], replace(last, W=W, b=b)], [other, this])
