"""Scores of fused pictures: of one, of files, and of the folders of several methods beside each other."""
