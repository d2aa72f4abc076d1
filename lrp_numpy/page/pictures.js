"use strict";
// Numbers as pictures: ink black on white; relevance red for, blue against, white 0.

const AGAINST = [47, 109, 255], FOR = [180, 0, 0], WHITE = [255, 255, 255];

function inkColour(value) { return WHITE.map(one => one * (1 - value)); }

function relevanceColour(share) {           // share: R / limit, from -1 to 1
  const end = share < 0 ? AGAINST : FOR, part = Math.min(Math.abs(share), 1);
  return WHITE.map((white, i) => white + (end[i] - white) * part);
}

function paint(canvas, values, colour) {
  const side = Math.round(Math.sqrt(values.length)), context = canvas.getContext("2d");
  const picture = context.createImageData(side, side);
  for (let i = 0; i < values.length; i++) {
    picture.data.set(colour(values[i]), 4 * i);
    picture.data[4 * i + 3] = 255;
  }
  canvas.width = canvas.height = side;
  context.putImageData(picture, 0, 0);
}

// max|R|, the end of both colours; 1 if all is 0.
function symmetricLimit(R) { return R.reduce((x, y) => Math.max(x, Math.abs(y)), 0) || 1; }

function paintRelevance(canvas, R) {
  const limit = symmetricLimit(R);
  paint(canvas, R, one => relevanceColour(one / limit));
  return limit;
}

function rgb(colour) { return `rgb(${colour.map(Math.round).join(" ")})`; }

function number(x, digits = 2) {            // with a minus as long as a plus
  const text = Math.abs(x).toFixed(digits);
  return (x < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
}
