"""Lessons as notebooks (extra `docs`). Building the website, test_site.py, runs all of them so."""
import os
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

LESSONS = Path(__file__).parent.parent / "lessons"


@pytest.mark.parametrize("name", ["05_lrp_by_hand", "10_removing_pixels"])
@pytest.mark.long
def test_a_lesson_is_a_notebook(tmp_path, monkeypatch, name):
    """Its cells run one after the other, as in Jupyter, in a folder without the repository; each
    figure appears once, beneath its cell, with words for those who cannot see it."""
    lesson = LESSONS / f"{name}.py"
    monkeypatch.delenv("MPLBACKEND", raising=False)     # a notebook draws into its cells
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(LESSONS.parent),
                                                      os.environ.get("PYTHONPATH", "")]))
    notebook = jupytext.read(lesson)
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[0].cell_type == "markdown"
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                            resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code"
               for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    ours = {path.name for path in (LESSONS / "figures").glob(f"{lesson.stem[:2]}_*.png")}
    assert len(pictures) == len(ours) and not list(tmp_path.iterdir())
    assert all(output.metadata["image/png"]["alt"] for output in pictures)
