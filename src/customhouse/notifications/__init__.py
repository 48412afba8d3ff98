"""Notifications: messages on topics, delivered to endpoints as signed webhooks.

Names and forms are those of Google's Pub/Sub v1. A message is stored in the transaction that made
it true, with a delivery for each subscription; the worker sends what is due until it was taken.
"""
