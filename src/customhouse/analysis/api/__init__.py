"""The part of the control plane that tells what is vulnerable and takes advisories."""

from customhouse.analysis.api import feeds, occurrences, sboms

__all__ = ["feeds", "occurrences", "sboms"]
