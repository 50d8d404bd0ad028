import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.report.write import make_report
from tests import golden
from tests.benchmark.report.pretended import write_study

DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC")


def save_nothing(_, path: Path) -> bytes:
    """In place of `style.save`: drawing is what takes a report's time, so figures are made, and their files hold a dot."""
    for suffix in (".png", ".svg"):
        path.with_suffix(suffix).write_bytes(DOT)
    return DOT


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A browser is processes: what needs one is left out of `make test-fast`."""
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker("processes")


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("benchmark.report.page.figure_folder.save", save_nothing)


@pytest.fixture(scope="session")
def golden_report(tmp_path_factory) -> Path:
    """The report of both golden studies, undrawn; it takes seconds, so all tests look at this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.report.page.figure_folder.save", save_nothing)
        folders = [golden.FOLDER / name for name in golden.STUDIES]
        return make_report(folders, tmp_path_factory.mktemp("golden") / "report").parent


@pytest.fixture(scope="session")
def table(golden_report):
    """Reads rows of a CSV file of the golden report, by the values of columns; of the first setting unless another is named."""

    def read(name, **chosen):
        rows = pd.read_csv(golden_report / f"{name}.csv").fillna({"model": ""})  # of all models
        wanted = {"setting": "colormnist-mini", **chosen}
        return rows[np.logical_and.reduce([rows[column] == value for column, value in wanted.items()])]

    return read


@pytest.fixture
def study(tmp_path):
    runs = [("real", "done", -0.1), ("noise", "done", -8.0)]
    runs += [("dcgan", "done", value) for value in (-5.0, -1.0, -3.0, -2.0, -4.0)]
    runs += [
        ("age", "done", -2.0),
        ("age", "done", -1.0),
        ("age", "diverged", None),
        ("age", "failed", None),
        ("age", "running", None),
    ]
    return write_study(tmp_path / "golden", runs)
