"""What a user meets: the README, the lessons, the wheel, the import."""
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lrp_numpy

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9]*.py"))
EXAMPLES = sorted((ROOT / "lessons" / "examples").glob("*.py"))
README = (ROOT / "README.md").read_text()
COURSE = (ROOT / "lessons" / "README.md").read_text()
GUIDE = sorted((ROOT / "lessons" / "guide").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "lessons").glob("*.md")), *GUIDE,
         *sorted((ROOT / "lessons" / "teachers").glob("*.md")),
         *sorted((ROOT / "tests").rglob("*.md"))]


def run(*command, cwd, **environment):
    result = subprocess.run([sys.executable, *command], cwd=cwd, text=True, capture_output=True,
                            timeout=600, env={**os.environ, **environment})
    assert result.returncode == 0, result.stderr
    return result


def cells(lesson):
    """[(is it prose, its text), ...]"""
    parts = re.split(r"^# %%(.*)\n", lesson.read_text(), flags=re.MULTILINE)
    assert parts[0] == ""
    return [("[markdown]" in kind, text) for kind, text in zip(parts[1::2], parts[2::2])]


@pytest.mark.parametrize("lesson", LESSONS + EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.long
def test_a_lesson_runs(tmp_path, lesson):
    """From another folder, without a cache or a network, and without a word on stderr but the
    progress bar. Its figures are those that README and course show."""
    if lesson in EXAMPLES:
        for name in ("sklearn", "torch", "distributed"):
            pytest.importorskip(name, exc_type=ImportError)
    result = run(shutil.copy(lesson, tmp_path), cwd=tmp_path,
                 XDG_CACHE_HOME=str(tmp_path), HTTPS_PROXY="http://127.0.0.1:9")
    assert "Warning" not in result.stderr and "Traceback" not in result.stderr
    made = {path.name for path in (tmp_path / "out" / "lessons").glob("*")}
    ours = {path.name for path in (ROOT / "lessons" / "figures").iterdir()}
    assert made == {name for name in ours if name.startswith((f"{lesson.stem[:2]}_", lesson.stem))}


@pytest.mark.parametrize("lesson", LESSONS + EXAMPLES, ids=lambda path: path.stem)
def test_a_lesson_is_well_made(lesson):
    title, *rest = cells(lesson)
    number = "" if lesson in EXAMPLES else rf"{int(lesson.stem[:2])}\. "
    assert title[0] and re.match(f"# # {number}", title[1])
    assert "**Question.**" in title[1] and "**Running time.**" in title[1]
    for is_prose, text in rest:
        lines = text.strip().splitlines()
        if is_prose:
            assert all(line.startswith("#") for line in lines), text
        else:
            assert not lines[0].startswith("#"), text
            assert "print(" in text or "show(" in text or "tell(" in text, text
    asserts = [text.count("assert ") for is_prose, text in rest if not is_prose]
    one_cell = "many_machines" in lesson.name       # its processes import the file
    assert (sum(asserts) if one_cell else np.count_nonzero(asserts)) >= 5
    for target in re.findall(r"\]\(([^)]*)\)", lesson.read_text()):
        assert target.startswith("https://") or (lesson.parent / target).exists(), target


def test_the_tables_of_contents_are_complete():
    for lesson in LESSONS:
        number_and_title = re.match(r"# # (.*)", cells(lesson)[0][1])[1]
        question = re.search(r"\*\*Question\.\*\* (.*)", lesson.read_text())[1]
        assert f"| [{number_and_title}]({lesson.name}) | {question} |" in COURSE
        assert f"[{number_and_title}](lessons/{lesson.name})" in README
    for example in EXAMPLES:
        assert f"(examples/{example.name})" in COURSE
        assert f"(lessons/examples/{example.name})" in README
    for page in GUIDE:
        assert f"(lessons/guide/{page.name})" in README


def test_the_readme_is_a_front_door():
    """As long as one reads standing; its lessons stand in the order of the course."""
    assert len(README.splitlines()) <= 150
    course = re.findall(r"^\| \[.*?\]\((\d\d_\w+)\.py\)", COURSE, re.MULTILINE)
    assert re.findall(r"(\d\d_\w+)\.py\) (?:·|\|)", README) == course


@pytest.mark.parametrize("figure", sorted((ROOT / "lessons" / "figures").glob("*.png")),
                         ids=lambda path: path.stem)
def test_no_title_or_label_is_cut_off(figure):
    """No ink touches an edge."""
    grey = np.asarray(Image.open(figure).convert("L"))
    for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
        assert edge.min() > 128


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_link_leads_nowhere(page):
    for target in re.findall(r"\]\(([^)\s]*)\)", page.read_text()):
        file = target.partition("#")[0]
        assert target.startswith("https://") or (page.parent / file).exists(), target


def test_the_readme_s_snippet_prints_what_it_says(tmp_path):
    snippet, printed = re.search(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", README,
                                 re.DOTALL).groups()
    (tmp_path / "snippet.py").write_text(snippet)
    output = run("snippet.py", cwd=tmp_path).stdout
    number = r"-?\d+\.?\d*"
    assert re.sub(number, "#", output) == re.sub(number, "#", printed)
    # Numbers agree to 2 %: another machine's float32 sums end on other last digits
    for ours, theirs in zip(re.findall(number, output), re.findall(number, printed)):
        assert float(ours) == pytest.approx(float(theirs), rel=0.02, abs=0.02)


@pytest.mark.long
def test_the_wheel_runs(tmp_path):
    """Built from a copy, unpacked elsewhere, and run from there: the digits are inside."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(
        ".git", "build", "out", "*.egg-info", "__pycache__", "lessons", "tests"))
    run("-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-w", str(tmp_path),
        cwd=source)
    wheel, = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert {path.name for path in (tmp_path / "site").iterdir() if path.suffix != ".dist-info"} == {
        "lrp_numpy"}
    place = run("-c", "import lrp_numpy; print(lrp_numpy.__file__)", cwd=tmp_path,
                PYTHONPATH=str(tmp_path / "site")).stdout
    assert place.startswith(str(tmp_path / "site"))
    result = run("-m", "lrp_numpy", "train", "--hidden", "10", "--epochs", "1", cwd=tmp_path,
                 PYTHONPATH=str(tmp_path / "site"))
    assert (tmp_path / "out" / "network.npz").exists() and "784-10-10" in result.stdout


def test_a_left_cache_does_not_hide_the_package(tmp_path):
    """`pip install .`, a run, `pip install -e .`: pip leaves numba's cache files behind, and with
    them a folder of the package's name without a package in it."""
    (tmp_path / "lrp_numpy" / "__pycache__").mkdir(parents=True)
    run("-c", "import lrp_numpy; lrp_numpy.load_mnist", cwd=ROOT / "tests",
        PYTHONPATH=str(tmp_path))


def public_functions():
    """{its full name: the function}: all functions and methods whose names have no underscore."""
    found = {}
    for info in pkgutil.walk_packages(lrp_numpy.__path__, "lrp_numpy."):
        if info.name != "lrp_numpy.__main__":
            module = importlib.import_module(info.name)
            owners = [module, *(one for one in vars(module).values() if inspect.isclass(one))]
            for owner in owners:
                for name, one in vars(owner).items():
                    one = getattr(one, "fget", getattr(one, "__func__", one))   # property, ...
                    one = getattr(one, "py_func", one)                          # compiled by numba
                    if inspect.isfunction(one) and one.__module__ == info.name and (
                            name[0] != "_" or name == "__init__") and one.__name__[0] != "<":
                        found[f"{info.name}.{one.__qualname__}"] = one
    return found


def test_public_functions_are_annotated():
    """Every argument and what is returned; whether it is true is for mypy to say."""
    functions = public_functions()
    assert len(functions) > 200 and "lrp_numpy.rules.lrp_gamma" in functions
    for name, function in functions.items():
        if name.endswith("__init__") and "<string>" in function.__code__.co_filename:
            continue        # a dataclass makes its own
        signature = inspect.signature(function)
        lacking = [argument for argument, parameter in signature.parameters.items()
                   if parameter.annotation is parameter.empty and argument not in ("self", "cls")]
        assert not lacking and signature.return_annotation is not signature.empty, (name, lacking)


def test_what_is_imported():
    """Nothing but the promised libraries: no torch, no scikit-learn; and nothing is printed.

    numba comes first, because it imports scipy where there is one.
    """
    program = ("import sys, numba; before = set(sys.modules); import lrp_numpy as lrp; "
               "[getattr(lrp, name) for name in lrp.__all__]; "
               "print(*{name.split('.')[0] for name in set(sys.modules) - before})")
    result = run("-c", program, cwd=ROOT)
    others = {"torch", "sklearn", "keras", "tensorflow", "captum", "zennit", "pandas", "scipy"}
    assert not others & set(result.stdout.split()) and "matplotlib" in result.stdout.split()
    assert result.stdout.count("\n") == 1 and result.stderr == ""


@pytest.mark.parametrize("program, not_yet", [
    ("import lrp_numpy", {"numpy", "tqdm"}),
    ("import lrp_numpy as lrp; lrp.train(lrp.MLP.random([784, 9, 10], rng=0), lrp.load_mnist(), "
     "epochs=1, progress=False)", set()),
    ("import lrp_numpy as lrp; lrp.explain(lrp.lenet(), lrp.load_mnist().test_images[:2])", set()),
    ("import sys; sys.argv[1:] = ['--help']; import runpy\n"
     "try: runpy.run_module('lrp_numpy', run_name='__main__')\nexcept SystemExit: pass", set())])
def test_what_is_heavy_is_imported_when_it_is_needed(program, not_yet):
    """numba, pyplot and requests cost most of a second: not for the equations, nor for --help."""
    result = run("-c", f"{program}\nimport sys; print(*sys.modules)", cwd=ROOT)
    modules = set(result.stdout.split())
    assert not modules & ({"numba", "matplotlib.pyplot", "requests", "PIL"} | not_yet)


def test_public_names():
    """All that is promised is there, and dir() tells of it."""
    for name in lrp_numpy.__all__:
        assert getattr(lrp_numpy, name) is not None and name in dir(lrp_numpy)
    with pytest.raises(AttributeError, match="no attribute 'expain'"):
        lrp_numpy.expain
