"""What earlier versions of jsonpickle wrote, made with today's."""

from __future__ import annotations

import json
from typing import Any

import jsonpickle

from tests.serialization.models import Plain


def as_1_4(value: Any) -> Any:
    """What jsonpickle 1.4 writes: as 3 does, but plain dictionaries are copied, not numbered."""

    class Pickler(jsonpickle.Pickler):
        def _get_flattener(self, obj: Any) -> Any:
            if type(obj) is dict:
                return self._flatten_dict_obj
            return super()._get_flattener(obj)

    return json.loads(json.dumps(Pickler().flatten(value)))


def as_1_2(value: Any) -> Any:
    """What jsonpickle 1.2 writes: as 1.4 does, with all keys sorted before they are numbered."""
    return json.loads(json.dumps(as_1_4(_sorted(value)), sort_keys=True))


def _sorted(value: Any) -> Any:
    if type(value) is list:
        value[:] = map(_sorted, value)
    elif isinstance(value, Plain):
        value.__dict__ = _sorted(vars(value))
    elif type(value) is dict:
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
