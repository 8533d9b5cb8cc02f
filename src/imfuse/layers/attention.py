"""Attention of one head, without the map of all scores in memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS = 512
"""Queries at a time where rows are computed."""


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """``softmax(scale q k^T) v`` over the keys: (N, L, d), (N, S, d), (N, S, c) to (N, L, c), with d <= c.

    PyTorch's kernels that never hold the L x S map ask for query, key and value of one width, so the first two are
    filled up with zeros, which changes no score. Without gradients, and not on a GPU, the map is computed by its matrix
    product instead, some rows at a time: that does not multiply by those zeros, and is faster, in bfloat16 several
    times. :func:`attend_plainly` is the oracle.

    >>> q, k, v = torch.randn(2, 12, 4), torch.randn(2, 9, 4), torch.randn(2, 9, 16)
    >>> torch.allclose(attend(q, k, v, 0.5), attend_plainly(q, k, v, 0.5), atol=1e-5)
    True
    """
    missing = value.shape[-1] - query.shape[-1]
    if missing and not (query.is_cuda or torch.is_grad_enabled()):
        rows = range(0, query.shape[1], _ROWS)
        return torch.cat([attend_plainly(query[:, row : row + _ROWS], key, value, scale) for row in rows], dim=1)
    filled = (F.pad(query, (0, missing)), F.pad(key, (0, missing)), value)
    # Of transposed views the kernels on a processor make the map after all.
    q, k, v = (x[:, None].contiguous() for x in filled)
    return F.scaled_dot_product_attention(q, k, v, scale=scale)[:, 0]


def attend_plainly(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """The same by its definition, with the whole map of scores."""
    return torch.softmax(scale * query @ key.transpose(1, 2), dim=-1) @ value
