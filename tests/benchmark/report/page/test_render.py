"""The report's page: what stands in it, and what a real browser makes of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.page import charts
from benchmark.report.page import render as page
from benchmark.report.page.content import Line, RunDetails


def _sibling(name: str) -> Any:
    """A module of the folder above: the tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


support = _sibling("browser")
browser = support.browser
HOSTILE = support.HOSTILE
REPORT = support.small_report()
FIRST, DIVERGED = REPORT.runs[0], REPORT.runs[5]
ALL_IN = "document.querySelectorAll('.panel').length == 3 && [...document.querySelectorAll('.panel')].every(panel => panel.view)"


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page.render(REPORT), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Any, file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end nothing may have been logged, asked of anybody, or popped up."""
    contexts, complaints = [], []

    def open_page(hash_: str = "", width: int = 1280, height: int = 900, file_: Path = file, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(8000)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        tab.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        tab.on("dialog", lambda popup: (complaints.append(f"popup: {popup.message}"), popup.dismiss()))
        tab.on("request", lambda request: _asked(request.url, complaints, file_))
        tab.goto(file_.as_uri() + hash_)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def _asked(url: str, complaints: list[str], file: Path) -> None:
    if url.split("#")[0] != file.as_uri() and not url.startswith("data:image/"):
        complaints.append(f"request: {url[:100]}")


@pytest.fixture
def tab(visit: Callable[..., Any]) -> Any:
    return visit()


def drawn(tab: Any) -> None:
    """Every chart, wherever it stands."""
    for figure in tab.query_selector_all("figure.live"):
        figure.scroll_into_view_if_needed()
        tab.wait_for_timeout(50)
    tab.wait_for_function(ALL_IN)


def point(tab: Any, key: str, panel: int = 0) -> tuple[float, float]:
    """Where a run's dot is in the window."""
    tab.query_selector_all("figure.live .panel")[panel].scroll_into_view_if_needed()
    tab.wait_for_function("n => document.querySelectorAll('.panel')[n].view", arg=panel)
    x, y = tab.evaluate(
        """([n, key]) => {
            const place = document.querySelectorAll('.panel')[n], view = place.view;
            const keys = JSON.parse(document.getElementById('report-data').textContent).keys;
            const row = view.data('points').find(row => keys[row.i] == key);
            const box = place.querySelector('canvas').getBoundingClientRect(), [left, top] = view.origin();
            return [box.left + left + view.scale('x')(row.x), box.top + top + view.scale('y')(row.y)];
        }""",
        [panel, key],
    )
    return x, y


def column(tab: Any, number: int) -> list[str]:
    return [str(cell.inner_text()) for cell in tab.query_selector_all(f"#runs-table tbody tr td:nth-child({number})")]


def background(tab: Any) -> float:
    """How light the page is, from 0 to 1."""
    colour = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 / 255


class TestWithoutABrowser:
    def test_the_same_report_makes_the_same_bytes(self) -> None:
        assert page.render(REPORT) == page.render(support.small_report())

    def test_what_users_named_is_no_html(self) -> None:
        text = page.render(REPORT)
        assert HOSTILE not in text
        assert "<img src=x" not in text
        assert "<i>nan" not in text
        assert text.count("<script") == text.count("</script>") == len(REPORT.details) + 5

    def test_each_value_stands_in_the_page_once(self) -> None:
        data = page._data(REPORT)
        first, second = data["charts"]["chart-0-0"]
        assert first["y"] == "critic"
        assert second["y"][0] == FIRST.values["critic"].value + 1.25  # another protocol's
        scatter = data["charts"]["chart-1-0"][0]
        assert (scatter["x"], scatter["y"]) == ("critic", "sample_diversity")

    def test_details_are_left_out_in_order_where_there_is_no_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        full = page.render(REPORT)
        monkeypatch.setattr(page, "PAGE_LIMIT", len(full.encode()) - 1)
        text = page.render(REPORT)
        kept = [key for key in REPORT.details if f'data-run="{page.html.escape(key)}"' in text]
        assert kept == list(REPORT.details)[:2]
        assert len(text.encode()) <= page.PAGE_LIMIT
        monkeypatch.setattr(page, "PAGE_LIMIT", len(full.encode()))
        assert page.render(REPORT) == full

    def test_after_the_first_run_without_room_none_follows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        large, small = (RunDetails({"loss/generator": [(k, 1.0) for k in range(n)]}, {}) for n in (5000, 5))
        empty = dataclasses.replace(REPORT, details={})
        monkeypatch.setattr(page, "PAGE_LIMIT", len(page.render(empty).encode()) + 5000)
        details = dict(zip([run.key for run in REPORT.runs], (small, large, small), strict=False))
        assert page.render(dataclasses.replace(REPORT, details=details)).count('" data-run="') == 1

    def test_nothing_that_is_not_finite_comes_into_the_page(self) -> None:
        curves = {"loss/generator": [(0, 1.0), (10, float("nan")), (20, float("inf"))]}
        report = dataclasses.replace(REPORT, details={FIRST.key: RunDetails(curves, {})})
        assert '["loss/generator",[0,10,20],[1.0,null,null]]' in page.render(report)

    def test_two_runs_of_one_name_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="same key"):
            page.render(dataclasses.replace(REPORT, runs=[*REPORT.runs, FIRST]))

    def test_a_point_without_its_run_is_an_error(self) -> None:
        with pytest.raises(ValueError, match=f"{FIRST.key}.*which is not among its runs"):
            page.render(dataclasses.replace(REPORT, runs=REPORT.runs[1:]))

    def test_a_report_without_runs_is_a_page(self) -> None:
        assert "All runs" in page.render(dataclasses.replace(REPORT, sections=[], runs=[], details={}, metrics={}))

    def test_a_line_far_from_the_runs_does_not_flatten_the_boxes(self) -> None:
        low, high = charts.spanned([1.0, 2.0], [1.5, 2.5, 300.0])
        assert 0.5 < low < 1.0
        assert 2.5 < high < 3.0
        labels = charts.line_labels([Line("noise", 300.0), Line("real", 1.5), Line("worse", -7.0)], (low, high))
        assert [text for _, text in labels] == ["↓ worse: −7", "real", "↑ noise: 300"]

    def test_names_of_near_lines_keep_apart_and_inside(self) -> None:
        heights = [
            height for height, _ in charts.line_labels([Line(name, 0.99) for name in "abc"] + [Line("d", 5.0)], (0.0, 1.0))
        ]
        gaps = [b - a for a, b in itertools.pairwise(heights)]
        assert min(gaps) > 0.99 * charts.LABEL / charts.HEIGHT
        assert 0 <= min(heights) <= max(heights) <= 1


class TestCharts:
    def test_hovering_a_point_names_its_run(self, tab: Any) -> None:
        tab.mouse.move(*point(tab, FIRST.key))
        words = tab.inner_text("#run-tip")
        assert f"{FIRST.key}, seed 0" in words
        assert "α-GAN, empirical KL" in words
        assert "Independent Wasserstein critic: −10" in words
        assert "learning_rate 0.0001" in words
        assert "<img src=x onerror=alert(2)>" in words
        tab.mouse.move(5, 5)
        assert not tab.is_visible("#run-tip")

    def test_a_hostile_model_is_text_in_the_tooltip_and_on_the_axis(self, tab: Any) -> None:
        tab.mouse.move(*point(tab, REPORT.runs[2].key))
        assert HOSTILE in tab.inner_text("#run-tip")
        assert tab.evaluate("document.querySelectorAll('#run-tip :not(div, strong)').length") == 0
        assert tab.evaluate("document.querySelector('.panel').view.signal('wide')")[2] == [HOSTILE, "n = 2"]

    def test_clicking_a_point_opens_its_run(self, tab: Any) -> None:
        tab.mouse.click(*point(tab, FIRST.key))
        assert tab.evaluate("location.hash") == f"#run={FIRST.key}"
        tab.wait_for_selector("dialog[open] .curves canvas")
        words = tab.inner_text("dialog")
        for part in (FIRST.key, "learning_rate\t0.0001", "latent\t50", "Sample <b>diversity</b>\t−9\t−9.5 to −8\t−8.9", "Losses"):
            assert part in words
        tab.wait_for_function("[...document.querySelectorAll('dialog .curves')].every(place => place.view)")
        names = tab.evaluate(
            "[...document.querySelectorAll('dialog .curves')].map(p => [...new Set(p.view.data('curves').map(r => r.name))])"
        )
        assert names == [["generator", "discriminator"], ["validation", "test"]]
        assert tab.evaluate("[...document.querySelectorAll('dialog img')].map(image => image.naturalWidth)") == [224, 224]

    def test_clicking_beside_the_points_opens_nothing(self, tab: Any) -> None:
        x, y = point(tab, FIRST.key)
        tab.mouse.click(x, y + 60)
        assert not tab.is_visible("dialog")

    def test_a_scatter_plot_has_both_values_and_a_legend(self, tab: Any) -> None:
        tab.mouse.move(*point(tab, FIRST.key, panel=2))
        words = tab.inner_text("#run-tip")
        assert "Independent Wasserstein critic: −10" in words
        assert "Sample <b>diversity</b>: −9" in words
        assert HOSTILE in tab.inner_text(".legend")

    def test_charts_are_drawn_when_the_reader_comes_near(self, visit: Callable[..., Any]) -> None:
        tab = visit(width=390, height=500)
        tab.wait_for_function("document.querySelector('.panel').view")
        assert not tab.evaluate("!!document.querySelectorAll('.panel')[2].view")
        drawn(tab)

    def test_panels_stand_side_by_side_or_below_each_other(self, visit: Callable[..., Any]) -> None:
        tops = "[...document.querySelectorAll('.panel')].slice(0, 2).map(panel => panel.getBoundingClientRect().top)"
        wide, narrow = visit(), visit(width=390)
        assert len(set(wide.evaluate(tops))) == 1
        assert len(set(narrow.evaluate(tops))) == 2

    def test_the_best_are_circled(self, tab: Any) -> None:
        drawn(tab)
        best = tab.evaluate("document.querySelector('.panel').view.data('points').filter(row => row.best).map(row => row.i)")
        assert [REPORT.runs[i].key for i in best] == sorted(
            REPORT.sections[0].plots[0].chart.panels[0].best, key=lambda key: key[-5:]
        )


class TestRun:
    def test_a_link_opens_a_run_and_escape_closes_it(self, visit: Callable[..., Any], file: Path) -> None:
        tab = visit(f"#run={DIVERGED.key.replace('>', '%3E')}")
        words = tab.inner_text("dialog")
        assert DIVERGED.key in words
        assert "diverged: the loss is <i>nan</i>" in words
        assert "left out to keep the page small; they are in its folder, runs/" + DIVERGED.key in words
        tab.keyboard.press("Escape")
        assert not tab.is_visible("dialog")
        tab.wait_for_function("location.hash == ''")
        assert tab.url == file.as_uri()

    def test_back_closes_it_and_forward_opens_it(self, tab: Any) -> None:
        tab.click(f"text={FIRST.key} >> nth=-1")
        assert tab.is_visible("dialog")
        tab.go_back()
        assert not tab.is_visible("dialog")
        tab.go_forward()
        tab.wait_for_selector("dialog[open]")
        tab.click("dialog button")
        tab.wait_for_function("location.hash == ''")
        assert not tab.is_visible("dialog")
        tab.go_forward()  # closing went back, and left nothing behind in the history
        tab.wait_for_selector("dialog[open]")

    def test_the_keyboard_reaches_a_run(self, tab: Any) -> None:
        tab.focus(f"#runs-table a:text('{FIRST.key}')")
        tab.keyboard.press("Enter")
        assert FIRST.key in tab.inner_text("dialog h2")

    def test_a_cell_that_names_a_run_links_to_it(self, tab: Any) -> None:
        tab.click(f"#critic td a:text('{FIRST.key}')")
        assert FIRST.key in tab.inner_text("dialog h2")

    def test_an_unknown_run_opens_nothing(self, visit: Callable[..., Any]) -> None:
        for address in ("#run=nobody", "#run=%E0%A4%A"):
            tab = visit(address)
            tab.wait_for_selector("#runs-table tbody td")
            assert not tab.is_visible("dialog")


class TestTable:
    def test_numbers_sort_as_numbers_with_the_missing_last(self, tab: Any) -> None:
        for arrow, order in (("ascending", 1), ("descending", -1)):
            tab.click("#runs-table th:has-text('critic')")
            tab.wait_for_selector(f"#runs-table th[aria-sort={arrow}]:has-text('critic')")
            cells = column(tab, 5)
            assert cells[-2:] == ["–", "–"]
            values = [order * float(cell.replace("−", "-")) for cell in cells[:-2]]
            assert values == sorted(values)
            assert len(values) == 10

    def test_it_has_every_run(self, tab: Any) -> None:
        assert column(tab, 1) == [run.key for run in REPORT.runs]
        assert column(tab, 2)[2] == HOSTILE
        assert column(tab, 4)[5] == "diverged: the loss is <i>nan</i>"
        assert column(tab, 6)[3] == "–"
        assert "note <img src=x onerror=alert(2)>" in column(tab, 7)[0]
        assert tab.get_attribute("#runs-table th:nth-child(6)", "title") == "Sample <b>diversity</b>"

    def test_filters(self, tab: Any) -> None:
        tab.select_option("#filter-model", "dcgan")
        assert column(tab, 2) == ["DCGAN"] * 4
        tab.select_option("#filter-model", HOSTILE)
        tab.select_option("#filter-status", "diverged")
        assert column(tab, 1) == [DIVERGED.key, REPORT.runs[11].key]
        tab.select_option("#filter-model", "")
        tab.select_option("#filter-status", "")
        tab.fill(".dt-search input", "latent 57")
        tab.wait_for_function("document.querySelectorAll('#runs-table tbody tr').length == 1")
        assert column(tab, 1) == [REPORT.runs[7].key]

    def test_a_row_opens_its_run(self, tab: Any) -> None:
        tab.click("#runs-table tbody tr:nth-child(2) td:nth-child(4)")
        assert REPORT.runs[1].key in tab.inner_text("dialog h2")


class TestMedia:
    def test_dark(self, tab: Any) -> None:
        drawn(tab)
        stroke = "document.querySelector('.panel').view.scenegraph().toJSON().includes('\"stroke\":\"white\"')"
        assert background(tab) > 0.9
        assert not tab.evaluate(stroke)
        tab.emulate_media(color_scheme="dark")
        tab.wait_for_function(stroke)
        assert background(tab) < 0.2
        tab.emulate_media(color_scheme="light")
        tab.wait_for_function(f"!({stroke})")
        assert background(tab) > 0.9

    def test_paper_has_pictures_and_all_rows(self, tab: Any) -> None:
        drawn(tab)
        assert not tab.is_visible("figure.live > img >> nth=0")
        tab.emulate_media(media="print")
        assert tab.is_visible("figure.live > img >> nth=0")
        for hidden in (".chart", ".filters", ".dt-search", "dialog"):
            assert not tab.is_visible(hidden)
        assert tab.is_visible("#critic details p")
        assert len(column(tab, 1)) == 12
        tab.emulate_media(media="screen")
        tab.wait_for_function("document.querySelector('.panel canvas').clientWidth > 300")

    def test_on_paper_no_column_is_cut_off(self, visit: Callable[..., Any], tmp_path: Path) -> None:
        metrics = {f"reconstruction_metric_{k}": f"metric {k}" for k in range(14)}
        runs = support.run_entries(30, list(metrics), ["alphagan_kl", "dcgan"])
        wide = tmp_path / "wide.html"
        wide.write_text(
            page.render(dataclasses.replace(REPORT, sections=[], runs=runs, metrics=metrics, details={})), encoding="utf-8"
        )
        tab = visit(width=1009, file_=wide)  # A4, lying, without its margins
        tab.emulate_media(media="print")
        assert len(column(tab, 1)) == 30
        assert tab.evaluate("document.querySelector('#runs-table').offsetWidth") <= 1009

    def test_without_javascript_there_are_pictures(self, visit: Callable[..., Any]) -> None:
        tab = visit(java_script_enabled=False)
        assert tab.is_visible("figure.live > img >> nth=0")
        assert "need JavaScript" in tab.inner_text("noscript")

    @pytest.mark.parametrize("hash_", ["", f"#run={FIRST.key}"])
    def test_a_phone_need_not_scroll_sideways(self, visit: Callable[..., Any], hash_: str) -> None:
        tab = visit(hash_, width=360, height=740, has_touch=True, is_mobile=True)
        if not hash_:
            drawn(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.evaluate("document.querySelector('dialog').scrollWidth <= 360")
        assert tab.evaluate("[...document.querySelectorAll('.panel canvas')].every(canvas => canvas.clientWidth <= 330)")

    def test_screenshots(self, visit: Callable[..., Any], tmp_path: Path) -> None:
        folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        tab = visit()
        for width, height in ((390, 844), (1280, 900)):
            tab.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                tab.emulate_media(color_scheme=scheme)
                drawn(tab)
                tab.evaluate("scrollTo(0, 0)")
                path = folder / f"report-{width}x{height}-{scheme}.png"
                tab.screenshot(path=path)
                assert path.stat().st_size > 10_000
