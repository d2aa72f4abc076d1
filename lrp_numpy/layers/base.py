"""What networks, training and `explain` need from a layer.

Notation: `a` enters a layer, `z` is its pre-activation, `f(z)` leaves it. `dz` is the derivative of
the loss with respect to z, and likewise `da`, `dW`, `db`. Rows of numbers are (N, D), images
(N, C, H, W): N images of C channels, H rows, W columns. ops: the engine, `ops.reference` for the
equations in NumPy, or `ops.kernels` for the same equations as loops.
"""
import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from threading import get_ident
from types import ModuleType
from typing import Any, Callable, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import DTypeLike

from lrp_numpy.layers.activations import ACTIVATIONS, at_zero
from lrp_numpy.ops import reference
from lrp_numpy.rules import LedgerRow, divide, lost, root_mean_square, stabilize, total
from lrp_numpy.utils.types import Array, Rule, Seed, Shape


class Layer:
    """What every layer does; a layer of your own is a subclass.

    Make it a dataclass (@dataclass(frozen=True, eq=False), like all layers) with the fields W and
    b, and override:

        out_shape(shape)                the shape of one output, given that of one input; ValueError
                                        if the layer cannot take such an input
        linear(a, W, b, ops)            z for inputs a, linear in a, with these weights W and bias b
        transpose(s, W, shape, ops)     for every input, the sum of s times weight over the outputs
                                        that it leads to; shape: that of a
        gradients(a, dz, ops)           the derivatives of the loss for each of `parameters`

    That is enough to train the layer and explain it with every rule. A layer that is not linear,
    such as MaxPool2D, overrides `preactivation`, `backward` and `relevance` instead.
    """
    W: Any      # both only in layers with weights; their shape depends on the layer
    b: Any
    __dataclass_fields__: ClassVar[dict[str, Any]]
    parameters: tuple[str, ...] = ()    # the arrays that training changes, such as ("W", "b")
    constants: tuple[str, ...] = ()     # the arrays that it does not change, such as ("centroids",)
    options: tuple[str, ...] = ()       # the fields that `explain` can set, such as ("beta",)
    activation: str = "identity"        # a name in ACTIVATIONS
    takes_rule = True                   # whether `explain` chooses its rule
    is_dense = False                    # whether linear is exactly a @ W + b, which has a loop
    in_shape: Shape | None = None       # of one input; the first layer of a network must know it
    loops, is_checked = None, False     # see rules.propagate
    kept: dict | None = None            # see `keeping`
    trains = False                      # whether it computes as in training: see `keeping`

    def __init_subclass__(cls, **how: Any) -> None:
        """Before a dataclass makes one of its own, which would print every weight."""
        super().__init_subclass__(**how)
        cls.__repr__ = vars(cls).get("__repr__", Layer.__repr__)   # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Its fields, with type and shape in place of an array's numbers."""
        values = {name: getattr(self, name) for name in getattr(self, "__dataclass_fields__", ())}
        return f"{type(self).__name__}(" + ", ".join(
            f"{name}={value.dtype} {value.shape}" if isinstance(value, np.ndarray) else
            f"{name}={value!r}" for name, value in values.items()) + ")"

    def out_shape(self, shape: Shape) -> Shape:
        raise NotImplementedError(f"{type(self).__name__} needs out_shape(shape)")

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray,
               ops: ModuleType = reference) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} needs linear(a, W, b, ops)")

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape,
                  ops: ModuleType = reference) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} needs transpose(s, W, shape, ops)")

    def gradients(self, a: np.ndarray, dz: np.ndarray,
                  ops: ModuleType = reference) -> tuple[np.ndarray, ...]:
        """The derivatives of the loss with respect to each of `parameters`."""
        return ()

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        """The multiplications for one image, from the shape of its input to that of its output:
        D K of a Dense layer; of a convolution, the weights times the positions of the kernel."""
        return self.W.size * math.prod(out_shape[1:]) if self.parameters else 0

    @property
    def activations(self) -> set[str]:
        """The names of its activation functions: several if it holds other layers."""
        return {self.activation}

    def inside(self) -> list[tuple[str, "Layer"]]:
        """The layers that it holds, by their paths; most hold none."""
        return []

    # What one pass keeps

    def keeping(self, trains: bool = False) -> "Layer":
        """A twin with the same arrays, for one pass forward and back: what its forward pass
        computes is there for what follows. trains: it computes as in training."""
        twin = copy(self)
        twin.__dict__.update(kept={}, trains=trains)
        return twin

    def once(self, name: str, array: Array, compute: Callable[[Array], Any]) -> Any:
        """compute(array); a twin made by `keeping` keeps it until it gets another array."""
        if self.kept is None:
            return compute(array)
        key = name, get_ident()     # another thread has a batch of its own
        held = self.kept.get(key)
        if held is None or held[0] is not array:
            held = self.kept[key] = array, compute(array)
        return held[1]

    # Forward

    def preactivation(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        """z, before the activation."""
        return self.linear(a, self.W, self.b, ops)

    def activate(self, z: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        """f(z), element by element."""
        if self.activation in ("relu", "gelu"):     # which have loops
            return getattr(ops, self.activation)(z)
        return ACTIVATIONS[self.activation].f(z)

    def forward(self, a: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        """f(z)."""
        return self.activate(self.preactivation(a, ops), ops)

    # Backward

    def delta(self, z: np.ndarray, a_next: np.ndarray, da_next: np.ndarray,
              ops: ModuleType = reference) -> np.ndarray:
        """dz = da_next * f'(z), where a_next = f(z)."""
        if self.activation == "identity":
            return da_next
        if self.activation == "relu":
            return ops.relu_backward(z, da_next)
        if self.activation == "gelu":
            return ops.gelu_backward(z, a_next, da_next)
        return da_next * ACTIVATIONS[self.activation].derivative(z, a_next)

    def backward(self, a: np.ndarray, dz: np.ndarray, ops: ModuleType = reference) -> np.ndarray:
        """da: the derivative of the loss with respect to what entered the layer."""
        return self.transpose(dz, self.W, a.shape, ops)

    def adam_step(self, a: np.ndarray, dz: np.ndarray, state: Sequence[tuple], adam: tuple,
                  ops: ModuleType = reference) -> None:
        """`gradients`, then Adam for each: state is (w, m, v) for each of `parameters`, changed in
        place; adam: the numbers that ops.adam_step takes."""
        for gradient, (w, m, v) in zip(self.gradients(a, dz, ops), state, strict=True):
            ops.adam_step(w, gradient, m, v, *adam)

    # Relevance

    def relevance(self, rule: Any, a: np.ndarray, z: np.ndarray | None, R: np.ndarray,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: np.ndarray | None = None) -> np.ndarray:
        """The relevance R of the layer's outputs, redistributed to its inputs.

        This version uses `rule`, with z = linear(a, W, b). a, z: from the forward pass (a z of None
        is computed); R has the shape of z, and the result that of a. At least one row is appended
        to `ledger`. out: an array that may be filled with the result and returned. A layer with
        another method overrides relevance(rule, a, z, R, **how).
        """
        linear_part = LinearPart(self, ops, a, z, [] if out is None else [out])
        return rule(a, self.W, self.b, R, layer=linear_part, ledger=ledger)

    def by_backward(self, a: np.ndarray, R: np.ndarray, ops: ModuleType,
                    ledger: list | None) -> np.ndarray:
        """`relevance` of a layer that only moves numbers: R takes the path of the gradient."""
        return noted(R, self.backward(a, R, ops), ledger)

    def fold_into_bias(self, shift: float | np.ndarray) -> tuple["Layer", float | np.ndarray]:
        """(the layer that maps a - shift to what this one maps a to, the shift of its output).

        Raises ValueError if there is no such layer.
        """
        if shift != 0:
            raise ValueError(f"{type(self).__name__} has no bias that could collect f(0) of the "
                             "layer before it")
        return self, at_zero(self.activation)


def with_inner(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, and those that they hold."""
    for layer in layers:
        yield layer
        yield from with_inner(one for _, one in layer.inside())


class LinearPart(NamedTuple):
    """The linear part of a layer, as rules.propagate needs it, for one batch of images.

    It keeps a and z of the forward pass, so that z is not computed twice.
    """
    layer: Layer
    ops: ModuleType
    a: np.ndarray
    z: np.ndarray | None
    room: list[np.ndarray] = []     # an array for the first result; a second one gets its own
    tokens: int = 1                 # rows of a, for each image

    @property
    def loops(self) -> Callable | None:
        return self.ops.loops

    @property
    def is_checked(self) -> bool:
        return True

    @property
    def is_dense(self) -> bool:
        return self.layer.is_dense and self.tokens == 1

    def known(self, a: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray | None:
        """z, if these are the same array objects as in the forward pass, else None."""
        is_own = a is self.a and W is self.layer.W and b is self.layer.b
        return self.z if is_own else None

    def linear(self, a: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        z = self.known(a, W, b)
        return self.layer.linear(a, W, b, self.products) if z is None else z

    def transpose(self, s: np.ndarray, W: np.ndarray, shape: Shape) -> np.ndarray:
        return self.layer.transpose(s, W, shape, self.products)

    @property
    def products(self) -> ModuleType:
        """The engine of matrix products: tokens have no zeros that the loops could skip."""
        return self.ops if self.tokens == 1 else reference

    def empty(self, shape: Shape, dtype: np.dtype) -> np.ndarray:
        """An array for a result: `room` for the first that fits, else a new one."""
        fits = self.room and self.room[0].shape == shape and self.room[0].dtype == dtype
        return self.room.pop() if fits else np.empty(shape, dtype)


def noted(R: np.ndarray, R_inputs: np.ndarray, ledger: list | None, bias: np.ndarray | None = None,
          dropped: np.ndarray | None = None) -> np.ndarray:
    """`R_inputs`, after a row in `ledger` for a layer without a stabilizer; None: no such part."""
    if ledger is not None:
        nothing = np.zeros(len(R))
        ledger.append(LedgerRow(total(R), total(R_inputs), nothing if bias is None else bias,
                                nothing, nothing if dropped is None else dropped))
    return R_inputs


def whole_row(R_inputs: Array, rows: Sequence[LedgerRow]) -> LedgerRow:
    """The row of several steps, one after another: the first received what came in, R_inputs goes
    out, and what their `rows` lost on the way adds up."""
    of_steps: list[Any] = [sum(parts) for parts in zip(*rows)][2:]      # bias, epsilon, dropped
    return LedgerRow(rows[0].received, total(R_inputs), *of_steps)


def step_row(N: int, **parts: Array) -> LedgerRow:
    """The row of a step within a layer, for `whole_row`: 0 where nothing is named."""
    return LedgerRow(**{name: parts.get(name, np.zeros(N)) for name in LedgerRow._fields})


def per_unit(z: Array, R: Array, epsilon: float | Array, rows: list[LedgerRow],
             ops: ModuleType = reference) -> Array:
    """s = R / (z + epsilon sign(z)), and a row of what was received, and lost: to the stabilizer,
    or where the denominator is 0."""
    if ops.loops is not None:
        s, row = ops.divide(R, z, np.zeros(1, z.dtype), epsilon)
        rows.append(LedgerRow(*row.T))
        return s
    s = divide(R, stabilize(z, epsilon))
    absorbed, dropped = lost(z, s, R, epsilon)
    rows.append(step_row(len(R), received=total(R), epsilon=absorbed, dropped=dropped))
    return s


def epsilon_of(rule: Rule | None, z: Array) -> float | Array:
    """The stabilizer of a sum z whose terms have no weights that `rule` could change: the rule's
    epsilon, times sqrt(mean z^2) if it is relative; 0 for a rule without one, and for none."""
    named = _parameters(rule) if callable(rule) else {}
    size = root_mean_square(z) if "relative" in named and named["relative"].default else 1
    return float(named["epsilon"].default) * size if "epsilon" in named else 0.0


_signatures: Any = WeakKeyDictionary()      # of rules, as long as they live: inspect is slow


def _parameters(rule: Any) -> Mapping[str, inspect.Parameter]:
    """Those of its signature."""
    found = _signatures.get(rule)
    if found is None:
        found = _signatures[rule] = inspect.signature(rule).parameters
    return found


def uniform(shape_W: Shape, shape_b: Shape, D: int, rng: Seed,
            dtype: DTypeLike) -> list[np.ndarray]:
    """W and b uniform in [-1/sqrt(D), 1/sqrt(D)], D inputs to an output, as torch initializes its
    Linear and Conv2d layers."""
    rng, bound = np.random.default_rng(rng), 1 / np.sqrt(D)
    return [rng.uniform(-bound, bound, shape).astype(dtype) for shape in (shape_W, shape_b)]
