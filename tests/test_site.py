"""What the course's website must hold. Building it, lessons/site/build.py, runs each lesson."""
import re
from pathlib import Path

import lrp_numpy as lrp

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
