"""Show a figure where the reader is: beneath the cell of a notebook, or as a file."""
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lrp_numpy.utils.doors import door

FOLDER = Path("out/lessons")


@door
def show(figure: Figure, name: str, alt: str) -> None:
    """In a notebook, the figure stands beneath the cell; a script saves it as out/lessons/NAME.png
    and prints that path. alt: what there is to see, for those who cannot see it.

    Either way the figure is closed: a notebook would show it a second time.
    Raises ValueError for a name that is no plain file name, OSError if the file cannot be written.
    """
    if not name or name != Path(name).name:
        raise ValueError(f"name must be a file name without folders, got {name!r}")
    if in_notebook():
        from IPython.display import display
        display(figure, metadata={"image/png": {"alt": alt}})
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        figure.savefig(FOLDER / f"{name}.png", dpi=100)
        print(f"figure: {(FOLDER / name).as_posix()}.png ({alt})")
    plt.close(figure)


def in_notebook() -> bool:
    """Whether this runs in a kernel that draws: Jupyter, VS Code, Spyder."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
