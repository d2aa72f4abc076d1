"""Digits drawn by strokes of our own, and what happens to pictures of digits in the field.

`ink(digit, seed)` is a drawing (H, W) from 0 (paper) to 1 (ink); `KINDS[kind](path, digit, seed)`
saves it as a picture of that kind. The same seed has the same strokes in every kind.
"""
import numpy as np
from PIL import Image, ImageDraw

SIDE = 280              # pixels of a sheet
FINE = 4                # a stroke is drawn as many times larger, then reduced


def arc(x, y, wide, high, first, last):
    """Points on an ellipse, from one angle to another: 0 is right, 90 down."""
    angle = np.radians(np.linspace(first, last, 24))
    return np.stack([x + wide * np.cos(angle), y + high * np.sin(angle)], axis=1)


def path(*points):
    """One stroke through points (x, y) and arcs."""
    return np.concatenate([np.atleast_2d(part) for part in points])


# (x, y) in units of the digit's height; y points down
STROKES = {
    0: [arc(.5, .5, .3, .5, -90, 275)],
    1: [path((.56, 0), (.46, 1))],
    2: [path(arc(.5, .27, .27, .27, 190, 385), (.2, 1), (.8, 1))],
    3: [path(arc(.48, .25, .26, .25, 200, 440), arc(.47, .74, .3, .26, -80, 160))],
    4: [path((.36, 0), (.2, .56), (.84, .56)), path((.68, .08), (.62, 1))],
    5: [path((.76, 0), (.32, 0), (.28, .44), arc(.46, .69, .3, .31, -125, 145))],
    6: [path((.62, 0), (.38, .28), arc(.5, .7, .26, .3, 200, 565))],
    7: [path((.2, .02), (.8, 0), (.42, 1))],
    8: [path(arc(.5, .25, .22, .25, 90, -270), arc(.5, .75, .27, .25, -90, 270))],
    9: [path(arc(.48, .28, .25, .28, 0, -360), (.73, .3), (.64, 1))]}


def jittered(digit, rng):
    """The strokes, slanted, stretched, turned a little; each bent by a slow wave."""
    turn, slant, wide = rng.normal(0, 0.06), rng.normal(0.08, 0.08), rng.uniform(0.85, 1.15)
    matrix = np.array([[wide, -slant - turn], [turn, 1]])
    bend, phase = rng.normal(0, 0.012, 2), rng.uniform(0, 6, 2)
    return [(stroke + bend * np.sin(5 * stroke[:, ::-1] + phase) - .5) @ matrix.T + .5
            for stroke in STROKES[digit]]


def ink(digit, seed, height=None, centre=None, pen=None, side=SIDE):
    """A drawing (side, side). The seed chooses strokes, place, height (45 to 70 % of the side) and
    pen (1 to 22 pixels for a side of 280) unless they are given."""
    rng = np.random.default_rng([seed, digit])
    strokes = jittered(digit, rng)
    drawn_height, drawn_pen = rng.uniform(0.45, 0.7) * side, rng.integers(1, 23) * side / SIDE
    height, pen = height or drawn_height, pen or drawn_pen
    place = np.array(centre or rng.uniform(0.4, 0.6, 2) * side)
    sheet = Image.new("L", (side * FINE, side * FINE))
    brush = ImageDraw.Draw(sheet)
    radius = pen * FINE / 2
    for stroke in strokes:
        points = FINE * ((stroke - .5) * height + place)
        steps = [np.linspace(one, other, max(2, int(2 * np.ptp([one, other], axis=0).max())))
                 for one, other in zip(points[:-1], points[1:])]
        for x, y in np.concatenate(steps)[::max(1, int(radius / 4))]:
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(sheet.reduce(FINE)) / 255


def over(paper, colour, drawing):
    """A picture (H, W, 3) of bytes: a colour where there is ink, on paper, both in [0, 1]."""
    paper, colour = np.broadcast_to(paper, (*drawing.shape, 3)), np.array(colour)
    mixed = paper + drawing[..., None] * (colour - paper)
    return np.rint(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def save(path, pixels, **settings):
    Image.fromarray(pixels).save(path, **settings)


def clean(path, digit, seed):
    save(path, over(1, [.1] * 3, ink(digit, seed)))


def small_in_28(path, digit, seed):
    rng = np.random.default_rng([seed, digit, 1])
    pen = max(1., ink_pen(digit, seed) * 0.05)
    save(path, over(1, [0] * 3, ink(digit, seed, rng.uniform(10, 14), (14, 14), pen, 28))[..., 0])


def off_centre(path, digit, seed):
    rng = np.random.default_rng([seed, digit, 1])
    pen, place = max(1.5, ink_pen(digit, seed) * 0.08), tuple(rng.choice([-3, 3], 2) + 14.)
    save(path, 255 - over(1, [0] * 3, ink(digit, seed, 17, place, pen, 28))[..., 0])


def ink_pen(digit, seed):
    """The pen that `ink` draws with, in pixels of a sheet of 280."""
    rng = np.random.default_rng([seed, digit])
    jittered(digit, rng)
    rng.uniform()
    return int(rng.integers(1, 23))


def framed(path, digit, seed):
    drawing, width = over(1, [.1] * 3, ink(digit, seed)), 2 + seed % 9
    drawing[:width], drawing[-width:], drawing[:, :width], drawing[:, -width:] = 0, 0, 0, 0
    save(path, drawing)


def strip(path, digit, seed):
    drawing = over(.95, [.1] * 3, ink(digit, seed))
    np.rot90(drawing, seed)[:5 + seed % 15] = 20
    save(path, drawing)


def one_speck(path, digit, seed):
    drawing = over(1, [.1] * 3, ink(digit, seed))
    drawing[[3, -4][seed % 2], [4, -5][seed // 2 % 2]] = 0
    save(path, drawing)


def specks(path, digit, seed):
    drawing = over(1, [.1] * 3, ink(digit, seed))
    drawing[np.random.default_rng(seed).random(drawing.shape[:2]) < 0.0005] = 0
    save(path, drawing)


def ruled(path, digit, seed, columns=False):
    paper, step, width = np.ones((SIDE, SIDE, 3)), 25 + seed % 15, 1 + seed % 2
    colour = [[.6, .7, .9], [.5, .5, .5], [.2, .3, .6]][seed % 3]
    for first in range(width):
        paper[step // 2 + first::step] = colour
        if columns:
            paper[:, step // 3 + first::step] = colour
    save(path, over(paper, [.1, .1, .2], ink(digit, seed)))


def squared(path, digit, seed):
    ruled(path, digit, seed, columns=True)


def uneven_light(path, digit, seed):
    """Falling from 1 to 0.6 across the sheet, with the noise of a camera."""
    rng = np.random.default_rng([seed, digit, 1])
    across = np.linspace(1, .6, SIDE)
    light = np.rot90(np.broadcast_to(across[:, None], (SIDE, SIDE)), seed)
    drawing = ink(digit, seed, pen=max(3, ink_pen(digit, seed)))[..., None]
    seen = light[..., None] * (.95 - .75 * drawing) + rng.normal(0, .015, (SIDE, SIDE, 1))
    save(path, np.rint(255 * np.clip(np.repeat(seen, 3, axis=2), 0, 1)).astype(np.uint8))


def white_on_clear(path, digit, seed):
    pixels = np.full((SIDE, SIDE, 4), 255, np.uint8)
    pixels[..., 3] = np.rint(255 * ink(digit, seed))
    save(path, pixels)


def white_on_black(path, digit, seed):
    save(path, 255 - over(1, [0] * 3, ink(digit, seed)))


def red_on_green(path, digit, seed):
    """Of the same luminance."""
    save(path, over([.2, .6, .2], [.95, .25, .23], ink(digit, seed)))


def ten_of_16_bits(path, digit, seed):
    save(path, np.rint(1023 * (1 - .9 * ink(digit, seed))).astype(np.uint16))


def of_format(name, **settings):
    def saved(path, digit, seed):
        pixels = over(1, [.1] * 3, ink(digit, seed))
        save(path, pixels, format=name, **settings)
    return saved


def turned(path, digit, seed):
    """Saved turned or mirrored, with the EXIF orientation 2 to 8 that undoes it."""
    pixels, orientation = over(1, [.1] * 3, ink(digit, seed)), 2 + seed % 7
    undone = {2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1),
              6: np.rot90(pixels, 1), 7: np.rot90(pixels, 2).swapaxes(0, 1),
              8: np.rot90(pixels, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(path, np.ascontiguousarray(undone), exif=exif, format="PNG")


KINDS = {
    "clean": clean, "small in 28 x 28": small_in_28, "off centre": off_centre, "framed": framed,
    "strip": strip, "one speck": one_speck, "specks": specks, "ruled": ruled, "squared": squared,
    "uneven light": uneven_light, "white on clear": white_on_clear,
    "white on black": white_on_black, "red on green": red_on_green,
    "10 of 16 bits": ten_of_16_bits, "JPEG": of_format("JPEG", quality=60),
    "WebP": of_format("WEBP", quality=60), "BMP": of_format("BMP"), "TIFF": of_format("TIFF"),
    "GIF": of_format("GIF"), "EXIF": turned}
