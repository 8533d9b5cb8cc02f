from __future__ import annotations

import inspect

from imfuse import imaging


def test_the_package_lists_its_public_names() -> None:
    assert dir(imaging) == sorted(imaging.__all__)
    assert inspect.isfunction(imaging.resize), "no module has the name of a function"
