"""Turns what pydantic says about a deploy.toml into lines a person can act on."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .servers import KINDS, PLANNED_KINDS
from .settings import Config
from .wording import Loc, mistake, nearest, shown

EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "missing": "this key",
    "string_type": "text in quotes",
    "float_type": "a number",
    "int_type": "a whole number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "mapping_type": "a table",
    "dict_type": "a table",
    "union_tag_not_found": '"systemd", "gunicorn" or "command"',
    "union_tag_invalid": '"systemd", "gunicorn" or "command"',
}


def explained(error: ValidationError, place: Callable[[Loc], str], siblings: Sequence[str]) -> Iterator[str]:
    """Yield a line for each mistake of *error*; *place* writes where, *siblings* are other top-level keys."""
    for details in error.errors(include_url=False):
        yield _line(details, place, siblings)


def _line(details: ErrorDetails, place: Callable[[Loc], str], siblings: Sequence[str]) -> str:
    loc, value, context = details["loc"], details["input"], details.get("ctx", {})
    where = place((*_written(loc, context), *(("kind",) if details["type"].startswith("union_tag") else ())))
    match details["type"]:
        case "extra_forbidden":
            known = (*_section(loc[:-1]).model_fields, *(siblings if len(loc) == 1 else ()))
            word = str(loc[-1])
            return mistake(where, f"one of {', '.join(known)}", shown(word) + nearest(word, known))
        case "planned":
            return f'{where}: "{context["kind"]}" is not built yet: {context["built"]}'
        case "union_tag_invalid" if context["tag"] in PLANNED_KINDS:
            return f'{where}: "{context["tag"]}" is not built yet: only "systemd", "gunicorn" and "command"'
        case "union_tag_invalid":
            kind = _at(value, ("kind",))
            return mistake(where, EXPECTED["union_tag_invalid"], _found(kind, (*KINDS, *PLANNED_KINDS)))
        case "missing" | "union_tag_not_found":
            return mistake(where, EXPECTED[details["type"]].format(**context), "nothing")
        case "literal_error":
            choices = re.findall(r"'([^']*)'", context["expected"])
            return mistake(where, " or ".join(f'"{choice}"' for choice in choices), _found(value, choices))
        case "unlike":
            found = context.get("found") or _found(_at(value, _key(context)), context.get("choices", ()))
            return mistake(where, context["expected"], found)
    expected = EXPECTED.get(details["type"])
    return mistake(where, expected.format(**context) if expected else details["msg"], shown(value))


def _found(value: Any, choices: Sequence[str]) -> str:
    return shown(value) + (nearest(value, choices) if isinstance(value, str) else "")


def _written(loc: Loc, context: Mapping[str, Any]) -> Loc:
    """Leave out of *loc* what pydantic adds, and add what only the rule knows."""
    loc = loc[:2] + loc[3:] if _is_tagged(loc) else loc
    return (*(part for part in loc if part != "[key]"), *_key(context))


def _key(context: Mapping[str, Any]) -> tuple[str, ...]:
    key = context.get("key", ())
    return (key,) if isinstance(key, str) else tuple(key)


def _at(value: Any, key: tuple[str, ...]) -> Any:
    """Return what *value* has at *key*, as far as it is made of tables."""
    for part in key:
        value = value.get(part) if isinstance(value, Mapping) else value
    return value


def _is_tagged(loc: Loc) -> bool:
    return len(loc) > 2 and loc[0] == "processes" and loc[2] in KINDS


def _section(loc: Loc) -> type[BaseModel]:
    """Find the section at *loc* as pydantic writes it."""
    section: type[BaseModel] = KINDS[str(loc[2])] if _is_tagged(loc) else Config
    for part in loc[3:] if _is_tagged(loc) else loc:
        annotation = section.model_fields[str(part)].annotation
        section = next(kind for kind in (annotation, *get_args(annotation)) if _is_section(kind))
    return section


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
