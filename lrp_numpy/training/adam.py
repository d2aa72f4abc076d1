"""Adam: one object with its parameters, its moments and its step count."""
import numpy as np

from lrp_numpy.network import Network
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.validation import as_float

State = list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class Adam:
    """Adam for the weights of one network, which it changes in place.

        m <- beta1 m + (1 - beta1) g            running mean of the gradient g
        v <- beta2 v + (1 - beta2) g^2          and of its square
        m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)
        w <- w - learning_rate m^ / (sqrt(v^) + epsilon)

    `state` holds (w, m, v) for each array that training changes, in a list for each layer; `t`
    counts the steps. The equations are in ops/reference.py; both engines take the numbers from
    here. Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """

    def __init__(self, net: Network, learning_rate: float = 1e-3, beta1: float = 0.9,
                 beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        """Raises ValueError for numbers outside their range: learning_rate and epsilon above 0, the
        betas in [0, 1)."""
        for name, value, top in (("learning_rate", learning_rate, np.inf), ("beta1", beta1, 1),
                                 ("beta2", beta2, 1), ("epsilon", epsilon, np.inf)):
            is_beta = top == 1
            if not (0 <= as_float(value) < top and (is_beta or value > 0)):
                raise ValueError(f"{name} must be a " + (
                    "number of at least 0 and below 1" if is_beta else "finite number above 0")
                    + f", got {value!r}")
        self.learning_rate, self.epsilon = float(learning_rate), float(epsilon)
        self.beta1, self.beta2, self.t = float(beta1), float(beta2), 0
        self.state = init_state(net)

    @property
    def numbers(self) -> tuple:
        """The arguments of ops.adam_step after (w, gradient, m, v)."""
        return self.t, self.learning_rate, self.beta1, self.beta2, self.epsilon


@door
def init_state(net: Network) -> State:
    """[[(w, m, v), ...], ...]: the trained arrays of each layer, with moments of 0."""
    arrays = [[getattr(layer, name) for name in layer.parameters] for layer in net.layers]
    return [[(w, np.zeros_like(w), np.zeros_like(w)) for w in of_layer] for of_layer in arrays]
