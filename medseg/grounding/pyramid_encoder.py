"""`PyramidEncoder`: the embedded grounding encoder, convolutional, maps of stride 8, 4, 2 and perhaps 1.

Thin structures need fine maps: vessels of two pixels are lost at SAM's stride of 16. So the coarse features come back
up along their finer ones, and the decoder takes the finer maps as SAM 2 takes its high-resolution features.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, cat, nn
from torch.nn.functional import interpolate, relu


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return relu(features + self.inner(features))


class _Shrink(nn.Sequential):
    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class _Join(nn.Module):
    """A coarse map enlarged beside the finer one of the way down."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(coarse, fine, 1, bias=False)
        self.mix = nn.Sequential(nn.Conv2d(2 * fine, fine, 3, padding=1, bias=False), nn.BatchNorm2d(fine), nn.ReLU())

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        enlarged = interpolate(self.narrow(coarse), fine.shape[-2:], mode="nearest")
        return self.mix(cat([enlarged, fine], dim=1))


class _Sharpen(nn.Module):
    """The finest map enlarged to every pixel and met by the picture itself; narrow, since pixels are many."""

    def __init__(self, fine: int, sharp: int) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(3, sharp, 3, padding=1)
        self.narrow = nn.Conv2d(fine, sharp, 1, bias=False)
        self.mix = nn.Sequential(nn.Conv2d(sharp, sharp, 3, padding=1, bias=False), nn.BatchNorm2d(sharp), nn.ReLU())

    def forward(self, fine: Tensor, pictures: Tensor) -> Tensor:
        enlarged = interpolate(self.narrow(fine), pictures.shape[-2:], mode="nearest")
        return self.mix(relu(enlarged + self.pixels(pictures)))


class PyramidEncoder(nn.Module):
    """Pictures -> maps of stride 8 (for prompts), 4, 2 and, if asked, 1."""

    def __init__(self, channels: tuple[int, ...] = (16, 32, 64, 128, 256), blocks: tuple[int, ...] = (1, 1, 2, 2, 1),
                 width: int = 160, sharp: int = 0) -> None:  # fmt: skip
        """Args:
        channels: of the maps of stride 2, 4, 8, 16, 32.
        blocks: residual blocks at each.
        width: of the map that prompts attend to.
        sharp: channels of the map of stride 1; 0 leaves it out.
        """
        super().__init__()
        before = (3, *channels[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_Shrink(one, two), *(_Residual(two) for _ in range(count)))
            for one, two, count in zip(before, channels, blocks, strict=True)
        )
        self.up = nn.ModuleList(
            _Join(channels[level], channels[level - 1]) for level in range(len(channels) - 1, 0, -1)
        )
        self.widen = nn.Conv2d(channels[2], width, 1)
        self.coarse = nn.Conv2d(channels[1], width // 4, 1)
        self.fine = nn.Conv2d(channels[0], width // 8, 1)
        self.sharpen = _Sharpen(channels[0], sharp) if sharp else None

    def forward(
        self, pictures: Float[Tensor, "picture 3 side side"]
    ) -> tuple[Float[Tensor, "picture width h w"], tuple[Tensor, ...]]:
        """The map of stride 8, and the finer ones."""
        maps = []
        features = pictures
        for step in self.down:
            features = step(features)
            maps.append(features)
        risen = [features]
        for step, finer in zip(self.up, reversed(maps[:-1]), strict=True):
            risen.append(step(risen[-1], finer))
        finer_maps = [self.coarse(risen[-2]), self.fine(risen[-1])]
        if self.sharpen is not None:
            finer_maps.append(self.sharpen(risen[-1], pictures))
        return self.widen(risen[-3]), tuple(finer_maps)
