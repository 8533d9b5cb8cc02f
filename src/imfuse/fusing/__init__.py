"""Pictures through a method: the engine (prepare, run, finish), folders, and the public face, ``Fuser``."""
