"""Names for the types of common arguments, for annotations only."""
from pathlib import Path
from typing import Any, Callable

import numpy as np

Array = np.ndarray
FilePath = str | Path
Seed = int | np.random.Generator
Shape = tuple[int, ...]         # of one image, at the input or output of a layer
Rule = str | Callable | tuple | list        # as passed to `explain`
Target = int | np.ndarray | None            # as passed to `explain`
Table = list[dict[str, Any]]    # rows: {column: cell}, with the same columns in every row
