"""The rules of Layer-wise Relevance Propagation, one function each.

A rule shares out the relevance R (N, K) of a layer's outputs among its inputs a (N, D). All rules
are the same four lines, `propagate`, with other weights, inputs or a larger denominator. So a rule
is a function of W and b that says what goes into the four lines: a list of `Term`. The decorator
`rule` makes of it what is called: lrp_gamma(a, W, b, R, gamma=0.25), say. Relevance is in units of
the logit that is explained.

Notation: `a` (N, D) activations entering the layer, `W` (D, K), `b` (K,), `z = a @ W + b` (N, K);
j counts inputs, k outputs; w+ is max(w, 0). For other layers than Dense (`layer=`), a @ W + b and
s @ W.T stand for the layer's `apply` and `transposed`, and the shapes are the layer's.

Every rule takes `ledger`, a list, to which it appends a LedgerRow that says where all relevance
went; and `bias`: "modified" as W is, "unmodified", or "none", left out. The formulas show the
default. Every rule raises ValueError for arrays whose shapes do not fit one another, and for NaN
and infinity in them, with the place of the first. Where a z overflows, relevance is NaN.

By the same names, other software means other things. This is how to say in ours what theirs does:

    zennit      all of them     have 1e-6 in the denominator, as LRP-epsilon has it
                Epsilon         "epsilon", epsilon=1e-6
                Gamma           "gamma_generalized"; where z = 0 exactly, theirs drops R
                AlphaBeta       "alpha_beta"
                ZPlus           "z_plus"
                WSquare         "w_square", bias="modified": b_k^2 in the denominator
                Flat, ZBox      "flat", "z_box": neither has a bias, as here
    captum      all of them     have 1e-9 in the denominator, as LRP-epsilon has it
                EpsilonRule     "epsilon", epsilon=1e-9
                GammaRule       "gamma", bias="unmodified"; set_bias_to_zero=True: bias="none"
                Alpha1_Beta0    "z_plus", signs="weights", bias="unmodified": a_j w+_jk, all of b_k
    lrp_toolbox alpha-beta      "alpha_beta", beta of the other sign: theirs has alpha + beta = 1
    TorchLRP    gamma           has no equivalent: it multiplies w by w+ (w + gamma w w+), a slip
                epsilon         "epsilon", but its sign(0) is -1; ours, zennit's and captum's is +1
    some        epsilon         "epsilon", signed=False: z + epsilon, which a negative z runs into
    some        start           explain(..., start=1.0): R = 1 for the class, not its logit

Sources:
    Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by
        Layer-Wise Relevance Propagation", PLOS ONE 10(7), doi:10.1371/journal.pone.0130140
    Montavon et al. 2019, "Layer-Wise Relevance Propagation: An Overview", in "Explainable AI:
        Interpreting, Explaining and Visualizing Deep Learning", doi:10.1007/978-3-030-28954-6_10
    Montavon et al. 2017, "Explaining Nonlinear Classification Decisions with Deep Taylor
        Decomposition", Pattern Recognition 65, doi:10.1016/j.patcog.2016.11.008
    Lapuschkin et al. 2019, "Unmasking Clever Hans Predictors and Assessing What Machines Really
        Learn", Nature Communications 10, doi:10.1038/s41467-019-08987-4
"""
import inspect
import warnings
from typing import Any, Callable, NamedTuple

import numpy as np

from lrp_numpy.utils.validation import as_float, check_choice, check_finite
from lrp_numpy.ops.kernels import check_shape
from lrp_numpy.layers.base import Dense, Layer


class LedgerRow(NamedTuple):
    """Where the relevance of one layer went, for each of N images, in units of the logit.

    received = inputs + bias + epsilon + dropped, to rounding.
    """
    received: np.ndarray    # (N,) relevance that came from above
    inputs: np.ndarray      # (N,) what the layer's inputs got: received by the next layer down
    bias: np.ndarray        # (N,) what the bias got, being a part of z
    epsilon: np.ndarray     # (N,) what the stabilizer absorbed (like R, it may be negative)
    dropped: np.ndarray     # (N,) relevance of outputs with z = 0, which has no one to go to


def positive(x: np.ndarray) -> np.ndarray:
    """x+ = max(x, 0), element by element."""
    return np.maximum(x, 0)


def negative(x: np.ndarray) -> np.ndarray:
    """x- = min(x, 0), element by element."""
    return np.minimum(x, 0)


def sign(z: np.ndarray) -> np.ndarray:
    """+1 where z >= 0, else -1: unlike numpy.sign, never 0."""
    return np.where(z >= 0, 1, -1).astype(z.dtype)


def stabilize(z: np.ndarray, epsilon: float) -> np.ndarray:
    """z + epsilon * sign(z), with sign(0) = +1: at least epsilon from 0, and never across it."""
    return z + epsilon * sign(z)


def propagate(a: np.ndarray, W: np.ndarray, b: np.ndarray, epsilon: float, R: np.ndarray,
              ledger: list[LedgerRow] | None = None, z: np.ndarray | None = None,
              signed: bool = True, layer: Layer | type[Dense] = Dense) -> np.ndarray:
    """The four lines of every rule: relevance R (N, K) of the outputs to that of the inputs (N, D).

        R_j = a_j sum_k w_jk s_k   with   s_k = R_k / (z_k + epsilon sign(z_k)),   z = a @ W + b

    Where the denominator is exactly 0 there is no proportion to share out by, so R_k is dropped
    (s_k = 0). z: if a is only a part of what z is made of, all of it; signed=False: the denominator
    is z + epsilon. If `ledger` is a list, a LedgerRow is appended.

    Source: the four steps of Montavon et al. 2019, section 10.2.2.
    """
    z = layer.apply(a, W, b) if z is None else z
    denominator = stabilize(z, epsilon) if signed else z + epsilon
    s = divide(R, denominator)
    c = layer.transposed(s, W, a.shape)
    R_inputs = a * c
    if ledger is not None:
        ledger.append(LedgerRow(
            received=total(R),
            inputs=total(R_inputs),
            bias=total(b * s),
            epsilon=total((epsilon * sign(z) if signed else epsilon) * s),
            dropped=total(np.where(denominator == 0, R, 0))))
    return R_inputs


def divide(R: np.ndarray, z: np.ndarray) -> np.ndarray:
    """R / z; 0 where z is 0, and NaN where z is infinite, so that no R is lost unseen."""
    return np.where(z == 0, 0, R / np.where(z == 0, 1, z)) + 0 * z


def total(R: np.ndarray) -> np.ndarray:
    """The sum over everything but the images: (N, ...) to (N,)."""
    return R.sum(axis=tuple(range(1, R.ndim)), dtype=np.float64)


def alone(a: np.ndarray) -> list[np.ndarray]:
    """[a]: what most rules multiply the weights by."""
    return [a]


def alone_and_at_least_0(a: np.ndarray) -> list[np.ndarray]:
    """[a]; warns if a number of a is negative."""
    if a.size and a.min() < 0:
        warnings.warn("gamma is made for activations of at least 0, and here are negative ones: "
                      "it then favours what speaks against; the rule for both signs is "
                      "'gamma_generalized'")
    return [a]


def split(a: np.ndarray) -> list[np.ndarray]:
    """[a+, a-]: so that each part can have its own weights."""
    return [positive(a), negative(a)]


def ones(a: np.ndarray) -> list[np.ndarray]:
    """[1, 1, ...]: for rules that do not look at the input."""
    return [np.ones_like(a)]


class Term(NamedTuple):
    """What a rule puts into the four lines. A rule is one of these, or the sum of several."""
    weights: list                                   # one array like W for each of the inputs
    b: np.ndarray                                   # like b
    epsilon: float = 0.0
    inputs: Callable = alone                        # a -> [what stands for a, ...]
    share: Callable | None = None                   # R, z -> what of R goes this way; None: all
    signed: bool = True


def add_up(terms: list[Term], a: np.ndarray, W: np.ndarray, b: np.ndarray, R: np.ndarray,
           ledger: list[LedgerRow] | None = None, layer: Layer | type[Dense] = Dense) -> np.ndarray:
    """The sum over the `terms` of a rule, each the four lines; ledger rows are added up as well."""
    R_inputs: Any = 0
    rows = []
    for term in terms:
        pairs = list(zip(term.inputs(a), term.weights))
        z = sum(layer.apply(part, weights, 0 * term.b) for part, weights in pairs) + term.b
        check_shape("R", R, z.shape)
        share = R if term.share is None else term.share(R, layer.apply(a, W, b))
        of_parts: list[LedgerRow] = []
        for part, weights in pairs:
            R_inputs = R_inputs + propagate(part, weights, term.b, term.epsilon, share, of_parts,
                                            z, term.signed, layer)
        rows.append(of_parts[0]._replace(inputs=np.sum([row.inputs for row in of_parts],
                                                       axis=0)))
    if ledger is not None:
        ledger.append(LedgerRow(*(np.sum(parts, axis=0) for parts in zip(*rows))))
    return R_inputs


def rule(terms: Callable[..., list[Term]]) -> Any:
    """A rule from a function (W, b, **parameters) -> [Term, ...]; use it as a decorator.

    The rule is called with (a, W, b, R, **parameters, ledger=None, layer=Dense), and keeps the
    function as `rule.terms`, for those who want to prepare the weights once.
    """
    def lrp(a, W, b, R, *values, ledger=None, layer=Dense, **parameters):
        a, W, b, R = as_numbers(a=a, W=W, b=b, R=R)
        return add_up(terms(W, b, *values, **parameters), a, W, b, R, ledger, layer)

    own = list(inspect.signature(terms).parameters.values())[2:]
    kind = inspect.Parameter
    signature = inspect.Signature(
        [kind(name, kind.POSITIONAL_OR_KEYWORD, annotation=np.ndarray) for name in "aWbR"] + own
        + [kind("ledger", kind.KEYWORD_ONLY, default=None, annotation=list[LedgerRow] | None),
           kind("layer", kind.KEYWORD_ONLY, default=Dense, annotation=Layer | type[Dense])],
        return_annotation=np.ndarray)
    lrp.__name__, lrp.__qualname__, lrp.__doc__ = terms.__name__, terms.__name__, terms.__doc__
    lrp.__module__ = terms.__module__
    vars(lrp).update(__signature__=signature, terms=terms, itself=lrp)
    return lrp


def as_numbers(**arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays as floats: integers become float64.

    Raises ValueError unless each is a NumPy array of integers or of finite float32 or float64.
    """
    for name, array in arrays.items():
        dtype = array.dtype if isinstance(array, np.ndarray) else np.dtype(object)
        if dtype.kind not in "iu" and dtype not in (np.float32, np.float64):
            raise ValueError(f"{name} must be a NumPy array of integers, float32 or float64, got "
                             f"{dtype if isinstance(array, np.ndarray) else type(array).__name__}")
        check_finite(array, name)
    return [array.astype(np.float64) if array.dtype.kind in "iu" else array
            for array in arrays.values()]


def terms_of(rule: Callable) -> Callable[..., list[Term]] | None:
    """The function that `rule` was made of, or None: also for what only wraps such a rule."""
    return rule.terms if getattr(rule, "itself", None) is rule else None


@rule
def lrp_0(W: np.ndarray, b: np.ndarray, bias: str = "modified") -> list[Term]:
    """LRP-0: in proportion to what each input contributed to z.

        R_j = sum_k  a_j w_jk / (sum_j a_j w_jk + b_k)  R_k

    Shapes as in `propagate`. Where z_k = 0 exactly, R_k is dropped; where z_k is nearly 0, R_j is
    huge. Source: Bach et al. 2015.
    """
    return [Term([W], of_bias(bias, b, b))]


@rule
def lrp_epsilon(W: np.ndarray, b: np.ndarray, epsilon: float = 0.25, bias: str = "modified",
                signed: bool = True) -> list[Term]:
    """LRP-epsilon: as LRP-0, but the stabilizer absorbs relevance where z is small.

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k,    z_k = sum_j a_j w_jk + b_k

    Shapes as in `propagate`; epsilon >= 0 is in units of z. epsilon = 0 is LRP-0. signed=False: the
    denominator is z_k + epsilon, which is 0 for some negative z_k. Raises ValueError for a negative
    epsilon. Source: Bach et al. 2015.
    """
    if not isinstance(signed, (bool, np.bool_)):
        raise ValueError(f"signed must be True or False, got {signed!r}")
    return [Term([W], of_bias(bias, b, b), at_least_0("epsilon", epsilon), signed=signed)]


@rule
def lrp_gamma(W: np.ndarray, b: np.ndarray, gamma: float = 0.25,
              bias: str = "modified") -> list[Term]:
    """LRP-gamma: positive weights count 1 + gamma times.

        R_j = sum_k  a_j (w_jk + gamma w+_jk) / (sum_j a_j (w_jk + gamma w+_jk) + b_k + gamma b+_k)
              R_k

    Shapes as in `propagate`; gamma >= 0 has no unit. gamma = 0 is LRP-0; the larger gamma, the less
    evidence against is seen. Assumes a >= 0, and warns if it is not: see `lrp_gamma_generalized`.
    Assumes z_k > 0 where R_k is not 0: a negative z_k may grow to 0 and past it, with huge R_j near
    there. Raises ValueError for a negative gamma.
    Source: Montavon et al. 2019, section 10.2.1.
    """
    gamma = at_least_0("gamma", gamma)
    return [Term([W + gamma * positive(W)], of_bias(bias, b + gamma * positive(b), b),
                 inputs=alone_and_at_least_0 if gamma > 0 else alone)]


@rule
def lrp_gamma_generalized(W: np.ndarray, b: np.ndarray, gamma: float = 0.25,
                          bias: str = "modified") -> list[Term]:
    """LRP-gamma for activations and z of any sign: what speaks for z's sign counts 1 + gamma times.

        R_j = sum_k  (a_j w_jk + gamma (a_j w_jk)^s) / (z_k + gamma sum (a_j w_jk)^s + gamma b_k^s)
              R_k,   where x^s is x+ if z_k >= 0, else x-

    Shapes and gamma as in `lrp_gamma`, which it equals where a >= 0 and z >= 0. The denominator is
    never nearer to 0 than z. Source: Andeol et al. 2021, "Learning Domain Invariant
    Representations by Joint Wasserstein Distance Minimization", as a rule for all signs.
    """
    gamma = at_least_0("gamma", gamma)
    for_it, against = W + gamma * positive(W), W + gamma * negative(W)
    return [Term([for_it, against], of_bias(bias, b + gamma * positive(b), b), inputs=split,
                 share=lambda R, z: np.where(z >= 0, R, 0)),
            Term([against, for_it], of_bias(bias, b + gamma * negative(b), b), inputs=split,
                 share=lambda R, z: np.where(z >= 0, 0, R))]


@rule
def lrp_alpha_beta(W: np.ndarray, b: np.ndarray, alpha: float = 2.0, beta: float = 1.0,
                   bias: str = "modified", signs: str = "contributions") -> list[Term]:
    """LRP-alpha-beta: contributions for and against z are shared out apart.

        R_j = sum_k ( alpha (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)
                     - beta (a_j w_jk)- / (sum_j (a_j w_jk)- + b-_k) ) R_k,    alpha - beta = 1

    Shapes as in `propagate`. Where nothing speaks for z_k (or against it), that part of R_k is
    dropped. signs="weights": a_j w+_jk and a_j w-_jk instead, the same where a >= 0.
    Raises ValueError unless alpha >= 1, beta >= 0 and alpha - beta = 1.
    Source: Bach et al. 2015.
    """
    alpha, beta = at_least_0("alpha", alpha), at_least_0("beta", beta)
    if abs(alpha - beta - 1) > 1e-9:
        raise ValueError(f"alpha - beta must be 1, got alpha={alpha:g}, beta={beta:g}")
    check_choice("signs", signs, ("contributions", "weights"))
    up, down = positive(W), negative(W)
    inputs, number = (split, 2) if signs == "contributions" else (alone, 1)
    return [Term([up, down][:number], of_bias(bias, positive(b), b), inputs=inputs,
                 share=lambda R, z: alpha * R),
            Term([down, up][:number], of_bias(bias, negative(b), b), inputs=inputs,
                 share=lambda R, z: -beta * R)]


@rule
def lrp_z_plus(W: np.ndarray, b: np.ndarray, bias: str = "modified",
               signs: str = "contributions") -> list[Term]:
    """LRP-z-plus: only what speaks for z; alpha-beta with alpha = 1, beta = 0.

        R_j = sum_k  (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b+_k)  R_k

    Shapes as in `propagate`, signs as in `lrp_alpha_beta`. Source: Montavon et al. 2017.
    """
    return lrp_alpha_beta.terms(W, b, 1.0, 0.0, bias, signs)[:1]


@rule
def lrp_w_square(W: np.ndarray, b: np.ndarray, bias: str = "none") -> list[Term]:
    """LRP-w-square: in proportion to the squared weights, whatever the input says; no bias.

        R_j = sum_k  w_jk^2 / (sum_j w_jk^2)  R_k

    Shapes as in `propagate`. bias="modified" adds b_k^2 to the denominator.
    Source: Montavon et al. 2017.
    """
    return [Term([W * W], of_bias(bias, b * b, b), inputs=ones)]


@rule
def lrp_flat(W: np.ndarray, b: np.ndarray, bias: str = "none") -> list[Term]:
    """LRP-flat: to every input that leads to k the same; no bias.

        R_j = sum_k  1 / D  R_k,    D inputs to k

    Shapes as in `propagate`. bias="modified" makes the bias one input more.
    Source: Lapuschkin et al. 2019.
    """
    return [Term([np.ones_like(W)], of_bias(bias, np.ones_like(b), b), inputs=ones)]


@rule
def lrp_z_box(W: np.ndarray, b: np.ndarray, low: float = 0.0, high: float = 1.0,
              bias: str = "none") -> list[Term]:
    """LRP-z-box, for pixels: how far each is from the end of its range that speaks against z_k.

        R_j = sum_k  (a_j w_jk - low w+_jk - high w-_jk) / (sum_j a_j w_jk - low w+_jk - high w-_jk)
              R_k

    Shapes as in `propagate`; low and high, numbers with low < high, bound the pixels. No bias.
    Raises ValueError for others. Source: Montavon et al. 2017.
    """
    if not -np.inf < as_float(low) < as_float(high) < np.inf:
        raise ValueError(f"low and high must be finite numbers with low < high, got {low!r} and "
                         f"{high!r}")
    return [Term([W, -positive(W), -negative(W)], of_bias(bias, b, b),
                 inputs=lambda a: [a, np.full_like(a, low), np.full_like(a, high)])]


def of_bias(bias: str, modified: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What the keyword `bias` makes of b. Raises ValueError for another word."""
    choices = {"modified": modified, "unmodified": b, "none": 0 * b}
    check_choice("bias", bias, choices)
    return choices[bias]


def at_least_0(name: str, value: float) -> float:
    """`value` as a float. Raises ValueError unless it is a finite number of at least 0."""
    if not 0 <= as_float(value) < np.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)     # a NumPy float64 would turn float32 relevance into float64


RULES = {"0": lrp_0, "epsilon": lrp_epsilon, "gamma": lrp_gamma,
         "gamma_generalized": lrp_gamma_generalized, "alpha_beta": lrp_alpha_beta,
         "z_plus": lrp_z_plus, "w_square": lrp_w_square, "flat": lrp_flat, "z_box": lrp_z_box}


def parameters_of(rule: str | Callable) -> list[str]:
    """The names of the parameters that a rule, or the rule of this name, has of its own: ["gamma",
    "bias"], say."""
    parameters = inspect.signature(RULES[rule] if isinstance(rule, str) else rule).parameters
    return [name for name in list(parameters)[4:] if name not in ("ledger", "layer")]
