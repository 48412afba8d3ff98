"""Notifications over HTTP, as Google's Pub/Sub v1 has them."""
