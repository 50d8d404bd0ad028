"""What is compared with packages that only developers have."""

import subprocess
import sys

import pytest

from benchmark.perf import metrics

NOT_INSTALLED = ("importlinter", "mypy", "playwright", "pytest", "pytorch_msssim", "ray", "tensorboard")


def test_without_its_peer_a_metric_is_a_remark(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)
    remark = next(metrics.rows(1, None))
    assert isinstance(remark, str)
    assert "pytorch-msssim" in remark
    assert "dev" in remark


@pytest.mark.processes
def test_performance_can_be_measured_without_any_extra():
    code = f"import sys; sys.modules.update(dict.fromkeys({NOT_INSTALLED})); import benchmark.perf.__main__"
    subprocess.run([sys.executable, "-c", code], check=True)
