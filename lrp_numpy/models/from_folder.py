"""Networks from folders of arrays."""
import numpy as np

from lrp_numpy.network import MLP
from lrp_numpy.utils.doors import door
from lrp_numpy.utils.files import expanded, read_array
from lrp_numpy.utils.types import FilePath


@door
def from_folder(path: FilePath, activation: str) -> MLP:
    """`MLP.from_arrays` of the files W1.npy (D, K), b1.npy (K,), W2.npy, b2.npy, ... in a folder.

    They are files of numpy.save. Raises ValueError for a missing or invalid file, and for whatever
    `MLP.from_arrays` refuses.
    """
    path = expanded(path)
    arrays: dict[str, list[np.ndarray]] = {"W": [], "b": []}
    layers = len(list(path.glob("W*.npy")))
    if layers == 0:
        raise ValueError(f"path must be a folder with W1.npy, b1.npy, W2.npy, ..., got {path}")
    for number in range(1, layers + 1):
        for name, of_all in arrays.items():
            file = path / f"{name}{number}.npy"
            try:
                of_all.append(read_array(file))
            except FileNotFoundError as error:
                raise ValueError(f"path must hold {file.name}, because there are {layers} files "
                                 f"W*.npy, got {path} without it") from error
    return MLP.from_arrays(arrays["W"], arrays["b"], activation)
