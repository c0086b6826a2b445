"""Traces of requests for OpenTelemetry: one span each, sent to where ``[serve] otlp_endpoint`` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from tradewind import __version__
from tradewind.server.context import About


class Traces:
    """Sends spans from a thread of its own; a receiver that isn't there costs requests nothing.

    Names are patterns of paths, as in the metrics: neither addresses nor headers, which may hold what is nobody's.
    """

    def __init__(self, endpoint: str) -> None:
        """Send to ``endpoint``, as http://localhost:4318/v1/traces."""
        resource = Resource.create({"service.name": "tradewind", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("tradewind.server", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[trace.Span]:
        """Trace what happens inside; it goes on with the trace that the caller began, if it says so."""
        said = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        around = self._propagator.extract({name: said[name] for name in ("traceparent", "tracestate") if name in said})
        with self._tracer.start_as_current_span(
            scope["method"], context=around, kind=SpanKind.SERVER, record_exception=False
        ) as span:
            yield span

    def answered(self, span: trace.Span, method: str, route: str, status: int, about: About) -> None:
        """Write down how it went."""
        span.update_name(f"{method} {route}")
        told: dict[str, str | int | None] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "tradewind.request_id": about.request_id,
            "tradewind.workspace": about.workspace,
            "tradewind.cluster": about.cluster,
        }
        span.set_attributes({name: value for name, value in told.items() if value is not None})
        if status >= 500 or status == 0:
            span.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left, within seconds, and stop."""
        self._provider.force_flush(timeout_millis=2000)
        self._provider.shutdown()
