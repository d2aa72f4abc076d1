"""Runs lessons, and puts their figures where README and course show them: lessons/figures.

    python lessons/refresh_figures.py [a lesson.py ...]         all of them by default
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LESSONS = Path(__file__).resolve().parent


def refresh(lesson: Path) -> None:
    """Run it in a folder of its own; copy the figures that it writes to out/lessons there."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(lesson.resolve())], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        for figure in sorted(Path(folder).glob("out/lessons/*.png")):
            shutil.copy(figure, LESSONS / "figures")
            print(f"lessons/figures/{figure.name}")


for name in sys.argv[1:] or sorted(LESSONS.glob("[0-9]*.py")) + [
        LESSONS / "examples" / "your_own_model.py"]:
    refresh(Path(name))
