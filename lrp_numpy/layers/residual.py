"""Residual connections: what enters goes around some layers, and is added to what they make."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from lrp_numpy.layers.activations import check_activation
from lrp_numpy.layers.base import Layer, epsilon_of, per_unit, whole_row
from lrp_numpy.ops import reference
from lrp_numpy.rules import LedgerRow
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import as_list

Way = list[tuple[Layer, Array, Array, Array]]       # layer, a, z, f(z): one after another


@dataclass(frozen=True, eq=False, init=False)
class Residual(Layer):
    """a -> f(z) with z = G(a) + F(a): F are `layers`, one after another, G is `shortcut`.

    G is a itself if there are no layers in it; a Conv2D or Dense in it brings a to the shape of
    F(a). Either may hold Residuals. Relevance is shared in proportion, by the epsilon rule on the
    sum; each part then goes down through its layers, all by the rule that this one is given:

        R_F = F R / (z + epsilon sign(z)),    R_G = G R / (z + epsilon sign(z))

    epsilon: that of the rule, 0 if it has none. One ledger row tells of all its layers. An array of
    a layer within is an attribute by its path: "layers.0.W", "shortcut.1.b".
    Source: He et al. 2016, "Deep Residual Learning".
    """
    layers: tuple
    shortcut: tuple = ()
    activation: str = "identity"        # a name in ACTIVATIONS
    PARTS = ("layers", "shortcut")

    def __init__(self, layers: Sequence[Layer], shortcut: Sequence[Layer] = (),
                 activation: str = "identity", **changes: Any) -> None:
        """changes: arrays by their paths, and options, that replace those of layers within."""
        for part, value in zip(self.PARTS, (layers, shortcut)):
            inside = as_list(part, value)
            for layer in inside:
                if not isinstance(layer, Layer):
                    raise ValueError(f"{part} must hold layers, got {layer!r}")
            own = [{name.split(".", 2)[2]: changes.pop(name) for name in list(changes)
                    if name.startswith(f"{part}.{number}.")} for number in range(len(inside))]
            self.__dict__[part] = tuple(
                replace(layer, **of_layer, **{name: changes[name] for name in layer.options
                                              if name in changes})
                for layer, of_layer in zip(inside, own))
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        unknown = changes.keys() - set(self.options)
        if unknown:
            raise TypeError(f"Residual has no {', '.join(sorted(unknown))}")
        self.__dict__["activation"] = activation

    def __getattr__(self, name: str) -> Any:
        """An array within by its path; an option, None if not all layers have the same."""
        part, *rest = name.split(".", 2)
        if part in self.PARTS and len(rest) == 2 and part in self.__dict__:
            return getattr(self.__dict__[part][int(rest[0])], rest[1])
        if "layers" in self.__dict__ and name in self.options:
            values = [getattr(layer, name) for _, layer in self.inside() if name in layer.options]
            return values[0] if all(one == values[0] for one in values) else None
        raise AttributeError(f"Residual has no {name!r}")

    def inside(self) -> list[tuple[str, Layer]]:
        return [(f"{part}.{number}", layer) for part in self.PARTS
                for number, layer in enumerate(getattr(self, part))]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(f"{path}.{name}" for path, layer in self.inside() for name in layer.parameters)

    @property
    def constants(self) -> tuple[str, ...]:
        return tuple(f"{path}.{name}" for path, layer in self.inside() for name in layer.constants)

    @property
    def options(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, layer in self.inside() for name in layer.options))

    @property
    def activations(self) -> set[str]:
        return {self.activation}.union(*(layer.activations for _, layer in self.inside()))

    @property
    def in_shape(self) -> Shape | None:
        return self.layers[0].in_shape

    def shapes(self, part: str, shape: Shape) -> list[Shape]:
        """The shapes on the way through `layers` or `shortcut`, from `shape` on."""
        shapes = [shape]
        for number, layer in enumerate(getattr(self, part)):
            try:
                shapes.append(layer.out_shape(shapes[-1]))
            except ValueError as error:
                raise ValueError(f"{part}[{number}]: {error}") from error
        return shapes

    def out_shape(self, shape: Shape) -> Shape:
        check_activation(self.activation)
        of_F, of_G = (self.shapes(part, shape)[-1] for part in self.PARTS)
        if of_F != of_G:
            raise ValueError(f"layers must give the shape that shortcut gives, {of_G}, got {of_F}")
        return of_F

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return sum(layer.multiplications(*ends) for part in self.PARTS for layer, *ends in zip(
            getattr(self, part), self.shapes(part, shape), self.shapes(part, shape)[1:]))

    def keeping(self, trains: bool = False) -> "Residual":
        twin = super().keeping(trains)
        for part in self.PARTS:
            twin.__dict__[part] = tuple(layer.keeping(trains) for layer in getattr(self, part))
        return twin     # type: ignore[return-value]

    def ways(self, a: Array, ops: ModuleType) -> tuple[Way, Way]:
        """The forward pass through `layers` and through `shortcut`."""
        return self.once("ways", a, lambda a: (along(self.layers, a, ops),
                                               along(self.shortcut, a, ops)))

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        F, G = (end(way, a) for way in self.ways(a, ops))
        return F + G

    def deltas(self, a: Array, dz: Array, ops: ModuleType) -> list[tuple[Array, list[Array]]]:
        """For `layers` and `shortcut`: da, and the dz of each of their layers."""
        return self.once("deltas", dz, lambda dz: [back(way, dz, ops) for way in self.ways(a, ops)])

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """da = what comes back through F and through G."""
        (da_F, _), (da_G, _) = self.deltas(a, dz, ops)
        return da_F + da_G

    def gradients(self, a: Array, dz: Array, ops: ModuleType = reference) -> tuple[Array, ...]:
        return tuple(gradient for way, (_, deltas) in zip(
            self.ways(a, ops), self.deltas(a, dz, ops)) for (layer, a_l, _, _), dz_l in zip(
            way, deltas) for gradient in layer.gradients(a_l, dz_l, ops))

    def adam_step(self, a: Array, dz: Array, state: Sequence[tuple], adam: tuple,
                  ops: ModuleType = reference) -> None:
        """Each layer within takes its own step, after all derivatives have come back."""
        ways, deltas, first = self.ways(a, ops), self.deltas(a, dz, ops), 0
        for way, (_, of_way) in zip(ways, deltas):
            for (layer, a_l, _, _), dz_l in zip(way, of_way):
                after = first + len(layer.parameters)
                layer.adam_step(a_l, dz_l, state[first:after], adam, ops)
                first = after

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """In proportion to F and G; then each by `rule`."""
        ways, rows = self.ways(a, ops), list[LedgerRow]()
        F, G = (end(way, a) for way in ways)
        z = F + G if z is None else z
        epsilon = epsilon_of(rule, z)
        s = per_unit(z, R, epsilon, rows, ops)
        R_inputs = (down(ways[0], rule, F * s, ops, rows)
                    + down(ways[1], rule, G * s, ops, rows))
        if ledger is not None:
            ledger.append(whole_row(R_inputs, rows))
        return R_inputs


def along(layers: Sequence[Layer], a: Array, ops: ModuleType) -> Way:
    """The forward pass through layers."""
    way: Way = []
    for layer in layers:
        z = layer.preactivation(a, ops)
        way.append((layer, a, z, layer.activate(z, ops)))
        a = way[-1][3]
    return way


def end(way: Way, a: Array) -> Array:
    """What comes out at the end; a if there are no layers."""
    return way[-1][3] if way else a


def back(way: Way, da: Array, ops: ModuleType) -> tuple[Array, list[Array]]:
    """(da of what enters, the dz of each layer)."""
    deltas = []
    for layer, a, z, a_next in reversed(way):
        deltas.append(layer.delta(z, a_next, da, ops))
        da = layer.backward(a, deltas[-1], ops)
    return da, deltas[::-1]


def down(way: Way, rule: Any, R: Array, ops: ModuleType, rows: list[LedgerRow]) -> Array:
    """The relevance R of what comes out at the end, of what enters; a row for each layer."""
    for layer, a, z, _ in reversed(way):
        of_layer, unknown = list[LedgerRow](), np.full(len(R), np.nan)
        R = layer.relevance(rule if layer.takes_rule else None, a, z, R, ops=ops, ledger=of_layer)
        rows += of_layer or [LedgerRow(unknown, unknown, unknown, unknown, unknown)]
    return R
