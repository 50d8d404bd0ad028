"""Show the pictures of each model's best run: samples, reconstructions, the ablation, codes, and the best by each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from benchmark.model.registry import REFERENCES, in_order, title
from benchmark.report.drawing import galleries
from benchmark.report.drawing.codes import code_covariances, code_means, sentence_on_codes
from benchmark.report.drawing.galleries import Gallery, Shown
from benchmark.report.drawing.style import colours
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.results import Results
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Plot, Section
from benchmark.report.page.figure_folder import FigureFolder
from benchmark.report.section import ReportSection

ABLATION = ("alphagan", "alphagan_kl")
PAPER_SAMPLES = {"colormnist": "Figure 3", "colormnist-mini": "Figure 3", "celeba": "Figures 4 and 7", "cifar10": "Figure 6"}
PAPER_RECONSTRUCTIONS = {"celeba": "Figure 8", "cifar10": "Figure 9"}
HEADINGS = {
    "samples": "Samples",
    "best-by-metric": "The best by each metric",
    "reconstructions": "Reconstructions",
    "codes": "The ablation and the codes",
}


class Pictures(ReportSection):
    """Of each setting the pictures of each model's best run by the critic."""

    def show(self, results: Results, table: pd.DataFrame, figures: FigureFolder) -> Iterator[Section]:
        """Make a section for each kind of picture that runs left, and one for pictures that cannot be read."""
        plots: dict[str, list[Plot]] = {anchor: [] for anchor in HEADINGS}
        notes: list[str] = []
        settings = results.tables.settings
        for number, setting in enumerate(settings):
            suffix, where = (f"_{number + 1}", f" ({setting})") if len(settings) > 1 else ("", "")
            galleries_of = _SettingsGalleries(results, setting, _Keeper(figures, suffix, where, notes))
            plots["samples"] += galleries_of.samples()
            plots["best-by-metric"] += galleries_of.best_by_metric()
            plots["reconstructions"] += galleries_of.reconstructions()
            plots["codes"] += galleries_of.ablation() + galleries_of.codes()
        for anchor, heading in HEADINGS.items():
            if plots[anchor]:
                yield Section(anchor, heading, "", plots[anchor])
        if notes:  # also where every picture is damaged, and no section is left to say so
            yield Section("unreadable-pictures", "Pictures that cannot be read", notes=notes)


def best_runs(tables: Tables, comparisons: Mapping[str, Comparison], setting: str) -> dict[str, Shown]:
    """Choose each model's best run by the critic, and the first of the sanity rows; without a critic the first that is done.

    Args:
        tables: the records.
        comparisons: of the setting, by metric.
        setting: the setting.
    """
    done = tables.runs[(tables.runs.setting == setting) & (tables.runs.status == "done")]
    critic = comparisons.get("critic") or comparisons.get("critic_in_training")
    chosen = {}
    for model in in_order(done.model):
        best = critic.best(model, 1) if critic else done[:0]
        if len(best):
            chosen[model] = Shown(best.folder.iloc[0], model, f"critic {best.value.iloc[0]:.3g}")
        else:
            chosen[model] = Shown(done.loc[done.model == model, "folder"].iloc[0], model)
    return chosen


@dataclass(frozen=True)
class _Keeper:
    """Writes the galleries of a setting that have something to show, and notes what could not be read."""

    figures: FigureFolder
    suffix: str
    """Of the names of the setting's files."""
    where: str
    """The setting, for sentences; empty where there is one."""
    notes: list[str]

    def __call__(self, name: str, gallery: Gallery, sentence: str, caption: str, paper: str) -> list[Plot]:
        self.notes.extend(line for line in gallery.damaged if line not in self.notes)
        if gallery.figure is None:
            return []
        return [self.figures.plot(name + self.suffix, gallery.figure, sentence, caption, f"{paper} of the paper")]


class _SettingsGalleries:
    """The galleries of one setting, each none or one plot."""

    def __init__(self, results: Results, setting: str, keep: _Keeper) -> None:
        self.results, self.keep, self.where = results, keep, keep.where
        runs = results.tables.runs
        self.dataset = runs.loc[runs.setting == setting, "dataset"].iloc[0]
        self.comparisons = results.by_setting(setting)
        self.best = best_runs(results.tables, self.comparisons, setting)
        """By model, the sanity rows too."""
        self.best_models = [run for model, run in self.best.items() if model not in REFERENCES]

    def samples(self) -> list[Plot]:
        shown = [run for model, run in self.best.items() if model != "noise"]
        return self.keep(
            "samples",
            galleries.samples(sorted(shown, key=lambda run: run.model != "real"), rows=6, columns=7),
            f"Each model's best run by the critic{self.where}.",
            "Samples of the best run of each model by the critic that is trained after it, from latents of one seed; nothing is "
            "picked by eye.",
            PAPER_SAMPLES.get(self.dataset, "Figures 3, 4, 6 and 7"),
        )

    def best_by_metric(self) -> list[Plot]:
        """The best run over all models by each metric that says how good samples are."""
        best = {}
        for comparison in self.comparisons.values():
            first_two = comparison.ranked(comparison.counted)[:2]
            is_alone = first_two.cost.nunique() == len(first_two)  # of equals none is the best
            if len(first_two) and is_alone and comparison.metric.kind == "samples":
                best[comparison.metric.title] = first_two.iloc[0]
        runs, models = {run.run for run in best.values()}, in_order({run.model for run in best.values()})
        return self.keep(
            "best_by_metric",
            galleries.best_by_metric([(name, Shown(run.folder, run.model, f"{run.value:.3g}")) for name, run in best.items()]),
            f"{len(best)} metrics pick {len(runs)} different run{'s' * (len(runs) > 1)} as the best{self.where}, of "
            f"{'; '.join(title(model) for model in models)}.",
            "Samples of the run that each metric ranks best over all models.",
            "Figure 14",
        )

    def reconstructions(self) -> list[Plot]:
        sentence = f"Reconstructions of each autoencoding model's best run by the critic{self.where}."
        if comparison := self.comparisons.get("reconstruction_l1"):
            medians = {model: comparison.quartiles(model)[1] for model in comparison.models}
            words = ", ".join(f"{title(model)} {'none' if value is None else f'{value:.3g}'}" for model, value in medians.items())
            sentence = f"Median absolute error over each model's runs, of a range of 2{self.where}: {words}."
        return self.keep(
            "reconstructions",
            galleries.reconstructions(self.best_models),
            sentence,
            "Test images, and right below them what the models make of them. A larger latent size reconstructs better.",
            PAPER_RECONSTRUCTIONS.get(self.dataset, "Figures 8 and 9"),
        )

    def ablation(self) -> list[Plot]:
        """The pair of the paper's ablation, where both are there."""
        pair = self._pair()
        if len(pair) < len(ABLATION):
            return []
        return self.keep(
            "ablation_samples",
            galleries.samples(pair),
            f"The α-GAN with its code discriminator, and with the empirical KL in its place{self.where}.",
            "Samples of the best run of either by the critic.",
            "Figure 10",
        )

    def codes(self) -> list[Plot]:
        """Of the pair of the paper's ablation, or of all autoencoding models where they are not both there."""
        pair = self._pair()
        runs = pair if len(pair) == len(ABLATION) else self.best_models
        means = self.keep(
            "code_means",
            code_means(runs, colours(self.results.models)),
            sentence_on_codes(runs),
            "Means of the codes of test images, sorted; the prior's are 0.",
            "Figure 11",
        )
        covariance = self.keep(
            "code_covariance",
            code_covariances(runs),
            f"Codes like prior draws would show a diagonal of ones and nothing else{self.where}.",
            "Covariance of the codes of test images, of the best run of each model by the critic.",
            "Figure 12",
        )
        return means + covariance

    def _pair(self) -> list[Shown]:
        return [self.best[model] for model in ABLATION if model in self.best]
