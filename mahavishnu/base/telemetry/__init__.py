"""Spans and figures for whoever collects them by OpenTelemetry."""
