"""lessons/lrp_in_one_page.py: short, alone, and the same numbers as the package; the animation."""
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lrp_numpy as lrp

PAGE = Path(__file__).parent.parent / "lessons" / "lrp_in_one_page.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(folder):
    """What is in the page after it has run as a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return runpy.run_path(str(PAGE), run_name="__main__")


def test_it_is_one_page_that_stands_alone():
    text = PAGE.read_text()
    assert text.count("\n") <= 80
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) == {
        "numpy", "matplotlib"}


@pytest.mark.parametrize("name", ["LRP-0", "LRP-epsilon", "LRP-gamma"])
def test_its_relevance_is_the_package_s(page, name):
    net = lrp.MLP.from_arrays([page["W1"], page["W2"]], [page["b1"], page["b2"]], "relu")
    x, rule = page["images"][:200], page["RULES"][name]
    np.testing.assert_allclose(page["forward"](x)[2], net.forward(x), rtol=1e-10)
    expected = lrp.explain(net, x, name[4:], **rule).input
    np.testing.assert_allclose(page["explain"](x, **rule), expected, rtol=1e-8,
                               atol=1e-10 * np.abs(expected).max())
    assert len({tuple(one.items()) for one in page["RULES"].values()}) == 3


def test_its_network_reads(page):
    logits = page["forward"](page["images"])[2]
    assert (logits.argmax(axis=1) == page["labels"]).mean() > 0.99


@pytest.mark.long
def test_the_animation_has_six_steps_and_is_small(tmp_path):
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    shutil.copy(PAGE.parent / "animation.py", lessons)
    subprocess.run([sys.executable, "animation.py"], cwd=lessons, check=True, capture_output=True)
    made = lessons / "figures" / "lrp.gif"
    with Image.open(made) as animation:
        assert animation.n_frames == 6
    assert made.stat().st_size < 200_000


def test_it_draws(page, folder):
    assert (folder / "lrp_in_one_page.png").stat().st_size > 10_000
