import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from alphagan import AlphaGAN
from baselines import DCGAN
from benchmark.data.datasets import load_dataset
from benchmark.data.source import SPLITS
from benchmark.errors import Diverged
from benchmark.evaluation import evaluate as evaluation
from benchmark.evaluation.critics import CompanionCritic
from benchmark.evaluation.evaluate import evaluate, lacking, reference_subject, subject_of
from benchmark.evaluation.measurements import (
    NOISE_LEVELS,
    Codes,
    Diversity,
    Measurement,
    Modes,
    PostHocCritic,
    Reconstructions,
    Scope,
    Subject,
)
from benchmark.evaluation.samplers import TrainingGenerator, evaluation_copy, generator_of, reconstruction_copy, reference_sampler
from benchmark.evaluation.study_metrics import measurements_of
from benchmark.model.train import Watcher, train
from benchmark.randomness import stream
from benchmark.records.rows import RecordFile
from benchmark.trial.attempt import Attempt
from benchmark.trial.callbacks import InTrainingCritic
from metrics.critic import CriticNotReady
from metrics.values import Value
from tests.support import SETTINGS, SHAPE, iterate, make_run

CPU = torch.device("cpu")


def small(model=DCGAN):
    torch.manual_seed(0)
    module = model(SHAPE, latent_dim=4, width=0.125)
    iterate(module, 3)
    return module


def test_the_copys_batch_norm_statistics_are_those_of_prior_draws():
    module = small()
    twin = evaluation_copy(module, 1000)
    first = next(layer for layer in twin.generator if isinstance(layer, nn.BatchNorm2d))
    position = list(twin.generator).index(first)
    source = stream("evaluation", "batch norm")
    with torch.no_grad():
        batches = [twin.generator[:position](twin.prior(500, source)) for _ in range(2)]
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(first.running_mean, means, atol=1e-5)


def test_the_original_and_networks_that_do_not_sample_stay_as_they_are():
    module = small(AlphaGAN)
    before = copy.deepcopy(module.state_dict())
    twin = evaluation_copy(module, 100)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training
    assert not twin.training
    for name, value in twin.state_dict().items():
        if not name.startswith("generator") or "running" not in name:
            assert torch.equal(value, before[name]) or "num_batches" in name, name


def test_samples_of_the_copy_do_not_depend_on_the_batch():
    twin = evaluation_copy(small(), 100)
    latents = twin.prior(8, torch.Generator().manual_seed(0))
    parts = torch.cat([twin.generator(latents[:3]), twin.generator(latents[3:])])
    assert torch.allclose(twin.generator(latents), parts, atol=1e-6)


def test_samples_that_are_not_finite_are_a_divergence():
    module = small()
    next(module.generator.parameters()).data.fill_(float("nan"))
    with pytest.raises(Diverged, match="not finite"):
        generator_of(module, 100)(4, torch.Generator())


class Delicate(DCGAN):
    """A generator with state beside batch norm's, and with draws of its own."""

    def __init__(self, image_shape, latent_dim=4, width=0.125):
        super().__init__(image_shape, latent_dim, width=width)
        self.generator = nn.Sequential(nn.Dropout(0.5), *self.generator)
        nn.utils.parametrizations.spectral_norm(self.generator[1])


@pytest.mark.slow
@pytest.mark.parametrize("model", [DCGAN, Delicate])
def test_the_critic_beside_a_training_does_not_touch_it(model, tmp_path):
    """Same generator, bit for bit, with the independent critic and without."""
    dataset, run = load_dataset("colormnist-mini"), make_run(iterations=24)
    states = []
    for critic in (False, True):
        torch.manual_seed(0)
        module = model(SHAPE, latent_dim=4, width=0.125)
        attempt = Attempt(tmp_path, run, dataset, CPU, Watcher(), RecordFile(tmp_path / "records.jsonl"), {})
        companion = [InTrainingCritic(attempt)] if critic else []
        train(module, dataset["train"], 24, run.settings.batch_size, companion)
        states.append(module.state_dict())
    assert companion[0].companion.critic.steps == 12
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_the_training_generator_moves_no_statistics_and_no_stream():
    module = Delicate(SHAPE)
    before = copy.deepcopy(module.state_dict())
    state = torch.random.get_rng_state()
    sampler = TrainingGenerator(module)
    first, second = (sampler(4, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training


def test_the_critic_learns_on_validation_images_and_is_judged_on_test_images():
    """Splits of one grey each, and a critic that can be listened to: which of them does it meet when?"""
    levels = {"train": 10, "validation": 100, "test": 200}
    pixels = {split: torch.full((50, *SHAPE), level, dtype=torch.uint8) for split, level in levels.items()}
    dataset = replace(load_dataset("colormnist-mini"), splits=pixels)
    companion = CompanionCritic(dataset, SETTINGS, 3, "post-hoc", CPU)
    network, met, drawn = companion.critic.network, [], []
    network.forward = lambda x: met.append(x.detach()) or nn.Sequential.forward(network, x)

    def sampler(n, source):
        drawn.append(torch.rand(n, *SHAPE, generator=source))
        return drawn[-1]

    def greys():
        seen = [round((x.flatten()[0].item() + 1) * 127.5) for x in met if x.unique().numel() == 1]
        met.clear()
        return seen

    companion.advance(sampler, 3)
    assert len({images.numpy().tobytes() for images in drawn}) == 3  # fresh latents for every step
    assert set(greys()) == {100}
    companion.values(sampler, "critic")
    assert greys() == [200, 100, 200]  # the value is of test images; its gap is between the splits
    assert [value.metric for value in companion.curve(sampler)] == ["critic_curve/validation", "critic_curve/test"]
    assert greys() == [100, 200]


def test_a_critic_short_of_its_budget_has_no_value_rather_than_one_near_zero():
    dataset = load_dataset("colormnist-mini")
    companion = CompanionCritic(dataset, SETTINGS, 5, "post-hoc", CPU)
    sampler = reference_sampler("noise", dataset, CPU)
    companion.advance(sampler, 4)
    with pytest.raises(CriticNotReady, match="4 of its 5"):
        companion.values(sampler, "critic")
    companion.advance(sampler, 1)
    assert [value.metric for value in companion.values(sampler, "critic")] == ["critic", "critic_gap"]


MODES = ["mode_kl", "modes_covered", "recognised_share", "recognised_modes"]
AUTOENCODING = [
    "reconstruction_l1",
    "reconstruction_mse",
    "reconstruction_ms_ssim",
    "code_mean",
    "code_correlation",
    "code_distance",
]


def measure(*arguments) -> list:
    """All rows at once."""
    return [row for rows in evaluate(*arguments) for row in rows]


def scope(dataset, reference="", autoencoding=False, **how) -> Scope:
    how = replace(SETTINGS.evaluation, **how)
    return Scope(dataset, replace(SETTINGS, evaluation=how), reference, autoencoding)


@pytest.mark.parametrize("model", [DCGAN, AlphaGAN])
def test_rows_repeat_and_say_how_they_were_measured(model):
    dataset = load_dataset("colormnist-mini")
    subject = subject_of(small(model), scope(dataset, autoencoding=model is AlphaGAN), CPU)
    first, second = (measure(subject, 3) for _ in range(2))
    assert first == second
    expected = [*MODES, "critic", "critic_gap", "sample_diversity"]
    assert [row.metric for row in first] == expected + (AUTOENCODING if model is AlphaGAN else [])
    assert all(row.protocol["torch"] == torch.__version__ and row.n and row.iteration == 3 for row in first)
    assert all(row.low is None or row.low <= row.value <= row.high for row in first)


def test_a_finished_run_lacks_what_was_never_measured_so(tmp_path):
    dataset = load_dataset("colormnist-mini")
    plain = scope(dataset)
    rows = measure(subject_of(small(), plain, CPU), 3)
    assert lacking(rows, plain, 3) == []
    assert {name for measurement in lacking(rows, plain, 4) for name in measurement.metrics} == {
        *MODES,
        "critic",
        "critic_gap",
        "sample_diversity",
    }
    assert [measurement.metrics for measurement in lacking(rows, scope(dataset, critic_steps=3), 3)] == [("critic", "critic_gap")]
    rows = [row for row in rows if row.metric != "modes_covered"]
    assert [measurement.metrics for measurement in lacking(rows, plain, 3)] == [tuple(MODES)]


def test_the_second_evaluation_is_of_other_samples_by_another_critic():
    dataset, rows = load_dataset("colormnist-mini"), {}
    for second in (False, True):
        here = scope(dataset, autoencoding=True, second_evaluation=second)
        rows[second] = measure(subject_of(small(AlphaGAN), here, CPU), 3)
        assert lacking(rows[second], here, 3) == []
    first, again = rows[True][: len(rows[False])], rows[True][len(rows[False]) :]
    assert first == rows[False]  # that there is a second one changes nothing about the first
    assert [row.metric for row in again] == [row.metric for row in first]
    assert all(row.protocol["evaluation"] == "second" for row in again)
    assert not {row.protocol_id for row in first} & {row.protocol_id for row in again}
    assert all(row.value != second.value for row, second in zip(first, again, strict=True) if row.metric not in MODES)
    splits = {row.metric: row.protocol["split"] for row in again if "split" in row.protocol}
    assert set(splits.values()) == {"validation"}
    assert {row.protocol["seed"] for row in again if row.metric == "critic"} == {1}
    assert lacking(first, here, 3) == [
        second for second in measurements_of(here.evaluation) if second.second and second.taken(here)
    ]
    assert not any(second.at_start for second in measurements_of(here.evaluation) if second.second)


def test_the_codes_that_are_kept_are_those_of_test_images(tmp_path):
    here = scope(load_dataset("colormnist-mini"), autoencoding=True, second_evaluation=True)
    subject = replace(subject_of(small(AlphaGAN), here, CPU), folder=tmp_path)
    measure(subject, 3)
    expected = {split: torch.cat([subject.autoencoder.encode(x) for x in subject.pixels(split, 16)]) for split in SPLITS}
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["mean"] == pytest.approx(expected["test"].mean(0).numpy(), abs=1e-5)
        assert codes["mean"] != pytest.approx(expected["validation"].mean(0).numpy(), abs=1e-3)


class Breaks(Measurement):
    metrics = ("broken",)

    def details(self, scope):
        return {"how": "badly"}

    def values(self, subject):
        raise RuntimeError("a bug in a metric")


class Works(Breaks):
    metrics = ("working",)

    def values(self, subject):
        yield Value("working", 1.0)


def test_a_metric_that_raises_is_a_row_that_says_so_and_is_tried_again(tmp_path, monkeypatch):
    subject = replace(subject_of(small(), scope(load_dataset("colormnist-mini")), CPU), folder=tmp_path)
    broken, working = measure(subject, 3, [Breaks(), Works()])
    assert broken.value is None
    assert broken.missing == "failed"
    assert "RuntimeError: a bug in a metric" in broken.reason
    assert broken.protocol == Breaks().protocol(subject.scope)
    assert "a bug in a metric" in (tmp_path / "error.txt").read_text()
    assert working.value == 1
    monkeypatch.setattr(evaluation, "measurements_of", lambda _: (Breaks(), Works()))
    assert [measurement.metrics for measurement in lacking([broken, working], subject.scope, 3)] == [("broken",)]


def test_samples_that_are_not_finite_end_the_evaluation():
    module = small()
    next(module.generator.parameters()).data.fill_(float("nan"))
    with pytest.raises(Diverged):
        measure(subject_of(module, scope(load_dataset("colormnist-mini")), CPU), 3)


def test_protocols_hold_what_decides_about_a_number():
    dataset, plain = load_dataset("colormnist-mini"), scope(load_dataset("colormnist-mini"))
    for other in (
        replace(plain, device="cuda"),
        scope(dataset, critic_images=17, diversity_groups=2, mode_samples=17, batch_norm_draws=17),
    ):
        for measurement in (Modes(), PostHocCritic(), Diversity()):
            assert measurement.protocol(other) != measurement.protocol(plain), measurement
    newer = type("Newer", (Modes,), {"version": 2})()
    assert newer.protocol(plain) != Modes().protocol(plain)


def photographs():
    """A data set without modes, for what is measured on photographs only."""
    source = torch.Generator().manual_seed(0)
    pixels = {
        split: torch.randint(256, (70, 3, 32, 32), generator=source, dtype=torch.uint8)
        for split in ("train", "validation", "test")
    }
    return replace(load_dataset("colormnist-mini"), name="cifar10", image_shape=(3, 32, 32), n_modes=0, splits=pixels, modes={})


def test_what_cannot_be_had_is_a_row_that_says_why():
    rows = {row.metric: row for row in measure(reference_subject("noise", scope(photographs()), CPU), 3)}
    for metric in ("inception_score", "fid", "kid", "precision", "recall", "cifar10_inception_score"):
        assert rows[metric].value is None
        assert rows[metric].missing == "unavailable"
        assert rows[metric].reason
    without = {row.metric: row for row in measure(reference_subject("noise", scope(photographs(), inception_samples=64), CPU), 3)}
    assert "nobody looked" in without["fid"].reason
    assert without["fid"].protocol_id != rows["fid"].protocol_id


def test_the_diversity_of_real_images_is_that_of_test_images_and_noise_raises_it():
    dataset = load_dataset("colormnist-mini")
    blank = replace(dataset, splits={**dataset.splits, "test": torch.full((100, *SHAPE), 7, dtype=torch.uint8)})
    diversity = [measurement for measurement in measurements_of(SETTINGS.evaluation) if "sample_diversity" in measurement.metrics]
    of_blank = measure(reference_subject("real", scope(blank, "real"), CPU), 1, diversity)
    assert of_blank[0].value == pytest.approx(0, abs=1e-6)
    rows = measure(reference_subject("real", scope(dataset, "real"), CPU), 1, diversity)
    assert [row.metric for row in rows[1:]] == [f"sample_diversity/noise {level:g}" for level in NOISE_LEVELS]
    assert [row.value for row in rows] == sorted(row.value for row in rows)
    assert len({row.protocol_id for row in rows}) == 1


def test_the_statistics_of_reconstructions_are_those_of_reconstructing_training_images():
    module, pixels = small(AlphaGAN), load_dataset("colormnist-mini")["train"][:40]
    twin = reconstruction_copy(module, pixels)
    first = next(layer for layer in twin.encoder if isinstance(layer, nn.BatchNorm2d))
    position = list(twin.encoder).index(first)
    with torch.no_grad():
        means = twin.encoder[:position](pixels / 127.5 - 1).mean((0, 2, 3))
    assert torch.allclose(first.running_mean, means, atol=1e-5)
    samples = evaluation_copy(module, 40)
    norms = [
        [layer.running_mean for layer in network.generator if isinstance(layer, nn.BatchNorm2d)] for network in (twin, samples)
    ]
    assert not torch.allclose(norms[0][0], norms[1][0])


class Mirror:
    """An autoencoding model that reconstructs images shifted; its codes are its prior's draws, moved and mixed."""

    def __init__(self, shift=0.0, move=0.0, mix=0.0):
        self.shift, self.move, self.mix = shift, move, mix

    def reconstruct(self, images):
        return (images + self.shift).clamp(-1, 1)

    def encode(self, images):
        codes = self.prior(len(images), torch.Generator().manual_seed(len(images)))
        return codes + self.move + self.mix * codes[:, :1]

    def prior(self, n, generator):
        return torch.randn(n, 8, generator=generator)

    def restart_draws(self):
        """It has none of its own."""


def measured(mirror):
    dataset = load_dataset("colormnist-mini")
    here = scope(dataset, autoencoding=True, reconstructions=1000)
    subject = Subject(here, reference_sampler("noise", dataset, CPU), CPU, mirror)
    return {row.metric: row for row in measure(subject, 1, [Reconstructions(), Codes()])}


def test_reconstructions_and_codes_are_measured_on_test_images():
    perfect, shifted = measured(Mirror()), measured(Mirror(shift=2.0))
    assert perfect["reconstruction_l1"].value == perfect["reconstruction_mse"].value == 0
    assert perfect["reconstruction_ms_ssim"].value == pytest.approx(1, abs=1e-5)
    images = load_dataset("colormnist-mini")["test"][:1000] / 127.5 - 1
    assert shifted["reconstruction_l1"].value == pytest.approx((1 - images).mean().item(), abs=1e-5)
    assert perfect["code_mean"].value == pytest.approx((2 / 1000) ** 0.5, rel=0.5)
    assert perfect["code_distance"].value < 0.02
    assert measured(Mirror(move=0.5))["code_mean"].value == pytest.approx(0.5, abs=0.1)
    assert measured(Mirror(mix=1.0))["code_correlation"].value > 0.5


def test_the_sanity_rows_draw_training_images_and_noise():
    dataset = load_dataset("colormnist-mini")
    real = reference_sampler("real", dataset, CPU)(3, torch.Generator().manual_seed(0))
    train_images = {image.numpy().tobytes() for image in dataset["train"]}
    assert all(((image + 1) * 127.5).round().byte().numpy().tobytes() in train_images for image in real)
    noise = reference_sampler("noise", dataset, CPU)(50, torch.Generator().manual_seed(0))
    assert noise.min() < -0.99
    assert noise.max() > 0.99
    assert abs(noise.mean().item()) < 0.02
