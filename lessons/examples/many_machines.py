# %% [markdown]
# # Many machines
#
# **Question.** One machine does not get through the pictures in time. How do several share them?
#
# **Running time.** 10 seconds. **Before it.** [23. Hot loops](../23_hot_loops.py).
# **It needs** Dask: `python -m pip install -e '.[examples]'`.
#
# Each picture is explained by itself, so the work can be dealt out block by block.
# [Dask](https://distributed.dask.org) sends a function and its arguments to a worker that is free,
# and sends them again if that worker dies. This file runs as it stands, with processes of this
# machine as workers. With several machines, start `dask scheduler` on one and
# `dask worker tcp://that-machine:8786 --nworkers auto --nthreads 1` on each, all with lrp_numpy
# installed. Then `python lessons/examples/many_machines.py tcp://that-machine:8786`.
#
# **Never all at once:** a block is read when there is a worker for it, and its relevance is written
# to a file as soon as it is there. So both may be larger than the memory. **The cores are counted
# once:** Dask has a process for each core, so each process explains with one thread. **Everything
# is a task:** Dask repeats a task whose worker dies. The network is one too; data that is merely
# sent to the workers (`scatter`) would die with them.

# %%
import os
import sys
import tempfile
from copy import copy
from itertools import islice
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

import lrp_numpy as lrp


def explain_block(net, images, rule):
    """The relevance of the pixels of some images (n, D): what a worker does."""
    parts = lrp.explain_batches(net, [images], rule, intermediate=False)    # a stream: the loops
    return np.concatenate([part.input for part in parts])


def explain_everywhere(client, net, images, path, rule="epsilon", block=2_000):
    """The relevance of images (N, D), also a memmap, as a .npy file at `path`: whole or not at all.

    Two blocks for each worker are on their way at any time: one that it works on, one that waits.
    """
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    client.wait_for_workers(1, timeout=30)
    blocks = iter([slice(start, start + block) for start in range(0, len(images), block)])
    places, everywhere = {}, client.submit(copy, net, pure=False)
    unfinished = Path(f"{path}.unfinished")

    def send(block):
        future = client.submit(explain_block, everywhere, np.array(images[block]), rule, pure=False)
        places[future.key] = block
        return future

    try:
        relevance = np.lib.format.open_memmap(
            unfinished, "w+", np.result_type(net.dtype, images.dtype), images.shape)
        done = as_completed([send(one) for one in islice(blocks, 2 * len(client.nthreads()))])
        with tqdm(total=len(images), unit="image", disable=None) as bar:
            for future in done:
                place = places.pop(future.key)
                try:
                    relevance[place] = future.result()
                except ValueError as error:
                    raise ValueError(f"from image {place.start} on: {error}") from error
                future.release()        # the worker forgets it
                done.update([send(one) for one in islice(blocks, 1)])
                bar.update(len(relevance[place]))
        relevance.flush()
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def main(address=None):
    digits = lrp.load_mnist()
    net = lrp.MLP.random([784, 100, 10], "relu", rng=0)
    lrp.train(net, digits, epochs=2, progress=False)
    images = np.rint(255 * digits.test_images).astype(np.uint8)

    client = Client(address or LocalCluster(    # here: a worker for each core
        threads_per_worker=1, dashboard_address=":0",
        env={"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}))
    with client, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relevance.npy"
        explain_everywhere(client, net, images, path, block=300)
        relevance = np.load(path)
        print(f"{len(images)} digits in blocks of 300, {len(client.nthreads())} workers")
    assert relevance.shape == images.shape and relevance.dtype == np.float32
    blocks = (images[start:start + 300] for start in range(0, len(images), 300))
    here = np.concatenate([part.input for part in lrp.explain_batches(net, blocks, "epsilon")])
    assert np.array_equal(relevance, here)
    print("the same bits as in one process, block by block")
    whole = lrp.explain(net, images, "epsilon")
    difference = np.abs(relevance - whole.input).max() / np.abs(whole.input).max()
    print(f"all at once, by the equations: {difference:.0e} of the largest relevance away")
    assert difference < 1e-5
    absorbed = sum(row.bias + row.epsilon for row in whole.ledger)
    explained = whole.logits[np.arange(len(images)), whole.target]
    assert np.allclose(relevance.sum(axis=1) + absorbed, explained, atol=1e-3)
    assert not path.exists()        # nor anything unfinished: the folder is gone


if __name__ == "__main__":      # or each worker, which imports this file, would start others
    main(*sys.argv[1:])

# %% [markdown]
# The bits are the same whoever computes a block, and however many workers there are. By the
# equations the last place may differ: they take their sums in another order.
#
# ## Try it
#
# - Stop a worker process while it runs (`kill -9`). What is lost?
# - Raise the two blocks for each worker to 100. What grows?
