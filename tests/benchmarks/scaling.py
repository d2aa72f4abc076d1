"""Time and memory of ours against the number of images, hidden neurons, layers and threads."""
import time
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import numpy as np
from matplotlib.figure import Figure

import lrp_numpy as lrp
from lrp_numpy.ops import side_by_side, threads as our_threads
from measuring import alone, compare, seconds_of


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
    counts = (1000, 2000) if small else (1000, 10_000, 100_000, 1_000_000, 8_100_000)
    panels = {"seconds, streamed images": [], "MB, streamed images": []}
    for count in counts:
        turns = 15 if count <= 10_000 else 3 if count <= 10**6 else 1
        times = [stream(relu, digits, count) for _ in range(turns)]
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
             [[784, *[500] * depth, 10] for depth in ((1, 2) if small else (1, 2, 3, 5, 7, 10))])):
        panels[name] = []
        for size in sizes:
            lines = _times(size, few, x, sorted({1, many}))
            panels[name].append((size[1] if "neurons" in name else len(size) - 2, lines))
    return panels


def _times(size, few, x, threads):
    """Microseconds an image, to explain and to train once, with so many threads: in turns."""
    net = lrp.MLP.random(size, "relu", rng=0)

    def explain(number):
        with threads_at_most(number):
            lrp.explain(net, x, "epsilon", intermediate=False, engine="numba")

    def train(number):
        with threads_at_most(number):
            lrp.train(net, few, epochs=1, progress=False, engine="numba")

    jobs = {f"{job.__name__}, {number} thread{'s' * (number > 1)}": partial(job, number)
            for number in threads for job in (explain, train)}
    images = {"explain": len(x), "train": len(few.train_images)}
    return {name: 1e6 * np.median(seconds) / images[name.split(",")[0]]
            for name, seconds in compare(jobs, 5).items()}


@contextmanager
def threads_at_most(number):
    with patch.object(our_threads._pool, "threads", number), \
            patch.object(side_by_side, "thread_count", lambda: number):
        yield


def large_rows(digits, small):
    """784-4000-4000-10, and pictures of 28 x 28 to 224 x 224 pixels through a small CNN: the time
    and the memory of a few."""
    few = lrp.Digits(*(array[:count] for array, count in zip(digits, (2000, 2000, 100, 100))))
    times = _times([784, *[40 if small else 4000] * 2, 10], few, digits.test_images[:1000],
                   [our_threads.thread_count()])
    table = [{"": "784-4000-4000-10", "job": job.split(",")[0], "milliseconds an image":
              f"{value / 1e3:.3g}"} for job, value in times.items()]
    for side in (28, 56) if small else (28, 56, 112, 224):
        x = np.repeat(np.repeat(digits.test_images[:20].reshape(-1, 28, 28), side // 28, axis=1),
                      side // 28, axis=2).reshape(20, -1)
        net = lrp.Network([lrp.layers.Unflatten((1, side, side)),
                           *lrp.lenet(rng=0).layers[1:5], lrp.layers.Flatten(),
                           lrp.layers.Dense.random(16 * (side // 4 - 2)**2, 10, "identity", 0)])
        for rule in ("epsilon", "gamma"):
            seconds = seconds_of(lambda: lrp.explain(net, x, rule, intermediate=False,
                                                     engine="numba"))
            table.append({"": f"CNN, {side} x {side} pixels", "job": f"LRP-{rule}",
                          "milliseconds an image": f"{1e3 * seconds / len(x):.3g}"})
    return table


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
