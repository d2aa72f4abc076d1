"""Time side by side, and memory of one job in a process of its own."""
import ctypes
import gc
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def compare(jobs, repetitions):
    """{name: seconds (repetitions,)}: the jobs in turn, again and again, each once before that."""
    for job in jobs.values():
        job()
    times = {name: [] for name in jobs}
    for _ in range(repetitions):
        for name, job in jobs.items():
            gc.collect()
            time.sleep(0.1)         # the threads of the one before come to rest
            begin = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - begin)
    return {name: np.array(seconds) for name, seconds in times.items()}


def seconds_of(job, repetitions=3):
    """The median time of a job, after one call that is not counted."""
    return float(np.median(compare({"job": job}, repetitions)["job"]))


def rows(times, ours="lrp_numpy"):
    """A table: median, quartiles, and how long ours takes as a share of it, run by run."""
    table = []
    for name, seconds in times.items():
        low, median, high = (f"{1e3 * q:.1f}" for q in np.quantile(seconds, [0.25, 0.5, 0.75]))
        ratio = np.median(times[ours] / seconds)
        table.append({"": name, "ms": median, "quartiles": f"{low} .. {high}",
                      "ours / this": "" if name == ours else f"{ratio:.2f}"})
    return table


def peak_beyond_now(job):
    """Megabytes that the process grows by at its peak while the job is done a second time: what
    the first brings in once, such as compiled loops, is not counted. What it has given back is
    given back to the system before, or the second would find it there."""
    job()
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")             # the peak begins anew
    before = _status("VmRSS")
    job()
    return (_status("VmHWM") - before) / 1e3


def alone(kind, name, data, small=False):
    """What `run.py --one KIND NAME` prints, in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "run.py"), "--data", data,
               "--one", kind, str(name)]
    return subprocess.run(command + ["--small"] * small, check=True, text=True,
                          capture_output=True).stdout.strip()


def batches_of(N, epochs, rng):
    """The places of the images in every batch of 100, each epoch in another order."""
    rng = np.random.default_rng(rng)
    orders = [rng.permutation(N) for _ in range(epochs)]
    return [order[start:start + 100] for order in orders for start in range(0, N, 100)]


def _status(name):
    """Kilobytes, from Linux's /proc."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
