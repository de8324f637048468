"""Turns what pydantic says about a deploy.toml into lines a person can act on."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .balancing import BALANCERS
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
}
# Tables that are one of several kinds: how deep they lie, which kinds there are, and how those are told.
TAGGED: Mapping[str, tuple[int, Mapping[str, type[BaseModel]], str]] = {
    "processes": (2, KINDS, '"systemd", "gunicorn" or "command"'),
    "balancer": (1, BALANCERS, '"haproxy", "nginx", "file" or "command"'),
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
        case "union_tag_invalid" if loc[0] == "processes" and context["tag"] in PLANNED_KINDS:
            return f'{where}: "{context["tag"]}" is not built yet: only "systemd", "gunicorn" and "command"'
        case "union_tag_invalid":
            _, known_kinds, told = TAGGED[str(loc[0])]
            planned = PLANNED_KINDS if loc[0] == "processes" else ()
            return mistake(where, told, _found(_at(value, ("kind",)), (*known_kinds, *planned)))
        case "union_tag_not_found":
            return mistake(where, TAGGED[str(loc[0])][2], "nothing")
        case "missing":
            return mistake(where, EXPECTED["missing"], "nothing")
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
    if depth := _tag(loc):
        loc = loc[:depth] + loc[depth + 1 :]
    return (*(part for part in loc if part != "[key]"), *_key(context))


def _key(context: Mapping[str, Any]) -> tuple[str, ...]:
    key = context.get("key", ())
    return (key,) if isinstance(key, str) else tuple(key)


def _at(value: Any, key: tuple[str, ...]) -> Any:
    """Return what *value* has at *key*, as far as it is made of tables."""
    for part in key:
        value = value.get(part) if isinstance(value, Mapping) else value
    return value


def _tag(loc: Loc) -> int:
    """Where in *loc* pydantic has put the kind of a table; 0 for nowhere."""
    depth, kinds, _ = TAGGED.get(str(loc[0]), (0, {}, "")) if loc else (0, {}, "")
    return depth if depth and len(loc) > depth and loc[depth] in kinds else 0


def _section(loc: Loc) -> type[BaseModel]:
    """Find the section at *loc* as pydantic writes it."""
    depth = _tag(loc)
    section: type[BaseModel] = TAGGED[str(loc[0])][1][str(loc[depth])] if depth else Config
    for part in loc[depth + 1 :] if depth else loc:
        annotation = section.model_fields[str(part)].annotation
        section = next(kind for kind in (annotation, *get_args(annotation)) if _is_section(kind))
    return section


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
