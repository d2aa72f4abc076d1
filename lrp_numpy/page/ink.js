"use strict";
// The sheet, SHEET x SHEET pixels from 0 (paper) to 1 (ink), and the digit that the network sees.

const SIDE = 28, SCALE = 10, SHEET = SIDE * SCALE;
const PEN = 12, ERASER = 20;                // radii, in pixels of the sheet
const BOX_SIDE = 20, BOX_THRESHOLD = 0.25;  // as MNIST's digits: see datasets/handwriting.py

// A straight stroke with round ends: the larger of the ink that is there, and what the pen covers.
function stroke(ink, [x, y], [toX, toY], radius, erases = false) {
  const dx = toX - x, dy = toY - y, reach = radius + 1;
  const within = (low, high) => [Math.max(0, Math.floor(Math.min(low, high) - reach)),
                                 Math.min(SHEET - 1, Math.ceil(Math.max(low, high) + reach))];
  const [left, right] = within(x, toX), [top, bottom] = within(y, toY);
  for (let row = top; row <= bottom; row++)
    for (let column = left; column <= right; column++) {
      const along = ((column - x) * dx + (row - y) * dy) / Math.max(dx * dx + dy * dy, 1e-12);
      const t = Math.min(Math.max(along, 0), 1);
      const distance = Math.hypot(column - x - t * dx, row - y - t * dy);
      const covered = Math.min(Math.max(radius + 0.5 - distance, 0), 1), i = row * SHEET + column;
      ink[i] = erases ? Math.min(ink[i], 1 - covered) : Math.max(ink[i], covered);
    }
}

// A test digit on the sheet, as if it had been drawn.
function enlarged(pixels) {
  const at = i => Math.floor(i / SHEET / SCALE) * SIDE + Math.floor(i % SHEET / SCALE);
  return Float64Array.from({length: SHEET * SHEET}, (_, i) => pixels[at(i)]);
}

// Ink as a digit of MNIST: its box scaled to 20 pixels, its centre of mass in pixel (14, 14), its
// darkest pixel 1. An empty sheet stays empty.
function likeMnist(ink) {
  const digit = new Float64Array(SIDE * SIDE), darkest = ink.reduce((x, y) => Math.max(x, y), 0);
  if (darkest === 0) return digit;
  const box = boxOf(ink, BOX_THRESHOLD * darkest);
  const height = box.bottom - box.top + 1, width = box.right - box.left + 1;
  const rows = resampling(height, Math.max(height, width));
  const columns = resampling(width, Math.max(height, width));
  const small = rows.map(row => columns.map(column => {
    let mean = 0;
    for (const [i, share] of row) for (const [j, other] of column)
      mean += share * other * ink[(box.top + i) * SHEET + box.left + j];
    return mean;
  }));
  const largest = Math.max(...small.flat());
  const top = centred(small.map(total)), left = centred(columns.map(
    (_, j) => total(small.map(row => row[j]))));
  small.forEach((row, i) => row.forEach((value, j) => {
    digit[(top + i) * SIDE + left + j] = value / largest;
  }));
  return digit;
}

function boxOf(ink, threshold) {
  const box = {top: SHEET, bottom: -1, left: SHEET, right: -1};
  for (let i = 0; i < ink.length; i++) if (ink[i] >= threshold) {
    const row = Math.floor(i / SHEET), column = i % SHEET;
    box.top = Math.min(box.top, row);
    box.bottom = row;
    box.left = Math.min(box.left, column);
    box.right = Math.max(box.right, column);
  }
  return box;
}

// For each new pixel, the old ones that it covers and their shares: `size` pixels scaled as
// `longer` pixels become 20.
function resampling(size, longer) {
  return Array.from({length: Math.ceil(BOX_SIDE * size / longer)}, (_, k) => {
    const start = k * longer / BOX_SIDE, end = (k + 1) * longer / BOX_SIDE, shares = [];
    for (let j = Math.floor(start); j < Math.min(size, Math.ceil(end)); j++)
      shares.push([j, (Math.min(end, j + 1) - Math.max(start, j)) * BOX_SIDE / longer]);
    return shares;
  });
}

// Where ink of so many pixels must start for its centre of mass to be in pixel 14.
function centred(ink) {
  const mean = total(ink.map((one, i) => i * one)) / total(ink);
  const start = Math.ceil(SIDE / 2 - mean - 0.5 - 1e-6);
  return Math.min(Math.max(start, 0), SIDE - ink.length);
}
