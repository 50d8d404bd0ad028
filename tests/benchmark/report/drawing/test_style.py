"""How figures look."""

import pandas as pd

from benchmark.model.registry import in_order
from benchmark.report.drawing.style import colours
from metrics.catalogue import MetricInfo

MATCH = MetricInfo("diversity", "Diversity", "match", "")
OTHER = {"steps": 200}


def test_models_keep_their_order_and_their_colour():
    models = in_order(pd.Series(["zeta.New", "dcgan", "alphagan", "beta.New"]))
    assert models == ["alphagan", "dcgan", "beta.New", "zeta.New"]
    assert colours(models)["dcgan"] == colours(["dcgan"])["dcgan"]
    assert len(set(colours(models).values())) == len(colours(models))
