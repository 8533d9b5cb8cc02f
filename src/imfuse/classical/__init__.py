"""Training-free fusion methods, one file each: specification, steps in order, method.

A file in this package that assigns ``SPEC`` is a method, as in ``imfuse.models``; it has no parameters.
"""
