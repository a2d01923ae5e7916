"""Asking a Prometheus over its HTTP API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.look.dashboards import Asked, Window

TIMEOUT_SECONDS = 20.0


class PrometheusError(Exception):
    """Prometheus did not answer, or refused the query."""


@dataclass(frozen=True, slots=True)
class Series:
    """One answer: labels, and values at UNIX seconds; an instant query has one value."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The latest value."""
        return self.values[-1]


class Prometheus:
    """A Prometheus at a URL such as `http://127.0.0.1:9090`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def ask(self, asked: Asked, window: Window, run_id: str) -> list[Series]:
        """The answer to a dashboard's query, as Grafana would ask it.

        Raises:
            PrometheusError: no answer.
        """
        expr = window.filled(asked.expr, run_id)
        return self.instant(expr, window.end) if asked.instant else self.over(expr, window)

    def instant(self, expr: str, at: float) -> list[Series]:
        """The values at one moment."""
        found = self.get("query", query=expr, time=f"{at:.3f}")
        return [_series(series["metric"], [series["value"]]) for series in found["result"]]

    def over(self, expr: str, window: Window) -> list[Series]:
        """The values over time."""
        span = {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}", "step": f"{window.step}"}
        found = self.get("query_range", query=expr, **span)
        return [_series(series["metric"], series["values"]) for series in found["result"]]

    def get(self, what: str, **parameters: str) -> Any:  # noqa: ANN401 — JSON, of a shape that `what` decides
        """The data that `/api/v1/WHAT` answers with."""
        address = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 — the caller's own
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"{parameters}: {json.load(error).get('error', error)}") from error
        except OSError as error:
            raise PrometheusError(f"{self._url}: {error}") from error


def _series(labels: Mapping[str, str], points: list[tuple[float, str]]) -> Series:
    return Series(labels, tuple(float(at) for at, _ in points), tuple(float(value) for _, value in points))
