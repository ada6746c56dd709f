"""Reads dialogs and activities that the Bot Framework SDK stored, as objects of this SDK."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

from ..class_names import class_in

_MODULES: Final = (
    ("botbuilder.schema.teams.", ("microsoft_agents.activity.teams",)),
    ("botbuilder.schema.", ("microsoft_agents.activity",)),
    ("botframework.connector.", ("microsoft_agents.activity",)),
    (
        "botbuilder.dialogs.",
        (
            "microsoft_agents.hosting.dialogs.dialog_state",
            "microsoft_agents.hosting.dialogs.persisted_state",
            "microsoft_agents.hosting.dialogs.models",
            "microsoft_agents.hosting.dialogs.choices",
            "microsoft_agents.hosting.dialogs.choices.models",
            "microsoft_agents.hosting.dialogs.prompts",
            "microsoft_agents.hosting.dialogs.prompts.datetime_resolution",
            "microsoft_agents.hosting.dialogs.prompts.oauth_prompt",
            "microsoft_agents.hosting.dialogs.prompts.prompt_culture_models",
        ),
    ),
)
"""Where this SDK has the classes of a package of the other one, under the same names."""

_ATTRIBUTES: Final = {"_dialog_stack": "dialog_stack", "bot": "agent"}
"""What this SDK calls an attribute of the other one."""

_MORE: Final = "additional_properties"


def find(name: str) -> type | None:
    """Return this SDK's class for a stored name of the other's; None if there is none."""
    for prefix, modules in _MODULES:
        if name.startswith(prefix):
            return class_in(modules, name.rpartition(".")[2])
    return None


def make(cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
    """Return an object of this SDK's class, made of the attributes of the other's object."""
    if issubclass(cls, Enum):  # the other SDK's are texts, also where this one's are numbers
        return cls(int(args[0]) if issubclass(cls, int) else args[0])
    members = {_ATTRIBUTES.get(name, name): value for name, value in members.items()}
    more = members.pop(_MORE, None) or {}
    if issubclass(cls, BaseModel):
        # The other SDK sets every attribute, None where there is nothing.
        given = {name: value for name, value in members.items() if value is not None}
        return cls.model_validate({**more, **given})
    made = cls.__new__(cls)
    vars(made).update(members)
    return made
