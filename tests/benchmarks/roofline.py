"""What limits each loop: this machine's multiply-adds a second, or the bytes that its second-level
caches and its memory deliver; and what share of the nearer limit the loop reaches."""
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from lrp_numpy.ops import kernels
from lrp_numpy.ops.compiled import compiled
from lrp_numpy.ops.cores import thread_count
from lrp_numpy.ops.threads import dealt, share
from measuring import seconds_of

SECOND_LEVEL = 2**17        # float32 numbers that a core reads again and again: 512 KB
FIGURE = Path(__file__).with_name("roofline.png")
MEMORY = 2**26              # float32 numbers of all threads: 256 MB, more than any cache holds


@compiled(fastmath=kernels.SUMS)
def _read(turns, x, times, out):
    """Row t of x (threads, n), so many times: a sum, so that it is really read."""
    for t in dealt(turns):
        for _ in range(times):
            total = x.dtype.type(0)
            for i in range(x.shape[1]):
                total += x[t, i]
            out[t] += total


def bytes_a_second(numbers, times, turns):
    """Of all threads together, each with its own numbers."""
    x = np.ones((thread_count(), numbers), np.float32)
    seconds = seconds_of(lambda: share(_read, len(x), numbers * times, x, times,
                                       np.zeros(len(x), np.float32)), turns)
    return x.nbytes * times / seconds


def operations_a_second(turns):
    """Of NumPy's matrix product, with all threads: two for each multiply-add."""
    a = np.ones((2048, 2048), np.float32)
    with threadpool_limits(limits=thread_count(), user_api="blas"):
        return 2 * len(a)**3 / seconds_of(lambda: a @ a, turns)


def jobs_of(digits):
    """{name: (a function without arguments, its operations, the bytes that it reads from beyond
    the first-level cache)}. Only what is needed is counted: no zeros, no copies."""
    x, rng = digits.test_images[:10_000], np.random.default_rng(0)
    net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
    W, b = net.layers[0].W, net.layers[0].b
    padded, R = kernels.pad_rows(W), rng.random((len(x), 500)).astype(np.float32)
    z = kernels.linear(x, padded, b)
    lit, row = np.count_nonzero(x), W[0].nbytes
    batch, dz = x[:100], R[:100]
    state = [tuple(np.zeros_like(w) for _ in range(3)) for w in (W, b)]
    found = {
        "z = a W + b": (lambda: kernels.linear(x, padded, b), 2 * lit * 500, lit * row),
        "LRP of a layer, z known": (lambda: kernels.propagate_dense(x, padded, b, R, 0.25, z),
                                    2 * lit * 500, lit * row),
        "gradient and Adam, 100 images": (
            lambda: kernels.dense_adam_step(batch, dz, *state, 1, 1e-3, 0.9, 0.999, 1e-8),
            (2 * np.count_nonzero(batch) + 12 * 784) * 500,
            np.count_nonzero(batch) * row + 6 * W.nbytes)}
    C, K, size, side = 16, 16, 3, 14
    a, s = (rng.standard_normal((500, C, side, side)).astype(np.float32) for _ in range(2))
    kernel, bias = np.ones((C, K, size, size), np.float32), np.zeros((K, 1, 1), np.float32)
    work = 2 * 500 * K * side**2 * C * size**2
    return found | {
        "convolution": (lambda: kernels.convolve(a, kernel, bias, 1, 1), work, 2 * a.nbytes),
        "its transpose": (lambda: kernels.convolve_transpose(s, kernel, a.shape, 1, 1), work,
                          2 * a.nbytes),
        "its gradients": (lambda: kernels.convolve_gradients(a, s, size, size, 1, 1), work,
                          2 * a.nbytes)}


def measure(digits, turns):
    """(operations a second, bytes a second of cache and memory, {name: (operations, bytes,
    seconds)})"""
    caches = bytes_a_second(SECOND_LEVEL, 200, turns)
    memory = bytes_a_second(MEMORY // thread_count(), 1, turns)
    measured = {name: (operations, read, seconds_of(job, turns))
                for name, (job, operations, read) in jobs_of(digits).items()}
    return operations_a_second(turns), caches, memory, measured


def roofline_section(digits, options):
    peak, caches, memory, measured = measure(digits, 1 if options.small else 9)
    if not options.small:
        figure_of(peak, caches, memory, measured).savefig(FIGURE, dpi=90)
    table = []
    for name, (operations, read, seconds) in measured.items():
        limits = {"operations": operations / peak, "cache": read / caches}
        nearer = max(limits, key=limits.get)
        table.append({"": name, "operations a byte": f"{operations / read:.1f}",
                      "10^9 operations a second": f"{operations / seconds / 1e9:.0f}",
                      "nearer limit": nearer, "share of it": f"{limits[nearer] / seconds:.0%}"})
    return f"""## The limits of this machine

With {thread_count()} threads: {peak / 1e9:.0f} 10^9 operations a second (NumPy's matrix product of
2,048 x 2,048), {caches / 1e9:.0f} 10^9 bytes a second from the second-level caches,
{memory / 1e9:.0f} from memory. Both are what a plain sum reads; eight rows side by side can reach
more. A loop counts only what is needed: no zeros, no copies.

![operations and bytes](roofline.png)

{as_markdown(table)}"""


def figure_of(peak, caches, memory, measured):
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    ends = np.geomspace(0.2, 200, 200)
    for rate, name, style in ((caches, "second-level caches", "-"), (memory, "memory", "--")):
        axes.plot(ends, np.minimum(peak, ends * rate) / 1e9, style, color="grey")
        axes.annotate(name, (peak / rate, peak / 1e9), fontsize=8, color="grey", va="top",
                      xytext=(2, -6), textcoords="offset points")
    axes.annotate("matrix product", (ends[-1], peak / 1e9), fontsize=8, color="grey", ha="right",
                  xytext=(0, 4), textcoords="offset points")
    for name, (operations, read, seconds) in measured.items():
        x, y = operations / read, operations / seconds / 1e9
        left = "transpose" not in name and x > 10       # the others lie above one another
        axes.plot(x, y, "o", color="#0072b2", markersize=5)
        axes.annotate(name, (x, y), fontsize=8, color="#0072b2", va="center",
                      ha="right" if left else "left", xytext=(-7 if left else 7, 0),
                      textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="operations a byte",
             ylabel="10^9 operations a second",
             title="Dense loops wait for the cache, convolutions for the arithmetic")
    return figure
