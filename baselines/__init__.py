"""The models that the α-GAN is compared with."""

from baselines.aae import AAE
from baselines.age import AGE
from baselines.ali import ALI, BiGAN
from baselines.avb import AVB
from baselines.began import BEGAN
from baselines.dcgan import DCGAN
from baselines.deepsim import DeePSiM
from baselines.dfm import DenoisingFeatureMatching
from baselines.ebgan import EBGAN
from baselines.lsgan import LSGAN
from baselines.mdgan import MDGAN, RegGAN
from baselines.r1gan import R1GAN
from baselines.r3gan import R3GAN
from baselines.sngan import SNGAN
from baselines.unrolled import UnrolledGAN
from baselines.vae import VAE
from baselines.vaegan import VAEGAN
from baselines.wgan import WGAN
from baselines.wgan_gp import WGANGP

__all__ = [
    "AAE",
    "AGE",
    "ALI",
    "AVB",
    "BEGAN",
    "DCGAN",
    "EBGAN",
    "LSGAN",
    "MDGAN",
    "R1GAN",
    "R3GAN",
    "SNGAN",
    "VAE",
    "VAEGAN",
    "WGAN",
    "WGANGP",
    "BiGAN",
    "DeePSiM",
    "DenoisingFeatureMatching",
    "RegGAN",
    "UnrolledGAN",
]
