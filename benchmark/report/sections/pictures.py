"""Sections of pictures: samples, reconstructions, the ablation, and the best by each metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmark.model.registry import in_order, title
from benchmark.report.drawing import galleries
from benchmark.report.drawing.galleries import Gallery, Shown
from benchmark.report.drawing.style import REFERENCES
from benchmark.report.numbers.comparison import Comparison
from benchmark.report.numbers.tables import Tables
from benchmark.report.page.content import Plot, Section
from benchmark.report.page.figure_folder import FigureFolder
from metrics.catalogue import MEASURES

ABLATION = ("alphagan", "alphagan_kl")
PAPER_SAMPLES = {"colormnist": "Figure 3", "colormnist-mini": "Figure 3", "celeba": "Figures 4 and 7", "cifar10": "Figure 6"}
PAPER_RECONSTRUCTIONS = {"celeba": "Figure 8", "cifar10": "Figure 9"}
HEADINGS = {
    "samples": "Samples",
    "best-by-metric": "The best by each metric",
    "reconstructions": "Reconstructions",
    "codes": "The ablation and the codes",
}


def picture_sections(tables: Tables, main: Mapping[str, Sequence[Comparison]], folder: FigureFolder) -> Iterator[Section]:
    """Of each setting the pictures of each model's best run by the critic."""
    plots: dict[str, list[Plot]] = {anchor: [] for anchor in HEADINGS}
    notes: list[str] = []
    for number, setting in enumerate(tables.settings):
        here = {metric: found for metric, those in main.items() if (found := [some for some in those if some.setting == setting])}
        best = _best_runs(tables, here, setting)
        several = len(tables.settings) > 1
        keep = _Keeper(folder, f"_{number + 1}" if several else "", f" ({setting})" if several else "", notes)
        dataset = tables.runs.loc[tables.runs.setting == setting, "dataset"].iloc[0]
        plots["samples"] += _samples(best, dataset, keep)
        plots["best-by-metric"] += _bests(here, keep)
        plots["reconstructions"] += _reconstructions(best, here, dataset, keep)
        plots["codes"] += _ablation_and_codes(best, tables.runs.model, keep)
    for anchor, heading in HEADINGS.items():
        if plots[anchor]:
            yield Section(anchor, heading, "", plots[anchor])
    if notes:  # also where every picture is damaged, and no section is left to say so
        yield Section("unreadable-pictures", "Pictures that cannot be read", notes=notes)


class _Keeper:
    """Writes the galleries of a setting that have something to show, and notes what could not be read."""

    def __init__(self, folder: FigureFolder, suffix: str, where: str, notes: list[str]) -> None:
        self.folder, self.suffix, self.where, self.notes = folder, suffix, where, notes

    def __call__(self, name: str, gallery: Gallery, sentence: str, caption: str, paper: str) -> list[Plot]:
        self.notes += [line for line in gallery.damaged if line not in self.notes]
        if gallery.figure is None:
            return []
        return [self.folder.plot(name + self.suffix, gallery.figure, sentence, caption, f"{paper} of the paper")]


def _samples(best: Mapping[str, Shown], dataset: str, keep: _Keeper) -> list[Plot]:
    shown = [run for model, run in best.items() if model != "noise"]
    return keep(
        "samples",
        galleries.samples(sorted(shown, key=lambda run: run.model != "real"), rows=6, columns=7),
        f"Each model's best run by the critic{keep.where}.",
        "Samples of the best run of each model by the critic that is trained after it, from latents of one seed; nothing is "
        "picked by eye.",
        PAPER_SAMPLES.get(dataset, "Figures 3, 4, 6 and 7"),
    )


def _bests(here: Mapping[str, Sequence[Comparison]], keep: _Keeper) -> list[Plot]:
    """The best run over all models by each metric that says how good samples are."""
    found = {}
    for metric, (some, *_) in here.items():
        best = some.ranked(some.counted)[:2]
        is_alone = best.cost.nunique() == len(best)  # of equals none is the best
        if len(best) and is_alone and MEASURES[metric].kind == "samples":
            found[some.measure.title] = best.iloc[0]
    runs, models = {run.run for run in found.values()}, in_order({run.model for run in found.values()})
    return keep(
        "best_by_metric",
        galleries.best_by_metric([(name, Shown(run.folder, run.model, f"{run.value:.3g}")) for name, run in found.items()]),
        f"{len(found)} metrics pick {len(runs)} different run{'s' * (len(runs) > 1)} as the best{keep.where}, of "
        f"{'; '.join(title(model) for model in models)}.",
        "Samples of the run that each metric ranks best over all models.",
        "Figure 14",
    )


def _reconstructions(
    best: Mapping[str, Shown], here: Mapping[str, Sequence[Comparison]], dataset: str, keep: _Keeper
) -> list[Plot]:
    sentence = f"Reconstructions of each autoencoding model's best run by the critic{keep.where}."
    if those := here.get("reconstruction_l1"):
        medians = {model: those[0].quartiles(model)[1] for model in those[0].models}
        words = ", ".join(f"{title(model)} {'none' if value is None else f'{value:.3g}'}" for model, value in medians.items())
        sentence = f"Median absolute error over each model's runs, of a range of 2{keep.where}: {words}."
    return keep(
        "reconstructions",
        galleries.reconstructions([run for model, run in best.items() if model not in REFERENCES]),
        sentence,
        "Test images, and right below them what the models make of them. A larger latent size reconstructs better.",
        PAPER_RECONSTRUCTIONS.get(dataset, "Figures 8 and 9"),
    )


def _ablation_and_codes(best: Mapping[str, Shown], everyone: Iterable[str], keep: _Keeper) -> list[Plot]:
    """The pair of the paper's ablation where both are there; codes of all autoencoding models where they are not."""
    pair = [best[name] for name in ABLATION if name in best]
    coded = pair if len(pair) == len(ABLATION) else [run for model, run in best.items() if model not in REFERENCES]
    plots = []
    if coded is pair:
        plots += keep(
            "ablation_samples",
            galleries.samples(pair),
            f"The α-GAN with its code discriminator, and with the empirical KL in its place{keep.where}.",
            "Samples of the best run of either by the critic.",
            "Figure 10",
        )
    plots += keep(
        "code_means",
        galleries.code_means(coded, everyone),
        galleries.sentence_on_codes(coded),
        "Means of the codes of test images, sorted; the prior's are 0.",
        "Figure 11",
    )
    return plots + keep(
        "code_covariance",
        galleries.code_covariances(coded),
        f"Codes like prior draws would show a diagonal of ones and nothing else{keep.where}.",
        "Covariance of the codes of test images, of the best run of each model by the critic.",
        "Figure 12",
    )


def _best_runs(tables: Tables, here: Mapping[str, Sequence[Comparison]], setting: str) -> dict[str, Shown]:
    """The best run by the critic of each model, and the first of the sanity rows; without a critic the first that is done."""
    done = tables.runs[(tables.runs.setting == setting) & (tables.runs.status == "done")]
    critics = [here[metric][0] for metric in ("critic", "critic_in_training") if metric in here]
    found = {}
    for model in in_order(done.model):
        best = critics[0].best(model, 1) if critics else done[:0]
        if len(best):
            found[model] = Shown(best.folder.iloc[0], model, f"critic {best.value.iloc[0]:.3g}")
        else:
            found[model] = Shown(done.loc[done.model == model, "folder"].iloc[0], model)
    return found
