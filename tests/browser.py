"""Headless Chromium, driven over its DevTools protocol; nothing is installed."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOUND = next((path for name in NAMES if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(
    FOUND is None, reason=f"no browser: none of {', '.join(NAMES)} is on the path"
)
SWITCHES = """
--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars
--remote-debugging-port=0
""".split()


class Tab:
    """One page: what it asks the network for, and what scripts find in it.

    Attributes
    ----------
    requests
        Addresses asked for since the tab was opened, but for data addresses.
    errors
        Exceptions of the page's own scripts.
    """

    def __init__(self, socket):
        self.socket, self.n = socket, 0
        self.requests, self.errors = [], []
        for domain in ("Page", "Network", "Runtime"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)

    def send(self, method, **params):
        """Do one thing, and note what the page reports meanwhile."""
        self.n += 1
        self.socket.send(json.dumps({"id": self.n, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.n:
                assert "error" not in message, (method, message)
                return message["result"]
            if message.get("method") == "Network.requestWillBeSent":
                address = message["params"]["request"]["url"]
                self.requests += [] if address.startswith("data:") else [address]
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"])

    def js(self, expression):
        """What an expression gives, as plain data."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def wait(self, expression, seconds=60.0):
        """Until an expression is true; what it gave."""
        limit = time.monotonic() + seconds
        while not (found := self.js(expression)):
            assert time.monotonic() < limit, f"after {seconds} s still not: {expression}"
            time.sleep(0.3)
        return found

    def open(self, address):
        """Go to an address and wait until it is loaded."""
        self.send("Page.navigate", url=address)
        self.wait("location.href != 'about:blank' && document.readyState == 'complete'")

    def look(self, *, width=1200, height=900, dark=False, medium="", phone=False):
        """Size and colours that the page is shown in."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=medium, features=[scheme])

    def picture(self, path, *, whole=False):
        """A screenshot as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(found["data"]))


@contextmanager
def tab(folder):
    """A browser with one empty page, its profile in a folder."""
    import websocket

    words = [FOUND, *SWITCHES, f"--user-data-dir={folder}", "about:blank"]
    browser = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        told = next(m for line in browser.stderr if (m := re.search(r"ws://([^/\s]+)/", line)))
        with urllib.request.urlopen(f"http://{told[1]}/json/list", timeout=30) as answer:
            pages = [one for one in json.load(answer) if one["type"] == "page"]
        socket = websocket.create_connection(
            pages[0]["webSocketDebuggerUrl"], suppress_origin=True, timeout=600
        )
        yield Tab(socket)
        socket.close()
    finally:
        browser.terminate()
        try:
            browser.wait(timeout=20)
        except subprocess.TimeoutExpired:
            browser.kill()
