# %% [markdown]
# # 18. Attention by hand
#
# **Question.** Who gets the relevance: what a token looked at, or the looking?
#
# **Running time.** 3 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py) and
# [8. The ledger](08_the_ledger.py).
#
# Transformers read a text, or an image cut into squares, as a row of **tokens**. In between, they
# do something that no layer so far did: each token takes a weighted mean of all tokens, and the
# weights are not learned numbers but computed from the tokens themselves. This is **attention**
# (Vaswani et al. 2017). Each token makes three things of itself, by three linear layers: a
# **query** q (what do I look for?), a **key** k (what can be found here?) and a **value** v (what
# do I hand over?).
#
# $$s_{ij} = \frac{q_i \cdot k_j}{\sqrt d}, \qquad A_{ij} = \frac{e^{s_{ij}}}{\sum_{j'}
# e^{s_{ij'}}}, \qquad o_i = \sum_j A_{ij}\, v_j$$
#
# The **scores** s say how well query i and key j match; the softmax makes **attention weights** of
# them, which sum to 1; and o is the mean of the values with these weights. d is the number of
# entries of a query, here 1.
#
# ## Two tokens, forward
#
# Token 1 has the query 1. The keys are log 6 = 1.79 and log 2 = 0.69, so that e to the score is 6
# and 2: the weights are 6/8 and 2/8. The values are 4 and 8.
#
# | | token 1 | token 2 | |
# |---|---|---|---|
# | score s | 1 · 1.79 | 1 · 0.69 | |
# | attention weight A | 3/4 | 1/4 | sum 1 |
# | value v | 4 | 8 | |
# | A v | 3 | 2 | **o = 5** |

# %%
import numpy as np

q, k, v = 1.0, np.log([6.0, 2.0]), np.array([4.0, 8.0])
s = q * k
A = np.exp(s) / np.exp(s).sum()
o = A @ v
print("scores", s.round(2), " weights", A, " output", o)
assert np.allclose(A, [0.75, 0.25]) and np.isclose(o, 5)

# %% [markdown]
# ## Back: a product shares half and half
#
# Token 1's output 5 is to be explained: R = 5. It is a sum of two products, A v = 3 and 2, so the
# four lines share it in proportion: 3 and 2. But each of these is a **product of two things that
# depend on the input**: who of the two is to be credited, the weight or the value? Neither exists
# without the other. AttnLRP (Achtibat et al. 2024) gives half to each:
#
# | | token 1 | token 2 | sum |
# |---|---|---|---|
# | R of the product A v | 3 | 2 | 5 |
# | to the values, half | 1.5 | 1 | 2.5 |
# | to the weights, half | 1.5 | 1 | 2.5 |

# %%
R = 5.0
R_v = R_A = A * v / o * R / 2
print("to the values", R_v, " to the attention weights", R_A)
assert np.allclose(R_v, [1.5, 1]) and np.isclose((R_v + R_A).sum(), R)

# %% [markdown]
# ## Back through the softmax
#
# The weights come from the scores by a softmax, which is no sum. Near the scores that we have, it
# is almost a straight line, its **tangent**: A_j changes by A_j (1 - A_j) for each unit of s_j, and
# by -A_j A_i for each unit of s_i. The tangent is a linear layer, with a bias, and for a linear
# layer we have LRP-0. Written out, this is AttnLRP's rule for the softmax:
#
# $$R_{s_j} = s_j \left(R_{A_j} - A_j \sum_{j'} R_{A_{j'}}\right)$$
#
# Make a prediction: which sign will the first score get, if token 1's value 4 is *below* the output
# 5?
#
# | | token 1 | token 2 | sum |
# |---|---|---|---|
# | R of the weight | 1.5 | 1 | 2.5 |
# | its weight's share of 2.5 | 3/4 · 2.5 = 1.875 | 1/4 · 2.5 = 0.625 | 2.5 |
# | difference | -0.375 | 0.375 | 0 |
# | times the score | 1.79 · -0.375 = **-0.67** | 0.69 · 0.375 = **0.26** | **-0.41** |

# %%
R_s = s * (R_A - A * R_A.sum())
print("to the scores", R_s.round(2), " sum", R_s.sum().round(2))
assert np.allclose(R_s, [-0.375 * np.log(6), 0.375 * np.log(2)]) and R_s[0] < 0 < R_s[1]

# %% [markdown]
# The first score got negative relevance: had token 1 looked at itself a little more, its output
# would have been smaller, since 4 < 5. This is what the derivative says, too: with R = o, as here,
# R of a score is half of score times gradient. Let us check that with small steps.


# %%
def output(s):
    A = np.exp(s) / np.exp(s).sum()
    return A @ v


step = 1e-6
gradient = np.array([(output(s + step * one) - output(s - step * one)) / (2 * step)
                     for one in np.eye(2)])
print("gradient", gradient.round(3), " half of score x gradient", (s * gradient / 2).round(2))
assert np.allclose(s * gradient / 2, R_s, atol=1e-6)

# %% [markdown]
# ## What the softmax does not pass on
#
# 2.5 went into the softmax, -0.41 came out. The other 2.91 is the share of the tangent's bias,
# which is what the straight line gives where all scores are 0. Even there a token has weights, and
# they are not the scores' doing. As in lesson 8, we do not hide this share: it stands in the ledger
# as a bias.

# %%
constant = A * (1 - s + A @ s)          # the tangent at s, taken at scores of 0
R_constant = (R_A / A * constant).sum()
print(f"share of the tangent's constant: {R_constant:.2f}")
assert np.isclose(R_s.sum() + R_constant, R_A.sum())

# %% [markdown]
# ## To the query and the keys
#
# A score is a product again, q times k, so half goes to each. The query is in both scores:
# -0.67 / 2 + 0.26 / 2. Now we can close the book:
#
# | goes to | relevance |
# |---|---|
# | the values, 1.5 and 1 | 2.50 |
# | the query, -0.34 + 0.13 | -0.21 |
# | the keys, -0.34 and 0.13 | -0.21 |
# | the softmax's constant | 2.91 |
# | **the output** | **5.00** |

# %%
R_q, R_k = R_s.sum() / 2, R_s / 2
ledger = {"values": R_v.sum(), "query": R_q, "keys": R_k.sum(), "constant": R_constant}
for name, part in ledger.items():
    print(f"{name:9} {part:5.2f}")
assert np.isclose(sum(ledger.values()), 5) and np.isclose(R_q, R_k.sum())

# %% [markdown]
# ## The layer of the package
#
# `SelfAttention` takes queries, keys and values side by side, (N, T, 3 D), and does this for every
# token and every head. Token 2 gets the query 0, so it looks at both tokens equally: its output is
# 6. Only token 1's output is to be explained.

# %%
import lrp_numpy as lrp

layer = lrp.SelfAttention(heads=1)
tokens = np.array([[[q, k[0], v[0]], [0.0, k[1], v[1]]]])
print("outputs", layer.preactivation(tokens).ravel())
rows = []
R_tokens = layer.relevance(None, tokens, None, np.array([[[5.0], [0.0]]]), ledger=rows)
print("relevance of query, key, value, token by token:\n", R_tokens[0].round(2))
print("ledger:", *(f"{name} {part[0]:.2f}" for name, part in rows[0]._asdict().items()))
assert np.allclose(R_tokens[0], [[R_q, R_k[0], R_v[0]], [0, R_k[1], R_v[1]]])
assert np.isclose(rows[0].bias[0], R_constant)

# %% [markdown]
# ## The other way: the weights as constants
#
# Ali et al. 2022 do without all of this: they take the attention weights as if they were learned
# numbers. Then attention is a linear layer with the weights A, the values get everything, in
# proportion, 3 and 2, and queries and keys get nothing. This is **CP-LRP** (conservative
# propagation): nothing is lost, and nothing says *why* the token looked where it did.

# %%
cp = lrp.SelfAttention(heads=1, attention="cp")
rows = []
R_cp = cp.relevance(None, tokens, None, np.array([[[5.0], [0.0]]]), ledger=rows)
print("CP-LRP: relevance of query, key, value, token by token:\n", R_cp[0].round(2))
assert np.allclose(R_cp[0], [[0, 0, 3], [0, 0, 2]]) and rows[0].bias[0] == 0

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
parts = {"AttnLRP": ledger, "CP-LRP": {"values": R_cp[0, :, 2].sum(), "query": 0, "keys": 0,
                                       "constant": 0}}
colours = {"values": "#0072b2", "query": "#d55e00", "keys": "#cc79a7", "constant": "0.75"}
for y, (name, of_rule) in enumerate(parts.items()):
    low, high = 0.0, 0.0
    for part, value in of_rule.items():
        axes.barh(y, value, left=high if value > 0 else low, height=0.6, color=colours[part],
                  edgecolor="white")
        if abs(value) > 1:
            axes.text(high + value / 2, y, f"{part} {value:.2f}", ha="center", va="center",
                      color="black" if part == "constant" else "white", fontsize=9)
        low, high = (low, high + value) if value > 0 else (low + value, high)
axes.annotate("query and keys\n-0.21 each", (-0.2, 0.3), (-0.9, 0.72), fontsize=9, ha="center",
              arrowprops={"arrowstyle": "-", "color": "0.4"})
axes.set(yticks=range(len(parts)), xlim=(-1.6, 6), xlabel="relevance; all parts sum to 5",
         title="AttnLRP credits the looking, too; CP-LRP only what was looked at")
axes.set_yticks(range(len(parts)), list(parts))
show(figure, "18_who_gets", "what goes to values, query, keys and the constant, by both rules")
print("sums:", *(f"{name} {sum(of_rule.values()):.2f}" for name, of_rule in parts.items()))
assert all(np.isclose(sum(of_rule.values()), 5) for of_rule in parts.values())

# %% [markdown]
# ## When attention is sure
#
# Multiply the query by a number t: with t = 0 all weights are equal, with a large t the token looks
# at one place only. Then the softmax is flat: no small step of a score changes the weights, and its
# tangent has no slope. Predict: what do query and keys get when attention is quite sure?

# %%
shares = []
times = np.linspace(0, 12, 49)
for t in times:
    tokens_t = tokens * [[[t, 1, 1], [1, 1, 1]]]
    rows, R_start = [], layer.preactivation(tokens_t) * [[[1.0], [0.0]]]
    R_t = layer.relevance(None, tokens_t, None, R_start, ledger=rows)[0]
    shares.append([R_t[:, 2].sum(), np.abs(R_t[:, :2]).sum(), rows[0].bias[0]] / R_start.sum())
shares = np.array(shares)
for t in (0, 1, 3, 12):
    print(f"t = {t:2}: values {shares[times == t][0, 0]:.2f}, |query| and |keys| "
          f"{shares[times == t][0, 1]:.2f}, constant {shares[times == t][0, 2]:.2f}")
assert np.allclose(shares[:, 0], 0.5) and shares[-1, 1] < 1e-3 < shares[4, 1]
assert abs(shares[-1, 2] - 0.5) < 1e-3

# %%
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for column, label, style, colour in ((0, "values", "-", "#0072b2"),
                                     (2, "constant", ":", "0.35"),
                                     (1, "query and keys, absolute", "--", "#d55e00")):
    axes.plot(times, shares[:, column], style, color=colour)
    at = {0: (8.2, 0.45), 2: (2.6, 0.585), 1: (4.0, 0.08)}[column]
    axes.text(*at, label, color=colour, fontsize=9)
axes.set(xlabel="t: how much larger the query is", ylabel="share of the output", ylim=(-0.03, 0.65),
         title="When attention is sure, query and keys get nothing")
show(figure, "18_sure", "shares of values, constant, and query and keys, as the query grows")
print(f"query and keys get most at t = {times[shares[:, 1].argmax()]:.2f}")
assert 0 < times[shares[:, 1].argmax()] < 3

# %% [markdown]
# Half goes to the values whatever happens; the other half ends in the constant when attention is
# sure. So AttnLRP tells why a token looked there only as long as it could have looked elsewhere.
# That is what a tangent can say, and no more.
#
# ## Heads, and a mask
#
# Two **heads** are two of these side by side: the first half of the numbers of each query, key and
# value for the first head, the second half for the second. With a **causal** mask a token does not
# see those behind it, as in networks that write text: those scores are minus infinity, their
# weights 0, and so is their relevance.

# %%
rng = np.random.default_rng(0)
a, R_out = rng.standard_normal((1, 3, 12)), rng.standard_normal((1, 3, 4))
Q, K, V = a[..., :4], a[..., 4:8], a[..., 8:]
both = lrp.SelfAttention(heads=2).relevance(None, a, None, R_out)
for head, half in ((0, slice(0, 2)), (1, slice(2, 4))):
    alone = np.concatenate([Q[..., half], K[..., half], V[..., half]], axis=2)
    R_alone = lrp.SelfAttention(heads=1).relevance(None, alone, None, R_out[..., half])
    here = np.concatenate([both[..., start:start + 4][..., half] for start in (0, 4, 8)], axis=2)
    print(f"head {head}: largest difference {np.abs(R_alone - here).max():.1e}")
    assert np.allclose(R_alone, here)
first = lrp.SelfAttention(heads=2, causal=True).relevance(None, a, None, R_out * [[[1], [0], [0]]])
print("causal: relevance of the tokens behind the first:", np.abs(first[0, 1:]).max())
assert (first[0, 1:] == 0).all()

# %% [markdown]
# ## Try it
#
# - By hand: exchange the values, v = (8, 4). What are o, R_v and R of the scores? Which sign
#   changes?
# - Both values 5. What do the scores get, and why?
# - Give both tokens the key log 6. Where does the relevance of the scores go?
#
# **Answers.** 1: A v = (6, 1), so o = 7, and from R = 7: R_v = R_A = (3, 0.5); its sum 3.5 gives
# the differences 3 - 2.625 = 0.375 and -0.375, so R of the scores is 0.67 and -0.26: both signs
# change, since now token 1's value is above the output. 2: nothing: A v = (3.75, 1.25) is in
# proportion to A, so both differences are 0; wherever the token looks, it gets 5. 3: the weights
# are 1/2 and 1/2, A v is (2, 4) and o = 6. From R = 6, the weights get 1 and 2, and the differences
# are 1 - 1.5 = -0.5 and 0.5: R of the scores is -0.90 and 0.90. They cancel in the query, and stay
# in the keys.
#
# **Write it yourself:** the product rule and the softmax rule.
# [The exercise](exercises/ex18_attention.py) tells you which kind of wrong an answer is.
#
# Next: [19. LRP in a transformer](19_lrp_in_a_transformer.py).
