"""Registry, specifications, errors and weights files: light, no network code."""
