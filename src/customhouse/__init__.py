"""A private container registry: store, inspect, clear and account for images."""

__version__ = "0.1.0"
