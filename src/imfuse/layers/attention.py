"""Attention of one head without the whole map of scores in memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS = 512
"""Queries in one block of the map of scores."""


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention: ``softmax(scale q k^T) v``, with the softmax over the keys.

    PyTorch's kernels that never hold the L x S map of scores need query, key and value of the same width, so query and
    key are padded with zeros, which changes no score. On a CPU without gradients the map is computed as a matrix
    product instead, block by block: that avoids products with the zeros and is faster, in bfloat16 several times.
    :func:`attend_plainly` is the oracle.

    Args:
        query: (N, L, d).
        key: (N, S, d).
        value: (N, S, c), with d <= c.
        scale: factor of the scores.

    Returns:
        Weighted values, (N, L, c).

    Example:
        >>> q, k, v = torch.randn(2, 12, 4), torch.randn(2, 9, 4), torch.randn(2, 9, 16)
        >>> torch.allclose(attend(q, k, v, 0.5), attend_plainly(q, k, v, 0.5), atol=1e-5)
        True
    """
    padding = value.shape[-1] - query.shape[-1]
    if padding and not (query.is_cuda or torch.is_grad_enabled()):
        starts = range(0, query.shape[1], _ROWS)
        blocks = [attend_plainly(query[:, start : start + _ROWS], key, value, scale) for start in starts]
        return torch.cat(blocks, dim=1)
    padded = (F.pad(query, (0, padding)), F.pad(key, (0, padding)), value)
    # From transposed views the CPU kernels would compute the whole map after all.
    q, k, v = (x[:, None].contiguous() for x in padded)
    return F.scaled_dot_product_attention(q, k, v, scale=scale)[:, 0]


def attend_plainly(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """:func:`attend` by its definition, with the whole map of scores."""
    return torch.softmax(scale * query @ key.transpose(1, 2), dim=-1) @ value
