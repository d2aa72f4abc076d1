"""Every lesson becomes a notebook that runs (extra `docs`)."""
import os
import shutil
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

LESSONS = Path(__file__).parent.parent / "lessons"


@pytest.mark.parametrize("lesson", sorted(LESSONS.glob("[0-9]*.py")), ids=lambda path: path.stem)
@pytest.mark.long
def test_a_lesson_is_a_notebook(tmp_path, monkeypatch, lesson):
    """Its cells run one after the other, as in Jupyter, and the figures appear beneath them."""
    monkeypatch.delenv("MPLBACKEND", raising=False)     # a notebook draws into its cells
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(LESSONS.parent),
                                                      os.environ.get("PYTHONPATH", "")]))
    folder = shutil.copytree(LESSONS, tmp_path / "lessons",
                             ignore=shutil.ignore_patterns("figures", "__pycache__"))
    notebook = jupytext.read(folder / lesson.name)
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.cells[0].cell_type == "markdown"
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3",
                            resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code"
               for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert pictures >= len(list((folder / "figures").iterdir())) > 0
