"""A real browser for the tests: Debian's chromium, driven by playwright (extra `docs`)."""
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium():
    """The browser; the tests that want it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, width=1000, height=900, scheme="light", **options):
    """The file as a page. Whatever it prints to its console, and each request that leaves the
    folder, is an error."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme,
                                  bypass_csp=True, **options)
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(Path(path).as_uri())
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def violations(page):
    """What axe-core finds of level serious or critical; None where LRP_NUMPY_AXE does not name its
    axe.min.js (npm install axe-core)."""
    axe = os.environ.get("LRP_NUMPY_AXE")
    if axe is None:
        return None
    page.evaluate(Path(axe).read_text())
    found = page.evaluate("axe.run(document, {preload: false, iframes: false})")["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found
            if one["impact"] in ("serious", "critical")]
