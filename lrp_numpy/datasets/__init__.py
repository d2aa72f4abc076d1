"""MNIST: 10,000 digits that are shipped, or all 70,000 from a folder or a download."""
from lrp_numpy.datasets.download import DownloadError
from lrp_numpy.datasets.idx import read_idx
from lrp_numpy.datasets.mnist import Digits, load_mnist

__all__ = ["Digits", "DownloadError", "load_mnist", "read_idx"]
