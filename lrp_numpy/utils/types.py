"""Kinds of arguments that many functions take, by name: for the annotations alone."""
from pathlib import Path
from typing import Any, Callable

import numpy as np

Array = np.ndarray
FilePath = str | Path
Seed = int | np.random.Generator
Shape = tuple[int, ...]         # of one image, as it enters or leaves a layer
Rule = str | Callable | tuple | list        # as `explain` takes it
Target = int | np.ndarray | None            # likewise
Table = list[dict[str, Any]]    # rows: a dict from column to cell, the same columns in every row
