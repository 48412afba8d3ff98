"""Advisories in the form of the Common Security Advisory Framework, as Red Hat publishes them."""

from __future__ import annotations

from customhouse.analysis.feeds.csaf.redhat import parse, read, recognises

__all__ = ["parse", "read", "recognises"]
