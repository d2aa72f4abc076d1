"""lessons/examples/many_machines.py: blocks of images that Dask deals out to several processes."""
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

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
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  env=environment) as cluster, distributed.Client(cluster) as one:
        yield one


def here(example, net, images, rule, block):
    """The same blocks in this process."""
    return np.concatenate([example.explain_block(net, images[start:start + block], rule)
                           for start in range(0, len(images), block)])


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
    assert relevance.tobytes() == here(example, trained, images, rule, block).tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R.npy", "images.npy"]


def test_a_killed_worker_loses_nothing(example, client, trained, digits, tmp_path, monkeypatch):
    images, block, before, seen = digits.test_images, 50, pids(client), []

    def kill():
        time.sleep(0.3)
        os.kill(min(before), signal.SIGKILL)
        seen.append("killed")

    def slow_block(net, images, rule):
        time.sleep(0.05)        # so that the work is not done before it
        return of_block(net, images, rule)

    of_block = example.explain_block
    monkeypatch.setattr(example, "explain_block", slow_block)
    killer = threading.Thread(target=kill)
    killer.start()
    example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "epsilon", block)
    killer.join()
    monkeypatch.undo()
    assert seen == ["killed"] and min(before) not in pids(client)
    assert np.load(tmp_path / "R.npy").tobytes() == here(example, trained, images, "epsilon",
                                                         block).tobytes()


def test_no_more_blocks_are_on_their_way_than_twice_the_workers(example, client, trained, digits,
                                                                tmp_path, monkeypatch):
    """Neither images nor relevance pile up: they need not fit in memory."""
    submit, on_their_way, most = client.submit, set(), []

    def counted(*how, **named):
        future = submit(*how, **named)
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
    with pytest.raises(ValueError, match="x must be finite"):
        example.explain_everywhere(client, trained, images, tmp_path / "R.npy", "0", 100)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["from before"]
