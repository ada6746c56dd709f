"""JSON merge patch (RFC 7396)."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target changed by the patch: objects are merged, null removes a member, and
    anything else replaces. Neither argument is changed.

    ``merge_patch({"a": 1, "b": 2}, {"a": None, "c": 3})`` gives ``{"b": 2, "c": 3}``.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result
