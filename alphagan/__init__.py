"""The α-GAN of Rosca et al. 2017."""

from alphagan.alphagan import AlphaGAN, EmpiricalKLAlphaGAN
from alphagan.cycle import CycleAlphaGAN

__all__ = ["AlphaGAN", "CycleAlphaGAN", "EmpiricalKLAlphaGAN"]
