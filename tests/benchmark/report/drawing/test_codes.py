"""The moments of codes that runs leave, drawn and in words."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from benchmark.report.drawing.codes import code_covariances, code_means, sentence_on_codes
from benchmark.report.drawing.galleries import DPI
from benchmark.report.drawing.style import colours
from tests.benchmark.report.pictures import COLOURS, shown, write_run


def printed(figure):
    """The figure as its PNG has it, (h, w, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize(
    "codes",
    [
        ([0, 0], np.eye(3)),
        ([[0, 0]], np.eye(2)),
        ([], np.eye(0)),
        ([0, np.nan], np.eye(2)),
        ([0, 0], [[1, 0], [0, np.inf]]),
        ([0, 0], [[1, 0], [0, -1]]),
    ],
)
def test_damaged_codes_are_left_out_and_named(tmp_path, codes):
    runs = [write_run(tmp_path / "bad", codes=codes), write_run(tmp_path / "good", codes=([3, 4], np.eye(2)))]
    assert len(code_means(runs, COLOURS).damaged) == len(code_covariances(runs).damaged) == 1
    assert "α-GAN: 3.54 and 0 (2 dimensions)" in sentence_on_codes(runs)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", "npy", "other", "cut"])
def test_a_damaged_file_of_codes(tmp_path, content):
    run = write_run(tmp_path / "run", codes=(np.zeros(50), np.eye(50)))
    path = Path(run.folder) / "codes.npz"
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif content == "other":
        np.savez_compressed(path, mean=np.zeros(3))
    else:
        path.write_bytes(path.read_bytes()[:200] if content == "cut" else content)
    gallery = code_covariances([run])
    assert gallery.figure is None
    assert len(gallery.damaged) == 1


def test_means_of_latent_spaces_of_any_size_share_the_axis(tmp_path):
    runs = [
        write_run(tmp_path / "a", "alphagan", "best", codes=([0.5, -2, 1, 0], np.eye(4))),
        write_run(tmp_path / "b", "dcgan"),
        write_run(tmp_path / "c", "alphagan_kl", "", codes=([0.2, -0.1], np.eye(2))),
    ]
    gallery = code_means(runs, COLOURS)
    prior, ours, ablation = gallery.figure.axes[0].lines
    assert list(prior.get_ydata()) == [0, 0]
    np.testing.assert_allclose(ours.get_xydata(), [[0.125, -2], [0.375, 0], [0.625, 0.5], [0.875, 1]])
    np.testing.assert_allclose(ablation.get_xydata(), [[0.25, -0.1], [0.75, 0.2]])
    palette = colours(["alphagan", "alphagan_kl"])
    assert [to_rgb(line.get_color()) for line in (ours, ablation)] == [palette["alphagan"], palette["alphagan_kl"]]
    (legend,) = gallery.figure.legends
    names = ["prior", "α-GAN (best): 4 dimensions", "α-GAN, empirical KL: 2 dimensions"]
    assert [text.get_text() for text in legend.get_texts()] == names
    assert gallery.missing == [runs[1]]


def test_covariances_share_one_scale_with_zero_in_its_middle(tmp_path):
    small, large = np.array([[1.2, 0.3], [0.3, 0.8]]), np.diag([0.9, 1.0, 1.1]) - 0.2
    runs = [write_run(tmp_path / "a", "age", codes=([0, 0], small)), write_run(tmp_path / "b", codes=([0, 0, 0], large))]
    one, other, bar = code_covariances(runs).figure.axes
    assert [axes.get_title() for axes in (one, other)] == ["AGE", "α-GAN"]
    np.testing.assert_allclose(shown(one), small)
    np.testing.assert_allclose(shown(other), large)
    assert {axes.images[0].get_clim() for axes in (one, other)} == {(-1, 1)}
    assert one.get_aspect() == 1
    assert (other.get_xlim(), other.get_ylim()) == ((0.5, 3.5), (3.5, 0.5))  # dimension 1 is at the upper left
    assert "covariance" in bar.get_ylabel()
    red, green, blue, _ = one.images[0].to_rgba(np.zeros((1, 1)))[0, 0]
    assert min(red, green, blue) > 0.95


def test_the_scale_of_covariances_grows_only_with_many_large_ones(tmp_path):
    wide = np.eye(20)
    wide[0, 0] = 50  # one dimension out of hand does not hide the rest
    runs = [write_run(tmp_path / "a", codes=(np.zeros(20), wide))]
    assert code_covariances(runs).figure.axes[0].images[0].get_clim() == (-1, 1)
    runs.append(write_run(tmp_path / "b", codes=(np.zeros(20), 7.5 * np.eye(20))))
    assert {axes.images[0].get_clim() for axes in code_covariances(runs).figure.axes[:2]} == {(-8, 8)}


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_covariance_panels_fit_the_page(tmp_path, number):
    runs = [write_run(tmp_path / str(place), codes=(np.zeros(75), np.eye(75))) for place in range(number)]
    figure = code_covariances(runs).figure
    printed(figure)
    *panels, _ = figure.axes
    assert len(panels) == number
    for axes in panels:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height, rel=0.01)
        assert box.width > 1.2 * figure.dpi
    assert figure.get_figwidth() <= 7


def test_codes_of_length_one_are_measured_by_the_sphere(tmp_path):
    """AGE's prior is uniform on the sphere: variances 1 / d, not 1."""
    d = 25
    draws = torch.nn.functional.normalize(torch.randn(2000, d, generator=torch.Generator().manual_seed(0)).double() + 0.1).numpy()
    run = write_run(tmp_path / "run", "age", codes=(draws.mean(0), np.cov(draws.T)))
    covariance = shown(code_covariances([run]).figure.axes[0])
    np.testing.assert_allclose(covariance, d * np.cov(draws.T))
    assert covariance.diagonal().mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(code_means([run], COLOURS).figure.axes[0].lines[1].get_ydata(), np.sort(5 * draws.mean(0)))


def codes(mean, correlation, scale=1.0):
    """Two dimensions of the same mean up to its sign, of standard deviations scale and 2 * scale."""
    return [mean, -mean], scale**2 * np.array([[1, 2 * correlation], [2 * correlation, 4]])


def test_the_sentence_says_the_numbers_and_that_the_paper_is_right(tmp_path):
    runs = [
        write_run(tmp_path / "a", "alphagan", codes=codes(0.7, 0.05)),
        write_run(tmp_path / "b", "alphagan_kl", codes=codes(0.2, -0.4)),
        write_run(tmp_path / "c", "dcgan"),
    ]
    assert sentence_on_codes(runs) == (
        "Root mean squares, over the codes of test images in one run each, of the dimensions' means (in the prior's standard "
        "deviations) and of the correlations between dimensions: α-GAN: 0.7 and 0.05 (2 dimensions); α-GAN, empirical KL: 0.2 "
        "and 0.4 (2 dimensions). The means are nearest to 0 for α-GAN, empirical KL; the codes are least correlated for α-GAN. "
        "The paper has the means nearer to 0 with the empirical KL, and the codes less correlated with the code "
        "discriminator: here the first holds (0.2 against 0.7), the second holds (0.05 against 0.4)."
    )


def test_the_sentence_says_where_the_paper_is_not_confirmed(tmp_path):
    runs = [
        write_run(tmp_path / "a", "alphagan_kl", codes=codes(0.7, 0.2)),
        write_run(tmp_path / "b", "alphagan", codes=codes(0.5, 0.204)),
        write_run(tmp_path / "c", "age", codes=codes(0.49, 0.9, scale=3)),
    ]
    text = sentence_on_codes(runs)
    assert "nearest to 0 for α-GAN and AGE; the codes are least correlated for α-GAN, empirical KL and α-GAN." in text
    assert text.endswith("the first does not hold (0.7 against 0.5), the second cannot be told (0.204 and 0.2).")
    assert "paper" not in sentence_on_codes(runs[1:])
    assert "nearest" not in sentence_on_codes(runs[1:2])


def test_runs_of_one_model_are_told_apart_by_their_labels(tmp_path):
    runs = [write_run(tmp_path / label, "alphagan", label, codes=codes(mean, 0)) for label, mean in (("x", 1), ("y", 2))]
    assert "α-GAN (x): 1 and 0 (2 dimensions); α-GAN (y): 2 and 0 (2 dimensions)" in sentence_on_codes(runs)


def test_root_mean_squares_are_over_dimensions_and_over_pairs_of_them(tmp_path):
    """Means 1, 2, 2, 0: √(9 / 4). Correlations 0.6, 0, 0, and none with a dimension that does not vary: √(2 · 0.36 / 12)."""
    covariance = np.diag([1.0, 4.0, 9.0, 0.0])
    covariance[0, 1] = covariance[1, 0] = 1.2
    run = write_run(tmp_path / "run", codes=([1, 2, 2, 0], covariance))
    assert "α-GAN: 1.5 and 0.245 (4 dimensions)" in sentence_on_codes([run])
    one = write_run(tmp_path / "one", codes=([3], [[2]]))
    assert "α-GAN: 3 and 0 (1 dimensions)" in sentence_on_codes([one])
