"""Define the commands. Heavy imports stay inside of them, so that `--help` answers at once."""

from __future__ import annotations

import gc
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark import __version__
from benchmark.cli.options import (
    ByComma,
    data_dir_option,
    dataset_option,
    device_option,
    evaluation_options,
    file_option,
    output_option,
    results_option,
    sections_option,
    study_options,
    working_options,
)
from benchmark.cli.variables import VariablesGroup
from benchmark.errors import UserError, is_disk_full
from benchmark.settings import PRESETS, Working

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from benchmark.engines.engine import Engine
    from benchmark.runner.runner import Options, Outcome
    from benchmark.studies.run import Run
    from benchmark.studies.study import Study


@click.group(
    cls=VariablesGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
)
@click.version_option(__version__, package_name="alphagan-benchmark")
def cli() -> None:
    """Compare autoencoding GANs: train hyperparameter sweeps, measure them alike, show quartiles.

    \b
    python -m benchmark run                                  the quick study: four models, minutes on two cores
    python -m benchmark run --models dcgan,mypackage.MyGAN   your model beside one of ours
    python -m benchmark check mypackage.MyGAN                does your class keep the contract?
    python -m benchmark report colormnist-mini-quick         the page again, from the records
    """  # noqa: D301 - the mark is click's, for lines that stay as they are


@cli.command()
@dataset_option
@data_dir_option
@click.option(
    "--models",
    type=ByComma(),
    default="alphagan,dcgan,wgan_gp,age",
    show_default=True,
    help="Short names or dotted paths, by comma.",
)
@click.option("--preset", default=PRESETS[0], show_default=True, help="quick: minutes on two cores. paper: the paper's study.")
@click.option("--study", help="Name of the results folder.  [default: data set, preset and what you changed]")
@file_option
@sections_option
@click.option("--dry-run", is_flag=True, help="Say what would be run, and after a short probe how long it takes; keep nothing.")
@study_options
@evaluation_options
@working_options
@results_option
def run(
    dataset: str,
    data_dir: Path,
    models: Collection[str],
    preset: str,
    study: str | None,
    sections: Collection[str],
    dry_run: bool,
    working: Working,
    inception_weights: Path | None,
    cifar10_weights: Path | None,
    results: Path,
    **settings: Any,
) -> None:
    """Train and evaluate a study, then write its report. Started again, it does only what is missing."""
    from benchmark.data.datasets import load_dataset
    from benchmark.evaluation.evaluators import find_evaluators
    from benchmark.evaluation.study_metrics import catalogue_of
    from benchmark.model.registry import dotted_path
    from benchmark.runner.runner import run_study, untrained
    from benchmark.studies.study import check_study_name, describe_study, inherited_evaluation, resolve

    check_study_name(study)
    images = load_dataset(dataset, data_dir)
    resolved = replace(resolve(images, preset, models, study, **settings), sections=tuple(sections))
    folder = results / resolved.name
    evaluation = inherited_evaluation(resolved, folder, settings)
    resolved = resolved.with_evaluation(find_evaluators(evaluation, images, inception_weights, cifar10_weights))
    _check_models(list(resolved.models), images.image_shape)
    _check_sections(resolved.sections)
    catalogue_of(resolved.settings.evaluation)  # its metrics can be imported
    own_code = [*map(dotted_path, resolved.models), *resolved.settings.evaluation.metrics]
    engine, options = _engine(working, resolved.settings.threads, own_code, untrained(resolved, folder))
    click.echo("\n".join(describe_study(resolved, images)))
    _say_not_available(resolved.settings, images, options.device)
    click.echo(f"  {len(resolved.runs)} runs, {engine.summary}\n  results in {folder}")
    if dry_run:
        _preview(resolved, images, folder, engine, options)
        return
    _conclude(folder, run_study(resolved, results, engine, options))


@cli.command()
@click.argument("study")
@working_options
@evaluation_options
@results_option
def evaluate(
    study: str,
    working: Working,
    inception_weights: Path | None,
    cifar10_weights: Path | None,
    results: Path,
    **changes: Any,
) -> None:
    """Measure the finished runs of STUDY by metrics or protocols that they lack, from their kept weights. Nothing is trained.

    \b
    python -m benchmark evaluate cifar10-quick --inception-samples 5000 --inception-weights FILE
    """  # noqa: D301 - the mark is click's, for lines that stay as they are
    from benchmark.data.datasets import open_dataset
    from benchmark.evaluation.evaluators import find_evaluators
    from benchmark.evaluation.study_metrics import catalogue_of
    from benchmark.model.registry import REFERENCES, dotted_path
    from benchmark.records.study_folder import read_study, study_folders
    from benchmark.runner.runner import evaluate_study
    from benchmark.settings import Settings

    (folder,) = study_folders(results, [study])
    content = read_study(folder)
    try:
        settings = Settings.from_json(content["settings"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / 'study.json'} is no study of this version of the benchmark: {error}") from None
    images = open_dataset(content["dataset"], content["fingerprint"])
    evaluation = find_evaluators(settings.evaluation.changed_by(changes), images, inception_weights, cifar10_weights)
    catalogue_of(evaluation)  # its metrics can be imported
    own_code = [*map(dotted_path, set(content["code"]) - set(REFERENCES)), *evaluation.metrics]
    engine, options = _engine(working, settings.threads, own_code)
    _say_not_available(replace(settings, evaluation=evaluation), images, options.device)
    _conclude(folder, evaluate_study(folder, evaluation, engine, options))


@cli.command()
@click.argument("studies", nargs=-1)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write it to.  [default: RESULTS/STUDY/report, of several studies RESULTS/STUDY+STUDY/report]",
)
@sections_option
@results_option
def report(studies: tuple[str, ...], output: Path | None, sections: Collection[str], results: Path) -> None:
    """Write the page of STUDIES, several together on one page, with figures and tables for papers, from their records.

    Without STUDIES every study gets its page anew. Runs are compared with each other where they share the data set, its images,
    the iterations and the width; other runs stand beside them.

    \b
    python -m benchmark report colormnist-mini-quick
    python -m benchmark report celeba-paper cifar10-paper --output figures-for-the-paper
    python -m benchmark report colormnist-mini-quick --sections mypackage.MySection
    """  # noqa: D301 - the mark is click's, for lines that stay as they are
    from benchmark.records.study_folder import report_folder, study_folders

    folders = study_folders(results, studies)
    if not studies and output is not None:
        raise UserError("--output is for the page of studies that are named")
    for studies_of_page in [folders] if studies else [[folder] for folder in folders]:
        _report(studies_of_page, output or report_folder(results, studies_of_page), sections)


@cli.command()
@click.argument("studies", nargs=-1)
@results_option
def status(studies: tuple[str, ...], results: Path) -> None:
    """Show how far STUDIES are (all, if none is named), also while another process works on them."""
    from benchmark.records.study_folder import study_folders
    from benchmark.runner.status import show_status

    for folder in study_folders(results, studies):
        show_status(folder)


@cli.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-n", "--number", type=click.IntRange(1), default=100, show_default=True, help="How many images.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the latents.")
@output_option("samples.png")
def sample(run_folder: Path, number: int, seed: int, output: Path) -> None:
    """Draw images from the trained model of a run, RESULTS/STUDY/runs/RUN, into one PNG."""
    import torch

    from benchmark.evaluation.pictures import save_grid
    from benchmark.evaluation.samplers import draw
    from benchmark.randomness import stream
    from benchmark.trial.load import load

    module = load(run_folder)
    with torch.no_grad():
        images = torch.cat(list(draw(module.sample, number, stream("sample", seed))))
    try:
        save_grid(images, output)
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror or error}") from None
    click.echo(f"{number} samples in {output}")


@cli.command()
@click.argument("model")
def check(model: str) -> None:
    """Check MODEL (a dotted path such as mypackage.MyGAN) against the contract of GANModule."""
    from benchmark.model.check import check_gan_module
    from benchmark.model.registry import import_model

    check_gan_module(import_model(model), say=click.echo)
    click.echo(f"{model} keeps the contract.")


@cli.command()
def models() -> None:
    """List the models that have short names."""
    from benchmark.model.registry import ALIASES, import_model

    for name, path in ALIASES.items():
        summary = (import_model(name).__doc__ or "").strip().splitlines()[0]
        click.echo(f"{name:<12} {path:<30} {summary}")
    click.echo("Any subclass of benchmark.GANModule can be named by its dotted path.")


@cli.command()
@data_dir_option
@click.option("--preview", is_flag=True, help="Write a contact sheet of each, and its mean image, as NAME-preview.png.")
def datasets(data_dir: Path, preview: bool) -> None:
    """List the data sets: those found are prepared and described, the others say how to get them.

    Any folder of images is a data set too: `run --dataset FOLDER`.
    """
    from benchmark.data.datasets import RECIPES, prepare
    from benchmark.evaluation.measurements import reads_as_digits
    from benchmark.evaluation.pictures import save_preview

    damaged = 0
    for name, recipe in RECIPES.items():
        click.echo(f"{name}: {recipe.summary}")
        files = recipe.find(data_dir)
        if files is None:
            click.echo(f"  not in {data_dir}: {recipe.how_to_get}")
            continue
        try:
            data = prepare(recipe, files)
        except UserError as problem:
            damaged += 1
            click.echo(f"  {problem}")
            continue
        sizes = ", ".join(f"{len(images)} {split}" for split, images in data.splits.items())
        metrics = "critic, diversity, modes" if reads_as_digits(data) else "critic, diversity, Inception metrics"
        click.echo(f"  found in {files.where}; fingerprint {data.fingerprint[:12]}")
        click.echo(f"  images of {data.image_shape}: {sizes}")
        click.echo(
            f"  the paper's study: {data.paper_iterations} iterations, latent sizes {data.latent_dims}; metrics: {metrics}"
        )
        if preview:
            click.echo(f"  preview: {save_preview(data, Path(f'{name}-preview.png'))}")
    if damaged:
        raise UserError(f"{damaged} of the data sets that were found cannot be used, see above")


@cli.command()
@dataset_option
@data_dir_option
@device_option
@evaluation_options
@output_option("calibration.md")
def calibrate(
    dataset: str,
    data_dir: Path,
    device: str,
    inception_weights: Path | None,
    cifar10_weights: Path | None,
    output: Path,
    **changes: Any,
) -> None:
    """Measure real images made worse on purpose: noise, blur, dropped classes. Does every metric say so?

    Writes a table as Markdown; a metric that does not get worse at every step is marked.
    """
    import torch

    from benchmark.data.datasets import load_dataset
    from benchmark.engines.devices import resolve_device
    from benchmark.evaluation.evaluators import find_evaluators
    from benchmark.evaluation.ladder import as_markdown, classes_of, describe_classifier
    from benchmark.evaluation.ladder import calibrate as measure
    from benchmark.files import check_writable, write_atomically
    from benchmark.settings import preset

    check_writable(output)
    images, target = load_dataset(dataset, data_dir), resolve_device(device)
    settings = preset(PRESETS[0], images.image_shape[1], images.paper_iterations)
    evaluation = find_evaluators(settings.evaluation.changed_by(changes), images, inception_weights, cifar10_weights)
    settings = replace(settings, evaluation=evaluation)
    _say_not_available(settings, images, target)
    table = measure(images, settings, classes_of(images, data_dir), torch.device(target))
    text = as_markdown(table, images, evaluation)
    if images.name == "cifar10" and not evaluation.cifar10.missing:
        text = f"{describe_classifier(evaluation, data_dir)}\n\n{text}"
    write_atomically(output, text + "\n")
    click.echo(text)


@cli.group("train-evaluator")
def train_evaluator() -> None:
    """Train a classifier that metrics are made of, as the pinned one was trained.

    A score names the hash of the weights that made it; scores of different weights never share a plot.
    """


@train_evaluator.command("digits")
@data_dir_option
@output_option("digits.pt")
def train_digit_evaluator(data_dir: Path, output: Path) -> None:
    """Train the digit classifier that counts ColorMNIST's modes (minutes on one core).

    It learns from MNIST's training digits without the 5,000 that are in colormnist-mini.
    """
    from benchmark.evaluation.train_evaluators import train_digits

    for line in train_digits(data_dir, output):
        click.echo(line)


@train_evaluator.command("cifar10")
@data_dir_option
@output_option("cifar10.pt")
@click.option(
    "--recipe",
    type=click.Choice(["short", "paper"]),
    default="short",
    show_default=True,
    help="60 epochs with flips, cutout, one cycle of the learning rate and averaged weights; or the paper's 410 epochs.",
)
@click.option("--steps", type=click.IntRange(1), help="Of 256 images each; the recipe's own number unless given.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights, the order and the crops.")
@device_option
def train_cifar10_evaluator(data_dir: Path, output: Path, recipe: str, steps: int | None, seed: int, device: str) -> None:
    """Train the VGG of the CIFAR Inception score on CIFAR-10's 50,000 training images.

    The short recipe takes minutes on a GPU and three to five hours of a core with bfloat16; the paper's takes seven times that.
    Stopped, the same command goes on. Beside the weights lies a log (.json) with the test error along the training.
    """
    import torch

    from benchmark.engines.devices import resolve_device
    from benchmark.evaluation.train_evaluators import train_cifar10
    from metrics.evaluators.cifar_training import RECIPES

    plan = replace(RECIPES[recipe], seed=seed, steps=steps or RECIPES[recipe].steps)
    for line in train_cifar10(data_dir, output, plan, torch.device(resolve_device(device))):
        click.echo(line)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(100_000)  # importing Lightning makes a million objects and no garbage: a sixth of its time
    sys.path.insert(0, "")  # a user's own models are found from the folder that they work in
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a study that is told to end ends its workers
    run_command(cli)


def run_command(command: click.Command) -> None:
    """Run a command as a process of its own: a user's mistake is one line and exit code 2."""
    try:
        command.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as request:
        click.echo(request.ctx.get_help())
    except click.ClickException as error:
        _fail(error.format_message())
    except UserError as error:
        _fail(str(error))
    except OSError as error:  # a full disk, a folder that may not be written
        again = "; what is finished is kept: make room, and start the same command again" if is_disk_full(error) else ""
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}{again}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nStopped. What is finished is kept; the same command goes on.", err=True)
        sys.exit(130)


def _fail(message: str) -> None:
    click.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(2)


def _preview(study: Study, images: Any, folder: Path, engine: Engine, options: Options) -> None:
    from benchmark.runner.dry_run import preview

    click.echo("\n".join(preview(study, images, folder, engine.places, options.device)))


def _say_not_available(settings: Any, images: Any, device: str) -> None:
    """Say at the start which metrics will be missing; weeks later would be late."""
    from benchmark.evaluation.evaluate import unavailable
    from benchmark.evaluation.measurements import Scope

    for metrics, reason in unavailable(Scope(images, settings, device=device)).items():
        click.echo(f"  not available: {metrics}: {reason}")


def _engine(working: Working, threads: int, code: Iterable[str], untrained: Iterable[Run] = ()) -> tuple[Engine, Options]:
    """Where runs are done, and how; `code` has the dotted paths of models and metrics, whose source goes where runs go."""
    from benchmark.engines.open import open_engine
    from benchmark.records.tensorboard import summary_writer
    from benchmark.runner.runner import Options
    from benchmark.runner.scheduler import Limits

    if working.tensorboard:
        summary_writer()  # find out now whether there is one
    engine = open_engine(working, threads, list(code), untrained, click.echo)
    return engine, Options(engine.device, Limits(working.retries, working.run_timeout), working.tensorboard)


def _is_current(page: Path) -> bool:
    """Whether a report is there that is newer than every run's end."""
    if not page.exists():
        return False
    written = page.stat().st_mtime
    study = page.parent.parent
    return all(path.stat().st_mtime <= written for path in (study / "study.json", *study.glob("runs/*/status.json")))


def _conclude(folder: Path, outcome: Outcome) -> None:
    """Say what became of a study, write its report, and leave with the exit code that fits."""
    for line in outcome.lines():
        click.echo(line)
    page = folder / "report" / "index.html"
    if not outcome.worked and _is_current(page):
        click.echo(f"report: {page} (as it was; `report` writes it again)")
    elif outcome.counts["done"]:
        _report([folder], page.parent)
    if not outcome.complete:
        click.echo("Stopped. What is finished is kept; the same command goes on.", err=True)
        sys.exit(130)
    if outcome.counts["failed"] + outcome.unmeasured:
        click.echo(
            f"Some runs failed: `status {folder.name}` says why; in {folder / 'runs'}/* are tracebacks (error.txt) and what they "
            "printed (output.txt). The same command tries them again.",
            err=True,
        )
        sys.exit(1)


def _check_models(names: list[str], image_shape: tuple[int, int, int]) -> None:
    """Hold models that are not ours against the contract before hours are spent on them; ours are held by the tests."""
    from benchmark.model.check import check_gan_module
    from benchmark.model.registry import ALIASES, dotted_path, import_model

    for name in names:
        if dotted_path(name) not in ALIASES.values():
            try:
                check_gan_module(import_model(name), image_shape)
            except SystemExit as request:
                raise UserError(f"model {name!r} calls sys.exit({request.code}); raise an exception instead") from None


def _check_sections(paths: Collection[str]) -> None:
    """Find the sections of the user's own before hours are spent on the runs that they show."""
    if paths:
        from benchmark.report.contents import find_sections

        find_sections(paths)


def _report(folders: list[Path], output: Path, sections: Collection[str] = ()) -> None:
    from benchmark.report.write import make_report

    click.echo(f"report: {make_report(folders, output, sections)}")
