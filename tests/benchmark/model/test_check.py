import copy

import pytest
import torch

from alphagan import AlphaGAN, EmpiricalKLAlphaGAN
from baselines import AGE, DCGAN, WGANGP
from benchmark import check_gan_module
from benchmark.model.check import ContractError
from benchmark.model.gan_module import GANModule
from benchmark.model.phase import Phase
from tests.support import Small, Tiny


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("model", [AlphaGAN, EmpiricalKLAlphaGAN, DCGAN, WGANGP, AGE, Small])
def test_models_keep_the_contract(model, shape):
    assert check_gan_module(model, shape) == []


def test_a_model_without_width_is_warned_about():
    class Narrow(Tiny):
        def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2):
            super().__init__(image_shape, latent_dim, learning_rate)

    assert "width" in check_gan_module(Narrow)[0]


class NoSweepKey(Tiny):
    sweep = {"learningrate": (1e-3,)}


class ListSweep(Tiny):
    sweep = ["learning_rate"]


class ScalarSweep(Tiny):
    sweep = {"learning_rate": 1e-3}


class TwiceTheSame(Tiny):
    sweep = {"latent_dim": (10, 10)}


class ClassDefault(Tiny):
    sweep = {}

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0, activation=torch.nn.ReLU):
        super().__init__(image_shape, latent_dim, learning_rate, width)


class Orphan(Tiny):
    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
        super().__init__(image_shape, latent_dim, learning_rate, width)
        self.extra = torch.nn.Linear(2, 2)


class MovesTheOther(Tiny):
    def judge_loss(self, images):
        with torch.no_grad():
            self.generator[0].weight.add_(0.1)
        return super().judge_loss(images)


class NaNLoss(Tiny):
    def judge_loss(self, images):
        return {"real": self.judge(images).mean() * float("nan")}


class UnusedParameters(Tiny):
    def judge_loss(self, images):
        return {"real": (self.judge[2].weight ** 2).sum()}


class NotScalar(Tiny):
    def judge_loss(self, images):
        return {"real": self.judge(images)}


class WrongShape(Tiny):
    def sample(self, n, generator=None):
        return super().sample(n, generator)[:, :1].expand(n, 2, -1, -1)

    def generator_loss(self, images):
        return {"adversarial": self.generator(self.prior(len(images))).mean()}

    def judge_loss(self, images):
        return {"real": self.judge(images).mean()}


class OutOfRange(Tiny):
    def sample(self, n, generator=None):
        return 1.5 * super().sample(n, generator) / super().sample(n, generator).abs().max()


class OwnRandomness(Tiny):
    def prior(self, n, generator=None):
        return torch.rand(n, 4)


class HiddenState(Tiny):
    """A counter outside of the checkpoint that changes the loss."""

    def judge_loss(self, images):
        self.calls = getattr(self, "calls", 0) + 1
        return {name: value * self.calls for name, value in super().judge_loss(images).items()}


class ForeignDraws(Tiny):
    generator_of_its_own = torch.Generator().manual_seed(0)

    def judge_loss(self, images):
        noise = torch.rand(images.shape, generator=self.generator_of_its_own)
        return super().judge_loss(images + noise)


class HalfAnAutoencoder(Tiny):
    def encode(self, images):
        return images.flatten(1)[:, :4]


class TwoPhasesOneName(Tiny):
    def phases(self):
        return [Phase("a", [self.generator], self.generator_loss, 1e-3), Phase("a", [self.judge], self.judge_loss, 1e-3)]


class NoPhases(Tiny):
    def phases(self):
        return []


class NoSuper(GANModule):
    def __init__(self, image_shape):
        self.network = torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NoSweepKey, "sweep key 'learningrate' is no constructor argument of NoSweepKey.*did you mean 'learning_rate'"),
        (ListSweep, "must map hyperparameters to their values, not be list"),
        (ScalarSweep, "gives 'learning_rate' as 0.001; a list of values"),
        (TwiceTheSame, r"gives 'latent_dim' as \[10, 10\]; different values"),
        (ClassDefault, "the default of 'activation' is <class"),
        (Orphan, "parameter extra.weight belongs to no phase"),
        (MovesTheOther, "phase 'judge' moves generator.0.weight"),
        (NaNLoss, "phase 'judge': loss term 'real' is nan"),
        (UnusedParameters, "phase 'judge': its loss does not depend on all parameters"),
        (NotScalar, "must be a scalar"),
        (WrongShape, r"sample\(8\) has shape"),
        (OutOfRange, r"leaves \[-1, 1\]"),
        (OwnRandomness, "does not take its randomness"),
        (HiddenState, "resumed differs"),
        (ForeignDraws, "two trainings with the same seed differ"),
        (HalfAnAutoencoder, "both encode"),
        (TwoPhasesOneName, "share a name"),
        (NoPhases, "at least one Phase"),
        (NoSuper, r"can be built|super"),
        (dict, "no subclass"),
    ],
)
def test_a_broken_class_is_told_what_is_wrong_and_where(model, message):
    with pytest.raises(ContractError, match=message) as caught:
        check_gan_module(model)
    assert "\n" not in str(caught.value)
    assert model.__name__ in str(caught.value)


def test_every_check_is_said():
    lines = []
    check_gan_module(Small, say=lines.append)
    assert len(lines) == 8
    assert all(line.startswith("ok") for line in lines)


class ReadsItsIteration(Small):
    def judge_loss(self, images):
        return {name: value * 0.9**self.iteration for name, value in super().judge_loss(images).items()}


def test_a_model_that_no_graph_could_repeat_is_warned_about():
    (caution,) = check_gan_module(ReadsItsIteration)
    assert "without a graph" in caution
    assert "a loss reads self.iteration" in caution


class Averages(Small):
    """Has a generator of its own to sample from, which is moved after each step of the one that is trained."""

    def __init__(self, image_shape, latent_dim=4, learning_rate=1e-2, width=1.0):
        super().__init__(image_shape, latent_dim, learning_rate, width)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    def phases(self):
        generator, judge, _ = super().phases()
        averages, weights = list(self.average.parameters()), list(self.generator.parameters())
        generator.after = lambda: torch._foreach_lerp_(averages, weights, 0.1)
        return [generator, judge]


def test_moving_averages_may_be_a_frozen_network_that_moves_after_a_step():
    assert check_gan_module(Averages) == []


def test_a_frozen_network_that_moves_otherwise_is_found():
    class Leaks(Averages):
        def judge_loss(self, images):
            self.average[0].weight.add_(0.1)
            return super().judge_loss(images)

    with pytest.raises(ContractError, match=r"moves average\.0\.weight"):
        check_gan_module(Leaks)
