"""The tables of `scale.py`: what each number of pods costs, what it grows by for each pod, and where limits are met."""

import statistics
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from scale_cluster import PARTS
from scale_readings import Window, least_middle_most

# So many times the most pods that were measured a straight line is believed.
BELIEVED = 5
# The longest head of a request that Prometheus takes: Go's own bound (`http.DefaultMaxHeaderBytes`).
LONGEST_HEAD = 1 << 20
KI = 1024


@dataclass(frozen=True)
class Kill:
    """A component that ended while it was measured."""

    pods: int
    part: str
    limit_mi: int
    reason: str

    def said(self) -> str:
        """As a sentence."""
        return f"With {self.pods} pods {self.part} ended ({self.reason}) at its limit of {self.limit_mi} MiB."


@dataclass(frozen=True)
class Row:
    """All that is known of so many pods."""

    pods: int
    # Seconds until all was seen; none where it never was.
    settled: float | None
    limits: dict[str, int]
    window: Window
    scrapes: dict[str, float]
    # Scrapes that there should have been in the window.
    due: float
    # Values of the metrics API that were right, at best.
    right: int
    query: str
    query_ms: float
    # Seconds until a new pod's first value.
    fresh: list[float | None]

    @property
    def samples(self) -> float:
        """Samples a second."""
        return self.window.rate("prometheus_tsdb_head_samples_appended_total")

    @property
    def series(self) -> float:
        """Series in Prometheus' memory."""
        return self.window.ended["prometheus_tsdb_head_series"]

    @property
    def resident(self) -> float:
        """Prometheus' resident memory in MiB, in the middle."""
        return statistics.median(self.window.resident)

    @property
    def cores(self) -> float:
        """Cores that Prometheus took, by its own account."""
        return self.window.rate("process_cpu_seconds_total")

    @property
    def answer(self) -> float:
        """KiB of one answer of the metrics API."""
        sizes = [answer.size for answer in self.window.answers]
        return statistics.median(sizes) / KI if sizes else 0.0

    @property
    def answered(self) -> float:
        """Milliseconds of one answer of the metrics API, in the middle."""
        times = [answer.seconds for answer in self.window.answers]
        return 1e3 * statistics.median(times) if times else 0.0

    @property
    def listed(self) -> float:
        """KiB of one list of pods, as the adapter gets it for each answer."""
        sent, lists = self.window.lists
        return sent / lists / KI if lists else 0.0

    @property
    def asked(self) -> float:
        """KiB of the adapter's query in an address."""
        return len(urllib.parse.quote_plus(self.query)) / KI

    def said(self) -> str:
        """The row in short, while it is measured."""
        return (
            f"  {self.scrapes['up']:.0f} up, {self.samples:.0f} samples/s, {self.series:.0f} series, "
            f"{self.resident:.0f} MiB, {self.cores:.2f} cores, metrics API {self.answered:.0f} ms"
        )

    def cost(self) -> list[str]:
        """What it takes."""
        made, good = self.scrapes["made"], self.scrapes["good"]
        scrapes = [self.scrapes["middle"] * 1e3, self.scrapes["most"] * 1e3]
        parts = [
            f"{figure(self.window.memory(part.name), 0)} of {self.limits.get(part.name, 0)}"
            for part in PARTS
        ]
        return [
            str(self.pods),
            f"{self.scrapes['up']:.0f}",
            f"{100 * made / self.due:.0f}, {made - good:.0f}",
            ", ".join(f"{one:.1f}" for one in scrapes),
            f"{self.samples:.0f}",
            f"{self.series:.0f}",
            f"{self.resident:.0f}, {max(self.window.resident):.0f}",
            f"{self.cores:.2f}",
            parts[0],
            parts[1],
            figure(self.window.processor("adapter"), 2),
            parts[2],
        ]

    def answers(self) -> list[str]:
        """How what is asked is answered."""
        times = [answer.seconds * 1e3 for answer in self.window.answers]
        known = [one for one in self.fresh if one is not None]
        missing = len(self.fresh) - len(known)
        fresh = least_middle_most(known, 1) + (f", {missing} never" if missing else "")
        return [
            str(self.pods),
            figure(self.settled, 0),
            str(self.right),
            least_middle_most(times)
            + (f", {self.window.refused} refused" if self.window.refused else ""),
            least_middle_most(whole.seconds * 1e3 for whole in self.window.wholes),
            f"{self.answer:.1f}",
            f"{self.listed:.1f}",
            f"{self.asked:.1f}",
            f"{self.query_ms:.1f}",
            least_middle_most(self.window.rules, 1),
            fresh,
        ]


COST = (
    "pods",
    "up",
    "scrapes made %, failed",
    "scrape ms",
    "samples/s",
    "series",
    "Prometheus RSS MiB",
    "cores",
    "Prometheus MiB",
    "adapter MiB",
    "cores",
    "kube-state-metrics MiB",
)
ANSWERS = (
    "pods",
    "settled s",
    "right",
    "metrics API ms",
    "of the Service ms",
    "answer KiB",
    "list of pods KiB",
    "query KiB",
    "query ms",
    "rules ms",
    "new pod s",
)
GROWTH: tuple[tuple[str, Callable[[Row], float], float, int], ...] = (
    ("series", lambda row: row.series, 1, 1),
    ("samples/s", lambda row: row.samples, 1, 1),
    ("Prometheus RSS KiB", lambda row: row.resident, KI, 1),
    ("Prometheus millicores", lambda row: row.cores, 1e3, 2),
    ("adapter KiB", lambda row: row.window.memory("adapter") or 0.0, KI, 1),
    ("kube-state-metrics KiB", lambda row: row.window.memory("kube-state-metrics") or 0.0, KI, 1),
    ("metrics API us", lambda row: row.answered, 1e3, 0),
    ("answer bytes", lambda row: row.answer, KI, 0),
    ("list bytes", lambda row: row.listed, KI, 0),
    ("query bytes", lambda row: row.asked, KI, 0),
    ("query us", lambda row: row.query_ms, 1e3, 1),
)


def figure(value: float | None, digits: int) -> str:
    """A figure as a cell; `-` where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    return [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---:' for _ in head)} |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def growth(rows: list[Row]) -> list[list[str]]:
    """What each pod adds, from one number of pods to the next."""
    found = []
    for few, many in pairwise(rows):
        pods = many.pods - few.pods
        cells = [
            f"{(of(many) - of(few)) / pods * factor:.{digits}f}" for _, of, factor, digits in GROWTH
        ]
        found.append([f"{few.pods} to {many.pods}", *cells])
    return found


def reached(rows: list[Row], part: str) -> str | None:
    """At how many pods a component's shipped limit is reached, on the line between two numbers or on its continuation."""
    sizes = [(row.pods, size) for row in rows if (size := row.window.memory(part)) is not None]
    if len(sizes) < 2:
        return None
    limit = rows[0].limits[part]
    above = next((at for at, (_, size) in enumerate(sizes) if size > limit), None)
    second = len(sizes) - 1 if above is None else max(1, above)
    (pods, size), (more, larger) = sizes[second - 1], sizes[second]
    if larger <= size:
        return f"{part} does not grow towards its shipped limit of {limit} MiB"
    at = pods + (limit - size) * (more - pods) / (larger - size)
    if at > BELIEVED * sizes[-1][0]:
        return f"{part} is far from its shipped limit of {limit} MiB"
    how = "beyond what was measured, " if above is None else ""
    return f"{part} reaches its shipped limit of {limit} MiB at about {at:.0f} pods ({how}by a straight line)"


def limits(rows: list[Row], kills: list[Kill]) -> Iterator[str]:
    """Sentences about where limits are met."""
    yield from (kill.said() for kill in kills)
    for part in PARTS:
        if (told := reached(rows, part.name)) is not None:
            yield f"{told}."
    few, many = rows[max(0, len(rows) - 2)], rows[-1]
    per_pod = (many.asked - few.asked) / (many.pods - few.pods) if len(rows) > 1 else many.asked
    longest = many.pods + (LONGEST_HEAD / KI - many.asked) / per_pod
    yield (
        f"The adapter's query has {per_pod * KI:.0f} bytes for each pod in an address; sent by GET it would be longer than the "
        f"{LONGEST_HEAD >> 20} MiB that Prometheus takes from about {longest:.0f} pods on. The shipped adapter sends it by POST."
    )
    for row in rows:
        if row.settled is None:
            yield f"With {row.pods} pods not all values were right in the time that was given: {row.right} were."


MEANING_OF_COST = """\
`up`: targets whose last scrape was good. `scrapes`: those made of those due in the window, and how many failed. `scrape ms`: the
middle of the targets, and the longest of all. Memory of a container is its working set, which counts for its limit: the most that was
seen, beside that limit. Cores of Prometheus by its own account, those of the adapter by the kubelet's."""
MEANING_OF_ANSWERS = """\
`settled`: from the pods' creation until every one is scraped and the metrics API has its right value; `right`: how many then have it.
`metrics API`: asked for all pods by label, as the HPA's controller does: least, middle, most; `of the Service`: for the one value of all.
`answer`: of all pods. `list of pods`: what the API server sends the adapter for each such answer, compressed where it is longer than
128 KiB. `query`: the adapter's, as it would be in an address, and its evaluation by Prometheus' own clock. `rules`: one evaluation of the
recording rules. `new pod`: from its readiness until the metrics API has its first value."""


def section(head: list[str], rows: list[Row], kills: list[Kill], failure: str | None) -> str:
    """The section of the page."""
    lines = [*head, "", *table(COST, [row.cost() for row in rows]), "", MEANING_OF_COST, ""]
    lines += [*table(ANSWERS, [row.answers() for row in rows]), "", MEANING_OF_ANSWERS, ""]
    if len(rows) > 1:
        names = tuple(name for name, *_ in GROWTH)
        lines += ["Each pod adds:", "", *table(("pods", *names), growth(rows)), ""]
    lines += [f"- {told}" for told in limits(rows, kills)]
    if failure is not None:
        lines.append(f"- It stopped there: {failure}")
    return "\n".join(lines)
