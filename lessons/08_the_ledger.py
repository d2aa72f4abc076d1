# %% [markdown]
# # 8. The ledger
#
# **Question.** Why does the heatmap not sum to the output?
#
# **Running time.** 3 seconds. **Before it.** [6. The rules](06_rules.py).
#
# LRP is bookkeeping: the output is handed back, and nothing gets lost (relevance is *conserved*).
# Then the relevance of all pixels should add up to the logit. Mostly it does not. In this lesson we
# look for the missing part until we have found all of it.
#
# ## One neuron, four places
#
# Two inputs a = [1, 2] with weights [3, -1] and a bias of 1, so z = 2; the relevance to share out
# is 4. With ε = 2, each unit of contribution gets s = 4 / (2 + 2) = 1. Who gets what?
#
# | | contribution | relevance |
# |---|---|---|
# | input 1 | 1 · 3 = 3 | 3 |
# | input 2 | 2 · (-1) = -2 | -2 |
# | bias | 1 | 1 |
# | stabilizer ε | 2 | 2 |
# | **sum** | **4** | **4** |

# %%
import numpy as np
from lrp_numpy.rules import lrp_0, lrp_epsilon

a, W, b, R = np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0]), np.array([[4.0]])
ledger = []
inputs = lrp_epsilon(a, W, b, R, epsilon=2.0, ledger=ledger)
row = ledger[0]
print("inputs", inputs, " ledger", {name: float(part[0]) for name, part in row._asdict().items()})
assert [part[0] for part in row] == [4, 1, 1, 2, 0]

# %% [markdown]
# In each row of the ledger, received = inputs + bias + epsilon + dropped. Relevance has four places
# to go, and only the first appears in the heatmap of the layer below. The fourth is for a z of
# exactly 0, where there is no proportion to go by.

# %%
W0, ledger = np.array([[2.0], [-1.5]]), []
inputs = lrp_0(a, W0, np.array([1.0]), R, ledger=ledger)
print("z =", a @ W0 + 1, " inputs", inputs, " dropped", ledger[0].dropped)
assert ledger[0].dropped == 4 and (inputs == 0).all()

# %% [markdown]
# ## A bias is an input that is always 1
#
# Why should the bias get anything? Because it contributed. Write it as one more weight, from an
# input that is always 1, and LRP treats it like any other.

# %%
a_and_1, W_and_b = np.array([[1.0, 2.0, 1.0]]), np.array([[3.0], [-1.0], [1.0]])
with_bias = lrp_0(a_and_1, W_and_b, np.zeros(1), R)
ledger = []
without = lrp_0(a, W, b, R, ledger=ledger)
print("three inputs:", with_bias, " two inputs:", without, " and the bias:", ledger[0].bias)
assert np.allclose(with_bias[0, :2], without) and np.isclose(with_bias[0, 2], ledger[0].bias[0])

# %% [markdown]
# The three add up to 4. The heatmap shows the first two.
#
# ## A real digit
#
# Here is the whole ledger of one digit, from the logit at the top down to the pixels. What one
# layer gives to its inputs, the layer below receives.

# %%
import lrp_numpy as lrp
from lrp_numpy.cli import tables

digits = lrp.load_mnist()
net = lrp.MLP.random([784, 100, 50, 10], activation="relu", rng=0)
lrp.train(net, digits, epochs=5, rng=0)
images = digits.test_images[:1000]
e = lrp.explain(net, images, "epsilon", epsilon=0.25)
print(tables.as_text(tables.ledger_cells(e.ledger, image=0)))
for lower, upper in zip(e.ledger, e.ledger[1:]):
    assert np.allclose(upper.inputs, lower.received, atol=1e-4)

# %% [markdown]
# Read the column "inputs" from top to bottom: it is what is left of the logit after each layer.
# The other columns show where the rest went.
#
# For all 1,000 images, and with three rules: how much of the logit reaches the pixels?

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

rules = [("0", {}), ("epsilon", {"epsilon": 0.1}), ("epsilon", {"epsilon": 0.25}),
         ("epsilon", {"epsilon": 1.0}), ("gamma", {"gamma": 0.25}), ("gamma", {"gamma": 1.0})]
names = [" ".join([f"LRP-{rule}", *(f"{value:g}" for value in parameters.values())])
         for rule, parameters in rules]
shares = []
for name, (rule, parameters) in zip(names, rules):
    ledger = lrp.explain(net, images, rule, **parameters).ledger
    parts = [ledger[0].inputs, sum(row.bias for row in ledger),
             sum(row.epsilon for row in ledger), sum(row.dropped for row in ledger)]
    shares.append([part.mean() / ledger[-1].received.mean() for part in parts])
    print(f"{name:17} pixels {shares[-1][0]:6.1%}  biases {shares[-1][1]:6.1%}  "
          f"epsilon {shares[-1][2]:6.1%}  dropped {shares[-1][3]:.1%}")
    assert np.isclose(sum(shares[-1]), 1, atol=1e-4)

figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
left = np.zeros(len(rules))
for part, label, colour, hatch in zip(np.array(shares).T, ("pixels", "biases", "epsilon"),
                                      ("#0072b2", "white", "#e69f00"), ("", "", "///")):
    axes.barh(names, 100 * part, left=left, color=colour, edgecolor="black", hatch=hatch,
              label=label)
    left += 100 * part
axes.invert_yaxis()
axes.set(xlabel="share of the logit, mean of 1,000 images (%)", xlim=(0, 105),
         title="The larger ε, the less of the logit reaches the pixels")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
show(figure, "08_ledger", "who gets how much of the logit")

# %% [markdown]
# Under LRP-0 and gamma, the biases have all that the pixels do not get. And the stabilizer takes a
# share in **each** layer. Make a prediction: how much of the logit does ε = 0.25 absorb in networks
# of 2, 4 and 8 layers?

# %%
by_name = dict(zip(names, shares))
by_depth = {}
for depth in (2, 4, 8):
    deep = lrp.MLP.random([784, *[100] * (depth - 1), 10], "relu", rng=0)
    lrp.train(deep, digits, epochs=5, rng=0, progress=False)
    rows = lrp.explain(deep, images, "epsilon", epsilon=0.25).ledger
    by_depth[depth] = np.mean(sum(row.epsilon for row in rows)) / rows[-1].received.mean()
    print(f"{depth} layers: epsilon = 0.25 absorbs {by_depth[depth]:.0%} of the logit")
assert by_depth[2] < by_depth[4] < by_depth[8] and by_depth[8] > 0.4
assert by_name["LRP-epsilon 1"][2] > by_name["LRP-epsilon 0.25"][2] > by_name["LRP-epsilon 0.1"][2]
assert by_name["LRP-0"][2] == by_name["LRP-gamma 1"][2] == 0
print(f"three layers with epsilon = 1 absorb {by_name['LRP-epsilon 1'][2]:.0%}")

# %% [markdown]
# ## When it does sum to the output
#
# One recipe is: no biases, and LRP-0. Set all biases to 0, and the pixels get the whole logit.

# %%
unbiased = lrp.MLP.from_arrays([layer.W for layer in net.layers],
                               [0 * layer.b for layer in net.layers], "relu")
e = lrp.explain(unbiased, images, "0")
logit = e.ledger[-1].received
difference = np.abs(e.input.sum(axis=1) - logit).max()
print(f"largest difference between the pixels' sum and the logit: {difference:.1e}")
assert difference < 1e-3

# %% [markdown]
# ## It always adds up
#
# That is the use of a ledger: it catches mistakes. Here are three networks and the rules of this
# lesson, with the generalized gamma in place of gamma, in float64: each sum is right to 10 digits
# or more. If you write a rule of your own and its ledger does not add up, the rule has a bug. (tanh
# gives negative activations too; lesson 6 shows why they need the generalized gamma. Lesson 9
# explains `zero_centred`.)

# %%
rng = np.random.default_rng(0)
worst = 0.0
for activation in ("relu", "tanh", "sigmoid"):
    sizes = [784, 60, 30, 10]
    random_net = lrp.MLP.random(sizes, activation, rng=rng, dtype=np.float64)
    random_net = lrp.zero_centred(random_net)
    for rule, parameters in rules:
        rule = "gamma_generalized" if rule == "gamma" else rule
        ledger = lrp.explain(random_net, images.astype(np.float64), rule, **parameters).ledger
        for row in ledger:
            scale = np.abs(np.array(row)).max(axis=0)
            worst = max(worst, (np.abs(row.received - sum(row[1:])) / scale).max())
print(f"largest relative error of {3 * len(rules)} ledgers: {worst:.1e}")
assert worst < 1e-10

# %% [markdown]
# A right sum does not make a right heatmap, though: 100 - 99 is 1 as well. The ledger is a
# necessary check, not a sufficient one. The next lesson shows an example.
#
# ## Try it
#
# - A small proof: without biases, LRP-0 hands on all of R. Write down the sum over j of R_j = Σ_k
#   a_j w_jk R_k / z_k, and exchange the sums. Where do you use that there is no bias?
# - Write `lrp_0` from lesson 5 with the bias forgotten in z. Does its ledger still add up? To what?
# - In the bar chart, use a network with four hidden layers of 100. What becomes of the share of the
#   pixels with ε = 0.25?
# - Under epsilon, can the absorbed part be negative? Explain a digit 4 as a class that it does not
#   resemble.
#
# **Write it yourself:** the ledger of a layer.
# [The exercise](exercises/ex08_ledger.py) checks your answer and names the mistake.
#
# Next: [9. The sigmoid trap](09_the_sigmoid_trap.py).
