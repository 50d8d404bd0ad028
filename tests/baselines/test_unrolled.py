"""The unrolled objective against finite differences, its inner steps against Adam's own, and what they leave alone."""

import copy

import pytest
import torch

from baselines import UnrolledGAN
from baselines.unrolled import Adam
from benchmark.errors import UserError
from tests.support import PIXELS, iterate
from tests.terms import IMAGES, build, pull, samples, terms

SMALL_IMAGES = IMAGES[:8, :, :16, :16].double()


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def ready(steps: int, rate: float = 1e-2) -> UnrolledGAN:
    """A model in float64 whose discriminator has made two steps."""
    torch.manual_seed(0)
    module = UnrolledGAN((3, 16, 16), 4, discriminator_learning_rate=rate, unrolling_steps=steps, width=0.125)
    optimizer, _ = optimizers = module.configure_optimizers()
    module.begin_training(optimizers, PIXELS, 8)
    for _ in range(2):
        optimizer.zero_grad()
        sum(terms(module, "discriminator_loss", SMALL_IMAGES).values()).backward()
        optimizer.step()
    optimizer.zero_grad()
    return module


def frozen_copy(thing) -> dict:
    return copy.deepcopy(thing.state_dict())


def objective(module) -> torch.Tensor:
    return sum(terms(module, "generator_loss", SMALL_IMAGES).values())


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_is_that_of_the_unrolled_objective_by_finite_differences(steps):
    module = ready(steps)
    weights = list(module.generator.parameters())
    gradients = torch.autograd.grad(objective(module), weights)
    generator = torch.Generator().manual_seed(5)
    directions = [torch.randn(weight.shape, generator=generator) * weight.std() for weight in weights]
    slope = sum((gradient * direction).sum() for gradient, direction in zip(gradients, directions, strict=True)).item()

    def moved(distance: float) -> float:
        with torch.no_grad():
            torch._foreach_add_(weights, directions, alpha=distance)
        value = objective(module).item()
        with torch.no_grad():
            torch._foreach_add_(weights, directions, alpha=-distance)
        return value

    assert slope == pytest.approx((moved(1e-6) - moved(-1e-6)) / 2e-6, rel=1e-4)

    # The first term of the paper's equation 12 alone, which K plain steps of the discriminator would give, is something else.
    fakes = samples(module, len(SMALL_IMAGES))
    parameters = {name: value.detach() for name, value in module.unrolled(SMALL_IMAGES, fakes).items()}
    direct = torch.autograd.grad(-module.discriminator_terms(parameters, SMALL_IMAGES, fakes)["sample"], weights)
    difference = sum((one - other).square().sum() for one, other in zip(direct, gradients, strict=True)).sqrt()
    assert difference > 0.05 * sum(gradient.square().sum() for gradient in gradients).sqrt()


@pytest.mark.usefixtures("_float64")
def test_the_real_term_trains_the_generator_through_the_discriminators_steps():
    module = ready(2)
    gradients = torch.autograd.grad(terms(module, "generator_loss", SMALL_IMAGES)["real"], list(module.generator.parameters()))
    assert all(gradient.any() for gradient in gradients)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("steps", [1, 4])
def test_inner_steps_are_those_that_the_discriminators_optimizer_would_make(steps):
    module = ready(steps)
    fakes = samples(module, len(SMALL_IMAGES)).detach()
    twin = copy.deepcopy(module)
    (optimizer, _), theirs = twin.configure_optimizers(), module.optimizer_of("discriminator")
    optimizer.load_state_dict(frozen_copy(theirs))
    for _ in range(steps):
        optimizer.zero_grad()
        sum(twin.discriminator_terms(dict(twin.discriminator.named_parameters()), SMALL_IMAGES, fakes).values()).backward()
        optimizer.step()
    unrolled = module.unrolled(SMALL_IMAGES, fakes)
    assert list(unrolled) == [name for name, _ in twin.discriminator.named_parameters()]
    for name, value in twin.discriminator.named_parameters():
        assert torch.allclose(unrolled[name], value, rtol=1e-5, atol=1e-7), name
        assert not torch.allclose(unrolled[name], module.discriminator.get_parameter(name), rtol=1e-3, atol=1e-4), name


def test_inner_steps_leave_the_discriminator_and_its_optimizer_as_they_were():
    module = build(UnrolledGAN, unrolling_steps=3)
    optimizers = module.configure_optimizers()
    training = module.begin_training(optimizers, PIXELS, 8)
    training.begin_iteration()
    training.update(0)
    before = frozen_copy(module.discriminator), frozen_copy(optimizers[0])
    generator = frozen_copy(module.generator)
    training.update(1)
    for name, value in module.discriminator.state_dict().items():  # batch norm's running statistics too
        assert torch.equal(value, before[0][name]), name
    state = optimizers[0].state_dict()
    assert state["param_groups"] == before[1]["param_groups"]
    for number, values in before[1]["state"].items():
        assert all(torch.equal(state["state"][number][key], value) for key, value in values.items())
    assert not all(torch.equal(value, generator[name]) for name, value in module.generator.state_dict().items())


@pytest.mark.usefixtures("_float64")
def test_the_losses_are_minus_the_discriminators_after_its_steps():
    module = ready(2)
    fakes = samples(module, len(SMALL_IMAGES))
    later = copy.deepcopy(module.discriminator)
    later.load_state_dict({**later.state_dict(), **module.unrolled(SMALL_IMAGES, fakes)})
    real, fake = (later(images).sigmoid() for images in (SMALL_IMAGES, fakes))
    expected = {"real": real.log().mean().item(), "sample": (1 - fake).log().mean().item()}
    found = {name: value.item() for name, value in terms(module, "generator_loss", SMALL_IMAGES).items()}
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("term", "on_real", "sign"), [("real", True, 1), ("sample", False, -1)])
def test_direction_of_the_discriminator(term, on_real, sign):
    module = build(UnrolledGAN)

    def judged() -> torch.Tensor:
        return module.discriminator(IMAGES if on_real else samples(module))

    assert pull(module, "discriminator", "discriminator_loss", term, judged) * sign > 0


def test_direction_of_the_generator_is_against_the_later_discriminator():
    module = build(UnrolledGAN, unrolling_steps=2)
    iterate(module)
    later = {name: value.detach() for name, value in module.unrolled(IMAGES, samples(module)).items()}

    def judged() -> torch.Tensor:
        return -module.discriminator_terms(later, IMAGES, samples(module))["sample"]

    assert pull(module, "generator", "generator_loss", "sample", judged, 1e-2) < 0


def test_a_gradient_that_was_always_0_can_be_differentiated():
    gradient = torch.zeros(2, requires_grad=True)
    adam = Adam([torch.zeros(2)], [torch.zeros(2)], torch.ones(()), 1e-3, (0.5, 0.9), 1e-8)
    _, (value,) = adam.step([torch.ones(2)], [gradient])
    assert torch.equal(value, torch.ones(2))
    assert torch.autograd.grad(value.sum(), gradient)[0].isfinite().all()


def test_the_discriminators_width_is_an_argument_of_its_own():
    module = UnrolledGAN((3, 32, 32), 4, width=0.5, discriminator_width=0.25)
    assert module.discriminator[0].out_channels == 8
    assert module.generator[-2].in_channels == 32


def test_no_steps_are_refused():
    with pytest.raises(UserError, match="unrolling_steps is 0"):
        build(UnrolledGAN, unrolling_steps=0)


def test_updates_and_defaults():
    module = build(UnrolledGAN)
    assert [phase.name for phase in module.schedule().updates] == ["discriminator", "generator"]
    assert [optimizer.param_groups[0]["lr"] for optimizer in module.configure_optimizers()] == [2e-4, 1e-4]
    assert module.hparams.unrolling_steps == 5
