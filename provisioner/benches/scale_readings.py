"""What `scale.py` reads: Prometheus' own figures, the kubelet's of each container, and what the metrics API answers."""

import http.client
import json
import re
import statistics
import sys
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import scale_pods
from scale_cluster import PARTS, Api, Instance, Object, Part, Refused, instance

JOB = '{job="web-app-service"}'
LIST = (
    f"/apis/custom.metrics.k8s.io/v1beta1/namespaces/{scale_pods.NAMESPACE}/pods/*/"
    "http_requests_per_second?labelSelector=app%3Dweb-app"
)
# The same of the whole Service, as an HPA with a metric of type Object asks.
WHOLE = (
    f"/apis/custom.metrics.k8s.io/v1beta1/namespaces/{scale_pods.NAMESPACE}/services/"
    "web-app-service/http_requests_per_second"
)
RULES = "web-app-rates"
# A rate over a few scrapes of a counter of whole numbers.
TOLERANCE = 0.25
QUERIES = 5
# Whatever keeps an answer from coming.
NO_ANSWER = (OSError, http.client.HTTPException, ValueError, KeyError)


class Prometheus:
    """The stack's Prometheus, at its pod's own address: the way through the API server is not what is measured."""

    def __init__(self, address: str, port: int = 9090) -> None:
        self.address, self.port = address, port

    def ask(self, path: str, body: dict[str, str] | None = None) -> bytes:
        """Asks it; what it answers."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request("POST", path, urllib.parse.urlencode(body), kind)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise OSError(f"Prometheus answers {path} with {answer.status}: {said[:200]!r}")
            return said
        finally:
            connection.close()

    def query(self, text: str) -> Object:
        """Evaluates a query; its data, with statistics."""
        answer = json.loads(self.ask("/api/v1/query", {"query": text, "stats": "all"}))
        found: Object = answer["data"]
        return found

    def number(self, text: str) -> float:
        """The one number of a query; 0 where it has none."""
        result = self.query(text)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def milliseconds(self, text: str) -> float:
        """How long it evaluates a query, by its own clock: the middle of some."""
        timings = [self.query(text)["stats"]["timings"] for _ in range(QUERIES)]
        return 1e3 * statistics.median(float(timing["execTotalTime"]) for timing in timings)

    def own(self) -> dict[str, float]:
        """What it exposes of itself, summed over labels."""
        return exposed(self.ask("/metrics").decode())

    def rules(self) -> float:
        """How long the last evaluation of the recording rules took, in milliseconds."""
        groups = json.loads(self.ask("/api/v1/rules"))["data"]["groups"]
        return 1e3 * sum(float(one["evaluationTime"]) for one in groups if one["name"] == RULES)


def exposed(text: str, only: str = "") -> dict[str, float]:
    """Values of an exposition by the name of the series, summed over labels; only of series that have a text in them."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#") or only not in line:
            continue
        series, _, value = line.rpartition(" ")
        name = series.partition("{")[0]
        found[name] = found.get(name, 0.0) + float(value)
    return found


@dataclass(frozen=True)
class Container:
    """The kubelet's figures of a container at some time."""

    at: str
    processor: float
    working_set: int


def containers(api: Api, parts: dict[str, Instance]) -> dict[str, Container]:
    """The kubelet's figures of the stack's containers; those that it has none of are missing."""
    found: dict[str, Container] = {}
    for node in {one.node for one in parts.values()} - {""}:
        summary = api.get(f"/api/v1/nodes/{node}/proxy/stats/summary")
        by_pod = {pod["podRef"]["uid"]: pod for pod in summary["pods"]}
        for part in PARTS:
            ours = by_pod.get(parts[part.name].uid, {}) if part.name in parts else {}
            for container in ours.get("containers", []):
                processor, memory = container.get("cpu", {}), container.get("memory", {})
                if container["name"] == part.container and "workingSetBytes" in memory:
                    seconds = processor.get("usageCoreNanoSeconds", 0) / 1e9
                    set_of = memory["workingSetBytes"]
                    found[part.name] = Container(processor.get("time", ""), seconds, set_of)
    return found


def instances(api: Api) -> dict[str, Instance]:
    """The stack's components that are there, by their names."""
    found = ((part.name, instance(api, part)) for part in PARTS)
    return {name: one for name, one in found if one is not None}


class Ended(Exception):
    """A container of the stack ended while it was measured."""

    def __init__(self, part: Part, was: Instance, reason: str) -> None:
        super().__init__(f"{part.name} ended at a limit of {was.limit_mi} MiB: {reason}")
        self.part, self.limit_mi, self.reason = part, was.limit_mi, reason


def look_out(api: Api, before: dict[str, Instance]) -> None:
    """Fails where a container is no longer the one that it was."""
    after = instances(api)
    for part in PARTS:
        was, is_now = before.get(part.name), after.get(part.name)
        if was is None:
            continue
        if is_now is None or (is_now.uid, is_now.restarts) != (was.uid, was.restarts):
            raise Ended(part, was, (is_now.ended if is_now else "") or "its pod is gone")
        if is_now.ended and not was.ended:
            raise Ended(part, was, is_now.ended)


@dataclass(frozen=True)
class Answer:
    """One answer of the metrics API."""

    seconds: float
    size: int
    values: dict[str, float]

    def right(self, pods: Iterable[int]) -> int:
        """How many of these pods have the value that they should."""
        return sum(
            abs(self.values.get(scale_pods.name(pod), 0.0) / scale_pods.rate(pod) - 1) <= TOLERANCE
            for pod in pods
        )


def ask_metrics(api: Api, path: str = LIST) -> Answer:
    """Asks as the HPA's controller does, for all pods by their label."""
    began = time.perf_counter()
    said = api.raw("GET", path)
    seconds = time.perf_counter() - began
    items = json.loads(said)["items"]
    values = {item["describedObject"]["name"]: quantity(item["value"]) for item in items}
    return Answer(seconds, len(said), values)


def quantity(text: str) -> float:
    """A number as the API writes it."""
    for unit, factor in (("m", 1e-3), ("k", 1e3), ("M", 1e6)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def adapter_query(api: Api, pods: list[int]) -> str:
    """The query that the adapter makes of its configuration for these pods."""
    path = "/api/v1/namespaces/custom-metrics/configmaps/custom-metrics-apiserver"
    config = api.get(path)["data"]["config.yaml"]
    found = re.search(r"metricsQuery: (.+)", config)
    if found is None:
        sys.exit("the adapter's configuration has no `metricsQuery`")
    text = found.group(1).strip()
    template: str = json.loads(text) if text.startswith('"') else text
    names = "|".join(map(scale_pods.name, pods))
    matchers = f'namespace="{scale_pods.NAMESPACE}",pod{"=~" if len(pods) > 1 else "="}"{names}"'
    places = {"Series": "http_requests_total", "LabelMatchers": matchers, "GroupBy": "pod"}
    for place, value in places.items():
        template = template.replace(f"<<.{place}>>", value)
    return template


def scrape_interval(api: Api) -> int:
    """Seconds between two scrapes of a pod, as the stack is configured."""
    path = "/api/v1/namespaces/monitoring/configmaps/prometheus"
    found = re.search(r"scrape_interval: (\d+)s", api.get(path)["data"]["prometheus.yml"])
    if found is None:
        sys.exit("Prometheus' configuration has no `scrape_interval`")
    return int(found.group(1))


@dataclass
class Window:
    """What was seen in a span of time."""

    seconds: float
    began: dict[str, float]
    ended: dict[str, float] = field(default_factory=dict)
    resident: list[float] = field(default_factory=list)
    rules: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    wholes: list[Answer] = field(default_factory=list)
    refused: int = 0
    stats: list[dict[str, Container]] = field(default_factory=list)
    lists: tuple[float, float] = (0.0, 0.0)

    def rate(self, series: str) -> float:
        """Increase a second of what Prometheus counts of itself."""
        return (self.ended.get(series, 0.0) - self.began.get(series, 0.0)) / self.seconds

    def memory(self, part: str) -> float | None:
        """The most memory of a container that counts for its limit, in MiB."""
        sizes = [stats[part].working_set for stats in self.stats if part in stats]
        return max(sizes) / 2**20 if sizes else None

    def processor(self, part: str) -> float | None:
        """Cores that a container took, between the first and the last figure of the kubelet."""
        known = [stats[part] for stats in self.stats if part in stats]
        times = {moment(one.at): one.processor for one in known if one.at}
        if len(times) < 2:
            return None
        first, last = min(times), max(times)
        return (times[last] - times[first]) / (last - first)


def moment(text: str) -> float:
    """A time of the API in seconds; its date does not matter for differences within a day."""
    hours, minutes, seconds = text.partition("T")[2].rstrip("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def lists_of_pods(api: Api) -> tuple[float, float]:
    """Bytes and number of lists of pods that the API server has sent since its start."""
    of_lists = [
        line
        for line in api.raw("GET", "/metrics").decode().splitlines()
        if 'resource="pods"' in line and 'verb="LIST"' in line
    ]
    found = exposed("\n".join(of_lists))
    sent = "apiserver_response_sizes"
    return found.get(f"{sent}_sum", 0.0), found.get(f"{sent}_count", 0.0)


def watch(api: Api, prometheus: Prometheus, seconds: float, queries: int) -> Window:
    """Watches for a span of time, in which the metrics API is asked evenly."""
    parts = instances(api)
    sent, made = lists_of_pods(api)
    window = Window(seconds, prometheus.own())
    began = time.monotonic()
    for look in range(1, queries + 1):
        try:
            window.answers.append(ask_metrics(api))
            window.wholes.append(ask_metrics(api, WHOLE))
        except (Refused, *NO_ANSWER) as error:
            window.refused += 1
            print(f"metrics API: {error}", file=sys.stderr, flush=True)
        window.resident.append(prometheus.own()["process_resident_memory_bytes"] / 2**20)
        window.rules.append(prometheus.rules())
        window.stats.append(containers(api, parts))
        time.sleep(max(0.0, began + seconds * look / queries - time.monotonic()))
    window.ended = prometheus.own()
    window.seconds = time.monotonic() - began
    bytes_after, lists_after = lists_of_pods(api)
    window.lists = (bytes_after - sent, lists_after - made)
    look_out(api, parts)
    return window


def scrapes(prometheus: Prometheus, seconds: int) -> dict[str, float]:
    """Of the scrapes of the last seconds: how many were made and failed, how long they took."""
    span = f"[{seconds}s]"
    texts: dict[str, str] = {
        "up": f"count(up{JOB} == 1)",
        "made": f"sum(count_over_time(up{JOB}{span}))",
        "good": f"sum(sum_over_time(up{JOB}{span}))",
        "middle": f"quantile(0.5, avg_over_time(scrape_duration_seconds{JOB}{span}))",
        "most": f"max(max_over_time(scrape_duration_seconds{JOB}{span}))",
    }
    return {name: prometheus.number(text) for name, text in texts.items()}


def least_middle_most(values: Iterable[float], digits: int = 0) -> str:
    """Three figures in one cell."""
    known: list[Any] = sorted(values)
    if not known:
        return "-"
    three = (known[0], statistics.median(known), known[-1])
    return ", ".join(f"{value:.{digits}f}" for value in three)
