"""The course's website: what it must hold; built, which runs each lesson; and in a real browser."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lrp_numpy as lrp
from browser import opened, violations

LESSONS = Path(__file__).parent.parent / "lessons"


def test_each_lesson_is_on_the_site_once():
    index = (LESSONS / "site" / "index.md").read_text()
    listed = re.findall(r"^lessons/(\d\d_\w+)$", index, re.MULTILINE)
    assert sorted(listed) == sorted(path.stem for path in LESSONS.glob("[0-9]*.py"))


def test_the_parts_of_the_course_are_those_of_its_page():
    """In the same order, in both."""
    index = (LESSONS / "site" / "index.md").read_text()
    course = re.findall(r"^\| \[.*?\]\((\d\d_\w+)\.py\)", (LESSONS / "README.md").read_text(),
                        re.MULTILINE)
    assert re.findall(r"^lessons/(\d\d_\w+)$", index, re.MULTILINE) == course


def test_the_reference_names_what_there_is():
    reference = (LESSONS / "site" / "reference.md").read_text()
    names = re.findall(r"^\.\. auto(?:class|function):: lrp_numpy\.(rules\.)?(\w+)$", reference,
                       re.MULTILINE)
    assert all(hasattr(lrp.rules if place else lrp, name) for place, name in names)
    listed = {name for _, name in names}
    assert listed >= {function.__name__ for function in lrp.rules.RULES.values()}
    assert listed >= {name for name in lrp.__all__ if name not in lrp.MODULES}


def test_each_figure_has_words():
    for lesson in LESSONS.glob("[0-9]*.py"):
        named = set(re.findall(r'"(\d\d_\w+)",\s*"[^"]{10,}"\)', lesson.read_text()))
        figures = {path.stem for path in (LESSONS / "figures").glob(f"{lesson.stem[:2]}_*.png")}
        assert named == figures


# Built, and opened

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the website: every lesson is run, in a folder without the repository."""
    for name in ("sphinx", "myst_nb", "furo", "jupytext", "ipykernel"):
        pytest.importorskip(name)
    out = tmp_path_factory.mktemp("site") / "built"
    program = "import sys, pathlib, build; build.build(pathlib.Path(sys.argv[1]))"
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    result = subprocess.run(
        [sys.executable, "-c", program, str(out)], cwd=LESSONS / "site", text=True,
        capture_output=True, timeout=1800, env={**environment, "PYTHONPATH": os.pathsep.join(
            [str(LESSONS.parent), os.environ.get("PYTHONPATH", "")])})
    assert result.returncode == 0, result.stderr
    return out


def pages(site):
    return sorted(site.rglob("*.html"))


@pytest.mark.long
def test_the_lessons_are_there_with_their_figures(site):
    """Each figure once, with words; the script and the notebook to take along."""
    for lesson in sorted(LESSONS.glob("[0-9]*.py")):
        text = (site / "lessons" / f"{lesson.stem}.html").read_text()
        images = re.findall(r"<img [^>]*_images/[^>]*>", text)
        ours = list((LESSONS / "figures").glob(f"{lesson.stem[:2]}_*.png"))
        assert len(images) == len(ours), lesson.stem
        assert all(re.search('alt="[^"]{10,}"', image) for image in images)
        for ending in ("py", "ipynb"):
            target, = re.findall(rf'href="(\.\./_downloads/[^"]*/{lesson.stem}\.{ending})"', text)
            assert (site / "lessons" / target).exists()
        assert "Traceback" not in text
    assert (site / "page.html").stat().st_size < 1_500_000


@pytest.mark.long
def test_every_page_opens_on_a_phone(site, browser):
    """No error, no request that leaves the folder (see `opened`), no horizontal scroll."""
    assert len(pages(site)) > 50
    for path in pages(site):
        with opened(browser, path, width=375) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= 375, path.name


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_complaint(site, browser, scheme):
    """The pages that people read; the listings of source files come from Sphinx."""
    if "LRP_NUMPY_AXE" not in os.environ:
        pytest.skip("LRP_NUMPY_AXE names no axe.min.js")
    for path in pages(site):
        if "_modules" not in path.parts and (scheme == "light" or path.parent == site
                                             or path.stem.startswith("0")):
            with opened(browser, path, scheme=scheme) as page:
                assert violations(page) == [], path.name


@pytest.mark.long
@pytest.mark.parametrize("word, title", [
    ("gamma", "6. The rules"), ("sigmoid", "9. The sigmoid trap"),
    ("pixel flipping", "10. Pixel flipping")])
def test_the_search_finds_lessons(site, browser, word, title):
    with opened(browser, site / "search.html") as page:
        page.goto((site / "search.html").as_uri() + f"?q={word}")
        page.wait_for_selector("#search-results li a")
        page.wait_for_timeout(1000)
        assert title in page.locator("#search-results").inner_text()


@pytest.mark.long
def test_the_front_page_has_the_page_to_draw_on(site, browser):
    with opened(browser, site / "index.html") as page:
        frame = page.frame_locator("iframe")
        assert "reads a 4" in frame.locator("#said").inner_text()
        frame.locator("#digits button").first.click()
        assert "reads a 0" in frame.locator("#said").inner_text()
