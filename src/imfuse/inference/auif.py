"""AUIF-Net for inference.

Each unrolled layer becomes one folded 5x5 correlation. The two images pass the base and the detail encoder as four
independent streams: on the CPU in float32 OpenCV filters them in threads, elsewhere they are the groups of one
convolution.

``scripts/speed/networks.py auif`` compares the forms; ``AUIF(form="plain")`` is the oracle.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from imfuse.layers.folding import norm_scale_shift
from imfuse.layers.fusion_rules import check_rule, fuse_maps
from imfuse.models.auif import AUIF, Encoder, UnrolledLayer, correlate_framed, folded_kernels
from imfuse.ops.filters import box_mean, reflect_pad

Floats = NDArray[np.float32]


class FoldedLayer(NamedTuple):
    """Constants of ``x <- keep * x + inject * source - step(q)`` with ``q = kernels * x + shift``.

    The step size eta is folded in: ``step`` is eta times the PReLU, which is ``max(q, slope * q)`` if ``larger``, else
    ``min``.
    """

    kernels: Floats
    shift: float
    slope: float
    larger: bool
    keep: float
    inject: float


def fold_encoder(encoder: Encoder) -> list[FoldedLayer]:
    """Folds the ten layers of an encoder, in float64, since the running variances of published weights reach 22,216."""
    folded = []
    for layer in cast("list[UnrolledLayer]", encoder.layers):
        scale, shift = norm_scale_shift(layer.norm)
        eta, theta = layer.eta.detach().double(), layer.theta.detach().double()
        kernels = folded_kernels(layer.kernel.detach().double()) * (eta * scale)
        slope = float(layer.activation.weight.detach().double())
        folded.append(
            FoldedLayer(
                kernels=kernels[:, 0].float().numpy(force=True),
                shift=float(eta * shift),
                slope=slope,
                # eta * PReLU(q) = max(eta q, eta slope q) for slope <= 1 and eta >= 0; each sign swaps max and min.
                larger=bool((slope <= 1) == (float(eta) >= 0)),
                keep=float(1 - eta * theta),
                inject=float(eta * theta),
            )
        )
    return folded


def fast_form(model: AUIF) -> nn.Module:
    """The inference form, for :func:`imfuse.inference.forms.fast_form`."""
    return FoldedAUIF(model)


class FoldedAUIF(nn.Module):
    """Inference form of an :class:`AUIF`; it differs by rounding (4e-6 at 640x480)."""

    decoder: Tensor
    kernels: Tensor
    constants: Tensor

    def __init__(self, model: AUIF) -> None:
        super().__init__()
        # The path for arrays below treats any rule that it does not know as a sum.
        self.rule = check_rule(model.rule)
        self.layers = {"base": fold_encoder(model.base), "detail": fold_encoder(model.detail)}
        scale, shift = norm_scale_shift(model.decoder_norm)
        decoder = model.decoder.weight.detach().double() * scale.view(-1, 1, 1, 1)
        self.decoder_shift = float(shift)
        self.register_buffer("decoder", decoder.float())
        # (layer, 9, stream, 5, 5), streams: infrared base, visible base, infrared detail, visible detail
        pairs = zip(self.layers["base"], self.layers["detail"], strict=True)
        kernels = [np.stack([base.kernels, base.kernels, detail.kernels, detail.kernels], 1) for base, detail in pairs]
        self.register_buffer("kernels", torch.from_numpy(np.stack(kernels)))
        self.register_buffer("constants", self._constants())

    def _constants(self) -> Tensor:
        """Shift, slope, 1 or -1 for larger, keep, inject of each stream: (layer, 5, stream)."""
        rows = [
            [[layer.shift, layer.slope, 1.0 if layer.larger else -1.0, layer.keep, layer.inject] for layer in streams]
            for streams in zip(
                self.layers["base"], self.layers["base"], self.layers["detail"], self.layers["detail"], strict=True
            )
        ]
        return torch.tensor(rows).transpose(1, 2).contiguous()

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Fused image (N, 1, H, W) in [0, 1]; H, W >= 10."""
        if infrared.device.type == "cpu" and infrared.dtype == torch.float32:
            fused = [self._fuse_arrays(ir[0].numpy(), vi[0].numpy()) for ir, vi in zip(infrared, visible, strict=True)]
            return torch.from_numpy(np.stack(fused))[:, None]
        return self.fuse_tensors(infrared, visible)

    def fuse_tensors(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """:meth:`forward` with torch operations, on any device."""
        source = torch.cat([infrared, visible, infrared, visible], dim=1)
        base = box_mean(source[:, :2], 11)
        detail = (361 / 720) * (box_mean(source[:, 2:], 19) - source[:, 2:])
        x = torch.cat([base, detail], dim=1).contiguous(memory_format=torch.channels_last)
        for kernels, constants in zip(self.kernels.to(x), self.constants.to(x), strict=True):
            shift, slope, sign, keep, inject = constants[:, None, :, None, None]
            q = correlate_framed(x, kernels) + shift
            x = keep * x + inject * source - sign * torch.maximum(sign * q, sign * slope * q)
        maps = fuse_maps(x[:, 0::2], x[:, 1::2], self.rule) if self.rule != "l1" else self._fuse_l1(x)
        rebuilt = F.conv2d(reflect_pad(maps.sum(1, keepdim=True), 1), self.decoder.to(x)) + self.decoder_shift
        return torch.sigmoid(rebuilt)

    @staticmethod
    def _fuse_l1(x: Tensor) -> Tensor:
        # Base and detail maps have separate activities.
        return torch.cat([fuse_maps(x[:, i : i + 1], x[:, i + 1 : i + 2], "l1") for i in (0, 2)], dim=1)

    def _fuse_arrays(self, infrared: Floats, visible: Floats) -> Floats:
        """:meth:`forward` with OpenCV and NumPy on (H, W) float32, whose filters release the interpreter lock."""
        streams = [(kind, np.ascontiguousarray(image)) for kind in ("base", "detail") for image in (infrared, visible)]
        workers = min(len(streams), torch.get_num_threads())
        run = _pool(workers, os.getpid()).map if workers > 1 else map
        base_ir, base_vi, detail_ir, detail_vi = run(lambda stream: self._encode(*stream), streams)
        if self.rule == "l1":
            both = [(base_ir, base_vi), (detail_ir, detail_vi)]
            base, detail = (fuse_maps(_tensor(a), _tensor(b), "l1").numpy()[0, 0] for a, b in both)
            total = base + detail
        else:
            total = base_ir + base_vi + detail_ir + detail_vi
            if self.rule == "average":
                total /= 2
        kernel = self.decoder[0, 0].numpy()
        return _sigmoid(_filter(total, kernel, self.decoder_shift))

    def _encode(self, kind: str, image: Floats) -> Floats:
        x = _box_mean(image, 11) if kind == "base" else np.float32(361 / 720) * (_box_mean(image, 19) - image)
        scaled = np.empty_like(x)
        for layer in self.layers[kind]:
            q = _correlate_framed(x, layer)
            np.multiply(q, np.float32(layer.slope), out=scaled)
            (cv2.max if layer.larger else cv2.min)(q, scaled, dst=q)
            cv2.addWeighted(x, layer.keep, image, layer.inject, 0, dst=x)
            cv2.subtract(x, q, dst=x)
        return x


def _correlate_framed(x: Floats, layer: FoldedLayer) -> Floats:
    """Correlates with the middle kernel, then overwrites the outermost frame by the kernels of the frame."""

    def correlate(part: Floats, index: int) -> Floats:
        return _filter(part, layer.kernels[index], layer.shift)

    q = correlate(x, 4)
    first, last = slice(0, 3), slice(-3, None)
    q[0], q[-1] = correlate(x[first], 1)[0], correlate(x[last], 7)[-1]
    q[:, 0], q[:, -1] = correlate(x[:, first], 3)[:, 0], correlate(x[:, last], 5)[:, -1]
    q[0, 0], q[0, -1] = correlate(x[first, first], 0)[0, 0], correlate(x[first, last], 2)[0, -1]
    q[-1, 0], q[-1, -1] = correlate(x[last, first], 6)[-1, 0], correlate(x[last, last], 8)[-1, -1]
    return q


def _box_mean(image: Floats, size: int) -> Floats:
    return cast(Floats, cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT_101))


def _filter(image: Floats, kernel: Floats, shift: float) -> Floats:
    return cast(Floats, cv2.filter2D(image, -1, kernel, delta=shift, borderType=cv2.BORDER_REFLECT_101))


def _sigmoid(x: Floats) -> Floats:
    # exp(-|x|) never overflows.
    small = np.exp(-np.abs(x))
    upper: Floats = np.where(x >= 0, np.float32(1), small)
    result: Floats = upper / (1 + small)
    return result


def _tensor(image: Floats) -> Tensor:
    return torch.from_numpy(image)[None, None]


@lru_cache(maxsize=1)
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    # A forked process does not inherit threads, so each process has its own pool.
    return ThreadPoolExecutor(workers, thread_name_prefix="auif")
