"""The package runs without a writable home, from any folder, at any path, without numba's JIT."""
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import drawn_digits
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
ODD = "Übung mit Lücken – 数字"


@pytest.fixture
def bad_home(request, tmp_path):
    """A home in which no folder can be created; under a file, not even root can."""
    if request.param == "under a file":
        (tmp_path / "file").touch()
        return tmp_path / "file" / "home"
    if os.geteuid() == 0:
        pytest.skip("root can write everywhere")
    folder = tmp_path / "home"
    folder.mkdir(mode=0o555)
    return folder


def copied(folder):
    """A fresh copy of the package in `folder`, without numba's cache."""
    shutil.copytree(ROOT / "lrp_numpy", folder / "lrp_numpy",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lrp_numpy(*arguments, package, cwd, **environment):
    """Run the command line of the copy in `package` from the folder `cwd`."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")}
    return subprocess.run([sys.executable, "-m", "lrp_numpy", *arguments], cwd=cwd, text=True,
                          capture_output=True, timeout=600, encoding="utf-8",
                          env={**kept, "PYTHONPATH": str(package), "PYTHONUTF8": "1",
                               **environment})


def by_the_loops(package, cwd, **environment):
    """The shape of some logits, by numba's loops, from the copy in `package`."""
    code = ("import numpy as np, lrp_numpy as lrp; net = lrp.MLP.random([9, 20], rng=0);"
            "print(net.forward(np.ones((2, 9), np.float32), engine='numba').shape)")
    kept = {name: value for name, value in os.environ.items()
            if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, text=True, capture_output=True,
                          timeout=600, env={**kept, "PYTHONPATH": str(package), **environment})
    assert done.returncode == 0, done.stderr
    return eval(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the C library of Linux")
def test_freed_arrays_stay_with_the_process():
    """Arrays of a megabyte, made and dropped one after another, take no new pages from the system:
    250 for each otherwise."""
    code = """
import resource, sys
import numpy as np
if sys.argv[1] == "with":
    import lrp_numpy.ops
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(2):
    before = pages()
    for n in range(50):
        a = [np.ones(2**17 + 1000 * k) for k in range(3)]
        del a
print(pages() - before)
"""
    taken = {name: int(subprocess.run([sys.executable, "-c", code, name], cwd=ROOT, text=True,
                                      capture_output=True, check=True).stdout)
             for name in ("with", "without")}
    assert taken["with"] < 1000 < taken["without"], taken


@pytest.mark.parametrize("bad_home", ["under a file", "read-only"], indirect=True)
@pytest.mark.long
def test_a_home_that_cannot_be_written(tmp_path, bad_home):
    """numba caches nothing, matplotlib uses a temporary folder, MNIST is refused in one line."""
    package = copied(tmp_path / "package")
    caches = {path.with_name("__pycache__") for path in package.rglob("*.py")}
    for cache in caches:        # a file, so that no cache can be written beside the code either
        cache.touch()
    work = tmp_path / "work"
    work.mkdir()
    home = {"HOME": str(bad_home)}
    done = lrp_numpy("explain", "--epochs", "1", "--hidden", "20", package=package, cwd=work,
                     **home)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (work / "out" / "explain_heatmaps.png").is_file()
    assert by_the_loops(package, work, **home) == (2, 20)
    assert all(cache.is_file() for cache in caches) and not list(tmp_path.rglob("*.nbi"))

    lacking = lrp_numpy("train", "--data", "mnist", package=package, cwd=work, **home)
    *_, message = lacking.stderr.splitlines()
    assert lacking.returncode == 2 and "Traceback" not in lacking.stderr, lacking.stderr
    assert message.startswith(f"lrp_numpy: error: the cache folder {bad_home}")
    assert "XDG_CACHE_HOME" in message and "LRP_NUMPY_DATA" in message


@pytest.mark.long
def test_an_odd_path(tmp_path):
    """The package, the working folder and all files have spaces and non-ASCII letters."""
    package = copied(tmp_path / ODD)
    work = tmp_path / f"{ODD} 2"
    work.mkdir()
    network, run, digit = f"{ODD}.npz", f"{ODD} run.npz", f"{ODD} 7.png"
    drawn_digits.KINDS["clean"](work / digit, 7, 0)
    for arguments in (
            ["train", "--epochs", "1", "--hidden", "20", "--checkpoint", run, "--out", ODD],
            ["train", "--epochs", "2", "--hidden", "20", "--checkpoint", run, "--out", ODD],
            ["draw", "--network", f"{ODD}/network.npz", "--picture", f"{ODD}.png"],
            ["explain", "--network", f"{ODD}/network.npz", "--out", ODD, "--image", digit]):
        done = lrp_numpy(*arguments, package=package, cwd=work, HOME=str(work))
        assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert {"network.npz", "loss.csv", "explain_heatmaps.png"} <= {
        path.name for path in (work / ODD).iterdir()}
    assert not list((package / "lrp_numpy").rglob("*.nbi"))     # the equations need no compiler
    assert by_the_loops(package, work, HOME=str(work)) == (2, 20)
    assert list((package / "lrp_numpy").rglob("*.nbi"))     # numba's cache works
    missing = lrp_numpy("explain", "--network", network, package=package, cwd=work)
    assert missing.returncode == 2
    assert missing.stderr.strip() == (f"lrp_numpy: error: {network} is not a network saved by "
                                      "lrp_numpy: no such file")


@pytest.mark.long
def test_without_numba_s_compiler(tmp_path):
    """NUMBA_DISABLE_JIT=1 runs the same kernels in Python: the same relevance, slowly."""
    code = ("import sys, numpy as np, lrp_numpy as lrp; net = lrp.MLP.random([9, 40, 3], 'relu');"
            "x = np.random.default_rng(0).random((4, 9)).astype(np.float32);"
            "np.save(sys.argv[1], lrp.explain(net, x, 'gamma').input)")
    for name, disabled in (("compiled", "0"), ("python", "1")):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, timeout=600,
                       env={**os.environ, "NUMBA_DISABLE_JIT": disabled})
    compiled, python = (np.load(tmp_path / f"{name}.npy") for name in ("compiled", "python"))
    np.testing.assert_allclose(compiled, python, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_a_backend_that_is_not_installed(tmp_path):
    """Notebooks leave MPLBACKEND behind: what needs no window runs, a window is refused."""
    backend = {"MPLBACKEND": "module://not_installed.backend"}
    done = lrp_numpy("explain", "--epochs", "1", "--hidden", "9", package=ROOT, cwd=tmp_path,
                     **backend)
    assert done.returncode == 0, done.stderr
    done = lrp_numpy("draw", "--network", "out/network.npz", package=ROOT, cwd=tmp_path, **backend)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "not_installed" in done.stderr


AFTER_WARMUP = """
import warnings
import numpy as np, lrp_numpy as lrp
from lrp_numpy import ops
warnings.simplefilter("ignore")
compiled = []
rng = np.random.default_rng(0)
x, labels = rng.random((300, 784), np.float32), rng.integers(0, 10, 300)
digits = lrp.Digits(x, labels, x[:50], labels[:50])
ops.on_compile.append(lambda: compiled.append(1))
for net in (lrp.MLP.random([784, 500, 10]), lrp.MLP.random([784, 300, 100, 10], "relu"),
            lrp.lenet(), lrp.resnet(), lrp.transformer()):
    lrp.train(net, digits, 1, progress=False, engine="numba")
    for rule in [*lrp.rules.RULES, "zennit.epsilon"]:
        lrp.explain(net, x[:20], rule, engine="numba")
before = len(compiled)
lrp.MLP.random([9, 40, 4], dtype=np.float64).forward(np.ones((2, 9)), engine="numba")
print(before, len(compiled) > before)
"""


@pytest.mark.long
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="nothing to compile")
def test_after_warmup_nothing_is_compiled(tmp_path):
    """It says what it waits for, and only once; float64 is compiled when it is needed."""
    package, cache = copied(tmp_path / "package"), str(tmp_path / "cache")

    def warmup():
        done = lrp_numpy("warmup", package=package, cwd=tmp_path, NUMBA_CACHE_DIR=cache)
        assert done.returncode == 0, done.stderr
        return done.stderr, re.findall(r"(\d+) functions? compiled", done.stdout)

    said, compiled = warmup()
    assert said.count("\n") == 1 and said.startswith("compiling the loops")
    assert len(compiled) == 5 and "0" not in compiled
    assert warmup() == ("", ["0"] * 5)
    done = subprocess.run([sys.executable, "-c", AFTER_WARMUP], cwd=tmp_path, text=True,
                          capture_output=True, timeout=600,
                          env={**os.environ, "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": cache})
    assert done.stdout.split() == ["0", "True"], done.stdout + done.stderr
