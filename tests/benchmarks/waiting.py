"""What a user waits for once: the first run of a job, with nothing compiled, less the second."""
import os
import subprocess
import sys
import tempfile
import time

from lrp_numpy.cli.tables import as_markdown

MAIN = """
import lrp_numpy as lrp
digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
lrp.train(net, digits, epochs=1, progress=False, engine="numba")
for rule in "epsilon", "gamma":
    lrp.explain(net, digits.test_images, rule, engine="numba")
"""
CNN = """
import lrp_numpy as lrp
lrp.train(lrp.lenet(rng=0), lrp.load_mnist(), epochs=1, progress=False, engine="numba")
"""
COMMAND = "from lrp_numpy.cli.main import main; main(['warmup'])"
JOBS = {"import lrp_numpy": "import lrp_numpy",
        "one epoch of 784-500-10, LRP-epsilon and LRP-gamma": MAIN,
        "one epoch of the CNN": CNN, "python -m lrp_numpy warmup": COMMAND}


def waiting_section(digits, options):
    table = []
    for name, code in list(JOBS.items())[:2 if options.small else None]:
        firsts, seconds = [], []
        for _ in range(1 if options.small else 3):
            with tempfile.TemporaryDirectory() as cache:
                firsts.append(seconds_of_process(code, cache))
                seconds.append(seconds_of_process(code, cache))
        first, second = (sorted(times)[len(times) // 2] for times in (firsts, seconds))
        table.append({"": name, "s, first": f"{first:.1f}", "s, second": f"{second:.1f}",
                      "first - second": f"{first - second:.1f}"})
    return f"""## Waiting for the compiler

By the loops, on the shipped digits, each in a process of its own: first with nothing compiled, then
again. (Without `engine="numba"` the shipped digits take the equations, and nobody waits.)

{as_markdown(table)}"""


def seconds_of_process(code, cache):
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env={**os.environ, "NUMBA_CACHE_DIR": cache})
    return time.perf_counter() - begin
