"""Builds the course as a website: out/site/index.html, which needs no server and no network.

    python -m pip install -e '.[docs]' && python lessons/site/build.py

Every lesson is run; a failing assert, or a warning, fails the build.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent.parent
ALT = re.compile(r'"\d\d_\w+",\s*"([^"]*)"\)')        # what a figure shows, in words
LESSON = re.compile(r"(\]\((?:\.\./|lessons/)*\d\d_\w+)\.py\)")     # a link to one


def notebook(lesson):
    """A lesson as a notebook: links lead to pages, those below its title to the files."""
    page = jupytext.read(lesson)
    for cell in page.cells:
        for alt in ALT.findall(cell.source):
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
        cell.source = LESSON.sub(r"\1.ipynb)", cell.source)
    title, rest = page.cells[0].source.split("\n", 1)
    page.cells[0].source = (f"{title}\n\n{{download}}`As a script <{lesson.name}>` · "
                            f"{{download}}`As a notebook <downloads/{lesson.stem}.ipynb>`\n{rest}")
    return page


def stage(folder):
    """Copies what the pages are made from, and what they link to, to `folder`."""
    skipped = shutil.ignore_patterns("__pycache__", "*.npz", "*.ipynb", "site", "out")
    for name in ("lessons", "lrp_numpy", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("conf.py", "index.md", "reference.md"):
        shutil.copy(SITE / name, folder)
    for page in (*folder.glob("*.md"), *folder.glob("lessons/**/*.md"), *folder.glob("tests/*.md")):
        page.write_text(LESSON.sub(r"\1.ipynb)", page.read_text()))
    (folder / "lessons" / "downloads").mkdir()
    for lesson in sorted(folder.glob("lessons/[0-9]*.py")):
        jupytext.write(jupytext.read(lesson), folder / f"lessons/downloads/{lesson.stem}.ipynb")
        jupytext.write(notebook(lesson), lesson.with_suffix(".ipynb"))


def add_page(folder):
    """The page on which a visitor draws a digit, made by the command that makes it for anyone."""
    subprocess.run([sys.executable, "-m", "lrp_numpy", "page", "--out", str(folder)], check=True,
                   capture_output=True)


def make_accessible(out):
    """What the theme leaves out: the level of its captions, and code that keys can scroll."""
    for page in set(out.rglob("*.html")) - {out / "page.html"}:
        page.write_text(page.read_text().replace(
            'class="caption" role="heading"', 'class="caption" role="heading" aria-level="2"'
            ).replace("<pre>", '<pre tabindex="0">'))


def build(out=ROOT / "out" / "site"):
    """Makes the site in `out`; raises CalledProcessError if a lesson or a link is broken."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        add_page(Path(folder) / "extra")
        subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "2",
                        "-b", "html", folder, str(out)], check=True)
    make_accessible(out)
    print(out / "index.html")


if __name__ == "__main__":
    build()
