"""The steps from a picture to its ink, one by one: loops, and small drawings on both sides of each
limit that the code names."""
import numpy as np
import pytest

from lrp_numpy.datasets import ink
from lrp_numpy.datasets.components import Component, components, label_runs, runs_of
from lrp_numpy.datasets.ink import find_ink, without_edges, without_lines
from lrp_numpy.datasets.paper import _surface, box_sum, difference_from_paper

RNG = np.random.default_rng(0)
FAINT = 0.05


def blank(height=200, width=200):
    return np.zeros((height, width))


def with_box(image, rows, columns, value=1.0):
    image = image.copy()
    image[slice(*rows), slice(*columns)] = value
    return image


def sheet(darkness, paper=(1.0, 1.0, 1.0), pen=(0.0, 0.0, 0.0)):
    """Colours (H, W, 3): the pen covers each pixel by `darkness` (H, W)."""
    darkness = np.asarray(darkness)[..., None]
    return (1 - darkness) * np.array(paper) + darkness * np.array(pen)


# Loops

@pytest.mark.parametrize("reach", [0, 1, 3])
def test_masks_grow_by_a_square(reach):
    mask = RNG.random((9, 13)) < 0.1
    mask[0, 0] = mask[-1, -1] = True
    expected = [[mask[max(0, i - reach):i + reach + 1, max(0, j - reach):j + reach + 1].any()
                 for j in range(13)] for i in range(9)]
    np.testing.assert_array_equal(ink._grown(mask, reach), expected)


@pytest.mark.parametrize("reach", [0, 1, 4])
def test_row_maxima_and_box_sums(reach):
    row, image = RNG.random(11), RNG.random((7, 11))
    np.testing.assert_array_equal(
        ink._row_maximum(row, reach),
        [row[max(0, i - reach):i + reach + 1].max() for i in range(11)])
    np.testing.assert_allclose(box_sum(image, reach), [
        [image[max(0, i - reach):i + reach + 1, max(0, j - reach):j + reach + 1].sum()
         for j in range(11)] for i in range(7)])


@pytest.mark.parametrize("slope", [-7, -1, 0, 1, 12])
def test_shearing_moves_columns_and_comes_back(slope):
    image = RNG.random((20, 30))
    moved = ink._sheared(image, slope)
    for j in range(30):
        np.testing.assert_array_equal(moved[:, j], np.roll(image[:, j], -round(j * slope / 30)))
    np.testing.assert_array_equal(ink._sheared(moved, -slope), image)


def test_the_crossings_of_all_four_edges_are_counted():
    mask = blank(20, 20) > 0
    mask[0, [2, 3, 9]] = mask[-1, 5] = mask[[4, 6, 8], 0] = mask[10, -1] = True
    assert ink._crossings(mask) == 2 + 1 + 3 + 1


def flooded(mask):
    """Components by flooding, corners included: a list of sets of pixels."""
    left, found = set(zip(*np.nonzero(mask))), []
    while left:
        queue, piece = [left.pop()], set()
        while queue:
            y, x = queue.pop()
            piece.add((y, x))
            for near in {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left:
                left.remove(near)
                queue.append(near)
        found.append(piece)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_components_are_those_of_a_flood(seed, share):
    rng = np.random.default_rng(seed)
    mask, weight = rng.random((11, 14)) < share, rng.random((11, 14))
    numbers, pieces = components(mask, weight)
    expected = flooded(mask)
    assert len(pieces) == len(expected) == numbers.max() and (numbers[~mask] == 0).all()
    for piece in pieces:
        pixels = set(zip(*np.nonzero(numbers == piece.number)))
        assert pixels in expected
        ys, xs = zip(*pixels)
        assert piece[1:5] == (min(ys), max(ys) + 1, min(xs), max(xs) + 1)
        assert piece.mass == pytest.approx(sum(weight[pixel] for pixel in pixels))
        assert piece.height == max(ys) - min(ys) + 1
        assert piece.size == max(piece.height, max(xs) - min(xs) + 1)
    assert [piece.mass for piece in pieces] == sorted((p.mass for p in pieces), reverse=True)


def test_a_mask_without_pieces():
    assert components(blank() > 0, blank())[1] == []
    assert label_runs(runs_of(blank(3, 3) > 0), 3).shape == (0,)


def test_the_gap_of_two_boxes():
    one = Component(1, 10, 20, 10, 20, 1.0)
    for top, bottom, left, right, gap in ((10, 20, 25, 30, 5), (26, 30, 12, 14, 6), (0, 3, 0, 5, 7),
                                          (12, 14, 12, 14, 0), (20, 25, 20, 25, 0),
                                          (0, 4, 22, 24, 6), (12, 13, 0, 2, 8)):
        other = Component(2, top, bottom, left, right, 1.0)
        assert one.gap(other) == other.gap(one) == gap


# The paper

@pytest.mark.parametrize("paper, pen", [((1, 1, 1), (0, 0, 0)), ((0.1, 0.1, 0.1), (0.9, 0.9, 0.9)),
                                        ((0.8, 0.7, 0.5), (0.1, 0.2, 0.6))])
def test_the_difference_is_in_units_of_the_papers_brightness(paper, pen):
    stroke = with_box(blank(60, 60), (10, 50), (28, 33))
    difference = difference_from_paper(sheet(stroke, paper, pen))
    light = max(np.array(paper) @ [0.299, 0.587, 0.114], 0.5)
    expected = (np.array(pen) - paper) / light
    np.testing.assert_allclose(difference[30, 30], expected, atol=0.01)
    np.testing.assert_allclose(difference[5, 5], 0, atol=0.01)


def test_the_paper_follows_light_that_falls():
    light = np.linspace(1, 0.6, 200)[:, None] * np.ones((200, 200))
    stroke = with_box(blank(), (40, 160), (95, 105))
    difference = difference_from_paper(sheet(stroke) * light[..., None])
    distance = np.abs(difference).max(axis=2)
    assert distance[stroke == 0].max() < 0.06 and distance[stroke == 1].min() > 0.9


def test_under_much_ink_the_paper_is_a_surface_through_what_is_seen():
    """In the middle of the blot no paper is near enough to be seen."""
    light = np.linspace(1, 0.8, 300) * np.ones((300, 300))
    blot = with_box(blank(300, 300), (80, 220), (80, 220))
    difference = difference_from_paper(sheet(blot) * light[..., None])
    np.testing.assert_allclose(difference[150, 150], -1, atol=0.05)
    np.testing.assert_allclose(difference[150, 20], 0, atol=0.03)


def test_the_surface_is_that_of_most_pixels():
    """A third is darker by no more than light can fall, and does not pull it down; what differs by
    more than that is left out, even if there is much of it on one side."""
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    light = 0.8 - 0.1 * x + 0.05 * y * y
    stained = light - np.where(RNG.random((60, 60)) < 0.35, 0.35, 0)
    np.testing.assert_allclose(_surface(np.stack([stained] * 3, axis=2))[..., 0], light, atol=0.02)
    light = 0.8 - 0.02 * x
    table = np.where(x > 0.4, 0.05, light)
    np.testing.assert_allclose(_surface(np.stack([table] * 3, axis=2))[:, :41, 0], light[:, :41],
                               atol=0.02)


# The ink

def test_a_pixel_that_is_half_covered_is_half_ink():
    """In brightness and in colour, dark on bright and bright on dark."""
    stroke = with_box(blank(), (40, 160), (90, 110))
    soft = with_box(stroke, (40, 160), (110, 111), 0.5)
    for paper, pen in (((1, 1, 1), (0, 0, 0)), ((0.1, 0.1, 0.1), (1, 1, 1)),
                       ((0.9, 0.3, 0.3), (0.2, 0.65, 0.3))):
        found = find_ink(sheet(soft, paper, pen))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[60:140, 110], 0.5, atol=0.03)
        np.testing.assert_allclose(found[60:140, 91:109], 1, atol=0.03)
        assert (found[:, :85] == 0).all() and (found[:, 116:] == 0).all()


@pytest.mark.parametrize("height, reach", [(120, 7), (150, 8)])
def test_the_pale_border_of_a_stroke_is_a_twentieth_of_its_size_and_one(height, reach):
    stroke = with_box(blank(), (25, 25 + height), (90, 110))
    pale = with_box(stroke, (50, 100), (110, 125), 0.25)
    found = find_ink(sheet(pale))[75]
    assert (found[111:110 + reach] > 0.1).all() and (found[110 + reach + 2:] == 0).all()


def test_what_is_fainter_than_a_third_is_no_ink():
    stroke = with_box(blank(), (40, 160), (90, 110))
    for value, is_ink in ((0.30, False), (0.42, True)):
        found = find_ink(sheet(with_box(stroke, (40, 160), (112, 130), value)))
        assert (found[100, 125] > 0.2) == is_ink


@pytest.mark.parametrize("contrast, is_ink", [(0.04, False), (0.07, True)])
def test_there_must_be_some_contrast(contrast, is_ink):
    colours = sheet(with_box(blank(), (40, 160), (90, 110)), pen=(1 - contrast,) * 3)
    if is_ink:
        assert find_ink(colours)[100, 100] > 0.9
    else:
        with pytest.raises(ValueError, match="there is no ink: no pixel differs .* by 5%"):
            find_ink(colours)


def test_ink_must_be_clear_of_the_noise():
    noise = np.abs(RNG.normal(0, 0.03, (200, 200)))
    for darkness, is_ink in ((0.06, False), (0.6, True)):
        colours = sheet(np.maximum(noise, with_box(blank(), (40, 160), (90, 110), darkness)))
        if is_ink:
            assert find_ink(colours)[100, 100] > 0.5
        else:
            with pytest.raises(ValueError):
                find_ink(colours)


# Edges

def turned(distance, turns):
    """without_edges of the picture turned by 90 degrees, turned back."""
    return np.rot90(without_edges(np.rot90(distance, turns), FAINT), -turns)


@pytest.mark.parametrize("turns", range(4))
def test_a_strip_up_to_a_quarter_of_the_side_is_left_out(turns):
    digit = with_box(blank(), (80, 150), (90, 110))
    for width, is_strip in ((1, True), (10, True), (50, True), (52, False)):
        found = turned(with_box(digit, (0, width), (0, 200)), turns)
        np.testing.assert_array_equal(found[80:150], digit[80:150])
        assert (found[:width] == (0 if is_strip else 1)).all()


def test_a_strip_covers_more_than_half_of_its_rows():
    for width, is_strip in ((96, True), (76, False)):      # of the 160 pixels in the middle
        strip = with_box(blank(), (0, 8), (20, 20 + width))
        assert (without_edges(strip, FAINT).max() == 0) == is_strip


def test_the_blurred_border_of_a_strip_goes_with_it():
    strip = with_box(with_box(blank(300, 300), (0, 8), (0, 300)), (8, 12), (0, 100), 0.5)
    assert (without_edges(strip, FAINT)[:12, :] == 0)[:12].all(axis=1).tolist() == [True] * 12
    longer = with_box(strip, (12, 13), (120, 130))
    assert without_edges(longer, FAINT)[12, 125] == 1


def test_a_bar_from_which_ink_goes_on_is_a_digits():
    """The bar of a 7 at the edge: its stem goes on, and it reaches as far as all ink does."""
    seven = with_box(with_box(blank(), (0, 15), (20, 180)), (15, 160), (160, 180))
    wide = with_box(with_box(blank(), (0, 15), (0, 200)), (15, 160), (170, 198))
    assert (without_edges(wide, FAINT) == wide).all()
    assert without_edges(seven, FAINT)[:15].max() == 0      # the stem lies within
    within = with_box(with_box(blank(), (0, 15), (0, 200)), (15, 160), (100, 120))
    assert without_edges(within, FAINT)[:15].max() == 0


@pytest.mark.parametrize("left, right, within", [
    (0, 10, False), (6, 50, False), (8, 50, True), (100, 192, True), (100, 196, False)])
def test_within_is_a_thirtieth_from_both_sides(left, right, within):
    assert ink._is_within(with_box(blank(), (50, 60), (left, right)) > 0) == within
    assert ink._is_within(blank() > 0)
    assert ink._is_within(with_box(blank(), (50, 51), (0, 200)) > 0)       # a hundredth is noise


# Lines

def test_a_ruled_line_goes_and_the_stroke_across_it_stays():
    stroke = with_box(blank(), (40, 160), (95, 105))
    rules = blank()
    for row in (30, 80, 130, 180):
        rules[row:row + 2] = 0.4
    found = without_lines(np.maximum(stroke, rules), FAINT)
    np.testing.assert_array_equal(found[:, 95:105] > 0.9, stroke[:, 95:105] > 0)
    assert found[:, :90].max() == found[:, 110:].max() == 0


def test_the_squares_of_squared_paper_go():
    stroke, grid = with_box(blank(), (40, 160), (95, 106)), blank()
    for place in (15, 60, 120, 170):
        grid[place:place + 2] = 0.4
        grid[:, place:place + 2] = 0.4
    found = without_lines(np.maximum(stroke, grid), FAINT)
    assert (found[45:155, 96:105] > 0.9).all()
    far = np.abs(np.arange(200) - 100) > 12
    assert found[:, far].max() == 0


def test_squared_paper_at_a_slant():
    grid, columns = blank(), np.arange(200)
    for place in (15, 60, 120, 170):
        for line in (0, 1):
            grid[(place + line + np.rint(columns * 6 / 200).astype(int)) % 200, columns] = 0.4
            grid[columns, (place + line - np.rint(columns * 6 / 200).astype(int)) % 200] = 0.4
    stroke = with_box(blank(), (40, 160), (90, 102))
    found = without_lines(np.maximum(stroke, grid), FAINT)
    far = np.abs(np.arange(200) - 96) > 20
    assert (found[45:155, 92:100] > 0.9).mean() > 0.97
    assert (found[:, far] > FAINT).mean() < 0.1 * (grid[:, far] > FAINT).mean()


@pytest.mark.parametrize("fall", [-10, -3, 0, 5, 14])
def test_the_slope_is_the_lines_fall(fall):
    rows = 60 + np.rint(np.arange(300) * fall / 300).astype(int)
    mask = blank(200, 300) > 0
    for row in (0, 50):
        mask[rows + row, np.arange(300)] = True
    assert ink._slope(mask) == fall


def test_bands_are_thin_long_and_reach_both_ends():
    def bands(rows, columns, more=((190, 191), (0, 200))):
        mask = with_box(with_box(blank(), rows, columns), *more) > 0
        return [band for band in ink._bands(mask) if band[0] < 150]

    assert bands((50, 52), (0, 200)) == [(50, 52)]
    assert bands((50, 56), (0, 200)) == [(50, 56)]          # 0.03 of 200
    assert bands((50, 57), (0, 200)) == []
    assert bands((50, 52), (30, 200)) == [] == bands((50, 52), (0, 170))
    assert bands((50, 52), (5, 195)) == [(50, 52)]
    gaps = blank() > 0
    gaps[50:52, ::2] = gaps[80:82, np.arange(200) % 10 < 7] = True
    assert ink._bands(gaps) == [(80, 82)]
    soft = with_box(blank(), (50, 52), (0, 200)) > 0
    soft[49, np.arange(200) % 10 < 4] = True        # a pale edge: more than 0.3
    soft[52, np.arange(200) % 10 < 2] = True
    assert ink._bands(soft) == [(49, 52)]
    soft[52, np.arange(200) % 10 < 4] = True
    assert ink._bands(soft) == [(49, 53)]
    assert ink._bands(blank() > 0) == []
    assert ink._bands(with_box(blank(), (50, 52), (30, 180)) > 0) == []    # of 0.75 of the width


def test_what_is_clearly_darker_than_a_line_stays_on_it():
    """More than 1.25 times as dark, and 0.08: a stroke that ends on the line."""
    line = with_box(blank(), (50, 52), (0, 200), 0.4)
    for value, stays in ((0.55, False), (0.62, True)):
        dotted = with_box(line, (50, 52), (100, 106), value)
        found = ink._interpolated(dotted, dotted, [(50, 52)])
        assert found[50, 103] == (value if stays else 0) and found[50, 20] == 0


def test_a_stroke_crosses_a_line_at_a_slant():
    """It is looked for above and below, as far to the side as the line is thick."""
    line = with_box(blank(), (50, 53), (0, 200), 0.4)
    crossing = with_box(with_box(line, (40, 50), (100, 101), 0.4), (53, 60), (103, 104), 0.4)
    found = ink._interpolated(crossing, crossing, [(50, 53)])
    assert found[51, 97:107].tolist() == [0, 0, 0] + [0.4] * 4 + [0, 0, 0]


def test_a_single_line_reaches_further_than_the_digit():
    """Else it is the digit's own bar."""
    own = with_box(with_box(blank(), (100, 104), (0, 200)), (20, 180), (0, 12))
    assert (without_lines(own, FAINT) == own).all()
    ruled = with_box(with_box(blank(), (100, 104), (0, 200)), (20, 180), (95, 105))
    assert without_lines(ruled, FAINT)[101, 30] == 0


# One digit

def digit_of(*boxes):
    image = blank()
    for rows, columns in boxes:
        image = with_box(image, rows, columns)
    return ink._digit(image > 0, image)[0]


STEM = ((40, 160), (95, 105))       # 120 pixels tall


@pytest.mark.parametrize("box, belongs", [
    (((40, 60), (110, 125)), True), (((40, 60), (122, 134)), True),     # up to 0.12 of its size
    (((40, 60), (125, 137)), False), (((90, 98), (110, 118)), True),    # 8 pixels are no speck
    (((90, 95), (110, 115)), False)])
def test_near_pieces_belong_to_the_digit_and_specks_do_not(box, belongs):
    assert digit_of(STEM, box)[box[0][0] + 2, box[1][0] + 2] == belongs
    assert digit_of(STEM, box)[100, 100]


@pytest.mark.parametrize("box, refused", [
    (((60, 140), (140, 150)), True), (((80, 150), (140, 150)), False),     # 0.6 of the height
    (((60, 140), (150, 152)), False)])                                     # 0.15 of the mass
def test_two_digits_are_refused(box, refused):
    if refused:
        with pytest.raises(ValueError, match="it shows two of like size"):
            digit_of(STEM, box)
    else:
        assert digit_of(STEM, box)[100, 100]


def test_pictures_that_are_unclear():
    with pytest.raises(ValueError, match="more than half of it would be ink"):
        digit_of(((0, 200), (30, 160)))
    assert digit_of(((10, 190), (30, 140)))[100, 100]
    combs = [((0, 200), (column, column + 4)) for column in range(10, 100, 24)]
    with pytest.raises(ValueError, match="run into its edges"):         # eight crossings
        digit_of(*combs, ((90, 110), (10, 90)))
    assert digit_of(*combs[:3], ((90, 110), (10, 62)))[100, 30]         # six
    dots = [((row, row + 12), (column, column + 12)) for row in range(5, 190, 25)
            for column in (*range(5, 70, 25), *range(130, 190, 25))]
    with pytest.raises(ValueError, match="more ink beside the digit than in it"):
        digit_of(STEM, *dots)
    assert digit_of(STEM, *dots[:8])[100, 100]


def test_a_frame_around_a_digit_is_no_digit():
    frame = [((10, 14), (10, 190)), ((186, 190), (10, 190)), ((10, 190), (10, 14)),
             ((10, 190), (186, 190))]
    found = digit_of(*frame, ((70, 130), (95, 105)))
    assert found[100, 100] and not found[12, 100]
    along = digit_of(((0, 60), (0, 6)), ((70, 130), (95, 105)))         # 0.3 of the left edge
    assert along[100, 100] and not along[30, 3]
    below = digit_of(((140, 200), (0, 6)), ((40, 130), (95, 105)))      # whichever comes first
    assert below[100, 100] and not below[150, 3]


def test_a_frame_needs_a_digit_within():
    """Taller than a quarter of the frame, and clear of all its sides."""
    frame = [((10, 14), (10, 190)), ((186, 190), (10, 190)), ((10, 190), (10, 14)),
             ((10, 190), (186, 190))]
    assert digit_of(*frame, ((85, 115), (95, 105)))[12, 100]        # 34 of 184 pixels
    assert not digit_of(*frame, ((75, 125), (95, 105)))[12, 100]
    open_below = [frame[0], *frame[2:]]
    assert not digit_of(*open_below, ((60, 180), (95, 105)))[12, 100]
    assert digit_of(*open_below, ((60, 190), (95, 105)))[12, 100]


def test_noise_everywhere_is_unclear(monkeypatch):
    monkeypatch.setattr(ink, "MAX_RUNS", 119)
    with pytest.raises(ValueError, match="there is noise everywhere"):
        digit_of(STEM)
    monkeypatch.setattr(ink, "MAX_RUNS", 120)
    assert digit_of(STEM)[100, 100]
