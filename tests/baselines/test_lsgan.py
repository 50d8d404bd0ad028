"""The least-squares losses, their labels and their directions."""

import pytest

from baselines import DCGAN, LSGAN
from tests.terms import FAKE_LOGITS, IMAGES, REAL_LOGITS, build, judged_terms, pull, samples


def test_losses_at_known_logits():
    real, fake = REAL_LOGITS.numpy(), FAKE_LOGITS.numpy()
    assert judged_terms(build(LSGAN), "discriminator_loss") == pytest.approx(
        {"real": ((real - 1) ** 2).mean() / 2, "sample": (fake**2).mean() / 2}
    )
    assert judged_terms(build(LSGAN), "generator_loss") == pytest.approx({"adversarial": ((fake - 1) ** 2).mean() / 2})


@pytest.mark.parametrize(
    ("network", "loss", "term", "on_real", "sign"),
    [
        ("generator", "generator_loss", "adversarial", False, 1),
        ("discriminator", "discriminator_loss", "real", True, 1),
        ("discriminator", "discriminator_loss", "sample", False, -1),
    ],
)
def test_logits_move_to_their_labels(network, loss, term, on_real, sign):
    module = build(LSGAN)
    module.discriminator[-2].weight.data.mul_(0.1)  # logits near 0.1, between the labels
    module.discriminator[-2].bias = None

    def distance() -> object:
        logits = module.discriminator(IMAGES if on_real else samples(module))
        return logits if term != "sample" else logits.abs()

    assert pull(module, network, loss, term, distance, 1e-4) * sign > 0


def test_it_is_dcgan_in_all_but_the_loss():
    assert LSGAN.sweep == DCGAN.sweep
    assert [phase.name for phase in build(LSGAN).schedule().updates] == ["generator", "generator", "discriminator"]
