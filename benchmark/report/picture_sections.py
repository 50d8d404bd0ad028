"""Sections of pictures: samples, reconstructions, the ablation, and the best by each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from benchmark.report import galleries
from benchmark.report.comparison import Comparison
from benchmark.report.content import Plot, Section
from benchmark.report.figure_folder import FigureFolder
from benchmark.report.galleries import Gallery, Shown
from benchmark.report.style import in_order, title
from benchmark.report.tables import Tables

ABLATION = ("alphagan", "alphagan_kl")
PAPER_SAMPLES = {"colormnist": "Figure 3", "colormnist-mini": "Figure 3", "celeba": "Figures 4 and 7", "cifar10": "Figure 6"}
PAPER_RECONSTRUCTIONS = {"celeba": "Figure 8", "cifar10": "Figure 9"}


def picture_sections(tables: Tables, main: Mapping[str, Sequence[Comparison]], folder: FigureFolder) -> Iterator[Section]:
    """Of each setting the pictures of each model's best run by the critic."""
    samples, reconstructions, ablation, by_metric, notes = [], [], [], [], list[str]()
    for number, setting in enumerate(tables.settings):
        best = _best_runs(tables, main, setting)
        if not best:
            continue
        dataset = tables.runs.loc[tables.runs.setting == setting, "dataset"].iloc[0]
        suffix = f"_{number + 1}" if len(tables.settings) > 1 else ""
        where = f" ({setting})" if suffix else ""
        models = [run for model, run in best.items() if model not in ("real", "noise")]
        keep = _Keeper(folder, suffix, notes)
        chosen = f"Each model's best run by the critic{where}."
        samples += keep(
            "samples",
            galleries.samples([best[name] for name in ("real",) if name in best] + models, rows=6, columns=7),
            chosen,
            "Samples of the best run of each model by the critic that is trained after it, from latents of one seed; "
            "nothing is picked by eye.",
            PAPER_SAMPLES.get(dataset, "Figures 3, 4, 6 and 7"),
        )
        reconstructions += keep(
            "reconstructions",
            galleries.reconstructions(models),
            _reconstruction_sentence(main, setting, where),
            "Test images, and right below them what the models make of them. A larger latent size reconstructs better.",
            PAPER_RECONSTRUCTIONS.get(dataset, "Figures 8 and 9"),
        )
        pair = [best[name] for name in ABLATION if name in best]
        if len(pair) == 2:
            ablation += keep(
                "ablation_samples",
                galleries.samples(pair),
                f"The α-GAN with its code discriminator, and with the empirical KL in its place{where}.",
                "Samples of the best run of either by the critic.",
                "Figure 10",
            )
        coded = pair if len(pair) == 2 else models
        words = galleries.sentence_on_codes(coded)
        ablation += keep(
            "code_means",
            galleries.code_means(coded, tables.runs.model),
            words,
            "Means of the codes of test images, sorted; the prior's are 0.",
            "Figure 11",
        )
        ablation += keep(
            "code_covariance",
            galleries.code_covariances(coded),
            f"Codes like prior draws would show a diagonal of ones and nothing else{where}.",
            "Covariance of the codes of test images, of the best run of each model by the critic.",
            "Figure 12",
        )
        by_metric += keep(
            "best_by_metric",
            galleries.best_by_metric(_best_by_metric(main, setting)),
            _different_bests(main, setting, where),
            "Samples of the run that each metric ranks best over all models.",
            "Figure 14",
        )
    for anchor, heading, plots in (
        ("samples", "Samples", samples),
        ("best-by-metric", "The best by each metric", by_metric),
        ("reconstructions", "Reconstructions", reconstructions),
        ("codes", "The ablation and the codes", ablation),
    ):
        if plots:
            yield Section(anchor, heading, "", plots)
    if notes:  # also where every picture is damaged, and no section is left to say so
        yield Section("unreadable-pictures", "Pictures that cannot be read", notes=notes)


class _Keeper:
    """Writes galleries that have something to show, and notes what could not be read."""

    def __init__(self, folder: FigureFolder, suffix: str, notes: list[str]) -> None:
        self.folder, self.suffix, self.notes = folder, suffix, notes

    def __call__(self, name: str, gallery: Gallery, sentence: str, caption: str, paper: str) -> list[Plot]:
        self.notes += [line for line in gallery.damaged if line not in self.notes]
        if gallery.figure is None:
            return []
        return [self.folder.plot(name + self.suffix, gallery.figure, sentence, caption, f"{paper} of the paper")]


def _best_runs(tables: Tables, main: Mapping[str, Sequence[Comparison]], setting: str) -> dict[str, Shown]:
    """The best run by the critic of each model, and the sanity row of real images; without a critic the first that is done."""
    here = tables.runs[(tables.runs.setting == setting) & (tables.runs.status == "done")]
    by_critic = [some for metric in ("critic", "critic_in_training") for some in main.get(metric, []) if some.setting == setting]
    found = {}
    for model in in_order(here.model):
        best = by_critic[0].best(model, 1) if by_critic else here[:0]
        if len(best):
            found[model] = Shown(best.folder.iloc[0], model, "" if model == "real" else f"critic {best.value.iloc[0]:.3g}")
        else:
            found[model] = Shown(here.loc[here.model == model, "folder"].iloc[0], model)
    return found


def _best_overall(main: Mapping[str, Sequence[Comparison]], setting: str) -> dict[str, pd.Series]:
    """The best run over all models by each metric that says how good samples are."""
    found = {}
    for those in main.values():
        for some in those:
            if some.setting != setting or some.measure.metric.startswith(("reconstruction", "code")):
                continue
            best = some.ranked(some.counted)[:2]
            if len(best) and best.cost.nunique() == len(best):  # of equals none is the best
                found[some.measure.title] = best.iloc[0]
    return found


def _best_by_metric(main: Mapping[str, Sequence[Comparison]], setting: str) -> list[tuple[str, Shown]]:
    return [(name, Shown(run.folder, run.model, f"{run.value:.3g}")) for name, run in _best_overall(main, setting).items()]


def _different_bests(main: Mapping[str, Sequence[Comparison]], setting: str, where: str) -> str:
    found = _best_overall(main, setting)
    runs, models = {run.run for run in found.values()}, in_order({run.model for run in found.values()})
    return (
        f"{len(found)} metrics pick {len(runs)} different run{'s' * (len(runs) > 1)} as the best{where}, of "
        f"{', '.join(title(model) for model in models)}."
    )


def _reconstruction_sentence(main: Mapping[str, Sequence[Comparison]], setting: str, where: str) -> str:
    those = [some for some in main.get("reconstruction_l1", []) if some.setting == setting]
    if not those or not those[0].models:
        return f"Reconstructions of each autoencoding model's best run by the critic{where}."
    medians = {model: those[0].quartiles(model)[1] for model in those[0].models}
    words = ", ".join(f"{title(model)} {'none' if value is None else f'{value:.3g}'}" for model, value in medians.items())
    return f"Median absolute error over each model's runs, of a range of 2{where}: {words}."
