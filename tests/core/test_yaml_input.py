"""YAML from outside: nothing that a text says takes long, fills the memory, or ends in anything but one line."""

from __future__ import annotations

import os
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imfuse.benchmark.plan import read_settings
from imfuse.core.errors import BenchmarkError, ImfuseError, RecipeError
from imfuse.core.yaml_input import MAX_BYTES, parse_yaml, read_yaml
from imfuse.training.recipe import load_recipe, load_stages

LAUGHS = "{a0: &a0 [x, x]" + "".join(f", a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)) + "}"
HOSTILE = {
    "aliases that multiply": (LAUGHS, "aliases such as *a0 are not read"),
    "an alias as a key": ("x: &x a\n*x : b", "aliases such as *x"),
    "an alias of itself": ("a: &a [*a]", "aliases such as *a"),
    "an alias of a long name": (f"a: *{'a' * 5000}", "aliases such as *aaa"),
    "merged aliases": ("a: &a {b: 1}\nc:\n  <<: *a", "aliases such as *a"),
    "flow nested": ("data: " + "[" * 10_000, "nested too deeply, 20 levels at most"),
    "keys nested": ("".join(" " * i + "a:\n" for i in range(400)), "nested too deeply"),
    "lists nested": ("- " * 5000 + "a", "nested too deeply"),
    "keys of keys": ("? " * 5000, "nested too deeply"),
    "many values": ("- a\n" * 50_000, "more than 10000 values"),
    "a number that takes minutes": ("a: 1" + ":59" * 80_000, "more than 3500 characters"),
    "a number that is not written": ("a: 0x" + "f" * 200_000, "more than 3500 characters"),
    "the same key twice": ("epochs: 1\nepochs: 2", "line 2: the key epochs is there twice"),
    "no integer": ('a: !!int ""', "not of the kind that it seems"),
    "no date": ("a: 2026-13-45", "not of the kind that it seems"),
    "an escape": ("a: \x1b[2J", "not YAML"),
    "an object": ("!!python/object:os.system {}", "python/object"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_at_once(name: str) -> None:
    text, said = HOSTILE[name]
    started = time.process_time()
    with pytest.raises(RecipeError) as error:
        parse_yaml(text, RecipeError, "odd.yaml")
    assert time.process_time() - started < 5
    message = str(error.value)
    assert message.startswith("odd.yaml: ")
    assert said in message
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    ("reader", "kind"), [(load_recipe, RecipeError), (load_stages, RecipeError), (read_settings, BenchmarkError)]
)
def test_recipes_and_plans_are_read_so(tmp_path: Path, reader: Any, kind: type[ImfuseError]) -> None:
    for name, text in {"laughs.yaml": LAUGHS, "deep.yaml": f"data: {'[' * 100}"}.items():
        (tmp_path / name).write_text(text)
        tracemalloc.start()
        with pytest.raises(kind, match=rf"{name}: line 1: (aliases|nested too deeply)"):
            reader(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("text", [LAUGHS, "[" * 5000, "&a [*a]", '!!int ""'])
def test_values_that_are_set_go_the_same_way(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^change .* is not a YAML value") as error:
        load_recipe("auif", [f"epochs={text}"])
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


def test_wrong_values_are_shown_in_part() -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("auif", [f"epochs={[[list(range(20))] * 20] * 20}"])
    assert len(str(error.value)) < 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_only_files_of_a_fitting_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_text("#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name, said in {
        "pipe.yaml": "not a regular file, a plan is expected",
        "large.yaml": "at most 262144 are read",
        "latin.yaml": "not a text in UTF-8 (byte 3)",
        "none.yaml": "no such file",
    }.items():
        with pytest.raises(RecipeError) as error:
            read_yaml(tmp_path / name, RecipeError, "a plan")
        assert said in str(error.value)
        assert "max_bytes" not in str(error.value)
    with pytest.raises(RecipeError, match="not a regular file, a recipe is expected"):
        load_recipe(tmp_path / "pipe.yaml")
    with pytest.raises(BenchmarkError, match="not a regular file, a file of settings is expected"):
        read_settings(tmp_path / "pipe.yaml")


def test_what_is_read() -> None:
    text = "a: 1\nb: [1.5, yes, null, 'x']\nc: {<<: {d: 1}, e: &unused 2}\n"
    assert parse_yaml(text, RecipeError, "text") == {"a": 1, "b": [1.5, True, None, "x"], "c": {"d": 1, "e": 2}}
    assert parse_yaml("", RecipeError, "text") is None


@given(st.text("abc01&*!?:-[]{},#'\"\n <|>%~\\", max_size=60))
@settings(max_examples=200)
def test_any_text(text: str) -> None:
    with suppress(RecipeError):
        parse_yaml(text, RecipeError, "text")
