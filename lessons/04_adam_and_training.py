# %% [markdown]
# # 4. Adam and training
#
# **Question.** How do 397,510 random numbers become a network that reads digits?
#
# **Running time.** 7 seconds. **Before it.**
# [3. Backpropagation by hand](03_backpropagation_by_hand.py).
#
# We know the derivative of the loss for each weight. Now we walk downhill: first with one weight,
# then in a valley with two, then with all of them. On the way we make figures 1 and 2 of the paper.
#
# ## One weight, two steps
#
# Plain gradient descent takes a step of learning rate times gradient. **Adam** remembers two
# things about each weight, its **moments**: m, a running mean of the gradient, and v, a running
# mean of the gradient's square. It steps by m / √v: in the direction of the mean, and by a size
# that no longer depends on how steep the hill is.
#
# ```
# m <- beta1 m + (1 - beta1) g            m^ = m / (1 - beta1^t)
# v <- beta2 v + (1 - beta2) g^2          v^ = v / (1 - beta2^t)
# w <- w - learning_rate m^ / (sqrt(v^) + epsilon)
# ```
#
# The usual values are beta1 = 0.9 and beta2 = 0.999. (Adam's epsilon only prevents a division by 0.
# It has nothing to do with the epsilon of LRP.) m and v begin at 0, so at first they are too small.
# The hats correct that. By hand, with gradient g = 5 in step t = 1: m = 0.1 · 5 = 0.5, m^ = 0.5 /
# 0.1 = 5; v = 0.001 · 25 = 0.025, v^ = 0.025 / 0.001 = 25. The step is 5 / √25 = 1 times the
# learning rate.

# %%
import numpy as np
from lrp_numpy.ops.reference import adam_step

usual = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
w, m, v = np.array([2.0]), np.zeros(1), np.zeros(1)
adam_step(w, np.array([5.0]), m, v, t=1, learning_rate=0.1, **usual)
print("m =", m, " v =", v, " w =", w)
assert np.isclose(m, 0.5) and np.isclose(v, 0.025) and np.isclose(w, 2 - 0.1)

# %% [markdown]
# Would a gradient of 5000 have made a larger first step? No.

# %%
w, m, v = np.array([2.0]), np.zeros(1), np.zeros(1)
adam_step(w, np.array([5000.0]), m, v, t=1, learning_rate=0.1, **usual)
print("w =", w)
assert np.isclose(w, 2 - 0.1)

# %% [markdown]
# ## A narrow valley
#
# Two weights, and a loss that is fifty times steeper in one of them: loss = (w₁² + 50 w₂²) / 2.
# Gradient descent has one learning rate for both. If it is large, the steps bounce off the steep
# walls; if it is small, they crawl along the flat ground.


# %%
def gradient_at(w):
    return np.array([1.0, 50.0]) * w


def loss_at(w):
    return (w[..., 0] ** 2 + 50 * w[..., 1] ** 2) / 2


start = np.array([-8.0, 1.0])
descent, adam = [start.copy()], [start.copy()]
w, m, v = start.copy(), np.zeros(2), np.zeros(2)
for t in range(1, 61):
    descent.append(descent[-1] - 0.035 * gradient_at(descent[-1]))
    adam_step(w, gradient_at(w), m, v, t, learning_rate=0.4, **usual)
    adam.append(w.copy())
descent, adam = np.array(descent), np.array(adam)
print(f"loss after 60 steps: gradient descent {loss_at(descent[-1]):.3f}, "
      f"Adam {loss_at(adam[-1]):.3f}")
assert loss_at(adam[-1]) < loss_at(descent[-1])

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

w1, w2 = np.meshgrid(np.linspace(-9, 3, 121), np.linspace(-1.6, 1.6, 81))
figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
axes.contour(w1, w2, loss_at(np.stack([w1, w2], axis=-1)), levels=[0.5, 2, 5, 10, 20, 35, 55],
             colors="0.8")
axes.plot(*descent.T, "--", color="#d55e00", marker=".", markersize=4)
axes.plot(*adam.T, "-", color="#0072b2", marker=".", markersize=4)
axes.plot(0, 0, "x", color="black")
axes.annotate("gradient descent", descent[0], (0, 6), textcoords="offset points", color="#d55e00")
axes.annotate("Adam", adam[18], (0, 6), textcoords="offset points", color="#0072b2")
axes.set(xlabel="w₁ (flat)", ylabel="w₂ (steep)",
         title="After 60 steps, Adam is closer to the minimum (cross)")
show(figure, "04_valley", "gradient descent and Adam in a narrow valley")

# %% [markdown]
# Gradient descent zigzags and then crawls. Adam begins with equal steps in both weights, steep or
# flat, swings around the minimum, and comes closer. Both learning rates were chosen to suit; Adam
# needs a good one too.
#
# ## The network of the paper
#
# 784 pixels, 500 hidden sigmoid neurons, 10 logits. Batches of 100 images, learning rate 0.001, ten
# times through all 8,000 digits (ten **epochs**): 800 steps. Each step is the three things we know:
# forward, backward, Adam. An `lrp.Adam` holds Adam's numbers and the moments of all weights;
# `train` makes one for itself.

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0)
numbers = vars(lrp.Adam(net))
print({name: numbers[name] for name in ("learning_rate", *usual)})
assert {name: numbers[name] for name in usual} == usual
history = lrp.train(net, digits, epochs=10, batch_size=100, learning_rate=1e-3, rng=0)
print("steps:", history.loss.shape, " first loss:", history.loss[0].round(3),
      " last epoch's mean:", history.loss[-80:].mean().round(3))
print("accuracy after each epoch (%):", (100 * history.accuracy).round(1))
assert len(history.loss) == 800 and history.accuracy[-1] > 0.9

# %% [markdown]
# An untrained network has no preference: it gives each class a probability of about 1/10. Its loss
# is then log(10).

# %%
print(f"log(10) = {np.log(10):.3f}")
assert abs(history.loss[0] - np.log(10)) < 0.2

# %% [markdown]
# Figure 1 of the paper: the loss over the iterations.

# %%
show(lrp.plotting.loss_curve(history.loss, epochs=10, title="Figure 1: loss, sigmoid"),
     "04_figure1_loss", "loss over the iterations")

# %% [markdown]
# Most is learned in the first epoch. The thin jagged line does not come to rest: each batch has its
# own hard digits.
#
# Figure 2: test digits with the network's predictions. A frame marks the misclassified ones.

# %%
images, labels = digits.test_images, digits.test_labels
predictions = net.predict(images)
show(lrp.plotting.samples(images[:50], labels[:50], predictions[:50]), "04_figure2_samples",
     "test digits, the misclassified ones framed")
wrong = np.flatnonzero(predictions != labels)
print(f"{len(wrong)} of {len(labels)} are misclassified; in the figure: {(wrong < 50).sum()}")
assert len(wrong) < 0.1 * len(labels)

# %% [markdown]
# You would have read both of these. The network is not that far yet; but lesson 1's nearest mean
# missed one in five.
#
# With more training digits it gets better. If you have all 60,000, or a network connection, see how
# far it comes: `python -m lrp_numpy train --data mnist`.
#
# ## Keep it
#
# A network is saved as plain arrays. The file contains no pickle, so a file from a stranger cannot
# run code when you load it.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "network.npz"
    net.save(path)
    again = lrp.Network.load(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, activations and arrays",
          sorted(np.load(path)))
assert (again.forward(images) == net.forward(images)).all()

# %% [markdown]
# ## Try it
#
# - Train with `activation="relu"`. Is it better?
# - Make the learning rate 0.1, then 0.00001. How does figure 1 change?
# - In the valley, set Adam's learning rate to 0.8, then also `usual["beta1"]` to 0. What does the
#   memory of the direction do for Adam? Is it the same at 0.4?
#
# **Write it yourself:** one step of Adam.
# [The exercise](exercises/ex04_adam.py) checks your answer and names the mistake.
#
# Next: [5. LRP by hand](05_lrp_by_hand.py).
