import math

import pytest
import torch

from metrics import mode_coverage
from metrics.modes import covered_standard_error, kl_standard_error


def test_by_hand():
    covered, kl = mode_coverage(torch.tensor([0, 0, 0, 1]), n_modes=4)
    assert covered == 2
    assert kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))


def test_one_mode_is_the_worst_and_all_modes_alike_the_best():
    assert mode_coverage(torch.full((50,), 7)) == (1, pytest.approx(math.log(1000)))
    assert mode_coverage(torch.arange(1000)) == (1000, pytest.approx(0.0, abs=1e-12))


def test_the_floor_of_a_perfect_model_is_that_of_its_sample_size():
    modes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    covered, kl = mode_coverage(modes)
    assert covered == 1000
    assert kl == pytest.approx(999 / 52_000, rel=0.15)  # ± 3 standard deviations of a chi-square with 999 degrees


def test_the_order_of_the_samples_does_not_matter():
    modes = torch.randint(30, (500,), generator=torch.Generator().manual_seed(1))
    assert mode_coverage(modes) == mode_coverage(modes.flip(0))


@pytest.mark.parametrize(
    ("modes", "message"),
    [
        (torch.tensor([], dtype=torch.long), "at least one"),
        (torch.tensor([0.0, 1.0]), "integers"),
        (torch.tensor([0, 1000]), "lie in"),
        (torch.tensor([-1, 3]), "lie in"),
    ],
)
def test_refuses(modes, message):
    with pytest.raises(ValueError, match=message):
        mode_coverage(modes)


def test_standard_error_against_redrawing():
    share = torch.tensor([0.6, 0.2, 0.1, 0.05, 0.05])
    source = torch.Generator().manual_seed(0)
    draws = [torch.multinomial(share, 500, replacement=True, generator=source) for _ in range(400)]
    spread = torch.tensor([mode_coverage(modes, 10)[1] for modes in draws]).std().item()
    assert kl_standard_error(draws[0], 10) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize(("n_modes", "power", "n"), [(200, -1.2, 400), (1000, 0.0, 200), (1000, 0.0, 2000), (1000, 0.0, 4000)])
def test_standard_error_of_the_covered_modes_against_redrawing(n_modes, power, n):
    share = torch.arange(1, n_modes + 1, dtype=torch.float64) ** power
    source = torch.Generator().manual_seed(0)
    draws = [torch.multinomial(share, n, replacement=True, generator=source) for _ in range(300)]
    spread = torch.tensor([float(mode_coverage(modes)[0]) for modes in draws]).std().item()
    squares = torch.tensor([covered_standard_error(modes) ** 2 for modes in draws])
    assert squares.mean().sqrt().item() == pytest.approx(spread, rel=0.2)


def test_standard_error_of_the_covered_modes_where_all_or_one_are_seen_often():
    often = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    assert covered_standard_error(often) < 0.1
    assert covered_standard_error(torch.zeros(500, dtype=torch.long)) == 0
    assert covered_standard_error(torch.zeros(0, dtype=torch.long)) == 0
