"""The benchmark's own error."""


class BenchmarkError(Exception):
    """Something was not as it must be for the numbers to mean anything."""
