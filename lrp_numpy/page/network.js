"use strict";
// The network: numbers out of the page, a forward pass, probabilities.

const ACTIVATIONS = {
  identity: z => z,
  relu: z => Math.max(z, 0),
  tanh: Math.tanh,
  sigmoid: z => 1 / (1 + Math.exp(-z)),
  zero_centred_sigmoid: z => Math.tanh(z / 2) / 2,
};

// {layers: [{W, b, activation}]} from what assemble.py wrote: W in whole numbers times a scale.
function decodeNetwork(written) {
  return {layers: written.layers.map(({rows, columns, scale, W, b, activation}) => ({
    W: {rows, columns,
        values: Float64Array.from(new Int16Array(bytes(W)), q => Math.fround(q * scale))},
    b: Float64Array.from(new Float32Array(bytes(b))), activation}))};
}

function decodeDigits(written) {            // [{label, pixels}]
  const all = new Uint8Array(bytes(written.pixels)), size = all.length / written.labels.length;
  return written.labels.map((label, n) => ({
    label, pixels: Float64Array.from(all.subarray(n * size, (n + 1) * size),
                                     one => Math.fround(one / 255))}));
}

function bytes(base64) {
  const text = atob(base64), array = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
  return array.buffer;
}

// [pixels, what leaves layer 0, ..., the logits]: z = a W + b, then f(z), layer by layer.
function forward(layers, pixels) {
  const a = [pixels];
  for (const {W, b, activation} of layers)
    a.push(plus(product(a[a.length - 1], W), b).map(ACTIVATIONS[activation]));
  return a;
}

function softmax(logits) {
  const largest = Math.max(...logits), e = logits.map(z => Math.exp(z - largest));
  return e.map(one => one / total(e));
}

function indexOfLargest(x) { return x.indexOf(Math.max(...x)); }
