"""Hostile input: every reader of what comes from outside, fuzzed, and the corpus that is kept."""
