"""What /metrics shows, in Prometheus's text form. One registry a server: nothing of the process's is shared."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, float("inf"))


class Metrics:
    """Counters of requests and jobs, and gauges that are asked when they are shown."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("streamseg_requests", "Requests by route and status.", ("route", "status"),
                                registry=self.registry)
        self.seconds = Histogram("streamseg_request_seconds", "Seconds from a request's first byte to its answer's "
                                 "last.", ("route",), buckets=_SECONDS, registry=self.registry)
        self.jobs = Counter("streamseg_jobs", "Films by how they ended.", ("state",), registry=self.registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show what ``value`` gives under ``name``."""
        Gauge(f"streamseg_{name}", text, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self.registry)
