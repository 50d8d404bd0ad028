"""List the sections of a report, in the order of the page; a user's own are found by their dotted paths."""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchmark.errors import UserError
from benchmark.imports import import_class
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


def find_sections(paths: Iterable[str]) -> list[type[ReportSection]]:
    """Find a user's own sections.

    Args:
        paths: dotted paths of subclasses of `ReportSection`, such as "mypackage.MySection"; one that stands twice counts once.

    Raises:
        UserError: for a path that names none, for a module that fails to import, and for a CSV file that the report has already.
    """
    sections = []
    taken = {*RESERVED, *(section.file for section in CONTENTS if section.file)}
    for path in dict.fromkeys(paths):
        section = import_class(path, ReportSection, "section", "benchmark.report.section.ReportSection")
        if section.file in taken or not re.fullmatch(r"[\w-]*", section.file):
            known = ", ".join(sorted(taken))
            raise UserError(f"section {path!r}: its file is named {section.file!r}; a free name was expected, not {known}")
        taken |= {section.file} - {""}
        sections.append(section)
    return sections
