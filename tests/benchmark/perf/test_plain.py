"""What people write computes what ours computes."""

import pytest
import torch

from benchmark.model.build import build_from
from benchmark.model.gan_module import GANModule
from benchmark.model.registry import import_model
from benchmark.perf.plain import EPOCH, MODELS, Images
from benchmark.perf.runs import make_run

WIDTH, BATCH = 0.05, 6


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("name", MODELS)
def test_the_losses_are_those_of_our_model(name, size, monkeypatch):
    ours = build_from(import_model(name), make_run(name, size, WIDTH))
    theirs = MODELS[name]((3, size, size), width=WIDTH)
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(BATCH, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    source = torch.Generator()
    monkeypatch.setattr(GANModule, "randomness", property(lambda _: source))
    for phase in ours.schedule().phases:
        source.manual_seed(2)
        torch.manual_seed(2)
        expected = sum(phase.loss(images).values())
        loss = getattr(theirs, f"{phase.name}_loss")(images)
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
        mine = [parameter for network in phase.networks for parameter in network.parameters()]
        same = [theirs.get_parameter(key) for key, value in ours.named_parameters() if any(value is one for one in mine)]
        pairs = ((loss, same), (expected, mine))
        gradient, other = (torch.cat([one.flatten() for one in torch.autograd.grad(*those)]) for those in pairs)
        assert (gradient - other).norm() < 1e-3 * other.norm()


@pytest.mark.parametrize("name", MODELS)
def test_the_updates_of_an_iteration_are_those_of_our_model(name, monkeypatch):
    ours = build_from(import_model(name), make_run(name, 64, WIDTH))
    theirs, made = MODELS[name]((3, 64, 64), width=WIDTH), []
    monkeypatch.setattr(theirs, "optimizers", theirs.configure_optimizers)
    monkeypatch.setattr(theirs, "update", lambda *what: made.append(what[:3]))
    theirs.training_step((torch.zeros(1), None), 0)
    assert [update for update, _, _ in made] == [phase.name for phase in ours.schedule().updates]
    for update, optimizer, loss in made:
        (phase,) = (phase for phase in ours.schedule().phases if phase.name == update)
        assert loss == getattr(theirs, f"{update}_loss")
        shapes = [parameter.shape for parameter in ours.schedule().parameters[phase]]
        assert [parameter.shape for group in optimizer.param_groups for parameter in group["params"]] == shapes


def test_the_data_set_is_as_long_as_an_epoch_and_gives_what_its_transform_makes():
    pixels = torch.randint(256, (3, 4, 4, 3), dtype=torch.uint8).numpy()
    images = Images(pixels, lambda image: torch.tensor(image.getpixel((1, 2))))
    assert len(images) == EPOCH
    assert images[7][0].tolist() == pixels[1, 2, 1].tolist()
