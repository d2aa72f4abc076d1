"""A rule for each layer: named choices, each with its reason, and how `explain` reads its rules.

A preset is a function of a network; it returns [(rule, its parameters), ...], one for each layer
that takes a rule, input side first. `explain(net, x, rule="overview")` calls it by its name; the
parameters can be given there.
"""
from typing import Any, Callable

from lrp_numpy.utils.types import Rule
from lrp_numpy.layers.base import Dense, Layer
from lrp_numpy.network import Network
from lrp_numpy.rules import RULES, parameters_of


def overview(net: Network) -> list[tuple[str, dict]]:
    """z-box for the pixels, then gamma, then epsilon, and LRP-0 for the logits.

    Near the logits few neurons stand for many things each, and LRP-0 stays with the function as it
    is. In the middle, epsilon drops what is weak and contradictory. Below, gamma spreads relevance
    over whole features rather than single pixels. The lowest layer sees pixels, where 0 is black
    and not absent: z-box. The layers between first and last are halved between gamma (below, and
    the one more) and epsilon. Needs three layers with weights.
    Source: Montavon et al. 2019, section 10.3.
    """
    between = _enough(net, "overview", 3) - 2
    low = between - between // 2
    return ([("z_box", {})] + [("gamma", {})] * low
            + [("epsilon", {})] * (between // 2) + [("0", {})])


def deep_taylor(net: Network) -> list[tuple[str, dict]]:
    """z-box for the pixels, z-plus for all others.

    What only adds up what speaks for an answer, conserves it and cannot explode: the expansion of
    a ReLU network into its root points. It shows no evidence against, and little difference between
    classes. Source: Montavon et al. 2017.
    """
    return [("z_box", {})] + [("z_plus", {})] * (_enough(net, "deep_taylor", 1) - 1)


def epsilon_plus_flat(net: Network) -> list[tuple[str, dict]]:
    """flat for the first layer, z-plus for convolutions, epsilon for Dense layers.

    Dense layers decide between classes, so their evidence against has to be kept: epsilon.
    Convolutions find features; z-plus keeps their heatmaps calm. What a first layer looks at within
    its window is noise to the eye: flat smooths it. Source: Kohlbrenner et al. 2020, "Towards Best
    Practice in Explaining Neural Network Decisions with LRP".
    """
    return _by_kind(net, "epsilon_plus_flat", ("flat", {}), ("z_plus", {}))


def epsilon_gamma_box(net: Network) -> list[tuple[str, dict]]:
    """z-box for the pixels, gamma for convolutions, epsilon for Dense layers.

    As `epsilon_plus_flat`, but gamma keeps some evidence against in the convolutions, and z-box
    keeps the pixels apart. Source: the composite of this name in Anders et al. 2021, "Software for
    Dataset-wide XAI: From Local Explanations to Global Insights with Zennit, CoRelAy, and ViRelAy";
    its epsilon is 1e-6, ours 0.25 unless you say another.
    """
    return _by_kind(net, "epsilon_gamma_box", ("z_box", {}), ("gamma", {}))


PRESETS = {preset.__name__: preset
           for preset in (overview, deep_taylor, epsilon_plus_flat, epsilon_gamma_box)}


def _by_kind(net, name, first, of_pictures):
    _enough(net, name, 2)
    return [first] + [("epsilon", {}) if isinstance(layer, Dense) else of_pictures
                      for layer in with_rule(net)[1:]]


def with_rule(net: Network) -> list[Layer]:
    """The layers of `net` that take a rule of the caller's choice."""
    return [layer for layer in net.layers if layer.rule is None]


def _enough(net, name, least):
    count = len(with_rule(net))
    if count < least:
        raise ValueError(f"rule {name!r} is for networks with at least {least} layers that have "
                         f"weights, got {count}")
    return count


def rules_of_layers(rule: Rule, net: Network,
                    parameters: dict[str, Any]) -> list[tuple[Callable, dict[str, Any]]]:
    """[(the rule's function, its parameters), ...] for each layer of `net` that takes a rule.

    rule and parameters: as `explain` takes them. Raises ValueError for what does not fit.
    """
    count = len(with_rule(net))
    if isinstance(rule, str) and rule in PRESETS:
        rule = PRESETS[rule](net)
    if isinstance(rule, (list, tuple)) and not _is_pair(rule):
        rules = list(rule)
        if len(rules) != count:
            raise ValueError(f"rule must be one, or one for each of the {count} layers with "
                             f"weights, got {len(rules)}: {rules}")
    else:
        rules = [rule] * max(count, 1)      # it is looked at in any case
    pairs: list[Any] = [one if _is_pair(one) else (one, {}) for one in rules]
    for name, own in pairs:
        if isinstance(name, str) and name in PRESETS or name in PRESETS.values():
            raise ValueError("rule must be the name of a preset alone, with its parameters as "
                             f"keywords, for it stands for all layers; got {name!r} as one of them")
        if not (isinstance(name, str) and name in RULES or callable(name)):
            raise ValueError(f"rule must be one of {', '.join(map(repr, RULES))}, a function, a "
                             "pair of either and its parameters, or a preset "
                             f"({', '.join(map(repr, PRESETS))}), got {name!r}")
        _check_parameters(own, [name])
    _check_parameters(parameters, [name for name, _ in pairs])
    return [(RULES.get(name, name) if isinstance(name, str) else name,
             {**{parameter: value for parameter, value in parameters.items()
                 if parameter in parameters_of(name)}, **own}) for name, own in pairs[:count]]


def _is_pair(rule):
    return isinstance(rule, tuple) and len(rule) == 2 and isinstance(rule[1], dict)


def _check_parameters(parameters, rules):
    """Each of `parameters` must be one of at least one of the rules."""
    for parameter, value in parameters.items():
        if not any(parameter in parameters_of(rule) for rule in rules):
            names = (rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule))
                     for rule in rules)
            raise ValueError(f"{parameter} is not a parameter of rule "
                             f"{', '.join(dict.fromkeys(names))}, got {parameter}={value!r}")
