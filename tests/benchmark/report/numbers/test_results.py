"""What all sections are made from."""

import math

from metrics.catalogue import METRICS
from tests.benchmark.report.pretended import (
    PretendedRun,
    at_end,
    results_of,
    tables_of,
    write_runs,
)


def test_without_anything_to_match_a_metric_is_no_headline(tmp_path):
    runs = [PretendedRun("dcgan", rows=[at_end("sample_diversity", value)]) for value in (0.25, 0.5)]
    runs.append(PretendedRun("real", rows=[at_end("sample_diversity", None)]))
    results = results_of(write_runs(tmp_path / "blind", runs))
    assert math.isnan(results.comparisons["sample_diversity"][0].reference)
    assert results.headlines == []
    assert all(rows.empty for rows in tables_of(results).values())
    assert METRICS["sample_diversity"].headline
