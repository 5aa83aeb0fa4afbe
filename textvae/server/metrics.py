"""Measurements for Prometheus: requests, latency, queue, batch sizes."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """The measurements of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "textvae_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "textvae_request_seconds",
            "Time to the end of an answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._rows = Histogram(
            "textvae_batch_rows", "Texts or latents of a batch", ["kind"], buckets=ROWS, registry=self.registry
        )
        self._working = Gauge("textvae_requests_working", "Requests that wait or run", registry=self.registry)
        self._queue = Gauge("textvae_queue_jobs", "Jobs that wait for the model", registry=self.registry)

    def watch(self, working: Callable[[], int], queue: Callable[[], int]) -> None:
        """Take the gauges from functions."""
        self._working.set_function(working)
        self._queue.set_function(queue)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, kind: str, rows: int) -> None:
        """Count a batch."""
        self._rows.labels(kind).observe(rows)

    def render(self) -> tuple[bytes, str]:
        """Return the text and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
