"""Lesson 13: its faults are wrong, the others are right, and its checks tell them apart."""
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lrp_numpy as lrp

pytestmark = pytest.mark.long        # the lesson runs once for all of them
LESSONS = Path(__file__).parent.parent / "lessons"
FAULTS, RIGHT = "ACDEFGIJLMNOP", "BHKQ"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """The names that the lesson defines, run elsewhere: its figures go to out/lessons there."""
    folder = tmp_path_factory.mktemp("lesson")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plt.close("all")
        names = runpy.run_path(str(LESSONS / "13_broken_lrp.py"))
    assert not plt.get_fignums()
    assert {path.name for path in (folder / "out" / "lessons").iterdir()} == {
        "13_heatmaps.png", "13_matrix.png"}
    return names


def both_answers(lesson, letter):
    """How a program explains ten digits, asked twice with the same network; and the package's
    relevance, by the rule that the program claims to be, a sigmoid network zero-centred."""
    program, x = lesson["programs"][letter], lesson["ten"]
    expected = lrp.explain(lrp.zero_centred(program.net), x, program.claims, **program.parameters)
    net = lrp.MLP(program.net.layers)
    return [program.explain(net, x, **program.parameters) for _ in range(2)], expected.relevance


def differ(one, other):
    """By more than a hundredth of the largest relevance."""
    return np.abs(one - other).max() > 0.01 * np.abs(other).max()


def test_the_matrix(lesson):
    """Every fault fails a check and passes one; the right programs pass all."""
    matrix = lesson["matrix"]
    assert "".join(lesson["faults"]) == FAULTS and "".join(lesson["right"]) == RIGHT
    assert set(lesson["programs"]) == set(FAULTS + RIGHT)
    assert matrix.shape == (len(FAULTS + RIGHT), 8) and matrix.dtype == bool
    faulty = matrix[:len(FAULTS)]
    assert (~faulty).any(axis=1).all() and faulty.any(axis=1).all()
    assert (~faulty).any(axis=0).all()          # no check is useless
    assert matrix[len(FAULTS):].all()


@pytest.mark.parametrize("letter", FAULTS)
def test_a_fault_is_wrong(lesson, letter):
    """The relevance of its pixels differs from the package's by a hundredth and more."""
    answers, expected = both_answers(lesson, letter)
    assert any(differ(answer[0], expected[0]) for answer in answers)


@pytest.mark.parametrize("letter", RIGHT)
def test_a_right_one_is_right(lesson, letter):
    answers, expected = both_answers(lesson, letter)
    for answer in answers:
        for ours, theirs in zip(answer, expected):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("letter", FAULTS)
def test_a_fault_looks_like_a_heatmap(lesson, letter):
    """Finite, 0 where there is no ink, and not a few specks: half of all |R| lies on more than a
    twentieth of the non-zero pixels, in each of ten digits."""
    x = lesson["ten"]
    R = np.abs(lesson["ask"](lesson["programs"][letter], x)[0])
    assert np.isfinite(R).all() and (R[x == 0] == 0).all()
    for R_image, nonzero in zip(R, (x > 0).sum(axis=1)):
        covered = np.cumsum(np.sort(R_image)[::-1]) / R_image.sum()
        assert np.searchsorted(covered, 0.5) + 1 > nonzero / 20


def test_the_answers_by_hand_are_the_package_s(lesson):
    """The three rows of the table, worked out on paper."""
    for rule, parameters in (("0", {}), ("epsilon", {"epsilon": 1.0}), ("gamma", {"gamma": 1.0})):
        e = lrp.explain(lesson["small"], np.ones((2, 2)), rule, target=np.array([0, 1]),
                        **parameters)
        np.testing.assert_allclose(e.input, lesson["answers"][rule], atol=1e-12)


def test_asking_leaves_the_networks_alone(lesson):
    """Program I writes into the network that it gets; the lesson's own stay as trained."""
    for activation, epochs in (("relu", 5), ("sigmoid", 10)):
        net, again = lesson[activation], lrp.MLP.random([784, 100, 10], activation, rng=0)
        lrp.train(again, lesson["digits"], epochs=epochs, rng=0, progress=False)
        for ours, theirs in zip(net.layers, again.layers):
            np.testing.assert_allclose(ours.W, theirs.W, atol=1e-5)
