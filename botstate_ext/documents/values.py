"""How the values of one document are read and written: each by the policy of its property. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import StateDecodeError, StateEncodeError
from ..serialization.codecs import NULL
from .policy import Policies, PropertyPolicy
from .schema_versions import NewerVersionError

T = TypeVar("T")


class Values:
    """The policies of a document's properties, and the classes that defaults named. ``scope`` and
    ``key`` are the document's, for errors."""

    def __init__(self, policies: Policies, scope: str, key: str) -> None:
        self.policies, self.scope, self.key = policies, scope, key
        self.hints: dict[str, PropertyPolicy] = {}

    def policy(self, name: str) -> PropertyPolicy:
        """The policy of a property: declared, or named by the class that a default gave."""
        declared = self.policies.of(name)
        return declared if declared.declared_type else self.hints.get(name, declared)

    def check_version(self, name: str, version: int) -> None:
        """:raises NewerVersionError: newer code stored it."""
        self._placed(name, self.policy(name).versions.check, version)

    def current(self, name: str, text: bytes, version: int) -> bytes:
        """A text that is stored in this version, in the version that this code knows.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it cannot be brought forward.
        """
        return self._placed(name, _current, self.policy(name), text, version)

    def decode(self, name: str, text: bytes, version: int) -> Any:
        """A text that is stored in this version, as the value of its property.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it does not fit the property.
        """
        return self._placed(name, _decoded, self.policy(name), text, version)

    def is_set_aside(self, name: str, error: StateDecodeError) -> bool:
        """True when a value that gave this error is to be moved aside. One that is only newer than
        this code is not: nothing is wrong with it."""
        if isinstance(error, NewerVersionError):
            return False
        return self.policy(name).on_undecodable == "quarantine"

    def encode(self, name: str, value: Any, base: bytes | None, *, is_ours: bool) -> bytes:
        """The text of a value: ``base`` itself when it says the same as that.

        :raises StateEncodeError: the value cannot be stored.
        """
        try:
            mine = self._policy_for(name, value).codec.encode(value, base)
        except StateEncodeError as error:
            reason = error.reason
        else:
            if base is None or mine is base or not self._says_the_same(name, base, mine, is_ours):
                return mine
            return base
        raise self.cannot_store(name, reason)

    def _says_the_same(self, name: str, base: bytes, mine: bytes, is_ours: bool) -> bool:
        """Texts differ also by upstream's spaces and escapes, and by a field that a class gained:
        so compare with what was loaded, encoded again."""
        codec = self.policy(name).codec
        if codec.is_stable and is_ours:
            return False
        try:
            return codec.normal(base) == mine
        except (StateDecodeError, StateEncodeError):
            return False

    def _policy_for(self, name: str, value: Any) -> PropertyPolicy:
        """A class named only by a default binds its own instances and nothing else."""
        policy = self.policy(name)
        if policy.declared_type or policy.hinted_type is None:
            return policy
        return policy if isinstance(value, policy.hinted_type) else self.policies.of(name)

    def cannot_store(self, name: str, reason: str) -> StateEncodeError:
        """The error of a property that cannot be stored."""
        return StateEncodeError(reason, scope=self.scope, key=self.key, property_name=name)

    def _placed(self, name: str, read: Callable[..., T], *args: Any) -> T:
        """What ``read`` returns; what it raises gets its place."""
        try:
            return read(*args)
        except StateDecodeError as error:
            located = error.located(scope=self.scope, key=self.key, property_name=name)
        # Outside of the handler: what led to it may show the value, so nothing is chained.
        raise located


def _decoded(policy: PropertyPolicy, text: bytes, version: int) -> Any:
    return policy.codec.decode(_current(policy, text, version))


def _current(policy: PropertyPolicy, text: bytes, version: int) -> bytes:
    policy.versions.check(version)
    if version == policy.versions.current or text == NULL:
        return text
    return policy.versions.forward(policy.codec.plain(text), version)
