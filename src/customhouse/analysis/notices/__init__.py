"""Telling subscribers of the topic `findings` what has changed in their images."""
