"""Loops shared among threads, and NumPy's own threads: the same bits, whoever helps, and no harm to
others."""
import os
import signal
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import lrp_numpy as lrp
from lrp_numpy.ops import blas, threads
from lrp_numpy.ops.threads import dealt, share

is_compiled = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"),
                                 reason="plain Python has one thread")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
MUCH = threads.WORTH_SHARING            # work that is always shared

JOB = """
import hashlib, sys, threading
import numpy as np
import lrp_numpy as lrp
rng = np.random.default_rng(0)
x, labels = rng.random((300, 784), np.float32), rng.integers(0, 10, 300)
digits = lrp.Digits(x, labels, x[:50], labels[:50])
def job():
    found = hashlib.sha256()
    mlp = lrp.MLP.random([784, 70, 30, 10], "relu", rng=0)
    for net in mlp, lrp.lenet(rng=0), lrp.resnet(rng=0):
        lrp.train(net, digits, 1, progress=False, engine="numba")
        for rule in "epsilon", "gamma":
            found.update(lrp.explain(net, x[:100], rule, engine="numba").input.tobytes())
        for layer in net.layers:
            for name in layer.parameters:
                found.update(getattr(layer, name).tobytes())
    return found.hexdigest()
"""


def run(code, **environment):
    """What a Python of its own prints; it must end well."""
    done = subprocess.run([sys.executable, "-c", JOB + code], text=True, capture_output=True,
                          timeout=300, env={**os.environ, **environment})
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.split()


@pytest.mark.long
@is_compiled
def test_any_number_of_threads_gives_the_same_bits():
    found = {number: run("print(job())", NUMBA_NUM_THREADS=str(number)) for number in (1, 2, 3, 8)}
    assert len({text for text, in found.values()}) == 1, found


@pytest.mark.long
@is_compiled
@pytest.mark.parametrize("layer", ["workqueue", "omp", "default"])
def test_python_threads_that_compute_at_once(layer):
    """With numba's layer "workqueue", two of them ended the process (status 134)."""
    code = """
found = [job()] * 5
def work(n):
    found[n] = job()
workers = [threading.Thread(target=work, args=[n]) for n in range(4)]
for one in workers: one.start()
for one in workers: one.join()
print(len(set(found)), len(found))
"""
    assert run(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="3") == ["1", "5"]


@pytest.mark.long
@is_compiled
@can_fork
def test_a_forked_process_computes_too():
    """numba's OpenMP threads made it hang or abort. The parent goes on as before."""
    code = """
import os
before = job()
child = os.fork()
if child == 0:
    os._exit(0 if job() == before else 1)
print(job() == before, os.waitpid(child, 0)[1])
"""
    assert run(code, NUMBA_NUM_THREADS="3", PYTHONWARNINGS="ignore") == ["True", "0"]


@numba.njit(nogil=True)
def count(turns, counts, who, slow):
    for n in dealt(turns):
        counts[n] += 1
        who[n] = turns.me
        x = 0.0
        for i in range(slow[turns.me]):
            x += i * 1e-9
        if x < 0:               # keeps the loop
            counts[n] = -1


@numba.njit(nogil=True)
def fail_at_7(turns, counts):
    for n in dealt(turns):
        counts[n] += 1
        if n == 7:
            raise ValueError("seven")


@pytest.fixture
def four_threads(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 4)
    monkeypatch.setattr(threads, "_pool", threads._Pool())
    return threads._pool


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 97, 1000])
@pytest.mark.usefixtures("four_threads")
def test_each_row_is_dealt_once(number):
    for slow in ([0, 0, 0, 0], [20_000, 0, 0, 0], [0, 20_000, 0, 0]):
        for _ in range(20):
            counts, who = np.zeros(number, np.int64), np.full(number, -1)
            share(count, number, MUCH, counts, who, np.array(slow))
            assert (counts == 1).all() and ((who >= 0) & (who < 4)).all()


@is_compiled
@pytest.mark.usefixtures("four_threads")
def test_who_is_slow_gets_less():
    """The caller is a thousand times slower than its helpers, once these are awake. On a busy
    machine it may get no row at all: they can be done before it runs."""
    number = 400
    counts, who = np.zeros(number, np.int64), np.full(number, -1)
    share(count, number, MUCH, counts, who, np.array([20_000_000, 20_000, 20_000, 20_000]))
    assert (counts == 1).all() and (who == 0).sum() < number / 4


@pytest.mark.usefixtures("four_threads")
def test_small_loops_stay_with_the_caller():
    counts, who = np.zeros(50, np.int64), np.full(50, -1)
    share(count, 50, MUCH / 100, counts, who, np.zeros(4, np.int64))
    assert (counts == 1).all() and (who == 0).all()
    assert not threads._pool.bells          # and no helper was started


def test_an_error_in_any_thread_is_raised(four_threads):
    """Again and again: so the pool works after it."""
    for _ in range(50):
        counts = np.zeros(40, np.int64)
        with pytest.raises(ValueError, match="seven"):
            share(fail_at_7, 40, MUCH, counts)
        assert counts.max() <= 1 and counts[7] == 1
        ones, who = np.zeros(40, np.int64), np.zeros(40, np.int64)
        share(count, 40, MUCH, ones, who, np.zeros(4, np.int64))
        assert (ones == 1).all()
    assert four_threads.is_free.acquire(blocking=False)


@is_compiled
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("four_threads")
def test_ctrl_c_waits_for_the_helpers():
    """KeyboardInterrupt comes, and no helper writes into the arrays after it."""
    counts, who, slow = np.zeros(40, np.int64), np.zeros(40, np.int64), np.full(4, 20_000_000)
    share(count, 4, MUCH, counts, who, slow)        # compiled, and the helpers are there
    counts[:] = 0
    timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        share(count, 40, MUCH, counts, who, slow)
        time.sleep(5)           # where the loop was faster than the timer
    found = counts.copy()
    time.sleep(0.1)
    np.testing.assert_array_equal(counts, found)
    assert threads._pool.is_free.acquire(blocking=False)


@pytest.mark.parametrize("environment, number", [
    ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3), ({"OMP_NUM_THREADS": "2"}, 2),
    ({"OMP_NUM_THREADS": "0"}, None), ({"OMP_NUM_THREADS": "4,2"}, None), ({}, None)])
def test_the_number_of_threads(monkeypatch, environment, number):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if number is None and hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    assert threads.thread_count() == (number or os.cpu_count())


# NumPy's own threads

def of_numpy():
    """How many threads NumPy's matmul has now. (Other packages bring libraries of their own.)"""
    return [library.num_threads for library in blas._libraries()]


@pytest.fixture(params=[1, 2, 8])
def cores(request, monkeypatch):
    monkeypatch.setattr(blas, "core_count", lambda: request.param)
    return request.param


def calls(see):
    """Public calls of ours, in which the function `see` runs."""
    net, x = lrp.MLP.random([6, 5, 3], "relu", rng=0), np.ones((4, 6), np.float32)

    def rule(a, W, b, R):
        see()
        return lrp.rules.lrp_0(a, W, b, R)

    labels = np.zeros(4, np.int64)
    spied = lrp.MLP.random([6, 5, 3], "relu", rng=0)
    layer = spied.layers[0]
    for name in ("preactivation", "linear", "delta"):
        ours = getattr(layer, name)
        object.__setattr__(layer, name,
                           lambda *given, ours=ours, **how: (see(), ours(*given, **how))[1])
    return {"explain": lambda: lrp.explain(net, x, rule),
            "explain_batches": lambda: list(lrp.explain_batches(net, x, rule, batch_size=2)),
            "forward": lambda: spied.forward(x), "forward_pass": lambda: spied.forward_pass(x),
            "predict": lambda: spied.predict(x),
            "backward": lambda: spied.backward(net.forward_pass(x), np.ones((4, 3), np.float32)),
            "train": lambda: lrp.train(spied, lrp.Digits(x, labels, x, labels), 1, engine="numpy",
                                       progress=False)}


@pytest.mark.parametrize("name", ["explain", "explain_batches", "forward", "forward_pass",
                                  "predict", "backward", "train"])
def test_a_matmul_leaves_a_core_free_in_our_calls_only(name, cores):
    for users in (1, 2, 4):
        with threadpool_limits(users, "blas"):
            before, seen = of_numpy(), []
            calls(lambda: seen.append(of_numpy()))[name]()
            assert of_numpy() == before
        limit = [min(number, max(1, cores - 1)) for number in before]
        assert seen and all(one == limit for one in seen), (seen, limit)


def test_the_limit_ends_with_an_error(monkeypatch):
    monkeypatch.setattr(blas, "core_count", lambda: 2)
    with threadpool_limits(3, "blas"):
        before = of_numpy()

        def fail():
            raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            calls(fail)["explain"]()
        assert of_numpy() == before


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_calls_in_two_threads_leave_the_user_s_limit(monkeypatch, first_ends_first):
    monkeypatch.setattr(blas, "core_count", lambda: 2)
    with threadpool_limits(3, "blas"):
        before = of_numpy()
        is_in, may_end, seen = threading.Event(), threading.Event(), []

        def second():
            with blas.one_core_free():
                seen.append(of_numpy())
                is_in.set()
                may_end.wait(30)

        worker = threading.Thread(target=second)
        with blas.one_core_free():
            with blas.one_core_free():
                worker.start()
                is_in.wait(30)
            seen.append(of_numpy())
            if not first_ends_first:
                may_end.set()
                worker.join()
                seen.append(of_numpy())
        may_end.set()
        worker.join()
        assert all(one == [1] * len(before) for one in seen) and of_numpy() == before


@can_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_the_user_s_limit(monkeypatch):
    monkeypatch.setattr(blas, "core_count", lambda: 2)
    with threadpool_limits(3, "blas"):
        before = of_numpy()
        with blas.one_core_free():
            child = os.fork()
            if child == 0:
                os._exit(0 if of_numpy() == before else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert of_numpy() == before


def test_plain_python_shares_no_loop():
    """Without numba's compiler, two threads could take the same row, or none."""
    code = "from lrp_numpy.ops.threads import _pool; print(_pool.threads)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True,
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1", "NUMBA_NUM_THREADS": "4"})
    assert done.stdout == "1\n"
