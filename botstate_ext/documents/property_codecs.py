"""PropertyCodecs: decodes and encodes the properties of one document. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ..errors import StateDecodeError, StateEncodeError
from ..serialization import json_text, jsonpickle
from ..serialization.stored_changes import refuse_tags, with_changes
from ..serialization.unknown_fields import UnknownFields
from .policy import Policies, PropertyPolicy
from .schema_versions import NewerVersionError

_log: Final = logging.getLogger("botstate_ext")


class PropertyCodecs:
    """Turns stored texts into values and back, each property by its policy.

    Errors name the document's scope and key, and the property. No error is chained to its cause,
    which may show the value.

    - ``scope``, ``policies``: the document's scope, and the policies of that.
    - ``unknown``: the fields that newer code stored in a property's values, by its name.
    - ``hints``: the policies of properties of which a default named the class, by name.
    """

    __slots__ = ("_key", "hints", "policies", "scope", "unknown")

    def __init__(self, key: str, scope: str, policies: Policies) -> None:
        self._key, self.scope, self.policies = key, scope, policies
        self.hints: dict[str, PropertyPolicy] = {}
        self.unknown: dict[str, UnknownFields] = {}

    def policy(self, name: str) -> PropertyPolicy:
        """Return the policy of a property: the declared one, or the hint that a default gave."""
        declared = self.policies.declared.get(name)
        if declared is not None and declared.declared_type:
            return declared
        return self.hints.get(name) or declared or self.policies.of(name)

    def quarantines(self, name: str, error: StateDecodeError) -> bool:
        """Return True if a value that gave this error is to be moved aside. A value that is only
        newer than this code never is."""
        if isinstance(error, NewerVersionError):
            return False
        return self.policy(name).on_undecodable == "quarantine"

    def decode(self, name: str, text: bytes, version: int) -> Any:
        """Return the value of a text that is stored in this version.

        :raises StateDecodeError: it does not fit the property, or newer code stored it.
        """
        # One for all values of the property: one that was handed out before is compared as well.
        unknown = self.unknown.get(name)
        if unknown is None:
            unknown = self.unknown[name] = UnknownFields()
        else:
            unknown.start_reading()
        try:
            return self.policy(name).decode(text, version, unknown)
        except StateDecodeError as error:
            located = self._located(name, error)
        raise located

    def patched(
        self,
        name: str,
        text: bytes | None,
        patch: Any,
        merge: Callable[[Any, Any], Any],
        policy: PropertyPolicy | None = None,
    ) -> Any:
        """Return the value of a text, changed by a patch from outside. ``text``: None if absent.

        ``merge``: returns plain JSON changed by a patch. What it leaves as it was stays what it is.

        :raises StateDecodeError: what is stored, or the result, does not fit the property.
        :raises StateEncodeError: the patch brings in tags, or names that the type does not know.
        """
        codec = (policy or self.policy(name)).codec
        try:
            refuse_tags(patch)
            stored = None if text is None else json_text.loads(codec.patchable(text))
            plain = merge(None if text is None else jsonpickle.to_plain(stored), patch)
            changed = json_text.dumps(with_changes(stored, plain))
            unknown = self.unknown.setdefault(name, UnknownFields())
            unknown.start_reading()
            return codec.decode_patched(changed, patch, unknown)
        except StateDecodeError as error:
            problem: StateDecodeError | StateEncodeError = self._located(name, error)
        except StateEncodeError as error:
            problem = self.cannot_store(name, error.reason)
        except RecursionError:
            problem = self.cannot_store(name, "it is nested too deeply, or holds itself")
        raise problem

    def current_text(self, name: str, text: bytes | None, version: int) -> bytes | None:
        """Return a text of this version in the version that this code knows. None stays None.

        :raises StateDecodeError: newer code stored it, or it cannot be brought forward.
        """
        if text is None:
            return None
        try:
            return self.policy(name).current_text(text, version)
        except StateDecodeError as error:
            located = self._located(name, error)
        raise located

    def check_version(self, name: str, version: int) -> None:
        """:raises StateDecodeError: newer code stored this version of the property."""
        try:
            self.policy(name).versions.check(version)
        except NewerVersionError as error:
            located = self._located(name, error)
        else:
            return
        raise located

    def encode(
        self,
        name: str,
        value: Any,
        base: bytes | None,
        unknown: UnknownFields | None,
        policy: PropertyPolicy | None = None,
    ) -> bytes:
        """Return the text of a value; ``base`` itself if the value says the same.

        ``unknown``: the fields that newer code stored in it, which are kept.

        :raises StateEncodeError: the value cannot be stored.
        """
        policy = policy or self.policy(name)
        # A class that only a default named binds its own instances and nothing else.
        if policy.hinted_type is not None and not isinstance(value, policy.hinted_type):
            policy = self.policies.of(name)
        try:
            mine = policy.codec.encode(value, base, unknown)
        except StateEncodeError as error:
            reason = error.reason
        else:
            if base is None or mine is base:
                return mine
            # Texts differ also by upstream's spaces and escapes, and by a field that a class
            # gained, so the base is compared as this code would write it.
            return base if _rewritten(policy, base) == mine else mine
        raise self.cannot_store(name, reason)

    def warn_of_lost_fields(self, name: str) -> None:
        """Log once if fields that newer code stored are not in the value any more."""
        unknown = self.unknown.get(name)
        lost = unknown.newly_lost() if unknown else None
        if lost is not None:
            _log.warning(
                "Newer code stored fields that this code does not know, and their object, of the "
                "class %s, was replaced or removed: they are not stored any more (property %r, "
                "scope %r, key %r). Change the object in place to keep them.",
                lost.__name__,
                name,
                self.scope,
                self._key,
            )

    def forget(self, name: str) -> None:
        """Forget what the values of a property that were decoded so far left behind."""
        self.unknown.pop(name, None)

    def cannot_store(self, name: str, reason: str) -> StateEncodeError:
        """Return the error of a value that cannot be stored, with its place."""
        return StateEncodeError(reason, scope=self.scope, key=self._key, property_name=name)

    def _located(self, name: str, error: StateDecodeError) -> StateDecodeError:
        return error.located(scope=self.scope, key=self._key, property_name=name)


def _rewritten(policy: PropertyPolicy, text: bytes) -> bytes | None:
    """Return a stored text as this code would write it; None if it cannot be read."""
    try:
        return policy.codec.reencode(text)
    except (StateDecodeError, StateEncodeError):
        return None
