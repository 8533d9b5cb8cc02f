"""The pytest plug-in of the contract tests: ``--model`` says which methods they are run for."""

from __future__ import annotations

import pytest

CONTRACT = "imfuse.testing.contract"

pytest.register_assert_rewrite(CONTRACT)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--model``, which may be given several times."""
    parser.getgroup("imfuse").addoption(
        "--model",
        action="append",
        metavar="NAME|FILE.py:CLASS",
        help="method that the contract tests are run for (repeatable); default: all that are registered",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each contract test once for every method."""
    if metafunc.function.__module__ == CONTRACT and "name" in metafunc.fixturenames:
        from imfuse.core.registry import get_spec, list_models

        asked = metafunc.config.getoption("--model")
        names = [get_spec(name).name for name in asked] if asked else list_models()
        metafunc.parametrize("name", names, scope="module")
