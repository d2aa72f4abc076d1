"""Carries relevance from the logits to the pixels, and keeps the ledger."""
import inspect
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Callable, NamedTuple

import numpy as np
from tqdm import tqdm

from lrp_numpy.layers.activations import at_zero
from lrp_numpy.utils.validation import (as_float, check_array, check_choice, check_finite, check_integer,
                              check_labels, check_overflow)
from lrp_numpy.utils.types import Rule, Target
from lrp_numpy.network import ENGINES, Network
from lrp_numpy.composites import rules_of_layers
from lrp_numpy.rules import RULES, LedgerRow, alone, terms_of, total

BATCH_BYTES = 2**24     # what the arrays of one batch take, roughly: small enough for the caches


class Explanation(NamedTuple):
    """The relevance of every neuron for one output of each of N images, in units of that output:
    of the logit, if the network tells classes apart; of what it predicts, if it is a regression.
    """
    relevance: list         # arrays (N, *shape), input first, logits last; or the input's alone
    ledger: list            # one LedgerRow a layer, input side first: see rules.LedgerRow
    target: np.ndarray      # (N,) the class that is explained
    logits: np.ndarray      # (N, K) what the network said

    @property
    def input(self) -> np.ndarray:
        """The relevance of the pixels (N, D)."""
        return self.relevance[0]

    def elsewhere(self, n: int) -> dict[str, float]:
        """What the inputs of image n did not get: {"bias": ..., "epsilon": ..., "dropped": ...}.

        Each is its column of the ledger, all layers added up. With `input[n]` they add up to the
        output that is explained.
        """
        return {name: float(sum(getattr(row, name)[n] for row in self.ledger))
                for name in ("bias", "epsilon", "dropped")}


def explain(net: Network, x: np.ndarray, rule: Rule = "0", target: Target = None,
            intermediate: bool = True, engine: str = "numba", progress: bool = False,
            start: float | None = None, **parameters: Any) -> Explanation:
    """Explain the logit of one class for each image: Layer-wise Relevance Propagation.

    At the logits, R is the logit of the explained class and 0 elsewhere. From there each layer
    hands R down by its rule, and a neuron's relevance passes its activation function unchanged:

        R[L] = logits * one_hot(target)
        R[l] = rule(a[l], W[l], b[l], R[l+1])      for l = L-1, ..., 0

    A regression is explained in the same way, and so are rows of any numbers: read "output" for
    logit and class, and "row" for image. Relevance is then in units of that output. target names
    one of several outputs (None would be the largest); of a single one, it is None or 0. Where
    inputs or the output can be negative, "gamma" is no choice, but "gamma_generalized" is.

    net: a network; x: images (N, D), float32, float64, or bytes (uint8), which are divided by 255;
    target: None for the class that is predicted, one class for all images, or one for each (N,).
    rule: one of these, or a list of them, one for each layer with weights, input side first:
        a name in rules.RULES, such as "gamma";
        a function with the arguments of rules.lrp_gamma: (a, W, b, R), and ledger and layer if it
        wants them (what its ledger row would say is NaN if it has none);
        a pair of either and its parameters, such as ("gamma", {"gamma": 0.5});
    or the name of a preset in presets.PRESETS, which chooses for all layers.
    parameters: of the rules, such as gamma=0.25, given to each rule that has them and does not
    bring its own. Layers without weights (Flatten, pooling) hand relevance on as their class says.
    start: R of the explained class at the logits, None for the logit; 1.0, say, where other
    software starts at 1. Relevance is then in units of `start`.
    intermediate=False keeps the relevance of the pixels alone; engine="numpy" takes the equations
    of rules.py instead of the loops in kernels.py, the same to rounding; progress=True shows a bar
    on stderr. It works batch by batch; beyond its result it needs room for one batch, and at the
    end for the logits and the ledger once more.

    Returns an `Explanation`. Raises ValueError for images, a target, rules or parameters that do
    not fit, and FloatingPointError if z or relevance gets too large for its type. Warns if a hidden
    activation has f(0) != 0: see network.zero_centred for the cure.
    """
    carriers = _carriers(net, rule, engine, parameters)
    check_array(x, net.sizes[0], also=[np.uint8])
    _check_target(target, len(x), net)
    _check_start(start, net)
    relevance = _empty(net, len(x), x.dtype, intermediate)
    parts = []
    with tqdm(total=len(x), desc="explaining", unit="image", disable=not progress) as bar:
        for part in _slices(len(x), _batch_size(net)):
            parts.append(_explain(net, carriers, x[part], _of_part(target, part), start,
                                  [R[part] for R in relevance], part.start))
            bar.update(part.stop - part.start)
    ledger = [LedgerRow(*map(np.concatenate, zip(*rows)))
              for rows in zip(*(one.ledger for one in parts))]
    return Explanation(relevance, ledger, np.concatenate([one.target for one in parts]),
                       np.concatenate([one.logits for one in parts]))


def explain_batches(net: Network, x: np.ndarray | Iterable[np.ndarray], rule: Rule = "0",
                    target: Target = None, intermediate: bool = True, engine: str = "numba",
                    progress: bool = False, start: float | None = None,
                    batch_size: int | None = None, **parameters: Any) -> Iterator[Explanation]:
    """`explain`, piece by piece: an iterator over the `Explanation` of one batch after another.

    For more images than fit into memory: each piece can be used and forgotten. x: images (N, D),
    also a numpy.memmap, or an iterable of such arrays; target: of each image only if x is an
    array; batch_size: images in a piece at most (None: as many as are fast); the rest as in
    `explain`. A piece never spans two arrays, and an error names the row within its array. The
    network is taken as it is at the call (engine="numba").

    Raises what `explain` raises: for rules, parameters and target at once, for images when it
    comes to them.
    """
    carriers = _carriers(net, rule, engine, parameters)
    size = _batch_size(net) if batch_size is None else batch_size
    check_integer("batch_size", size)
    arrays, count = x, None
    if isinstance(x, np.ndarray):
        check_array(x, net.sizes[0], also=[np.uint8])
        arrays, count = [x], len(x)
    elif not isinstance(x, Iterable):
        raise ValueError(f"x must be an array or an iterable of arrays, got {x!r}")
    elif target is not None and np.ndim(target) != 0:
        raise ValueError("target must be None or one class if x is not an array, got "
                         f"{np.shape(target)}")
    _check_target(target, 1 if count is None else count, net)
    _check_start(start, net)

    def pieces():
        with tqdm(total=count, desc="explaining", unit="image", disable=not progress) as bar:
            for images in arrays:
                check_array(images, net.sizes[0], also=[np.uint8])
                for part in _slices(len(images), size):
                    piece = images[part]
                    yield _explain(net, carriers, piece, _of_part(target, part), start,
                                   _empty(net, len(piece), images.dtype, intermediate), part.start)
                    bar.update(len(piece))
    return pieces()


def _explain(net, carriers, x, target, start, kept, first_row):
    """The Explanation of one batch; its relevance is written into the arrays `kept`."""
    x = np.asarray(x)
    if x.dtype == np.uint8:
        x = x.astype(net.dtype) / 255
    a, z = [x], []
    for number, (layer, carrier) in enumerate(zip(net.layers, carriers)):
        with np.errstate(invalid="ignore", over="ignore"):
            z.append(carrier.up(a[-1]))
            is_finite = np.isfinite(z[-1].sum())
        if not is_finite:
            check_finite(x, first_row=first_row)    # NaN in x shows in z as well: blame x first
            check_overflow(z[-1], f"z of layer {number}", first_row)
        a.append(layer.activate(z[-1]))
    logits = a[-1]
    rows = np.arange(len(x))
    target = logits.argmax(axis=1) if target is None else np.full(len(x), target, np.int64)
    relevance = kept + [np.empty(a_l.shape, a_l.dtype) for a_l in a[len(kept):]]
    relevance[-1][...] = 0
    relevance[-1][rows, target] = logits[rows, target] if start is None else start
    ledger: list[LedgerRow] = []
    for number in reversed(range(len(net.layers))):
        row = carriers[number].down(a[number], z[number], relevance[number + 1], relevance[number])
        _check_relevance(row.inputs, first_row, number, a[number].dtype)
        ledger.insert(0, row)
    return Explanation(kept, ledger, target, logits)


class Carrier(NamedTuple):
    """How one layer carries activations up and relevance down, for one engine and rule."""
    up: Callable        # a (N, ...) -> z (N, ...)
    down: Callable      # a, z, R (N, ...), out -> LedgerRow; writes R of the inputs into out


def _back(layer, engine):
    """For layers that only move numbers: relevance goes back where the derivative does."""
    def down(a, z, R, out):
        out[...] = layer.backward(a, R, engine)
        none = np.zeros(len(R))
        return LedgerRow(total(R), total(out), none, none, none)
    return Carrier(lambda a: layer.linear(a, engine), down)


def _by_equations(layer, rule, parameters):
    takes = inspect.signature(rule).parameters
    extra = {**({"layer": layer} if "layer" in takes else {}), **parameters}

    def down(a, z, R, out):
        ledger: list[LedgerRow] = []
        R_inputs = rule(a, layer.W, layer.b, R, **extra,
                        **({"ledger": ledger} if "ledger" in takes else {}))
        if np.shape(R_inputs) != a.shape:
            raise ValueError(f"rule must return relevance of the shape of a, {a.shape}, got "
                             f"{np.shape(R_inputs)}")
        out[...] = R_inputs
        unknown = np.full(len(R), np.nan)
        return ledger[0] if ledger else LedgerRow(total(R), total(out), unknown, unknown, unknown)
    return Carrier(lambda a: layer.linear(a, "numpy"), down)


def _by_loops(layer, rule, parameters):
    """What a rule makes of the weights is made once; z is computed anew only if it differs."""
    own = replace(layer, **{name: layer.prepared(getattr(layer, name))
                            for name in layer.parameters})
    prepared = []
    for term in rule.terms(layer.W, layer.b, **parameters):
        is_own = (term.weights[0] is layer.W and term.b is layer.b and term.inputs is alone)
        weights = [own.W] if is_own else [layer.prepared(W) for W in term.weights]
        prepared.append((term, weights, layer.prepared(term.b), is_own))

    def down(a, z, R, out):
        rows, is_empty = [], True
        for term, weights, b, is_own in prepared:
            share = R if term.share is None else term.share(R, z)
            parts = list(zip(term.inputs(a), weights))
            z_term = z if is_own else None
            if len(parts) > 1:
                z_term = sum(own.apply(part, W, 0 * b, "numba") for part, W in parts) + b
            of_parts = []
            for part, W in parts:
                R_part, row = own.propagate(part, W, b, term.epsilon, share, z_term,
                                            out if is_empty else None, term.signed)
                if not is_empty:
                    out += R_part
                is_empty = False
                of_parts.append(row.T)
            of_parts[0][1] = sum(row[1] for row in of_parts)
            rows.append(of_parts[0])
        return LedgerRow(*sum(rows))
    return Carrier(lambda a: own.linear(a, "numba"), down)


def _carriers(net, rule, engine, parameters):
    """Check what does not depend on the images; a Carrier for each layer, input side first."""
    check_choice("engine", engine, ENGINES)
    rules = iter(rules_of_layers(rule, net, parameters))
    for name in {layer.activation for layer in net.layers}:
        if at_zero(name) != 0:
            warnings.warn(f"{name}(0) is {at_zero(name):g}, so neurons near z = 0 get relevance "
                          "that they cannot share out sensibly; explain zero_centred(net) instead, "
                          "which has the same outputs", stacklevel=3)
    carriers = []
    for layer in net.layers:
        if layer.rule == "back":
            carriers.append(_back(layer, engine))
        else:
            function, own = next(rules) if layer.rule is None else (_own_rule(layer), {})
            is_fast = engine == "numba" and terms_of(function) is not None
            carriers.append((_by_loops if is_fast else _by_equations)(layer, function, own))
    return carriers


def _own_rule(layer):
    """The rule that a layer brings with it."""
    if layer.rule not in RULES:
        raise ValueError(f"rule of {type(layer).__name__} must be None, 'back' or one of "
                         f"{', '.join(map(repr, RULES))}, got {layer.rule!r}")
    return RULES[layer.rule]


def _check_start(start, net):
    if start is not None and not abs(as_float(start)) <= float(np.finfo(net.dtype).max):
        raise ValueError(f"start must be None or a finite {net.dtype} number, got {start!r}")


def _check_target(target, N, net):
    """`target` must be None, one class, or one for each of N images."""
    if target is not None:
        each = np.asarray(target)
        if each.ndim == 0:
            N, each = max(N, 1), np.full(max(N, 1), each)
        check_labels(each, N, net.sizes[-1], "target")


def _check_relevance(inputs, first_row, number, dtype):
    """Its sums over what enters layer `number`, one an image, must be finite."""
    if not np.isfinite(inputs).all():
        row = int(np.argmin(np.isfinite(inputs)))
        raise FloatingPointError(
            f"relevance must be finite, got {inputs[row]} for what enters layer {number}, in row "
            f"{first_row + row}: a weight or a parameter of the rule is too large for {dtype}")


def _of_part(target, part):
    return target if np.ndim(target) == 0 else np.asarray(target)[part]


def _slices(N, size):
    """slice(0, size), slice(size, 2 * size), ..., up to N; an empty one if N is 0."""
    return [slice(start, min(start + size, N)) for start in range(0, max(N, 1), size)]


def _batch_size(net):
    return max(1, BATCH_BYTES // (3 * sum(net.sizes) * net.dtype.itemsize))


def _empty(net, N, dtype, intermediate):
    """Room for the relevance of N images: of every neuron, or of the pixels alone."""
    real = np.result_type(net.dtype, dtype)     # of bytes, the network's
    return [np.empty((N, *shape), real) for shape in net.shapes[:None if intermediate else 1]]
