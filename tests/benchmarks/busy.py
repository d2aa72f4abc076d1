"""What one busy core costs: the same jobs on a quiet machine, and beside an endless loop."""
import gc
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from contenders import copy_of

IMAGES = 8000           # of an epoch, and that are explained


@contextmanager
def one_core_busy():
    """Another process that always computes."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(0.5)
    try:
        yield
    finally:
        other.kill()
        other.wait()
        time.sleep(0.5)


def busy_section(digits, options):
    jobs = all_jobs(digits, 1000 if options.small else IMAGES)
    for job in jobs.values():
        job()
    quiet, busy = [], []
    for _ in range(1 if options.small else 7):
        quiet.append(seconds(jobs))
        with one_core_busy():
            busy.append(seconds(jobs))
    table = [{"": name, "engine": engine, "ms, quiet": f"{1e3 * one:.0f}",
              "ms, one core busy": f"{1e3 * other:.0f}", "busy / quiet": f"{ratio:.1f}"}
             for (name, engine), one, other, ratio in zip(
                 jobs, np.median(quiet, axis=0), np.median(busy, axis=0),
                 np.median(np.divide(busy, quiet), axis=0))]
    return f"""## One core busy

{len(digits.train_images[:IMAGES]):,} digits are trained on for one epoch, or explained, on a
quiet machine and beside a process that keeps one core busy all the time. On two cores, two
threads could at best take 1.3 times as long; where the two are threads of one core of the
processor, all takes up to twice as long.

{as_markdown(table)}"""


def all_jobs(digits, images):
    """{(name, engine): a function without arguments}."""
    part = lrp.Digits(digits.train_images[:images], digits.train_labels[:images],
                      digits.test_images[:100], digits.test_labels[:100])
    mlp, cnn = lrp.MLP.random([784, 500, 10], "relu", rng=0), lrp.lenet(rng=0)
    deep = lrp.MLP.random([784, 300, 100, 10], "relu", rng=0)

    def epoch(net, engine):
        return lambda: lrp.train(copy_of(net), part, 1, progress=False, engine=engine)

    def explain(net, rule, engine):
        return lambda: lrp.explain(net, part.train_images, rule, intermediate=False, engine=engine)

    return {(name, engine): job for engine in ("numba", "numpy") for name, job in {
        "epoch, 784-500-10": epoch(mlp, engine), "epoch, 784-300-100-10": epoch(deep, engine),
        "LRP-epsilon": explain(mlp, "epsilon", engine), "LRP-gamma": explain(mlp, "gamma", engine),
        "epoch, CNN": epoch(cnn, engine), "LRP-gamma, CNN": explain(cnn, "gamma", engine)}.items()}


def seconds(jobs):
    """How long each job takes, one after another."""
    taken = []
    for job in jobs.values():
        gc.collect()
        begin = time.perf_counter()
        job()
        taken.append(time.perf_counter() - begin)
    return taken
