"""An API server with a Prometheus behind it, as far as the dashboard asks: a load of 100 requests/s that scales 1 to 10 pods.

Every figure follows from the time, so that two runs show the same pictures.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

PROXY = "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/"
PODS = [
    f"web-app-6d5f9c7b8-{name}"
    for name in (
        "2kx9p",
        "5wq7c",
        "7hn4d",
        "8zt2m",
        "b6r8v",
        "c9j5k",
        "fx3lw",
        "kq7tn",
        "mv4gs",
        "tz6hb",
    )
]
Labelled = tuple[dict[str, str], Callable[[float], float | None]]


class Story:
    """What happens when: seconds count from `start`, the load begins after five minutes."""

    def __init__(self, now: float) -> None:
        self.load = now - 540
        self.stop = now - 120

    def rate(self, at: float) -> float:
        wobble = 1.4 * math.sin(at / 7) + 0.9 * math.sin(at / 3.1)
        if at < self.load:
            return 0.0
        if at > self.stop:
            return max(0.0, (100 + wobble) * (1 - (at - self.stop) / 8))
        return min(100.0, (at - self.load) * 25) + wobble

    def desired(self, at: float) -> int:
        return 10 if self.load + 9 <= at <= self.stop + 45 else 1

    def current(self, at: float) -> int:
        return 10 if self.load + 11 <= at <= self.stop + 47 else 1

    def ready(self, at: float) -> int:
        if at > self.stop + 47 or at < self.load + 11:
            return 1
        return min(10, 1 + int((at - self.load - 11) * 1.2))

    def of_pod(self, index: int, at: float) -> float:
        count = self.ready(at)
        share = 1 + 0.06 * math.sin(at / 11 + index * 1.7) if count > 1 else 1
        return self.rate(at) / count * share

    def latency(self, at: float, base: float) -> float | None:
        if self.rate(at) < 1:
            return None
        crowd = max(0.0, 1 - (at - self.load) / 30) if at < self.load + 30 else 0.0
        return base * (1 + 9 * crowd + 0.12 * math.sin(at / 5))

    def by_pod(self, of: Callable[[int, float], float]) -> list[Labelled]:
        """A line for each pod that is ready."""

        def line(index: int) -> Callable[[float], float | None]:
            return lambda at: of(index, at) if index < self.ready(at) else None

        return [({"pod": pod}, line(index)) for index, pod in enumerate(PODS)]

    def counted(self, index: int, at: float) -> float:
        return max(0.0, min(at, self.stop) - self.load - index) * 10

    def series(self, query: str) -> list[Labelled]:
        """What a query of the dashboard gives."""
        answers: list[tuple[str, list[Labelled]]] = [
            ("increase(http_requests_total", [({}, lambda at: self.counted(0, at) * 10)]),
            ("sum by (pod) (rate(http_requests_total", self.by_pod(self.of_pod)),
            ("sum by (pod) (http_requests_total", self.by_pod(self.counted)),
            ("sum(rate(http_requests_total", [({}, self.rate)]),
            ("rate(process_cpu", self.by_pod(lambda i, at: 0.002 + 0.0011 * self.of_pod(i, at))),
            ("resident_memory", self.by_pod(lambda i, at: (6.4 + 0.13 * i) * 2**20)),
            ("restarts_total", [({"pod": PODS[0], "namespace": "web-app"}, lambda at: 0.0)]),
            (" / max by", [({}, lambda at: self.rate(at) / self.ready(at) / 10)]),
            ("status_target_metric", [({}, lambda at: self.rate(at) / self.ready(at))]),
            ("spec_target_metric", [({}, lambda at: 10.0)]),
            ("status_condition", [({}, lambda at: 1.0)]),
            ("status_current_replicas", [({}, lambda at: float(self.current(at)))]),
            ("status_desired_replicas", [({}, lambda at: float(self.desired(at)))]),
            ("replicas_ready", [({}, lambda at: float(self.ready(at)))]),
            ("spec_min_replicas", [({}, lambda at: 1.0)]),
            ("spec_max_replicas", [({}, lambda at: 10.0)]),
            ("active_requests", [({}, lambda at: float(round(self.rate(at) / 60)))]),
            ("count(up", [({}, lambda at: 0.0 if " - " in query else float(self.current(at)))]),
            ("sum(up", [({}, lambda at: float(self.ready(at)))]),
            ("quantile(0.5,", [({}, lambda at: self.latency(at, 0.0011))]),
            ("quantile(0.9,", [({}, lambda at: self.latency(at, 0.0022))]),
            ("quantile(0.99,", [({}, lambda at: self.latency(at, 0.0043))]),
            ("seconds_sum", [({}, lambda at: self.latency(at, 0.0014))]),
            ('"5.."', [({}, lambda at: 0.0)]),
            ("by (http_response_status_code)", [({"http_response_status_code": "200"}, self.rate)]),
            ("scrape_duration", [({}, lambda at: 0.0021 + 0.0006 * math.sin(at / 13))]),
        ]
        return next((series for part, series in answers if part in query), [])


def samples(value: Callable[[float], float | None], times: Iterator[float]) -> list[list[object]]:
    pairs = ((at, value(at)) for at in times)
    return [[at, f"{number:.6g}"] for at, number in pairs if number is not None]


class Handler(BaseHTTPRequestHandler):
    """GET only; whatever is no query of Prometheus is an empty list."""

    story: Story
    works = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not url.path.startswith(PROXY):
            self.reply(
                200, {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": []}
            )
        elif not self.works:
            self.reply(
                503,
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Failure",
                    "code": 503,
                    "reason": "ServiceUnavailable",
                    "message": 'no endpoints available for service "prometheus"',
                },
            )
        else:
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            self.reply(200, {"status": "success", "data": {"result": self.result(asked)}})

    def result(self, asked: dict[str, str]) -> list[dict[str, object]]:
        query = asked["query"]
        if query.endswith("[3m]"):
            return [{"metric": {}, "values": [[float(at), "1"] for at in range(60)]}]
        series = self.story.series(query)
        if "time" in asked:
            at = float(asked["time"])
            return [
                {"metric": labels, "value": [at, f"{value(at) or 0:.6g}"]}
                for labels, value in series
            ]
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        count = int((end - start) / step) + 1
        found = (
            (labels, samples(value, (start + n * step for n in range(count))))
            for labels, value in series
        )
        return [{"metric": labels, "values": values} for labels, values in found if values]

    def reply(self, code: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the requests are no news."""


class Cluster:
    """The server, on a free port of loopback, while it is used."""

    def __init__(self, now: float) -> None:
        self.handler = Handler
        self.handler.story = Story(now)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()

    def kubeconfig(self) -> str:
        port = self.server.server_address[1]
        cluster = {"server": f"http://127.0.0.1:{port}"}
        return json.dumps(
            {
                "clusters": [{"name": "c", "cluster": cluster}],
                "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )

    def answers(self, works: bool) -> None:
        """Whether Prometheus has a pod."""
        self.handler.works = works
