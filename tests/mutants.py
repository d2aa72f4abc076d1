"""Would the tests notice? `python -m pip install cosmic-ray`, then `python tests/mutants.py`.

In the modules that everything rests on, every operator and number is changed, one at a time, and
the tests run. It takes hours; the survivors are printed, and the share of those killed: a test
failed, or the tests did not end within three minutes. `--sample 40` takes 40 changes of each
module, drawn with a fixed seed.

Left out are changes of `|`, which stands in annotations: any other operator there stops the import,
and that is no merit of the tests.
"""
import argparse
import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICK = ["rules", "explain", "ops", "training", "network", "properties", "extending"]
# The modules, each with its own tests, and what else could notice and takes longer
MODULES = {
    "rules": (["rules", "dialects"], ["layers", "torch"]),
    "dialects": (["dialects"], []),
    "composites": (["explain", "extending"], ["layers"]),
    "explanation": (["explain", "extending"], ["layers", "dialects", "labels", "torch"]),
    "network": (["network"], ["layers", "labels", "from_torch", "checkpoint", "torch"]),
    "layers/base": (["extending", "layers"], ["torch"]),
    "layers/dense": (["network", "layers", "normalization"], ["from_torch", "torch"]),
    "layers/convolution": (["layers", "normalization"], ["from_torch", "torch"]),
    "layers/activations": (["layers", "network"], ["from_torch", "torch"]),
    "layers/normalization": (["normalization", "residual", "transformer"], ["from_torch"]),
    "layers/residual": (["residual"], ["transformer"]),
    "layers/attention": (["transformer"], ["lxt"]),
    "layers/tokens": (["transformer"], ["lxt"]),
    "models/canonize": (["normalization", "activations", "residual"], ["from_torch"]),
    "models/convert": (["from_torch", "from_sklearn"], ["convert", "from_keras"]),
    "models/from_torch": (["from_torch"], []),
    "models/from_keras": (["from_keras"], []),
    "models/from_sklearn": (["from_sklearn"], ["clusters"]),
    "models/from_folder": (["convert"], []),
    "models/lenet": (["layers"], ["network"]),
    "utils/labels": (["labels"], ["from_sklearn"]),
    "utils/foreign": (["labels", "from_torch"], ["from_sklearn", "from_keras"]),
    "ops/reference": (["ops", "layers"], ["torch"]),
    "ops/remembering": (["ops"], []),
    "ops/terms": (["rules"], ["layers"]),
    "training/adam": (["training"], ["checkpoint", "torch"]),
    "training/train": (["training"], ["checkpoint", "layers", "torch"]),
    "training/checkpoint": (["checkpoint"], []),
    "datasets/folders": (["folders"], ["data"]),
    "datasets/idx": (["data"], ["files", "folders"]),
    "datasets/pictures": (["pictures"], ["handwriting", "files"]),
    "datasets/paper": (["ink", "handwriting"], ["pictures"]),
    "datasets/ink": (["ink", "handwriting"], ["pictures"]),
    "datasets/components": (["ink", "handwriting"], ["pictures"]),
    "datasets/handwriting": (["handwriting", "pictures"], []),
    "evaluation/study": (["study", "absurd_arguments"], []),
    "evaluation/pixel_flipping": (["pixel_flipping", "absurd_arguments"], []),
    "evaluation/pruning": (["pruning", "absurd_arguments"], [])}
IMPORTED_ONCE = ["hypothesis", "pytest", "numba", "matplotlib.pyplot", "requests", "PIL.Image",
                 "tqdm", "torch", "captum.attr", "sklearn.neural_network", "keras"]
OUTPUT = "mutants.txt"          # of the last round
CONFIG = """
[cosmic-ray]
module-path = ["lrp_numpy/{module}.py"]
timeout = 180.0
excluded-modules = []
test-command = "{module}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""


def rounds(module):
    """pytest's arguments: the module's own tests first, each round up to the first that fails."""
    return [["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-W",
             "ignore:Module already imported", *(f"tests/test_{name}.py" for name in names)]
            for names in (MODULES[module][0], [name for name in QUICK
                                               if name not in MODULES[module][0]],
                          MODULES[module][1]) if names]


def mutated(module, folder, sample=None):
    """[(a mutation, "killed" or "survived", its diff), ...] from a copy of the project; of all of
    the module's mutations, or of a sample of that many."""
    copy = Path(folder) / module.replace("/", "_")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "out",
                                                              ".hypothesis"))
    (copy / "mutants.toml").write_text(CONFIG.format(module=module))
    # one thread each: the processes are as many as the cores
    environment = {**os.environ, "PYTHONPATH": str(copy), "NUMBA_NUM_THREADS": "1",
                   "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg",
                   "KERAS_BACKEND": "torch"}

    def run(*command):
        done = subprocess.run(command, cwd=copy, env=environment, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{module}: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
        return done.stdout

    run("cosmic-ray", "init", "mutants.toml", "mutants.sqlite")
    run("cr-filter-operators", "mutants.sqlite", "mutants.toml")
    if sample is not None:
        leave_out_all_but(sample, copy / "mutants.sqlite")
    run(sys.executable, "tests/mutants.py", "--work-here", module)
    found = []
    for line in run("cosmic-ray", "dump", "mutants.sqlite").splitlines():
        item, result = json.loads(line)
        if result["worker_outcome"] != "skipped":
            found.append((item["mutations"][0], result["test_outcome"], result["diff"]))
    return found


def leave_out_all_but(sample, path):
    """All pending mutations but `sample`, drawn with a fixed seed, count as skipped."""
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult
    with use_db(path, WorkDB.Mode.open) as database:
        pending = sorted(database.pending_work_items, key=lambda item: [
            str(value) for value in (item.mutations[0].start_pos, item.mutations[0].operator_name,
                                     item.mutations[0].occurrence)])
        for item in random.Random(0).sample(pending, max(0, len(pending) - sample)):
            database.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))


def work_here(module):
    """`cosmic-ray exec`, but tests run in forks of this process, which has imported already all
    that takes time, and nothing of the package."""
    from cosmic_ray import cli, mutating
    for name in IMPORTED_ONCE:
        try:
            importlib.import_module(name)
        except ImportError:
            pass        # its tests will be left out
    if run_tests(module, 1800)[0] != "survived":        # this compiles what takes time
        raise SystemExit(f"the tests of {module} must pass where nothing is changed\n"
                         f"{Path(OUTPUT).read_text()}")
    mutating.run_tests = run_tests
    cli.main(["exec", "mutants.toml", "mutants.sqlite"])


def run_tests(module, timeout):
    """In place of cosmic_ray.testing.run_tests: `timeout` is of processor time, ten times that is
    of any time, so that a busy machine kills nothing."""
    from cosmic_ray.work_item import TestOutcome
    end = time.monotonic() + 10 * timeout
    for arguments in rounds(module):
        child = os.fork()
        if child == 0:
            test_here(arguments, int(timeout))
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.01)
        if ended[1] != 0:
            return TestOutcome.KILLED, ""
    return TestOutcome.SURVIVED, ""


def test_here(arguments, timeout):
    """Run pytest, and end the process: with 0 if all passed."""
    status = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (timeout, timeout))
        signal.signal(signal.SIGINT, signal.default_int_handler)    # cosmic-ray has another
        output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, number in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(stream, number)
        sys.dont_write_bytecode = True      # changes come faster than a file's time tells
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        status = int(importlib.import_module("pytest").main(arguments))
    finally:
        os._exit(status)


def changed_lines(diff):
    return [line for line in diff.splitlines()
            if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", nargs="+", default=list(MODULES),
                        choices=list(MODULES))
    parser.add_argument("--sample", type=int, help="changes of each module (default: all)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--work-here", metavar="MODULE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work_here:
        return work_here(options.work_here)
    killed, total = 0, 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.processes) as pool:
        for module, found in zip(options.module, pool.map(
                lambda module: mutated(module, folder, options.sample), options.module)):
            survivors = [(mutation, diff) for mutation, outcome, diff in found
                         if outcome == "survived"]
            killed, total = killed + len(found) - len(survivors), total + len(found)
            print(f"{module}: {len(found) - len(survivors)} of {len(found)} killed")
            for mutation, diff in sorted(survivors, key=lambda one: one[0]["start_pos"]):
                print(f"  line {mutation['start_pos'][0]}", *changed_lines(diff), sep="\n    ",
                      flush=True)
    print(f"{killed} of {total} killed: {killed / total:.1%}")


if __name__ == "__main__":
    main()
