"""Batches shared among threads: the same bits, whoever computes them, in order,
and nothing said or raised out of turn."""
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy import explanation
from lrp_numpy.ops import blas, remembering, side_by_side as module, threads as module_of_threads
from lrp_numpy.ops.side_by_side import side_by_side

can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def threads(monkeypatch):
    """threads(4): as many of them as this says, and batches of few images."""
    def set_to(number):
        monkeypatch.setattr(module, "thread_count", lambda: number)
    monkeypatch.setattr(explanation, "BATCH_BYTES", 2**17)
    set_to(4)
    return set_to


def names_of_threads(items, **how):
    def name(item):
        time.sleep(0.01)
        return item, threading.current_thread().name
    return list(side_by_side(name, items, **how))


@pytest.mark.parametrize("make, rule", [
    (lambda: lrp.MLP.random([784, 30, 10], "relu"), "gamma"),
    (lambda: lrp.MLP.random([784, 30, 10], "tanh"), "gamma_generalized"),
    (lrp.lenet, "epsilon"), (lrp.resnet, "0"), (lrp.transformer, "0"),
    (lrp.transformer, "epsilon")])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_any_number_of_threads_gives_the_same_bits(make, rule, engine, threads, digits):
    x, found = digits.test_images[:41], []
    net = make()
    for number in 1, 2, 3, 8:
        threads(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(lrp.explain(net, x, rule, engine=engine))
    for other in found[1:]:
        for R, S in zip(found[0].relevance, other.relevance, strict=True):
            assert R.tobytes() == S.tobytes()
        for row, same in zip(found[0].ledger, other.ledger, strict=True):
            assert np.array_equal(row, same)
        assert np.array_equal(found[0].logits, other.logits)
        assert np.array_equal(found[0].target, other.target)


def test_a_loop_in_one_of_the_threads_calls_no_helpers(threads, monkeypatch):
    """The cores have enough to do; `share` alone would take one more thread for each."""
    monkeypatch.setattr(module_of_threads._pool, "threads", 4)

    def of_item(item):
        taken = []
        module_of_threads.share(lambda turns: taken.append(turns.numbers.size), 100, 1e9)
        return taken
    alone = 2 * module_of_threads.LINE      # a counter of helpers, and the part of one thread
    assert list(side_by_side(of_item, range(4))) == [[alone]] * 4


def test_several_threads_take_part_and_the_order_is_kept(threads):
    found = names_of_threads(range(20))
    assert [item for item, _ in found] == list(range(20))
    assert len({name for _, name in found}) > 1
    assert threading.current_thread().name not in {name for _, name in found}


def test_one_item_or_one_thread_stays_with_the_caller(threads):
    me = threading.current_thread().name
    assert names_of_threads([7]) == [(7, me)] and names_of_threads([]) == []
    assert names_of_threads([1, 2], threads=1) == [(1, me), (2, me)]
    threads(1)
    assert names_of_threads([1, 2]) == [(1, me), (2, me)]


def test_a_call_within_a_call_works_alone(threads):
    def outer(item):
        return threading.current_thread().name, {name for _, name in names_of_threads([1, 2, 3])}
    assert all(inner == {name} for name, inner in side_by_side(outer, range(6)))


def test_the_first_error_comes_out_and_no_further_item_is_begun(threads):
    begun, ended = [], []

    def fails(item):
        begun.append(item)
        time.sleep(0.05 if item == 0 else 0.01)     # the later error is raised first
        ended.append(item)
        if item < 2:
            raise ValueError(f"item {item}")
        time.sleep(0.1)

    with pytest.raises(ValueError, match="item 0"):
        list(side_by_side(fails, range(100)))
    assert sorted(begun) == sorted(ended) and len(begun) < 20
    assert len(names_of_threads(range(8))) == 8      # and the next call has the threads again
    assert len({name for _, name in names_of_threads(range(8))}) > 1


def test_an_error_names_the_first_row(threads, digits):
    net, x = lrp.MLP.random([784, 30, 10], "relu"), digits.test_images[:200].copy()
    x[150, 3] = x[30, 5] = np.nan
    with pytest.raises(ValueError, match="row 30"):
        lrp.explain(net, x)


def test_warnings_point_to_the_caller(threads, digits):
    net, x = lrp.MLP.random([784, 30, 10], "relu"), digits.test_images[:200] - 0.5
    with pytest.warns(UserWarning, match="gamma is made for activations") as found:
        lrp.explain(net, x, "gamma")
    assert {one.filename for one in found} == {__file__}
    with warnings.catch_warnings(), pytest.raises(UserWarning, match="gamma is made"):
        warnings.simplefilter("error")
        lrp.explain(net, x, "gamma")
    assert len({name for _, name in names_of_threads(range(8))}) > 1


def test_a_rule_or_layer_of_the_users_is_called_for_one_batch_after_another(threads, digits):
    net, x, seen = lrp.MLP.random([784, 30, 10], "relu"), digits.test_images[:200], []

    def mine(a, W, b, R, **how):
        seen.append((threading.current_thread(), a[0, 300:310].copy()))
        return lrp.rules.lrp_0(a, W, b, R, **how)

    class Mine(lrp.layers.Dense):
        def linear(self, *how):
            seen.append((threading.current_thread(), 0))
            return super().linear(*how)

    lrp.explain(net, x, [mine, "0"])
    lrp.explain(net, x, lambda a, W, b, R: mine(a, W, b, R))
    own = Mine(net.layers[0].W, net.layers[0].b, "relu")
    lrp.explain(lrp.Network([own, net.layers[1]]), x)
    lrp.explain(lrp.Network([lrp.Residual([own], [net.layers[0]]), net.layers[1]]), x)
    assert {thread for thread, _ in seen} == {threading.current_thread()} and len(seen) > 8


def test_what_weights_remember_may_be_forgotten_meanwhile(threads, digits, monkeypatch):
    net, x = lrp.MLP.random([784, 30, 10], "relu"), digits.test_images[:600]
    expected = lrp.explain(net, x, "alpha_beta").input
    keep = remembering._keep

    def keep_and_forget(memo, key, entry):      # as if another thread had cleared the memo
        kept = keep(memo, key, entry)
        memo.clear()
        return kept

    monkeypatch.setattr(remembering, "_keep", keep_and_forget)
    assert np.array_equal(lrp.explain(net, x, "alpha_beta").input, expected)


def test_the_callers_errstate_holds_in_threads(threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        list(side_by_side(lambda item: np.ones(3) / np.zeros(3), range(8)))


def test_a_matmul_has_one_thread_meanwhile_and_those_of_before_afterwards(threads):
    def of_blas(_=None):
        return [library.num_threads for library in blas._libraries()]

    before = of_blas()
    meanwhile = list(side_by_side(of_blas, range(4)))
    assert meanwhile == [[1] * len(before)] * 4 and of_blas() == before


def test_several_threads_of_a_program_may_explain_at_once(threads, digits):
    net, x = lrp.MLP.random([784, 30, 10], "relu"), digits.test_images[:300]
    expected, found = lrp.explain(net, x, "epsilon").input, []
    callers = [threading.Thread(target=lambda: found.append(lrp.explain(net, x, "epsilon").input))
               for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert len(found) == 5 and all(np.array_equal(R, expected) for R in found)


def test_streamed_batches_are_shared(threads, digits, monkeypatch):
    """What explain_batches yields is several fast batches, and the same bits whoever computes."""
    net, seen, of_slices = lrp.transformer(), [], explanation._even_slices
    monkeypatch.setattr(explanation, "_even_slices", lambda *numbers: seen.append(
        of_slices(*numbers)) or seen[-1])
    found = {}
    for number in 1, 3:
        threads(number)
        found[number] = np.concatenate([part.input for part in lrp.explain_batches(
            net, iter([digits.test_images[:20]]), "0", engine="numpy")])
    assert min(len(one) for one in seen) > 1
    assert found[1].tobytes() == found[3].tobytes()


@can_fork
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(threads):
    """Also if it is forked while the parent's are busy."""
    for item, _ in side_by_side(lambda item: (item, time.sleep(0.05)), range(5)):
        if item > 0:
            continue
        child = os.fork()
        if child == 0:
            several = len({name for _, name in names_of_threads(range(20))}) > 1
            os._exit(0 if several else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no SIGALRM")
def test_ctrl_c_waits_for_what_has_begun(threads):
    begun, ended = [], []

    def slow(item):
        begun.append(item)
        time.sleep(0.2)
        ended.append(item)

    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(side_by_side(slow, range(50)))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert sorted(begun) == sorted(ended) and len(begun) < 10
