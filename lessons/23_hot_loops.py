# %% [markdown]
# # 23. Hot loops
#
# **Question.** How do we make `a @ W + b` fast, when most of `a` is zero?
#
# **Running time.** 10 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py).
#
# Training and LRP consist of the same few sums. This lesson takes one of them, the forward pass of
# the first layer, from the equation to the loop in the package, step by step, and times each step
# on the spot. Times differ from machine to machine and from run to run, so look at the ratios.
#
# ## The equation is three loops
#
# z_k = b_k + sum over j of a_j w_jk, for every image n. Two images, three inputs, two neurons:
# small enough to do in your head.

# %%
import time

import numba
import numpy as np
import lrp_numpy as lrp
from lrp_numpy import ops, rules
from lrp_numpy.ops import kernels, reference
from lrp_numpy.ops.threads import thread_count


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
# Now in earnest: 100 digits, 784 pixels, 500 neurons. That is 39 million multiplications. Python is
# slow at each of them, so we let it do one image only, and multiply the time by 100. Predict: how
# many times as long as NumPy's matmul will it take?

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

# %% [markdown]
# ## Compile them
#
# numba turns the very same function into machine code. The first call compiles it, which takes a
# moment; `seconds` does not count that call.

# %%
compiled = numba.njit(three_loops)
steps["compiled"] = seconds(compiled, x, W, b, times=5)
print(f"compiled: {steps['three loops in Python'] / steps['compiled']:,.0f} times as fast as "
      f"Python, {steps['compiled'] / numpy_matmul:,.0f} times as slow as NumPy")
assert np.allclose(compiled(x, W, b), x @ W + b, atol=1e-4)

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
# ## Skip the zeros
#
# Look at lesson 1 again: a digit is a little ink on paper. How many pixels are not zero?

# %%
nonzero = (x != 0).mean()
print(f"non-zero pixels: {nonzero:.1%}; multiplications needed: "
      f"{int(nonzero * x.size) * len(b):,}")
print(f"a matmul does {1 / nonzero:.1f} times the work that is needed")
assert 0.1 < nonzero < 0.25

# %% [markdown]
# A pixel that is 0 adds 0 to every sum. So one `if` saves more than four fifths of the work, and
# the result is the same. A matmul cannot do this: it does not look at the numbers.

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
# In the innermost loop, each product costs three trips to memory: fetch w, fetch z, store z. If we
# add eight rows at once, z is fetched and stored once for eight products. `kernels.add_rows` does
# that. It needs the rows of W as one line of numbers, the place where each row starts in it, and
# the places j where a_j is not 0. It may also add in any order (`reassoc`), and multiply and add in
# one instruction (`contract`). Open `lrp_numpy/ops/kernels.py`: it contains the loop of the last
# cell, written eight times side by side.

# %%
@numba.njit
def eight_rows(a, W, b):
    z = np.zeros((len(a), len(b)), a.dtype)
    places = np.empty(len(W) + 1, np.int64)
    rows, starts = kernels.as_line(W)
    for n in range(len(a)):
        z[n] = b
        count = kernels.nonzero_places(a[n], places)
        kernels.add_rows(z[n], a[n], rows, starts, places, count)
    return z


steps["eight rows at a time"] = seconds(eight_rows, x, W, b)
print(f"eight rows at a time: {steps['skipping zeros'] / steps['eight rows at a time']:.1f} times "
      "as fast as before")
assert np.allclose(eight_rows(x, W, b), x @ W + b, atol=1e-4)

# %% [markdown]
# The sums differ a little, in their last digits: another order rounds differently. In float32 that
# is about 1e-7 of the numbers. In float64 the tests hold the kernels to the equations at 1e-10.

# %%
difference = np.abs(eight_rows(x, W, b) - three_loops(x[:1], W, b)[0])[0].max()
print(f"largest difference: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## All cores
#
# The images do not depend on one another, so the cores can share them: `kernels.linear` does this.
# Its equation is in `lrp_numpy/ops/reference.py`, under the same name: `reference.linear`. (Run
# this with nothing else at work: a busy core can make two threads slower than one.)

# %%
steps["all cores"] = seconds(kernels.linear, x, W, b)
print(f"{thread_count()} threads: "
      f"{steps['eight rows at a time'] / steps['all cores']:.1f} times as fast as one")
print(f"kernels.linear takes {steps['all cores'] / numpy_matmul:.2f} of the time of NumPy's "
      "matmul, which also uses all cores")
assert np.allclose(kernels.linear(x, W, b), reference.linear(x, W, b), atol=1e-4)

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
axes.barh(list(steps), [taken / numpy_matmul for taken in steps.values()], color="0.45")
axes.axvline(1, color="black", linestyle="--")
axes.text(1.15, -0.6, "NumPy's matmul")
axes.set(xscale="log", xlabel="time, as a multiple of NumPy's", ylim=(5.6, -1.2),
         title="From three loops in Python to those of the package")
show(figure, "23_steps", "each step's time, on a logarithmic axis")

# %% [markdown]
# NumPy's matmul is the work of decades and comes close to what the processor can do. We do not beat
# it at its own task. Our task is smaller, because we know where the zeros are.
#
# ## LRP gains twice
#
# An empty pixel gets no relevance: R_j = a_j c_j, and a_j is 0. So nobody needs c_j there either,
# and the way back, c = s @ W.T, skips four of five pixels, too. The kernel and the equation agree.

# %%
R = np.random.default_rng(0).normal(size=(100, 500)).astype(np.float32)
by_loops, _ = kernels.propagate_dense(x, W, b, R, 0.25)
by_equation = rules.propagate(x, W, b, R, 0.25)
ratio = (seconds(kernels.propagate_dense, x, W, b, R, 0.25)
         / seconds(rules.propagate, x, W, b, R, 0.25))
print(f"the kernel takes {ratio:.2f} of the time of the four lines in NumPy")
assert np.allclose(by_loops, by_equation, atol=1e-4 * np.abs(by_equation).max())
assert (by_loops[x == 0] == 0).all()

# %% [markdown]
# But the loops must be compiled once, which takes some seconds. So `explain` and `train` run
# the equations as long as the work is small, and the loops for large jobs, such as training on all
# of MNIST. With `engine="numpy"` or `engine="numba"` you choose yourself.

# %%
net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
for what, images in (("explaining 2,000 digits", 2_000), ("ten epochs on MNIST", 10 * 60_000)):
    work = images * net.multiplications
    print(f"{what}: {work:.1e} multiplications, by", ops.choose(None, work).__name__)
assert ops.choose(None, 2_000 * net.multiplications) is reference
assert ops.choose(None, 600_000 * net.multiplications) is kernels
times = {engine: seconds(lambda: lrp.explain(net, digits.test_images, "epsilon", engine=engine),
                         times=5) for engine in ("numpy", "numba")}
print(f"explaining 2,000 digits: the loops take {times['numba'] / times['numpy']:.2f} of the time "
      "of the equations")
one, other = (lrp.explain(net, x, "epsilon", engine=engine).input for engine in times)
assert np.allclose(one, other, atol=1e-4 * np.abs(other).max())

# %% [markdown]
# ## Training gains, too
#
# The gradient of the first layer is dW = a.T @ dz. Its row j is a sum over the images in which
# pixel j is not zero, so we skip again. And there is a second gain. Adam needs each number of dW
# exactly once. The kernel `dense_adam_step` hands row j to Adam while it is still in the cache, and
# forgets it. The whole of dW, 392,000 numbers, is never stored.

# %%
dz = np.random.default_rng(0).normal(size=(100, 500)).astype(np.float32)
by_loops, by_equation = (
    [(array.copy(), np.zeros_like(array), np.zeros_like(array)) for array in (W, b)]
    for _ in range(2))                          # (w, m, v) of W and of b, for each of the two
adam = lrp.Adam(net, learning_rate=1e-3)
adam.t = 1
kernels.dense_adam_step(x, dz, *by_loops, *adam.numbers)
reference.dense_adam_step(x, dz, *by_equation, *adam.numbers)
m, expected = by_loops[0][1], by_equation[0][1]
largest = np.abs(expected).max()
print(f"Adam's m after one step: largest {largest:.3f}, largest difference "
      f"{np.abs(m - expected).max():.0e}")
assert np.allclose(m, expected, atol=1e-5 * largest)

# %% [markdown]
# ## A trap: denormal numbers
#
# The m of a weight without a gradient shrinks by a tenth at every step. After some 800 steps it is
# below 1e-38, where a float32 is **denormal**: it no longer has its full precision. Many processors
# still compute with such numbers, but slowly. (If the cell prints 1, yours is not among them.)

# %%
ordinary, tiny = np.full(100_000, 1.0, np.float32), np.full(100_000, 1e-40, np.float32)
ratio = (seconds(np.multiply, tiny, np.float32(0.9))
         / seconds(np.multiply, ordinary, np.float32(0.9)))
print(f"0.9 times 1e-40 takes {ratio:.0f} times as long as 0.9 times 1")
assert (tiny > 0).all() and (tiny * np.float32(0.9) > 0).all()

# %% [markdown]
# In a ReLU network many weights have no gradient for a long time, and after some 800 steps training
# would become slower. So the kernels set m and v to 0 where they are within 1e-30 of it. No weight
# notices: Adam's step is m / (sqrt(v) + 1e-8), and 1e-30 / 1e-8 is far below the last digit of a
# weight.

# %%
w, m, v = np.ones(3, np.float32), np.array([1e-31, 1e-29, 0], np.float32), np.zeros(3, np.float32)
adam.t = 1000
kernels.adam_step(w, np.zeros(3, np.float32), m, v, *adam.numbers)
print("w:", w, " m:", m)
assert (w == 1).all() and m[0] == 0 and m[1] > 0

# %% [markdown]
# ## Another trap: waiting
#
# Two threads share the rows of a loop, half each. Then another program, a browser perhaps, takes
# one of the two cores for a while. The thread on that core is late, and the other has to wait.
#
# The usual way to wait is to look again and again, without sleeping: **spinning**. That is fast as
# long as each thread has a core. But now a thread that only waits takes the time of the one that it
# waits for. When we measured it, training, with its thousands of small loops, became more than ten
# times slower.
#
# So `lrp_numpy/ops/threads.py` does two things. A thread that waits goes to sleep after a tenth of
# a millisecond. And rows are not given out for good: a thread that is done takes rows that the
# others have not begun. Here is that rule, with two workers and ten rows. Worker A is three times
# as fast as worker B.

# %%
rows, speeds = 10, {"A": 3, "B": 1}
left = {"A": list(range(0, 5)), "B": list(range(5, 10))}       # each begins with a half
did, when = {"A": [], "B": []}, 0
while any(left.values()):
    when += 1
    for worker, other in (("A", "B"), ("B", "A")):
        for _ in range(speeds[worker]):
            part = left[worker] or left[other]
            if part:
                did[worker].append(part.pop(0))
print(f"A did rows {did['A']}, B did rows {did['B']}, in {when} steps")
assert sorted(did["A"] + did["B"]) == list(range(rows)) and len(did["A"]) > len(did["B"])
assert when == 3                        # with halves given out for good, B alone would take 5

# %% [markdown]
# A row is computed in the same way by whoever takes it. So the result has the same bits with one
# thread, with two, or beside any other program.

# %%
whole = kernels.linear(x, W, b)
by_ones = np.concatenate([kernels.linear(x[n:n + 1], W, b) for n in range(len(x))])
print("largest difference between rows shared out and one by one:", np.abs(whole - by_ones).max())
assert (whole == by_ones).all()

# %% [markdown]
# NumPy's matmul has threads of its own, which spin. While `train` or `explain` run, these threads
# leave one core free: see `lrp_numpy/ops/blas.py`.
#
# ## Try it
#
# - Make the digits dense: `x = np.maximum(x, 0.01)`. Which steps change, and which is fastest now?
# - Replace float32 with float64 everywhere. Which steps take up to twice as long, and why?
# - Set `NUMBA_NUM_THREADS=1` before Python starts, and run the lesson again.
#
# [The exercise](exercises/ex23_hot_loops.py) tells you which kind of wrong an answer is.
#
# Back to [the course](README.md).
