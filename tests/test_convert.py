"""What the conversions of models share, and networks from folders of arrays."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import assert_same, both_types


@both_types
def test_a_folder_of_arrays(random_case, tmp_path, dtype):
    expected, x = random_case([5, 4, 3], "tanh", 0)
    for number, layer in enumerate(expected.layers, start=1):
        np.save(tmp_path / f"W{number}.npy", layer.W.astype(dtype))
        np.save(tmp_path / f"b{number}.npy", layer.b.astype(dtype))
    net = lrp.from_folder(tmp_path, "tanh")
    assert_same(net, x.astype(dtype), expected.forward(x))
    assert lrp.from_folder(str(tmp_path), "relu").layers[0].activation == "relu"


def test_what_is_refused_of_a_folder(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="path must be a folder with W1.npy, b1.npy, .*, got"):
            lrp.from_folder(path, "relu")
    for number, (name, array) in enumerate([("W1", np.eye(2)), ("b1", np.zeros(2)),
                                            ("W3", np.eye(2))]):
        np.save(tmp_path / f"{name}.npy", array)
        missing = ["b1.npy", None, "W2.npy"][number]
        if missing:
            with pytest.raises(ValueError, match=f"path must hold {missing}, because"):
                lrp.from_folder(tmp_path, "relu")
    (tmp_path / "W3.npy").unlink()
    np.save(tmp_path / "W1.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match="W1.npy is not an array saved by numpy.save: it must"):
        lrp.from_folder(tmp_path, "relu")
    np.save(tmp_path / "W1.npy", np.eye(2, dtype=int))
    with pytest.raises(ValueError, match="layer 0: W must be float32 or float64, got int64"):
        lrp.from_folder(tmp_path, "relu")
