"""The wipe command: its failures are seen, and it cannot hang."""

from __future__ import annotations

import time

import pytest

import wipe
from state import STATE, Config


def test_success_is_no_failure() -> None:
    assert wipe.failure("true") is None


def test_failure_carries_status_and_output() -> None:
    problem = wipe.failure("echo no cluster; exit 3")
    assert problem and "ended with 3" in problem and "no cluster" in problem


def test_a_hanging_command_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STATE, "config", Config(wipe_timeout_s=0.2))
    start = time.monotonic()
    problem = wipe.failure("sleep 30 & wait")
    assert problem and "longer than 0.2 s" in problem
    assert time.monotonic() - start < 5
