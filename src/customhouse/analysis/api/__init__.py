"""The part of the control plane that tells what is vulnerable and takes advisories."""

from customhouse.analysis.api import feed_updates, feeds, occurrences

__all__ = ["feed_updates", "feeds", "occurrences"]
