# %% [markdown]
# # 19. LRP in a transformer
#
# **Question.** Does the attention of a transformer tell what its prediction rests on?
#
# **Running time.** 25 seconds. **Before it.** [18. Attention by hand](18_attention_by_hand.py) and
# [17. Shortcuts and normalisation](17_shortcuts_and_normalisation.py).
#
# A transformer comes with pictures of its own: its attention weights. Why not look at those? Here
# we train a small one on digits, explain it by AttnLRP, by CP-LRP, by gradient × input and by its
# attention, and put all to the test of lesson 10.
#
# ## A digit as sixteen tokens
#
# A vision transformer (Dosovitskiy et al. 2021) cuts the image into squares, here 4 x 4 squares of
# 7 x 7 pixels. Each square is a token of 49 numbers. They go through these layers:
#
# | layer | what it does | relevance |
# |---|---|---|
# | `Tokens` | cuts | every pixel is in one token, so back the same way |
# | `Dense` | 48 numbers from each token's 49 | the four lines |
# | `Positions` | adds what tells a token's place | the four lines; the places are a bias |
# | `Residual` | x + attention(norm(x)), four heads | lessons 17 and 18 |
# | `Residual` | x + two Dense layers(norm(x)), with GELU between | lesson 17; GELU passes R on |
# | the same two | a second block | |
# | `LayerNorm`, `MeanOverTokens`, `Dense` | ten logits | lesson 17, and the four lines |

# %%
import numpy as np
import lrp_numpy as lrp

digits = lrp.load_mnist()
net = lrp.transformer(rng=0)
history = lrp.train(net, digits, epochs=5, learning_rate=2e-3, rng=0)
print(f"accuracy {history.accuracy[-1]:.1%}, {lrp.evaluation.count_parameters(net):,} weights")
print([f"{type(layer).__name__} {shape}" for layer, shape in zip(net.layers, net.shapes[1:])])
images, labels = digits.test_images[:300], digits.test_labels[:300]
tokens = net.layers[0].preactivation(images)
print("tokens:", tokens.shape)
assert history.accuracy[-1] > 0.88 and tokens.shape == (300, 16, 49)
assert (tokens[0, 5].reshape(7, 7) == images[0].reshape(28, 28)[7:14, 7:14]).all()

# %% [markdown]
# Do not expect more of 8,000 digits. A transformer has to learn from examples what a convolution
# has built in: that neighbouring pixels belong together.
#
# ## The ledger
#
# `explain` goes down through all of it. `attention="attnlrp"` is the default; `"cp"` takes the
# attention weights as constants. `rule="0"` is for the linear parts, and means that there is no
# epsilon anywhere.

# %%
from lrp_numpy.cli import tables

explained = {"AttnLRP": lrp.explain(net, images, "0"),
             "CP-LRP": lrp.explain(net, images, "0", attention="cp")}
for name, e in explained.items():
    print(name)
    print(tables.as_text(tables.ledger_cells(e.ledger, image=0)))
    for row in e.ledger:
        assert np.allclose(row.received, sum(row[1:]), atol=1e-2)
    added = e.input.sum(axis=1) + sum(row.bias + row.epsilon + row.dropped for row in e.ledger)
    reached = np.median(e.input.sum(axis=1) / e.logits.max(axis=1))
    print(f"of the logit, {reached:.0%} reaches the pixels (median of 300 digits)\n")
    assert np.allclose(added, e.logits.max(axis=1), atol=1e-2)
assert all(np.abs(e.ledger[3].epsilon).max() == 0 for e in explained.values())

# %% [markdown]
# It closes under both. Layers 4 and 6 are those with attention. Under AttnLRP their column
# "bias" holds the true biases *and* what the constant of the softmax's tangent keeps (lesson 18).
# So under CP-LRP more of the logit reaches the pixels.
#
# ## Attention as an explanation
#
# **Raw attention**: in the last block, how much do the tokens look at each square? We take the mean
# over heads and tokens.
#
# **Attention rollout** (Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers")
# follows the weights through all blocks. Each block passes a token on by the shortcut and mixes it
# with others by attention; both count half. The blocks are multiplied:
#
# $$B_l = \tfrac12 (A_l + I), \qquad \text{rollout} = B_L \cdots B_2 B_1$$
#
# By hand, with the weights of lesson 18, A = (1/4, 3/4; 3/4, 1/4): B = (5/8, 3/8; 3/8, 5/8). So
# after one block token 1 is made of token 1 by 5/8. Relevance says something else: by CP-LRP, 6 of
# the 7 came from token 2: its weight 3/4 times its value 8. That layer had no shortcut, and rollout
# never sees a value.


# %%
def attention_rollout(A):
    """A (L, h, T, T): weights of the blocks and heads, the lowest block first."""
    rollout = np.eye(A.shape[-1])
    for block in A:
        rollout = (block.mean(axis=0) + np.eye(A.shape[-1])) / 2 @ rollout
    return rollout


of_lesson_18 = np.array([[[0.25, 0.75], [0.75, 0.25]]])
print("one block:", attention_rollout(of_lesson_18[None]).tolist())
print("two blocks:", attention_rollout(np.array([of_lesson_18] * 2)).tolist())
assert np.allclose(attention_rollout(of_lesson_18[None]), [[5 / 8, 3 / 8], [3 / 8, 5 / 8]])
assert np.allclose(attention_rollout(np.array([of_lesson_18] * 2))[0], [17 / 32, 15 / 32])

# %% [markdown]
# In our network, the weights are inside the blocks: LayerNorm, then queries, keys and values, then
# attention. Both maps give one number for each square, so all pixels of a square get the same.


# %%
def attention_weights(net, x):
    """(N, L, h, T, T)"""
    found = []
    for layer, a in zip(net.layers, net.activations(x)):
        for inner in getattr(layer, "layers", ()):
            if isinstance(inner, lrp.SelfAttention):
                found.append(inner.attend(a).A)
            a = inner.forward(a)
    return np.stack(found, axis=1)


def as_pixels(squares):
    """(N, 16) -> (N, 784): each pixel gets the number of its square."""
    return np.kron(squares.reshape(-1, 4, 4), np.ones((7, 7))).reshape(-1, 784)


A = attention_weights(net, images)
raw = A[:, -1].mean(axis=(1, 2))
rollout = np.stack([attention_rollout(one) for one in A]).mean(axis=1)
print("attention weights:", A.shape, f" sums of raw attention {raw.sum(axis=1).min():.4f} to "
      f"{raw.sum(axis=1).max():.4f}, of rollout {rollout.sum(axis=1).min():.4f} to "
      f"{rollout.sum(axis=1).max():.4f}")
assert A.shape == (300, 2, 4, 16, 16)
assert np.allclose(raw.sum(axis=1), 1, atol=1e-4) and np.allclose(rollout.sum(axis=1), 1, atol=1e-4)

# %% [markdown]
# ## Look at them

# %%
from lrp_numpy.evaluation import gradient_times_input
from lrp_numpy.plotting import show

heatmaps = {"AttnLRP": explained["AttnLRP"].input, "CP-LRP": explained["CP-LRP"].input,
            "gradient x input": gradient_times_input(net, images),
            "rollout": as_pixels(rollout), "raw attention": as_pixels(raw)}
chosen = [int(np.argmax((labels == k) & (net.predict(images) == k))) for k in (0, 2, 4, 7)]
show(lrp.plotting.heatmaps([R[chosen] for R in heatmaps.values()],
                           [f"a {labels[n]}" for n in chosen],
                           list(heatmaps), images[chosen],
                           title="Attention sees sixteen squares, and no evidence against"),
     "19_heatmaps", "four digits under five methods")
for name, R in heatmaps.items():
    negative = np.maximum(-R, 0).sum() / np.abs(R).sum()
    print(f"{name:17} negative part of |R| {negative:4.0%}, on empty pixels "
          f"{np.abs(R[images == 0]).sum() / np.abs(R).sum():.0%}")
assert (heatmaps["rollout"] >= 0).all() and (heatmaps["AttnLRP"][images == 0] == 0).all()
assert np.abs(heatmaps["rollout"][images == 0]).sum() > 0.5 * heatmaps["rollout"].sum()

# %% [markdown]
# And ask another question: "why 9?" instead of "why 4?". Make a prediction before you look: which
# heatmaps change?

# %%
fours = images[labels == 4]
alike = {}
for name, method in (("AttnLRP", lambda k: lrp.explain(net, fours, "0", target=k).input),
                     ("rollout", lambda k: as_pixels(np.stack([attention_rollout(one).mean(axis=0)
                                                               for one in A[labels == 4]])))):
    alike[name] = np.median([np.corrcoef(R[x > 0], S[x > 0])[0, 1]
                             for R, S, x in zip(method(4), method(9), fours)])
    print(f"{name:8} 'why 4?' and 'why 9?' correlate {alike[name]:.2f}")
assert alike["rollout"] > 0.9999 and alike["AttnLRP"] < 0.8

# %% [markdown]
# Rollout does not know which class we ask about, and so it must give the same answer. It says where
# information could have flowed, not what was made of it.
#
# ## Pixel flipping
#
# Over non-zero pixels, with three baselines. First 30 % flipped, most relevant first:

# %%
from lrp_numpy.evaluation import estimate, flip_ranked, perturbation_curves, rank

at_random = np.zeros_like(images)
accuracy = {"original": (net.predict(images) == labels).mean()}
for name, R, pixels in (("random", at_random, "all"), ("size-matched random", at_random, "nonzero"),
                        ("pixel intensity", images, "nonzero"),
                        *((name, R, "nonzero") for name, R in heatmaps.items())):
    ranks = rank(images, R, "morf", pixels=pixels, rng=0)
    flipped = flip_ranked(images, ranks, 0.3, pixels="nonzero")
    accuracy[name] = (net.predict(flipped) == labels).mean()
for name, value in accuracy.items():
    print(f"{name:20} accuracy {value:.1%}")
assert max(accuracy["AttnLRP"], accuracy["CP-LRP"]) < accuracy["rollout"] - 0.1
assert accuracy["rollout"] < accuracy["pixel intensity"] < accuracy["size-matched random"]

# %% [markdown]
# By MoRF alone, attention beats the brightness of the pixels. But MoRF is half of the test. The SRG
# also asks whether what a method calls irrelevant can go. (Lesson 10: the area between LeRF and
# MoRF.)
#
# One more comparison is needed to be fair. Attention gives one number for 49 pixels. Is it worse
# because it is wrong, or because it is coarse? So we make the others coarse, too: AttnLRP *summed
# over each square*. And we make rollout fine: rollout times the ink of each pixel.


# %%
def in_squares(R):
    """The sum over each square, given to each of its pixels."""
    return as_pixels(R.reshape(-1, 4, 7, 4, 7).sum(axis=(2, 4)).reshape(-1, 16))


def gains_of(R):
    """LeRF minus MoRF for each digit (N,): the mean over five shares of flipped pixels."""
    curves = perturbation_curves(net, images, labels, R, [0.05, 0.15, 0.3, 0.5, 0.7])
    return curves.correct["lerf"].mean(axis=0) - curves.correct["morf"].mean(axis=0)


fine = {**heatmaps, "pixel intensity": images, "rollout x ink": as_pixels(rollout) * images,
        "size-matched random": np.random.default_rng(0).random(images.shape)}
fine = {name: R for name, R in fine.items() if name not in ("rollout", "raw attention")}
coarse = {"rollout": heatmaps["rollout"], "raw attention": heatmaps["raw attention"],
          "AttnLRP, summed": in_squares(heatmaps["AttnLRP"])}
gains = {name: gains_of(R) for name, R in (fine | coarse).items()}
srg = {name: estimate(gain[None]) for name, gain in gains.items()}
for title, group in (("a number for each pixel", fine), ("a number for each square", coarse)):
    print(title)
    for name in group:
        print(f"  {name:20} SRG {srg[name].mean:5.2f} [{srg[name].low:.2f}, {srg[name].high:.2f}]")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
names = sorted(srg, key=lambda name: srg[name].mean)
for group, title, marker, colour in ((fine, "each pixel", "o", "#0072b2"),
                                     (coarse, "each square", "s", "#d55e00")):
    rows = [i for i, name in enumerate(names) if name in group]
    found = [srg[names[i]] for i in rows]
    axes.errorbar([e.mean for e in found], rows, fmt=marker, color=colour, markersize=5,
                  xerr=[[e.mean - e.low for e in found], [e.high - e.mean for e in found]])
    top = max(rows)
    axes.text(srg[names[top]].high + 0.02, top, f"a number for {title}", color=colour, va="center",
              fontsize=9)
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="SRG over non-zero pixels, with 95 % interval", xlim=(-0.06, 1.2),
         xticks=np.arange(0, 0.9, 0.2),
         title="LRP is far ahead for each pixel, and hardly for each square")
show(figure, "19_srg", "the SRG of AttnLRP, CP-LRP, gradient x input, attention and baselines")
print("from the lowest:", names)
ahead = min(srg[name].low for name in ("AttnLRP", "CP-LRP", "gradient x input"))
assert ahead > max(srg[name].high for name in srg if name not in (
    "AttnLRP", "CP-LRP", "gradient x input")) + 0.1
assert srg["AttnLRP"].mean > srg["CP-LRP"].mean > srg["gradient x input"].mean
assert srg["rollout"].mean < srg["pixel intensity"].mean
assert abs(srg["AttnLRP, summed"].mean - srg["rollout"].mean) < 0.12

# %% [markdown]
# The intervals are those of each method alone. All methods have seen the same digits, so
# differences can be told more exactly: digit by digit, and then the interval of their mean.

# %%
paired = {}
for pair in (("AttnLRP", "CP-LRP"), ("AttnLRP", "gradient x input"), ("rollout x ink",
             "pixel intensity"), ("rollout", "pixel intensity"), ("AttnLRP, summed", "rollout")):
    e = paired[pair] = estimate((gains[pair[0]] - gains[pair[1]])[None])
    print(f"{pair[0]:16} - {pair[1]:17} {e.mean:5.2f} [{e.low:.2f}, {e.high:.2f}]")
squares = in_squares(heatmaps["AttnLRP"]).reshape(300, 4, 7, 4, 7)[:, :, 0, :, 0]
cancelled = 1 - np.abs(squares).sum() / np.abs(heatmaps["AttnLRP"]).sum()
print(f"of AttnLRP's |R|, {cancelled:.0%} cancels within the squares")
assert cancelled > 0.3
assert paired["AttnLRP", "CP-LRP"].low > 0 and paired["AttnLRP", "gradient x input"].low > 0.02
assert paired["rollout", "pixel intensity"].high < 0
assert -0.02 < paired["AttnLRP, summed", "rollout"].mean < 0.15

# %% [markdown]
# What this says, and what it does not:
#
# - AttnLRP, CP-LRP and gradient × input pass, far above all baselines. AttnLRP comes first, a
#   little above CP-LRP and more above gradient × input. This is one network, trained once; in one
#   trained on all of MNIST, AttnLRP and CP-LRP tie ([results](RESULTS.md)).
# - Neither attention map reaches the SRG of the image's own brightness. Rollout times ink is only
#   a little above the ink alone.
# - But **AttnLRP summed over squares is only a little better than rollout**, and no better than the
#   ink. So at the resolution of squares hardly any distance is left. The test does not show that
#   rollout picks the wrong squares. Squares of 7 x 7 pixels are too coarse for these digits: they
#   hold strokes for and strokes against, which cancel in the sum.
#
# So the case against rollout rests on something simpler. It cannot be asked about a class, it has
# no negative evidence, and it ends at the squares. Relevance goes on to the pixels.
#
# ## Does gamma help?
#
# For large vision transformers, the authors of AttnLRP recommend the gamma rule for the linear
# layers: it takes noise out of the heatmaps. We try it. Activations here may be negative, so the
# fitting form is the generalized gamma (lesson 6). Beside it the plain one, which is made for
# activations after a ReLU.

# %%
import warnings

warnings.filterwarnings("ignore", message="gamma is made for")    # of a negative a: see lesson 6
values = (0.05, 0.25, 1.0)
by_gamma = {rule: [estimate(gains_of(lrp.explain(net, images, rule, gamma=gamma).input)[None])
                   for gamma in values]
            for rule in ("gamma_generalized", "gamma")}
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for rule, title, style, colour, lift in (("gamma_generalized", "generalized gamma", "-o", "#0072b2",
                                          0.05), ("gamma", "plain gamma", "--s", "#d55e00", 0.06)):
    found = [srg["AttnLRP"], *by_gamma[rule]]
    for gamma, e in zip((0, *values), found):
        print(f"{title:18} γ = {gamma:4g}: SRG {e.mean:5.2f} [{e.low:.2f}, {e.high:.2f}]")
    means = np.array([e.mean for e in found])
    axes.errorbar(range(4), means, fmt=style, color=colour, markersize=5, capsize=2,
                  yerr=[means - [e.low for e in found], [e.high for e in found] - means])
    axes.text(2.1, means[2] + lift, title, color=colour)
axes.axhline(srg["pixel intensity"].mean, color="0.4", linestyle=":")
axes.text(-0.1, srg["pixel intensity"].mean + 0.02, "pixel intensity", color="0.4")
axes.set_xticks(range(4), ["0 (LRP-0)", *map(str, values)])
axes.set(xlabel="γ of all linear layers", ylabel="SRG, with 95 % interval", ylim=(-0.1, 0.85),
         title="Here, gamma does not help: the larger, the worse")
show(figure, "19_gamma", "SRG against gamma for the generalized and the plain rule, both falling")
for rule in by_gamma:
    means = [srg["AttnLRP"].mean, *(e.mean for e in by_gamma[rule])]
    assert means == sorted(means, reverse=True)
assert all(general.low > plain.high for general, plain in zip(*by_gamma.values()))

# %% [markdown]
# It does not help here. Every γ lowers the SRG. That is no contradiction: their networks have
# dozens of layers and photographs as inputs, and their gradients are noisy. Ours has two blocks,
# and there is little noise to take out. The plain gamma does worst: it is not made for negative
# activations or a negative z (lesson 17). A good rule is good for some networks. Try γ on yours,
# and test it.
#
# AttnLRP's authors publish their code as **LXT** ("LRP eXplains Transformers"), for PyTorch and for
# language models with billions of weights. It computes what we did by hand, as gradient × input of
# a network whose steps have been changed so that this product is relevance.
#
# ## Try it
#
# - Train with `rng=1` in `lrp.transformer` and `lrp.train`. Does the order stay?
# - Use smaller squares: `lrp.transformer(rng=0, size=4)` has 49 tokens (and trains more slowly; in
#   the first asserts, in `as_pixels` and `in_squares`, 16, 49, 4 and 7 become 49, 16, 7 and 4). Is
#   rollout better now?
# - Sum the pixel intensity over the squares, with `in_squares(images)`. Where does it stand?
# - `rule="epsilon"` with `epsilon=0.01` and 0.25: what reaches the pixels, and what does the ledger
#   say about the rest?
#
# **Answers.** 1: it does: 0.69, 0.67 and 0.58 for the three methods that pass, rollout 0.15, raw
# attention 0.02. 2: its SRG rises to 0.25, level with the ink's 0.21; AttnLRP has 0.61, and the
# network reads only 86 % of the digits. 3: at -0.07, below chance: the squares full of ink are not
# those that matter most. 4: with 0.01, 26 % of the logit reach the pixels and ε has 15 %; with
# 0.25, 1 % and 90 %. The numbers within a transformer are small, so an ε of 0.25 is large.
#
# **Write it yourself:** attention rollout.
# [The exercise](exercises/ex19_transformer.py) tells you which kind of wrong an answer is.
#
# Next: [20. Clusters](20_clusters.py).
