"""A rule for each layer: composites, the reasons for them, and how `explain` reads its rules.

A composite is a function of a network; it returns [(rule, its parameters), ...], one for each layer
that takes a rule, input side first. `explain(net, x, rule="overview")` calls it by its name, and
takes the parameters.
"""
import inspect
from functools import partial
from typing import Any, Callable

from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers import Conv2D, Dense, Layer
from lrp_numpy.layers.base import with_inner
from lrp_numpy.network import Network
from lrp_numpy.rules import RULES
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.types import Rule

HOW = ("layer", "ledger")       # what a rule passes on to rules.propagate


@door
def overview(net: Network) -> list[tuple[str, dict]]:
    """z-B for the pixels, then gamma, then epsilon, and LRP-0 for the logits.

    Near the logits, each neuron serves many concepts, and LRP-0 follows the function as it is. In
    the middle, epsilon absorbs weak and contradictory contributions. Below, gamma spreads relevance
    over whole features rather than single pixels. The lowest layer sees pixels, where 0 means black
    and not absent: z-B. Of the layers between first and last, the lower half uses gamma and the
    upper half epsilon; an odd one gets gamma. Needs three layers with weights.
    Source: Montavon et al. 2019, section 10.3.
    """
    between = _at_least(net, "overview", 3) - 2
    low = between - between // 2
    return ([("z_box", {})] + [("gamma", {})] * low
            + [("epsilon", {})] * (between // 2) + [("0", {})])


@door
def deep_taylor(net: Network) -> list[tuple[str, dict]]:
    """z-B for the pixels, z+ for all other layers.

    Propagating only positive evidence cannot explode: it is the expansion of each ReLU neuron at a
    root point. The pixels get the logit less the shares of the biases b+. It shows no negative
    evidence, and little difference between classes. Source: Montavon et al. 2017.
    """
    return [("z_box", {})] + [("z_plus", {})] * (_at_least(net, "deep_taylor", 1) - 1)


@door
def epsilon_plus_flat(net: Network) -> list[tuple[str, dict]]:
    """flat for the first layer, z+ for convolutions, epsilon for Dense layers.

    Dense layers decide between classes, so their negative evidence is kept: epsilon. Convolutions
    find features; z+ gives smooth heatmaps. Differences within a kernel of the first layer look
    like noise: flat smooths them. Source: Kohlbrenner et al. 2020, "Towards Best Practice in
    Explaining Neural Network Decisions with LRP".
    """
    _at_least(net, "epsilon_plus_flat", 2)
    return [("flat", {})] + [("epsilon" if _has(layer, Dense) else "z_plus", {})
                             for layer in layers_with_rule(net)[1:]]


@door
def epsilon_gamma_box(net: Network) -> list[tuple[str, dict]]:
    """z-B for the first convolution, generalized gamma for the others, epsilon for Dense layers.

    `epsilon_plus_flat`, but gamma keeps some negative evidence in the convolutions, and z-B keeps
    the pixels distinct. A network without convolutions is explained by epsilon alone. Source: the
    composite of this name in Anders et al. 2021, "Software for Dataset-wide XAI: From Local
    Explanations to Global Insights with Zennit, CoRelAy, and ViRelAy"; its epsilon is 1e-6, ours
    0.25 unless you give another.
    """
    rules: list[tuple[str, dict]] = [
        ("epsilon", {}) if _has(layer, Dense) else
        ("gamma_generalized", {}) if _has(layer, Conv2D) else ("0", {})
        for layer in layers_with_rule(net)]
    if ("gamma_generalized", {}) in rules:
        rules[rules.index(("gamma_generalized", {}))] = ("z_box", {})
    return rules


COMPOSITES = {composite.__name__: composite
              for composite in (overview, deep_taylor, epsilon_plus_flat, epsilon_gamma_box)}


def _at_least(net, name, minimum):
    count = len(layers_with_rule(net))
    if count < minimum:
        raise ValueError(f"rule {name!r} is for networks with at least {minimum} layers that have "
                         f"weights, got {count}")
    return count


def _has(layer, kind):
    """Whether a layer is of this kind, or holds one."""
    return any(isinstance(one, kind) for one in with_inner([layer]))


def layers_with_rule(net: Network) -> list[Layer]:
    """The layers of `net` whose rule the caller chooses."""
    return [layer for layer in net.layers if layer.takes_rule]


def find_rule(rule: str | Callable) -> Callable:
    """The function with the name of a rule or dialect; a function is returned unchanged."""
    known: dict[Any, Any] = {**RULES, **DIALECTS}
    return known.get(rule, rule) if isinstance(rule, str) else rule


def parameters_of(rule: str | Callable) -> list[str]:
    """The names of a rule's own parameters: of "gamma", or of rules.lrp_gamma, ["gamma"]."""
    parameters = list(inspect.signature(find_rule(rule)).parameters.values())[4:]
    return [one.name for one in parameters if one.name not in HOW
            and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]


def rules_of_layers(rule: Rule, net: Network,
                    parameters: dict[str, Any]) -> list[Callable | None]:
    """For each layer of `net`, its rule with its parameters: a function (a, W, b, R, **how);
    None for a layer that takes none.

    rule and parameters: as `explain` takes them. Raises ValueError if they do not fit.
    """
    count = len(layers_with_rule(net))
    options = {name for layer in net.layers for name in layer.options}
    if count == 0 and rule != "0":
        raise ValueError(f"rule must be left out: no layer of this network takes one, got {rule!r}")
    if isinstance(rule, str) and rule in COMPOSITES:
        rule = COMPOSITES[rule](net)
    if isinstance(rule, (list, tuple)) and not _is_pair(rule):
        rules = list(rule)
        if len(rules) != count:
            raise ValueError(f"rule must be one, or one for each of the {count} layers with "
                             f"weights, got {len(rules)}: {rules}")
    else:
        rules = [rule] * max(count, 1)      # checked even if no layer takes it
    pairs: list[Any] = [one if _is_pair(one) else (one, {}) for one in rules]
    for name, own in pairs:
        if (isinstance(name, str) and name in COMPOSITES
                or callable(name) and name in COMPOSITES.values()):
            raise ValueError("rule must be the name of a composite alone, with its parameters as "
                             f"keywords, for it stands for all layers; got {name!r} as one of them")
        if not callable(find_rule(name)) or isinstance(name, type):
            raise ValueError(f"rule must be one of {', '.join(map(repr, RULES))}, a dialect "
                             f"({', '.join(map(repr, DIALECTS))}), a function, a pair of either "
                             "and its parameters, or a composite "
                             f"({', '.join(map(repr, COMPOSITES))}), got {name!r}")
        _check_parameters(own, [name])
    _check_parameters({name: value for name, value in parameters.items() if name not in options},
                      [name for name, _ in pairs])
    bound = iter([_bound(find_rule(name), {**{
        parameter: value for parameter, value in parameters.items()
        if parameter in parameters_of(name)}, **own}) for name, own in pairs])
    return [next(bound) if layer.takes_rule else None for layer in net.layers]


def _bound(rule, parameters):
    """The rule with its parameters; it gets `layer` and `ledger` only if it takes them."""
    takes = inspect.signature(rule).parameters
    if any(one.kind == one.VAR_KEYWORD for one in takes.values()) or set(HOW) <= set(takes):
        return partial(rule, **parameters)

    def bound(a, W, b, R, **how):
        return rule(a, W, b, R, **parameters, **{key: how[key] for key in HOW if key in takes})
    return bound


def _is_pair(rule):
    return isinstance(rule, tuple) and len(rule) == 2 and isinstance(rule[1], dict)


def _check_parameters(parameters, rules):
    """At least one of the rules must take each of `parameters`."""
    for parameter, value in parameters.items():
        if not any(parameter in parameters_of(rule) for rule in rules):
            names = (rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule))
                     for rule in rules)
            raise ValueError(f"{parameter} is not a parameter of rule "
                             f"{', '.join(dict.fromkeys(names))}, got {parameter}={value!r}")
