"""How the values of one document are read and written: each by the policy of its property. Pure."""

from __future__ import annotations

from typing import Any

from .codec import NULL
from .errors import StateDecodeError, StateEncodeError
from .policy import Policies, PropertyPolicy
from .versions import NewerVersionError


class Values:
    """The policies of a document's properties, and the classes that defaults named.

    Errors of its methods have no place: `Document` knows it.
    """

    def __init__(self, policies: Policies) -> None:
        self.policies = policies
        self.hints: dict[str, PropertyPolicy] = {}

    def policy(self, name: str) -> PropertyPolicy:
        """The policy of a property: declared, or named by the class that a default gave."""
        declared = self.policies.of(name)
        return declared if declared.declared_type else self.hints.get(name, declared)

    def check_version(self, name: str, version: int) -> None:
        """:raises NewerVersionError: newer code stored it."""
        self.policy(name).versions.check(version)

    def current(self, name: str, text: bytes, version: int) -> bytes:
        """A text that is stored in this version, in the version that this code knows.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it cannot be brought forward.
        """
        return _current(self.policy(name), text, version)

    def decode(self, name: str, text: bytes, version: int) -> Any:
        """A text that is stored in this version, as the value of its property.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it does not fit the property.
        """
        policy = self.policy(name)
        return policy.codec.decode(_current(policy, text, version))

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
        mine = self._policy_for(name, value).codec.encode(value, base)
        if base is None or mine is base or not self._says_the_same(name, base, mine, is_ours):
            return mine
        return base

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


def _current(policy: PropertyPolicy, text: bytes, version: int) -> bytes:
    policy.versions.check(version)
    if version == policy.versions.current or text == NULL:
        return text
    return policy.versions.forward(policy.codec.plain(text), version)
