"""Under several processes every metric has the value that one process finds for all samples."""

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from metrics import FrechetDistance, InceptionScore, KernelDistance, ModeCoverage, PrecisionRecall, PriorMatch, moments

PARTS = (slice(0, 70), slice(70, 120))
"""What each rank sees: not equally much."""


def rows(seed: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(120, 8, generator=torch.Generator().manual_seed(seed)) * scale


def values(part: slice) -> list[torch.Tensor]:
    reference = rows(0)
    metrics = [
        InceptionScore(splits=4),
        FrechetDistance(moments(reference)),
        KernelDistance(reference, subsets=5, subset_size=60),
        PrecisionRecall(reference),
    ]
    for metric in metrics:
        for batch in rows(1, 1.3)[part].split(32):
            metric.update(batch)
    modes = ModeCoverage(n_modes=9)
    modes.update(rows(2)[part].argmax(1))
    match = PriorMatch(moments(reference))
    match.update(rows(1, 1.3)[part])
    values = [torch.as_tensor(metric.compute()) for metric in metrics]
    return [*values, *(value.double() for metric in (modes, match) for value in metric.compute().values())]


def one_process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=len(PARTS))
    torch.save(values(PARTS[rank]), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.processes
def test_two_processes_find_what_one_finds(tmp_path):
    multiprocessing.spawn(one_process, (tmp_path,), nprocs=len(PARTS))
    alone = values(slice(0, 120))
    for rank in range(len(PARTS)):
        for together, expected in zip(torch.load(tmp_path / f"{rank}.pt"), alone, strict=True):
            assert together.tolist() == pytest.approx(expected.tolist(), rel=1e-11)
