"""lessons/examples/many_machines.py: blocks of images that Dask deals out to several processes."""
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lrp_numpy as lrp

EXAMPLES = Path(__file__).parent.parent / "lessons" / "examples"
distributed = pytest.importorskip("distributed", exc_type=ImportError)
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        import many_machines
        yield many_machines
        del sys.modules["many_machines"]


@pytest.fixture
def client():
    paths = os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)])
    environment = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0",
                                  env=environment) as cluster, distributed.Client(cluster) as one:
        yield one


def here(net, images, rule, block):
    """The same blocks in this process, without the example."""
    blocks = (images[start:start + block] for start in range(0, len(images), block))
    return np.concatenate([part.input for part in lrp.explain_batches(net, blocks, rule)])


def pids(client):
    return set(client.run(os.getpid).values())


@pytest.mark.parametrize("rule", ["epsilon", "gamma_generalized"])
@pytest.mark.parametrize("block", [1000, 97, 1])
def test_the_same_bits_as_in_one_process(example, client, trained, digits, tmp_path, rule, block):
    """Blocks that divide the images evenly or not, fewer blocks than workers; bytes from a file."""
    images = np.rint(255 * digits.test_images[:97 * 7 + 5 if block > 1 else 9]).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    example.explain_everywhere(client, trained, np.load(tmp_path / "images.npy", mmap_mode="r"),
                               tmp_path / "R.npy", rule, block)
    relevance = np.load(tmp_path / "R.npy")
    assert relevance.tobytes() == here(trained, images, rule, block).tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R.npy", "images.npy"]


def test_the_same_bits_as_explain(example, client, trained, digits, tmp_path):
    images = digits.test_images[:400]
    example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "epsilon", 100)
    whole = lrp.explain(trained, images, "epsilon", engine="numba")
    assert np.load(tmp_path / "R.npy").tobytes() == whole.input.tobytes()


def test_float64_images_keep_their_bits(example, client, trained, digits, tmp_path):
    images = digits.test_images[:50].astype(np.float64)
    example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "epsilon", 20)
    relevance = np.load(tmp_path / "R.npy")
    assert relevance.tobytes() == here(trained, images, "epsilon", 20).tobytes()


def test_one_client_explains_again_and_again(example, client, trained, digits, tmp_path):
    """The end of one call takes nothing from the next that has the same network."""
    images = digits.test_images[:60]
    expected = here(trained, images, "0", 10).tobytes()
    for _ in range(50):
        example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "0", 10)
        assert np.load(tmp_path / "R.npy").tobytes() == expected


@pytest.mark.parametrize("killed", [1, 2])
def test_a_killed_worker_loses_nothing(example, client, trained, digits, tmp_path, monkeypatch,
                                       killed):
    """Killed in the middle of a block; with both, each copy of the network is gone as well."""
    images, block, before, attempts = digits.test_images, 50, sorted(pids(client)), tmp_path / "by"
    of_block = example.explain_block
    attempts.mkdir()

    def slow_block(net, images, rule):
        (attempts / f"{time.time_ns()}_{os.getpid()}").touch()
        time.sleep(0.05)
        return of_block(net, images, rule)

    def kill():
        while len(list(attempts.iterdir())) < 12:
            time.sleep(0.01)
        for pid in before[:killed]:
            os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(example, "explain_block", slow_block)
    killer = threading.Thread(target=kill)
    killer.start()
    example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "epsilon", block)
    killer.join()
    assert not set(before[:killed]) & pids(client)
    assert len(list(attempts.iterdir())) > len(images) / block      # some were begun twice
    relevance = np.load(tmp_path / "R.npy")
    assert relevance.tobytes() == here(trained, images, "epsilon", block).tobytes()


RUN = """
import sys, time
import numpy as np
from distributed import Client
import lrp_numpy as lrp
import many_machines as example

def slow_block(net, images, rule):
    time.sleep(0.1)
    return of_block(net, images, rule)

of_block, example.explain_block = example.explain_block, slow_block
with Client(sys.argv[1]) as client:
    example.explain_everywhere(client, lrp.MLP.random([784, 10], rng=0),
                               np.ones((4000, 784), np.float32), "R.npy", "0", 10)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_under_the_final_name(client, tmp_path, how):
    """After Ctrl-C there is nothing at all; after a kill, a file that says it is unfinished."""
    unfinished = tmp_path / "R.npy.unfinished"
    paths = os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)])
    running = subprocess.Popen([sys.executable, "-c", RUN, client.scheduler.address], cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (unfinished.exists() and np.load(unfinished, mmap_mode="r")[0].any()):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == (
        [] if how == signal.SIGINT else [unfinished.name])


def test_no_more_blocks_are_on_their_way_than_twice_the_workers(example, client, trained, digits,
                                                                tmp_path, monkeypatch):
    """Neither images nor relevance pile up: they need not fit in memory."""
    submit, on_their_way, most = client.submit, set(), []

    def counted(*how, **named):
        future = submit(*how, **named)
        if how[0] is not example.explain_block:     # the network
            return future
        on_their_way.add(future.key)
        most.append(len(on_their_way & set(client.futures)))      # not yet released
        return future

    monkeypatch.setattr(client, "submit", counted)
    example.explain_everywhere(client, trained, digits.test_images, tmp_path / "R.npy", "0", 100)
    assert len(most) == len(on_their_way) == 20 and 4 <= max(most) <= 5


def test_an_error_leaves_no_file(example, client, trained, digits, tmp_path):
    images = digits.test_images[:300].copy()
    images[250, 3] = np.nan
    (tmp_path / "R.npy").write_text("from before")
    with pytest.raises(ValueError, match="from image 200 on: x must be finite"):
        example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "0", 100)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["from before"]


@pytest.mark.parametrize("block", [0, -5])
def test_blocks_without_images_are_refused(example, client, trained, digits, tmp_path, block):
    with pytest.raises(ValueError, match=f"block must be at least 1, got {block}"):
        example.explain_everywhere(client, trained, digits.test_images, tmp_path / "R.npy", "0",
                                   block)
    assert not list(tmp_path.iterdir())


def test_without_workers_nothing_is_written(example, trained, digits, tmp_path, monkeypatch):
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster, \
            distributed.Client(cluster) as client:
        wait = client.wait_for_workers
        monkeypatch.setattr(client, "wait_for_workers", lambda n, timeout: wait(n, timeout=1))
        with pytest.raises(TimeoutError, match="Only 0/1 workers arrived"):
            example.explain_everywhere(client, trained, digits.test_images, tmp_path / "R.npy")
    assert not list(tmp_path.iterdir())
