"""Write a report of one study or several: figures, tables and the page, from the records alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import filelock
import pandas as pd
from tqdm import tqdm

from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.report.contents import CONTENTS, find_sections
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.summary import as_latex, as_markdown, paper_table
from benchmark.report.numbers.tables import Tables, read_tables
from benchmark.report.page.content import Report, Section
from benchmark.report.page.details import Details, entries
from benchmark.report.page.figure_folder import FigureFolder, claim
from benchmark.report.page.render import render
from benchmark.report.section import ReportSection


def make_report(folders: Sequence[Path], output: Path, sections: Collection[str] = ()) -> Path:
    """Write a report from the records of studies, also such that are still running or were made elsewhere.

    Args:
        folders: of the studies, results/<study> each.
        output: the folder of the report.
        sections: dotted paths of a user's own sections, which follow ours and those that the studies name themselves.

    Returns:
        The page, output/index.html; beside it lie figures/*.png and *.svg, records.csv, summary.csv, summary.md, summary.tex,
        and the CSV file of each section that has one.

    Raises:
        UserError: if there is no study, nothing measured in it yet, the folder holds other things, one of `sections` cannot be
            found, or a user's own section fails. One that a study names and that is not there is a sentence on the page.
    """
    tables = read_tables(folders)
    of_studies, missing = _sections_of_studies(tables)
    own = find_sections([*of_studies, *sections])
    output.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(output.parent / ".report.lock")  # two commands on one study may end together
    with lock, tqdm(total=len(CONTENTS) + len(own) + 2, desc="report", disable=None, delay=2, leave=False) as bar:
        claim(output)
        return _write(tables, [*CONTENTS, *own], [*_facts(tables), *missing], output, bar)


def _sections_of_studies(tables: Tables) -> tuple[list[str], list[str]]:
    """The sections that studies name: those that are there, and why others are not, for a study may come from elsewhere."""
    there, missing = [], []
    for study in tables.studies:
        for path in study.get("sections", ()):
            try:
                find_sections([path])
                there.append(path)
            except UserError as error:
                missing.append(f"{study['study']} asks for a section that is not shown: {error}.")
    return there, missing


def _write(tables: Tables, contents: Sequence[type[ReportSection]], facts: list[str], output: Path, bar: tqdm) -> Path:
    results, figures = Results.of(tables), FigureFolder(output / "figures")
    _write_tables(results, output)
    bar.update()
    sections: list[Section] = []
    for section in contents:
        sections += _make(section, results, figures, output)
        bar.update()
    report = Report(
        title=" + ".join(study["study"] for study in tables.studies),
        facts=facts,
        sections=sections,
        runs=entries(results),
        metrics={metric: results.catalogue[metric].title for metric in results.comparisons},
        details=Details(results),
    )
    write_atomically(output / "index.html", render(report))
    figures.remove_stale()
    bar.update()
    return output / "index.html"


def _write_tables(results: Results, output: Path) -> None:
    """The files that every report has."""
    _write_csv(results.tables.records, output / "records.csv")
    _write_csv(results.summary, output / "summary.csv")
    printed = paper_table(results.summary, results.catalogue)
    write_atomically(output / "summary.md", as_markdown(printed))
    write_atomically(output / "summary.tex", as_latex(printed))


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    write_atomically(path, table.to_csv(index=False))


def _make(section: type[ReportSection], results: Results, figures: FigureFolder, output: Path) -> list[Section]:
    """Compute a section's table, write it where it is a file, and make what the page says."""
    try:
        maker = section()
        table = maker.table(results)
        if maker.file:
            _write_csv(table, output / f"{maker.file}.csv")
        return list(maker.show(results, table, figures))
    except Exception as error:
        if section in CONTENTS:
            raise
        name = f"{section.__module__}.{section.__qualname__}"
        reason = " ".join(str(error).split())  # in one line
        raise UserError(f"section {name!r} failed: {type(error).__name__}: {reason}") from error


def _facts(tables: Tables) -> Iterator[str]:
    for study in tables.studies:
        settings, environment = study["settings"], study["environment"]
        yield (
            f"{study['study']}: data set {study['dataset']} (fingerprint {study['fingerprint'][:12]}), preset "
            f"{study['preset']}, {settings['iterations']} iterations of batch {settings['batch_size']}, networks at "
            f"{settings['width']} of the paper's width. Made with version {study['benchmark']}, torch "
            f"{environment.get('torch')} on {environment.get('machine')} ({environment.get('instruction_set')})."
        )
