"""How fast the forms of a network are, side by side in one run.

``python -m scripts.speed.networks METHOD --threads 1`` prints a table. Every form fuses the same rendered pair; the
plain module is the oracle, and the last columns say how the 8-bit results differ from it. Machines are noisy: the forms
take turns, and medians and their ratios are printed.

What was tried for AUIF-Net's ten layers and is not listed, because it lost: one filter call per stream on stacked
images (the frame needs eight strips each), two images in a batch of two-channel groups (slower than four channels).
"""

from __future__ import annotations

import argparse
import copy
import functools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from imfuse.core.registry import get_spec, list_models
from imfuse.imaging import luminance
from imfuse.inference.forms import fast_form
from imfuse.inference.psfusion import fold_norms
from imfuse.layers.attention import attend_plainly
from imfuse.layers.folding import fold_norm
from imfuse.layers.fusion_rules import fuse_maps
from imfuse.models import _psfusion_parts, create_model, refinefuse
from imfuse.scenes import render_scene

Form = Callable[[Tensor, Tensor], Tensor]


def auif_forms() -> dict[str, Form]:
    """The published module and the folded forms; the last one is what ``Fuser`` runs."""
    plain = create_model("auif")
    plain.form = "plain"
    inference = fast_form(create_model("auif"))
    return {
        "plain module": plain,
        "folded, depthwise in torch (training)": create_model("auif"),
        "folded, four channels in torch": inference.fuse_tensors,
        "folded, OpenCV filters (inference)": inference,
    }


class FoldedOneByOne(nn.Module):
    """DIDFuse with folded norms only: both images in one batch, contiguous memory, nothing merged."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.model = create_model("didfuse")
        for part in self.model.modules():
            if isinstance(part, nn.Sequential):
                fold_in_place(part)
        self.channels_last = channels_last
        if channels_last:
            self.model.to(memory_format=torch.channels_last)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image."""
        images = torch.cat([infrared, visible])
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        maps = self.model.encoder(images)
        return self.model.decoder(type(maps)(*(fuse_maps(*part.chunk(2), "sum") for part in maps)))


def fold_in_place(block: nn.Sequential) -> None:
    """Fold the norm of a convolution, norm, activation block."""
    weight, bias = fold_norm(block[0], block[1])
    block[0].weight.data, block[0].bias.data = weight, bias
    block[1] = nn.Identity()


class PlainDIDFuse(nn.Module):
    """DIDFuse written straightforwardly: its last layer an ordinary convolution with a mirrored border."""

    def __init__(self) -> None:
        super().__init__()
        self.model = copy.deepcopy(create_model("didfuse"))
        narrow = self.model.decoder.image[0]
        conv = nn.Conv2d(narrow.in_channels, 1, 3, padding=1, padding_mode="reflect")
        conv.load_state_dict(narrow.state_dict())
        self.model.decoder.image[0] = conv

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image."""
        return self.model(infrared, visible)


def didfuse_forms() -> dict[str, Form]:
    """The plain module, what each step brings, and what ``Fuser`` runs in float32 and bfloat16."""
    return {
        "plain module": PlainDIDFuse(),
        "norms folded, one batch, contiguous": FoldedOneByOne(channels_last=False),
        "the same, channels-last": FoldedOneByOne(channels_last=True),
        "inference form, float32": fast_form(create_model("didfuse")),
        "inference form, bfloat16": fast_form(create_model("didfuse")).to(torch.bfloat16),
    }


class PlainRefineFuse(nn.Module):
    """RefineFuse written straightforwardly: channels side by side for a grouped convolution, whole attention maps."""

    def __init__(self) -> None:
        super().__init__()
        self.model = create_model("refinefuse")
        for part in self.model.fusion[:2]:
            part.forward = functools.partial(grouped_interaction, part)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image."""
        fast, refinefuse.attend = refinefuse.attend, attend_plainly
        try:
            return self.model(infrared, visible)
        finally:
            refinefuse.attend = fast


def grouped_interaction(module: nn.Module, infrared: Tensor, visible: Tensor) -> Tensor:
    """SFIM as its article says it."""
    both = torch.cat([infrared, visible], 1)
    maps = torch.cat([both.amax(1, keepdim=True), both.mean(1, keepdim=True)], 1)
    first, second = torch.sigmoid(module.attention(maps)).chunk(2, 1)
    beside = torch.stack([infrared + infrared * first, visible + visible * second], 2).flatten(1, 2)
    return module.mix(beside)


def refinefuse_forms() -> dict[str, Form]:
    """The plain module, what each step brings, and what ``Fuser`` runs in float32 and bfloat16."""
    return {
        "plain module": PlainRefineFuse(),
        "two depthwise convolutions, attention by rows": create_model("refinefuse"),
        "the same, channels-last": create_model("refinefuse").to(memory_format=torch.channels_last),
        "inference form, float32": fast_form(create_model("refinefuse")),
        "inference form, bfloat16": fast_form(create_model("refinefuse")).to(torch.bfloat16),
    }


class PlainPSFusion(nn.Module):
    """PSFusion as published: all heads computed, whole attention maps."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image."""
        fast, _psfusion_parts.attend = _psfusion_parts.attend, attend_plainly
        try:
            return self.model.predict(infrared, visible).fused
        finally:
            _psfusion_parts.attend = fast


def psfusion_forms() -> dict[str, Form]:
    """The plain module, what each step brings, and what ``Fuser`` runs in float32 and bfloat16.

    No weights of PSFusion ship, so they are random; the norms are fitted to rendered scenes.
    """
    torch.manual_seed(0)
    model = create_model("psfusion", weights=None)
    model.train()
    for seed in (1, 2, 3):
        model(*(torch.cat([image, image.flip(3)]) for image in scene_pair(128, 160, seed)))
    model.eval()
    folded = copy.deepcopy(model)
    fold_norms(folded)
    return {
        "plain module": PlainPSFusion(model),
        "fused image alone, attention without its map": model,
        "the same, norms folded": folded,
        "the same, channels-last": copy.deepcopy(folded).to(memory_format=torch.channels_last),
        "inference form, float32": fast_form(model),
        "inference form, bfloat16": fast_form(model).to(torch.bfloat16),
    }


def other_forms(name: str) -> dict[str, Form]:
    """The plain module and what ``Fuser`` runs; random weights where none ship."""
    torch.manual_seed(0)
    model = create_model(name, weights="default" if get_spec(name).weights else None)
    forms = {
        "plain module": model,
        "the same, channels-last": copy.deepcopy(model).to(memory_format=torch.channels_last),
        "inference form, float32": fast_form(model),
    }
    if "bfloat16" in get_spec(name).dtypes:
        forms["inference form, bfloat16"] = fast_form(model).to(torch.bfloat16)
    return forms


def psfusion_compact_forms() -> dict[str, Form]:
    """The same for the compact network, with its weights."""
    model = create_model("psfusion_compact")
    return {
        "plain module": PlainPSFusion(model),
        "inference form, float32": fast_form(model),
        "inference form, bfloat16": fast_form(model).to(torch.bfloat16),
    }


class PlainTransFusion(nn.Module):
    """TransFusion as published: one image after the other through the encoder, as three channels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image."""
        features = [self.model.encode(image) for image in (infrared, visible)]
        return self.model.decoder(self.model.select(*features)).clamp(0, 1)


def transfusion_forms(name: str = "transfusion") -> dict[str, Form]:
    """The plain module, what each step brings, and what ``Fuser`` runs; random weights for the full network."""
    torch.manual_seed(0)
    model = create_model(name, weights=None if name == "transfusion" else "default")
    return {
        "plain module": PlainTransFusion(model),
        "both images in one batch": model,
        "the same, channels-last": copy.deepcopy(model).to(memory_format=torch.channels_last),
        "inference form, float32": fast_form(model),
        "inference form, bfloat16": fast_form(model).to(torch.bfloat16),
    }


FORMS = {
    "auif": auif_forms,
    "didfuse": didfuse_forms,
    "refinefuse": refinefuse_forms,
    "psfusion": psfusion_forms,
    "psfusion_compact": psfusion_compact_forms,
    "transfusion": transfusion_forms,
    "transfusion_compact": functools.partial(transfusion_forms, "transfusion_compact"),
}
"""Methods whose steps are measured one by one; of others it is the plain module and the inference form."""


def scene_pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Infrared image and luminance of a rendered street, (1, 1, H, W)."""
    scene = render_scene(height, width, seed)
    infrared = torch.from_numpy(scene.infrared.astype(np.float32) / 255)[None, None]
    return infrared, torch.from_numpy(luminance(scene.visible.astype(np.float32) / 255))[None, None]


def measure(forms: dict[str, Form], pair: tuple[Tensor, Tensor], seconds: float) -> dict[str, list[float]]:
    """Wall-clock milliseconds of each form: one warm-up, then in turns until each had its seconds or 25 runs."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for form in forms.values():
        form(*pair)
    for _ in range(25):
        for name, form in forms.items():
            if len(times[name]) < 3 or sum(times[name]) < 1000 * seconds:
                start = time.perf_counter()
                form(*pair)
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def levels(fused: Tensor) -> np.ndarray:
    """The 8-bit picture."""
    return np.rint(fused[0, 0].double().numpy() * 255).astype(np.int16)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    learned = [name for name in list_models() if not get_spec(name).training_free]
    parser.add_argument("model", choices=learned, help="a method")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--size", default="480x640", help="HEIGHTxWIDTH")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each form")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    height, width = (int(side) for side in args.size.split("x"))
    infrared, visible = scene_pair(height, width)
    with torch.inference_mode():
        forms = FORMS[args.model]() if args.model in FORMS else other_forms(args.model)
        times = measure(forms, (infrared, visible), args.seconds)
        pictures = {name: levels(form(infrared, visible)) for name, form in forms.items()}
    plain = statistics.median(times["plain module"])
    print(f"{args.model}, {height}x{width}, threads: {args.threads}, torch {torch.__version__.split('+')[0]}")
    print("| form | median ms | plain / form | pairs/s | pixels that differ in 8 bits | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, taken in times.items():
        median = statistics.median(taken)
        apart = np.abs(pictures[name] - pictures["plain module"])
        print(
            f"| {name} | {median:.1f} | {plain / median:.2f} | {1000 / median:.2f} "
            f"| {(apart > 0).mean():.4%} | {apart.max()} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
