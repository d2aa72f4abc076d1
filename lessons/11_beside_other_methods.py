# %% [markdown]
# # 11. Beside other methods
#
# **Question.** What does LRP tell that a gradient does not?
#
# **Running time.** 12 seconds. **Before it.** [6. The rules](06_rules.py) and
# [10. Pixel flipping](10_removing_pixels.py).
#
# LRP is one of many methods that give each pixel a number. Here are five others, one equation each
# in `lrp_numpy/evaluation/other_methods.py`. We do them by hand, then put all to the same test.
#
# | method | its question | equation |
# |---|---|---|
# | gradient (Simonyan et al. 2014) | what if the pixel changed a little? | ∂f/∂x |
# | gradient × input (Shrikumar et al. 2016) | the same, times the pixel | x ∂f/∂x |
# | integrated gradients (Sundararajan et al. 2017) | all the way from 0 to x? | x · mean of ∂f/∂x |
# | SmoothGrad (Smilkov et al. 2017) | the gradient's, for noisy x | mean of ∂f/∂x(x + noise) |
# | occlusion (Zeiler and Fergus 2014) | what if the pixel were gone? | f(x) - f(x without it) |
#
# ## Two pixels by hand
#
# h1 = max(0, x1 + x2 - 1), h2 = max(0, x1 - x2), f = 2 h1 + h2, and x = (2, 1). So h = (2, 1) and
# f = 5. Both neurons are on, so the gradient is (2 + 1, 2 - 1).
#
# | method | pixel 1 | pixel 2 | sum |
# |---|---|---|---|
# | gradient | 3 | 1 | |
# | gradient × input | 6 | 1 | 7 |
# | occlusion: f(0, 1) = 0, f(2, 0) = 4 | 5 | 1 | 6 |
# | integrated gradients: on the way (2t, t), h1 is off until t = 1/3 | 14/3 | 1/3 | **5** |
# | LRP-0: h1 hands down 4, -2 of it to the bias | 6 | 1 | 7, and the bias -2: **5** |
# | LRP-gamma, γ = 1 | 68/15 | 19/15 | 5.8, and the bias -0.8: **5** |
#
# Make a prediction before you look: which two lines are always the same in a ReLU network?

# %%
import numpy as np
import lrp_numpy as lrp
from lrp_numpy.evaluation import (gradient, gradient_times_input, integrated_gradients, occlusion,
                                  perturbation_curves, smooth_grad)

net = lrp.MLP.from_arrays([np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[2.0], [1.0]])],
                          [np.array([-1.0, 0.0]), np.zeros(1)], "relu")
x = np.array([[2.0, 1.0]])
by_hand = {"gradient": (gradient(net, x), [3, 1]),
           "gradient x input": (gradient_times_input(net, x), [6, 1]),
           "occlusion": (occlusion(net, x), [5, 1]),
           "integrated gradients": (integrated_gradients(net, x, samples=3000), [14 / 3, 1 / 3]),
           "LRP-0": (lrp.explain(net, x, "0").input, [6, 1]),
           "LRP-gamma": (lrp.explain(net, x, "gamma", gamma=1.0).input, [68 / 15, 19 / 15])}
for name, (R, expected) in by_hand.items():
    print(f"{name:21} {R[0].round(3)}  sum {R.sum():.3f}")
    assert np.allclose(R, expected, atol=2e-3)
rows = {rule: lrp.explain(net, x, rule, **how).ledger
        for rule, how in (("0", {}), ("gamma", {"gamma": 1.0}))}
assert [round(row[0].bias[0] + row[1].bias[0], 12) for row in rows.values()] == [-2, -0.8]

# %% [markdown]
# Gradient × input and LRP-0 are the same (lesson 6). But only LRP says what became of the missing
# -2: the bias has it. Integrated gradients compare x with an image that is 0 everywhere. The biases
# are in both, and the sum is the difference of both outputs, f(x) - f(0), here 5 - 0. Occlusion
# gives each pixel its true worth, as long as all others stay; no sum is promised.
#
# ## Digits
#
# Two ReLU networks, one with 2 layers and one with 8, and 200 test digits. First: how much is each
# method's heatmap like that of occlusion, on the non-zero pixels?

# %%
digits = lrp.load_mnist()
x, labels = digits.test_images[:200], digits.test_labels[:200]
ink = x > 0
methods = {
    "gradient": gradient,
    "SmoothGrad": smooth_grad,
    "gradient x input": gradient_times_input,
    "integrated gradients": integrated_gradients,
    "occlusion": occlusion,
    "LRP-0": lambda net, x: lrp.explain(net, x, "0").input,
    "LRP-epsilon": lambda net, x: lrp.explain(net, x, "epsilon", epsilon=0.25).input,
    "LRP-gamma": lambda net, x: lrp.explain(net, x, "gamma", gamma=0.25).input,
    "pixel intensity": lambda net, x: x,
    "random": lambda net, x: np.random.default_rng(0).random(x.shape, np.float32)}
networks = {}
for depth, sizes in ((2, [784, 300, 10]), (8, [784, *[100] * 7, 10])):
    networks[depth] = lrp.MLP.random(sizes, activation="relu", rng=0)
    lrp.train(networks[depth], digits, epochs=10, rng=0, progress=False)
    print(f"{depth} layers: accuracy {(networks[depth].predict(x) == labels).mean():.1%}")
heatmaps = {(depth, name): method(net, x)
            for depth, net in networks.items() for name, method in methods.items()}
alike = {key: np.median([np.corrcoef(R[lit], S[lit])[0, 1]
                         for R, S, lit in zip(heatmaps[key], heatmaps[key[0], "occlusion"], ink)])
         for key in heatmaps}
print(f"{'':21} correlation with occlusion: 2 layers, 8 layers")
for name in methods:
    print(f"{name:21} {alike[2, name]:27.3f} {alike[8, name]:9.3f}")
apart = np.linalg.norm(heatmaps[2, "LRP-0"] - heatmaps[2, "occlusion"], axis=1)
apart = np.median(apart / np.linalg.norm(heatmaps[2, "occlusion"], axis=1))
print(f"2 layers: LRP-0 and occlusion differ by {apart:.0%} of its size")
assert 0.02 < apart < 0.1
for depth in networks:
    assert np.abs(heatmaps[depth, "LRP-0"] - heatmaps[depth, "gradient x input"]).max() < 1e-3
assert alike[2, "LRP-0"] > 0.99 and alike[8, "LRP-gamma"] < alike[2, "LRP-gamma"] - 0.05
assert all(alike[depth, "pixel intensity"] < 0.5 for depth in networks)

# %% [markdown]
# In a shallow network, LRP-0 and occlusion are nearly the same heatmap (they differ by about a
# twentieth of its size): removing one pixel switches few ReLUs, so the function is almost linear on
# the way. With more layers LRP-0 stays as close to occlusion, but epsilon and gamma part from
# occlusion, gamma most.
#
# ## The same test for all
#
# Pixel flipping over non-zero pixels (lesson 10): the area between LeRF and MoRF, the SRG.

# %%
fractions = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
srg = {}
for (depth, name), R in heatmaps.items():
    curves = perturbation_curves(networks[depth], x, labels, R, fractions)
    srg[depth, name] = curves.srg_estimate(curves.correct)
print(f"{'':21} SRG, and its 95 % interval: 2 layers, 8 layers")
for name in methods:
    print(f"{name:21}", *(f"{e.mean:6.2f} [{e.low:.2f}, {e.high:.2f}]"
                          for e in (srg[2, name], srg[8, name])))
for depth in networks:
    worst = min(srg[depth, name].low for name in list(methods)[:8])
    assert worst > srg[depth, "pixel intensity"].high + 0.2 > srg[depth, "random"].high + 0.2
assert srg[8, "integrated gradients"].mean > srg[8, "LRP-gamma"].mean
assert abs(srg[2, "LRP-0"].mean - srg[2, "occlusion"].mean) < 0.02
assert srg[2, "gradient"].mean < srg[2, "LRP-0"].mean

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
names = sorted(methods, key=lambda name: srg[8, name].mean)
for depth, marker, colour in ((2, "o", "#0072b2"), (8, "s", "#d55e00")):
    means = [srg[depth, name].mean for name in names]
    errors = [[e.mean - e.low for e in (srg[depth, name] for name in names)],
              [e.high - e.mean for e in (srg[depth, name] for name in names)]]
    axes.errorbar(means, np.arange(len(names)) + (0.15 if depth == 2 else -0.15), xerr=errors,
                  fmt=marker, color=colour, markersize=5)
    beside = 0.09 if depth == 2 else -0.11
    axes.text(means[-1] + beside, len(names) - 1, f"{depth} layers", color=colour,
              ha="center", va="center", fontsize=9)
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="SRG over non-zero pixels, with 95 % interval", xlim=(-0.05, 0.92),
         title="By pixel flipping, the methods that know the network are close")
show(figure, "11_srg", "the SRG of ten methods")
print("range of the eight methods, 8 layers:",
      *(round(f([srg[8, name].mean for name in list(methods)[:8]]), 2) for f in (min, max)))
assert max(srg[8, name].mean for name in list(methods)[:8]) < 0.75

# %% [markdown]
# No method stands out; the two baselines fall behind by far. On these networks integrated gradients
# and occlusion do as well as LRP-0 or better, and the plain gradient nearly so: occlusion computes
# what one flipped pixel does, and the others come near to that. LRP-gamma, with 8 layers, is the
# last of the eight. (Lesson 6 said which networks it was made for: deeper ones, where gradients
# shatter; Balduzzi et al. 2017.) So the test does not decide. What does?
#
# Look at them.

# %%
shown = [int(np.argmax(labels == digit)) for digit in (0, 2, 4, 7)]
drawn = ["gradient", "SmoothGrad", "gradient x input", "integrated gradients", "occlusion",
         "LRP-0", "LRP-gamma"]
titles = [name.replace("integrated ", "integrated\n").replace(" x ", " x\n") for name in drawn]
show(lrp.plotting.heatmaps([heatmaps[8, name][shown] for name in drawn],
                           [f"a {labels[n]}" for n in shown], titles, x[shown],
                           title="A gradient is everywhere; times x, it lies on the ink"),
     "11_heatmaps", "four digits, seven methods")
on_black = {name: np.abs(heatmaps[8, name][~ink]).sum() / np.abs(heatmaps[8, name]).sum()
            for name in drawn}
for name, share in on_black.items():
    print(f"{name:21} share of |R| on empty pixels {share:.0%}")
assert on_black["gradient"] > 0.5 and on_black["SmoothGrad"] > 0.5
assert all(on_black[name] == 0 for name in drawn[2:])

# %% [markdown]
# The gradient and SmoothGrad tell what *could* change the answer; most of both lies where there is
# no ink. The other five tell what the ink that is there *did*.
#
# ## What LRP tells besides
#
# - **It adds up, and says where the rest is.** The ledger names what the biases and ε got.
# - **It has every layer.** The relevance of hidden neurons comes with it; occlusion and integrated
#   gradients would have to be computed anew for each layer.
# - **It takes one pass back.** Occlusion takes one pass for each pixel, integrated gradients and
#   SmoothGrad one for each sample:

# %%
import time

print("seconds for 200 digits, 8 layers (times vary; nothing is claimed about them):")
for name in drawn:
    begin = time.perf_counter()
    method = methods[name]
    method(networks[8], x)
    print(f"  {name:21} {time.perf_counter() - begin:.3f}")
e = lrp.explain(networks[8], x, "gamma", gamma=0.25)
print("layers with relevance:", len(e.relevance), " ledger:", len(e.ledger), "rows")
added = e.input.sum(axis=1) + sum(row.bias + row.epsilon + row.dropped for row in e.ledger)
assert len(e.relevance) == 9 and np.allclose(added, e.ledger[-1].received, rtol=1e-3)

# %% [markdown]
# And what the others have that LRP does not: occlusion and integrated gradients need no rule to be
# chosen for each layer, only one value that stands for "nothing". Occlusion even treats the network
# as a black box.
#
# ## Try it
#
# - By hand: at x = (1, 2), h2 is off. What do the six methods give?
# - Integrated gradients from an image full of ink: `baseline=1.0`. Which pixels get the relevance
#   now?
# - Occlude with the mean, `fill=0.13`, and flip with it (`fill=0.13` in `perturbation_curves`). Who
#   wins?
# - Rank by the absolute gradient. Does it pass the test as well?
#
# **Answers.** 1: h = (2, 0), f = 4; gradient (2, 2); × input (2, 4); occlusion f(0, 2) = 2 and
# f(1, 0) = 1, so (2, 3); integrated gradients: h1 is off until t = 1/3, so (4/3, 8/3); LRP-0 (2, 4)
# and the bias -2; gamma = 1: weights (2, 2), z = 5, so (8/5, 16/5) and the bias -4/5. 2: those that
# are not 1, so nine tenths lie on the empty pixels. 3: nobody. All have a lower SRG, and occlusion
# with that fill has the same as without. 4: less well: 0.52 and 0.46, in place of 0.68 and 0.62.
#
# **Write it yourself:** occlusion and integrated gradients.
# [The exercise](exercises/ex11_other_methods.py) tells you which kind of wrong an answer is.
#
# Next: [12. Clever Hans](12_clever_hans.py).
