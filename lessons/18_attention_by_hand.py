# %% [markdown]
# # 18. Attention by hand
#
# **Question.** Who gets the relevance: what a token looked at, or the looking?
#
# **Running time.** 3 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py) and
# [8. The ledger](08_the_ledger.py).
#
# A transformer (Vaswani et al. 2017) reads its input as a row of **tokens**: words, or squares of
# an image. In **attention**, each token takes a weighted mean of what the tokens have to offer. The
# weights are not trained numbers. They are computed anew for each input. So a weight is multiplied
# by something that depends on the input, too, and both deserve relevance. How much?
#
# We take the smallest case that has everything: two tokens, one head, one number each.
#
# ## Forward
#
# A linear layer makes three numbers of each token: a **query** (what am I looking for?), a **key**
# (what am I?), and a **value** (what do I hand out?). Our tokens have two features, a and b. Let
# the query be a, the key L · b, the value 4 · b, with L = ln 3 = 1.0986, so that the exponentials
# come out even: exp(L) = 3, exp(2L) = 9.
#
# | | a | b | query q | key k | value v |
# |---|---|---|---|---|---|
# | token 1 | 1 | 1 | 1 | L | 4 |
# | token 2 | -1 | 2 | -1 | 2L | 8 |
#
# The **scores** of token 1 are its query times each key (in general, divided by the root of how
# many numbers a query has, here 1). Softmax makes weights of them. The output is the mean of the
# values by these weights:
#
# | token 1 looks at | score S | exp(S) | weight A | A · v |
# |---|---|---|---|---|
# | token 1 | 1 · L | 3 | 1/4 | 1 |
# | token 2 | 1 · 2L | 9 | 3/4 | 6 |
# | | | **12** | **1** | output **7** |
#
# Token 2 has the query -1, so it prefers small keys: its weights are 3/4 and 1/4, and its output 5.

# %%
import numpy as np

L = np.log(3)
x = np.array([[1.0, 1.0], [-1.0, 2.0]])                 # a row for each token
W = np.array([[1.0, 0.0, 0.0], [0.0, L, 4.0]])          # to query, key, value
q, k, v = (x @ W).T
S = np.outer(q, k)
A = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
O = A @ v       # noqa: E741
print("queries", q, " keys / L", k / L, " values", v)
print("weights", A.tolist(), " outputs", O)
assert np.allclose(A, [[1 / 4, 3 / 4], [3 / 4, 1 / 4]]) and np.allclose(O, [7, 5])

# %% [markdown]
# ## Back, step 1: a product
#
# We explain the output of token 1: R = 7. It is a sum of two products, 1/4 · 4 and 3/4 · 8. The sum
# is the usual business: token 1 contributed 1, token 2 contributed 6.
#
# But who made the 6, the weight 3/4 or the value 8? Without either there would be nothing. AttnLRP
# (Achtibat et al. 2024, "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for
# Transformers") gives **half to each**. That is the rule for a product of two things that both
# depend on the input, a **bilinear** step.
#
# | contribution | R | half to the weight | half to the value |
# |---|---|---|---|
# | 1/4 · 4 = 1 | 1 | 0.5 | 0.5 |
# | 3/4 · 8 = 6 | 6 | 3 | 3 |
# | sum | 7 | 3.5 | 3.5 |
#
# In matrices, with O = A V: R_A = A * (s V^T) and R_V = V * (A^T s), where s = R / 2 / O. These are
# lines 2 to 4 of LRP-0, once for each factor.

# %%
R = np.array([7.0, 0.0])
s = R / 2 / O
R_A = A * np.outer(s, v)
R_v = v * (A.T @ s)
print("to the weights of token 1:", R_A[0], " to the values:", R_v)
assert np.allclose(R_A, [[0.5, 3], [0, 0]]) and np.allclose(R_v, [0.5, 3])
assert np.isclose(R_A.sum() + R_v.sum(), R.sum())

# %% [markdown]
# ## Step 2: the softmax
#
# The weights come from the scores by a softmax, which is not linear. AttnLRP puts its **tangent**
# in its place: near our scores, a weight is a linear function of the scores, plus a constant. The
# contribution of a score is its slope times the score. This gives the rule
#
# $$R_{S_i} = S_i \left( R_{A_i} - A_i \sum_j R_{A_j} \right)$$
#
# Make a prediction before you compute: token 1's weight got 0.5, which is positive. Will its score
# get something positive, too?
#
# | | S | R_A | A · 3.5 | R_A - A · 3.5 | R_S |
# |---|---|---|---|---|---|
# | token 1 | L | 0.5 | 0.875 | -0.375 | -0.375 L = -0.412 |
# | token 2 | 2L | 3 | 2.625 | 0.375 | 0.75 L = 0.824 |
# | sum | | 3.5 | 3.5 | 0 | 0.375 L = **0.412** |

# %%
R_S = S * (R_A - A * R_A.sum(axis=1, keepdims=True))
print("to the scores of token 1:", R_S[0].round(3), f" sum {R_S.sum():.3f} of {R_A.sum():g}")
assert np.allclose(R_S[0], [-0.375 * L, 0.75 * L]) and R_S[0, 0] < 0

# %% [markdown]
# Negative. Its value, 4, is below the mean that token 1 got, 7. More of it, and the output would
# fall. A score counts by what it takes from the others.
#
# And of the 3.5 only 0.412 came out. **The softmax does not conserve relevance.** The rest, 3.088,
# belongs to the constant of the tangent: A_j (1 - S_j + sum of A_i S_i). The weights have to sum
# to 1 whatever the scores are, so most of a weight is not the scores' doing. If all scores were 0,
# there would still be weights of 1/2. The ledger treats this constant like a bias, which it is.
#
# Is this really the tangent? We compute its slopes by small steps, without the formula.


# %%
def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


step = 1e-6
slopes = np.array([(softmax(S[0] + step * one) - softmax(S[0] - step * one)) / (2 * step)
                   for one in np.eye(2)])       # [i, j]: of weight j for each unit of score i
by_steps = np.array([sum(R_A[0, j] * S[0, i] * slopes[i, j] / A[0, j] for j in range(2))
                     for i in range(2)])
constant = A[0] - S[0] @ slopes
kept = (R_A[0] * constant / A[0]).sum()
print("by small steps:", by_steps.round(3), f" the constant's share: {kept:.3f}")
assert np.allclose(by_steps, R_S[0], atol=1e-6)
assert np.isclose(kept, 3.5 - 0.375 * L, atol=1e-6)

# %% [markdown]
# ## Step 3: a product again
#
# A score is query times key. Half to each:
#
# | score | R_S | to the query of token 1 | to the key |
# |---|---|---|---|
# | q1 · k1 | -0.412 | -0.206 | -0.206, of token 1 |
# | q1 · k2 | 0.824 | 0.412 | 0.412, of token 2 |
# | sum | 0.412 | 0.206 | 0.206 |
#
# Now everything that relevance reached is a linear function of the tokens, and the four lines take
# it down. Feature a made the query; feature b made key and value.

# %%
s = R_S / 2 / S
R_q, R_k = q * (s @ k), k * (s.T @ q)
R_x = np.stack([R_q, R_k + R_v], axis=1)
print("queries", R_q.round(3) + 0, " keys", R_k.round(3), " values", R_v)
print("tokens, features a and b:", (R_x.round(3) + 0).tolist(), f" sum {R_x.sum():.3f}")
assert np.allclose(R_q, [0.1875 * L, 0]) and np.allclose(R_k, [-0.1875 * L, 0.375 * L])
assert np.allclose(R_x, [[0.1875 * L, 0.5 - 0.1875 * L], [0, 3 + 0.375 * L]])
assert np.isclose(R_x.sum() + kept, 7)

# %% [markdown]
# Here is the whole way: above, what each number was; below it, its relevance.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import RELEVANCE, show

places = {"q1": (0, 4), "k1": (0, 3), "k2": (0, 2), "v1": (0, 1), "v2": (0, 0),
          "S1": (1, 3.5), "S2": (1, 2.5), "A1": (2, 3.5), "A2": (2, 2.5), "output": (3, 1.6)}
numbers = {"q1": (q[0], R_q[0]), "k1": (k[0], R_k[0]), "k2": (k[1], R_k[1]), "v1": (v[0], R_v[0]),
           "v2": (v[1], R_v[1]), "S1": (S[0, 0], R_S[0, 0]), "S2": (S[0, 1], R_S[0, 1]),
           "A1": (A[0, 0], R_A[0, 0]), "A2": (A[0, 1], R_A[0, 1]), "output": (O[0], R[0])}
figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
for start, end in (("q1", "S1"), ("q1", "S2"), ("k1", "S1"), ("k2", "S2"), ("S1", "A1"),
                   ("S1", "A2"), ("S2", "A1"), ("S2", "A2"), ("A1", "output"), ("A2", "output"),
                   ("v1", "output"), ("v2", "output")):
    axes.plot(*zip(places[start], places[end]), color="0.75", linewidth=1.2, zorder=1)
for name, place in places.items():
    value, R_name = numbers[name]
    colour = RELEVANCE(0.5 + R_name / 14)
    axes.text(*place, f"{name} = {value:.4g}\nR = {R_name:.3g}", ha="center", va="center",
              fontsize=10, color="white" if R_name > 5 else "black", zorder=2,
              bbox={"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "0.4"})
for column, name in enumerate(("query, keys, values", "scores", "weights", "output")):
    axes.text(column, 4.75, name, ha="center", color="0.3")
axes.text(1.5, 1.95, f"the softmax keeps {kept:.3f}", ha="center", color="0.3", style="italic")
axes.set(xlim=(-0.45, 3.4), ylim=(-0.5, 5.0),
         title="AttnLRP: half of the 7 goes to the values, and the softmax keeps most of the rest")
axes.set_axis_off()
show(figure, "18_by_hand", "attention of one token as a graph, each number with its relevance")
assert np.isclose(sum(numbers[name][1] for name in ("q1", "k1", "k2", "v1", "v2")) + kept, 7)

# %% [markdown]
# ## CP-LRP: all to the values
#
# Ali et al. 2022 ("XAI for Transformers: Better Explanations through Conservative Propagation")
# decide otherwise. They take the attention weights as constants, as if they had been trained. Then
# O = A V is a linear layer, and LRP-0 gives all relevance to the values. Nothing goes to queries
# and keys, the softmax is never asked, and nothing is lost.

# %%
R_v_cp = v * (A.T @ (R / O))
print("CP-LRP, to the values:", R_v_cp, " sum", R_v_cp.sum())
assert np.allclose(R_v_cp, [1, 6])

# %% [markdown]
# Which of the two is right? Take things away, one by one, and see what becomes of the 7:


# %%
def output_of_token_1(q1, k, v):
    return softmax(q1 * np.asarray(k)) @ v


worth = {"query of token 1": 7 - output_of_token_1(0, k, v),
         "key of token 1": 7 - output_of_token_1(1, [0, k[1]], v),
         "key of token 2": 7 - output_of_token_1(1, [k[0], 0], v),
         "value of token 1": 7 - output_of_token_1(1, k, [0, v[1]]),
         "value of token 2": 7 - output_of_token_1(1, k, [v[0], 0])}
for name, attn, cp in zip(worth, (R_q[0], *R_k, *R_v), (0, 0, 0, *R_v_cp)):
    print(f"{name:17} set to 0: worth {worth[name]:5.2f}; AttnLRP {attn:6.3f}, CP-LRP {cp:g}")
assert np.allclose(list(worth.values()), [1, -0.6, 2, 1, 6])
assert np.sign([R_q[0], *R_k, *R_v]).tolist() == np.sign(list(worth.values())).tolist()

# %% [markdown]
# The query and the keys do matter. CP-LRP is blind to them; AttnLRP gives each the right sign. But
# the values are worth exactly what CP-LRP says. So they answer different questions. CP-LRP asks:
# given where the token looked, what did it see? AttnLRP asks: what did it see, and why did it look
# there?
#
# ## Why halves? Gradient × input counts twice
#
# The output is a product of weights and values, and gradient × input gives *each* factor of a
# product the whole of it. Compare all three:


# %%
def gradient_times(number, others):
    """number x derivative of the output of token 1, by a small step in it."""
    up, down = (others(number + move) for move in (step, -step))
    return number * (up - down) / (2 * step)


product = {"query": gradient_times(1.0, lambda q1: output_of_token_1(q1, k, v)),
           "keys": sum((gradient_times(k[0], lambda k1: output_of_token_1(1, [k1, k[1]], v)),
                        gradient_times(k[1], lambda k2: output_of_token_1(1, [k[0], k2], v)))),
           "values": sum((gradient_times(v[0], lambda v1: output_of_token_1(1, k, [v1, v[1]])),
                          gradient_times(v[1], lambda v2: output_of_token_1(1, k, [v[0], v2]))))}
shares = {"gradient × input": [product["values"], product["query"], product["keys"], 0],
          "CP-LRP": [R_v_cp.sum(), 0, 0, 0],
          "AttnLRP": [R_v.sum(), R_q.sum(), R_k.sum(), kept]}
for name, (of_values, of_query, of_keys, of_softmax) in shares.items():
    print(f"{name:17} values {of_values:.3f}, query {of_query:.3f}, keys {of_keys:.3f}, "
          f"softmax {of_softmax:.3f}: sum {sum(shares[name]):.3f}")
assert np.isclose(sum(shares["gradient × input"]), 7 + 1.5 * L, atol=1e-6)
assert np.isclose(product["query"], 4 * R_q[0], atol=1e-6)
assert np.isclose(product["values"], 2 * R_v.sum(), atol=1e-6)

# %%
figure, axes = plt.subplots(figsize=(7.4, 2.9), layout="constrained")
parts = (("values", "#0072b2", "", "white"), ("query", "#d55e00", "//", "black"),
         ("keys", "#e69f00", "..", "black"), ("kept by the softmax", "0.8", "", "black"))
for row, (name, of_parts) in enumerate(shares.items()):
    left = 0.0
    for (part, colour, hatch, ink), amount in zip(parts, of_parts):
        axes.barh(row, amount, left=left, color=colour, hatch=hatch, edgecolor="white", height=0.6)
        if amount > 1:
            axes.text(left + amount / 2, row, f"{part} {amount:.2f}", ha="center", va="center",
                      color=ink)
        left += amount
axes.text(7.8, 0.37, "query and keys\n0.82 each", ha="center", va="bottom", fontsize=9)
axes.annotate("query and keys, 0.21 each", (3.7, 2.3), (3.7, 2.62), ha="center", fontsize=9,
              arrowprops={"arrowstyle": "-", "color": "0.4"})
axes.axvline(7, color="black", linewidth=1, linestyle=":")
axes.text(7.08, 2.45, "the output, 7", fontsize=9)
axes.set_yticks(range(3), list(shares))
axes.set(xlabel="relevance", xlim=(0, 8.9), ylim=(-0.45, 2.9),
         title="Gradient × input counts a product twice; LRP shares it")
show(figure, "18_who_gets", "relevance of values, query, keys and softmax under three methods")
print("sums:", {name: round(float(sum(of_parts)), 3) for name, of_parts in shares.items()})
assert np.isclose(sum(shares["AttnLRP"]), 7) and np.isclose(sum(shares["CP-LRP"]), 7)

# %% [markdown]
# So AttnLRP is gradient × input with each product halved: once between weights and values, and once
# more between query and key. That makes a half for the values and a quarter for query and keys.
#
# ## Where is zero, once more
#
# Softmax does not notice if all scores rise by the same number. The rule does, for it multiplies by
# the score. Let us add 5 to both scores.

# %%
raised = S[0] + 5
R_raised = raised * (R_A[0] - softmax(raised) * R_A[0].sum())
print("weights:", softmax(raised), " to the scores:", R_raised.round(3),
      f" sum {R_raised.sum():.3f}; before: {R_S[0].round(3)}, sum {R_S[0].sum():.3f}")
assert np.allclose(softmax(raised), A[0]) and np.isclose(R_raised.sum(), R_S[0].sum())
assert np.abs(R_raised).max() > 3 * np.abs(R_S[0]).max()

# %% [markdown]
# The same function, the same sum, and much larger parts of opposite sign. A contribution is
# measured from zero (lesson 9), and for scores there is no natural zero. Keep this in mind when you
# read the relevance of a single key.
#
# ## In the package
#
# `SelfAttention` takes queries, keys and values side by side, from a Dense layer before it.
# `Tokens` before that cuts an "image" of two channels and 1 x 2 pixels into our two tokens, and
# `Flatten` makes a row of the outputs. (`start` gives the output of token 1 its 7.)

# %%
import lrp_numpy as lrp

net = lrp.Network([lrp.Tokens((2, 1, 2), 1), lrp.Dense(W, np.zeros(3), "identity"),
                   lrp.SelfAttention(), lrp.Flatten()])
image, start = x.T.reshape(1, 4), np.array([[7.0, 0.0]])
for attention, by_hand, bias in (("attnlrp", R_x, kept), ("cp", [[0, 1], [0, 6]], 0)):
    e = lrp.explain(net, image, "0", start=start, attention=attention)
    row = e.ledger[2]
    of_tokens = (e.relevance[1][0].round(3) + 0).tolist()
    print(f"{attention:7} tokens {of_tokens}; ledger of the attention: "
          f"received {row.received[0]:g} = inputs {row.inputs[0]:.3f} + bias {row.bias[0]:.3f}")
    assert np.allclose(e.relevance[1][0], by_hand) and np.isclose(row.bias[0], bias)
    assert np.allclose(row.received, row.inputs + row.bias + row.epsilon + row.dropped)
assert np.allclose(net.forward(image), [[7, 5]])

# %% [markdown]
# All numbers agree. And for more tokens, longer queries and several heads? **Heads** are attentions
# side by side, each with its own part of queries, keys and values. We write everything as loops,
# product by product, and compare with the layer, for 5 tokens, 2 heads and queries of 3 numbers.


# %%
def by_loops(Q, K, V, R):
    """(R_Q, R_K, R_V) of one head; the softmax's slopes by small steps."""
    R_Q, R_K, R_V = np.zeros(Q.shape), np.zeros(K.shape), np.zeros(V.shape)
    (T, d), root = Q.shape, np.sqrt(Q.shape[1])
    for i in range(T):
        scores = np.array([sum(Q[i, f] * K[j, f] for f in range(d)) / root for j in range(T)])
        weights, R_weights = softmax(scores), np.zeros(T)
        for g in range(d):
            total = sum(weights[j] * V[j, g] for j in range(T))
            for j in range(T):
                half = weights[j] * V[j, g] / total * R[i, g] / 2
                R_V[j, g] += half
                R_weights[j] += half
        for m, one in enumerate(np.eye(T)):
            slope = (softmax(scores + step * one) - softmax(scores - step * one)) / (2 * step)
            R_score = scores[m] * (R_weights / weights * slope).sum()
            for f in range(d):
                half = Q[i, f] * K[m, f] / root / scores[m] * R_score / 2
                R_Q[i, f] += half
                R_K[m, f] += half
    return R_Q, R_K, R_V


rng = np.random.default_rng(0)
Q, K, V, R_O = rng.normal(size=(4, 2, 5, 3))            # two heads each
side_by_side = np.concatenate([np.concatenate(list(one), axis=1) for one in (Q, K, V)], axis=1)
ledger = []
R_layer = lrp.SelfAttention(2).relevance(None, side_by_side[None], None,
                                         np.concatenate(list(R_O), axis=1)[None], ledger=ledger)
heads = [by_loops(Q[h], K[h], V[h], R_O[h]) for h in range(2)]
R_loops = np.concatenate([np.concatenate([head[part] for head in heads], axis=1)
                          for part in range(3)], axis=1)
print(f"largest relevance {np.abs(R_loops).max():.2f}, largest difference "
      f"{np.abs(R_loops - R_layer[0]).max():.0e}; received {ledger[0].received[0]:.3f} = inputs "
      f"{ledger[0].inputs[0]:.3f} + bias {ledger[0].bias[0]:.3f}")
assert np.allclose(R_loops, R_layer[0], atol=1e-6 * np.abs(R_loops).max())
assert np.isclose(ledger[0].received[0], ledger[0].inputs[0] + ledger[0].bias[0])

# %% [markdown]
# (They agree to the error of the small steps.) In the next lesson, whole networks are made of this
# layer.
#
# ## Try it
#
# - By hand: explain token 2's output, R = (0, 5). What do queries, keys and values get?
# - By hand: let the value of token 1 be 8, too. What do the scores get, and why?
# - By hand: let the query of token 1 be 0. What does the softmax pass on?
# - Double L. Token 1 is surer now. Does more or less reach query and keys?
#
# **Answers.** 1: contributions 3 and 2; values (1.5, 1), weights (1.5, 1), sum 2.5;
# R_S = -L (1.5 - 1.875) = 0.375 L and -2L (1 - 0.625) = -0.75 L, sum -0.375 L; query of token 2
# -0.1875 L, keys 0.1875 L and -0.375 L; the softmax keeps 2.5 + 0.375 L = 2.912, more than it got.
# 2: R_A = (1, 3) = A · 4, so both scores get 0. If all values are the same, it does not matter
# where a token looks. 3: nothing; both scores are 0, and the rule multiplies by them. 4: a little
# less: the weights are 1/10 and 9/10, the output 7.6, and query and keys get 0.198 each, in place
# of 0.206.
#
# **Write it yourself:** the rule of the softmax, and that of a product.
# [The exercise](exercises/ex18_attention.py) tells you which kind of wrong an answer is.
#
# Next: [19. LRP in a transformer](19_lrp_in_a_transformer.py).
