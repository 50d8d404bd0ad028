"""What people write computes what ours computes."""

import pytest
import torch

from benchmark.perf.models import build_model
from benchmark.perf.plain_lightning import EPOCH, MODELS, Images

WIDTH, BATCH = 0.05, 6


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("name", MODELS)
def test_the_losses_are_those_of_our_model(name, size):
    model, peer = build_model(name, size, WIDTH), MODELS[name]((3, size, size), width=WIDTH)
    peer.load_state_dict(model.state_dict())
    images = torch.rand(BATCH, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for phase in model.schedule().phases:
        with model.drawing_from(torch.Generator().manual_seed(2)):
            expected = sum(phase.loss(images).values())
        torch.manual_seed(2)
        loss = getattr(peer, f"{phase.name}_loss")(images)
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
        names = {parameter: key for key, parameter in model.named_parameters()}
        parameters = phase.parameters()
        expected_gradient = flat(torch.autograd.grad(expected, parameters))
        gradient = flat(torch.autograd.grad(loss, [peer.get_parameter(names[parameter]) for parameter in parameters]))
        assert (gradient - expected_gradient).norm() < 1e-3 * expected_gradient.norm()


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


@pytest.mark.parametrize("name", MODELS)
def test_the_updates_of_an_iteration_are_those_of_our_model(name, monkeypatch):
    schedule = build_model(name, 64, WIDTH).schedule()
    peer, updates = MODELS[name]((3, 64, 64), width=WIDTH), []
    monkeypatch.setattr(peer, "optimizers", peer.configure_optimizers)
    monkeypatch.setattr(peer, "update", lambda *arguments: updates.append(arguments[:3]))
    peer.training_step((torch.zeros(1), None), 0)
    assert [update for update, _, _ in updates] == [phase.name for phase in schedule.updates]
    for update, optimizer, loss in updates:
        (phase,) = (phase for phase in schedule.phases if phase.name == update)
        assert loss == getattr(peer, f"{update}_loss")
        shapes = [parameter.shape for parameter in schedule.parameters[phase]]
        assert [parameter.shape for group in optimizer.param_groups for parameter in group["params"]] == shapes


def test_the_data_set_is_as_long_as_an_epoch_and_gives_what_its_transform_makes():
    pixels = torch.randint(256, (3, 4, 4, 3), dtype=torch.uint8).numpy()
    images = Images(pixels, lambda image: torch.tensor(image.getpixel((1, 2))))
    assert len(images) == EPOCH
    assert images[7][0].tolist() == pixels[1, 2, 1].tolist()
