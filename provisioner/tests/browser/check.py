"""The dashboard's page in a real browser: `make browser`.

The program is the one that is shipped; the API server and Prometheus are told ones (cluster.py). Pictures of what was seen
go into the folder that is named.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser import Browser, Page
from cluster import Cluster

PANELS = 20
CHART = "#panel-11"


class Dashboard:
    """`provisioner dashboard` against a told cluster."""

    def __init__(self, program: Path, cluster: Cluster, home: Path) -> None:
        self.config = home / "kubeconfig"
        self.config.write_text(cluster.kubeconfig(), encoding="utf-8")
        self.command = [str(program), "dashboard", "--kube-context", "test", "--name", "demo"]
        self.environment = os.environ | {
            "KUBECONFIG": str(self.config),
            "HOME": str(home),
            "TZ": "UTC",
        }

    def start(self) -> str:
        self.process = subprocess.Popen(
            [*self.command, "--output", "json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout
        url: str = json.loads(self.process.stdout.readline())["url"]
        return url

    def stop(self) -> None:
        """Ctrl-C is its good end."""
        self.process.send_signal(2)
        assert self.process.wait(10) == 0, self.process.returncode

    def png(self, file: Path, *flags: str) -> None:
        subprocess.run(
            [*self.command, "--png", str(file), *flags], env=self.environment, check=True
        )


def is_drawn(page: Page) -> None:
    """Every panel is there, for eyes and ears, and nothing complains or is fetched from elsewhere."""
    page.until_true(f"document.querySelectorAll('section svg').length === {PANELS}")
    page.until_true("document.querySelector('#at').textContent.includes(':')")
    images = page.named("image")
    assert len(images) == PANELS and all(": " in name for name in images), images
    assert any(re.match(r"Pods ready: \d+$", name) for name in images), images
    assert page.named("heading") == ["web-app"]
    assert page.complaints() == [], page.complaints()
    assert {host.split(":")[0] for host in page.hosts()} == {"127.0.0.1"}, page.hosts()
    assert page.value("document.fonts.check('500 13px Roboto')")


def fits(page: Page) -> None:
    """Nothing is wider than the window, and drawings are as wide as their place: text is not scaled."""
    page.until_true(
        "[...document.querySelectorAll('section svg')].every(s => Math.abs(s.clientWidth - s.viewBox.baseVal.width) <= 2)"
    )
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    overlong = page.value(
        "[...document.querySelectorAll('section')].flatMap(s => [...s.querySelectorAll('text')].filter(t => {"
        " const a = t.getBoundingClientRect(), b = s.getBoundingClientRect();"
        " return a.left < b.left - 1 || a.right > b.right + 1 || a.bottom > b.bottom + 1 }).map(t => t.textContent))"
    )
    assert overlong == [], overlong


def ground(page: Page) -> int:
    """How bright the page is, 0 to 255."""
    color = page.value("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", color)[:3])) // 3


def seen(browser: Browser, url: str, pictures: Path) -> None:
    """Light and dark, wide and narrow."""
    for name, size, scheme in [
        ("light", (1280, 900), "light"),
        ("dark", (1280, 900), "dark"),
        ("tablet", (768, 1024), "light"),
        ("phone", (390, 844), "dark"),
    ]:
        page = browser.page(*size, scheme)
        page.open(url)
        is_drawn(page)
        fits(page)
        assert (ground(page) < 80) == (scheme == "dark"), name
        page.picture(pictures / f"{name}.png")


def is_operated(browser: Browser, url: str, pictures: Path) -> None:
    """By pointer and by keys: values, theme, range."""
    page = browser.page(1280, 900)
    page.open(f"{url}/?range=5m")
    is_drawn(page)
    page.until_true("readings.size > 0")
    page.value(f"document.querySelector('{CHART}').scrollIntoView({{block: 'center'}})")
    box = page.value(
        f"JSON.parse(JSON.stringify(document.querySelector('{CHART}').getBoundingClientRect()))"
    )
    page.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.4)
    page.until_true("!document.querySelector('#reading').hidden")
    text = page.value("document.querySelector('#reading').textContent")
    assert re.match(r"\d\d:\d\d:\d\d", text) and "maximum10" in text and "desired" in text, text
    assert page.value("document.querySelectorAll('.cursor').length") == 12, (
        "charts share their time"
    )
    page.picture(pictures / "pointer.png")
    page.move(2, 2)
    page.until_true("document.querySelector('#reading').hidden")
    page.value(f"document.querySelector('{CHART}').focus()")
    page.press("ArrowLeft")
    first = page.value("document.querySelector('#reading').textContent")
    page.press("ArrowLeft")
    second = page.value("document.querySelector('#reading').textContent")
    assert first[:8] > second[:8] > "", (first, second)
    page.press("Escape")
    assert page.value("document.querySelector('#reading').hidden")
    assert page.named("button") == ["Switch to the dark theme"]
    page.value("document.querySelector('#theme').click()")
    assert ground(page) < 80
    page.open(f"{url}/?range=1h")
    page.until_true("document.querySelector('nav [aria-current]')?.textContent === '1h'")
    page.until_true("document.readyState === 'complete'")
    assert ground(page) < 80, "the choice of a theme stays"
    assert page.complaints() == [], page.complaints()


def tells_trouble(
    browser: Browser, dashboard: Dashboard, cluster: Cluster, url: str, pictures: Path
) -> None:
    """What is wrong is said, figures stay, and all comes back by itself."""
    page = browser.page(900, 700)
    page.open(url)
    is_drawn(page)
    cluster.answers(False)
    page.until_true("!document.querySelector('#problem').hidden")
    text = page.value("document.querySelector('#problem').innerText")
    assert (
        "cannot ask Prometheus: no endpoints available" in text and "provisioner status" in text
    ), text
    assert page.value("document.querySelector('main').className") == "stale"
    assert page.value("document.querySelectorAll('section svg').length") == PANELS
    page.picture(pictures / "trouble.png")
    cluster.answers(True)
    page.until_true("document.querySelector('#problem').hidden")
    dashboard.stop()
    page.until_true("!document.querySelector('#problem').hidden")
    assert "has ended" in page.value("document.querySelector('#problem').innerText")


def needs_no_script(browser: Browser, url: str) -> None:
    page = browser.page(1280, 900, scripts=False)
    page.open(url)
    page.until("drawn", lambda: len(page.named("image")) == PANELS)


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--provisioner", type=Path, required=True)
    flags.add_argument("--pictures", type=Path, required=True)
    given = flags.parse_args()
    given.pictures.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        Cluster(time.time()) as cluster,
        Browser() as browser,
    ):
        dashboard = Dashboard(given.provisioner.resolve(), cluster, Path(home))
        dashboard.png(given.pictures / "picture.png")
        dashboard.png(given.pictures / "picture-dark.png", "--dark", "--range", "5m")
        url = dashboard.start()
        seen(browser, url, given.pictures)
        is_operated(browser, url, given.pictures)
        needs_no_script(browser, url)
        tells_trouble(browser, dashboard, cluster, url, given.pictures)
    print(f"the page was seen; pictures are in {given.pictures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
