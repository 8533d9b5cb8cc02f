"""Classes of every pixel of a pair."""
