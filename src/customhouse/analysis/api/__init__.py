"""The part of the control plane that tells what is vulnerable, takes advisories and exceptions."""

from customhouse.analysis.api import exceptions, feed_updates, feeds, occurrences, sboms

__all__ = ["exceptions", "feed_updates", "feeds", "occurrences", "sboms"]
