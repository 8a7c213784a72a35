"""A real browser for the tests: Debian's Chromium without a window, told what to do as WebDriver (W3C) has it."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window of one session. address: of the session at the driver."""

    def __init__(self, address: str) -> None:
        self.address = address

    def open(self, page: Path) -> None:
        """Show a file, and wait until it can be seen: before that a browser lets go of the keys that are pressed."""
        self._post("url", url=page.as_uri())
        self.until("return performance.getEntriesByType('paint').length > 0")

    def until(self, script: str, patience: float = 300) -> Any:
        """What a script returns once that is true, or after some seconds of patience."""
        end = time.monotonic() + patience
        while not (found := self.run(script)) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def press(self, *keys: str) -> None:
        """Type keys wherever the focus is: names of KEYS, or text."""
        letters = [letter for key in keys for letter in ([KEYS[key]] if key in KEYS else key)]
        actions = [{"type": kind, "value": letter} for letter in letters for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._post("execute/sync", script=script, args=[])

    def text(self, selector: str) -> str:
        """What the first such element says."""
        return self.run(f"return document.querySelector({json.dumps(selector)}).textContent")

    def click(self, selector: str) -> None:
        """Click the middle of the first such element, as a mouse does."""
        self._post(f"element/{self._find(selector)}/click")

    def give(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        self._post(f"element/{self._find(selector)}/value", text=str(file))

    def screen(self, width: int, height: int) -> None:
        """Show pages as on a screen of so many pixels, as a phone does where it is narrow."""
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._post("goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=shape)

    def picture(self, path: Path) -> None:
        """Keep what the window shows."""
        with urllib.request.urlopen(f"{self.address}/screenshot") as answer:
            path.write_bytes(base64.b64decode(json.load(answer)["value"]))

    def _find(self, selector: str) -> str:
        return self._post("element", using="css selector", value=selector)[_ELEMENT]

    def _post(self, command: str, **values: Any) -> Any:
        return post(f"{self.address}/{command}", values)


def post(address: str, values: dict[str, Any]) -> Any:
    """Tell the driver; returns its answer."""
    body = json.dumps(values).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)["value"]


@contextmanager
def browser(downloads: Path) -> Iterator[Browser]:
    """A browser that puts what it downloads into a folder; skips the test, with the reason, where there is none."""
    install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/session"
        _wait(port)
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"]}
        options["prefs"] = {"download.default_directory": str(downloads)}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        session = post(address, {"capabilities": capabilities})["sessionId"]
        yield Browser(f"{address}/{session}")
        urllib.request.urlopen(urllib.request.Request(f"{address}/{session}", method="DELETE"), timeout=300).close()
    finally:
        driver.terminate()
        driver.wait(300)


def install() -> None:
    """Debian's packages of the browser and its driver, where they are missing."""
    missing = sorted(package for program, package in PACKAGES.items() if shutil.which(program) is None)
    if not missing:
        return
    if os.environ.get("NO_BROWSER_TESTS") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{' and '.join(missing)} are not installed; apt-get install {' '.join(missing)}")
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"apt-get {words[0]} fails: {done.stderr.strip().splitlines()[-1:]}")


def _wait(port: int, patience: float = 300) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
