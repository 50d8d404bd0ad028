"""Read a study of the user's own: a YAML file with the words of `run`, and with values in place of the models' sweeps."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode

from benchmark.errors import UserError, unknown
from benchmark.model.registry import constructor_arguments, dotted_path, hyperparameter_grid, import_model, plain_value
from benchmark.settings import EVALUATION, STUDY, WORK, DottedPaths, Kind, OneOf, Real, Setting, Switch, Whole
from benchmark.studies.study import STUDY_NAME, Sweep


def _annotation(kind: Kind) -> Any:
    """The type by which pydantic reads and checks values of a kind."""
    match kind:
        case Whole(least, auto):
            number = Annotated[int, Field(ge=least)]
            return number | Literal["auto"] if auto else number
        case Real(most):
            return Annotated[float, Field(gt=0, le=most, allow_inf_nan=False)]
        case OneOf(values):
            return Literal[values]
        case Switch():
            return bool
        case DottedPaths():
            return Annotated[list[str], BeforeValidator(_as_list)]
    return Annotated[str, Field(min_length=1)]  # text, and paths


def _as_list(value: Any) -> Any:
    """A single value as a list of one."""
    return value if isinstance(value, list) else [value]


class _Strict(BaseModel):
    """No unknown keys, and no guesses: "3" and true are no numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)


def file_part(name: str, settings: Mapping[str, Setting]) -> type[_Strict]:
    """Make the part of a file in which these settings may stand."""
    keys: dict[str, Any] = {key: (_annotation(setting.kind) | None, None) for key, setting in settings.items()}
    return create_model(name, __base__=_Strict, **keys)


StudyPart, EvaluationPart, WorkingPart = (
    file_part("Study", STUDY),
    file_part("Evaluation", EVALUATION),
    file_part("Working", WORK),
)


def _by_name(models: Any) -> Any:
    """A list of models as a mapping; a name with nothing after it has no values of its own; a single value is a list of one."""
    if isinstance(models, list) and all(isinstance(name, str) for name in models):
        return {name: {} for name in models}
    if not isinstance(models, dict):
        return models
    return {name: _as_lists({} if sweep is None else sweep) for name, sweep in models.items()}


def _as_lists(sweep: Any) -> Any:
    if not isinstance(sweep, dict):
        return sweep
    return {key: _as_list(values) for key, values in sweep.items()}


class StudyFile(StudyPart):  # type: ignore[misc, valid-type]
    """What a file may say. What it leaves out is the preset's value, or the default of `run`."""

    study: Annotated[str, Field(pattern=f"^(?:{STUDY_NAME})$")] | None = None
    dataset: str | None = None
    preset: str | None = None
    models: Annotated[dict[str, dict[str, list[Any]]], BeforeValidator(_by_name), Field(min_length=1)] | None = None
    sections: Annotated[list[str], BeforeValidator(_as_list)] | None = None
    evaluation: EvaluationPart = EvaluationPart()  # type: ignore[valid-type]
    working: WorkingPart = WorkingPart()  # type: ignore[valid-type]


PARTS: Mapping[str, type[BaseModel]] = {"evaluation": EvaluationPart, "working": WorkingPart}
"""The parts whose keys stand one level deeper."""


def read_study_file(path: Path) -> dict[str, Any]:
    """Read what a file asks for, by the names of `run`'s options.

    Nothing in the file is executed; the models that it names are imported, to hold its values against their constructors.

    Returns:
        What the file sets, `models` as a mapping from names to sweeps; and `study` in any case: the file's own name unless it
        says another.

    Raises:
        UserError: for a file that is no YAML, that has an unknown key, or a value that the study or a model does not take. Names
            the file, the key and the line.
    """
    text, content = _load(path)
    try:
        asked = StudyFile.model_validate({**content, "study": content.get("study") or path.stem})
    except ValidationError as error:
        raise _refused(path, text, error) from None
    words = asked.model_dump(exclude_none=True)
    for part in PARTS:
        words |= words.pop(part)
    if asked.models is not None:
        words["models"] = _checked_models(path, text, asked.models)
    return words


def _load(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text and what it says."""
    try:
        text = path.read_text(encoding="utf-8")
        content = _yaml().load(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: {error.problem}") from None
    except (YAMLError, ValueError) as error:  # not even characters; a date such as 2024-99-99
        raise UserError(f"{path} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: keys with values were expected, such as 'budget: 20'")
    return text, content


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)  # pure: the reader of YAML 1.2, in which 1e-4 is a number


def _refused(path: Path, text: str, error: ValidationError) -> UserError:
    """What is wrong with the first value that the format does not take."""
    first = error.errors()[0]
    keys = [str(key) for key in first["loc"] if key != "[key]"]
    where, name = _where(path, text, keys), ".".join(keys)
    if first["type"] == "extra_forbidden":
        home = {**dict.fromkeys(EVALUATION, "evaluation"), **dict.fromkeys(WORK, "working")}.get(name)
        if home:
            return UserError(f"{where}: {name!r} belongs into the part {home!r}: {home}: {{{name}: …}}")
        part = PARTS.get(keys[0], StudyFile) if len(keys) > 1 else StudyFile
        return UserError(f"{where}: {unknown('key', name, [*_full_names(part, keys)])}")
    if keys == ["study"]:
        return UserError(f"{where}: 'study' is a folder's name, of letters, digits and . + = - _, not {first['input']!r}")
    return UserError(f"{where}: {name} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}")


def _full_names(part: type[BaseModel], keys: Sequence[str]) -> list[str]:
    return [".".join([*keys[:-1], name]) for name in part.model_fields]


def _where(path: Path, text: str, keys: Sequence[str]) -> str:
    """The file and the line of the innermost of nested keys that stands in it."""
    node, line = _yaml().compose(text), None
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else []
        pair = next(((name, value) for name, value in pairs if name.value == key), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return f"{path}, line {line}" if line else str(path)


def _checked_models(path: Path, text: str, models: Mapping[str, Sweep]) -> dict[str, Sweep]:
    """Models with sweeps that their constructors take."""
    checked: dict[str, Sweep] = {}
    for name, sweep in models.items():
        keys = ["models", name]
        try:
            if dotted_path(name) in map(dotted_path, checked):
                raise UserError(f"{name} is there twice, by its short name and by its path")
            model, values = import_model(name), dict[str, list[Any]]()
            for key, given in sweep.items():
                keys = ["models", name, key]
                values[key] = [_checked_value(model, key, value) for value in given]
            hyperparameter_grid(model, values)
        except UserError as error:
            raise UserError(f"{_where(path, text, keys)}: {error}") from None
        checked[name] = values
    return checked


def _checked_value(model: type, key: str, value: Any) -> Any:
    """A hyperparameter's value as the constructor's annotation has it: 10 for a float is 10.0, and names no second run.

    Raises:
        UserError: for a hyperparameter that the model does not have, or a value of another type than its annotation's.
    """
    if key == "width":
        raise UserError("the width is one for all models: set it beside 'models'")
    arguments = constructor_arguments(model)
    if key not in arguments:
        raise unknown("hyperparameter", key, arguments.keys() - {"width"})
    plain = plain_value(value, repr(key))
    try:
        adapter = TypeAdapter(typing.get_type_hints(model.__init__)[key])  # type: ignore[misc]
        # Through JSON, in which a pair is a list, too.
        return adapter.dump_python(adapter.validate_json(json.dumps(plain), strict=True), mode="json")
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UserError(f"{key} is {value!r}: {message[0].lower()}{message[1:]}") from None
    except (KeyError, NameError, PydanticUserError):  # a user's model whose annotation is missing, or says nothing here
        return plain
