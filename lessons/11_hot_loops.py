# %% [markdown]
# # 11. Hot loops
#
# **Question.** How do we make `a @ W + b` fast, when most of `a` is zero?
#
# **Running time.** 10 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py).
#
# Training and LRP are made of the same few sums. This lesson takes one of them, the forward pass of
# the first layer, from the equation to the loop that the package runs, step by step, and times each
# step on the spot. Times differ from machine to machine and from run to run, so look at the ratios.
#
# ## The equation is three loops
#
# z_k = b_k + sum over j of a_j w_jk, for every image n. Two images, three inputs, two neurons:
# small enough for your head.

# %%
import time

import numba
import numpy as np
import lrp_numpy as lrp
from lrp_numpy.ops import kernels


def three_loops(a, W, b):
    z = np.zeros((len(a), len(b)), a.dtype)
    for n in range(len(a)):
        for k in range(len(b)):
            z[n, k] = b[k]
            for j in range(len(W)):
                z[n, k] += a[n, j] * W[j, k]
    return z


a = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
W, b = np.array([[1.0, 0.0], [2.0, -1.0], [0.0, 5.0]]), np.array([1.0, 1.0])
print(three_loops(a, W, b))
assert three_loops(a, W, b).tolist() == [[5, 4], [4, 1]]
assert (three_loops(a, W, b) == a @ W + b).all()

# %% [markdown]
# ## A hundred digits
#
# Now in earnest: 100 digits, 784 pixels, 500 neurons. That is 39 million multiplications. Python
# takes its time over each of them, so we let it do one image only, and multiply by 100.

# %%
digits = lrp.load_mnist()
x = digits.test_images[:100]
layer = lrp.MLP.random([784, 500, 10], "relu", rng=0).layers[0]
W, b = layer.W, layer.b


def seconds(function, *arguments, times=30):
    """The median time of a call, after one that is not counted."""
    function(*arguments)
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        function(*arguments)
        taken.append(time.perf_counter() - begin)
    return np.median(taken)


numpy_matmul = seconds(lambda: x @ W + b)
steps = {"three loops in Python": 100 * seconds(three_loops, x[:1], W, b, times=1)}
print(f"multiplications: {x.size * len(b):,}")
print(f"three loops in Python take {steps['three loops in Python'] / numpy_matmul:,.0f} times as "
      "long as NumPy's matmul")
assert np.allclose(three_loops(x[:1], W, b), x[:1] @ W + b, atol=1e-4)
assert steps["three loops in Python"] > 50 * numpy_matmul

# %% [markdown]
# ## Compile them
#
# numba turns the very same function into machine code. Its first call compiles, which takes a
# moment; `seconds` does not count it.

# %%
compiled = numba.njit(three_loops)
steps["compiled"] = seconds(compiled, x, W, b, times=5)
print(f"compiled: {steps['three loops in Python'] / steps['compiled']:,.0f} times as fast as "
      f"Python, {steps['compiled'] / numpy_matmul:,.0f} times as slow as NumPy")
assert np.allclose(compiled(x, W, b), x @ W + b, atol=1e-4)
assert steps["three loops in Python"] > 10 * steps["compiled"]

# %% [markdown]
# ## Go along the rows
#
# Memory is read in lines of 64 bytes: 16 neighbouring numbers. Our innermost loop runs over j,
# **down** a column of W, and uses one number of each line. Swap the two inner loops, and it runs
# **along** a row, uses all 16, and can do eight or more multiplications in one instruction.

# %%
@numba.njit
def along_rows(a, W, b):
    z = np.zeros((len(a), len(b)), a.dtype)
    for n in range(len(a)):
        z[n] = b
        for j in range(len(W)):
            for k in range(len(b)):
                z[n, k] += a[n, j] * W[j, k]
    return z


steps["along the rows"] = seconds(along_rows, x, W, b, times=10)
print(f"along the rows: {steps['compiled'] / steps['along the rows']:.1f} times as fast as before")
assert np.allclose(along_rows(x, W, b), x @ W + b, atol=1e-4)

# %% [markdown]
# ## Leave out what is zero
#
# Look at lesson 1 again: a digit is a little ink on black. How much ink?

# %%
lit = (x != 0).mean()
print(f"lit pixels: {lit:.1%}; multiplications needed: {int(lit * x.size) * len(b):,}")
print(f"a matmul does {1 / lit:.1f} times the work that is needed")
assert 0.1 < lit < 0.25

# %% [markdown]
# A pixel that is 0 adds 0 to every sum. So one `if` saves four fifths of the work, and the result
# is the same. A matmul cannot do this: it does not look at the numbers.

# %%
@numba.njit
def skipping_zeros(a, W, b):
    z = np.zeros((len(a), len(b)), a.dtype)
    for n in range(len(a)):
        z[n] = b
        for j in range(len(W)):
            if a[n, j] != 0:
                for k in range(len(b)):
                    z[n, k] += a[n, j] * W[j, k]
    return z


steps["skipping zeros"] = seconds(skipping_zeros, x, W, b, times=10)
print(f"skipping zeros: {steps['along the rows'] / steps['skipping zeros']:.1f} times as fast as "
      "before")
assert (skipping_zeros(x, W, b) == along_rows(x, W, b)).all()

# %% [markdown]
# ## Eight rows at a time
#
# In the innermost loop, each product costs three trips to memory: fetch w, fetch z, store z. If
# eight rows are added at once, z is fetched and stored once for eight products. The package's
# `add_rows` does that. It wants the rows of W as one line of numbers, the place where each row
# starts in it, and the list of the j with a_j not 0. It may also add in any order (`reassoc`) and
# multiply and add in one instruction (`contract`). Open `lrp_numpy/kernels.py`, and you will find
# the loop of the last cell in it, written eight times side by side.

# %%
@numba.njit
def eight_rows(a, W, b):
    z = np.zeros((len(a), len(b)), a.dtype)
    places = np.empty(len(W) + 1, np.int64)
    rows, starts = kernels.flat(W)
    for n in range(len(a)):
        z[n] = b
        count = kernels.places_of_nonzero(a[n], places)
        kernels.add_rows(z[n], a[n], rows, starts, places, count)
    return z


steps["eight rows at a time"] = seconds(eight_rows, x, W, b)
print(f"eight rows at a time: {steps['skipping zeros'] / steps['eight rows at a time']:.1f} times "
      "as fast as before")
assert np.allclose(eight_rows(x, W, b), x @ W + b, atol=1e-4)

# %% [markdown]
# The sums come out a little different, in the last digits: another order, other rounding. In
# float32 that is some 1e-7 of the numbers. In float64 the tests hold the kernels to the equations
# at 1e-10.

# %%
difference = np.abs(eight_rows(x, W, b) - three_loops(x[:1], W, b)[0])[0].max()
print(f"largest difference: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## All cores
#
# The images do not need one another. `numba.prange` in place of `range` shares them out among the
# cores. That is `kernels.affine`, the one that the package uses.

# %%
steps["all cores"] = seconds(kernels.affine, x, W, b)
print(f"{numba.get_num_threads()} threads: "
      f"{steps['eight rows at a time'] / steps['all cores']:.1f} times as fast as one")
print(f"kernels.affine takes {steps['all cores'] / numpy_matmul:.2f} of the time of NumPy's "
      "matmul, which also uses all cores")
assert np.allclose(kernels.affine(x, W, b), x @ W + b, atol=1e-4)
assert steps["all cores"] < steps["compiled"] / 2

# %%
import matplotlib.pyplot as plt
from course import show

figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
axes.barh(list(steps), [taken / numpy_matmul for taken in steps.values()], color="0.45")
axes.axvline(1, color="black", linestyle="--", label="NumPy's matmul")
axes.set(xscale="log", xlabel="time, as a multiple of NumPy's")
axes.invert_yaxis()
axes.legend(loc="lower right")
show(figure, "11_steps")
assert steps["eight rows at a time"] < steps["compiled"] > steps["skipping zeros"]

# %% [markdown]
# ![each step's time, on a logarithmic axis](figures/11_steps.png)
#
# NumPy's matmul is the work of decades, and nearly all of what the processor can do. We do not beat
# it at its own task. We have a smaller task, since we know what it does not: where the zeros are.
#
# ## LRP gets this twice
#
# A black pixel earns nothing: R_j = a_j c_j, and a_j is 0. So c_j need not be known there either,
# and the step down, c = s @ W.T, is left out for four of five pixels. The kernel and the equation
# agree.

# %%
from lrp_numpy import rules

R = np.random.default_rng(0).normal(size=(100, 500)).astype(np.float32)
by_loops, _ = kernels.propagate(x, W, b, 0.25, R)
by_equation = rules.propagate(x, W, b, 0.25, R)
ratio = seconds(kernels.propagate, x, W, b, 0.25, R) / seconds(rules.propagate, x, W, b, 0.25, R)
print(f"the kernel takes {ratio:.2f} of the time of the four lines in NumPy")
assert np.allclose(by_loops, by_equation, atol=1e-4 * np.abs(by_equation).max())
assert (by_loops[x == 0] == 0).all()

# %% [markdown]
# `explain` and `train` use the kernels, and with `engine="numpy"` the equations.

# %%
net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
times = {engine: seconds(lambda: lrp.explain(net, digits.test_images, "epsilon", engine=engine),
                         times=5) for engine in ("numpy", "numba")}
print(f"explaining 2,000 digits: the loops take {times['numba'] / times['numpy']:.2f} of the time "
      "of the equations")
one, other = (lrp.explain(net, x, "epsilon", engine=engine).input for engine in times)
assert np.allclose(one, other, atol=1e-4 * np.abs(other).max())

# %% [markdown]
# ## Training gets it, too
#
# The gradient of the first layer is dW = a.T @ dz. Its row j is a sum over the images in which
# pixel j is lit; so we skip again. And there is a second gain. Adam needs each number of dW exactly
# once. The kernel `descend` hands row j to Adam while it is still in the cache, and forgets it. The
# whole of dW, 392,000 numbers, is never written down.

# %%
rng = np.random.default_rng(0)
dz = rng.normal(size=(100, 500)).astype(np.float32)
state = [[array.copy(), np.zeros_like(array), np.zeros_like(array)] for array in (W, b)]
kernels.descend(x, dz, *state, 1)
expected = [W.copy(), np.zeros_like(W), np.zeros_like(W)]
lrp.training.adam_step(expected[0], x.T @ dz, *expected[1:], t=1)
largest = np.abs(expected[1]).max()
print(f"Adam's m after one step: largest {largest:.3f}, largest difference "
      f"{np.abs(state[0][1] - expected[1]).max():.0e}")
assert np.allclose(state[0][1], expected[1], atol=1e-5 * largest)

# %% [markdown]
# ## A trap: numbers that are next to nothing
#
# A weight that gets no gradient keeps its m, less a tenth at every step. After some 800 steps it is
# below 1e-38, where a float32 has no full precision any more. Many processors still compute with
# such numbers, but slowly.

# %%
ordinary, tiny = np.full(100_000, 1.0, np.float32), np.full(100_000, 1e-40, np.float32)
ratio = (seconds(np.multiply, tiny, np.float32(0.9))
         / seconds(np.multiply, ordinary, np.float32(0.9)))
print(f"0.9 times 1e-40 takes {ratio:.0f} times as long as 0.9 times 1")
assert (tiny > 0).all() and (tiny * np.float32(0.9) > 0).all()

# %% [markdown]
# In a ReLU network many weights go without a gradient for long, and training would become slower
# from epoch to epoch. So `descend` sets to 0 what is left of m and v below 1e-30. No weight
# notices: Adam's step is m / (sqrt(v) + 1e-8), and 1e-30 / 1e-8 is far below what a weight can
# hold.

# %%
w, m, v = np.ones(3, np.float32), np.array([1e-31, 1e-29, 0], np.float32), np.zeros(3, np.float32)
kernels.adam_step(w, np.zeros(3, np.float32), m, v, 1000)
print("w:", w, " m:", m)
assert (w == 1).all() and m[0] == 0 and m[1] > 0

# %% [markdown]
# ## Another trap: two pools of threads
#
# NumPy's matmul has threads of its own. When it is done, they do not go to sleep at once. They spin
# for a while, in case there is more to do, and keep the cores busy. Whoever comes next with threads
# of another kind must share. We time `kernels.affine` alone, and each time right after a matmul.

# %%
def right_after_a_matmul(times=30):
    taken = []
    for _ in range(times):
        x @ W
        begin = time.perf_counter()
        kernels.affine(x, W, b)
        taken.append(time.perf_counter() - begin)
    return np.median(taken)


alone = seconds(kernels.affine, x, W, b)
after = right_after_a_matmul()
print(f"right after a matmul, kernels.affine takes {after / alone:.1f} times as long as alone")
assert np.allclose(kernels.affine(x, W, b), x @ W + b, atol=1e-4)      # slow, but right

# %% [markdown]
# On a machine with as many threads as cores you will see a number far above 1, for the very same
# loop. (With one thread for NumPy's matmul, `OPENBLAS_NUM_THREADS=1`, it is about 1.) Therefore
# nothing in a training step or an explanation calls a matmul: not even the tiny last layer, for
# which it would be good enough. One pool of threads does all the work.
#
# ## Try it
#
# - Make the digits denser: `x = np.maximum(x, 0.01)`. Which steps change, and who wins now?
# - Replace float32 by float64 everywhere. Why does nearly everything take twice as long?
# - `numba.set_num_threads(1)`, and run the lesson again.
#
# Next: [12. Broken LRP: find the fault](12_broken_lrp.py).
