"""The page that every benchmark writes its section into, those of the app too, and what it ran on."""

import os
import platform
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/benchmarks.md"


def machine() -> str:
    """What it ran on."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory.group(1)) / 1e6 if memory else 0
    cpu = model.group(1) if model else platform.machine()
    return f"{os.cpu_count()} cores of {cpu}, {gigabytes:.0f} GB, Linux {platform.release()}"


def read_section(path: Path, name: str) -> str:
    """A section as it is; empty where there is none."""
    text = path.read_text() if path.is_file() else ""
    return text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]


def write_section(path: Path, name: str, section: str) -> None:
    """Puts a section into the page, in place of the one before."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text() if path.is_file() else "# Benchmarks\n"
    section = f"{begin}\n{section}\n{end}\n"
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        text = before + section + rest.split(end, 1)[1].removeprefix("\n")
    else:
        text = f"{text.rstrip()}\n\n{section}"
    path.write_text(text)
