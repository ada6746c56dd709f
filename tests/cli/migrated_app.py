"""An app whose stored state is to be migrated."""

from __future__ import annotations

import os
from dataclasses import dataclass

from botstate_ext import StateScopes
from botstate_ext.storage import BlobStorage


@dataclass
class Profile:
    name: str


STATES = StateScopes(
    BlobStorage(
        connection_string=os.environ["AZURE_STORAGE_CONNECTION_STRING"],
        container_name=os.environ["CONTAINER"],
    )
)
STATES.user.create_property("profile", Profile)
