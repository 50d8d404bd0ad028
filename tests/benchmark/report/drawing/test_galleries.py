"""Pictures whose every image is known, written as runs write them; the figures show exactly these pixels."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.report.drawing.codes import code_covariances, code_means, sentence_on_codes
from benchmark.report.drawing.galleries import DPI, Shown, best_by_metric, reconstructions, samples
from benchmark.report.drawing.style import save
from tests.benchmark.report.pictures import COLOURS, SIZE, shown, write_run


def noise(seed, rows=10, size=SIZE):
    """Images (rows * 10, 3, size, size) uint8, no two alike."""
    return torch.randint(256, (rows * 10, 3, size, size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def assert_shows(picture, images, rows, columns):
    """The picture (h, w, 3) has just these images (rows * columns, 3, h, w) in reading order, white between them."""
    size = images.shape[-1]
    rest = np.array(picture)
    assert rest.shape == (rows * (size + 2) - 2, columns * (size + 2) - 2, 3)
    for number, image in enumerate(images):
        top, left = (place * (size + 2) for place in divmod(number, columns))
        cell = rest[top : top + size, left : left + size]
        np.testing.assert_array_equal(cell, image.permute(1, 2, 0).numpy())
        cell[:] = 255
    assert (rest == 255).all()


def first(pixels, rows, columns):
    return pixels.unflatten(0, (-1, 10))[:rows, :columns].flatten(0, 1)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def printed(figure):
    """The figure as its PNG has it, (h, w, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return np.asarray(Image.open(buffer).convert("RGB"))


def places(picture, image, scale):
    """Where the picture, (h, w, 3), holds the image with each pixel a square of scale x scale dots."""
    wanted = image.repeat(scale, 0).repeat(scale, 1)
    h, w = wanted.shape[:2]
    starts = np.argwhere((picture[: -h + 1, : -w + 1] == wanted[0, 0]).all(-1))
    return [(top, left) for top, left in starts.tolist() if (picture[top : top + h, left : left + w] == wanted).all()]


def test_samples_are_the_first_of_each_run_in_order(tmp_path):
    pictures = {"alphagan": noise(1), "mine.Bigger": noise(2), "dcgan": noise(3)}
    runs = [write_run(tmp_path / model, model, f"critic {model}", pixels) for model, pixels in pictures.items()]
    gallery = samples(runs, rows=3, columns=4)
    assert [axes.get_title() for axes in gallery.figure.axes] == ["α-GAN", "Bigger", "DCGAN"]
    assert texts(gallery.figure) == ["critic alphagan", "critic mine.Bigger", "critic dcgan"]
    for axes, pixels in zip(gallery.figure.axes, pictures.values(), strict=True):
        assert_shows(shown(axes), first(pixels, 3, 4), 3, 4)
    assert (gallery.missing, gallery.damaged) == ([], [])


@pytest.mark.parametrize("size", [28, 32, 64])
def test_the_size_of_images_is_read_off_the_picture(tmp_path, size):
    pixels = noise(4, size=size)
    gallery = samples([write_run(tmp_path / "run", pixels=pixels)])
    assert_shows(shown(gallery.figure.axes[0]), first(pixels, 8, 8), 8, 8)


@pytest.mark.parametrize(("number", "rows"), [(1, [1]), (2, [2]), (4, [2, 2]), (5, [2, 2, 1])])
def test_each_pixel_is_printed_as_a_square_of_dots(tmp_path, number, rows):
    """Nothing is smoothed, cut off or covered, and no column of pixels is wider than its neighbours."""
    figure = samples([write_run(tmp_path / str(seed), pixels=noise(seed)) for seed in range(number)]).figure
    picture = printed(figure)
    corners = [places(picture, shown(axes), 2) for axes in figure.axes]
    assert [len(each) for each in corners] == [1] * number
    tops = [top for ((top, _),) in corners]
    assert [tops.count(top) for top in sorted(set(tops))] == rows
    assert tops == sorted(tops)
    for top in set(tops):  # each row is in the middle
        lefts = [left for ((each, left),) in corners if each == top]
        assert abs(picture.shape[1] - (min(lefts) + max(lefts) + 2 * shown(figure.axes[0]).shape[1])) <= 1
    assert figure.get_figwidth() <= 7


def test_an_svg_holds_the_pixels_themselves(tmp_path):
    figure = samples([write_run(tmp_path / "run", pixels=noise(5))]).figure
    save(figure, tmp_path / "figure.png")
    (code,) = re.findall(r"data:image/png;base64,([^\"]*)", (tmp_path / "figure.svg").read_text())
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))
    assert any(np.array_equal(each, shown(figure.axes[0])) for each in (picture, picture[::-1]))
    assert "pixelated" in (tmp_path / "figure.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "size"), [(3, 28), (6, 28), (7, 28), (6, 64)])
def test_the_best_of_each_metric(tmp_path, number, size):
    pictures = [noise(seed, size=size) for seed in range(2)]
    runs = [write_run(tmp_path / m, m, "critic −1", pixels) for m, pixels in zip(("age", "dcgan"), pictures, strict=True)]
    gallery = best_by_metric([(f"Metric {place}", runs[place % 2]) for place in range(number)])
    axes = gallery.figure.axes
    assert [each.get_title() for each in axes] == [f"Metric {place}" for place in range(number)]
    assert texts(gallery.figure) == [f"{('AGE', 'DCGAN')[place % 2]} (critic −1)" for place in range(number)]
    for place, each in enumerate(axes):
        assert_shows(shown(each), first(pictures[place % 2], 6, 6), 6, 6)
    corners = [places(printed(gallery.figure), shown(each), 2 if size == 28 else 1) for each in axes[:2]]
    assert [len(each) for each in corners] == [-(-number // 2), number // 2]
    assert gallery.figure.get_figwidth() <= 7


def test_captions_stay_above_their_panels(tmp_path):
    long = "Codes: Fréchet distance to the prior, per dimension, and more words than any metric has"
    runs = [write_run(tmp_path / str(seed), "alphagan_kl", "critic −0.61", noise(seed)) for seed in range(2)]
    figure = best_by_metric([(long, runs[0]), ("Short", runs[1]), (long, runs[1]), ("Short", runs[0]), (long, runs[0])]).figure
    figure.set_dpi(DPI)
    figure.canvas.draw()
    boxes = []
    for axes in figure.axes:
        panel, heading, line = axes.get_window_extent(), axes.title.get_window_extent(), axes.texts[0].get_window_extent()
        assert heading.y0 >= line.y1 - 1
        assert line.y0 >= panel.y1
        assert min(heading.x0, line.x0) >= panel.x0 - 10
        assert max(heading.x1, line.x1) <= panel.x1 + 10
        assert heading.y1 <= figure.bbox.y1
        boxes += [(axes, panel), (axes, heading)]
    assert not any(a is not b and one.overlaps(other) for a, one in boxes for b, other in boxes)


def test_headings_break_between_words(tmp_path):
    run = write_run(tmp_path / "run", pixels=noise(1, size=8))
    metrics = [f"{'x ' * words}MS-SSIM" for words in range(30)]
    titles = [axes.get_title() for axes in best_by_metric([(metric, run) for metric in metrics]).figure.axes]
    assert [heading.replace("\n", " ") for heading in titles] == metrics
    assert any("\n" in heading for heading in titles)


def test_reconstructions_stand_below_the_test_images(tmp_path):
    originals = noise(10, rows=5)
    made = {"alphagan": noise(11, rows=5), "age": noise(12, rows=5)}
    runs = [write_run(tmp_path / model, model, "best", pairs=(originals, pixels)) for model, pixels in made.items()]
    figure = reconstructions(runs, pairs=2, columns=4).figure
    names = ["test images", "α-GAN", "best", "AGE", "best", "test images", "α-GAN", "AGE"]
    assert texts(figure) == names  # the label once, not in each block
    rows = [(pixels, pair) for pair in range(2) for pixels in (originals, *made.values())]
    for axes, (pixels, pair) in zip(figure.axes, rows, strict=True):
        assert_shows(shown(axes), pixels[10 * pair : 10 * pair + 4], 1, 4)
    corners = [places(printed(figure), shown(axes), 820 // (4 * 30 - 2)) for axes in figure.axes]
    assert [len(each) for each in corners] == [1] * 6
    tops, lefts = zip(*(each[0] for each in corners), strict=True)
    assert list(tops) == sorted(tops)
    assert len(set(lefts)) == 1


def test_nothing_of_a_reconstruction_figure_is_cut_off(tmp_path):
    originals = noise(10, rows=5)
    names = ("alphagan_kl", "a.ModelWithAVeryLongNameOfItsOwn")
    figure = reconstructions([write_run(tmp_path / m, m, "critic −0.61", pairs=(originals, originals)) for m in names]).figure
    figure.set_dpi(DPI)
    figure.canvas.draw()
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= axes.get_window_extent().x0
    assert figure.get_figwidth() <= 7


@pytest.mark.parametrize("sizes", [(28, 28), (28, 32)])
def test_runs_that_saw_other_test_images_each_have_theirs_above(tmp_path, sizes):
    originals, others = noise(10, 5, sizes[0]), noise(10, 5, sizes[1])
    if sizes == (28, 28):
        others[2, 1, 20, 20] ^= 1  # one pixel of one image
    runs = [
        write_run(tmp_path / "a", "alphagan", "", pairs=(originals, noise(11, 5, sizes[0]))),
        write_run(tmp_path / "b", "age", "", pairs=(others, noise(12, 5, sizes[1]))),
    ]
    figure = reconstructions(runs, pairs=1, columns=8).figure
    assert texts(figure) == ["test images", "α-GAN", "test images", "AGE"]
    for axes, pixels in zip(figure.axes, (originals, noise(11, 5, sizes[0]), others, noise(12, 5, sizes[1])), strict=True):
        assert_shows(shown(axes), pixels[:8], 1, 8)


def test_runs_without_the_file_are_left_out_and_told(tmp_path):
    there = write_run(tmp_path / "there", pixels=noise(1))
    nothing = write_run(tmp_path / "nothing", "dcgan")
    gone = Shown(tmp_path / "gone", "age")
    gallery = samples([nothing, there, gone])
    assert [axes.get_title() for axes in gallery.figure.axes] == ["α-GAN"]
    assert (gallery.missing, gallery.damaged) == ([nothing, gone], [])
    gallery = best_by_metric([("One", nothing), ("Two", there), ("Three", nothing)])
    assert [axes.get_title() for axes in gallery.figure.axes] == ["Two"]
    assert gallery.missing == [nothing]
    for figure in (samples, reconstructions, lambda runs: code_means(runs, COLOURS), code_covariances):
        assert figure([nothing]).figure is None
        assert figure([]).figure is None
    assert best_by_metric([]).figure is None
    assert sentence_on_codes([nothing]) == ""


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-200])


def another_size(path):
    image = Image.open(path)
    image.crop((0, 0, image.width - 1, image.height)).save(path)


def another_layout(path):
    """As many pixels, but not ten columns."""
    image = Image.open(path)
    Image.fromarray(np.roll(np.asarray(image), 5, axis=1)).save(path)


def an_odd_row(path):
    image = Image.open(path)
    image.crop((0, 0, image.width, image.height - SIZE - 2)).save(path)


def no_picture(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_off, another_size, another_layout, no_picture])
def test_a_damaged_picture_is_left_out_and_named(tmp_path, damage):
    runs = [write_run(tmp_path / name, pixels=noise(1)) for name in ("good", "bad")]
    damage(tmp_path / "bad" / "samples.png")
    gallery = samples(runs)
    assert len(gallery.figure.axes) == 1
    (line,) = gallery.damaged
    assert line.startswith("bad/samples.png cannot be read: ")
    assert str(tmp_path) not in line
    assert gallery.missing == []


def test_reconstructions_without_their_originals_are_damaged(tmp_path):
    run = write_run(tmp_path / "run", pairs=(noise(1, 5), noise(2, 5)))
    an_odd_row(tmp_path / "run" / "reconstructions.png")
    gallery = reconstructions([run])
    assert gallery.figure is None
    assert gallery.damaged == ["run/reconstructions.png cannot be read: 9 rows are no pairs of rows"]
