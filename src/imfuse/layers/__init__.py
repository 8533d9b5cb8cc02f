"""Shared network parts and filters."""
