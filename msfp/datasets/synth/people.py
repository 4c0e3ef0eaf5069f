"""What people look like: one `Look` an identity, drawn from a wardrobe with many near-collisions."""

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from msfp.datasets.synth.raster import Colour

Pattern = Literal["plain", "stripes", "bars", "checks", "logo", "block", "open"]
Bottom = Literal["trousers", "shorts", "skirt", "dress"]
Bag = Literal["none", "backpack", "shoulder", "hand"]

DARK = ((24, 24, 28), (34, 34, 38), (46, 46, 50), (28, 32, 48), (38, 44, 66), (52, 48, 46), (20, 22, 30))
MUTED = ((92, 94, 98), (120, 120, 122), (150, 148, 144), (72, 82, 104), (96, 88, 76), (78, 84, 70), (132, 116, 96))
LIGHT = ((226, 226, 224), (206, 204, 198), (190, 198, 210), (214, 200, 176), (238, 236, 232))
VIVID = (
    (152, 44, 46), (52, 80, 140), (50, 104, 76), (196, 162, 72), (184, 100, 62), (104, 64, 112),
    (206, 142, 156), (86, 144, 172), (116, 38, 56), (134, 154, 88), (200, 94, 100), (50, 128, 128),
)  # fmt: skip
JEANS = ((58, 72, 104), (78, 96, 132), (44, 54, 80), (112, 130, 158), (38, 42, 58))
SKIN = ((232, 196, 170), (222, 180, 150), (204, 158, 126), (172, 124, 92), (128, 86, 62), (88, 58, 44))
HAIR = ((28, 22, 20), (44, 32, 26), (72, 50, 34), (104, 74, 46), (166, 134, 84), (140, 138, 136), (110, 48, 30))
SHOES = ((22, 22, 24), (36, 32, 30), (60, 46, 36), (214, 214, 214), (90, 90, 96), (150, 40, 40))
TILE = (48, 24)  # rows, columns of the shading tile


@dataclass(frozen=True)
class Look:
    """Appearance of one identity. Colours are red, green, blue; lengths are metres or relative to a common build."""

    stature: float  # metres
    breadth: float  # 1 for a common build
    # colours
    skin: Colour
    hair: Colour
    upper: Colour
    lower: Colour
    shoes: Colour
    accent: Colour
    bag_colour: Colour
    pattern: Pattern  # of the upper garment, in `accent`
    sleeves: bool  # long sleeves
    bottom: Bottom  # garment of the legs
    coat: bool  # the upper garment reaches the thighs
    # on the head
    long_hair: bool
    hood: bool
    cap: bool
    bag: Bag  # what is carried
    tile: NDArray[np.uint8]  # (48, 24, 3) uint8 shading of the body's box, 128 leaves a colour as it is


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], spread: float = 6.0) -> Colour:
    """One of the colours, varied a little as cloth is."""
    base = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3) + rng.normal(0, spread)
    red, green, blue = (int(v) for v in np.clip(base, 6, 250))
    return red, green, blue


def shading(rng: np.random.Generator, side: float) -> NDArray[np.uint8]:
    """(48, 24, 3) tile: brighter towards the light's side (-1 left to 1 right), darker below, with folds."""
    rows, columns = TILE
    folds = cv2.resize(rng.normal(0, 1, (12, 5)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 1, (24, 12)), (columns, rows), interpolation=cv2.INTER_LINEAR)
    across = np.linspace(-1, 1, columns)[None, :]
    down = np.linspace(0, 1, rows)[:, None]
    tile = 124 + 26 * side * across - 14 * down + 9 * folds + 5 * fine
    return np.repeat(np.clip(tile, 60, 200).astype(np.uint8)[..., None], 3, axis=2)


def wardrobe(rng: np.random.Generator, side: float, warm: float) -> Look:
    """A passer-by: mostly dark and muted clothes, so that many people nearly share their colours.

    The light comes from `side`, -1 left to 1 right; `warm` is the chance of summer clothes.
    """
    kind = rng.choice(4, p=(0.42, 0.22, 0.14, 0.22))
    upper = pick(rng, (DARK, MUTED, LIGHT, VIVID)[kind])
    kind = rng.choice(5, p=(0.42, 0.34, 0.12, 0.07, 0.05))
    lower = pick(rng, (DARK, JEANS, MUTED, LIGHT, VIVID)[kind])
    summer = rng.random() < warm
    bottom: Bottom = "trousers"
    bare: tuple[Bottom, ...] = ("shorts", "skirt", "dress")
    if rng.random() < (0.45 if summer else 0.14):
        bottom = bare[int(rng.integers(3))]
    names: tuple[Pattern, ...] = ("plain", "stripes", "bars", "checks", "logo", "block", "open")
    pattern = names[int(rng.choice(7, p=(0.44, 0.08, 0.05, 0.09, 0.12, 0.1, 0.12)))]
    bags: tuple[Bag, ...] = ("none", "backpack", "shoulder", "hand")
    long_hair = rng.random() < 0.42
    return Look(
        stature=float(np.clip(rng.normal(1.71, 0.09), 1.45, 1.95)) if rng.random() > 0.04 else rng.uniform(1.1, 1.4),
        breadth=float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.35)),
        skin=pick(rng, SKIN, 4),
        hair=pick(rng, HAIR, 4),
        upper=upper,
        lower=lower,
        shoes=pick(rng, SHOES, 4),
        accent=pick(rng, (*LIGHT, *VIVID, *DARK[:3])),
        bag_colour=pick(rng, (*DARK, *MUTED, *VIVID[:6])),
        pattern=pattern,
        sleeves=not summer or rng.random() < 0.3,
        bottom=bottom,
        coat=not summer and rng.random() < 0.3,
        long_hair=long_hair,
        hood=not summer and rng.random() < 0.08,
        cap=not long_hair and rng.random() < 0.12,
        bag=bags[int(rng.choice(4, p=(0.5, 0.22, 0.18, 0.1)))],
        tile=shading(rng, side),
    )


def troupe(rng: np.random.Generator, count: int, side: float) -> list[Look]:
    """Dancers in one costume: stature, hair and the cut of the cloth are all that tells them apart."""
    costume = wardrobe(rng, side, warm=0.5)
    costume = replace(costume, hood=False, cap=False, bag="none", coat=False, pattern="plain", breadth=0.92)
    out = []
    for _ in range(count):
        other = wardrobe(rng, side, warm=0.5)
        out.append(
            replace(
                costume,
                stature=float(np.clip(rng.normal(1.68, 0.05), 1.55, 1.8)),
                skin=pick(rng, (other.skin,), 2),
                hair=pick(rng, HAIR[:3], 4),
                upper=pick(rng, (costume.upper,), 2),
                lower=pick(rng, (costume.lower,), 2),
                long_hair=bool(rng.random() < 0.5),
                tile=other.tile,
            )
        )
    return out


def crowd(rng: np.random.Generator, count: int, side: float, warm: float, alike: float) -> list[Look]:
    """Looks of a street's people; a share `alike` repeats another's main colours with other details."""
    out: list[Look] = []
    for _ in range(count):
        look = wardrobe(rng, side, warm)
        if out and rng.random() < alike:
            twin = out[int(rng.integers(len(out)))]
            look = replace(look, upper=pick(rng, (twin.upper,), 4), lower=pick(rng, (twin.lower,), 4))
            if rng.random() < 0.5:
                look = replace(look, pattern=twin.pattern, accent=twin.accent, bottom=twin.bottom, coat=twin.coat)
        out.append(look)
    return out
