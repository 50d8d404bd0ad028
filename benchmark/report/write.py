"""A report of one study or several: figures, tables and the page, from the records alone."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import filelock
import pandas as pd
from PIL import Image
from tqdm import tqdm

from benchmark.files import write_atomically
from benchmark.model.registry import in_order, title
from benchmark.report.drawing.galleries import DAMAGED
from benchmark.report.drawing.style import REFERENCES
from benchmark.report.numbers.comparison import Comparison, comparisons, main_comparisons, not_measured
from benchmark.report.numbers.ranking import BEST
from benchmark.report.numbers.summary import as_latex, as_markdown, paper_table, summarize
from benchmark.report.numbers.tables import Tables, final_values, read_tables, unknown_metrics
from benchmark.report.page.content import Report, RunDetails, RunEntry, RunValue, Section, Table
from benchmark.report.page.figure_folder import FigureFolder, claim
from benchmark.report.page.render import render
from benchmark.report.sections import scores as score_sections
from benchmark.report.sections import statistic_sections
from benchmark.report.sections.cost import cost_section
from benchmark.report.sections.pictures import picture_sections
from metrics.catalogue import MEASURES

STATUSES = ("done", "diverged", "failed", "running", "missing")
CURVES = ("loss/", "critic_curve/")


def make_report(folders: Sequence[Path], output: Path) -> Path:
    """Write a report from the records of studies, also such that are still running or were made elsewhere.

    Args:
        folders: of the studies, results/<study> each.
        output: the folder of the report.

    Returns:
        The page, output/index.html; beside it lie figures/*.png and *.svg, records.csv, summary.csv, summary.md, summary.tex,
        and a CSV file for each further analysis.

    Raises:
        UserError: if there is no study, nothing measured in it yet, or the folder holds other things.
    """
    tables = read_tables(folders)
    output.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(output.parent / ".report.lock")  # two commands on one study may end together
    with lock, tqdm(total=5, desc="report", disable=None, delay=2, leave=False) as bar:
        claim(output)
        return _write(tables, output, bar)


def _write(tables: Tables, output: Path, bar: tqdm) -> Path:
    found = comparisons(tables, final_values(tables))
    main = main_comparisons(found)
    summary = summarize(tables, [some for those in found.values() for some in those])
    analyses = statistic_sections.analyses(main)
    bar.update()
    _write_tables(tables, summary, analyses, output)
    bar.update()
    figures = FigureFolder(output / "figures")
    sections = list(_sections(tables, found, main, summary, analyses, figures))
    bar.update()
    report = Report(
        title=" + ".join(study["study"] for study in tables.studies),
        facts=list(_facts(tables)),
        sections=sections,
        runs=_entries(tables, main),
        metrics={metric: MEASURES[metric].title for metric in found},
        details=_Details(tables, _shown_first(tables, main)),
    )
    bar.update()
    write_atomically(output / "index.html", render(report))
    figures.remove_stale()
    bar.update()
    return output / "index.html"


def _write_tables(tables: Tables, summary: pd.DataFrame, analyses: Mapping[str, pd.DataFrame], output: Path) -> None:
    for name, table in {"records": tables.records, "summary": summary, **analyses}.items():
        write_atomically(output / f"{name}.csv", table.to_csv(index=False))
    printed = paper_table(summary)
    write_atomically(output / "summary.md", as_markdown(printed))
    write_atomically(output / "summary.tex", as_latex(printed))


def _sections(
    tables: Tables,
    found: Mapping[str, Sequence[Comparison]],
    main: Mapping[str, Sequence[Comparison]],
    summary: pd.DataFrame,
    analyses: Mapping[str, pd.DataFrame],
    folder: FigureFolder,
) -> Iterator[Section]:
    yield Section("how-runs-ended", "How the runs ended", "", (), [_ends(tables)], statistic_sections.not_shown(tables))
    yield from score_sections.score_sections(tables, found, summary, folder)
    yield from score_sections.scatter_section(main, folder)
    yield from picture_sections(tables, main, folder)
    yield from statistic_sections.statistic_sections(main, analyses, folder)
    yield from score_sections.critic_section(tables, main, folder)
    yield from cost_section(tables)
    absent = not_measured(tables, found)
    unknown = unknown_metrics(tables)
    if absent or unknown:
        notes = [f"{name}: {reason}" for name, reason in absent.items()]
        notes += [
            f"{name}: {rows} rows of a metric that this version does not know; they are in records.csv"
            for name, rows in unknown.items()
        ]
        yield Section("not-measured", "Not measured, not shown", "", (), (), notes)


def _ends(tables: Tables) -> Table:
    several = tables.runs.setting.nunique() > 1
    rows = []
    for setting, runs in tables.runs.groupby("setting", sort=False):
        for model in [*REFERENCES, *in_order(set(runs.model) - set(REFERENCES))]:
            mine = runs[runs.model == model]
            if len(mine):
                counts = [int((mine.status == status).sum()) for status in STATUSES]
                rows.append(
                    [*([setting] if several else []), title(model), mine.configuration.nunique(), mine.seed.nunique(), *counts]
                )
    note = (
        "Diverged: losses or images stopped being finite. Failed: an exception, see the run's error.txt. Both rank worst in "
        "quartiles and statistics."
    )
    if open_runs := int(tables.runs.status.isin(["running", "missing"]).sum()):
        runs_are = f"{open_runs} run{'s are' if open_runs > 1 else ' is'}"
        note = f"{runs_are} still to come: what follows is of those that have ended, and will move. {note}"
    return Table([*(["setting"] if several else []), "model", "configurations", "seeds", *STATUSES], rows, note)


def _facts(tables: Tables) -> Iterator[str]:
    for study in tables.studies:
        settings, environment = study["settings"], study["environment"]
        yield (
            f"{study['study']}: data set {study['dataset']} (fingerprint {study['fingerprint'][:12]}), preset "
            f"{study['preset']}, {settings['iterations']} iterations of batch {settings['batch_size']}, networks at "
            f"{settings['width']} of the paper's width. Made with version {study['benchmark']}, torch "
            f"{environment.get('torch')} on {environment.get('machine')} ({environment.get('instruction_set')})."
        )


def _entries(tables: Tables, main: Mapping[str, Sequence[Comparison]]) -> list[RunEntry]:
    """All runs with their values, each metric by its main protocol."""
    values: dict[str, dict[str, RunValue]] = {}
    for metric, those in main.items():
        for some in those:
            for row in some.values.dropna(subset="value").itertuples():
                numbers = [None if pd.isna(number) else float(number) for number in (row.low, row.high, row.second)]
                values.setdefault(row.run, {})[metric] = RunValue(float(row.value), *numbers)
    return [
        RunEntry(
            key=run.run,
            study=run.study,
            model=run.model,
            setting=run.setting,
            seed=run.seed,
            status=run.status,
            reason=run.reason,
            seconds=run.seconds,
            hyperparameters=run.hyperparameters,
            values=values.get(run.run, {}),
        )
        for run in tables.runs.itertuples()
    ]


def _shown_first(tables: Tables, main: Mapping[str, Sequence[Comparison]]) -> list[str]:
    """All runs, the best of each model by each metric first: the page may not have room for the curves and pictures of all."""
    bests = [some.best(model, BEST).run for those in main.values() for some in those for model in some.models]
    in_turn = [run for place in itertools.zip_longest(*bests) for run in place if run is not None]
    return list(dict.fromkeys([*in_turn, *tables.runs.run]))


def _picture(path: Path) -> bytes:
    """What a picture's file holds; nothing where there is none or a damaged one, which must not cost the page."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except DAMAGED:
        return b""
    return content


class _Details(Mapping[str, RunDetails]):
    """Curves and pictures of runs, read when they are asked for."""

    def __init__(self, tables: Tables, order: Sequence[str]) -> None:
        self.folders = tables.runs.set_index("run").folder.to_dict()
        self.order = order
        curves = tables.records[tables.records.metric.str.startswith(CURVES) & tables.records.value.notna()]
        self.rows = dict(list(curves[["run", "metric", "iteration", "value"]].groupby("run", sort=False)))

    def __getitem__(self, run: str) -> RunDetails:
        curves: dict[str, list[tuple[int, float]]] = {}
        if run in self.rows:
            for row in self.rows[run].itertuples():
                curves.setdefault(row.metric, []).append((row.iteration, row.value))
        pictures = {kind: _picture(self.folders[run] / f"{kind}.png") for kind in ("samples", "reconstructions")}
        return RunDetails(curves, {kind: picture for kind, picture in pictures.items() if picture})

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)
