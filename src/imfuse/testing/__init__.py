"""Tests that every method inherits; they need pytest (``pip install 'imfuse[testing]'``).

``python -m imfuse.testing NAME|file.py:Name`` runs them. In a suite of your own::

    # conftest.py
    pytest_plugins = ["imfuse.testing.plugin"]

    # test_contract.py
    from imfuse.testing.contract import *

and ``pytest --model path/to/file.py:MyNet``.
"""
