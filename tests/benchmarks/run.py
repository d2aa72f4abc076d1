"""How fast, and how much memory: python tests/benchmarks/run.py [--small] [--data mnist]

Prints each table as it is done; without --small also writes RESULTS.md, table by table, and its
figures beside this file. Nothing else should run meanwhile. Needs torch and scikit-learn; captum,
zennit and LXT take part where they are installed: pip install '.[bench]'.
"""
import argparse
import os
import platform
import sys
import warnings
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from busy import busy_section
from clusters import clusters_section
from cnn import cnn_memory, cnn_section
from contenders import as_module, copy_of, explainers, our_steps, torch_steps, trainers
from modern import modern_section
from measuring import alone, batches_of, compare, peak_beyond_now, rows
from roofline import roofline_section
from scaling import large_rows, measure_scaling, scaling_figure, scaling_rows, stream
from waiting import waiting_section

HERE = Path(__file__).parent
RULES = ("epsilon", "gamma")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="only see that it runs")
    parser.add_argument("--data", choices=["mnist-10k", "mnist"], default="mnist-10k")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    digits = lrp.load_mnist(options.data)
    if options.small:
        digits = lrp.Digits(*(array[:1000] for array in digits))
    if options.one:
        print(one_measurement(digits, *options.one))
        return
    done = []
    warnings.filterwarnings("ignore", message="gamma is made for")      # of some negative logits
    for section in (heading, training_section, explanation_section, generalized_section,
                    cnn_section, modern_section, waiting_section, roofline_section,
                    clusters_section, busy_section, scaling_section):
        print(f"... {section.__name__.replace('_', ' ')}", file=sys.stderr, flush=True)
        done.append(section(digits, options))
        print(f"\n{done[-1]}", flush=True)
        if not options.small:
            (HERE / "RESULTS.md").write_text("\n\n".join(done) + "\n")


def scaling_section(digits, options):
    measured = measure_scaling(digits, options.small, options.data)
    if not options.small:
        scaling_figure(measured).savefig(HERE / "scaling.png", dpi=90)
    return ("## Cost as the work grows\n\n![time and memory](scaling.png)\n\n"
            + as_markdown(scaling_rows(measured)) + "\n\n## Large networks and pictures\n\n"
            + as_markdown(large_rows(digits, options.small)))


def heading(digits, options):
    def known(name):
        try:
            return version(name)
        except PackageNotFoundError:
            return "missing"
    versions = ", ".join(f"{name} {known(name)}" for name in (
        "numpy", "numba", "torch", "captum", "zennit", "scikit-learn"))
    return f"""# Benchmarks

Written by `python tests/benchmarks/run.py --data {options.data}`: {processor()},
{os.cpu_count()} cores, all threads at their defaults, float32, 784-500-10, Python
{platform.python_version()}, {versions}. The contenders take turns in one process. Only the ratios
mean something elsewhere: each is the median over the turns of our time divided by the other's, so
below 1 is faster."""


def processor():
    """The name of this machine's processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def training_section(digits, options):
    """One epoch, after a look whether everybody computes the same."""
    images = digits.train_images
    labels = digits.train_labels.astype(np.int64)
    net = lrp.MLP.random([784, 500, 10], "sigmoid", rng=0)
    batches = batches_of(len(images), epochs=1, rng=0)
    ours = our_steps(copy_of(net), images, labels, batches[:50])
    theirs = torch_steps(as_module(net), images, labels, batches[:50])
    difference = np.max(np.abs(np.array(ours) / theirs - 1))
    assert difference < 1e-4, difference
    times = compare(trainers(net, images, labels, batches), 1 if options.small else 7)
    text = f"""## Training: one epoch of {len(images):,} digits, batches of 100, sigmoid

From the same weights, over the same batches: the loss of each of the first {len(ours)} steps equals
torch's to {difference:.0e} relative.

{as_markdown(rows(times))}"""
    if options.small:
        return text
    return f"{text}\n\n{accuracy_table(digits, images, labels)}"


def accuracy_table(digits, images, labels, epochs=10):
    """Accuracy after ten epochs, ours and torch's, from the same weights."""
    import torch
    table = []
    for seed in range(3):
        net = lrp.MLP.random([784, 500, 10], "sigmoid", rng=seed)
        batches = batches_of(len(images), epochs, seed)
        module = as_module(net)
        torch_steps(module, images, labels, batches)
        our_steps(net, images, labels, batches)
        with torch.no_grad():
            predicted = module(torch.from_numpy(digits.test_images)).argmax(dim=1).numpy()
        shares = [(guess == digits.test_labels).mean()
                  for guess in (net.predict(digits.test_images), predicted)]
        table.append({"seed": str(seed), "lrp_numpy": f"{shares[0]:.2%}",
                      "torch": f"{shares[1]:.2%}"})
    return f"Accuracy after {epochs} epochs:\n\n{as_markdown(table)}"


def explanation_section(digits, options):
    """Both rules, after a look whether everybody computes the same."""
    net, x = trained(digits), digits.test_images
    sections = []
    for rule in RULES:
        # captum's gamma leaves the bias as it is: with no positive bias that is the same
        same = lrp.MLP([replace(layer, b=np.minimum(layer.b, 0)) for layer in net.layers])
        found = {name: job() for name, job in explainers(same, x[:500], rule).items()}
        for name, R in found.items():
            scale = np.abs(found["our NumPy equations"]).max(axis=1, keepdims=True)
            far = np.abs(R - found["our NumPy equations"]) > 1e-3 * scale
            assert far.any(axis=1).mean() < 0.01, (rule, name)
        times = compare(explainers(net, x, rule), 1 if options.small else 11)
        sections.append(f"""## Explaining {len(x):,} digits by LRP-{rule}, ReLU

The prediction is part of the job. All relevances agree.

{as_markdown(with_memory(rows(times), rule, options))}""")
    return "\n\n".join(sections)


def generalized_section(digits, options):
    """zennit's Gamma is the rule for both signs; so is our "gamma_generalized"."""
    net, x = trained(digits), digits.test_images
    jobs = {"lrp_numpy": lambda: lrp.explain(net, x, "gamma_generalized", intermediate=False,
                                             engine="numba").input,
            "our NumPy equations": lambda: lrp.explain(net, x, "gamma_generalized",
                                                       intermediate=False, engine="numpy").input}
    jobs |= {name: job for name, job in explainers(net, x, "gamma").items() if name == "zennit"}
    found = [job() for job in jobs.values()]
    for R in found:
        far = np.abs(R - found[0]) > 1e-3 * np.abs(found[0]).max(axis=1, keepdims=True)
        assert far.any(axis=1).mean() < 0.01
    return f"""## Explaining {len(x):,} digits by generalized LRP-gamma, ReLU

The prediction is part of the job. All relevances agree.

{as_markdown(rows(compare(jobs, 1 if options.small else 7)))}"""


def trained(digits):
    net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
    lrp.train(net, digits, epochs=3, progress=False)
    return net


def with_memory(table, kind, options):
    """The rows with the megabytes that each job needs, measured in a process of its own."""
    for row in table:
        row["MB"] = alone(kind, row[""], options.data, options.small)
    return table


def one_measurement(digits, kind, name):
    """What `alone` asks for: the memory of a contender."""
    net = lrp.MLP.random([784, 500, 10], "relu", rng=0)
    if kind == "cnn":
        return f"{cnn_memory(digits, name):.0f}"
    if kind == "stream":
        return f"{peak_beyond_now(lambda: stream(net, digits, int(name))):.0f}"
    return f"{peak_beyond_now(explainers(net, digits.test_images, kind)[name]):.0f}"


if __name__ == "__main__":
    main()
