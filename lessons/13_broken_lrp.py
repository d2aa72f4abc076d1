# %% [markdown]
# # 13. Broken LRP: find the fault
#
# **Question.** Seventeen programs explain the same digit. Which are wrong, and how can one tell?
#
# **Running time.** 12 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py),
# [8. The ledger](08_the_ledger.py), [9. The sigmoid trap](09_the_sigmoid_trap.py) and
# [10. Pixel flipping](10_removing_pixels.py).
#
# A program with a fault in it mostly stops, or prints nonsense. LRP with a fault in it draws a
# heatmap. It is red and blue, it lies on the ink, and nobody notices.
#
# Below, seventeen programs explain the same 4. Each claims to be a rule that you know. Four of them
# are right. The programs are made up for this lesson. Several of the faults have been seen in
# programs that people use; the answers say where.
#
# ## Two networks
#
# One with ReLU, and one with the sigmoid, which we also zero-centre as in lesson 9. We work in
# float64, so that a difference of 1e-6 is a fault and not rounding.

# %%
from dataclasses import replace

import numpy as np
import lrp_numpy as lrp

digits = lrp.load_mnist()
images, labels = digits.test_images.astype(np.float64), digits.test_labels


def trained(activation, epochs):
    net = lrp.MLP.random([784, 100, 10], activation=activation, rng=0)
    lrp.train(net, digits, epochs=epochs, rng=0)
    return lrp.MLP([replace(layer, W=layer.W.astype(np.float64)) for layer in net.layers])


relu, sigmoid = trained("relu", epochs=5), trained("sigmoid", epochs=10)
centred = lrp.zero_centred(sigmoid)
for name, net in (("relu", relu), ("sigmoid", sigmoid), ("zero-centred", centred)):
    print(f"{name:12} accuracy {(net.predict(images) == labels).mean():.1%}")
    assert (net.predict(images) == labels).mean() > 0.88 and net.dtype == np.float64

# %% [markdown]
# ## What all programs share
#
# All programs start at the output, most of them with the logit of one class, and then go down layer
# by layer with a rule. They return the relevance of every layer, that of the pixels first. This
# loop and this start are right. So a fault is in the rule, or in a start of the program's own, or
# in the network.

# %%
from functools import partial
from typing import Callable, NamedTuple


def one_logit(logits, target):
    target = logits.argmax(axis=1) if target is None else target
    rows = np.arange(len(logits))
    R = np.zeros_like(logits)
    R[rows, target] = logits[rows, target]
    return R


def explain(net, x, target=None, rule=None, start=one_logit, **parameters):
    a = net.activations(x)
    R = [start(a[-1], target)]
    for layer, a_l in zip(reversed(net.layers), reversed(a[:-1])):
        R.insert(0, rule(a_l, layer.W, layer.b, R[0], **parameters))
    return R


class Program(NamedTuple):
    explain: Callable       # (net, x, target) -> relevance of each layer, input first
    net: lrp.MLP            # the network that it explains
    claims: str             # the name of the rule that it claims to be
    parameters: dict        # of that rule


def ask(program, x, target=None, net=None, **changed):
    """The answer of a program. It gets a copy of the network, so that it cannot change ours."""
    return program.explain(lrp.MLP((net or program.net).layers), x, target,
                           **program.parameters | changed)


programs, ten = {}, images[:10]


def tell(letter, claims, rule, start=one_logit, net=relu, **parameters):
    """Keep a program under its letter, and print how it explains the 4 among ten digits."""
    programs[letter] = Program(partial(explain, rule=rule, start=start), net, claims, parameters)
    R = ask(programs[letter], ten)[0][four]
    print(f"{letter}, LRP-{claims:7}: sum over the pixels {R.sum():7.3f}, from {R.min():6.3f} "
          f"to {R.max():5.3f}")


four = int(np.argmax(labels == 4))
print(f"image {four} is a {labels[four]}, and the networks predict",
      *(net.predict(ten)[four] for net in (relu, sigmoid)))
assert four < 10 and relu.predict(ten)[four] == sigmoid.predict(ten)[four] == 4

# %% [markdown]
# ## The code
#
# Read it as you would read a stranger's. Compare it with the four lines of lesson 5:
# `z = a @ W + b`, `s = R / z`, `c = s @ W.T`, `a * c`. (`divide` is R / z, and 0 where z is 0.)
#
# Six programs claim to be LRP-0.

# %%
from lrp_numpy.rules import positive, stabilize


def divide(R, z):
    return np.where(z == 0, 0, R / np.where(z == 0, 1, z))


def rule_a(a, W, b, R):
    share = a / a.sum(axis=1, keepdims=True)
    return share * R.sum(axis=1, keepdims=True)


def rule_b(a, W, b, R):
    z = a @ W + b
    s = divide(R, z)
    return a * (s @ W.T)


def rule_c(a, W, b, R):
    z = a @ W + b
    s = divide(1, z)
    return a * (s @ W.T)


tell("A", "0", rule_a)
tell("B", "0", rule_b)
tell("C", "0", rule_c)


# %%
def rule_d(a, W, b, R):
    z = a @ W + b
    s = divide(R, z)
    R = a * (s @ W.T)
    return R / np.abs(R).max()


def rule_e(a, W, b, R):
    z = a @ W
    s = divide(R, z)
    return a * (s @ W.T)


def rule_f(a, W, b, R):
    z = a @ W + b
    s = divide(R, z)
    return positive(a * (s @ W.T))


tell("D", "0", rule_d)
tell("E", "0", rule_e)
tell("F", "0", rule_f)

# %% [markdown]
# Three claim to be LRP-gamma.


# %%
def rule_g(a, W, b, R, gamma):
    W = W + gamma * W * positive(W)
    b = b + gamma * b * positive(b)
    s = divide(R, a @ W + b)
    return a * (s @ W.T)


def rule_h(a, W, b, R, gamma):
    W = W + gamma * positive(W)
    b = b + gamma * positive(b)
    s = divide(R, a @ W + b)
    return a * (s @ W.T)


def rule_i(a, W, b, R, gamma):
    W += gamma * positive(W)
    b += gamma * positive(b)
    s = divide(R, a @ W + b)
    return a * (s @ W.T)


tell("G", "gamma", rule_g, gamma=0.25)
tell("H", "gamma", rule_h, gamma=0.25)
tell("I", "gamma", rule_i, gamma=0.25)

# %% [markdown]
# Three claim to be LRP-epsilon. They explain the zero-centred network.


# %%
def rule_j(a, W, b, R, epsilon):
    z = a @ W + b
    s = divide(R, z + epsilon)
    return a * (s @ W.T)


def rule_k(a, W, b, R, epsilon):
    z = a @ W + b
    s = divide(R, stabilize(z, epsilon))
    return a * (s @ W.T)


def rule_l(a, W, b, R, epsilon):
    contributions = a[:, :, None] * W
    z = contributions.sum(axis=2, keepdims=True) + b
    s = divide(R[:, None], stabilize(z, epsilon))
    return (contributions * s).sum(axis=2)


tell("J", "epsilon", rule_j, net=centred, epsilon=0.25)
tell("K", "epsilon", rule_k, net=centred, epsilon=0.25)
tell("L", "epsilon", rule_l, net=centred, epsilon=0.25)

# %% [markdown]
# Three claim to be LRP-0. They have the rule of B and another start.

# %%
from lrp_numpy.training import softmax


def start_m(logits, target):
    target = logits.argsort(axis=1)[:, 0] if target is None else target
    rows = np.arange(len(logits))
    R = np.zeros_like(logits)
    R[rows, target] = logits[rows, target]
    return R


def start_n(logits, target):
    target = logits.argmax(axis=1) if target is None else target
    rows = np.arange(len(logits))
    R = np.zeros_like(logits)
    R[rows, target] = softmax(logits)[rows, target]
    return R


def start_o(logits, target):
    target = logits.argmax(axis=1) if target is None else target
    R = np.zeros_like(logits)
    R[:, target] = logits[:, target]
    return R


tell("M", "0", rule_b, start_m)
tell("N", "0", rule_b, start_n)
tell("O", "0", rule_b, start_o)

# %% [markdown]
# The last two are B, line by line, for other networks: P explains the sigmoid network as it stands,
# Q explains the same network zero-centred.

# %%
tell("P", "0", rule_b, net=sigmoid)
tell("Q", "0", rule_b, net=centred)

# %% [markdown]
# Here is the 4, and how the seventeen programs explain it. Red is positive evidence for the class,
# blue is negative. Each heatmap has its own scale, given below it (in units of the logit, if the
# program is right). All have finite numbers, and colour only where there is ink. **Which four are
# right?** Write down your guess before you read on.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, grid = plt.subplots(3, 6, figsize=(9.6, 5.8), layout="constrained")
lrp.plotting.draw_image(grid[0, 0], images[four], "the image")
for axes, (letter, program) in zip(grid.flat[1:], programs.items()):
    R = ask(program, ten)[0]
    lrp.plotting.draw_relevance(axes, R[four], f"{letter}: LRP-{program.claims}")
    axes.set_xlabel(f"±{np.abs(R[four]).max():.2g}", fontsize=8)
    assert np.isfinite(R).all() and (R[ten == 0] == 0).all()
lrp.plotting.colour_bar(figure, grid.ravel().tolist())
figure.suptitle("Four of these seventeen programs are right")
show(figure, "13_heatmaps", "a digit and seventeen heatmaps")

# %% [markdown]
# ## Checks
#
# Looking at them does not tell. So we check what must be true of LRP for any network and any image.
# A check takes a program, and returns yes or no, and a number. No check knows which fault it looks
# for, and all programs go through all checks.

# %%
verdict = {}


def put_to(check):
    """{letter: number} of the programs that pass a check, and of those that fail it."""
    passed, failed = {}, {}
    for letter, program in programs.items():
        is_right, number = check(program)
        (passed if is_right else failed)[letter] = float(f"{number:.2g}")
        verdict[letter, check.__name__] = is_right
    return passed, failed


for rule in ("0", "gamma", "epsilon"):
    print(f"LRP-{rule}:", *(letter for letter in programs if programs[letter].claims == rule))


# %% [markdown]
# ### 1. By hand
#
# The network of lesson 5, x = [1, 1], with a second output whose weights are [-1, 1]. So its logits
# are 3 + 2 - 1 = 4 and -3 + 1 = -2. It is small, and yet it has everything that brings faults to
# light: a bias, a negative weight, two classes, and a negative logit.
#
# | relevance of the pixels | why the first? | why the second? |
# |---|---|---|
# | LRP-0 | 4, -1 | -1, -2 |
# | LRP-epsilon, ε = 1 | 2, -1/5 | -2/3, -5/6 |
# | LRP-gamma, γ = 1 | 80/27, 8/27 | -4/3, -10/3 |
#
# Take "why the second?" with ε = 1. The denominator is -2 - 1 = -3, so s = 2/3, and the hidden
# neurons get -2 and 2/3. Their denominators are 3 + 1 = 4 and 1 + 1 = 2, so s is -1/2 and 1/3.
# Pixel 1 gets 2 · (-1/2) + 1 · 1/3 = -2/3; pixel 2 gets 1 · (-1/2) - 1 · 1/3 = -5/6.

# %%
weights = [np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([[1.0, -1.0], [2.0, 1.0]])]
biases = [np.array([0.0, 1.0]), np.array([-1.0, 0.0])]
small = lrp.MLP.from_arrays(weights, biases, activation="relu")
answers = {"0": [[4, -1], [-1, -2]], "epsilon": [[2, -1 / 5], [-2 / 3, -5 / 6]],
           "gamma": [[80 / 27, 8 / 27], [-4 / 3, -10 / 3]]}
TOLERANCE = 1e-9        # rounding in float64 is smaller, also where z is small


def by_hand(program):
    ones = {name: 1.0 for name in program.parameters}
    R = ask(program, np.ones((2, 2)), np.array([0, 1]), small, **ones)[0]
    error = np.abs(R - answers[program.claims]).max()
    return error < TOLERANCE, error


passed, failed = put_to(by_hand)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("ACDEFGJLNO")

# %% [markdown]
# The number is the largest error. A sum that fits on a napkin catches ten faults.
#
# It misses three. We told M which class to explain, and M goes wrong only when it chooses. Program
# I is right the first time. And P *is* B here: this network has no sigmoid.
#
# ### 2. Conservation
#
# Without biases, and with ε = 0, all relevance goes to the inputs. So each layer must get the sum
# that the layer above got. (Ten digits, the first explained as a 0, the next as a 1, and so on. The
# number is the largest difference, as a share of all |R| in the layer.)


# %%
def conservation(program):
    net = lrp.MLP([replace(layer, b=0 * layer.b) for layer in program.net.layers])
    without = {"epsilon": 0.0} if program.claims == "epsilon" else {}
    R = ask(program, ten, np.arange(10), net, **without)
    errors = [np.abs(lower.sum(axis=1) - upper.sum(axis=1)) / np.abs(lower).sum(axis=1)
              for lower, upper in zip(R, R[1:])]
    return np.max(errors) < TOLERANCE, np.max(errors)


passed, failed = put_to(conservation)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("CDFL")

# %% [markdown]
# This is the most common check, and it sees little. A hands everything on and forgets the weights,
# yet the sum is right. And the check takes away what E and J do wrong: biases and ε.
#
# ### 3. The ledger
#
# So leave biases and ε in. We still know what the inputs must get, without trusting the program:
# (z_k - b_k) / (the denominator) of R_k. The rest goes to the bias and to ε. The weights, b and the
# denominator are those of the rule that the program claims to be.


# %%
def ledger(program):
    gamma, epsilon = (program.parameters.get(name, 0.0) for name in ("gamma", "epsilon"))
    R, a = ask(program, ten, np.arange(10)), program.net.activations(ten)
    errors = []
    for layer, a_l, lower, upper in zip(program.net.layers, a, R, R[1:]):
        from_inputs = a_l @ (layer.W + gamma * positive(layer.W))
        z = from_inputs + layer.b + gamma * positive(layer.b)
        expected = (upper * from_inputs / stabilize(z, epsilon)).sum(axis=1)
        errors.append(np.abs(lower.sum(axis=1) - expected) / np.abs(lower).sum(axis=1))
    return np.max(errors) < TOLERANCE, np.max(errors)


passed, failed = put_to(ledger)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("ACDEFGJL")

# %% [markdown]
# It sees all that conservation sees, and four more. A, E and G are off by a few hundredths only,
# because the biases of this network are small: the eye does not see that, a sum in float64 does. M,
# N and O redistribute correctly; their fault is in the start (and M's shows only when it chooses
# the class itself). And P keeps perfect books: as lesson 8 said, a right sum does not make a right
# heatmap.
#
# ### 4. The start
#
# Relevance is in units of the logit. So at the top, R must be the logit of the target class, or of
# the predicted class if there is no target, and 0 for all other classes.


# %%
def start(program):
    logits = program.net.forward(ten)
    errors = [np.abs(ask(program, ten, target)[-1] - logits * np.eye(10)[explained]).max()
              for target, explained in ((None, logits.argmax(axis=1)),
                                        (np.arange(10), np.arange(10)))]
    return max(errors) < TOLERANCE, max(errors)


passed, failed = put_to(start)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("MNO")

# %% [markdown]
# This check does not look at what comes after the start.
#
# ### 5. Another class
#
# "Why 4?" and "why 9?" must not give the same heatmap (lesson 6). We explain the predicted class
# and the runner-up, and compare the non-zero pixels. The number is |r|, the absolute correlation of
# the two heatmaps, the median over 100 digits.
#
# How similar may they be? That is a choice, and here a generous one: a heatmap fails if |r| > 0.9.

# %%
hundred = images[:100]


def similarity(one, other):
    """|r| of two heatmaps on the non-zero pixels: the median over the images."""
    return np.median([abs(np.corrcoef(R1[ink], R2[ink])[0, 1])
                      for R1, R2, ink in zip(one, other, hundred > 0)])


def classes(program):
    ranking = program.net.forward(hundred).argsort(axis=1)
    r = similarity(*(ask(program, hundred, ranking[:, place])[0] for place in (-1, -2)))
    return r < 0.9, r


passed, failed = put_to(classes)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("ACO")

# %% [markdown]
# C draws the same heatmap for every class, and so does A but for its size, and its colour: all blue
# where the logit is negative, which is why we take |r|, not r. O draws all classes at once.
#
# ### 6. Random weights
#
# Adebayo et al. 2018 ("Sanity Checks for Saliency Maps") ask: if the network forgets what it has
# learned, does the heatmap change? We shuffle the weights of one layer, then of the other, explain
# the same class again, and take the larger |r|.


# %%
def random_weights(program):
    target = program.net.predict(hundred)
    R = ask(program, hundred, target)[0]
    found = []
    for number, layer in enumerate(program.net.layers):
        layers = list(program.net.layers)
        layers[number] = replace(layer, W=np.random.default_rng(0).permuted(layer.W))
        found.append(similarity(R, ask(program, hundred, target, lrp.MLP(layers))[0]))
    return max(found) < 0.9, max(found)


passed, failed = put_to(random_weights)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("AC")
assert max(passed.values()) < 0.75 < 0.99 < min(failed.values())
assert min(passed["F"], passed["P"]) > 0.5 > max(passed[letter] for letter in "BHKQ")

# %% [markdown]
# A never looks at a weight, and C ignores what comes from the upper layer. The heatmaps of all
# others do change. That does not mean that they are right.
#
# No |r| is near the threshold of 0.9: each is 1 or less than 0.75. A threshold of 0.5 would catch F
# and P as well (and, by a hair, O), and the four right ones would still pass.
#
# ### 7. Pixel flipping
#
# Lesson 10, on all test digits: we flip half of the non-zero pixels, the most relevant (MoRF), the
# least relevant (LeRF), or random ones. MoRF must hurt more than random, and LeRF less. "More"
# means by two standard errors, so that it is not luck. The number is the smaller of the two
# differences in standard errors.

# %%
at_random = lrp.flip(images, np.zeros_like(images), "morf", fraction=0.5, pixels="nonzero")


def flipping(program):
    R = np.concatenate([ask(program, images[i:i + 50])[0] for i in range(0, len(images), 50)])
    morf, lerf = (lrp.flip(images, R, first, fraction=0.5, pixels="nonzero")
                  for first in ("morf", "lerf"))
    morf, lerf, random = (1.0 * (program.net.predict(x) == labels)
                          for x in (morf, lerf, at_random))
    errors = [gain.mean() / (gain.std() / np.sqrt(len(gain)))
              for gain in (random - morf, lerf - random)]
    return min(errors) > 2, min(errors)


passed, failed = put_to(flipping)
print("pass", passed, "\nfail", failed)
assert set("CLMOP") <= set(failed) and set("ABDHKNQ") <= set(passed)

# %% [markdown]
# This catches P at last. Its code is right, its sums are right, and it points at the wrong pixels.
#
# But look at those that pass. Pixel flipping sees only the order of the pixels: so N and D, whose
# heatmaps are right up to a factor, pass as B does. And A passes, since bright pixels matter more
# than dim ones. A heatmap need not explain anything to be better than random.
#
# ### 8. Once more
#
# The same question must get the same answer: asked twice, and asked alone or among ten. And the
# arguments must be unchanged afterwards. Only here does a program get the same network twice.


# %%
def once_more(program):
    net, x = lrp.MLP(program.net.layers), ten.copy()
    first, second, alone = (program.explain(net, part, **program.parameters)[0]
                            for part in (x, x, x[:1]))
    pairs = [(first, second), (first[:1], alone), (ten, x)]
    for before, after in zip(program.net.layers, net.layers):
        pairs += [(before.W, after.W), (before.b, after.b)]
    error = max(np.abs(before - after).max() for before, after in pairs)
    return error < TOLERANCE, error


passed, failed = put_to(once_more)
print("pass", passed, "\nfail", failed)
assert set(failed) == set("DIO")

# %% [markdown]
# Program I has changed the network for good: its next prediction or explanation comes from another
# network. D and O give an image another heatmap when other images come with it.
#
# ## Which check sees what

# %%
checks = ["by_hand", "conservation", "ledger", "start", "classes", "random_weights", "flipping",
          "once_more"]
faults = {"A": "the weights are ignored", "C": "R from above is ignored",
          "D": "rescaled in every layer", "E": "the bias is dropped",
          "F": "clipped in every layer", "G": "w times w+", "I": "weights changed in place",
          "J": "epsilon without the sign", "L": "sum over the wrong axis",
          "M": "the least likely class", "N": "starts at the softmax",
          "O": "logits of other images' classes", "P": "sigmoid as it stands"}
right = {"B": "LRP-0", "H": "gamma", "K": "epsilon", "Q": "LRP-0, zero-centred"}
rows = faults | right
matrix = np.array([[verdict[letter, check] for check in checks] for letter in rows])

figure, axes = plt.subplots(figsize=(8.6, 6), layout="constrained")
axes.imshow(matrix, cmap="gray", vmin=-0.6, vmax=1, aspect="auto")
for (i, j), passed in np.ndenumerate(matrix):
    axes.text(j, i, "✓" if passed else "✗", ha="center", va="center",
              color="0.6" if passed else "white", fontweight="normal" if passed else "bold")
axes.set_xticks(range(len(checks)), [check.replace("_", "\n") for check in checks], fontsize=9)
axes.set_yticks(range(len(rows)), [f"{letter}  {name}" for letter, name in rows.items()],
                fontsize=9)
axes.xaxis.tick_top()
axes.tick_params(length=0)
axes.hlines(np.arange(len(rows)) - 0.5, -0.5, len(checks) - 0.5, color="0.85", linewidth=0.7)
axes.axhline(len(faults) - 0.5, color="black")
axes.set(xlabel="✗ on dark: the check sees a fault;  ✓ on white: it sees none")
figure.suptitle("No check sees every fault, and the right programs pass them all")
show(figure, "13_matrix", "which check sees which fault")
wrong_part, right_part = matrix[:len(faults)], matrix[len(faults):]
assert right_part.all()
assert (wrong_part.any(axis=1) & ~wrong_part.all(axis=1)).all() and wrong_part.any(axis=0).all()

# %% [markdown]
# Below the black line stand the four that are right: they pass everything. Above it, each fails
# some check, and each passes some check. So if you do only one check, and it is the wrong one, you
# see no fault.
#
# ## Answers
#
# | | claims | the line | what is wrong | caught by | seen in |
# |---|---|---|---|---|---|
# | A | LRP-0 | `a / a.sum(...)` | W does not occur: it draws the ink | by hand | |
# | C | LRP-0 | `divide(1, z)` | the relevance from above is ignored | by hand | |
# | D | LRP-0 | `R / np.abs(R).max()` | no unit; the batch decides | conservation | captum's draft |
# | E | LRP-0 | `z = a @ W` | the inputs get the bias's share, too | ledger | |
# | F | LRP-0 | `positive(...)` | negative evidence is lost, the sum grows | conservation | |
# | G | gamma | `gamma * W * positive(W)` | w · w+: small w hardly grow | by hand | TorchLRP |
# | I | gamma | `W += ...` | `+=` writes into the network's own arrays | once more | |
# | J | epsilon | `z + epsilon` | a negative z moves to 0, and across | ledger | the tutorial |
# | L | epsilon | `sum(axis=2)` | the sum over outputs k, not inputs j | by hand | |
# | M | LRP-0 | `argsort(...)[:, 0]` | argsort ascends: the first is least likely | start | |
# | N | LRP-0 | `softmax(logits)` | R is a probability, not the logit | start | PyTorchRP |
# | O | LRP-0 | `R[:, target]` | each image gets the classes of all images | once more | |
# | P | LRP-0 | none | σ(z) / z has a pole | pixel flipping | lesson 9 |
#
# B, H, K and Q are right: the package computes the same.
#
# About the last column, as of 2026. The first version proposed for captum (pull request 342)
# scaled relevance by its sum. TorchLRP's `gamma_fn` multiplies w by w+. The tutorial of Montavon et
# al. adds a positive ε to z whatever its sign; so does PyTorchRelevancePropagation (PyTorchRP for
# short), which also starts at the softmax. Who gets the share of the biases, the fault in E, is
# asked again and again: innvestigate's issues 117 and 327. An empty cell means that we have not
# seen it in published code.

# %%
caught_by = {"by_hand": "ACGL", "conservation": "DF", "ledger": "EJ", "start": "MN",
             "once_more": "IO", "flipping": "P"}
for check, letters in caught_by.items():
    print(f"{check:12} catches", *letters)
    assert not any(verdict[letter, check] for letter in letters)
assert sorted("".join(caught_by.values())) == sorted(faults)
for letter in right:
    program = programs[letter]
    e = lrp.explain(program.net, ten, program.claims, **program.parameters)
    for ours, theirs in zip(ask(program, ten), e.relevance):
        assert np.allclose(ours, theirs, rtol=0, atol=TOLERANCE)

# %% [markdown]
# Why does J survive so long in code that people use? With ReLU, a neuron with a negative z outputs
# 0 and gets no relevance, and the largest logit is positive here. So no negative denominator ever
# matters. On the ReLU network, J and K agree to the last bit:

# %%
wins = relu.forward(images).max(axis=1)
J, K = (ask(programs[letter], images, net=relu)[0] for letter in "JK")
print(f"smallest logit of a predicted class: {wins.min():.2f}; largest difference of J and K on "
      f"{len(images)} digits: {np.abs(J - K).max():.1g}")
assert wins.min() > 0 and (J == K).all()

# %% [markdown]
# It shows with tanh, with the zero-centred sigmoid, or when you explain a class with a negative
# logit: "why not a 7?"
#
# ## Someone else's code
#
# Nobody likes to do eight checks. Which few see all thirteen faults? There are 255 choices; we try
# them, the smallest first, until some are enough.

# %%
from itertools import combinations


def smallest(names):
    """The smallest sets of checks of which every fault fails at least one."""
    for size in range(1, len(names) + 1):
        enough = [chosen for chosen in combinations(names, size)
                  if not any(all(verdict[letter, check] for check in chosen) for letter in faults)]
        if enough:
            return enough


print("all eight:      ", *smallest(checks))
print("without by_hand:", *smallest([check for check in checks if check != "by_hand"]))
assert smallest(checks) == [("by_hand", "flipping", "once_more")]
assert smallest(checks[1:]) == [("ledger", "start", "flipping", "once_more")]

# %% [markdown]
# Three are enough for these faults, and of these eight checks no other three are:
#
# - **by hand**: a network so small that you know the answer, with a bias, a negative weight and a
#   negative logit. It sees a wrong equation.
# - **pixel flipping**: on your own network, against random. It sees a right equation in the wrong
#   place.
# - **once more**: twice, alone and in a batch. It sees a program that changes its arguments, or
#   that mixes the images.
#
# If you cannot work it out by hand, the ledger and the start together take its place.
#
# ## Try it
#
# - Give `by_hand` the network of lesson 5 as it was: one output, one target. Which faults pass?
# - In `conservation`, leave ε as it is. Does that catch J? And does K still pass, which is right?
# - Lower the threshold of `classes` and `random_weights` to 0.5. Which sets of four checks
#   are enough without `by_hand` now?
# - Use `fraction=0.1` in `flipping` (and in `at_random`). Which programs pass now?
# - Write a fault of your own that passes all three. (Hint: what do other networks have that these
#   do not?) Which check would you add?
#
# **Mend it yourself:** four more programs, each with a fault of its own.
# [The exercise](exercises/ex13_broken_lrp.py) tells you whether it is still there.
#
# Next: [14. Sanity checks](14_sanity_checks.py).
