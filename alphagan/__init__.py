"""The α-GAN of Rosca et al. 2017."""

from alphagan.alphagan import AlphaGAN, EmpiricalKLAlphaGAN

__all__ = ["AlphaGAN", "EmpiricalKLAlphaGAN"]
