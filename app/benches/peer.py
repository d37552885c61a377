"""The same service in Flask, with prometheus_client: the peer of `make bench-app`.

Run by gunicorn with one worker. It counts and times each request as the service does, and answers the same.
"""

import time

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
REQUESTS = Counter("http_requests", "HTTP requests", ["pod", "namespace"])
ACTIVE = Gauge("http_server_active_requests", "Requests in progress", ["method"])
DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests",
    ["method", "route", "status"],
    buckets=BUCKETS,
)
ITEMS = [
    {"id": 1, "name": "alpha", "value": 10},
    {"id": 2, "name": "beta", "value": 20},
    {"id": 3, "name": "gamma", "value": 30},
]

app = Flask(__name__)


@app.before_request
def arrived() -> None:
    """Counts."""
    g.started = time.perf_counter()
    REQUESTS.labels("bench", "default").inc()
    ACTIVE.labels(request.method).inc()


@app.after_request
def answered(response: Response) -> Response:
    """Times."""
    ACTIVE.labels(request.method).dec()
    route = request.url_rule.rule if request.url_rule else ""
    took = time.perf_counter() - g.started
    DURATION.labels(request.method, route, str(response.status_code)).observe(took)
    return response


@app.get("/api/data")
def data() -> Response:
    """What the service answers."""
    return jsonify(pod="bench", items=ITEMS)


@app.get("/metrics")
def metrics() -> Response:
    """The exposition."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@app.get("/readyz")
def readyz() -> str:
    """The probe."""
    return "ok"
