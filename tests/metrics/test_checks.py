import pytest
import torch

from metrics.checks import check_images, check_rows

GOOD = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("images", "wanted", "message"),
    [
        (torch.zeros(3, 4, 4), {}, r"\(n, c, h, w\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {}, "pixels / 127.5 - 1"),
        (torch.full((1, 3, 4, 4), float("nan")), {}, "not finite"),
        (torch.full((1, 3, 4, 4), float("inf")), {}, "not finite"),
        (torch.full((1, 3, 4, 4), 255.0), {}, r"not in \[255, 255\]"),
        (torch.full((1, 3, 4, 4), -1.01), {}, "lie in"),
        (torch.zeros(2, 1, 4, 4), {"channels": 3}, "expand"),
        (torch.zeros(2, 4, 4, 4), {"channels": 3}, "3 channels here, not 4"),
        (torch.zeros(1, 3, 4, 4), {"at_least": 2}, "at least 2 images"),
    ],
)
def test_images_are_refused_with_what_to_do(images, wanted, message):
    with pytest.raises(ValueError, match=message):
        check_images(images, **wanted)


def test_good_images_pass_unchanged():
    assert check_images(GOOD, channels=3, at_least=2) is GOOD
    edge = torch.tensor([-1.0005, 1.0005]).repeat(1, 3, 2, 1)
    assert check_images(edge) is edge
    assert len(check_images(GOOD[:0], at_least=0)) == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.zeros(4), "n, d"),
        (torch.zeros(4, 2, dtype=torch.long), "floats"),
        (torch.zeros(1, 2), "at least 2 codes"),
        (torch.tensor([[1.0, float("nan")]] * 2), "not finite"),
    ],
)
def test_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        check_rows("codes", rows, at_least=2)
