"""Notebooks in a real JupyterLab: opened in a browser, run from top to bottom.

Set FLANLIB_SHOTS to a folder to keep screenshots.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

import browser
import nbformat
import pytest

from flanlib.core import paths

TOKEN = "for-this-test-alone"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
QUICK = {'model: str = ""': 'model: str = "micro-300k"', "steps: int = 0": "steps: int = 2"}
SLOWEST_S = 900.0  # on a busy machine
BOOK = "[...(globalThis.jupyterapp?.shell.widgets('main') ?? [])].find(w => w.context)"
CODE = f"{BOOK}.content.widgets.filter(c => c.model.type == 'code')"


def clone(folder):
    """A checkout as it is after cloning: data, notebooks, nothing built."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "data").symlink_to(paths.DATA)
    for stem, changes in (("fig3_taxonomy", {}), ("explore", QUICK)):
        book = nbformat.read(paths.NOTEBOOKS / f"{stem}.ipynb", as_version=4)
        cell = next(c for c in book.cells if "parameters" in c.metadata.get("tags", []))
        for old, new in changes.items():
            assert old in cell.source
            cell.source = cell.source.replace(old, new)
        nbformat.write(book, folder / "notebooks" / f"{stem}.ipynb")
    return folder


@contextmanager
def lab(folder):
    """A JupyterLab server of its own settings over a folder; its address."""
    for name, content in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    where = {"FLANLIB_ROOT": str(folder), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    words = "--no-browser --allow-root --LabApp.expose_app_in_browser=True --ServerApp.ip=127.0.0.1"
    asked = [
        f"--port={port}",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={TOKEN}",
    ]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words.split(), *asked],
            env={**os.environ, **own, **where},
            stdout=log,
            stderr=log,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api?token={TOKEN}", server, folder / "lab.log")
            yield address
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(address, server, log):
    limit = time.monotonic() + SLOWEST_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except OSError:
            assert server.poll() is None and time.monotonic() < limit, log.read_text()
            time.sleep(0.5)


def run_all(page, address, stem):
    """Open a notebook, run all of its cells, and look at what they gave."""
    page.open(f"{address}/lab/tree/notebooks/{stem}.ipynb?token={TOKEN}&reset")
    page.wait(f"({BOOK})?.context.isReady && {CODE}.length > 0", SLOWEST_S)
    idle = f"{BOOK}.sessionContext.session?.kernel?.status == 'idle'"
    page.wait(idle, SLOWEST_S)
    page.js(f"jupyterapp.shell.activateById({BOOK}.id)")
    page.wait("!!jupyterapp.shell.currentWidget?.context", SLOWEST_S)
    page.js("void jupyterapp.commands.execute('runmenu:run-all')")
    failed = f"{CODE}.flatMap(c => c.model.outputs.toJSON()).filter(o => o.output_type == 'error')"
    done = f"{CODE}.every(c => c.model.executionCount) && {idle}"
    page.wait(f"{failed}.length > 0 || ({done})", SLOWEST_S)
    assert page.js(f"{failed}.map(o => o.ename + ': ' + o.evalue)") == []
    assert page.js(f"{CODE}.length") > 3
    return page.js(f"JSON.stringify({CODE}.map(c => c.model.outputs.toJSON()))")


def shot(page, name):
    if folder := os.environ.get("FLANLIB_SHOTS"):
        page.picture(Path(folder) / f"{name}.png")


@pytest.fixture
def page(tmp_path):
    with browser.tab(tmp_path / "profile") as found:
        found.look(width=1300, height=1000)
        yield found


@pytest.fixture
def address(tmp_path):
    with lab(clone(tmp_path / "clone")) as found:
        yield found
    shutil.rmtree(tmp_path / "clone")


@browser.needs_browser
def test_notebooks_run_in_jupyterlab(address, page, tmp_path):
    """A figure and the widgets, in one server: opening Lab is what takes long."""
    outputs = run_all(page, address, "fig3_taxonomy")
    assert "data:image/png;base64" in outputs
    page.js("document.querySelector('.jp-Notebook img').scrollIntoView()")
    assert page.js("document.querySelector('.jp-Notebook img').naturalWidth") > 300
    shot(page, "lab_fig3")
    assert (tmp_path / "clone" / "figures" / "micro" / "fig3_taxonomy.svg").is_file()

    outputs = run_all(page, address, "explore")
    assert "tuned with sentiment held out: 2 steps" in outputs
    inside = f"{BOOK}.node"
    menu = f"{inside}.querySelector('.widget-dropdown select')"
    page.wait(f"{menu}?.offsetHeight > 0", 120)
    page.js(f"{menu}.scrollIntoView({{block: 'center'}})")
    shot(page, "lab_explore")
    page.js(
        f"{menu}.value = [...{menu}.options].find(o => o.text == 'Translation').value;"
        f"{menu}.dispatchEvent(new Event('change', {{bubbles: true}}))"
    )
    page.wait(f"{inside}.textContent.includes('seen in tuning: other examples')", 120)
    asked = f"{inside}.querySelectorAll('.widget-html .flanlib-answers').length"
    assert page.js(asked) == 0
    page.js(f"{inside}.querySelector('button.widget-button').click()")
    page.wait(f"{asked} == 1", SLOWEST_S)
    shot(page, "lab_answers")
    assert all(one.startswith((address, "blob:", "about:")) for one in page.requests)
