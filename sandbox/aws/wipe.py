"""Cleaning the real cluster when the EKS cluster in front of it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from journal import JOURNAL
from state import STATE


def run(what: str) -> None:
    """Run the wipe command, if there is one, for at most ``wipe_timeout_s``; it appears in the
    journal as service `sandbox`, operation `Wipe`, status 200, or 500 when it failed."""
    command = STATE.options.wipe_command
    if not command:
        return
    entry = JOURNAL.begin("sandbox", "Wipe")
    problem = failure(command)
    if problem:
        print(f"cannot wipe the real cluster behind {what}: {problem}", file=sys.stderr, flush=True)
    JOURNAL.end(entry, 500 if problem else 200)


def failure(command: str) -> str | None:
    """Run `command` in its own process group; what went wrong, None when it succeeded."""
    process = subprocess.Popen(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=STATE.config.wipe_timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"`{command}` took longer than {STATE.config.wipe_timeout_s:g} s"
    if process.returncode:
        return f"`{command}` ended with {process.returncode}: {output.strip()[-500:]}"
    return None
