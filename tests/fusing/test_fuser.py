from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import imfuse
from imfuse import Fuser, ImageError, ImfuseError, ModelError, PairError, WeightsError, create_model
from imfuse.core.size_rule import SizeRule
from imfuse.core.weights import save_weights
from imfuse.imaging import read_image, read_metadata, rgb_to_ycbcr, write_image
from imfuse.imaging.inputs import Stored
from imfuse.scenes import render_scene

SIZES = [(1, 1), (3, 5), (97, 131)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random AUIF-Net, made tame so that results neither saturate nor depend on rounding."""
    torch.manual_seed(0)
    state = create_model("auif", weights=None).state_dict()
    for name, value in state.items():
        if name.endswith("kernel"):
            value *= 0.02
    state["decoder.weight"].fill_(1 / 3)
    state["decoder_norm.bias"].fill_(-3)
    path = tmp_path_factory.mktemp("weights") / "auif.safetensors"
    save_weights(path, state, {"model": "auif"})
    return path


@pytest.fixture(scope="module")
def fuser(weights: Path) -> Fuser:
    return Fuser("auif", weights, device="cpu")


def picture(*shape: int, seed: int = 0, top: int = 256, dtype: type = np.uint8) -> np.ndarray[Any, Any]:
    """Smooth noise: neighbours resemble each other as in pictures."""
    values = np.random.default_rng(seed).random(shape)
    smooth = cv2.blur(values, (5, 5)) if min(shape[:2]) > 5 else values
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) / max(high - low, 1e-9) * (top - 1)).astype(dtype)


@pytest.mark.parametrize("size", SIZES)
def test_any_size(fuser: Fuser, size: tuple[int, int]) -> None:
    gray, colour = fuser(picture(*size), picture(*size, seed=1)), fuser(picture(*size), picture(*size, 3, seed=1))
    assert gray.shape == size
    assert colour.shape == (*size, 3)
    assert gray.dtype == colour.dtype == np.uint8


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", ["auif", "didfuse"])
@pytest.mark.parametrize("rule", ["sum", "l1"])
def test_tiled_equals_whole(weights: Path, model: str, rule: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"weights": weights if model == "auif" else None, "device": "cpu", "rule": rule}
    whole = Fuser(model, tile="off", **settings)
    tiled = Fuser(model, tile=24, **settings)
    tiled.network = whole.network
    calls = []
    hook = whole.network.register_forward_hook(lambda *_: calls.append(1))
    infrared, visible = picture(*size), picture(*size, 3, seed=1)
    expected = whole(infrared, visible).astype(int)
    assert len(calls) == 1
    found = tiled(infrared, visible).astype(int)
    hook.remove()
    assert len(calls) - 1 == (30 if size == (97, 131) else 1)
    assert np.abs(found - expected).max() <= 1


def test_memory_budget_makes_tiles(weights: Path, fuser: Fuser) -> None:
    small = Fuser("auif", weights, device="cpu", memory=100 * 130**2)
    calls = []
    small.network.register_forward_hook(lambda *_: calls.append(1))
    infrared, visible = picture(97, 231), picture(97, 231, seed=1)
    assert np.abs(small(infrared, visible).astype(int) - fuser(infrared, visible)).max() <= 1
    assert len(calls) > 1


def test_not_tileable(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    whole = Fuser("auif", weights, device="cpu")
    whole.spec = replace(whole.spec, size=SizeRule(min_size=10, not_tileable="it attends to the whole image"))
    assert whole(picture(40, 40), picture(40, 40)).shape == (40, 40)
    monkeypatch.setattr("imfuse.fusing.engine.available_memory", lambda: 1000)
    with pytest.raises(ModelError, match=r"attends to the whole image.*smaller picture"):
        whole(picture(40, 40), picture(40, 40))
    monkeypatch.setattr("imfuse.core.resolve.get_spec", lambda name: whole.spec)
    with pytest.raises(ModelError, match=r"attends to the whole image.*tile='off'"):
        Fuser("auif", weights, tile=64)


def test_colour_is_kept(weights: Path) -> None:
    exact = Fuser("auif", weights, device="cpu", visible_range="full")
    visible = 0.3 + 0.4 * picture(60, 80, 3, seed=1, top=1000, dtype=np.float32) / 999
    fused = exact(np.full((60, 80), 128, np.uint8), visible)
    y, cb, cr = rgb_to_ycbcr(fused)
    y_before, cb_before, cr_before = rgb_to_ycbcr(visible)
    inside = ((fused > 0) & (fused < 1)).all(axis=2)
    assert inside.mean() > 0.5
    assert np.abs(y - y_before)[inside].max() > 0.02
    np.testing.assert_allclose(cb[inside], cb_before[inside], atol=1e-5)
    np.testing.assert_allclose(cr[inside], cr_before[inside], atol=1e-5)


def test_gray_stays_gray(fuser: Fuser, weights: Path) -> None:
    infrared, gray = picture(40, 50), picture(40, 50, seed=1)
    expected = fuser(infrared, gray)
    assert expected.shape == (40, 50)
    three = fuser(infrared, np.repeat(gray[..., None], 3, 2))
    assert np.abs(three.astype(int) - expected[..., None]).max() <= 1
    assert (three == three[..., :1]).all()
    forced = Fuser("auif", weights, device="cpu", gray=True)(infrared, picture(40, 50, 3, seed=1))
    assert forced.shape == (40, 50)


def test_gray_file_stored_as_rgb_gives_a_gray_file(fuser: Fuser, tmp_path: Path) -> None:
    gray = picture(40, 50, seed=1)
    write_image(tmp_path / "ir.png", picture(40, 50))
    write_image(tmp_path / "vi.png", np.repeat(gray[..., None], 3, 2))
    np.testing.assert_array_equal(fuser(tmp_path / "ir.png", tmp_path / "vi.png"), fuser(picture(40, 50), gray))


def test_coloured_infrared_counts_by_luminance(fuser: Fuser) -> None:
    gray, visible = picture(40, 50), picture(40, 50, seed=1)
    fused = fuser(np.repeat(gray[..., None], 3, 2), visible)
    assert np.abs(fused.astype(int) - fuser(gray, visible)).max() <= 1


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, np.uint8), (np.uint16, np.uint16), (np.float32, np.float32), (np.float64, np.float32)],
)
@pytest.mark.parametrize("bits", [None, 8, 16])
def test_type_follows_the_visible_picture(weights: Path, dtype: type, expected: type, bits: Any) -> None:
    top = {np.uint8: 256, np.uint16: 65536}.get(dtype, 2)
    visible = picture(20, 30, 3, seed=1, top=top, dtype=dtype)
    fused = Fuser("auif", weights, device="cpu", bits=bits)(picture(20, 30), visible)
    assert fused.dtype == {None: expected, 8: np.uint8, 16: np.uint16}[bits]
    assert fused.shape == visible.shape


def test_one_value_in_every_type(weights: Path) -> None:
    """8 bits, 16 bits and float differ by their rounding only."""
    results = {bits: Fuser("auif", weights, device="cpu", bits=bits) for bits in (None, 8, 16)}
    infrared, visible = picture(40, 50), picture(40, 50, 3, seed=1)
    exact = results[None](infrared, visible.astype(np.float32) / 255)
    assert np.abs(results[8](infrared, visible) / 255 - exact).max() <= 0.5 / 255 + 1e-6
    assert np.abs(results[16](infrared, visible) / 65535 - exact).max() <= 0.5 / 65535 + 1e-6


def test_ranges(weights: Path) -> None:
    thermal = (7000 + picture(40, 50, top=2000, dtype=np.uint16)).astype(np.uint16)
    visible = picture(40, 50, seed=1)

    def fused(range_: str) -> Any:
        return Fuser("auif", weights, device="cpu", range=range_)(thermal, visible)

    np.testing.assert_array_equal(fused("auto"), fused("percentile"))
    limits = f"{thermal.min()},{thermal.max()}"
    np.testing.assert_array_equal(fused("minmax"), fused(limits))
    # In 0..65535 a scene of 2000 levels has no contrast left; the thermal default must not be this one.
    assert (fused("full") != fused("auto")).mean() > 0.5
    with pytest.raises(ImageError, match="LOW < HIGH"):
        fused("9000,7000")


def test_sizes_must_agree(fuser: Fuser, weights: Path) -> None:
    with pytest.raises(PairError, match=r"30x20.*60x40.*resize=True"):
        fuser(picture(20, 30), picture(40, 60))
    resizing = Fuser("auif", weights, device="cpu", resize=True)
    assert resizing(picture(20, 30), picture(40, 60, 3)).shape == (40, 60, 3)
    assert resizing(picture(80, 90), picture(40, 60)).shape == (40, 60)
    np.testing.assert_array_equal(resizing(picture(40, 60), picture(40, 60)), fuser(picture(40, 60), picture(40, 60)))


def test_methods_of_colour_see_the_colours() -> None:
    infrared, colours = picture(64, 64), picture(64, 64, 3, seed=1)
    fuser = Fuser("psfusion", None, device="cpu", gray=True)
    fused = fuser(infrared, colours)
    assert fused.shape == (64, 64)
    ir, vi = (torch.from_numpy(image).float() / 255 for image in (infrared, colours))
    with torch.inference_mode():
        wanted = fuser.network(ir[None, None], vi.permute(2, 0, 1)[None].contiguous())[0, 0]
    np.testing.assert_array_equal(fused, (255 * wanted).round().byte().numpy())
    fuser.gray = False
    luminance, _, _ = rgb_to_ycbcr(fuser(infrared, colours.astype(np.float32) / 255))
    assert np.abs(255 * luminance - 255 * wanted.numpy()).mean() < 2, "clipped colours aside"


def test_tensors(fuser: Fuser) -> None:
    infrared, visible = picture(40, 50), picture(40, 50, 3, seed=1)
    expected = fuser(infrared, visible.astype(np.float32) / 255)
    ir, vi = torch.from_numpy(infrared) / 255, torch.from_numpy(visible).permute(2, 0, 1) / 255
    for heat, colours in ((ir, vi), (ir[None], vi), (ir[None, None], vi[None])):
        fused = fuser(heat, colours)
        assert fused.shape == colours.shape
        assert fused.dtype == torch.float32
        np.testing.assert_allclose(fused.reshape(3, 40, 50).permute(1, 2, 0).numpy(), expected, atol=1e-5)
    assert fuser(ir, vi[0]).shape == (40, 50)
    batch = fuser(torch.stack([ir[None], 1 - ir[None]]), torch.stack([vi, vi]))
    assert batch.shape == (2, 3, 40, 50)
    assert not torch.equal(batch[0], batch[1])
    with pytest.raises(PairError, match="2 infrared and 1 visible"):
        fuser(torch.stack([ir[None], ir[None]]), vi)


def test_tensors_in_gray(weights: Path) -> None:
    gray = Fuser("auif", weights, device="cpu", gray=True)
    assert gray(torch.rand(1, 1, 12, 14), torch.rand(1, 3, 12, 14)).shape == (1, 1, 12, 14)
    assert gray(torch.rand(12, 14), torch.rand(3, 12, 14).bfloat16()).dtype == torch.float32


def test_pil(fuser: Fuser, weights: Path) -> None:
    infrared, visible = picture(40, 50), picture(40, 50, 3, seed=1)
    fused = fuser(Image.fromarray(infrared), Image.fromarray(visible))
    assert fused.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(fused), fuser(infrared, visible))
    assert fuser(infrared, Image.fromarray(visible).convert("L")).mode == "L"
    assert fuser(infrared, Image.fromarray(visible).convert("RGBA")).mode == "RGB"
    deep = fuser(infrared, Image.fromarray(picture(40, 50, top=65536, dtype=np.uint16)))
    assert deep.mode == "I;16"
    with pytest.raises(ImageError, match=r"16-bit colour.*gray=True"):
        Fuser("auif", weights, device="cpu", bits=16)(infrared, Image.fromarray(visible))


@pytest.mark.parametrize("mode", ["1", "LA", "P", "PA", "CMYK", "YCbCr", "I", "I;16"])
def test_pil_modes(fuser: Fuser, mode: str) -> None:
    fused = fuser(picture(40, 50), Image.fromarray(picture(40, 50)).convert(mode))
    assert fused.size == (50, 40)
    # A palette of grays is gray, as in a file.
    gray = dict.fromkeys(("1", "LA", "P", "PA"), "L")
    assert fused.mode == {**gray, "I": "I;16", "I;16": "I;16"}.get(mode, "RGB")


def test_pil_pictures_that_cannot_be_used(fuser: Fuser) -> None:
    infrared = picture(40, 50)
    with pytest.raises(ImageError, match="HSV"):
        fuser(infrared, Image.fromarray(picture(40, 50, 3)).convert("HSV"))
    with pytest.raises(ImageError, match=r"-1\.\.-1"):
        fuser(infrared, Image.new("I", (50, 40), -1))


def test_paths(fuser: Fuser, weights: Path, tmp_path: Path) -> None:
    infrared, visible = picture(40, 50), picture(40, 50, 3, seed=1)
    ir, vi = tmp_path / "Wärme ночь.png", tmp_path / "可见光.png"
    write_image(ir, infrared)
    write_image(vi, visible)
    np.testing.assert_array_equal(fuser(str(ir), vi), fuser(infrared, visible))
    deep = Fuser("auif", weights, device="cpu", bits=16)
    out = tmp_path / "größer" / "融合.png"
    assert deep.files(ir, vi, out)
    assert read_image(out).dtype == np.uint16
    np.testing.assert_array_equal(read_image(out), deep(ir, vi))
    assert read_metadata(out)["imfuse:infrared-range"] == "0,255"
    assert not deep.files(ir, vi, out)
    assert fuser.files(ir, vi, out)


def test_files_that_are_not_ours_stay(fuser: Fuser, tmp_path: Path) -> None:
    ir, vi, other = tmp_path / "ir.png", tmp_path / "vi.png", tmp_path / "other.png"
    for seed, path in enumerate((ir, vi, other)):
        write_image(path, picture(40, 50, seed=seed))
    before = [path.read_bytes() for path in (ir, vi, other)]
    for out, words in ((ir, "one of the two"), (vi, "one of the two"), (other, "overwrite=True")):
        with pytest.raises(ImageError, match=words):
            fuser.files(ir, vi, out)
    assert [path.read_bytes() for path in (ir, vi, other)] == before
    assert fuser.files(ir, vi, other, overwrite=True)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(np.full((40, 50), np.nan, np.float32), id="not a number"),
        pytest.param(np.full((40, 50), np.inf), id="infinite"),
        pytest.param(np.full((40, 50), 7.0), id="beyond [0, 1]"),
        pytest.param(np.zeros((40, 50, 4), np.uint8), id="four channels"),
        pytest.param(np.zeros((0, 50), np.uint8), id="no rows"),
        pytest.param(np.zeros((40, 50), np.int64), id="wide integers"),
        pytest.param(np.zeros(50, np.uint8), id="one axis"),
        pytest.param(torch.rand(2, 40, 50), id="two channels"),
        pytest.param(torch.rand(0, 1, 40, 50), id="empty batch"),
        pytest.param(7, id="a number"),
    ],
)
def test_what_is_no_picture(fuser: Fuser, bad: Any) -> None:
    with pytest.raises(ImfuseError) as caught:
        fuser(picture(40, 50), bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"model": "auiff"}, ModelError, "did you mean 'auif'"),
        ({"rule": "max"}, ModelError, "sum, average, l1"),
        ({"colour": "yes"}, ModelError, "unknown option 'colour'"),
        ({"dtype": "float16"}, ModelError, "dtype='float16'; it does in auto, float32"),
        ({"device": "tpu9"}, ModelError, "device='cpu'"),
        ({"tile": 0}, ModelError, "tile=0: a number"),
        ({"tile": "many"}, ModelError, "tile='many'"),
        ({"bits": 12}, ModelError, "bits=12"),
        ({"fit": "stretch"}, ModelError, "mirror, zero, resize is expected"),
        ({"range": "wide"}, ImageError, "LOW,HIGH"),
        ({"weights": "missing.safetensors"}, WeightsError, "missing.safetensors"),
    ],
)
def test_settings_are_checked(weights: Path, settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Fuser(**{"model": "auif", "weights": weights, "device": "cpu"} | settings)


def test_out_of_memory_is_one_line(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuser = Fuser("auif", weights, device="cpu")

    def fail(*_: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(fuser.network, "forward", fail)
    with pytest.raises(ModelError, match=r"50x40.*tile=256"):
        fuser(picture(40, 50), picture(40, 50))


def test_bfloat16() -> None:
    torch.manual_seed(0)
    exact = Fuser("didfuse", weights=None, device="cpu")
    torch.manual_seed(0)
    short = Fuser("didfuse", weights=None, device="cpu", dtype="bfloat16")
    infrared, visible = picture(40, 50), picture(40, 50, seed=1)
    assert np.abs(short(infrared, visible).astype(int) - exact(infrared, visible)).max() <= 8


def test_options_reach_the_model(weights: Path, fuser: Fuser) -> None:
    infrared, visible = picture(40, 50), picture(40, 50, seed=1)
    average = Fuser("auif", weights, device="cpu", rule="average")
    assert (average(infrared, visible) != fuser(infrared, visible)).any()
    assert average.fingerprint() != fuser.fingerprint()


def test_one_line_over_it(weights: Path, fuser: Fuser) -> None:
    infrared, visible = picture(40, 50), picture(40, 50, 3, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused = imfuse.fuse(infrared, visible, weights=weights, device="cpu")
    np.testing.assert_array_equal(fused, fuser(infrared, visible))


def test_inputs_are_not_changed(fuser: Fuser) -> None:
    infrared, visible = np.random.default_rng(0).random((2, 40, 50), np.float32)
    copies = infrared.copy(), visible.copy()
    first = fuser(infrared, visible)
    np.testing.assert_array_equal(infrared, copies[0])
    np.testing.assert_array_equal(visible, copies[1])
    np.testing.assert_array_equal(first, fuser(infrared, visible))


def test_resized_as_the_released_program_of_psfusion(tmp_path: Path) -> None:
    """Bicubic at 8 bits down to multiples of 32, levels cut off, and up again."""
    torch.manual_seed(0)
    model = create_model("psfusion_compact", weights=None)
    save_weights(tmp_path / "some.safetensors", model.state_dict(), {"model": "psfusion_compact"})
    scene = render_scene(75, 101)
    small = [
        np.asarray(Image.fromarray(x).resize((96, 64), Image.Resampling.BICUBIC))
        for x in (scene.infrared, scene.visible)
    ]
    exact = Fuser(weights=tmp_path / "some.safetensors")(*(image.astype(np.float32) / 255 for image in small))
    wanted = Image.fromarray((exact * np.float32(255)).astype(np.uint8)).resize((101, 75), Image.Resampling.BICUBIC)
    fuser = Fuser(weights=tmp_path / "some.safetensors", fit="resize")
    assert np.array_equal(fuser(scene.infrared, scene.visible), np.asarray(wanted))
    with pytest.raises(ImageError, match="visible: fit='resize' is of 8-bit pictures of at least 32x32"):
        fuser(scene.infrared[:65], scene.visible[:65].astype(np.float32) / 255)
    with pytest.raises(ImageError, match="infrared: fit='resize'"):
        fuser(scene.infrared[:20], scene.visible[:20])


@pytest.mark.parametrize("method", [None, "lrrnet", "gtf"])
def test_two_constant_pictures_give_their_mean_whatever_the_method(method: str | None) -> None:
    fuser = Fuser(method, device="cpu")
    for first, second in ((0, 0), (100, 100), (255, 255), (40, 200)):
        fused = fuser(np.full((40, 56), first, np.uint8), np.full((40, 56), second, np.uint8))
        assert (fused == (first + second) // 2).all()
    colours = np.broadcast_to(np.uint8([90, 60, 30]), (40, 56, 3))
    assert np.ptp(fuser(np.zeros((40, 56), np.uint8), colours), axis=(0, 1)).max() == 0


def test_the_network_is_asked_as_soon_as_a_pixel_differs(fuser: Fuser) -> None:
    flat = np.full((40, 56), 100, np.uint8)
    dotted = flat.copy()
    dotted[20, 30] = 101
    for pair in ((dotted, flat), (flat, dotted)):
        prepared = fuser.prepare(*(Stored(pixels, "x") for pixels in pair))
        direct = fuser.run(prepared, fuser.network)[0, 0].numpy()
        np.testing.assert_array_equal(fuser.fuse_luminance(prepared), direct)


@pytest.mark.parametrize(("method", "darkest", "brightest"), [("lrrnet", 80, 82), ("transfusion_compact", 60, 102)])
def test_noise_of_a_flat_pair_is_not_stretched_over_all_grays(method: str, darkest: int, brightest: int) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (2, 48, 64)).astype(np.uint8)
    fused = Fuser(method, device="cpu")(60 + noise[0], 100 + noise[1])
    assert np.ptp(fused) <= 8
    assert darkest <= fused.mean() <= brightest
