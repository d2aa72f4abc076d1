# %% [markdown]
# # 5. LRP by hand
#
# **Question.** The network outputs 4. How much of that comes from each pixel?
#
# **Running time.** 4 seconds. **Before it.** [2. A forward pass by hand](02_forward_by_hand.py);
# lessons 3 and 4 can wait.
#
# Layer-wise Relevance Propagation answers with bookkeeping: it hands the output back, layer by
# layer. What a neuron receives is its **relevance**. The neuron passes this on to those that
# contributed to it, **in proportion to their contributions**. There is no more to it than that. The
# method is by Bach et al. 2015.
#
# ## The network from lesson 2

# %%
import numpy as np

x = np.array([[1.0, 1.0]])
W1, b1 = np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([0.0, 1.0])
W2, b2 = np.array([[1.0], [2.0]]), np.array([-1.0])

a = np.maximum(x @ W1 + b1, 0)
logit = a @ W2 + b2
print("x =", x, " a =", a, " logit =", logit)
assert a.tolist() == [[3, 1]] and logit.tolist() == [[4]]

# %% [markdown]
# ## Upper layer: who made the 4?
#
# The logit is a sum of three parts. That is the whole trick: a sum shows who contributed.
#
# | from | contribution |
# |---|---|
# | neuron 1 | 3 · 1 = 3 |
# | neuron 2 | 1 · 2 = 2 |
# | bias | -1 |
# | **logit** | **4** |

# %%
contributions = a * W2.T
print("neurons:", contributions, " bias:", b2, " sum:", contributions.sum() + b2)
assert contributions.tolist() == [[3, 2]]

# %% [markdown]
# We have a relevance of R = 4 to share out (to *redistribute*), and the contributions sum to z = 4.
# So there is s = R / z = 1 of relevance for each unit of contribution, and the hidden neurons get
# R = [3, 2]. The bias gets -1. Nothing is lost: 3 + 2 - 1 = 4.

# %%
R_output = logit
z = a @ W2 + b2
s = R_output / z
R_hidden = a * (s @ W2.T)
print("s =", s, " R_hidden =", R_hidden)
assert R_hidden.tolist() == [[3, 2]]

# %% [markdown]
# ## Lower layer: the same again, for each neuron
#
# Neuron 1 has z = 3 and a relevance of 3 to share out. So s = 1.
#
# Neuron 2 has z = 1, but a relevance of 2, since its weight in the layer above is 2. So s = 2: each
# unit of contribution gets 2.
#
# | from | to neuron 1 | times s | to neuron 2 | times s | relevance |
# |---|---|---|---|---|---|
# | pixel 1 | 1 · 2 = 2 | · 1 | 1 · 1 = 1 | · 2 | 2 + 2 = **4** |
# | pixel 2 | 1 · 1 = 1 | · 1 | 1 · (-1) = -1 | · 2 | 1 - 2 = **-1** |
# | bias | 0 | · 1 | 1 | · 2 | 0 + 2 = **2** |
#
# Pixel 2 is as bright as pixel 1, and gets a negative number. Predict: would the output be larger
# or smaller without pixel 2? First the table with loops, one contribution at a time:

# %%
z = x @ W1 + b1
R_pixels, R_bias = np.zeros((1, 2)), 0.0
for k in range(2):
    s_k = R_hidden[0, k] / z[0, k]
    print(f"neuron {k + 1}: z = {z[0, k]:g}, R = {R_hidden[0, k]:g}, s = {s_k:g}")
    for j in range(2):
        R_pixels[0, j] += x[0, j] * W1[j, k] * s_k
    R_bias += b1[k] * s_k
print("pixels:", R_pixels, " bias:", R_bias)
assert R_pixels.tolist() == [[4, -1]] and R_bias == 2

# %% [markdown]
# Pixel 1 is **positive evidence** for the output, pixel 2 **negative evidence**. Of the 4 that came
# out, 4 came from pixel 1, -1 from pixel 2, and 2 - 1 = 1 from the biases.

# %%
print("4 =", R_pixels.sum(), "from pixels +", R_bias + b2[0], "from biases")
without = np.maximum(x * [1, 0] @ W1 + b1, 0) @ W2 + b2
print("without pixel 2 the output would be", without)
assert R_pixels.sum() + R_bias + b2[0] == logit[0, 0] and without == 5

# %% [markdown]
# ## The four lines
#
# The loops are two matrix products. This is all of LRP-0. Most other rules are these four lines
# with other weights, other inputs, or a larger denominator.


# %%
def lrp_0(a, W, b, R):
    z = a @ W + b       # 1. what was contributed to each output, in all
    s = R / z           # 2. relevance per unit of contribution
    c = s @ W.T         # 3. relevance per unit of each input
    return a * c        # 4. the relevance of each input


R_hidden = lrp_0(a, W2, b2, R_output)
R_pixels = lrp_0(x, W1, b1, R_hidden)
print(R_output, "->", R_hidden, "->", R_pixels)
assert R_hidden.tolist() == [[3, 2]] and R_pixels.tolist() == [[4, -1]]

# %% [markdown]
# Papers write them as one formula, here with the bias:
#
# $$R_j = \sum_k \frac{a_j w_{jk}}{\sum_{j'} a_{j'} w_{j'k} + b_k} R_k$$
#
# The denominator is line 1; dividing R by it is line 2; the sum over k is line 3; and since a_j
# does not depend on k, it waits until line 4.
#
# Here it is as a drawing: forward on the left, where arrows carry contributions; back on the
# right, where the same arrows carry relevance. The squares are the biases.

# %%
from lrp_numpy.plotting import show
from lrp_numpy.plotting.small_network import draw_network

forward = [x.T * W1, a.T * W2]
back = [x.T * W1 * (R_hidden / (x @ W1 + b1)), a.T * W2 * (R_output / (a @ W2 + b2))]
for contribution, relevance in zip(forward, back):
    print("forward", contribution.tolist(), " back", relevance.tolist())
to_biases = [b1 * R_hidden[0] / (x @ W1 + b1)[0], b2 * R_output[0] / (a @ W2 + b2)[0]]
show(draw_network([
    ("forward: what each contributes", [x[0], a[0], logit[0]], forward, [b1, b2]),
    ("back: the relevance that each gets", [R_pixels[0], R_hidden[0], R_output[0]], back, to_biases,
     True)]), "05_by_hand", "the 2-2-1 network, forward and back")
assert np.allclose(back[0].sum(axis=1), R_pixels) and np.allclose(back[1].sum(axis=1), R_hidden)

# %% [markdown]
# And the activation function? ReLU has one input and one output, so there is nothing to share: the
# input gets what the output got. Relevance passes through it unchanged.
#
# ## In the package
#
# `explain` does what we did. Its `ledger` has one row a layer, which shows where the relevance
# went: to the inputs, to the bias, and to two more places that are empty here and that we shall
# meet soon.

# %%
import lrp_numpy as lrp

net = lrp.MLP.from_arrays([W1, W2], [b1, b2], activation="relu")
e = lrp.explain(net, x, rule="0")
for name, R in zip(("pixels", "hidden", "output"), e.relevance):
    print(f"{name}: {R}")
for number in (1, 0):
    row = e.ledger[number]
    print(f"layer {number + 1}: received {row.received[0]:g} = inputs {row.inputs[0]:g} "
          f"+ bias {row.bias[0]:g} + epsilon {row.epsilon[0]:g} + dropped {row.dropped[0]:g}")
    assert row.received == row.inputs + row.bias + row.epsilon + row.dropped
assert e.input.tolist() == [[4, -1]] and e.ledger[1].received == 4

# %% [markdown]
# These are the lines that ran, printed from `lrp_numpy/rules.py`. For our layers `linear` is
# a @ W + b, and `transpose` is s @ W.T. We shall soon see what `divide` and `stabilize` are for.

# %%
import inspect

source = inspect.getsource(lrp.rules.propagate).splitlines()
four_lines = [line for line in source if any(f"# {number}. " in line for number in (1, 2, 3, 4))]
print("\n".join(four_lines))
assert [line.split()[0] for line in four_lines] == ["z", "s", "c", "R_inputs"]

# %% [markdown]
# "Why does my heatmap not sum to the logit?" is a common question. Here you can read off the
# answer: the pixels got 3, and the biases 2 - 1 = 1.

# %%
print("pixels:", e.input.sum(), " not assigned to any pixel:", e.unassigned(0))
assert e.input.sum() == 3 and e.unassigned(0) == {"bias": 1, "epsilon": 0, "dropped": 0}

# %% [markdown]
# ## A pixel that is 0 gets 0
#
# Line 4 multiplies by a. So a pixel that is 0 gets no relevance, whatever comes back to it. LRP-0
# never answers "because there is no ink here".

# %%
e = lrp.explain(net, np.array([[1.0, 0.0]]), rule="0")
print(f"pixel 1 gets {e.input[0, 0]:g} of {e.logits[0, 0]:g}; pixel 2 gets 0:", e.input[0, 1] == 0)
assert e.input[0, 1] == 0

# %% [markdown]
# ## Where z is small, s is large
#
# s = R / z. What if z is nearly 0, but R is not? Take one neuron, with contributions 1 and -0.99.

# %%
R = lrp.rules.lrp_0(np.array([[1.0, 1.0]]), np.array([[1.0], [-0.99]]), np.array([0.0]),
                    np.array([[1.0]]))
print("R =", R.round(1), " sum:", R.sum().round(6))
assert np.allclose(R, [[100, -99]])

# %% [markdown]
# A relevance of 1 is shared out as 100 and -99. The sum is right and the parts are absurd. The
# epsilon rule and the gamma rule of lesson 6 both mend this; epsilon does so with `stabilize`.
#
# And if z is exactly 0, as with contributions 1 and -1? Then R / z has no value, and there is no
# proportion to go by. `divide` gives s = 0: the inputs get nothing, and the ledger notes the
# relevance as **dropped**.

# %%
ledger = []
R = lrp.rules.lrp_0(np.array([[1.0, 1.0]]), np.array([[1.0], [-1.0]]), np.array([0.0]),
                    np.array([[1.0]]), ledger=ledger)
print("R =", R, f" received {ledger[0].received[0]:g}, dropped {ledger[0].dropped[0]:g}")
assert (R == 0).all() and ledger[0].dropped[0] == 1

# %% [markdown]
# ## A real digit
#
# Now the same four lines for 784 pixels. We train a ReLU network and explain its predictions for
# the first test digits of five classes.

# %%
digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
history = lrp.train(net, digits, epochs=5, rng=0)
chosen = [int(np.argmax(digits.test_labels == k)) for k in (0, 2, 3, 4, 7)]
images, labels = digits.test_images[chosen], digits.test_labels[chosen]
e = lrp.explain(net, images, rule="0")
print(f"accuracy: {history.accuracy[-1]:.1%}; predicted {e.target}, labels {labels}")
print("relevance:", [R.shape for R in e.relevance])
assert history.accuracy[-1] > 0.9

# %%
import matplotlib.pyplot as plt

figure, grid = plt.subplots(2, 5, figsize=(8, 3.4), layout="constrained")
for n in range(5):
    lrp.plotting.draw_image(grid[0, n], images[n], f"predicted {e.target[n]}")
    lrp.plotting.draw_relevance(grid[1, n], e.input[n])
    grid[1, n].set_xlabel(f"±{np.abs(e.input[n]).max():.2g}", fontsize=8)
grid[0, 0].set_ylabel("image")
grid[1, 0].set_ylabel("LRP-0")
lrp.plotting.colour_bar(figure, grid[1].tolist())
show(figure, "05_heatmaps", "five digits and their relevance")

# %% [markdown]
# Red is positive evidence for the class that the network predicts, blue is negative evidence. Each
# heatmap has its own scale, given below it in units of the logit. Notice that colour lies only
# where there is ink.

# %%
assert (e.input[images == 0] == 0).all()
for n in range(5):
    first, last = e.ledger[0], e.ledger[-1]
    print(f"digit {labels[n]}: logit {last.received[n]:6.3f} = pixels {first.inputs[n]:6.3f} "
          f"+ biases {first.bias[n] + last.bias[n]:6.3f}")
total = e.ledger[0].inputs + e.ledger[0].bias + e.ledger[1].bias
assert np.allclose(total, e.ledger[1].received, atol=1e-3)

# %% [markdown]
# ## Try it
#
# - In the 2-2-1 network, set b1 to [0, 0]. Then neuron 2 has z = 0 and a = 0. What is its
#   relevance, and what would our own `lrp_0` do with 0 / 0? (Try both `lrp_0` and
#   `lrp.rules.lrp_0`.)
# - Set all biases to 0 and x to [1, 0.5]. Then double all weights of the first layer. What happens
#   to the logit, and what to the *shares* of the pixels?
# - Explain the 4 as a 9: `lrp.explain(net, images[3:4], target=9)`.
# - Lesson 3 found dx = [4, -1] for x = [1, 1]. Coincidence? Lesson 6 has the answer.
#
# **Write it yourself:** `lrp_0`, and the way from a logit to the pixels.
# [The exercise](exercises/ex05_lrp_by_hand.py) checks your answer and names the mistake.
#
# Next: [6. The rules](06_rules.py).
