# %% [markdown]
# # 2. A forward pass by hand
#
# **Question.** How does a network turn pixels into an answer?
#
# **Running time.** 2 seconds. **Before it.** [1. Digits](01_digits.py).
#
# We take a network with two pixels, two hidden neurons and one output, and work it out with pencil
# and paper. Then the same lines handle 784 pixels. This small network returns in lessons 3 and 5,
# so it pays to know it well.
#
# ## Two pixels, two neurons, one output

# %%
import numpy as np

x = np.array([[1.0, 1.0]])          # one image (a row) of two pixels

W1 = np.array([[2.0, 1.0],          # from pixel 1 to neuron 1 and to neuron 2
               [1.0, -1.0]])        # from pixel 2
b1 = np.array([0.0, 1.0])

W2 = np.array([[1.0],               # from neuron 1 to the output
               [2.0]])              # from neuron 2
b2 = np.array([-1.0])
print("shapes:", x.shape, W1.shape, b1.shape, W2.shape, b2.shape)

# %% [markdown]
# Neuron k adds up what comes in: each input times its weight, plus its bias. This sum is its
# **pre-activation**
#
# $$z_k = \sum_j a_j w_{jk} + b_k .$$
#
# Here `a` is what enters the layer; in the first layer, that is the image. By hand:
#
# - neuron 1: 1·2 + 1·1 + 0 = **3**
# - neuron 2: 1·1 + 1·(-1) + 1 = **1**

# %%
z = np.zeros((1, 2))
for k in range(2):
    for j in range(2):
        z[0, k] += x[0, j] * W1[j, k]
    z[0, k] += b1[k]
print("z =", z)
assert z.tolist() == [[3, 1]]

# %% [markdown]
# One loop makes the sum, the other goes through the neurons: together they are a matrix product.
# From now on we write it as one, and read `a @ W + b` as the formula above.

# %%
assert (x @ W1 + b1 == z).all()
print("x @ W1 + b1 =", x @ W1 + b1)

# %% [markdown]
# ## The activation function
#
# A neuron does not pass on z itself, but f(z), its **activation**. The simplest f is ReLU: it
# passes positive z on and turns negative z into 0. Both of our z are positive, so nothing changes.


# %%
def relu(z):
    return np.maximum(z, 0)


a = relu(z)
print("a =", a, " but relu([-2, 0, 5]) =", relu(np.array([-2, 0, 5])))
assert a.tolist() == [[3, 1]]

# %% [markdown]
# The last layer has no activation function. Its pre-activation is the output, the **logit**.
# By hand: 3·1 + 1·2 - 1 = **4**.

# %%
logit = a @ W2 + b2
print("logit =", logit)
assert logit.tolist() == [[4]]

# %% [markdown]
# ## Without f, depth adds nothing
#
# Leave ReLU out, and two layers are one layer with the product of the weights.

# %%
images = np.array([[1.0, 1.0], [0.0, 2.0], [0.5, 0.0]])
two_layers = (images @ W1 + b1) @ W2 + b2
one_layer = images @ (W1 @ W2) + (b1 @ W2 + b2)
print(np.hstack([two_layers, one_layer]))
assert np.allclose(two_layers, one_layer)

# %% [markdown]
# With ReLU in between, this no longer holds. Look at the second image: its neuron 2 has z = -1, and
# ReLU turns it off.

# %%
with_relu = relu(images @ W1 + b1) @ W2 + b2
print(np.hstack([with_relu, one_layer]))
assert with_relu[1] == 1 and one_layer[1] == -1

# %% [markdown]
# The effect of a pixel now depends on the other pixels: they decide whether its neuron is on. That
# is the power of a network. It is also the reason why a network needs explaining.
#
# ## The three functions of this course
#
# The paper whose experiments this course repeats (lesson 10 names it) uses three: ReLU, the sigmoid
# σ(z) = 1 / (1 + exp(-z)), and tanh.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.layers.activations import ACTIVATIONS
from lrp_numpy.plotting import show

z_axis = np.linspace(-4, 4, 161)
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
for name, style, colour, end in (("relu", "-", "#0072b2", 2), ("sigmoid", "--", "#d55e00", 4),
                                 ("tanh", ":", "black", -4)):
    f = ACTIVATIONS[name].f
    axes.plot(z_axis, f(z_axis), style, color=colour)
    axes.annotate(name, (end, f(end)), (0, 5), textcoords="offset points", color=colour,
                  ha="left" if end < 0 else "right")
    print(f"{name:8} f(-4) = {f(-4.0):6.3f}   f(0) = {f(0.0):.3f}   f(4) = {f(4.0):.3f}")
axes.axhline(0, color="0.8", zorder=0)
axes.axvline(0, color="0.8", zorder=0)
axes.set(xlabel="pre-activation z", ylabel="activation f(z)", ylim=(-1.2, 2.5),
         title="The sigmoid does not pass through the origin")
show(figure, "02_activations", "three activation functions")

# %% [markdown]
# Look at the middle. ReLU and tanh pass through the origin. The sigmoid does not: a neuron whose
# inputs add up to z = 0 still outputs 1/2.

# %%
assert ACTIVATIONS["relu"].f(0.0) == ACTIVATIONS["tanh"].f(0.0) == 0
assert ACTIVATIONS["sigmoid"].f(0.0) == 0.5
print("a sigmoid neuron with z = 0 outputs", ACTIVATIONS["sigmoid"].f(0.0))

# %% [markdown]
# Keep this half in mind. It looks harmless, and it is what goes wrong in lesson 9.
#
# ## The same, in the package
#
# `MLP.from_arrays` takes the same arrays. `activations` returns what entered each layer, and the
# logits last.

# %%
import lrp_numpy as lrp

net = lrp.MLP.from_arrays([W1, W2], [b1, b2], activation="relu")
for name, value in zip(("x", "a", "logit"), net.activations(x)):
    print(f"{name:6} {value}")
assert net.forward(x).tolist() == [[4]]

# %% [markdown]
# A batch is several rows. The equations do not change, and rows do not mix.

# %%
print(net.forward(images))
assert (net.forward(images) == with_relu).all()

# %% [markdown]
# ## 784 pixels, 500 neurons, 10 logits
#
# Now the network of the paper. It is untrained: its weights are random.

# %%
digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0)
pixels, hidden, logits = net.activations(digits.test_images)
print("pixels", pixels.shape, " hidden", hidden.shape, " logits", logits.shape)
parameters = sum(layer.W.size + layer.b.size for layer in net.layers)
print(f"{parameters:,} parameters: numbers to learn")
assert parameters == 784 * 500 + 500 + 500 * 10 + 10 == 397_510

# %% [markdown]
# The network predicts the class with the largest logit. The softmax turns logits into
# probabilities,
#
# $$p_k = \frac{e^{\text{logit}_k}}{\sum_{k'} e^{\text{logit}_{k'}}} .$$
#
# They are positive, sum to 1, and keep the order of the logits.

# %%
p = lrp.training.softmax(logits)
print("logits:", logits[0].round(2))
print("p:     ", p[0].round(2), " sum:", p[0].sum().round(4))
assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
assert (p.argmax(axis=1) == logits.argmax(axis=1)).all()

# %% [markdown]
# Adding the same number to all logits changes no probability: softmax sees only differences. Still,
# lesson 5 explains a logit and not a probability. A logit is a plain sum of what the neurons below
# contribute, and a sum can be divided among its contributors.

# %%
assert np.allclose(lrp.training.softmax(logits + 5), p, atol=1e-6)
accuracy = (net.predict(digits.test_images) == digits.test_labels).mean()
print(f"accuracy: {accuracy:.1%}, as good as rolling dice")
assert accuracy < 0.25

# %% [markdown]
# ## Try it
#
# - In the 2-2-1 network, set pixel 2 to 3.0. Which neuron is turned off, and what is the logit?
#   Work it out first.
# - Find an image for which the 2-2-1 network outputs exactly 0.
# - How many numbers does a network with two hidden layers, `[784, 300, 100, 10]`, have to learn?
#   Work it out, then ask `lrp.MLP.random([784, 300, 100, 10])`.
# - Draw `"gelu"` and `"silu"` as well. Do they pass through the origin?
#
# **Write it yourself:** a layer, the softmax and a whole network.
# [The exercise](exercises/ex02_forward.py) checks your answer and names the mistake.
#
# Next: [3. Backpropagation by hand](03_backpropagation_by_hand.py).
