"""Lessons 5, 6, 8 and 9: the rules, the ledger, zero-centring."""
import numpy as np

from judging import Case, Task
from lrp_numpy import rules
from lrp_numpy.explanation import explain
from lrp_numpy.layers import Dense, activations
from lrp_numpy.models.canonize import zero_centred
from lrp_numpy.network import MLP
from lrp_numpy.training import softmax
from tasks.changes import array, normal, turned, with_ones, without
from tasks.forward import LARGE, OF_NETWORK, SMALL


RULE = ("a", "W", "b", "R")


def rule_cases(zero=3, **parameter):
    """From one neuron, to be done in your head, to several images of random numbers.

    zero: the weight that makes z = 0 in the second case. The last case has half the parameter.
    """
    a, W, b, R = normal(10, (4, 3), (3, 2), 2, (4, 2))
    square = normal(11, (3, 3), (3, 3), 3, (3, 3))
    tests = [((array([1, 2]), array([3], [-1]), array(1), array([4])), "", 1),
             ((array([1, 3], [1, 0]), array([zero, 1], [-1, 1]), array(0, 0),
               array([3, 6], [3, 6])), "z = 0", 1),
             ((array([1, 2]), array([-3], [1]), array(-1), array([4])), "z is negative", 1),
             ((np.abs(square[0]), *square[1:]), "", 1), ((np.abs(a), W, b, R), "", 0.5)]
    return [Case({**dict(zip(RULE, values)),
                  **{name: part * value for name, value in parameter.items()}}, where)
            for values, where, part in tests]


def share(contributions, totals, R):
    """R of each output, in proportion to the contributions (N, D, K) to the totals (N, K)."""
    return np.einsum("njk,nk->nj", contributions, rules.divide(R, totals))


def contributions(a, W):
    return a[:, :, None] * W[None]


def lrp_by_inputs_alone(a, W, b, R, *_):
    return share(contributions(a, np.ones_like(W)), a.sum(axis=1, keepdims=True) + 0 * R, R)


def lrp_over_the_outputs(a, W, b, R, *_):
    each = contributions(a, W)
    totals = np.broadcast_to(each.sum(axis=2, keepdims=True), each.shape)
    return np.einsum("njk,nk->nj", rules.divide(each, totals), R)


def three_lines(a, W, b, R, epsilon=0.0):
    """The four lines of a rule without the last: relevance per unit of each input, c = s @ W.T."""
    return rules.divide(R, rules.stabilize(a @ W + b, epsilon)) @ W.T


def absolute(a, W, b, R, *_):
    return share(np.abs(contributions(a, W)), np.abs(contributions(a, W)).sum(axis=1) + np.abs(b),
                 R)


def of_any_rule(rule, without_last_line):
    """Mistakes that can be made in each of the rules."""
    return [
        ("bias forgotten: z = a @ W + b, so the bias takes a share of R, too", without(rule, 2)),
        ("relevance ignored: what comes from above is R, not 1", with_ones(rule, 3)),
        ("normalised over the wrong axis: the inputs j of an output share its relevance, so divide "
         "by the sum over j", lrp_over_the_outputs),
        ("weights ignored: the contribution of an input is a_j w_jk", lrp_by_inputs_alone),
        ("W is transposed: W[j, k] leads from input j to output k", turned(rule, 1)),
        ("the last line is missing: multiply c, the relevance per unit of input, by a",
         without_last_line),
        ("the contributions' signs are lost: they matter", absolute)]


LRP_0 = Task("lrp_0", rules.lrp_0, rule_cases(), of_any_rule(rules.lrp_0, three_lines) + [
    ("not divided by z: share R in proportion to the contributions",
     lambda a, W, b, R: a * (R @ W.T)),
])


def relevance_of_pixels(x, W1, b1, W2, b2, target):
    net = MLP.from_arrays([W1, W2], [b1, b2], "relu")
    return explain(net, x, "0", target).input


def both_layers(start, hidden=activations.relu, upper=rules.lrp_0, lower=rules.lrp_0):
    """LRP through two layers with one part of it changed."""
    def lrp(x, W1, b1, W2, b2, target):
        a = hidden(x @ W1 + b1)
        z = a @ W2 + b2
        return lower(x, W1, b1, upper(a, W2, b2, start(z, np.eye(z.shape[1])[target])))
    return lrp


def logit_of(z, one):
    return z * one


def without_layers(*places):
    def lrp(x, W1, b1, W2, b2, target):
        values = [0 * value if i in places else value
                  for i, value in enumerate((x, W1, b1, W2, b2))]
        return relevance_of_pixels(*values, target)
    return lrp


PIXELS = Task("relevance_of_pixels", relevance_of_pixels, [
    Case({**dict(zip(OF_NETWORK, SMALL)), "target": np.array([0])}),
    Case({"x": array([1, 2]), "W1": array([1, 0], [1, 1]), "b1": array(0, -1),
          "W2": array([1, 2], [1, 0]), "b2": array(1, 0), "target": np.array([0])}),
    Case({**dict(zip(OF_NETWORK, LARGE)), "target": np.array([0, 2, 1, 1, 0])})], [
    ("it starts from all logits; R is the logit of the target class and 0 for the others",
     both_layers(lambda z, one: z)),
    ("it starts from the logits of all images' targets; each image has its own",
     both_layers(lambda z, one: z * (one.sum(axis=0) > 0))),
    ("relevance starts at 1; it must start at the logit", both_layers(lambda z, one: one)),
    ("it starts from the softmax; it must start from the logit",
     both_layers(lambda z, one: softmax(z) * one)),
    ("the target is ignored: the predicted class is explained",
     lambda x, W1, b1, W2, b2, target: relevance_of_pixels(x, W1, b1, W2, b2, None)),
    ("relevance ignored: the lower layer redistributes what the upper one handed down",
     both_layers(logit_of, lower=with_ones(rules.lrp_0, 3))),
    ("the ReLU is forgotten: what enters the upper layer is a, not z",
     both_layers(logit_of, hidden=lambda z: z)),
    ("bias forgotten in the first layer",
     lambda *v: both_layers(logit_of, lower=without(rules.lrp_0, 2))(*v)),
    ("bias forgotten in the last layer",
     lambda *v: both_layers(logit_of, upper=without(rules.lrp_0, 2))(*v)),
    ("bias forgotten in both layers", without_layers(2, 4)),
    ("bias forgotten in both layers", both_layers(logit_of, upper=without(rules.lrp_0, 2),
                                                  lower=without(rules.lrp_0, 2))),
])


def lrp_epsilon(a, W, b, R, epsilon):
    return rules.lrp_epsilon(a, W, b, R, epsilon)


def with_denominator(denominator):
    """LRP-epsilon with another denominator, of z and epsilon."""
    return lambda a, W, b, R, epsilon: share(contributions(a, W),
                                             denominator(a @ W + b, epsilon), R)


LRP_EPSILON = Task("lrp_epsilon", lrp_epsilon, rule_cases(epsilon=0.5), of_any_rule(
    lrp_epsilon, three_lines) + [
    ("stabilizer forgotten: the denominator is z + epsilon sign(z)", without(lrp_epsilon, 4)),
    ("the stabilizer's sign: where z is negative, it must be z - epsilon",
     with_denominator(lambda z, epsilon: z + epsilon)),
    ("the stabilizer's sign: it must move z away from 0, not towards it",
     with_denominator(lambda z, epsilon: z - epsilon * rules.sign(z))),
    ("the sign of z is lost: z + epsilon sign(z), not |z| + epsilon",
     with_denominator(lambda z, epsilon: np.abs(z) + epsilon)),
    ("relevance is not absorbed: the denominator is z + epsilon sign(z), not only near 0",
     with_denominator(lambda z, epsilon: np.where(np.abs(z) < epsilon, epsilon * rules.sign(z),
                                                  z))),
    ("right except where z = 0: sign(0) must be +1, or the denominator is 0",
     with_denominator(lambda z, epsilon: z + epsilon * np.sign(z))),
    ("right except where z = 0: sign(0) must be +1, or the denominator is 0",
     lambda a, W, b, R, epsilon: a * ((R / (a @ W + b + epsilon * np.sign(a @ W + b))) @ W.T)),
    ("right except where z = 0: sign(0) must be +1",
     with_denominator(lambda z, epsilon: z + epsilon * np.where(z > 0, 1, -1))),
])


def lrp_gamma(a, W, b, R, gamma):
    return rules.lrp_gamma(a, W, b, R, gamma)


def gamma_with(weights, bias=lambda b, gamma: b + gamma * rules.positive(b), below=None):
    """LRP-gamma with other weights, above the line and (`below`) under it."""
    def lrp(a, W, b, R, gamma):
        under = (below or weights)(W, gamma)
        return share(contributions(a, weights(W, gamma)), a @ under + bias(b, gamma), R)
    return lrp


def favoured(W, gamma):
    return W + gamma * rules.positive(W)


def as_it_is(W, gamma):
    return W


LRP_GAMMA = Task("lrp_gamma", lrp_gamma, rule_cases(zero=2, gamma=0.5), of_any_rule(
    lrp_gamma, lambda a, W, b, R, gamma: three_lines(
        a, favoured(W, gamma), favoured(b, gamma), R)) + [
    ("this is LRP-0: gamma is ignored, or favours all weights alike and cancels",
     without(lrp_gamma, 4)),
    ("the bias is not favoured: b becomes b + gamma b+, as W does",
     gamma_with(favoured, as_it_is)),
    ("W is multiplied by W+: positive weights count 1 + gamma times, they are not squared",
     gamma_with(lambda W, gamma: W + gamma * W * rules.positive(W))),
    ("W is multiplied by W+: positive weights count 1 + gamma times, they are not squared",
     gamma_with(lambda W, gamma: W + gamma * W * rules.positive(W),
                lambda b, gamma: b + gamma * b * rules.positive(b))),
    ("negative weights are favoured, not positive ones",
     gamma_with(lambda W, gamma: W + gamma * rules.negative(W),
                lambda b, gamma: b + gamma * rules.negative(b))),
    ("only the denominator has gamma; the numerator needs it, too",
     gamma_with(as_it_is, below=favoured)),
    ("the denominator has no gamma, so the shares do not sum to R",
     gamma_with(favoured, as_it_is, below=as_it_is)),
    ("positive weights count gamma times; they must count 1 + gamma times",
     gamma_with(lambda W, gamma: gamma * rules.positive(W) + rules.negative(W),
                lambda b, gamma: gamma * rules.positive(b) + rules.negative(b))),
    ("negative weights are dropped; they count once", gamma_with(
        lambda W, gamma: (1 + gamma) * rules.positive(W),
        lambda b, gamma: (1 + gamma) * rules.positive(b))),
])


def ledger(a, W, b, R, epsilon):
    rows = []
    rules.lrp_epsilon(a, W, b, R, epsilon, ledger=rows)
    return tuple(rows[0])


def changed(**parts):
    """The ledger with some of its columns changed: functions of (row, b, s, z, R, epsilon)."""
    def of(a, W, b, R, epsilon):
        row, z = rules.LedgerRow(*ledger(a, W, b, R, epsilon)), a @ W + b
        s = rules.divide(R, rules.stabilize(z, epsilon))
        return tuple(row._replace(**{name: part(row, b, s, z, R, epsilon)
                                     for name, part in parts.items()}))
    return of


def ledger_cases():
    cases = [case._replace(where="") for case in rule_cases(epsilon=0.5)]
    dropped = {**cases[1].arguments, "epsilon": 0.0}
    return cases[:-1] + [Case(dropped, "epsilon = 0 and z = 0"), cases[-1]]


LEDGER = Task("ledger", ledger, ledger_cases(), [
    ("one number for all images; the ledger has one for each",
     lambda *v: tuple(part.sum() for part in ledger(*v))),
    ("bias wrong: it gets b_k s_k, its contribution times the relevance per unit",
     changed(bias=lambda row, b, s, z, R, epsilon: np.full(len(R), b.sum()))),
    ("bias wrong: it gets b_k s_k, its contribution times the relevance per unit",
     changed(bias=lambda row, b, s, z, R, epsilon: s.sum(axis=1))),
    ("bias forgotten: it gets b_k s_k",
     changed(bias=lambda row, *_: 0 * row.bias)),
    ("epsilon wrong: it absorbs epsilon sign(z_k) s_k; the sign is missing",
     changed(epsilon=lambda row, b, s, z, R, epsilon: (epsilon * s).sum(axis=1))),
    ("epsilon wrong: it absorbs a share of R, epsilon sign(z_k) s_k, not epsilon itself",
     changed(epsilon=lambda row, b, s, z, R, epsilon:
             np.full(len(R), epsilon * z.shape[1]))),
    ("the bias's share is counted with the inputs",
     changed(inputs=lambda row, *_: row.inputs + row.bias)),
    ("the bias got what epsilon absorbed",
     changed(bias=lambda row, *_: row.bias + row.epsilon)),
    ("dropped forgotten: where epsilon = 0 and z = 0, R_k is dropped",
     changed(dropped=lambda row, *_: 0 * row.dropped)),
    ("dropped wrong: where z = 0, relevance is dropped only if epsilon = 0",
     changed(dropped=lambda row, b, s, z, R, epsilon: np.where(z == 0, R, 0).sum(axis=1))),
    ("received wrong: it is R from above, not what the inputs get",
     changed(received=lambda row, *_: row.inputs)),
], outputs=("received", "inputs", "bias", "epsilon", "dropped"))


def centred_bias(W, b, f0):
    """b of the upper layer, as zero_centred gives it for a network with sigmoid(0) = 1/2."""
    if f0 == 0.5:
        net = MLP.from_arrays([np.eye(len(W)), W], [np.zeros(len(W)), b], "sigmoid")
        return zero_centred(net).layers[1].b
    return Dense(W, b, "identity").fold_into_bias(f0)[0].b


def centred_cases():
    square, wide = normal(12, (3, 3), 3), normal(13, (4, 2), 2)
    return [Case({"W": array([3], [1]), "b": array(1), "f0": 0.5}),
            Case({"W": square[0], "b": square[1], "f0": 0.5}),
            Case({"W": wide[0], "b": wide[1], "f0": -2.0})]


CENTRED_BIAS = Task("centred_bias", centred_bias, centred_cases(), [
    ("summed over the wrong axis: output k sums over its inputs j, sum_j W[j, k]",
     lambda W, b, f0: b + f0 * W.sum(axis=1)),
    ("the sign is wrong: what a loses, b gains",
     lambda W, b, f0: b - f0 * W.sum(axis=0)),
    ("the weights are averaged; they must be summed",
     lambda W, b, f0: b + f0 * W.mean(axis=0)),
    ("weights ignored: f(0) reaches output k times W[j, k]",
     lambda W, b, f0: b + f0 * len(W)),
    ("weights ignored: f(0) reaches output k times W[j, k]", lambda W, b, f0: b + f0),
    ("bias forgotten: the old b is part of the new one", lambda W, b, f0: f0 * W.sum(axis=0)),
    ("f0 is ignored", lambda W, b, f0: b + W.sum(axis=0)),
    ("f0 is taken as 1/2; other activations have another f(0)",
     lambda W, b, f0: b + 0.5 * W.sum(axis=0)),
    ("summed over all weights: output k sums over its own, sum_j W[j, k]",
     lambda W, b, f0: b + f0 * W.sum()),
])
