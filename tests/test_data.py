"""The digits: the shipped file, good and bad IDX files, and downloads from a real local server."""
import concurrent.futures
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lrp_numpy.cli.main import main
from lrp_numpy.datasets import DownloadError, download, load_mnist, read_idx

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (N, 28, 28), dtype=np.uint8) for N in (7, 3)]
LABELS = [np.arange(7, dtype=np.uint8), np.array([9, 0, 5], np.uint8)]
ARRAYS = [IMAGES[0], LABELS[0], IMAGES[1], LABELS[1]]
ROOT = Path(__file__).parent.parent
NAMES = [file.name for file in download.FILES]


def idx(array):
    """The bytes of an IDX file, by the definition of the format."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


CONTENTS = {name: idx(array) for name, array in zip(NAMES, ARRAYS)}


@pytest.fixture
def folder(tmp_path):
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def assert_these_digits(digits):
    for images, array in ((digits.train_images, IMAGES[0]), (digits.test_images, IMAGES[1])):
        assert images.dtype == np.float32
        np.testing.assert_allclose(images, array.reshape(-1, 784) / 255, rtol=1e-7)
    for labels, array in ((digits.train_labels, LABELS[0]), (digits.test_labels, LABELS[1])):
        assert labels.dtype == np.int64 and labels.tolist() == array.tolist()


def test_the_shipped_digits(digits):
    assert [array.shape for array in digits] == [(8000, 784), (8000,), (2000, 784), (2000,)]
    for images in (digits.train_images, digits.test_images):
        assert images.dtype == np.float32 and images.min() == 0 and images.max() == 1
        assert 0.12 < images.mean() < 0.14          # 0.1307 over all of MNIST
        assert 0.78 < (images == 0).mean() < 0.83
    counts = np.bincount(np.concatenate([digits.train_labels, digits.test_labels]))
    assert len(counts) == 10 and counts.min() > 850
    shipped = Path(download.__file__).with_name("mnist_10k.npz").read_bytes()
    assert hashlib.sha256(shipped).hexdigest() == (
        "7c9dfa016afdf6fd17f866159412cce3afe51c86d0025b8c47ed67212e5aa362")


@pytest.mark.parametrize("zipped", [(), NAMES[:1], NAMES])
def test_a_folder_gzipped_or_not(folder, zipped, monkeypatch):
    for name in zipped:
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(CONTENTS[name]))
    assert_these_digits(load_mnist("mnist", folder))
    monkeypatch.setenv("LRP_NUMPY_DATA", str(folder))
    assert_these_digits(load_mnist("mnist"))


def test_the_argument_overrides_the_variable(folder, monkeypatch):
    monkeypatch.setenv("LRP_NUMPY_DATA", "/nowhere")
    assert_these_digits(load_mnist("mnist", str(folder)))


def header(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.mark.parametrize("number, content, message", [
    (0, b"", "is truncated: 4 bytes expected, 0 found"),
    (0, CONTENTS[NAMES[0]][:-1], "is truncated: 5488 bytes expected, 5487 found"),
    (0, CONTENTS[NAMES[0]] + b"\0", "has more than the 5488 bytes that its header declares"),
    (0, gzip.compress(CONTENTS[NAMES[0]], mtime=0)[:-500], "cannot be read"),
    (0, gzip.compress(CONTENTS[NAMES[0]], mtime=0)[:10], "cannot be read"),
    (0, b"\x1f\x8bnonsense", "cannot be read"),
    (0, b"<html>not found</html>", "is not an IDX file"),
    (0, b"\0\0\x0d\3" + CONTENTS[NAMES[0]][4:], "0 0 8 3 or 0 0 8 1, got 0 0 13 3"),
    (0, b"\0\1\x08\3" + CONTENTS[NAMES[0]][4:], "got 0 1 8 3"),
    (1, idx(np.zeros(0, np.uint8)), "holds 0 labels for 7 images"),
    (0, header(7, 32, 32) + bytes(7 * 1024), "28 x 28 images, got 7 x 32 x 32 in its header"),
    (0, header(2**32 - 1, 28, 28), "at most 1000000"),
    (1, header(2**32 - 1), "at most 1000000"),
    (0, CONTENTS[NAMES[1]], "must hold images, got labels"),
    (1, CONTENTS[NAMES[0]], "must hold labels, got images"),
    (1, CONTENTS[NAMES[3]], "holds 3 labels for 7 images"),
    (1, idx(np.full(7, 10, np.uint8)), "labels must be 0..9.*the largest 10"),
    (3, CONTENTS[NAMES[1]], "holds 7 labels for 3 images")])
def test_damaged_files_are_refused(folder, number, content, message):
    (folder / NAMES[number]).write_bytes(content)
    with pytest.raises(ValueError, match=f"{NAMES[number]}.*{message}"):
        load_mnist("mnist", folder)


def test_only_the_first_member_of_a_gzip_file_is_read(folder):
    """Whatever follows it, such as 1,000 empty members or as many zeros, is ignored."""
    content = gzip.compress(CONTENTS[NAMES[0]])
    for more in (gzip.compress(b"") * 1000, bytes(1000), b"more"):
        (folder / f"{NAMES[0]}.gz").write_bytes(content + more)
        (folder / NAMES[0]).unlink(missing_ok=True)
        assert_these_digits(load_mnist("mnist", folder))
    (folder / f"{NAMES[0]}.gz").write_bytes(gzip.compress(b"") * 1000 + content)
    with pytest.raises(ValueError, match="is truncated: 4 bytes expected, 0 found"):
        load_mnist("mnist", folder)


def test_missing_and_unreadable_files_are_refused(folder, monkeypatch):
    (folder / NAMES[2]).unlink()
    with pytest.raises(ValueError, match=f"contains neither {NAMES[2]} nor {NAMES[2]}.gz"):
        load_mnist("mnist", folder)
    with pytest.raises(ValueError, match="cannot be read: .*directory"):
        read_idx(folder)
    with pytest.raises(ValueError, match="folder must name a folder, .*, got '/nowhere'"):
        load_mnist("mnist", "/nowhere")
    with pytest.raises(ValueError, match="folder must name a folder with .*contains neither"):
        load_mnist("mnist", "")        # an unset shell variable
    monkeypatch.setenv("LRP_NUMPY_DATA", "/nowhere")
    with pytest.raises(ValueError, match="LRP_NUMPY_DATA must name .*, got '/nowhere'"):
        load_mnist("mnist")


@pytest.mark.parametrize("arguments, message", [
    (("fashion",), "name must be 'mnist-10k' or 'mnist', got 'fashion'"),
    (("mnist-10k", "/tmp"), "folder goes with name='mnist' only, got folder='/tmp'")])
def test_arguments_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_mnist(*arguments)


class Server(http.server.ThreadingHTTPServer):
    """Records the requests. The answer for a path is bytes, a status, (Content-Length, bytes) or a
    function of the handler."""

    def __init__(self):
        self.answers, self.requested = {}, []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        span = self.headers.get("Range")
        self.server.requested.append(f"{self.path} {span}" if span else self.path)
        answer = self.server.answers.get(self.path, 404)
        if callable(answer):
            answer(self)
            return
        if isinstance(answer, int):
            self.send_error(answer)
            return
        length, content = answer if isinstance(answer, tuple) else (len(answer), answer)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def begin(self, status, length, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": length, **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server with a small data set under /good/, which is the only mirror; an empty cache."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    files = tuple(download.IDXFile(name, len(content), hashlib.sha256(content).hexdigest())
                  for name, content in CONTENTS.items())
    monkeypatch.setattr(download, "FILES", files)
    monkeypatch.setattr(download, "TIMEOUT", (0.5, 0.5))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server.answers = {f"/good/{name}.gz": gzip.compress(content)
                      for name, content in CONTENTS.items()}
    server.mirror = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(download, "MIRRORS", (f"{server.mirror}/good/",))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def announced(*names):
    """What stderr shows where it is not a terminal: one line per file."""
    return "".join(f"downloading {name} ({len(CONTENTS[name]) / 1e6:.2g} MB unpacked)\n"
                   for name in names)


def cached(tmp_path):
    return sorted(path.name for path in (tmp_path / "lrp_numpy").iterdir())


def test_download_then_cache(server, tmp_path, capfd):
    assert_these_digits(load_mnist("mnist"))
    assert server.requested == [f"/good/{name}.gz" for name in NAMES]
    assert cached(tmp_path) == sorted(NAMES)
    assert_these_digits(load_mnist("mnist"))
    assert len(server.requested) == 4           # the second time, nothing is requested
    assert capfd.readouterr() == ("", announced(*NAMES))


def test_on_a_terminal_a_bar_shows_the_progress(server, monkeypatch):
    """But only if a file takes longer than a second."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    load_mnist("mnist")
    assert terminal.getvalue().strip() == ""
    monkeypatch.setattr(download, "MIN_SPEED", 0)
    (Path(os.environ["XDG_CACHE_HOME"]) / "lrp_numpy" / NAMES[0]).unlink()
    server.answers[f"/good/{NAMES[0]}.gz"] = partial(drip, at_once=len(whole) - 150)
    load_mnist("mnist")
    assert f"{NAMES[0]}: 100%" in terminal.getvalue() and "5.50k/5.50k" in terminal.getvalue()
    assert "downloading" not in terminal.getvalue()


def test_the_cache_is_checked(server, tmp_path):
    load_mnist("mnist")
    wrong = tmp_path / "lrp_numpy" / NAMES[0]
    wrong.write_bytes(wrong.read_bytes()[:-1] + b"?")
    assert_these_digits(load_mnist("mnist"))
    assert server.requested[4:] == [f"/good/{NAMES[0]}.gz"]
    server.answers.clear()
    wrong.write_bytes(b"wrong")
    with pytest.raises(DownloadError):
        load_mnist("mnist")
    assert cached(tmp_path) == sorted(NAMES[1:])


whole = gzip.compress(CONTENTS[NAMES[0]], mtime=0)
changed = CONTENTS[NAMES[0]][:-1] + b"?"


def drip(handler, at_once=0):
    """Send 100 bytes per second until the client has gone."""
    handler.begin(200, len(whole))
    with contextlib.suppress(OSError):
        handler.wfile.write(whole[:at_once])
        for place in range(at_once, len(whole), 10):
            handler.wfile.write(whole[place:place + 10])
            time.sleep(0.1)


def never(handler):
    """Send nothing until the client has gone."""
    handler.connection.recv(1)


def stop_after(length, ranges=True):
    """An answer that sends `length` bytes and then cuts the connection."""
    def answer(handler):
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1]) if ranges else 0
        handler.begin(206 if start else 200, len(whole) - start)
        handler.wfile.write(whole[start:start + length])
    return answer


def redirect(target):
    return lambda handler: handler.begin(302, 0, Location=target)


BAD_ANSWERS = {
    "404": (404, "404"), "500": (500, "500"),
    "html": (b"<html>sign in to the hotel network</html>", "incorrect header"),
    "truncated": (whole[:-300], "the gzip data is truncated"),
    "cut": ((len(whole), whole[:-300]), "connection failed"),
    "cut again and again": (stop_after(500), "was cut 5 times, the last time after [12].* bytes"),
    "cut, then another file": (lambda handler: stop_after(3000)(handler) if len(
        handler.server.requested) == 1 else handler.begin(206, 5000) or handler.wfile.write(
        bytes(5000)), "(invalid|incorrect)"),
    "slow": (drip, "too slow: .* bytes in . s"), "silent": (never, "timed out"),
    "wrong checksum": (gzip.compress(changed), "SHA-256"),
    "too short": (gzip.compress(CONTENTS[NAMES[0]][:100]), "100 bytes for 5504"),
    "bomb": (gzip.compress(bytes(50_000_000)), "unpacks to more than 5504 bytes"),
    "redirect to https": (redirect("https://127.0.0.1/x.gz"), "for 'https://127.0.0.1/x.gz'"),
    "redirect to a file": (redirect("file:///etc/passwd"), "for 'file:///etc/passwd'"),
    "redirect to nowhere": (redirect("http://[bad"), "Invalid IPv6 URL"),
    "redirect that is not UTF-8": (redirect("/\xff"), "decode"),
    "fast, then slow": (lambda handler: drip(handler, 4000), "too slow: .* bytes in . s"),
    "endless redirect": (redirect(f"/bad/{NAMES[0]}.gz"), "30 redirects"),
    "empty": (b"", "the gzip data is truncated")}


@pytest.mark.parametrize("fault", BAD_ANSWERS)
@pytest.mark.long
def test_a_bad_mirror_is_skipped(server, tmp_path, monkeypatch, fault):
    server.answers[f"/bad/{NAMES[0]}.gz"] = BAD_ANSWERS[fault][0]
    monkeypatch.setattr(download, "MIRRORS", (f"{server.mirror}/bad/", f"{server.mirror}/good/"))
    assert_these_digits(load_mnist("mnist"))
    of_first = [path for path in server.requested if NAMES[0] in path]
    assert of_first[0] == f"/bad/{NAMES[0]}.gz" and of_first[-1] == f"/good/{NAMES[0]}.gz"
    assert sum("/good/" in path for path in of_first) == 1
    assert cached(tmp_path) == sorted(NAMES)


@pytest.mark.parametrize("fault", BAD_ANSWERS)
@pytest.mark.long
def test_only_bad_mirrors_leave_nothing(server, tmp_path, monkeypatch, capfd, fault):
    """Python raises one DownloadError; the command line prints one line about it."""
    answer, message = BAD_ANSWERS[fault]
    server.answers[f"/bad/{NAMES[0]}.gz"] = answer
    monkeypatch.setattr(download, "MIRRORS", (f"{server.mirror}/bad/",))
    with pytest.raises(ValueError, match=f"{NAMES[0]} could not be downloaded.*{message}"):
        load_mnist("mnist")
    assert cached(tmp_path) == [] and capfd.readouterr().err == announced(NAMES[0])
    server.requested.clear()
    assert main(["train", "--data", "mnist", "--out", str(tmp_path / "out")]) == 2
    first, error = capfd.readouterr().err.splitlines()
    assert f"{first}\n" == announced(NAMES[0])
    assert re.match("lrp_numpy: error: .*" + message, error)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_resumed(server, tmp_path, ranges):
    """The rest is requested; if the server sends the whole file, the known part is skipped."""
    answers = iter([stop_after(3000), stop_after(2000 if ranges else 4000, ranges),
                    stop_after(len(whole), ranges)])
    server.answers[f"/good/{NAMES[0]}.gz"] = lambda handler: next(answers)(handler)
    assert_these_digits(load_mnist("mnist"))
    path, length = f"/good/{NAMES[0]}.gz", 5000 if ranges else 4000
    # the last, incomplete packet of each part may be lost: it is requested again
    second, third = (int(re.fullmatch(rf"{path} bytes=(\d+)-", asked)[1])
                     for asked in server.requested[1:3])
    assert 3000 - download.PACKET_SIZE < second <= 3000
    assert length - 2 * download.PACKET_SIZE < third <= length
    assert server.requested[0] == path and NAMES[1] in server.requested[3]
    assert cached(tmp_path) == sorted(NAMES)


def test_a_redirect_within_the_scheme_is_followed(server):
    server.answers[f"/good/{NAMES[0]}.gz"] = redirect("/elsewhere")
    server.answers["/elsewhere"] = whole
    assert_these_digits(load_mnist("mnist"))


def test_unpacking_is_bounded(server, monkeypatch):
    """A 50 MB bomb is never unpacked into memory, not even for a moment."""
    sizes = []
    whole = zlib.decompressobj

    class Watched:
        def __init__(self, wbits):
            self.unzip = whole(wbits)

        def decompress(self, *arguments):
            piece = self.unzip.decompress(*arguments)
            sizes.append(len(piece))
            return piece

        def __getattr__(self, name):
            return getattr(self.unzip, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    server.answers[f"/good/{NAMES[0]}.gz"] = gzip.compress(bytes(50_000_000))
    with pytest.raises(DownloadError, match="unpacks to more than 5504 bytes"):
        load_mnist("mnist")
    assert max(sizes) <= len(CONTENTS[NAMES[0]]) + 1


def test_bytes_after_the_end_are_not_read(server):
    server.answers[f"/good/{NAMES[0]}.gz"] = whole + bytes(10_000_000)
    assert_these_digits(load_mnist("mnist"))


def test_a_cache_that_cannot_be_used(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="the cache folder .* cannot be used .*LRP_NUMPY_"):
        load_mnist("mnist")


def test_the_cache_is_in_the_home_folder(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert download._cache_folder() == Path.home() / ".cache" / "lrp_numpy"


def test_no_home_folder(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(DownloadError, match="no home folder .*XDG_CACHE_HOME.*LRP_NUMPY_DATA"):
        load_mnist("mnist")


def test_several_at_once(server, tmp_path):
    """Four threads on an empty cache: each gets the digits; no temporary files remain."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for digits in [pool.submit(load_mnist, "mnist") for _ in range(12)]:
            assert_these_digits(digits.result())
    assert cached(tmp_path) == sorted(NAMES)


CHILD = """
import json, sys
from lrp_numpy.cli import main as cli
from lrp_numpy.datasets import download
files, download.MIRRORS, largest, arguments = json.loads(sys.argv[1])
download.FILES = tuple(download.IDXFile(*file) for file in files)
if largest is not None:
    import matplotlib.font_manager      # which keeps a larger file of its own
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
sys.exit(cli.main(arguments))
"""


def child(tmp_path, largest=None):
    """A process that trains on the server's digits; its files may have `largest` bytes."""
    arguments = ["train", "--data", "mnist", "--epochs", "1", "--hidden", "2",
                 "--out", str(tmp_path / "out")]
    text = json.dumps([download.FILES, download.MIRRORS, largest, arguments])
    return subprocess.Popen([sys.executable, "-c", CHILD, text], text=True, cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_at_once(server, tmp_path):
    for process in [child(tmp_path), child(tmp_path)]:
        out, err = process.communicate(timeout=100)
        ok = process.returncode == 0 and "error" not in err
        assert ok and "7 digits for training, 3 for" in out
    assert cached(tmp_path) == sorted(NAMES)


def test_ctrl_c_leaves_nothing(server, tmp_path):
    def stop(handler):
        handler.begin(200, len(whole))
        handler.wfile.write(whole[:3000])
        process.send_signal(signal.SIGINT)
        never(handler)

    server.answers[f"/good/{NAMES[1]}.gz"] = stop
    process = child(tmp_path)
    assert process.communicate(timeout=100) == (
        "", announced(*NAMES[:2]) + "lrp_numpy: interrupted\n")
    assert process.returncode == 130 and cached(tmp_path) == NAMES[:1]


@pytest.mark.skipif(os.name != "posix", reason="no way to make the disk small")
def test_a_full_disk(server, tmp_path):
    process = child(tmp_path, largest=3000)
    out, err = process.communicate(timeout=100)
    path = tmp_path / "lrp_numpy" / NAMES[0]
    assert err == (f"{announced(NAMES[0])}lrp_numpy: error: {path} cannot be written: File too "
                   "large\n")
    assert process.returncode == 2 and cached(tmp_path) == [] and len(server.requested) == 1


def test_the_offline_error_suggests_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "MIRRORS", ("http://127.0.0.1:9/", "http://127.0.0.1:9/other/"))
    with pytest.raises(OSError) as error:
        load_mnist("mnist")
    for word in ("'mnist-10k'", "LRP_NUMPY_DATA", "--folder", "127.0.0.1:9/other/",
                 "connection failed"):
        assert word in str(error.value)
    assert cached(tmp_path) == []


def test_requests_is_imported_for_downloads_only():
    """It is slow to import."""
    program = ("import sys; from lrp_numpy.datasets import load_mnist; load_mnist(); "
               "sys.exit('requests' in sys.modules)")
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_published_table():
    """The sizes follow from the format: a header, and 784 bytes per image or 1 per label."""
    files, mirrors = download.FILES, download.MIRRORS
    assert [file.size for file in files] == [16 + 60000 * 784, 8 + 60000, 16 + 10000 * 784,
                                             8 + 10000]
    assert all(len(file.sha256) == 64 for file in files) and len(mirrors) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mirrors)
