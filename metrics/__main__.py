"""Measure images that somebody else made, by the benchmark's protocols: `python -m metrics FOLDER --reference FOLDER`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from metrics.catalogue import INCEPTION_METRICS, METRICS, MODE_METRICS

if TYPE_CHECKING:
    from metrics.values import Value  # imports torch, and --help needs none

MOST_GROUPS = 64
"""Groups of images whose pairs are compared: more would make diversity surer than the other metrics are."""
WIDTHS = ("64", "192", "768", "2048")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), required=True, help="Folder of real images to compare with.")
@click.option(
    "--inception-weights",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="INCEPTION_WEIGHTS",
    help="Weights of the ImageNet network, for Inception score, FID, KID, precision and recall.",
)
@click.option(
    "--inception-width",
    type=click.Choice(WIDTHS),
    default="2048",
    show_default=True,
    help="Of the features that distances are measured on; published ones are of 2048.",
)
@click.option(
    "--cifar10-weights",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CIFAR10_WEIGHTS",
    help="Weights of the CIFAR-10 classifier, for its Inception score of 32x32 images.",
)
@click.option(
    "--splits", type=click.IntRange(1), default=10, show_default=True, help="Pieces over which Inception scores are averaged."
)
@click.option("--samples", type=click.IntRange(2), help="Use so many images of each folder, at random.  [default: all]")
@click.option("--size", type=click.IntRange(16), help="Bring images to this side: centre square, antialiased.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the order in which images are taken."
)
@click.option("--device", default="cpu", show_default=True, help="Where the networks run: cpu or cuda.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write JSON here; - for the screen.",
)
def main(folder: Path, reference: Path, json_file: Path | None, **how: Any) -> None:
    """Measure the images in FOLDER against those in another folder.

    \b
    sample_diversity                  1 - MS-SSIM of pairs, in groups of 64; best nearest to the reference's
    inception_score, fid, kid,        one pass of the ImageNet network, with --inception-weights
      precision, recall
    cifar10_inception_score           32x32 images, with --cifar10-weights
    mode_kl, modes_covered, ...       28x28 images: stacked MNIST digits

    A value stands with its 95 % interval over redrawing the images (the reference held fixed; recall's: the reference redrawn),
    and with the reference's own value where it has one. A metric that is not available says why. Its protocol's hash names all
    that decides about the number, the reference included: values of other protocols do not compare with it.
    """  # noqa: D301 - the mark is click's, for lines that stay as they are
    from metrics.folders import read_folder

    _check(json_file, how["device"])
    samples, real = (
        read_folder(path, how["size"], how["samples"], how["seed"], lambda files: _progress(files, "reading"))
        for path in (folder, reference)
    )
    if samples.shape[1:] != real.shape[1:]:
        sizes = [f"{pixels.shape[3]}x{pixels.shape[2]}" for pixels in (samples, real)]
        raise click.UsageError(
            f"{folder} has images of {sizes[0]}, {reference} of {sizes[1]}: bring both to one size with --size"
        )
    if how["samples"] and min(len(samples), len(real)) < how["samples"]:
        click.echo(f"note: of {how['samples']} images asked for there are {len(samples)} and {len(real)}", err=True)
    rows = list(_rows(samples, real, how))
    text = json.dumps({"folder": str(folder), "reference": str(reference), "metrics": rows}, indent=2)
    click.echo(text if str(json_file) == "-" else _table(rows))
    if json_file is not None and str(json_file) != "-":
        _write(json_file, text)


def _rows(samples: Any, real: Any, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One dictionary a metric, with the protocol that it was measured by; a metric without a value has the reason."""
    from metrics.evaluators.weights import WeightsError
    from metrics.rounding import full_precision

    how = {**how, "content": hashlib.sha256(real.numpy().tobytes()).hexdigest()}
    common = {
        "samples": len(samples),
        "reference": how["content"][:12],
        "reference_images": len(real),
        "image_shape": list(samples.shape[1:]),
        **{name: how[name] for name in ("size", "seed", "device")},
        **{package: version(package) for package in ("alphagan-benchmark", "torch", "pillow")},
    }
    for names, measure in MEASUREMENTS.items():
        protocol: dict[str, Any] = {}
        values: dict[str, Values] = {}
        reason = "the weights that were given have no finite logits"
        try:
            with full_precision():
                protocol, pairs = measure(samples, real, how)
            values = {pair.samples.metric: pair for pair in pairs}
        except (WeightsError, click.ClickException):
            raise
        except (Unavailable, ValueError) as error:
            reason = str(error)
        protocol = {**common, **protocol}
        identity = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]
        for name in names:
            absent = {"value": None, "missing": "unavailable", "reason": reason}
            content = values[name].as_json() if name in values else absent
            yield {"metric": name, "goal": METRICS[name].goal, **content, "protocol_id": identity, "protocol": protocol}


class Unavailable(Exception):
    """Why a metric cannot be measured."""


class Values(NamedTuple):
    """Hold a metric's value of the samples, and the reference's own where it has one."""

    samples: Value
    reference: Value | None = None

    def as_json(self) -> dict[str, Any]:
        content = {name: field for name, field in self.samples._asdict().items() if name != "metric"}
        return content if self.reference is None else {**content, "reference": self.reference.value}


Measured = tuple[dict[str, Any], list[Values]]
"""What decides about the numbers beside the images, and the values."""


def _diversity(samples: Any, real: Any, _: dict[str, Any]) -> Measured:
    from metrics.images import as_images
    from metrics.values import GROUP, diversity_value

    n = min(len(samples), len(real), MOST_GROUPS * GROUP)
    if n < GROUP:
        raise Unavailable(f"it takes {GROUP} images on either side")
    both = Values(*(diversity_value(as_images(pixels[:n])) for pixels in (samples, real)))
    return {"group": GROUP, "groups": n // GROUP}, [both]


def _inception(samples: Any, real: Any, how: dict[str, Any]) -> Measured:
    from metrics.evaluators.inception import InceptionNetwork, cached_output
    from metrics.values import KID_SEED, KID_SUBSETS, MANIFOLD, NEIGHBOURS, inception_values, kid_subset, score_value

    if how["inception_weights"] is None:
        raise Unavailable("no --inception-weights")
    least = max(NEIGHBOURS + 1, how["splits"], 2)
    if min(len(samples), len(real)) < least:
        raise Unavailable(f"it takes at least {least} images on either side, with --splits {how['splits']}")
    network = InceptionNetwork.load(how["inception_weights"], None, int(how["inception_width"]), how["device"])
    known = cached_output(_cache(), network, f"{how['content']} {tuple(real.shape)}", _batches(real, "reference"))
    fake = network.over(_batches(samples, "samples"))
    values = [Values(value) for value in inception_values(fake, known, how["splits"])]
    if known.logits is not None:
        score = values[0].samples
        values[0] = Values(score, score_value(score.metric, known.logits, how["splits"]))
    protocol = {
        "weights": network.sha256[:12],
        "features": network.width,
        "splits": how["splits"],
        "resize": "bilinear to 299, as TensorFlow 1",
        "kid_subsets": KID_SUBSETS,
        "kid_subset": kid_subset(len(samples), len(real)),
        "kid_seed": KID_SEED,
        "neighbours": NEIGHBOURS,
        "manifold": MANIFOLD,
        "torch-fidelity": version("torch-fidelity"),
    }
    return protocol, values


def _cifar10(samples: Any, real: Any, how: dict[str, Any]) -> Measured:
    from metrics.evaluators.cifar import classify, load_cifar10_classifier
    from metrics.values import score_value

    if how["cifar10_weights"] is None:
        raise Unavailable("no --cifar10-weights")
    if tuple(samples.shape[2:]) != (32, 32):
        raise Unavailable("it is of 32x32 images only")
    classifier, digest = load_cifar10_classifier(how["cifar10_weights"])
    classifier.to(how["device"])
    name = "cifar10_inception_score"
    own, value = (score_value(name, classify(classifier, pixels), how["splits"]) for pixels in (real, samples))
    return {"weights": digest[:12], "splits": how["splits"]}, [Values(value, own)]


def _modes(samples: Any, real: Any, how: dict[str, Any]) -> Measured:
    from metrics.evaluators.digits import RECOGNISED_AT, SHA256, load_digit_classifier

    if tuple(samples.shape[2:]) != (28, 28):
        raise Unavailable("it is of 28x28 images only, with a digit in each channel")
    if (real == real[:, :1]).all():
        raise Unavailable("the reference's channels are all equal: these are no stacked digits")
    classifier = load_digit_classifier().to(how["device"])
    both = zip(*(_values_of_modes(classifier, pixels, how["device"]) for pixels in (samples, real)), strict=True)
    return {"classifier": SHA256[:12], "recognised_at": RECOGNISED_AT}, [Values(value, own) for value, own in both]


def _values_of_modes(classifier: Any, pixels: Any, device: str) -> list[Value]:
    import torch

    from metrics.evaluators.digits import read_digits
    from metrics.images import as_images
    from metrics.values import mode_values

    digits = [read_digits(classifier, as_images(part.to(device))) for part in pixels.split(500)]
    modes, recognised = (torch.cat([getattr(part, name) for part in digits]).cpu() for name in ("modes", "recognised"))
    return list(mode_values(modes, recognised))


MEASUREMENTS: dict[tuple[str, ...], Callable[[Any, Any, dict[str, Any]], Measured]] = {
    ("sample_diversity",): _diversity,
    INCEPTION_METRICS: _inception,
    ("cifar10_inception_score",): _cifar10,
    MODE_METRICS: _modes,
}
"""What measures metrics together, by their names."""


def _batches(pixels: Any, name: str) -> Iterator[Any]:
    from metrics.images import as_images

    return (as_images(part) for part in _progress(pixels.split(50), name))


def _progress(items: Iterable[Any], name: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, desc=name, disable=None, leave=False, delay=1)


def _cache() -> Path:
    import platformdirs

    return Path(os.environ.get("ALPHAGAN_CACHE") or platformdirs.user_cache_dir("alphagan-benchmark")) / "features"


def _check(json_file: Path | None, device: str) -> None:
    """Find out now what would otherwise only be found out at the end."""
    if json_file is not None and not os.access(json_file.parent, os.W_OK):
        raise click.UsageError(f"cannot write {json_file}: {json_file.parent} is no folder that can be written")
    if device not in ("cpu", "cuda"):
        raise click.UsageError(f"--device is cpu or cuda, not {device}")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda, but torch sees no GPU here")


def _write(path: Path, text: str) -> None:
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
    Path(part).chmod(0o644)
    Path(part).replace(path)


def _table(rows: list[dict[str, Any]]) -> str:
    arrows = {"maximize": "higher", "minimize": "lower", "match": "near the reference"}
    lines = [f"{'metric':<24}{'value':>12}{'95 % interval':>26}{'n':>8}{'reference':>12}  {'better':<20}protocol"]
    for row in rows:
        if row["value"] is None:
            lines.append(f"{row['metric']:<24}{'–':>12}  not available: {row['reason']}")
            continue
        interval = "" if row["low"] is None else f"{row['low']:.5g} to {row['high']:.5g}"
        own = "" if row.get("reference") is None else f"{row['reference']:.5g}"
        better = f"  {arrows[row['goal']]:<20}{row['protocol_id']}"
        lines.append(f"{row['metric']:<24}{row['value']:>12.5g}{interval:>26}{row['n']:>8}{own:>12}{better}")
    return "\n".join(lines)


def run(words: Sequence[str] | None = None) -> None:
    """Run the command: a user's mistake is one line and exit code 2.

    Args:
        words: of the command line; None for the process's own.
    """
    try:
        main.main(words, standalone_mode=False)
    except (click.ClickException, ValueError, OSError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo("error: " + " ".join(message.split()), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    run()
