"""A study of one's own, written down: a YAML file with the words of `run`, and with values in place of the models' sweeps."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode

from benchmark.errors import UserError, unknown
from benchmark.model.registry import constructor_arguments, dotted_path, hyperparameter_grid, import_model, plain_value
from benchmark.studies.study import STUDY_NAME, Sweep

Positive = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
Count = Annotated[int, Field(ge=0)]
Width = Annotated[float, Field(gt=0, le=4)]


class _Strict(BaseModel):
    """No unknown keys, and no guesses: "3" and true are no numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)


class EvaluationPart(_Strict):
    """The values of `benchmark.settings.Evaluation` that a file may set."""

    batch_norm_draws: Several | None = None
    mode_samples: Several | None = None
    diversity_groups: Positive | None = None
    reconstructions: Several | None = None
    critic_steps: Positive | None = None
    critic_images: Several | None = None
    critic_width: Width | None = None
    score_splits: Positive | None = None
    inception_samples: Count | None = None
    inception_width: Literal[64, 192, 768, 2048] | None = None
    cifar10_samples: Count | None = None
    second_evaluation: bool | None = None


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
    return {key: values if isinstance(values, list) else [values] for key, values in sweep.items()}


class StudyFile(_Strict):
    """What a file may say. What it leaves out is the preset's value, or the default of `run`."""

    study: Annotated[str, Field(pattern=f"^(?:{STUDY_NAME})$")] | None = None
    dataset: str | None = None
    preset: str | None = None
    budget: Positive | None = None
    seeds: Positive | None = None
    iterations: Positive | None = None
    width: Width | None = None
    batch_size: Several | None = None
    threads: Positive | None = None
    models: Annotated[dict[str, dict[str, list[Any]]], BeforeValidator(_by_name), Field(min_length=1)] | None = None
    evaluation: EvaluationPart = EvaluationPart()


def read_study_file(path: Path) -> dict[str, Any]:
    """What a file asks for, by the names of `run`'s options and of the arguments of `benchmark.studies.study.resolve`.

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
    words |= words.pop("evaluation")
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
        part: type[BaseModel] = EvaluationPart if keys[0] == "evaluation" else StudyFile
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
        found = next(((name, value) for name, value in pairs if name.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
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
