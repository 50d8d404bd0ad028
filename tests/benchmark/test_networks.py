import pytest
import torch
from torch import nn

from benchmark import networks
from benchmark.errors import UserError


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("latent_dim", "expected"), [(10, 190_787), (50, 316_227), (75, 394_627)])
def test_generator_of_table_4(latent_dim, expected):
    assert count(networks.generator((3, 28, 28), latent_dim)) == expected


@pytest.mark.parametrize(
    ("size", "generator", "discriminator", "encoder"),
    [(32, 1_183_616, 663_296, 1_183_488), (64, 3_806_080, 2_765_568, 3_805_952)],
)
def test_dcgan_sizes(size, generator, discriminator, encoder):
    shape = (3, size, size)
    assert count(networks.generator(shape, 128)) == generator
    assert count(networks.discriminator(shape)) == discriminator
    assert count(networks.encoder(shape, 128)) == encoder


def test_discriminator_of_table_3():
    convolutions = [layer for layer in networks.discriminator((3, 28, 28)) if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [8, 16, 32, 64, 64]
    assert [layer.stride[0] for layer in convolutions] == [2, 1, 2, 1, 2]
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}


def test_code_discriminator_has_three_hidden_layers_of_750_without_batch_norm():
    network = networks.code_discriminator(128)
    assert count(network) == 1_224_001
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in network)


def test_activations_and_initial_weights():
    shape = (3, 32, 32)
    players = {
        "generator": networks.generator(shape, 8),
        "encoder": networks.encoder(shape, 8),
        "discriminator": networks.discriminator(shape),
    }
    for name, network in players.items():
        slopes = {layer.negative_slope for layer in network if isinstance(layer, nn.LeakyReLU)}
        assert slopes == ({0.2} if name == "discriminator" else set())
        weights = torch.cat([layer.weight.flatten() for layer in network if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    critic = networks.discriminator(shape, batch_norm=False)
    for layer in (layer for layer in critic if isinstance(layer, nn.Conv2d)):
        fan_in = layer.weight[0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / 1.04 / fan_in) ** 0.5, rel=0.1)


@pytest.mark.parametrize("width", [0.125, 0.25, 1.0])
@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 128, 128)])
def test_shapes_and_ranges(shape, width):
    images = networks.generator(shape, 7, width)(torch.randn(2, 7))
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert networks.encoder(shape, 7, width)(images).shape == (2, 7)
    assert networks.discriminator(shape, width)(images).shape == (2,)
    assert networks.discriminator(shape, width, batch_norm=False)(images).shape == (2,)
    assert networks.discriminator(shape, width, outputs=5)(images).shape == (2, 5)


def test_width_scales_every_hidden_map_and_nothing_else():
    full, half = networks.discriminator((3, 32, 32)), networks.discriminator((3, 32, 32), width=0.5)
    maps = [[layer.out_channels for layer in network if isinstance(layer, nn.Conv2d)] for network in (full, half)]
    assert maps == [[64, 128, 256, 1], [32, 64, 128, 1]]


def test_a_network_without_batch_norm_scores_each_image_alone():
    network = networks.discriminator((3, 28, 28), 0.25, batch_norm=False)
    images = torch.randn(4, 3, 28, 28)
    assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5)


@pytest.mark.parametrize("size", [28, 32, 64])
def test_a_network_without_batch_norm_is_not_homogeneous(size):
    """Without biases f(x / 2) would be f(x) / 2."""
    network = networks.discriminator((3, size, size), 0.25, batch_norm=False)
    images = torch.randn(4, 3, size, size)
    assert ((network(images / 2) - network(images) / 2).abs() > 1e-3).any()


@pytest.mark.parametrize("shape", [(3, 30, 30), (3, 32, 64), (3, 8, 8)])
def test_a_size_without_networks_is_named(shape):
    with pytest.raises(UserError, match=f"{shape[1]}x{shape[2]}"):
        networks.generator(shape, 8)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("make", [networks.generator, networks.encoder])
def test_an_autoencoder_without_batch_norm_treats_each_image_alone_and_has_biases(make, shape):
    network = make(shape, 7, 0.25, batch_norm=False)
    given = torch.randn(4, 7) if make is networks.generator else torch.randn(4, *shape)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network)
    assert all(layer.bias is not None for layer in network if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear))
    assert torch.allclose(network(given)[:1], network(given[:1]), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32)])
def test_an_autoencoder_is_an_encoder_and_a_generator_that_treat_each_image_alone(shape):
    network = networks.autoencoder(shape, 5, 0.25)
    images = torch.rand(4, *shape) * 2 - 1
    assert network[0](images).shape == (4, 5)
    assert torch.equal(network(images), network[1](network[0](images)))
    assert network(images).shape == images.shape
    assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 32, 32), (3, 64, 64)])
def test_a_generator_without_batch_norm_starts_with_images_of_some_contrast(shape):
    """He's initial weights keep the scale of what is passed on, whichever way a transposed convolution counts its inputs."""
    torch.manual_seed(0)
    logits = networks.generator(shape, 64, batch_norm=False)[:-1](torch.randn(16, 64))
    assert 0.5 < logits.std().item() < 2


def test_features_and_logits_come_from_one_pass():
    for shape, numbers in (((3, 28, 28), 64 * 4 * 4), ((3, 32, 32), 256 * 4 * 4)):
        network = networks.discriminator(shape)
        images = torch.randn(4, *shape)
        seen, logits = networks.features(network, images)
        assert seen.shape == (4, numbers)
        assert torch.equal(logits, network(images))
        assert (seen < 0).any()  # after LeakyReLU, which leaves a fifth of them
        head = [layer for layer in network if not isinstance(layer, nn.Flatten)][-1]
        assert torch.allclose(
            seen @ head.weight.flatten(1).T + (0 if head.bias is None else head.bias), logits[:, None], atol=1e-4
        )


@pytest.mark.parametrize("depth", [1, 2])
def test_features_at_a_depth_are_those_before_norm_and_activation(depth):
    network, images = networks.discriminator((3, 32, 32), 0.25), torch.randn(4, 3, 32, 32)
    seen, logits = networks.features(network, images, depth)
    convolutions = [number for number, layer in enumerate(network) if isinstance(layer, nn.Conv2d)]
    assert torch.equal(seen, network[: convolutions[depth - 1] + 1](images).flatten(1))
    assert torch.equal(logits, network(images))
    (seen.square().sum() + logits.sum()).backward()  # nothing was written over


def test_a_depth_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="3 convolutions"):
        networks.features(networks.discriminator((3, 32, 32), 0.25), torch.randn(4, 3, 32, 32), 4)


@pytest.mark.parametrize(("size", "depth"), [(16, 1), (28, 4), (32, 2), (64, 3), (128, 4)])
def test_the_depth_at_a_size_of_maps(size, depth):
    assert networks.depth_at((3, size, size), 7) == depth


def test_maps_are_never_as_large_as_the_image():
    with pytest.raises(ValueError, match="leaves 16x16"):
        networks.depth_at((3, 32, 32), 32)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32), (3, 64, 64)])
def test_a_joint_discriminator_judges_each_pair_for_itself_by_both(shape):
    network = networks.JointDiscriminator(shape, 6, 0.125)
    images, codes = torch.randn(4, *shape), torch.randn(4, 6)
    logits = network(images, codes)
    assert logits.shape == (4,)
    assert torch.allclose(network(images[:1], codes[:1]), logits[:1], atol=1e-5)
    assert not torch.equal(network(images.flip(0), codes), logits)
    assert not torch.equal(network(images, codes.flip(0)), logits)
    assert network.pair[0].in_features == 64 + 6
