"""Reasons to leave something as it is."""
