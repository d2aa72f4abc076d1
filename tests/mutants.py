"""Would the tests notice? `python -m pip install cosmic-ray`, then `python tests/mutants.py`.

In the six modules that everything rests on, every operator and number is changed, one at a time,
and the tests run. It takes hours; the survivors are printed, and the share of those killed: a test
failed, or the tests did not end within three minutes.

Left out are changes of `|`, which stands in annotations: any other operator there stops the import,
and that is no merit of the tests.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICK = ["rules", "explain", "training", "removal", "pruning", "network", "properties", "extending"]
MORE = {        # what else could notice; these import torch, so they come second
    "network": ["layers", "foreign", "checkpoint", "torch"],
    "training": ["layers", "checkpoint", "torch"],
    "rules": ["layers", "captum", "torch"],
    "explain": ["layers", "captum", "foreign", "torch"],
    "removal": [], "pruning": []}
CONFIG = """
[cosmic-ray]
module-path = ["lrp_numpy/{module}.py"]
timeout = 180.0
excluded-modules = []
test-command = "bash -c '{tests}'"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""


def tests_for(module):
    """The command that runs the module's own tests first, and stops at the first that fails."""
    rounds = [[module, *(name for name in QUICK if name != module)], MORE[module]]
    return " && ".join(
        f"{sys.executable} -m pytest -q -x -p no:cacheprovider --hypothesis-seed=0 "
        + " ".join(f"tests/test_{name}.py" for name in names) for names in rounds if names)


def mutated(module, folder):
    """[(a mutation, "killed" or "survived", its diff), ...] from a copy of the project."""
    copy = Path(folder) / module
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "out",
                                                              ".hypothesis"))
    (copy / "mutants.toml").write_text(CONFIG.format(module=module, tests=tests_for(module)))
    # one thread each: the processes are as many as the cores
    environment = {**os.environ, "PYTHONPATH": str(copy), "NUMBA_NUM_THREADS": "1",
                   "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

    def run(*command):
        done = subprocess.run(command, cwd=copy, env=environment, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{module}: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
        return done.stdout

    run("cosmic-ray", "init", "mutants.toml", "mutants.sqlite")
    run("cr-filter-operators", "mutants.sqlite", "mutants.toml")
    run("bash", "-c", tests_for(module))        # compiles, and passes as long as nothing is changed
    run("cosmic-ray", "exec", "mutants.toml", "mutants.sqlite")
    found = []
    for line in run("cosmic-ray", "dump", "mutants.sqlite").splitlines():
        item, result = json.loads(line)
        if result["worker_outcome"] != "skipped":
            found.append((item["mutations"][0], result["test_outcome"], result["diff"]))
    return found


def changed_lines(diff):
    return [line for line in diff.splitlines()
            if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", nargs="+", default=list(MORE), choices=list(MORE))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    killed, total = 0, 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.processes) as pool:
        for module, found in zip(options.module, pool.map(
                lambda module: mutated(module, folder), options.module)):
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
