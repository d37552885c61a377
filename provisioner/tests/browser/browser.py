"""Chromium over its debugging pipe: standard library only, so that nothing has to be installed beside it."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_S = 30.0


def program() -> str:
    """The browser on PATH."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise SystemExit("no Chromium on PATH: apt-get install chromium")


class Browser:
    """A headless browser with a profile of its own."""

    def __init__(self) -> None:
        self.ids = itertools.count(1)
        self.answers: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        reads, self.out = os.pipe()
        self.inn, writes = os.pipe()
        flags = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --remote-debugging-pipe"
        command = f'exec "$0" {flags} "$1" about:blank 3<&{reads} 4>&{writes}'
        self.process = subprocess.Popen(
            ["sh", "-c", command, program(), f"--user-data-dir={self.profile.name}"],
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)
        self.profile.cleanup()

    def _listen(self) -> None:
        rest = b""
        while data := os.read(self.inn, 1 << 16):
            *messages, rest = (rest + data).split(b"\0")
            for message in map(json.loads, messages):
                with self.arrived:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.events.append(message)
                    self.arrived.notify_all()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command and its result."""
        number = next(self.ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.answers, WAIT_S):
                raise TimeoutError(f"{method} was not answered")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def page(self, width: int, height: int, scheme: str = "light", scripts: bool = True) -> "Page":
        """A page of that size, for somebody who prefers that scheme."""
        return Page(self, (width, height), scheme, scripts)


class Page:
    """One tab, and what went wrong in it."""

    def __init__(self, browser: Browser, size: tuple[int, int], scheme: str, scripts: bool) -> None:
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)[
            "targetId"
        ]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=width < 500,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Waits for a condition."""
        end = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"never: {what}")
            time.sleep(0.05)

    def until_true(self, expression: str) -> None:
        self.until(expression, lambda: self.value(f"Boolean({expression})") is True)

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, file: Path) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    def events(self, method: str) -> list[dict[str, Any]]:
        own = (event for event in self.browser.events if event.get("sessionId") == self.session)
        return [event["params"] for event in own if event["method"] == method]

    def complaints(self) -> list[str]:
        """Errors of scripts, and what the browser logged as one: refusals by the page's policy too."""
        thrown = [
            str(event["exceptionDetails"]) for event in self.events("Runtime.exceptionThrown")
        ]
        logged = [event["entry"] for event in self.events("Log.entryAdded")]
        return thrown + [entry["text"] for entry in logged if entry["level"] == "error"]

    def hosts(self) -> set[str]:
        """Where anything was asked for."""
        urls = (event["request"]["url"] for event in self.events("Network.requestWillBeSent"))
        return {url.split("/")[2] for url in urls if not url.startswith("data:")}

    def named(self, role: str) -> list[str]:
        """The names that a screen reader says for everything of a role."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        of_role = (
            node
            for node in nodes
            if node.get("role", {}).get("value") == role and not node.get("ignored")
        )
        return [node.get("name", {}).get("value", "") for node in of_role]
