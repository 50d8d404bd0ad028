import copy
import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from alphagan import AlphaGAN
from benchmark.model.phase import Phase
from benchmark.model.train import CheckpointKeeper, Watcher, train
from tests.support import PIXELS, SHAPE, Tiny, iterate


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    others = second.state_dict()
    return all(torch.equal(value, others[name]) for name, value in first.state_dict().items())


def seeded(model=Tiny, seed=0, **hyperparameters):
    torch.manual_seed(seed)
    module = model(SHAPE, **hyperparameters)
    module.seed = seed
    return module


def test_the_constructors_arguments_are_the_hyperparameters():
    module = Tiny(SHAPE, latent_dim=5)
    assert dict(module.hparams) == {"image_shape": SHAPE, "latent_dim": 5, "learning_rate": 1e-2, "width": 1.0}


def test_a_phase_that_stands_twice_keeps_one_optimizer_and_each_update_counts():
    module = seeded()
    generator, judge = iterate(module, 5)
    steps = [{int(state["step"]) for state in optimizer.state.values()} for optimizer in (generator, judge)]
    assert steps == [{10}, {5}]
    assert module.iteration == 5


def test_updates_repeat_a_phase_in_place():
    class Twice(Tiny):
        def phases(self):
            generator, judge, _ = super().phases()
            judge.updates = 3
            return [judge, generator]

    assert [phase.name for phase in seeded(Twice).schedule().updates] == ["judge", "judge", "judge", "generator"]


def test_every_update_sees_a_fresh_minibatch_of_real_images_in_range():
    module = seeded()
    iterate(module, 2)
    assert len(module.seen) == 6
    assert all(not torch.equal(module.seen[0], other) for other in module.seen[1:])
    originals = {image.numpy().tobytes() for image in PIXELS}
    for image in module.seen[0]:
        assert ((image + 1) * 127.5).round().byte().numpy().tobytes() in originals


def test_only_the_phases_parameters_move_and_the_others_get_no_gradient():
    module = seeded()
    before = copy.deepcopy(module.state_dict())
    optimizers = module.configure_optimizers()
    watched = []
    original = module.generator_loss

    def spy(images):
        watched.append([parameter.requires_grad for parameter in module.judge.parameters()])
        return original(images)

    module.schedule().phases[0].loss = spy
    training = module.begin_training(optimizers, PIXELS, 8)
    training.begin_iteration()
    training.update(0)
    moved = {name.split(".")[0] for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"generator"}
    assert watched == [[False, False]]
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_no_graph_is_recorded_through_the_generator_when_the_judge_trains():
    module = seeded()
    samples = []
    original = module.sample
    module.sample = lambda n: samples.append(original(n)) or samples[-1]
    iterate(module)
    assert [sample.requires_grad for sample in samples] == [True, False, True]


def test_a_phase_is_updated_at_least_once():
    with pytest.raises(ValueError, match="at least once"):
        Phase("generator", [], dict, 1e-3, updates=0)


def test_frozen_networks_need_no_phase_and_stay():
    class Frozen(Tiny):
        def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
            super().__init__(image_shape, latent_dim, learning_rate, width)
            self.judge[2].bias.requires_grad_(False)

    module = seeded(Frozen)
    iterate(module, 2)
    assert module.judge[2].bias.grad is None
    assert not module.judge[2].bias.requires_grad


def test_after_runs_after_each_step_without_gradients():
    calls = []

    class Clipped(Tiny):
        def phases(self):
            generator, judge, _ = super().phases()
            judge.after = lambda: (
                calls.append(torch.is_grad_enabled()) or [p.clamp_(-1e-3, 1e-3) for p in self.judge.parameters()]
            )
            return [generator, judge]

    module = seeded(Clipped)
    iterate(module, 3)
    assert calls == [False] * 3
    assert max(parameter.abs().max().item() for parameter in module.judge.parameters()) <= 1e-3 + 1e-9


def test_a_phases_own_optimizer_is_used():
    class Plain(Tiny):
        def phases(self):
            generator, judge, _ = super().phases()
            judge.optimizer = lambda parameters, learning_rate: torch.optim.SGD(parameters, lr=learning_rate)
            return [generator, judge]

    assert [type(optimizer) for optimizer in iterate(seeded(Plain))] == [torch.optim.Adam, torch.optim.SGD]


def test_draws_depend_on_seed_iteration_and_update_alone_dropout_included():
    first, second = seeded(), seeded()
    iterate(first, 3)
    training = second.begin_training(second.configure_optimizers(), PIXELS, 8)
    for _ in range(3):
        torch.rand(17)  # draws from torch's global stream, and the module's own outside of training
        second.sample(2)
        training.advance(1)
    assert same_weights(first, second)


def test_training_leaves_the_global_stream_where_it_was():
    module = seeded()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    iterate(module, 2)
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_trains_otherwise():
    first, second = seeded(), seeded()
    second.seed = 1
    iterate(first)
    iterate(second)
    assert not same_weights(first, second)


def test_terms_are_logged_as_they_are_and_a_nan_among_them_is_not_lost():
    class NotFinite(Tiny):
        def judge_loss(self, images):
            value = float("nan") if self.iteration == 3 else self.iteration
            return {"real": 0 * self.judge(images).mean() + value}

    module = seeded(NotFinite)
    assert module.take_mean_terms() == {}
    training = module.begin_training(module.configure_optimizers(), PIXELS, 8)
    training.advance(3)
    terms = module.take_mean_terms()
    assert set(terms) == {"generator/adversarial", "judge/real"}
    assert terms["judge/real"] == (0 + 1 + 2) / 3
    assert module.take_mean_terms() == {}
    training.advance(2)
    assert math.isnan(module.take_mean_terms()["judge/real"])


def test_a_loss_without_names_is_explained():
    class Nameless(Tiny):
        def judge_loss(self, images):
            return self.judge(images).mean()

    with pytest.raises(TypeError, match="phase 'judge' must return named terms"):
        iterate(seeded(Nameless))


def test_an_attribute_error_in_phases_is_not_hidden():
    class Typo(Tiny):
        def phases(self):
            return [Phase("generator", [self.generatr], self.generator_loss, 1e-3)]

    with pytest.raises(AttributeError, match="generatr"):
        iterate(seeded(Typo))


@pytest.mark.parametrize("model", [Tiny, AlphaGAN])
def test_a_resumed_training_is_bit_for_bit_the_uninterrupted_one(model, tmp_path):
    options = {"latent_dim": 4, "width": 0.125}
    whole, half, resumed = seeded(model, 3, **options), seeded(model, 3, **options), seeded(model, 8, **options)
    train(whole, PIXELS, 7, 8)
    train(half, PIXELS, 3, 8, [CheckpointKeeper(tmp_path / "c.ckpt", 3, Watcher())])
    assert not same_weights(whole, half)
    train(resumed, PIXELS, 7, 8, checkpoint=tmp_path / "c.ckpt")
    assert resumed.iteration == 7
    assert same_weights(whole, resumed)


def test_a_checkpoint_of_a_gpu_resumes_on_the_cpu(tmp_path):
    """Optimizer flags that only a GPU knows stay behind; everything else goes on, bit for bit."""
    path = tmp_path / "c.ckpt"
    whole, half, resumed = seeded(), seeded(), seeded(seed=9)
    train(whole, PIXELS, 6, 8)
    train(half, PIXELS, 3, 8, [CheckpointKeeper(path, 3, Watcher())])
    checkpoint = torch.load(path, weights_only=True)
    for state in checkpoint["optimizer_states"]:
        for group in state["param_groups"]:
            group.update(capturable=True, foreach=True, fused=None)
    torch.save(checkpoint, path)
    train(resumed, PIXELS, 6, 8, checkpoint=path)
    assert same_weights(whole, resumed)


def test_a_checkpoint_loads_lightnings_way_with_weights_only(tmp_path):
    module = seeded()
    train(module, PIXELS, 2, 8, [CheckpointKeeper(tmp_path / "c.ckpt", 2, Watcher())])
    again = Tiny.load_from_checkpoint(tmp_path / "c.ckpt", weights_only=True)
    assert same_weights(module, again)
    assert (again.iteration, again.seed) == (2, 0)


class Copies(pl.Callback):
    """Copies the module after each chunk."""

    def __init__(self):
        self.modules = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.modules.append(copy.deepcopy(pl_module))


def test_the_length_of_a_chunk_changes_no_weights():
    whole, parts, copies = seeded(), seeded(), Copies()
    train(whole, PIXELS, 7, 8)
    train(parts, PIXELS, 7, 8, [copies], chunk=3)
    assert [module.iteration for module in copies.modules] == [3, 6, 7]
    assert same_weights(whole, parts)


def test_a_copy_made_while_training_is_a_model_of_its_own():
    module, copies = seeded(), Copies()
    train(module, PIXELS, 2, 8, [copies])
    (twin,) = copies.modules
    assert same_weights(module, twin)
    assert twin.take_mean_terms() == {}
    assert twin.randomness is not module.randomness
    iterate(twin)
    assert not same_weights(module, twin)
    assert (module.iteration, twin.iteration) == (2, 3)


def test_the_prior_is_standard_normal_and_follows_its_generator():
    module = seeded()
    latents = module.prior(20_000, torch.Generator().manual_seed(1))
    assert latents.shape == (20_000, 4)
    assert latents.mean().abs() < 0.02
    assert (latents.std() - 1).abs() < 0.02
    assert torch.equal(latents, module.prior(20_000, torch.Generator().manual_seed(1)))
    assert not torch.equal(module.prior(2), module.prior(2))


def test_a_term_without_a_gradient_is_logged_and_trains_nothing():
    class Watches(Tiny):
        def judge_loss(self, images):
            terms = super().judge_loss(images)
            return {**terms, "difference": 1e30 * (terms["real"] - terms["sample"]).detach()}

    plain, watching = seeded(), seeded(Watches)
    iterate(plain)
    iterate(watching)
    assert same_weights(plain, watching)
    assert set(watching.take_mean_terms()) - set(plain.take_mean_terms()) == {"judge/difference"}


def test_a_loss_without_any_gradient_is_explained():
    class Detached(Tiny):
        def judge_loss(self, images):
            return {name: value.detach() for name, value in super().judge_loss(images).items()}

    with pytest.raises(TypeError, match="phase 'judge': no term of its loss has a gradient"):
        iterate(seeded(Detached))


def test_a_loss_reaches_the_optimizer_of_another_phase():
    class Follows(Tiny):
        def phases(self):
            generator, judge, _ = super().phases()
            return [judge, generator]

        def generator_loss(self, images):
            optimizer = self.optimizer_of("judge")
            steps = [optimizer.state[parameter]["step"] for parameter in self.judge.parameters()]
            return {**super().generator_loss(images), "steps": torch.stack(steps).mean()}

    module = seeded(Follows)
    judge = iterate(module, 3)[0]
    assert module.take_mean_terms()["generator/steps"] == 2  # the mean of 1, 2, 3
    assert module.optimizer_of("judge") is judge
    with pytest.raises(ValueError, match="no phase 'judgement' is being trained; those that are: judge, generator"):
        module.optimizer_of("judgement")
    with pytest.raises(ValueError, match="those that are: none"):
        copy.deepcopy(module).optimizer_of("judge")
