"""Reads dashboards with Grafana's own schemas and writes them again: nothing may get lost or change.

Run by `make dashboards`. What Grafana does not know (a misspelled option, one that it dropped) is not
written; what it adds are its defaults.
"""

import doctest
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(before: Any, after: Any, at: str = "") -> Iterator[str]:
    """What of `before` is missing in `after`, or another value there.

    >>> list(lost({"a": [1, {"b": 2}], "c": 3}, {"a": [1, {"b": 2, "d": 4}], "c": 3}))
    []
    >>> list(lost({"a": [1, {"b": 2}], "c": 3}, {"a": [1, {"b": 4}]}))
    ['/a/1/b: 2 became 4', '/c is lost']
    >>> list(lost([1], [1, 2]))
    [': 1 items became 2']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{at}/{key}")
            else:
                yield f"{at}/{key} is lost"
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{at}: {len(before)} items became {len(after)}"
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from lost(one, other, f"{at}/{index}")
    elif before != after:
        yield f"{at}: {before!r} became {after!r}"


def main(files: list[str]) -> int:
    if doctest.testmod().failed:
        return 1
    plugins.register_default_plugins()
    problems = []
    for file in files:
        dashboard = json.loads(Path(file).read_text(encoding="utf-8"))
        written = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
        problems += [f"{file}{problem}" for problem in lost(dashboard, written)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if files and not problems:
        print(f"{len(files)} dashboard(s) as Grafana would write them")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
