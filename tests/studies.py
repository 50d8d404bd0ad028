"""Small studies that tests of runner, scheduler and engines run."""

from dataclasses import replace
from pathlib import Path

from benchmark.data.datasets import load_dataset
from benchmark.engines.local import LocalEngine
from benchmark.runner.runner import Options, Outcome, run_study
from benchmark.runner.scheduler import Limits
from benchmark.studies.study import Study, resolve
from tests.support import SETTINGS

ITERATIONS = 20


def tiny_study(models=("tests.support.Tiny", "age"), name: str = "tiny", seeds: int = 1, **settings) -> Study:
    """A study whose evaluation is as small as its training."""
    study = resolve(load_dataset("colormnist-mini"), models=models, study=name, width=0.125, budget=1, seeds=seeds)
    return with_settings(study, **settings)


def with_settings(study: Study, **settings) -> Study:
    """The same study with the small settings of the tests, but for those that are given."""
    settings = replace(SETTINGS, **{"iterations": ITERATIONS, **settings})
    return replace(study, settings=settings, runs=tuple(replace(run, settings=settings) for run in study.runs))


def do(study: Study, results: Path, workers: int = 1, run_memory: int | None = None, **limits) -> Outcome:
    """Run a study on this machine."""
    return run_study(study, results, LocalEngine(workers, run_memory=run_memory), Options(limits=Limits(**limits)))


def contents(folder: Path) -> dict[str, bytes]:
    """What must be the same whenever a study is run again."""
    kinds = ("records.jsonl", "samples.png", "reconstructions.png", "run.json", "study.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.name in kinds}
