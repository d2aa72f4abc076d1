"""MNIST's four files, downloaded into a cache from the first good mirror, checked by SHA-256."""
import hashlib
import os
import sys
import time
import zlib
from pathlib import Path
from typing import NamedTuple

from lrp_numpy.utils.files import atomic_write, gunzip

TIMEOUT = (10, 30)          # seconds: to connect, and between two packets
PACKET_SIZE = 128           # bytes to read at a time: few, so that a slow mirror is noticed
MIN_SPEED = 4096            # bytes per second, over TIMEOUT[1] seconds; slower mirrors are dropped
MAX_CUTS = 5                # of the connection to a mirror, before the next one is tried
CACHE_HINT = "set XDG_CACHE_HOME, or name a folder with MNIST's four IDX files in LRP_NUMPY_DATA"


class IDXFile(NamedTuple):
    """One of MNIST's four files, unpacked."""
    name: str
    size: int       # in bytes
    sha256: str


FILES = (   # in the order of Digits
    IDXFile("train-images-idx3-ubyte", 47040016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    IDXFile("train-labels-idx1-ubyte", 60008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    IDXFile("t10k-images-idx3-ubyte", 7840016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    IDXFile("t10k-labels-idx1-ubyte", 10008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)

MIRRORS = (     # they hold each file as NAME.gz
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


class DownloadError(OSError, ValueError):
    """The file could not be downloaded. The message lists what went wrong at each mirror."""


def cached(file: IDXFile) -> Path:
    """The path of `file` in the cache, where it is downloaded if it is missing or damaged.

    Raises DownloadError if the cache cannot be used or no mirror gives the right file.
    """
    path = _cache_folder() / file.name
    try:
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256:
                return path
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"the cache folder {path.parent} cannot be used ({error.strerror}); "
                            f"{CACHE_HINT}") from error
    if sys.stderr and not sys.stderr.isatty():      # on a terminal there is a progress bar
        print(f"downloading {file.name} ({file.size / 1e6:.2g} MB unpacked)", file=sys.stderr)
    problems = []
    for mirror in MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            _download(url, file, path)
            return path
        except (ValueError, EOFError, zlib.error) as error:
            problems.append(f"{url} ({error})")
        except OSError as error:
            raise DownloadError(f"{path} cannot be written: {error.strerror}") from error
    raise DownloadError(
        f"{file.name} could not be downloaded. Without a network, use the 10,000 digits that are "
        "shipped, load_mnist('mnist-10k') or --data mnist-10k, or name a folder with MNIST's four "
        "IDX files: load_mnist('mnist', folder=...), --folder or LRP_NUMPY_DATA. Tried: "
        + ", ".join(problems))


def _cache_folder():
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "lrp_numpy"
    except RuntimeError as error:
        raise DownloadError(f"there is no home folder for a cache; {CACHE_HINT}") from error


def _download(url, file, path):
    """Download and unpack `url` to `path`, which appears only when it is complete and correct."""
    from tqdm import tqdm       # imported here, as requests below, because it is slow to import

    with atomic_write(path) as out, tqdm(total=file.size, unit="B", unit_scale=True,
                                         desc=file.name, delay=1, disable=None) as bar:
        digest, size = hashlib.sha256(), 0
        for chunk in gunzip(_fetch(url), limit=file.size):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            bar.update(len(chunk))
        if digest.hexdigest() != file.sha256:
            raise DownloadError(f"not the published file: {size} bytes for {file.size}, "
                                f"SHA-256 {digest.hexdigest()} for {file.sha256}")


def _fetch(url):
    """Yield the bytes at `url` as they arrive; if the connection is cut, request the rest."""
    import requests

    position = 0
    for _ in range(MAX_CUTS):
        start = position
        try:
            with requests.Session() as session:
                for packet in _respond(session, url, start):
                    yield packet
                    position += len(packet)
            return
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if position == start:
                raise DownloadError("connection failed") from error
        except requests.RequestException as error:
            raise DownloadError(str(error)) from error
    raise DownloadError(f"the connection was cut {MAX_CUTS} times, the last time after {position} "
                        "bytes")


def _respond(session, url, start):
    """Yield the bytes at `url` from byte `start` on, as they arrive."""
    for scheme in [scheme for scheme in session.adapters if not url.startswith(scheme)]:
        del session.adapters[scheme]        # refuse redirects to another scheme
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    with session.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        response.raise_for_status()
        skip = 0 if response.status_code == 206 else start      # 206: it sends the rest only
        begin, received = time.monotonic(), 0
        for packet in response.iter_content(PACKET_SIZE):
            received, seconds = received + len(packet), time.monotonic() - begin
            if seconds > TIMEOUT[1]:
                if received < MIN_SPEED * seconds:
                    raise DownloadError(f"too slow: {received} bytes in {seconds:.0f} s")
                begin, received = time.monotonic(), 0
            yield packet[skip:]
            skip = max(0, skip - len(packet))
