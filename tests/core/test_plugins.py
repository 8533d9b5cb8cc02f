"""Methods of others: registered, named by file or module, found by entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

import imfuse
from imfuse.core import plugins as plugins_module
from imfuse.core import registry
from imfuse.core.errors import ImfuseError, ModelError, WeightsError
from imfuse.core.plugins import PluginError, is_reference, load_reference
from imfuse.core.weights import save_weights
from imfuse.models import FusionModel, create_model, model_class

NET = """
from torch import nn

import imfuse

print("executed")


@imfuse.register_method(
    imfuse.ModelSpec(
        name="{name}",
        title="Tiny",
        paper=imfuse.Paper("Tiny", "unpublished", 2026, url="https://example.org"),
        summary="one convolution",
        size=imfuse.SizeRule(min_size=3, halo=1),
        parameters=19,
        options=(imfuse.Option("sharp", (False, True), False, "nothing"),),
    )
)
class Tiny(imfuse.FusionModel):
    def __init__(self, sharp: bool = False) -> None:
        super().__init__()
        import torch
        self.conv = nn.Conv2d(2, 1, 3, padding=1)
        self.sharp = sharp

    def forward(self, infrared, visible):
        import torch
        return torch.sigmoid(self.conv(torch.cat([infrared, visible], 1)))
"""


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "imfuse_plugin" in name:
            del sys.modules[name]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET.format(name="tiny"))
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net.py:Net", True),
        ("/a b/c.py:Net", True),
        ("package.module:Net", True),
        ("net.py", False),
        ("net.py:weights.safetensors", False),
        ("a/b:Net", False),
        (":Net", False),
        ("net.py:", False),
    ],
)
def test_what_a_reference_is(text: str, expected: bool) -> None:
    assert is_reference(text) is expected


def test_a_file_is_run_once_by_whatever_path(
    net: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_reference(f"{net}:Tiny")
    monkeypatch.chdir(net.parent)
    assert load_reference("net.py:Tiny") is first
    assert capsys.readouterr().out == "executed\n"
    assert model_class(f"{net}:Tiny") is first
    assert imfuse.get_spec("tiny") == imfuse.get_spec(f"{net}:Tiny") == first.spec
    assert "tiny" in imfuse.list_models()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("missing.py:Net", "missing.py: no such file"),
        ("{net}:Nothing", "has no 'Nothing'; it has Tiny"),
        ("{broken}:Net", r"broken.py: cannot be run \(ZeroDivisionError"),
        ("no_such_package_anywhere.x:Net", "no_such_package_anywhere.x: cannot be imported"),
        ("nonsense", "file.py:Name or package.module:Name is expected"),
    ],
)
def test_references_that_fail(net: Path, reference: str, message: str) -> None:
    broken = net.with_name("broken.py")
    broken.write_text("1 / 0")
    with pytest.raises(PluginError, match=message):
        load_reference(reference.format(net=net, broken=broken))
    assert issubclass(PluginError, ImfuseError)


def test_a_class_without_a_specification_is_no_method(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("class Net:\n    pass\n\nvalue = 3\n")
    for name in ("Net", "value"):
        with pytest.raises(ModelError, match="a class of a network with a specification is expected"):
            imfuse.get_spec(f"{tmp_path / 'bare.py'}:{name}")


def test_two_methods_of_one_name(tmp_path: Path, net: Path) -> None:
    imfuse.get_spec(f"{net}:Tiny")
    other = tmp_path / "other.py"
    other.write_text(NET.format(name="tiny"))
    with pytest.raises(
        ModelError, match=r"two methods are called 'tiny': one of imfuse_plugin_net.*, one of imfuse_plugin_other"
    ):
        imfuse.get_spec(f"{other}:Tiny")
    shipped = tmp_path / "shipped.py"
    shipped.write_text(NET.format(name="auif"))
    with pytest.raises(ModelError, match="two methods are called 'auif': one of this library"):
        imfuse.get_spec(f"{shipped}:Tiny")
    assert imfuse.get_spec("auif").title == "AUIF-Net"


def test_a_class_that_is_defined_again_takes_the_place() -> None:
    spec = imfuse.ModelSpec("again", "A", imfuse.Paper("a", "b", 2026), "s", training_free=True)

    def define() -> type[FusionModel]:
        @imfuse.register_method(spec)
        class Again(FusionModel):
            pass

        return Again

    first, second = define(), define()
    assert first is not second
    assert model_class("again") is second


def test_weights_carry_the_name_and_refuse_another_network(net: Path, tmp_path: Path) -> None:
    model = create_model(f"{net}:Tiny", None)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, model.state_dict(), {"model": model.spec.name})
    assert torch.equal(create_model("tiny", path).conv.weight, model.conv.weight)
    with pytest.raises(WeightsError, match="these weights are for 'tiny', not for 'auif'; use model=tiny"):
        create_model("auif", path)
    with pytest.raises(WeightsError, match="tiny: no shipped weights 'default'; there are: none"):
        create_model("tiny")
    save_weights(path, create_model("auif").state_dict(), {"model": "auif"})
    with pytest.raises(WeightsError, match="these weights are for 'auif', not for 'tiny'"):
        create_model("tiny", path)


# Entry points


def entry_points(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    found = {name: EntryPoint(name, value, "imfuse.methods") for name, value in points.items()}
    monkeypatch.setattr(registry, "plugins", lambda group: found if group == "imfuse.methods" else {})


def test_methods_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package_of_the_test.py").write_text(NET.format(name="tiny"))
    (tmp_path / "broken_of_the_test.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    entry_points(
        monkeypatch, tiny="package_of_the_test:Tiny", other="package_of_the_test:Tiny", bad="broken_of_the_test:Net"
    )
    # Listing loads nothing of others.
    assert {"tiny", "other", "bad", "auif"} <= set(imfuse.list_models())
    assert "package_of_the_test" not in sys.modules
    assert create_model("tiny", None).spec.title == "Tiny"
    with pytest.raises(ModelError, match=r"entry point other of imfuse.methods: its specification is named 'tiny'"):
        imfuse.get_spec("other")
    with pytest.raises(PluginError, match="broken_of_the_test: cannot be imported"):
        imfuse.get_spec("bad")
    sys.modules.pop("package_of_the_test")


def test_two_packages_with_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("tiny", value, "imfuse.methods") for value in ("a.net:Net", "a.net:Net", "b.net:Net")]
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: points[:2])
    assert plugins_module.plugins("imfuse.methods")["tiny"].value == "a.net:Net"
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: points)
    with pytest.raises(PluginError, match=r"two packages bring 'tiny': a\.net:Net and b\.net:Net"):
        plugins_module.plugins("imfuse.methods")


# Fuser


def test_fuser_takes_a_network(net: Path) -> None:
    network = create_model(f"{net}:Tiny", None).train()
    pair = torch.rand(40, 50), torch.rand(40, 50)
    fused = imfuse.Fuser(network)(*pair)
    with torch.no_grad():
        assert torch.allclose(fused, network(*(x[None, None] for x in pair))[0, 0], atol=1e-6)
    assert network.training, "the network itself stays as it was"
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.allclose(imfuse.fuse(*pair, network, tile=16), fused, atol=1e-6)


def test_fuser_takes_networks_of_this_library_with_their_options() -> None:
    network = create_model("densefuse", output="stretch")
    assert imfuse.Fuser(network).spec.size.halo is None, "stretching looks at the whole picture"
    sums, means = (imfuse.Fuser(create_model("auif", rule=rule)) for rule in ("sum", "average"))
    assert sums.fingerprint() != means.fingerprint()


def test_what_a_network_must_have(net: Path) -> None:
    with pytest.raises(ModelError, match="Conv2d: has no specification"):
        imfuse.Fuser(torch.nn.Conv2d(1, 1, 1))
    network = create_model(f"{net}:Tiny", None)
    with pytest.raises(ModelError, match="a network brings its own"):
        imfuse.Fuser(network, "other.safetensors")
    with pytest.raises(ModelError, match="given to the constructor"):
        imfuse.Fuser(network, sharp=True)
    del network.options
    with pytest.raises(ModelError, match="which sharp it was built with is not known"):
        imfuse.Fuser(network)


def test_misspelt_settings() -> None:
    for call in (
        imfuse.Fuser,
        lambda *args, **kwargs: imfuse.fuse(torch.rand(4, 4), torch.rand(4, 4), *args, **kwargs),
    ):
        with pytest.raises(ModelError, match=r"unknown setting 'rang': did you mean 'range'\?"):
            call("auif", rang="full")
        with pytest.raises(ModelError, match="auif: unknown option 'rul'; did you mean rule"):
            call("auif", rul="sum")


def test_fuser_prints_in_a_line() -> None:
    assert repr(imfuse.Fuser("auif", device="cpu", rule="l1")) == (
        "Fuser('auif', weights='auif.safetensors', device='cpu', dtype='float32', rule='l1')"
    )


def test_a_broken_package_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from imfuse.cli.main import main
    from imfuse.models._convert import recognise

    (tmp_path / "broken_of_the_test.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    entry_points(monkeypatch, bad="broken_of_the_test:Net")
    assert main(["models"]) == 0
    shown = capsys.readouterr()
    assert "refinefuse" in shown.out
    assert "bad: broken_of_the_test: cannot be imported (ZeroDivisionError" in shown.err
    layout = model_class("auif").published_layout()
    assert recognise(dict.fromkeys(layout, torch.zeros(1)), tmp_path) == "auif"


def test_models_shows_a_network_of_a_file(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from imfuse.cli.main import main

    assert main(["models", f"{net}:Tiny"]) == 0
    assert "one convolution" in capsys.readouterr().out
