"""The contract of every registered method; ``pytest tests/contract --model auif`` runs it for one."""

from imfuse.testing.contract import *  # noqa: F403
