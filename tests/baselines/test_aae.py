"""Codes against the prior; images against nothing but their reconstructions."""

import pytest
import torch
from torch import Tensor, nn

from baselines import AAE
from tests.terms import IMAGES, SEED, build, pull, terms

PRIOR_LOGITS, CODE_LOGITS = torch.tensor([0.5, -1.5, 2.0]), torch.tensor([-0.75, 1.25, 0.25])


class CodeJudge(nn.Module):
    """Knows the prior draws of `SEED`."""

    def forward(self, codes: Tensor) -> Tensor:
        prior = torch.randn(3, 6, generator=torch.Generator().manual_seed(SEED))
        return PRIOR_LOGITS if torch.equal(codes, prior) else CODE_LOGITS


def code_logits(module: AAE) -> Tensor:
    return module.code_discriminator(module.encode(IMAGES))


def prior_logits(module: AAE) -> Tensor:
    return module.code_discriminator(module.prior(64, torch.Generator().manual_seed(SEED)))


def test_losses_at_known_logits():
    module = build(AAE, reconstruction_weight=7.0)
    error = (IMAGES[:3] - module.reconstruct(IMAGES[:3])).abs().mean().item()
    module.code_discriminator = CodeJudge()
    c = {"prior": PRIOR_LOGITS.sigmoid(), "code": CODE_LOGITS.sigmoid()}
    found = {name: value.item() for name, value in terms(module, "code_discriminator_loss", IMAGES[:3]).items()}
    assert found == pytest.approx({"prior": -c["prior"].log().mean().item(), "code": -(1 - c["code"]).log().mean().item()})
    found = {name: value.item() for name, value in terms(module, "autoencoder_loss", IMAGES[:3]).items()}
    assert found == pytest.approx({"reconstruction": 7 * error, "code": -c["code"].log().mean().item()}, rel=1e-4)


@pytest.mark.parametrize(
    ("network", "loss", "term", "judged", "sign"),
    [
        ("encoder", "autoencoder_loss", "code", code_logits, 1),
        ("code_discriminator", "code_discriminator_loss", "code", code_logits, -1),
        ("code_discriminator", "code_discriminator_loss", "prior", prior_logits, 1),
    ],
)
def test_direction(network, loss, term, judged, sign):
    module = build(AAE)
    assert pull(module, network, loss, term, lambda: judged(module)) * sign > 0


@pytest.mark.parametrize("network", ["encoder", "generator"])
def test_reconstructions_get_better(network):
    module = build(AAE)
    error = pull(module, network, "autoencoder_loss", "reconstruction", lambda: (IMAGES - module.reconstruct(IMAGES)).abs())
    assert error < 0


def test_codes_of_another_place_are_drawn_to_the_prior():
    """Codes of a known Gaussian, and the code discriminator's own optimum in closed form: the encoder's bias goes to it."""
    torch.manual_seed(0)
    module = build(AAE)
    shift = nn.Parameter(torch.full((6,), 2.0))
    module.encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 6), Shift(shift))
    nn.init.zeros_(module.encoder[1].weight)
    module.code_discriminator = Ratio(shift)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(terms(module, "autoencoder_loss")["code"], [shift])
        with torch.no_grad():
            shift -= 0.1 * gradient
    assert shift.abs().max() < 0.5


class Shift(nn.Module):
    def __init__(self, by: Tensor) -> None:
        super().__init__()
        self.by = by

    def forward(self, codes: Tensor) -> Tensor:
        return codes + self.by


class Ratio(nn.Module):
    """log N(z; 0, I) - log N(z; m, I), for m where the codes are now."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, codes: Tensor) -> Tensor:
        mean = self.mean.detach()
        return 0.5 * ((codes - mean).square() - codes.square()).sum(1)


def test_nobody_judges_images():
    module = build(AAE)
    assert [name for name, _ in module.named_children()] == ["encoder", "generator", "code_discriminator"]
    assert [phase.name for phase in module.schedule().updates] == ["autoencoder", "code_discriminator"]
