"""Reads dialogs and activities that the Agents SDK stored, as objects of this SDK."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from msrest.serialization import Model

from ..class_names import class_in

_MODULES: Final = (
    ("microsoft_agents.activity.teams.", ("botbuilder.schema.teams",)),
    (
        "microsoft_agents.activity.",
        ("botbuilder.schema", "botframework.connector.token_api.models"),
    ),
    (
        "microsoft_agents.hosting.dialogs.",
        (
            "botbuilder.dialogs",
            "botbuilder.dialogs.choices",
            "botbuilder.dialogs.prompts",
            "botbuilder.dialogs.prompts.oauth_prompt",
            "botbuilder.dialogs.prompts.prompt_culture_models",
            "botbuilder.dialogs.persisted_state",
        ),
    ),
)
"""Where this SDK has the classes of a package of the other one, under the same names."""

_ATTRIBUTES: Final = {"dialog_stack": "_dialog_stack", "agent": "bot"}
"""What this SDK calls an attribute of the other one."""

_TEXTS: Final = {"ChannelId"}
_ENTITY: Final = "microsoft_agents.activity.entity."


def find(name: str) -> type | None:
    """Return this SDK's class for a stored name of the other's; None if there is none."""
    simple = name.rpartition(".")[2]
    if simple in _TEXTS:
        return str
    for prefix, modules in _MODULES:
        if name.startswith(prefix):
            found = class_in(modules, simple)
            if found is None and name.startswith(_ENTITY):
                return class_in(modules, "Entity")
            return found
    return None


def make(cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
    """Return an object of this SDK's class, made of the attributes of the other's object."""
    if cls is str:
        return str(*args)
    if issubclass(cls, Enum):  # texts, also where the other SDK has numbers
        return cls(str(args[0]) if issubclass(cls, str) else args[0])
    members = {_ATTRIBUTES.get(name, name): value for name, value in members.items()}
    if not issubclass(cls, Model):
        made = cls.__new__(cls)
        vars(made).update(members)
        return made
    known = {name: value for name, value in members.items() if name in cls._attribute_map}
    made = cls(**known)
    more = {n: v for n, v in members.items() if n not in known and v is not None}
    if more:
        made.additional_properties = more
    return made
