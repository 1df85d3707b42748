"""The detector: plain residual convolutions, a feature pyramid, one head at a quarter of the resolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

STRIDE = 4
WIDTHS = (16, 24, 48, 80, 112)
PYRAMID = 32
PRIOR_LOGIT = -4.6
MEAN, SPREAD = 114.0, 64.0


def convolution(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Build convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a short cut: [N, C, H, W] to the same."""

    def __init__(self, width: int) -> None:
        """Take the number of channels."""
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        """Refine the features."""
        return F.relu(features + self.second(self.first(features)))


def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Halve the resolution, then refine."""
    return nn.Sequential(convolution(inputs, outputs, stride=2), *(Residual(outputs) for _ in range(blocks)))


class Detector(nn.Module):
    """Normalised float images [N, 3, H, W] to logits [N, 1, H/4, W/4] and log distances [N, 4, H/4, W/4]."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        ends = (3, *WIDTHS)
        blocks = (0, 1, 2, 2, 1)
        self.stages = nn.ModuleList(stage(a, b, n) for a, b, n in zip(ends, ends[1:], blocks, strict=False))
        self.lateral = nn.ModuleList(nn.Conv2d(width, PYRAMID, 1) for width in WIDTHS[1:])
        self.smooth = nn.ModuleList(convolution(PYRAMID, PYRAMID) for _ in WIDTHS[1:-1])
        self.trunk = convolution(PYRAMID, PYRAMID)
        self.heat = nn.Conv2d(PYRAMID, 1, 1)
        self.reach = nn.Conv2d(PYRAMID, 4, 1)
        nn.init.constant_(self.heat.bias, PRIOR_LOGIT)

    def features(self, images: Tensor) -> Tensor:
        """Fuse four resolutions into one at a quarter of the input: [N, 32, H/4, W/4]."""
        levels = []
        for layer in self.stages:
            images = layer(images)
            levels.append(images)
        fused = self.lateral[-1](levels[-1])
        for index in reversed(range(len(self.smooth))):
            wider = F.interpolate(fused, scale_factor=2.0, mode="nearest")
            fused = self.smooth[index](self.lateral[index](levels[index + 1]) + wider)
        return fused

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat logits and the logs of left, top, right, bottom in strides."""
        features = self.trunk(self.features(images))
        return self.heat(features), self.reach(features)


def precision() -> torch.dtype:
    """Return bfloat16 where the processor computes in it, else float32."""
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32  # noqa: SLF001


def faster() -> torch.autocast:
    """Return the context in which the network runs while training."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision() is torch.bfloat16)


def normalised(images: Tensor) -> Tensor:
    """Turn uint8 [N, H, W, 3] into float32 [N, 3, H, W] around zero."""
    return (images.permute(0, 3, 1, 2).float() - MEAN) / SPREAD
