"""List the sections of a report, in the order of the page; a user's own are found by their dotted paths."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Sequence

from benchmark.errors import UserError, unknown
from benchmark.report.section import ReportSection
from benchmark.report.sections.agreement import Agreement
from benchmark.report.sections.best_again import BestAgain
from benchmark.report.sections.best_of_k import BestOfK
from benchmark.report.sections.cost import Cost
from benchmark.report.sections.critic import Critic
from benchmark.report.sections.ends import Ends
from benchmark.report.sections.equal_budget import EqualBudget
from benchmark.report.sections.hyperparameters import Hyperparameters
from benchmark.report.sections.improvement import Improvement
from benchmark.report.sections.not_measured import NotMeasured
from benchmark.report.sections.pictures import Pictures
from benchmark.report.sections.scatter import Scatter
from benchmark.report.sections.scores import Scores
from benchmark.report.sections.seeds import Seeds

CONTENTS: tuple[type[ReportSection], ...] = (
    Ends,
    Scores,
    Scatter,
    Pictures,
    BestAgain,
    BestOfK,
    EqualBudget,
    Improvement,
    Agreement,
    Hyperparameters,
    Seeds,
    Critic,
    Cost,
    NotMeasured,
)
"""The table of contents: what the page says, and which CSV files lie beside it."""

RESERVED = ("records", "summary")
"""Names of CSV files that every report has."""


def find_sections(paths: Sequence[str]) -> list[type[ReportSection]]:
    """Find a user's own sections.

    Args:
        paths: dotted paths to subclasses of `ReportSection`, such as "mypackage.MySection".

    Raises:
        UserError: for a path that names none, for a module that fails to import, and for a CSV file that another section writes.
    """
    sections = [_find(path) for path in dict.fromkeys(paths)]
    taken = {*RESERVED, *(section.file for section in CONTENTS if section.file)}
    for path, section in zip(dict.fromkeys(paths), sections, strict=True):
        if section.file in taken or not re.fullmatch(r"[\w-]*", section.file):
            raise UserError(
                f"section {path!r}: its file {section.file!r} must be a name that is free: {', '.join(sorted(taken))} are not"
            )
        taken |= {section.file} - {""}
    return sections


def _find(path: str) -> type[ReportSection]:
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise UserError(f"section {path!r}: a dotted path was expected, such as mypackage.MySection")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UserError(
                f"section {path!r}: there is no module {error.name!r} in this folder or among the installed packages"
            ) from None
        raise UserError(f"section {path!r}: importing {module_name} failed: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"section {path!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    classes = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
    if name not in classes:
        sections = [key for key, value in classes.items() if issubclass(value, ReportSection) and value is not ReportSection]
        raise unknown(f"class in {module_name}", name, sections or classes or ["none"])
    section = classes[name]
    if not issubclass(section, ReportSection):
        raise UserError(f"section {path!r} is no subclass of benchmark.report.section.ReportSection")
    return section
