"""Inference forms: for each method a module that gives the same image faster, and cannot be trained."""
