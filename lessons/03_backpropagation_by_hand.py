# %% [markdown]
# # 3. Backpropagation by hand
#
# **Question.** How does a network know which weight to change, and which way?
#
# **Running time.** 2 seconds. **Before it.** [2. A forward pass by hand](02_forward_by_hand.py).
#
# The forward pass went from the pixels to the logit. Now we go back, and ask of every number on the
# way: if it were a little larger, by how much would the output grow? That is a derivative, and the
# chain rule gives all of them in one sweep, **backpropagation**. LRP (lesson 5) goes back the same
# way, with another question.
#
# ## The small network again

# %%
import numpy as np

x = np.array([[1.0, 1.0]])
W1, b1 = np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([0.0, 1.0])
W2, b2 = np.array([[1.0], [2.0]]), np.array([-1.0])

z = x @ W1 + b1
a = np.maximum(z, 0)
logit = a @ W2 + b2
print("z =", z, " a =", a, " logit =", logit)
assert logit == 4

# %% [markdown]
# ## One step back
#
# The logit is a₁·1 + a₂·2 - 1. So its derivatives are
#
# - with respect to the weights of this layer: its inputs, a = [3, 1];
# - with respect to its inputs: the weights, [1, 2];
# - with respect to the bias: 1.

# %%
dlogit = np.array([[1.0]])          # d logit / d logit, where every chain begins
dW2 = a.T @ dlogit
db2 = dlogit.sum(axis=0)
da = dlogit @ W2.T
print("dW2 =", dW2.ravel(), " db2 =", db2, " da =", da)
assert dW2.ravel().tolist() == [3, 1] and da.tolist() == [[1, 2]]

# %% [markdown]
# We write `dW2` for "the derivative with respect to W2". It has the shape of W2.
#
# ## Through ReLU
#
# Where z > 0, ReLU has slope 1 and passes the derivative on. Where z < 0 it is flat: slope 0, and
# nothing comes back. Both of our neurons are on.

# %%
dz = da * (z > 0)
print("dz =", dz)
assert dz.tolist() == [[1, 2]]

# %% [markdown]
# ## The lower layer is the same three lines

# %%
dW1 = x.T @ dz
db1 = dz.sum(axis=0)
dx = dz @ W1.T
print("dW1 =\n", dW1, "\ndb1 =", db1, " dx =", dx)
assert dW1.tolist() == [[1, 2], [1, 2]] and dx.tolist() == [[4, -1]]

# %% [markdown]
# ## Do we believe it?
#
# A derivative makes a promise that can be checked: change one weight by a small h, and the logit
# changes by h times the derivative. Predict: if the weight from pixel 2 to neuron 2 grows by a
# millionth, by how much does the logit grow? We check every weight of the first layer, with +h and
# with -h, which keeps the error tiny.


# %%
def logit_with(W1):
    return (np.maximum(x @ W1 + b1, 0) @ W2 + b2)[0, 0]


h = 1e-6
for j in range(2):
    for k in range(2):
        nudge = np.zeros((2, 2))
        nudge[j, k] = h
        measured = (logit_with(W1 + nudge) - logit_with(W1 - nudge)) / (2 * h)
        print(f"W1[{j}, {k}]: measured {measured:.6f}, computed {dW1[j, k]:.6f}")
        assert abs(measured - dW1[j, k]) < 1e-6

# %% [markdown]
# This check is called **finite differences**. It knows nothing of the chain rule, which makes it a
# good judge. The package's tests apply it to every weight of many networks.
#
# ## The loss
#
# Training does not aim at a large logit. It aims to make the right class likely. The
# **cross-entropy** measures how far we are from that: minus the logarithm of the right class's
# probability,
#
# $$\text{loss} = -\log p_\text{label} .$$
#
# For a batch it is the mean over the images. Here is one image with three logits; the right class
# is the first:

# %%
from lrp_numpy.training import cross_entropy, softmax

logits = np.array([[2.0, 1.0, 0.0]])
label = np.array([0])
p = softmax(logits)
loss, dlogits = cross_entropy(logits, label)
print("p =", p.round(3), f" loss = {loss:.3f} = -log({p[0, 0]:.3f})")
print("dlogits =", dlogits.round(3))
assert np.isclose(loss, -np.log(p[0, 0]))

# %% [markdown]
# Compare `dlogits` with `p`. It is p, with 1 subtracted at the right class. A step downhill raises
# the right logit, and lowers each wrong one in proportion to its probability.

# %%
assert np.allclose(dlogits, p - np.array([[1.0, 0.0, 0.0]]))
print("they sum to", abs(dlogits.sum()).round(12), ": what one class wins, the others lose")

# %% [markdown]
# ## Ten classes, 784 pixels
#
# `net.forward_pass` keeps what entered each layer and its z. From that, `net.backward` computes
# these four lines, layer after layer:
#
# ```
# dz = da * f'(z);   dW = a.T @ dz;   db = sum dz;   da = dz @ W.T
# ```
#
# We take a network in float64, let it compute all 397,510 derivatives on 100 digits, and check
# twenty of them: those of random weights that lead from pixels with much ink to hidden neurons.

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
images, labels = digits.train_images[:100].astype(np.float64), digits.train_labels[:100]
net = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0, dtype=np.float64)
forward_pass = net.forward_pass(images)
loss, dlogits = cross_entropy(forward_pass.a[-1], labels)
(dW1, db1), (dW2, db2) = net.backward(forward_pass, dlogits)
print("shapes:", dW1.shape, db1.shape, dW2.shape, db2.shape)

rng = np.random.default_rng(0)
inked = np.flatnonzero(images.mean(axis=0) > 0.3)
W = net.layers[0].W
worst = 0
for j, k in zip(rng.choice(inked, 20), rng.integers(0, 500, 20)):
    value, measured = W[j, k], []
    for step in (1e-5, -1e-5):
        W[j, k] = value + step
        measured.append(cross_entropy(net.forward(images), labels)[0])
    W[j, k] = value
    difference = abs((measured[0] - measured[1]) / 2e-5 - dW1[j, k])
    worst = max(worst, difference / abs(dW1[j, k]))
print(f"largest relative difference of 20: {worst:.1e}")
assert worst < 1e-3

# %% [markdown]
# ## What a gradient looks like
#
# `dW1 = a.T @ dz` is a sum over the batch: each image, times the derivative of the loss with
# respect to the neuron's z. So each column of dW1 is an image itself, made of the images in the
# batch.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

largest = np.argsort(-np.abs(dW1).sum(axis=0))[:6]
figure, grid = plt.subplots(1, 6, figsize=(9, 2.1), layout="constrained")
limit = np.abs(dW1[:, largest]).max()
for axes, k in zip(grid, largest):
    lrp.plotting.draw_relevance(axes, dW1[:, k], f"neuron {k}", limit=limit)
bar = lrp.plotting.colour_bar(figure, grid.tolist(), limit)
bar.set_label("derivative", fontsize=8)
figure.suptitle("The gradients of a neuron are made of the images in the batch", fontsize=10)
show(figure, "03_gradients", "gradients of six hidden neurons")
always_zero = (images == 0).all(axis=0)
print(f"{always_zero.sum()} pixels are 0 in all 100 images; their derivatives are all 0:",
      (dW1[always_zero] == 0).all())
assert (dW1[always_zero] == 0).all()

# %% [markdown]
# Red: a larger weight would raise the loss. Blue: it would lower the loss. White: it would change
# nothing. The corners are white, because no image has ink there. A weight that never sees ink never
# learns.
#
# ## Try it
#
# - Set b1 to [0, -1] in the small network. Neuron 2 is then off. Which derivatives become 0?
# - Break `dz` on purpose: leave `* (z > 0)` out, with the b1 above, and comment out the asserts on
#   the numbers of the old network. Do the finite differences notice?
# - Why are the derivatives of the lower layer smaller than those of a ReLU network? The slope of
#   the sigmoid is a (1 - a). With `a = forward_pass.a[1]`, print `(a * (1 - a)).max()`. How large
#   can it ever be?
#
# **Write it yourself:** the three steps of the way back.
# [The exercise](exercises/ex03_backpropagation.py) checks your answer and names the mistake.
#
# Next: [4. Adam and training](04_adam_and_training.py).
