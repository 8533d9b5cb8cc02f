"""How much memory is free, without a dependency for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process can still use, or ``None`` where the system does not say (only Linux does)."""
    limits = []
    with suppress(OSError, ValueError, KeyError):
        fields = _fields(_MEMINFO.read_text(encoding="ascii").replace(":", " "))
        limits.append(1024 * fields["MemAvailable"])
    # A container sees the memory of its host in meminfo, and is killed at its own limit.
    with suppress(OSError, ValueError, KeyError):
        limit, used = (int((_GROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        # What is used includes the cache of files, which gives way.
        cache = _fields((_GROUP / "memory.stat").read_text(encoding="ascii"))["inactive_file"]
        limits.append(max(0, limit - used + cache))
    return min(limits, default=None)


def _fields(text: str) -> dict[str, int]:
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) > 1}
