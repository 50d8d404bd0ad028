"""Render the page: one HTML file with everything in it that it shows, and no request to anything else."""

from __future__ import annotations

import base64
import functools
import html
import importlib.resources
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
import markupsafe
import vl_convert
from PIL import Image

from benchmark.model.registry import title
from benchmark.report.drawing.style import colours
from benchmark.report.page import charts
from benchmark.report.page.content import Chart, Panel, Plot, Report, RunDetails, RunEntry, Section

PAGE_LIMIT = 18_000_000
"""Bytes of a page. Details of runs are left out where it would be larger."""
PIXEL_ART = 400
"""Pictures that are narrower than this are enlarged without smoothing."""
LONG_TABLE = 15
"""Rows of a table from which on it is folded away."""
LONG_NOTES = 400
"""Characters of small print from which on it is folded away."""
MISSING = "–"
_END = "<!-- the details of runs follow -->"


def render(report: Report) -> str:
    """Render the report as one page of HTML; the same bytes for the same report.

    Raises:
        ValueError: if two runs have the same key, or a chart shows a run that is not in the report.
    """
    _check(report)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            sections=[_section(section, number, report) for number, section in enumerate(report.sections)],
            data=_script(_data(report)),
            end=markupsafe.Markup(_END),  # noqa: S704
            several_settings=len({run.setting for run in report.runs}) > 1,
            models=_levels(run.model for run in report.runs),
            statuses=_levels(run.status for run in report.runs),
            **_bundles(),
        )
    )
    start, end = page.split(_END)
    return start + "".join(_details(report, len((start + end).encode()))) + end


def _check(report: Report) -> None:
    keys = {run.key for run in report.runs}
    if len(keys) < len(report.runs):
        raise ValueError("two runs of the report have the same key")
    for plot in (plot for section in report.sections for plot in section.plots if plot.chart):
        panels = plot.chart.panels if plot.chart else ()
        for key in (key for panel in panels for key in (*(point.run for point in panel.points), *panel.best)):
            if key not in keys:
                raise ValueError(f"the report's chart {plot.name!r} shows the run {key!r}, which is not among its runs")


def _environment() -> jinja2.Environment:
    loader = jinja2.FunctionLoader(_asset)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(cell=_cell, title=title, breakable=_breakable, embedded=_embedded, hex=_hex)
    return environment


def _asset(name: str) -> str:
    return (importlib.resources.files("benchmark.report.page.templates") / name).read_text(encoding="utf-8")


@functools.cache
def _bundles() -> dict[str, markupsafe.Markup]:
    """Scripts and styles of the page, ours and others'; with their licences' comments as they come."""
    tables = importlib.resources.files("itables") / "html"
    module = (tables / "dt_bundle.js").read_text(encoding="utf-8")
    # A module that stands in a page can export nothing: its default export, DataTable, goes to where our script finds it.
    exports = re.compile(r"export\s*\{[^{}]*?([\w$]+) as default[^{}]*\};?")
    module, replaced = exports.subn(lambda match: f"window.DataTable={match[1]};", module)
    if replaced != 1:
        raise RuntimeError("itables' dt_bundle.js does not export DataTable in the way that is known here")
    scripts = {
        "vega": vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
        "datatables": module,
        "script": _asset("report.js"),
        "licences": _asset("licences.txt"),
    }
    styles = {"datatables_style": (tables / "dt_bundle.css").read_text(encoding="utf-8"), "style": _asset("report.css")}
    # In an HTML file these end a script, or hide its end; they can only stand in strings and regular expressions.
    inert = {name: re.sub(r"<(?=!--|/?script)", r"\\x3c", text, flags=re.IGNORECASE) for name, text in scripts.items()}
    return {name: markupsafe.Markup(text) for name, text in (inert | styles).items()}  # noqa: S704


def _script(data: Any) -> markupsafe.Markup:
    """JSON that ends no script, whatever stands in it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return markupsafe.Markup(text)  # noqa: S704


def _data(report: Report) -> dict[str, Any]:
    """What the script shows: every value once, as columns over the runs in their order."""
    runs = report.runs
    numbers = {run.key: number for number, run in enumerate(runs)}
    palette = colours(_levels(run.model for run in runs))
    values = {metric: _values(runs, metric) for metric in report.metrics}
    names = list(dict.fromkeys(name for run in runs for name in run.hyperparameters))
    columns = ("study", "model", "setting", "seed", "status", "reason")
    return {
        "keys": [run.key for run in runs],
        "runs": {name: _column([getattr(run, name) for run in runs]) for name in columns},
        "seconds": [_rounded(run.seconds) for run in runs],
        "hyperparameters": {
            name: _column([_words(run.hyperparameters[name]) if name in run.hyperparameters else None for run in runs])
            for name in names
        },
        "metrics": dict(report.metrics),
        "values": values,
        "models": {model: {"title": title(model), "colour": _hex(palette[model])} for model in palette},
        "charts": {
            _chart_id(section, number): [_panel(plot.chart, panel, runs, numbers, values) for panel in plot.chart.panels]
            for section, content in enumerate(report.sections)
            for number, plot in enumerate(content.plots)
            if plot.chart
        },
        "curves": charts.curves_spec(),
    }


def _values(runs: Sequence[RunEntry], metric: str) -> dict[str, list[float | None]]:
    columns = {}
    for name in ("value", "low", "high", "second"):
        column = [_rounded(getattr(run.values.get(metric), name, None)) for run in runs]
        if name == "value" or any(value is not None for value in column):
            columns[name] = column
    return columns


def _panel(
    chart: Chart, panel: Panel, runs: Sequence[RunEntry], numbers: Mapping[str, int], values: Mapping[str, Any]
) -> dict[str, Any]:
    """One pair of axes: its specification, which runs are in it, and where their values stand."""
    points = [point for point in panel.points if math.isfinite(point.value) and (point.x is None or math.isfinite(point.x))]
    shown = [numbers[point.run] for point in points]
    scatter = any(point.x is not None for point in points)
    models = [] if scatter else [box.model for box in panel.boxes]
    labels = [] if scatter else [box.label for box in panel.boxes]
    for model in [] if scatter else dict.fromkeys(runs[number].model for number in shown):
        if model not in models:  # too few of its runs have a value for a box
            models.append(model)
            labels.append(title(model))
    palette = colours(_levels(run.model for run in runs) + models)
    content = {
        "title": panel.title,
        "axes": [" ".join(label.split()) for label in (chart.x_label, chart.y_label)],
        "spec": charts.panel_spec(chart, panel, labels, [_hex(palette[box.model]) for box in panel.boxes]),
        "runs": "all" if shown == list(range(len(runs))) else shown,
        "y": _reference([point.value for point in points], shown, values),
        "best": [numbers[key] for key in panel.best],
        "places": {model: place for place, model in enumerate(models)},
    }
    if scatter:
        content["x"] = _reference([math.nan if point.x is None else point.x for point in points], shown, values)
    return content


def _reference(column: Sequence[float], shown: Sequence[int], values: Mapping[str, Any]) -> str | list[float | None]:
    """The metric whose values these are, to have them in the page only once; else the values."""
    rounded = [_rounded(value) for value in column]
    for metric, columns in values.items():
        if rounded and rounded == [columns["value"][number] for number in shown]:
            return metric
    return rounded


def _section(section: Section, number: int, report: Report) -> dict[str, Any]:
    """A section with what its template needs to know of it."""
    keys = {run.key for run in report.runs}
    models = {run.key: run.model for run in report.runs}
    plots = []
    for place, plot in enumerate(section.plots):
        panels = plot.chart.panels if plot.chart else ()
        shown = {models[point.run] for panel in panels for point in panel.points}
        plots.append(
            {
                "plot": plot,
                "id": _chart_id(number, place),
                "size": _size(plot),
                "legend": [model for model in colours(_levels(models.values())) if model in shown],
                "scatter": any(point.x is not None for panel in panels for point in panel.points),
            }
        )
    return {
        "section": section,
        "plots": plots,
        "tables": [
            {
                "table": table,
                "numeric": _numeric(table.rows, len(table.columns)),
                "keys": keys,
                "long": len(table.rows) >= LONG_TABLE,
            }
            for table in section.tables
        ],
        "folded": sum(map(len, section.notes)) > LONG_NOTES,
    }


def _size(plot: Plot) -> dict[str, Any]:
    with Image.open(io.BytesIO(plot.picture)) as picture:
        return {"width": picture.width, "height": picture.height, "pixels": picture.width < PIXEL_ART}


def _numeric(rows: Sequence[Sequence[Any]], columns: int) -> list[bool]:
    """Which columns hold numbers, and stand at the right."""
    cells = [[row[number] for row in rows if row[number] is not None] for number in range(columns)]
    return [bool(column) and all(isinstance(cell, (int, float)) for cell in column) for column in cells]


def _details(report: Report, size: int) -> Iterable[str]:
    """Curves and pictures of as many runs as there is room for, each run's by itself: only what is looked at is parsed."""
    for key, details in report.details.items():
        data = {
            "curves": _curves(details),
            "pictures": {kind: _embedded(_smaller(picture)) for kind, picture in details.pictures.items()},
        }
        text = f'<script type="application/json" data-run="{html.escape(key)}">{_script(data)}</script>\n'
        size += len(text.encode())
        if size > PAGE_LIMIT:
            return
        yield text


def _curves(details: RunDetails) -> list[list[Any]]:
    return [[name, [x for x, _ in points], [_rounded(y) for _, y in points]] for name, points in details.curves.items()]


def _smaller(picture: bytes) -> bytes:
    """A picture as WebP where that takes fewer bytes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(buffer, format="WEBP", quality=80, method=4)
    return min(picture, buffer.getvalue(), key=len)


def _embedded(picture: bytes) -> str:
    """An address that is the picture itself."""
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}
    kind = next(kind for start, kind in kinds.items() if picture.startswith(start))
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _column(values: Sequence[Any]) -> dict[str, Any]:
    """A column whose values repeat: each value once, and for each run which; -1 for none."""
    levels = {value: number for number, value in enumerate(_levels(value for value in values if value is not None))}
    return {"levels": list(levels), "codes": [-1 if value is None else levels[value] for value in values]}


def _levels(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _rounded(value: float | None) -> float | None:
    """Six digits: more than any value is exact to, in two thirds of the bytes."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _words(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    """A table's cell in words."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)


def _breakable(name: str) -> markupsafe.Markup:
    """A name that may be broken after its underscores."""
    return markupsafe.Markup("_<wbr>").join(name.split("_"))


def _chart_id(section: int, plot: int) -> str:
    return f"chart-{section}-{plot}"


def _hex(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
