"""`python -m metrics FOLDER --reference FOLDER`: measure images that somebody else made, by the benchmark's protocols."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

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
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order in which images are taken.")
@click.option("--device", default="cpu", show_default=True, help="Where the networks run: cpu or cuda.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write JSON here; - for the screen.",
)
def main(folder: Path, reference: Path, json_file: Path | None, **how: Any) -> None:
    r"""Measure the images in FOLDER against those in another folder.

    \b
    sample_diversity                  1 - MS-SSIM of pairs, in groups of 64; best nearest to the reference's
    inception_score, fid, kid,        one pass of the ImageNet network, with --inception-weights
      precision, recall
    cifar10_inception_score           32x32 images, with --cifar10-weights
    mode_kl, modes_covered, ...       28x28 images: stacked MNIST digits

    The value of a metric stands with its 95 % interval over redrawing the images, and the reference's own value where it has one.
    A metric that cannot be had says why. The protocol's hash names everything that decides about the numbers.
    """
    from metrics.folders import read_folder

    _check_device(how["device"])
    samples, real = (
        read_folder(path, how["size"], how["samples"], how["seed"], lambda files: _progress(files, "reading"))
        for path in (folder, reference)
    )
    if samples.shape[1:] != real.shape[1:]:
        sizes = [f"{some.shape[3]}x{some.shape[2]}" for some in (samples, real)]
        raise click.UsageError(
            f"{folder} has images of {sizes[0]}, {reference} of {sizes[1]}: bring both to one size with --size"
        )
    protocol = _protocol(samples, real, how)
    identity = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]
    result = {
        "folder": str(folder),
        "reference": str(reference),
        "protocol_id": identity,
        "protocol": protocol,
        "metrics": list(_rows(samples, real, how)),
    }
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if json_file is not None and str(json_file) != "-":
        _write(json_file, text)
    click.echo(text if str(json_file) == "-" else _table(result))


def _rows(samples: Any, real: Any, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One dictionary a metric."""
    from metrics.values import GOALS

    for measure in (_diversity_rows, _inception_rows, _cifar10_rows, _mode_rows):
        yield from ({**row, "goal": GOALS[row["metric"]]} for row in measure(samples, real, how))


def _diversity_rows(samples: Any, real: Any, _: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from metrics.images import as_images
    from metrics.values import GROUP, diversity_value

    n = min(len(samples), len(real), MOST_GROUPS * GROUP)
    if n < GROUP:
        yield {"metric": "sample_diversity", "value": None, "not_available": f"it takes {GROUP} images on either side"}
        return
    value, own = (diversity_value(as_images(some[:n])) for some in (samples, real))
    yield {**value._asdict(), "reference": own.value}


def _inception_rows(samples: Any, real: Any, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from metrics.inception import InceptionNetwork, cached_output
    from metrics.values import inception_values

    names = ("inception_score", "fid", "kid", "precision", "recall")
    if how["inception_weights"] is None:
        yield from ({"metric": name, "value": None, "not_available": "no --inception-weights"} for name in names)
        return
    network = InceptionNetwork.load(how["inception_weights"], None, int(how["inception_width"]), how["device"])
    content = f"{hashlib.sha256(real.numpy().tobytes()).hexdigest()} {tuple(real.shape)}"
    known = cached_output(_cache(), network, content, _batches(real, "reference"))
    fake = network.over(_batches(samples, "samples"))
    values = {value.metric: value._asdict() for value in inception_values(fake, known, how["splits"])}
    reason = {"value": None, "not_available": "the weights that were given have no finite logits"}
    yield from (values.get(name, {"metric": name, **reason}) for name in names)


def _cifar10_rows(samples: Any, real: Any, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from metrics.cifar import classify, load_cifar10_classifier
    from metrics.values import score_value

    if how["cifar10_weights"] is None or tuple(samples.shape[2:]) != (32, 32):
        return
    classifier = load_cifar10_classifier(how["cifar10_weights"])[0].to(how["device"])
    own, value = (score_value("cifar10_inception_score", classify(classifier, some), how["splits"]) for some in (real, samples))
    yield {**value._asdict(), "reference": own.value}


def _mode_rows(samples: Any, real: Any, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    import torch

    from metrics.digits import load_digit_classifier, read_digits
    from metrics.images import as_images
    from metrics.values import mode_values

    if tuple(samples.shape[2:]) != (28, 28):
        return
    classifier, found = load_digit_classifier().to(how["device"]), []
    for pixels in (samples, real):
        read = [read_digits(classifier, as_images(some.to(how["device"]))) for some in pixels.split(500)]
        modes, recognised = (torch.cat([getattr(some, name) for some in read]).cpu() for name in ("modes", "recognised"))
        found.append(list(mode_values(modes, recognised)))
    for value, own in zip(*found, strict=True):
        yield {**value._asdict(), "reference": own.value}


def _protocol(samples: Any, real: Any, how: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides about the numbers, beside the images."""
    from metrics.digits import SHA256
    from metrics.values import GROUP, KID_SUBSET, MANIFOLD, NEIGHBOURS

    weights = {name: _digest(how[name]) for name in ("inception_weights", "cifar10_weights")}
    return {
        **weights,
        "digit_weights": SHA256[:12],
        "inception_width": int(how["inception_width"]),
        "splits": how["splits"],
        "samples": len(samples),
        "reference_images": len(real),
        "image_shape": list(samples.shape[1:]),
        "size": how["size"],
        "seed": how["seed"],
        "diversity_group": GROUP,
        "diversity_groups": MOST_GROUPS,
        "kid_subset": KID_SUBSET,
        "neighbours": NEIGHBOURS,
        "manifold": MANIFOLD,
        **{package: version(package) for package in ("torch", "torch-fidelity", "pillow")},
    }


def _digest(path: Path | None) -> str | None:
    from metrics.weights import read_weights

    return None if path is None else read_weights(path).sha256[:12]


def _batches(pixels: Any, name: str) -> Iterator[Any]:
    from metrics.images import as_images

    return (as_images(some) for some in _progress(pixels.split(50), name))


def _progress(items: Iterable[Any], name: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, desc=name, disable=None, leave=False, delay=1)


def _cache() -> Path:
    import platformdirs

    return Path(os.environ.get("ALPHAGAN_CACHE") or platformdirs.user_cache_dir("alphagan-benchmark")) / "features"


def _check_device(name: str) -> None:
    import torch

    if name not in ("cpu", "cuda"):
        raise click.UsageError(f"--device is cpu or cuda, not {name}")
    if name == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda, but torch sees no GPU here")


def _write(path: Path, text: str) -> None:
    try:
        part = path.with_name(f".{path.name}.part")
        part.write_text(text + "\n")
        part.replace(path)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _table(result: dict[str, Any]) -> str:
    arrows = {"maximize": "higher", "minimize": "lower", "match": "nearest to the reference"}
    lines = [f"{'metric':<26}{'value':>12}{'95 % interval':>26}{'n':>8}{'reference':>12}  better"]
    for row in result["metrics"]:
        if row["value"] is None:
            lines.append(f"{row['metric']:<26}{'–':>12}  not available: {row['not_available']}")
            continue
        interval = "" if row["low"] is None else f"{row['low']:.5g} to {row['high']:.5g}"
        own = "" if row.get("reference") is None else f"{row['reference']:.5g}"
        lines.append(f"{row['metric']:<26}{row['value']:>12.5g}{interval:>26}{row['n']:>8}{own:>12}  {arrows[row['goal']]}")
    return "\n".join([*lines, f"protocol {result['protocol_id']}; values of other protocols do not compare with these"])


def run(words: Sequence[str] | None = None) -> None:
    """Run the command: a user's mistake is one line and exit code 2.

    Args:
        words: of the command line; None for the process's own.
    """
    try:
        main.main(words, standalone_mode=False)
    except (click.ClickException, ValueError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo("error: " + " ".join(message.split()), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    run()
