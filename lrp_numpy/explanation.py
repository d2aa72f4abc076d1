"""`explain`: relevance from the logits down to the pixels, and the ledger of where it went."""
import warnings
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lrp_numpy.composites import rules_of_layers
from lrp_numpy.layers.activations import at_zero
from lrp_numpy.layers.base import with_inner
from lrp_numpy.network import Network, run
from lrp_numpy.ops import reference
from lrp_numpy.ops.remembering import Remembering, remember
from lrp_numpy.ops.side_by_side import side_by_side
from lrp_numpy.rules import LedgerRow, total
from lrp_numpy.utils.assumptions import warn_of_bits
from lrp_numpy.utils.foreign import check_network
from lrp_numpy.utils.labels import as_indices, as_labels
from lrp_numpy.utils.types import Rule, Target
from lrp_numpy.utils.validation import (check_array, check_finite, check_integer, check_overflow,
                                        check_start, native)

BATCH_BYTES = 2**25     # rough size of the arrays of one batch: more would not be faster
SHARED = 8              # such batches in one of explain_batches: threads share them
MANY = 10**12           # images: as many as an iterable of unknown length may have


class Explanation(NamedTuple):
    """The relevance of every neuron for one output of each of N images.

    Its unit is that output's: the logit of a classifier, the prediction of a regression.
    """
    relevance: list         # arrays (N, *shape), input first, logits last; or the input's alone
    ledger: list            # one rules.LedgerRow per layer, input side first
    target: np.ndarray      # (N,) the class that is explained: its index, or net.classes' label
    logits: np.ndarray      # (N, K) the output of the network

    @property
    def input(self) -> np.ndarray:
        """The relevance of the pixels (N, D)."""
        return self.relevance[0]

    def unassigned(self, n: int) -> dict[str, float]:
        """The relevance of image n that reached no input: {"bias": ..., "epsilon": ..., ...}.

        Each is the sum of a ledger column over all layers. Together with `input[n]` they add up to
        the explained output.
        """
        return {name: float(sum(getattr(row, name)[n] for row in self.ledger))
                for name in ("bias", "epsilon", "dropped")}


def explain(net: Network, x: np.ndarray, rule: Rule = "0", target: Target = None,
            intermediate: bool = True, engine: str | None = None, progress: bool = False,
            start: float | np.ndarray | None = None, layer: int | None = None,
            _first_row: int = 0, **parameters: Any) -> Explanation:
    """Explain the logit of one class for each image: Layer-wise Relevance Propagation.

    At the logits, R is the logit of the explained class and 0 elsewhere. Each layer then propagates
    R downwards by its rule; activation functions leave relevance unchanged:

        R[L] = logits * one_hot(target)
        R[l] = rule(a[l], W[l], b[l], R[l+1])      for l = L-1, ..., 0

    Regression models and inputs other than images are explained in the same way: read "output" for
    logit and class, and "row" for image. Relevance is then in units of that output. target selects
    one of several outputs (None takes the largest); for a single output, it is None or 0. Where
    inputs or the output can be negative, use "gamma_generalized" instead of "gamma".

    net: a network; x: images (N, D), float32, float64, or bytes (uint8), which are divided by 255;
    target: None for the predicted class, one class for all images, or one class per image (N,):
    indices, or the labels in net.classes if it has them (a single logit speaks for the second of
    its two classes).
    rule: one of these, or a list of them, one for each layer with weights, input side first:
        a name in rules.RULES, such as "gamma", or in dialects.DIALECTS, such as "captum.gamma";
        a function with the arguments of rules.lrp_gamma: (a, W, b, R), and layer and ledger if it
        takes them (if not, the unknown entries of its ledger row are NaN);
        a pair of either and its parameters, such as ("gamma", {"gamma": 0.5});
    or the name of a composite in composites.COMPOSITES, which sets the rules of all layers.
    parameters: of the rules, such as gamma=0.25, passed to each rule that takes them and has none
    of its own; and the options of layers, such as beta=1 of a soft-min. Layers without weights
    (Flatten, pooling) propagate as their class defines.
    start: R at the logits. None: the logit of the explained class; a number for that class, such as
    the 1.0 of some other software; or an array (N, K) of your own. Every rule is linear in R, so
    z_4 at 4 and -z_9 at 9 is the difference of two heatmaps; for the heatmap of the difference see
    `contrast`. Relevance is then in units of `start`.
    layer: the number of a layer below the logits, of whose outputs target selects a neuron (in a
    CNN, numbered as in a flattened image): what made it active? Relevance is in units of its
    activation; all else is as for the network `net.up_to(layer)`.
    intermediate=False keeps only the relevance of the pixels; engine: "numpy", "numba" or None, see
    `ops` (results agree to rounding); progress=True shows a bar on a terminal. It works batch by
    batch, as many at once as there are threads; besides its result it needs memory for these, and
    at the end for a second copy of the logits and the ledger. A rule or layer of your own is called
    for one batch after another.

    Returns an `Explanation`. Raises ValueError for invalid images, target, rules or parameters, and
    FloatingPointError if z or relevance overflows its type. Warns if a hidden activation has
    f(0) != 0; models.canonize.zero_centred solves this. Source: Bach et al. 2015; see rules.py.
    """
    check_network(net, Network)
    check_array(x, net.sizes[0], also=[np.uint8])
    warn_of_bits(x)
    net = _explained_part(net, layer, parameters)
    ops, given = net.choose_ops(engine, len(x)), net
    net = _remembering(net)
    rules = rules_of_layers(rule, net, parameters)
    if net is not given:        # explain_batches has warned, and hands its own on
        _warn_unless_zero_centred(net)
    target = as_indices(target, len(x), net.sizes[-1], net.classes)
    check_start(start, len(x), net.sizes[-1], net.dtype)
    real = np.result_type(net.dtype, x.dtype)       # for bytes, the network's type
    relevance = [np.empty((len(x), *shape), real)
                 for shape in net.shapes[:None if intermediate else 1]]

    def of_batch(part):
        """The logits, classes and ledger rows of some images; their relevance is put in place."""
        a, z = _forward(net, x[part], ops, _first_row + part.start)
        explained, of_layers = _classes(a[-1], _of_part(target, part)), list[LedgerRow]()
        outs = [R[part] for R in relevance] + [None] * (len(net.shapes) - len(relevance))
        R = _into(outs[-1], relevance_of_logits(a[-1], explained, _of_part(start, part)))
        for number, (one, its_rule) in reversed(list(enumerate(zip(net.layers, rules)))):
            above, rows = R, list[LedgerRow]()
            R = one.relevance(its_rule, a[number], z[number], R, ops=ops, ledger=rows,
                              out=outs[number])
            of_layers.append(_ledger_row(rows, above, R, a[number], number,
                                         _first_row + part.start))
            R = _into(outs[number], R)
        return a[-1], explained, of_layers[::-1]

    parts = _even_slices(len(x), _batch_size(net))
    threads, results = None if _is_ours(net, rules) else 1, []
    with _bar(len(x), progress) as bar:
        for result, part in zip(side_by_side(of_batch, parts, threads), parts):
            results.append(result)
            bar.update(part.stop - part.start)
    logits, classes, ledgers = zip(*results)
    return Explanation(relevance, [LedgerRow(*map(np.concatenate, zip(*rows)))
                                   for rows in zip(*ledgers)],
                       as_labels(np.concatenate(classes), net.sizes[-1], net.classes),
                       np.concatenate(logits))


def explain_batches(net: Network, x: np.ndarray | Iterable[np.ndarray], rule: Rule = "0",
                    target: Target = None, intermediate: bool = True, engine: str | None = None,
                    progress: bool = False, start: float | np.ndarray | None = None,
                    batch_size: int | None = None, layer: int | None = None,
                    **parameters: Any) -> Iterator[Explanation]:
    """`explain` in batches: an iterator over the `Explanation` of one batch after another.

    For more images than fit in memory: each batch can be used and discarded. x: images (N, D), also
    a numpy.memmap, or an iterable of such arrays; target and start: one per image only if x is an
    array; batch_size: the most images in a batch (None: a fast number); engine: for an iterable,
    whose length is unknown, None takes the loops; the rest as in `explain`. A batch never spans two
    arrays, and an error names the row within its array. The network is used as it was at the call.

    Raises what `explain` raises: for rules, parameters and target immediately, for images when it
    reaches them.
    """
    check_network(net, Network)
    net = _explained_part(net, layer, parameters)
    arrays, count = x, None
    if isinstance(x, np.ndarray):
        check_array(x, net.sizes[0], also=[np.uint8])
        arrays, count = [x], len(x)
    elif not isinstance(x, Iterable):
        raise ValueError(f"x must be an array or an iterable of arrays, got {x!r}")
    each: tuple[Any, ...] = (("target", target, "class"), ("start", start, "number"))
    for name, value, one in each:
        if count is None and np.ndim(value) != 0:
            raise ValueError(f"{name} must be None or one {one} if x is not an array, got "
                             f"{np.shape(value)}")
    ops = net.choose_ops(engine, MANY if count is None else count)
    if batch_size is None:
        batch_size = _batch_size(net) * SHARED
    check_integer("batch_size", batch_size)
    engine = "numpy" if ops is reference else "numba"
    net = _remembering(net)
    rules_of_layers(rule, net, parameters)
    _warn_unless_zero_centred(net)
    as_indices(target, 1 if count is None else count, net.sizes[-1], net.classes)
    check_start(start, count, net.sizes[-1], net.dtype)

    def pieces():
        with _bar(count, progress) as bar:
            for images in arrays:
                check_array(images, net.sizes[0], also=[np.uint8])
                for part in _slices(len(images), batch_size):
                    yield explain(net, images[part], rule, _of_part(target, part), intermediate,
                                  engine, start=_of_part(start, part), _first_row=part.start,
                                  **parameters)
                    bar.update(part.stop - part.start)
    return pieces()


def relevance_of_logits(logits: np.ndarray, target: np.ndarray,
                        start: Any = None) -> np.ndarray:
    """R at the logits (N, K): `start` (None: the logit) for class target (N,), 0 elsewhere; if
    `start` is an array (N, K), that array."""
    if np.ndim(start) == 2:
        return np.asarray(start, logits.dtype)
    R, rows = np.zeros_like(logits), np.arange(len(logits))
    R[rows, target] = logits[rows, target] if start is None else start
    return R


def _explained_part(net, layer, options):
    """The network up to `layer` (None: all of it), with the options of its layers."""
    return (net if layer is None else net.up_to(layer)).with_options(options)


def _remembering(net: Network) -> Network:
    """The network with weights that cache what rules compute from them: ops/remembering.py."""
    if any(isinstance(getattr(layer, name), Remembering)
           for layer in net.layers for name in layer.parameters):
        return net
    twin, memos = copy(net), [dict[Any, Any]() for _ in net.layers]
    twin.layers = [replace(layer, **{name: remember(getattr(layer, name), memo)  # type: ignore
                                     for name in layer.parameters}).keeping()
                   for layer, memo in zip(net.layers, memos)]
    return twin


def _forward(net, x, ops, first_row):
    """The forward pass of a batch; its pre-activations must be finite."""
    x = native(np.asarray(x))
    if x.dtype == np.uint8:
        x = x.astype(net.dtype) / 255
    a, z = run(net.layers, x, ops)
    for number, of_layer in enumerate(z):
        with np.errstate(invalid="ignore", over="ignore"):
            is_finite = np.isfinite(of_layer.sum())
        if not is_finite:
            check_finite(x, first_row=first_row)    # NaN in x makes z NaN too: report x first
            check_overflow(of_layer, f"z of layer {number}", first_row)
    return a, z


def _classes(logits, target):
    """The explained class of each image."""
    if target is None:
        return logits.argmax(axis=1)
    return np.full(len(logits), target, np.int64)


def _into(out, R):
    """R, copied into `out` if there is one and R is not already in it."""
    if out is not None and R is not out:
        out[...] = R
    return R


def _warn_unless_zero_centred(net):
    for name in set().union(*(layer.activations for layer in net.layers)):
        if at_zero(name) != 0:
            warnings.warn(f"{name}(0) is {at_zero(name):g}, so neurons near z = 0 get relevance "
                          "that they cannot redistribute sensibly; explain zero_centred(net) "
                          "instead, which has the same outputs", stacklevel=3)


def _ledger_row(rows, R, R_inputs, a, number, first_row):
    """The sum of the rows that a rule appended, one each time that it used the four lines.

    Relevance must have the shape of a, and a finite sum for each image.
    """
    if np.shape(R_inputs) != a.shape:
        raise ValueError(f"rule must return relevance of the shape of a, {a.shape}, got "
                         f"{np.shape(R_inputs)}")
    unknown = np.full(len(R), np.nan)
    rows = rows or [(total(R), total(R_inputs), unknown, unknown, unknown)]
    row = LedgerRow(*[sum(parts) for parts in zip(*rows)])
    if not np.isfinite(row.inputs).all():
        image = int(np.argmin(np.isfinite(row.inputs)))
        raise FloatingPointError(
            f"relevance must be finite, got {row.inputs[image]} for what enters layer {number}, in "
            f"row {first_row + image}: a weight or a parameter of the rule is too large for "
            f"{a.dtype}")
    return row


def _of_part(target, part):
    return target if np.ndim(target) == 0 else np.asarray(target)[part]


def _slices(N, size):
    """slice(0, size), slice(size, 2 * size), ..., up to N; an empty one if N is 0."""
    return [slice(start, min(start + size, N)) for start in range(0, max(N, 1), size)]


def _even_slices(N, most):
    """Slices of nearly the same size, if several, then a multiple of four: so two or four threads
    that share them end at the same time."""
    count = max(1, -(-N // most))
    if count > 1:
        count = min(N, -(-count // 4) * 4)
    return [slice(N * part // count, N * (part + 1) // count) for part in range(count)]


def _is_ours(net, rules):
    """Whether threads may share the batches: a rule or layer of the user's might count on being
    called for one batch after another."""
    named = [rule for rule in rules if rule is not None]
    return all(isinstance(rule, partial) for rule in named) and all(
        one.__module__.startswith("lrp_numpy.")
        for one in [*(rule.func for rule in named), *map(type, with_inner(net.layers))])


def _bar(total, progress):
    """A progress bar over images, shown on a terminal only."""
    return tqdm(total=total, desc="explaining", unit="image", disable=None if progress else True)


def _batch_size(net):
    return max(1, BATCH_BYTES // (3 * sum(net.sizes) * net.dtype.itemsize))
