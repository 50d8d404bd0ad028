"""List every setting once: its kind and bounds, its help, and the values that the presets pick.

A row of the table is the annotation of a field of one of four dataclasses: `Settings` (what is trained, and how many runs),
`Evaluation` (how it is measured), `Working` and `Places` (how and where this machine does it). The options of the command line
(`benchmark.cli.options`), the keys of a study's file (`benchmark.studies.study_file`), the variables of the Makefile
(`benchmark.cli.variables`) and the presets are made from these rows. A new setting is one new field here, and its use; a place
also needs its option at the commands that use it.

A new field of `Settings` or `Evaluation` has a default: what studies had before there was such a setting. So they are still read,
and a run with that value keeps its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from benchmark.errors import UserError, unknown


@dataclass(frozen=True)
class Whole:
    """A whole number of at least `least`."""

    least: int
    auto: bool = False
    """Whether the word "auto" is a value, too: None in Python."""


@dataclass(frozen=True)
class Real:
    """A number above 0, and at most `most` where that is given."""

    most: float | None = None


@dataclass(frozen=True)
class OneOf:
    """One of these values."""

    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True)
class Switch:
    """Yes or no."""


@dataclass(frozen=True)
class Text:
    """Any text."""


@dataclass(frozen=True)
class DottedPaths:
    """Names such as mypackage.NAME: a list of them in a file, separated by commas on the command line."""


@dataclass(frozen=True)
class FilePath:
    """The path of a file."""


@dataclass(frozen=True)
class FolderPath:
    """The path of a folder."""


Kind = Whole | Real | OneOf | Switch | Text | DottedPaths | FilePath | FolderPath


@dataclass(frozen=True)
class Images:
    """What the values of a preset may depend on."""

    size: int
    """Pixels a side."""
    paper_iterations: int


PresetValue = Any | Callable[[Images], Any]
PRESETS = ("quick", "paper")


@dataclass(frozen=True)
class Setting:
    """A row of the table; its name is that of the field that is annotated with it."""

    kind: Kind
    help: str
    presets: Mapping[str, PresetValue] = field(default_factory=dict)
    """By preset the value, or a function that picks it for the images of a data set."""
    decides: Literal["weights", "extent", "evaluation", "work"] = "work"
    """About what: a run's weights, how many runs there are, how they are measured, or only where and how the work is done."""
    default: Any = None
    """Where no preset picks it."""
    from_environment: bool = False
    """Whether an environment variable of its name, in capitals, is the default."""


def by_size(small: Any, large: Any) -> Callable[[Images], Any]:
    """Pick the value for images of up to 32 pixels a side, or that for larger ones, which cost four times as much."""
    return lambda images: small if images.size <= 32 else large


def _weights(kind: Kind, text: str, *, quick: PresetValue, paper: PresetValue) -> Setting:
    return Setting(kind, text, {"quick": quick, "paper": paper}, decides="weights")


def _extent(kind: Kind, text: str, *, quick: PresetValue, paper: PresetValue) -> Setting:
    return Setting(kind, text, {"quick": quick, "paper": paper}, decides="extent")


def _evaluation(kind: Kind, text: str, *, quick: PresetValue, paper: PresetValue) -> Setting:
    return Setting(kind, text, {"quick": quick, "paper": paper}, decides="evaluation")


@dataclass(frozen=True)
class Evaluator:
    """A pretrained network that metrics are made of, as a study found it."""

    path: str = ""
    sha256: str = ""
    missing: str = "nobody looked for it"
    """Why there is none; empty where there is one."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How finished runs are measured. No part of what a run is: measured otherwise it gets more rows, and is not trained anew.

    Raises:
        UserError: if there are fewer samples than the splits of a score need.
    """

    batch_norm_draws: Annotated[
        int,
        _evaluation(
            Whole(2),
            "Draws from which the generator's batch-norm statistics are computed anew before an evaluation.",
            quick=1_000,
            paper=10_000,
        ),
    ]
    mode_samples: Annotated[int, _evaluation(Whole(2), "Samples whose digits are counted.", quick=2_000, paper=26_000)]
    diversity_groups: Annotated[int, _evaluation(Whole(1), "Groups of 64 samples whose pairs are compared.", quick=2, paper=5)]
    reconstructions: Annotated[
        int,
        _evaluation(Whole(2), "Test images that autoencoding models encode and reconstruct.", quick=500, paper=10_000),
    ]
    critic_steps: Annotated[int, _evaluation(Whole(1), "Training steps of the critic after the run.", quick=100, paper=10_000)]
    critic_images: Annotated[
        int,
        _evaluation(Whole(2), "Images on each side on which critics are evaluated.", quick=by_size(2_000, 1_000), paper=10_000),
    ]
    critic_width: Annotated[
        float, _evaluation(Real(4), "Factor on the critics' hidden feature maps.", quick=by_size(0.25, 0.125), paper=1.0)
    ]
    score_splits: Annotated[
        int, _evaluation(Whole(1), "Splits of the samples over which Inception scores are averaged.", quick=1, paper=10)
    ]
    inception_samples: Annotated[
        int,
        _evaluation(
            Whole(0), "Samples for Inception score, FID, KID, precision, recall; 0 leaves them out.", quick=0, paper=50_000
        ),
    ]
    inception_width: Annotated[
        int,
        _evaluation(OneOf((64, 192, 768, 2048)), "Width of the features of FID, KID, precision, recall.", quick=2048, paper=2048),
    ]
    cifar10_samples: Annotated[
        int, _evaluation(Whole(0), "Samples for the CIFAR-10 Inception score; 0 leaves it out.", quick=1_000, paper=50_000)
    ]
    inception: Evaluator = Evaluator()
    cifar10: Evaluator = Evaluator()
    second_evaluation: Annotated[
        bool,
        _evaluation(
            Switch(),
            "Whether finished runs are measured twice: the best are chosen by one evaluation and reported by the other.",
            quick=True,
            paper=True,
        ),
    ] = False
    metrics: Annotated[
        tuple[str, ...], _evaluation(DottedPaths(), "Measurements of your own: dotted paths, by comma.", quick=(), paper=())
    ] = ()

    def __post_init__(self) -> None:
        least = max(2 * self.score_splits, 4)  # as many as the nearest neighbours of precision and recall take
        for name in ("inception_samples", "cifar10_samples"):
            if 0 < getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}: {self.score_splits} splits need at least {least} samples")

    def changed_by(self, values: Mapping[str, Any]) -> Evaluation:
        """Return the same evaluation with those of `values` that are settings of one and not None."""
        return replace(self, **{name: value for name, value in values.items() if name in EVALUATION and value is not None})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a preset picks. Small and large studies differ in these values and in nothing else."""

    iterations: Annotated[
        int,
        _weights(
            Whole(1),
            "Iterations of each run: one pass over a model's phases.",
            quick=by_size(180, 120),
            paper=lambda images: images.paper_iterations,
        ),
    ]
    width: Annotated[
        float,
        _weights(
            Real(4),
            "Factor on the networks' hidden feature maps; learning rates are divided by it.",
            quick=by_size(0.25, 0.125),
            paper=1.0,
        ),
    ]
    budget: Annotated[
        int | None,
        _extent(Whole(1), "Configurations of each model, drawn from its grid; more extends fewer.", quick=4, paper=None),
    ]
    seeds: Annotated[int, _extent(Whole(1), "Repeats of each configuration with other seeds.", quick=1, paper=1)]
    batch_size: Annotated[int, _weights(Whole(2), "Images of a minibatch.", quick=64, paper=64)]
    threads: Annotated[int, _weights(Whole(1), "Threads of a run: sums differ between one and two.", quick=1, paper=1)]
    precision: Annotated[
        Literal["float32"],
        _weights(
            OneOf(("float32",)),
            "Of training: float32 without the shortcuts that some GPUs take in its products (TF32).",
            quick="float32",
            paper="float32",
        ),
    ] = "float32"
    evaluation: Evaluation

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """Read the settings that `asdict` wrote.

        Raises:
            KeyError, TypeError: for anything else.
        """
        evaluation: dict[str, Any] = dict(content["evaluation"])
        if "calibration" in evaluation:  # its name in studies of earlier versions
            evaluation["batch_norm_draws"] = evaluation.pop("calibration")
        evaluation |= {name: Evaluator(**evaluation[name]) for name in ("inception", "cifar10")}
        evaluation["metrics"] = tuple(evaluation.get("metrics", ()))
        return cls(**{**content, "evaluation": Evaluation(**evaluation)})


@dataclass(frozen=True)
class Working:
    """How a command does its work: where, how many runs at once, and when a run is given up."""

    engine: Annotated[
        str,
        Setting(
            OneOf(("local", "ray")),
            "Processes of this machine, or tasks of a Ray cluster (RAY_ADDRESS; without it a local one).",
            default="local",
        ),
    ]
    workers: Annotated[int | None, Setting(Whole(1), "Runs at once.  [default: what cores, memory and GPUs bear]")]
    device: Annotated[
        str, Setting(OneOf(("auto", "cpu", "cuda")), "What is computed on; auto: a GPU where there is one.", default="auto")
    ]
    runs_per_gpu: Annotated[
        int | None,
        Setting(
            Whole(1, auto=True),
            "Runs that share one GPU; auto: as many as pay in a short probe of the study's first model (with Ray: 1).",
            default="auto",
        ),
    ]
    run_memory: Annotated[
        float | None, Setting(Real(), "GiB that a run may take before it is ended.  [default: its share of the machine's]")
    ]
    run_timeout: Annotated[
        float | None,
        Setting(Real(), "Seconds that an attempt at a run may take before the run is given up as failed.  [default: no limit]"),
    ]
    retries: Annotated[
        int,
        Setting(Whole(0), "Attempts more at a run that was killed or crashed; each goes on from its last checkpoint.", default=2),
    ]
    storage: Annotated[
        str | None,
        Setting(Text(), "Where Ray's runs save themselves to be resumed on another node: a path or a URL of fsspec."),
    ]
    checkpoints: Annotated[
        bool,
        Setting(
            Switch(),
            "Whether trained weights come back from Ray's nodes; without them runs cannot be measured again.",
            default=True,
        ),
    ]
    tensorboard: Annotated[
        bool,
        Setting(Switch(), "Whether losses and metrics are written for TensorBoard, too, in each run's folder.", default=False),
    ]


@dataclass(frozen=True)
class Places:
    """Where data, results and the weights of evaluators lie on this machine."""

    data_dir: Annotated[
        Path,
        Setting(FolderPath(), "Where data sets are looked for, and downloaded to.", default=Path("data"), from_environment=True),
    ]
    results: Annotated[Path, Setting(FolderPath(), "Folder of all studies.", default=Path("results"), from_environment=True)]
    inception_weights: Annotated[
        Path | None,
        Setting(FilePath(), "The ImageNet network's weights.  [default: torch's cache, or downloaded]", from_environment=True),
    ]
    cifar10_weights: Annotated[
        Path | None,
        Setting(FilePath(), "The CIFAR-10 classifier's weights.  [default: the pinned ones]", from_environment=True),
    ]


def rows_of(table: type) -> dict[str, Setting]:
    """Return the rows that stand in a dataclass, by name; fields that are no settings are left out."""
    hints = get_type_hints(table, include_extras=True)
    return {name: row for name, hint in hints.items() for row in getattr(hint, "__metadata__", ()) if isinstance(row, Setting)}


STUDY, EVALUATION, WORK = rows_of(Settings), rows_of(Evaluation), {**rows_of(Places), **rows_of(Working)}
SETTINGS = {**STUDY, **EVALUATION, **WORK}
"""The table: every setting by its name."""

TRAINING_SETTINGS = tuple(name for name, row in SETTINGS.items() if row.decides == "weights")
"""What determines the weights of a run; the rest is about its evaluation."""
EXTENT = tuple(name for name, row in SETTINGS.items() if row.decides == "extent")
"""What determines how many runs a study has, and nothing about any of them."""


def preset(name: str, image_size: int, paper_iterations: int) -> Settings:
    """Pick the values of a preset for images of `image_size` pixels a side that the paper trained for `paper_iterations`.

    Raises:
        UserError: for a name that is none.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    images = Images(image_size, paper_iterations)
    values = {row: _picked(setting.presets[name], images) for row, setting in {**STUDY, **EVALUATION}.items()}
    evaluation = Evaluation(**{row: values.pop(row) for row in EVALUATION})
    return Settings(**values, evaluation=evaluation)


def _picked(value: PresetValue, images: Images) -> Any:
    return value(images) if callable(value) else value
