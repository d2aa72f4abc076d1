"""Time and memory of ours against the number of images, hidden neurons, layers and threads."""
import time

import numpy as np
from matplotlib.figure import Figure

import lrp_numpy as lrp
from lrp_numpy.ops import threads as our_threads
from measuring import alone, seconds_of


def stream(net, digits, images):
    """Explain `images` digits, the test set again and again, from bytes; the seconds it took."""
    x = np.rint(255 * digits.test_images).astype(np.uint8)
    begin, done = time.perf_counter(), 0
    repeated = (x[:images - start] for start in range(0, images, len(x)))
    for part in lrp.explain_batches(net, repeated, "epsilon", intermediate=False):
        done += len(part.target)
    assert done == images
    return time.perf_counter() - begin


def measure_scaling(digits, small, data):
    """{panel: [(x, {line: y}), ...]}; the memory in processes that load `data` themselves."""
    relu = lrp.MLP.random([784, 500, 10], "relu", rng=0)
    stream(relu, digits, len(digits.test_images))       # compiles
    counts = (1000, 2000) if small else (1000, 10_000, 100_000, 1_000_000)
    panels = {"seconds, streamed images": [], "MB, streamed images": []}
    for count in counts:
        times = [stream(relu, digits, count) for _ in range(3 if count > 10_000 else 15)]
        panels["seconds, streamed images"].append((count, {"time": np.median(times)}))
        megabytes = float(alone("stream", count, data))
        panels["MB, streamed images"].append((count, {"beyond the input": megabytes}))

    few = lrp.Digits(*(array[:count] for array, count in zip(digits, (6000, 6000, 100, 100))))
    x = digits.test_images[:1000 if small else 10_000]
    many = our_threads.thread_count()
    for name, sizes in (
            ("microseconds an image, hidden neurons",
             [[784, K, 10] for K in ((100, 200) if small else (100, 250, 500, 1000, 2000, 4000))]),
            ("microseconds an image, hidden layers of 500",
             [[784, *[500] * depth, 10] for depth in ((1, 2) if small else (1, 2, 3, 4, 5))])):
        panels[name] = []
        for size in sizes:
            lines = {}
            for threads in sorted({1, many}):
                our_threads._pool.threads = threads
                lines |= _times(size, few, x, f"{threads} thread{'s' * (threads > 1)}")
            our_threads._pool.threads = many
            panels[name].append((size[1] if "neurons" in name else len(size) - 2, lines))
    return panels


def _times(size, few, x, threads):
    """Microseconds an image, to explain and to train once."""
    net = lrp.MLP.random(size, "relu", rng=0)
    explain = seconds_of(lambda: lrp.explain(net, x, "epsilon", intermediate=False, engine="numba"))
    train = seconds_of(lambda: lrp.train(net, few, epochs=1, progress=False, engine="numba"))
    return {f"explain, {threads}": 1e6 * explain / len(x),
            f"train, {threads}": 1e6 * train / len(few.train_images)}


def scaling_rows(panels):
    """Every number, one row for each point."""
    return [{"": name, "at": f"{x:,}", "line": line, "value": f"{y:.4g}"}
            for name, points in panels.items() for x, lines in points for line, y in lines.items()]


def scaling_figure(panels):
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    styles = [("o-", "black"), ("s--", "black"), ("o-", "tab:red"), ("s--", "tab:red")]
    for axes, (name, points) in zip(figure.subplots(2, 2).flat, panels.items()):
        y_label, x_label = name.split(", ")
        for line, (style, colour) in zip(points[0][1], styles):
            axes.plot([x for x, _ in points], [lines[line] for _, lines in points], style,
                      color=colour, label=line, markersize=4)
        axes.set(xlabel=x_label, ylabel=y_label)
        if "layers" not in x_label:
            axes.set_xscale("log")
        if y_label == "MB" or "layers" in x_label:
            axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
        else:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure
