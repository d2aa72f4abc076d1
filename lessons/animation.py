"""Makes figures/lrp.gif: a prediction, and its relevance on the way back, step by step.

    python lessons/animation.py

Left, the small network of lesson 5; right, one that reads digits.
"""
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

import lrp_numpy as lrp
from lrp_numpy.plotting import RELEVANCE, draw_image, draw_relevance, symmetric_limit
from lrp_numpy.plotting.small_network import draw_panel

STEPS = ["1. The pixels", "2. The hidden neurons add up", "3. The output: 4",
         "4. Back: the relevance of the output", "5. shared among the hidden neurons and biases",
         "6. and among the pixels"]
FIGURES = Path(__file__).parent / "figures"
SECONDS = 1.6       # for each step

W = [np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([[1.0], [2.0]])]
b = [np.array([0.0, 1.0]), np.array([-1.0])]
small = lrp.MLP.from_arrays(W, b, "relu")
x = np.ones((1, 2))
e = lrp.explain(small, x)
a, z = small.forward_pass(x)
contributions = [below[0][:, None] * weights for below, weights in zip(a, W)]
s = [R[0] / pre[0] for R, pre in zip(e.relevance[1:], z)]      # relevance per unit of contribution
shares = [each * per_unit for each, per_unit in zip(contributions, s)]
of_biases = [bias * per_unit for bias, per_unit in zip(b, s)]

digits = lrp.load_mnist()
net = lrp.MLP.random([784, 100, 10], activation="relu", rng=0)
lrp.train(net, digits, epochs=3, rng=0, progress=False)
four = digits.test_images[np.argmax(digits.test_labels == 4)][None]
e_digit, a_digit = lrp.explain(net, four), net.activations(four)
assert e_digit.target == 4

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), width_ratios=[2.6, 1, 1, 0.7],
                            layout="constrained")


def draw(step):
    for each in axes:
        each.clear()
    back, known = step >= 3, step % 3
    figure.suptitle(STEPS[step], x=0.02, ha="left", fontsize=12)
    if back:
        layers = [R[0] if 2 - place <= known else None for place, R in enumerate(e.relevance)]
        draw_panel(axes[0], layers, shares, of_biases, back=True)
    else:
        draw_panel(axes[0], [layer[0] if place <= known else None for place, layer in enumerate(a)],
                   contributions, b)
    if not back:
        draw_image(axes[1], four[0], "pixels")
    elif known == 2:
        draw_relevance(axes[1], e_digit.input[0], "pixels")
    if not back and known >= 1:
        axes[2].imshow(a_digit[1].reshape(10, 10), cmap="gray_r")
    elif back and known >= 1:
        draw_relevance(axes[2], e_digit.relevance[1][0])
    if not back and known == 2 or back:
        R = e_digit.relevance[2][0] if back else a_digit[2][0]
        colour = RELEVANCE(1.0) if back else "0.4"
        axes[3].barh(range(10), R, color=colour)
    for each, title in zip(axes[1:], ("pixels", "100 hidden neurons", "logits")):
        each.set_title(title, fontsize=9)
        each.set(xticks=[], yticks=[])
        each.set_box_aspect(1 if each is not axes[3] else None)
    largest = symmetric_limit(a_digit[2])
    axes[3].set(yticks=range(10), ylim=(9.6, -0.6), xlim=(-1.4 * largest, 1.1 * largest))


animation = FuncAnimation(figure, draw, frames=len(STEPS))
FIGURES.mkdir(exist_ok=True)
animation.save(FIGURES / "lrp.gif", PillowWriter(fps=1 / SECONDS), dpi=80)
print("figure: lessons/figures/lrp.gif")
