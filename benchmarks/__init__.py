"""Benchmarks of customhouse, side by side with Debian's `docker-registry` in one run."""
