"use strict";
// Layer-wise Relevance Propagation for layers of z = a W + b: the same four lines as in rules.py.
// a: what enters a layer, D numbers; W: {rows: D, columns: K, values}; b, z, R: K numbers.
// A rule gives {R: the relevance of what enters, row: where the rest went}, see `ledgerRow`.

function propagate(a, W, b, R, epsilon = 0) {
  const z = plus(product(a, W), b);                       // 1. the total contribution to each output
  const s = quotient(R, z.map(z_k => stabilize(z_k, epsilon)));   // 2. relevance per contribution
  const c = transposedProduct(s, W, a);                   // 3. relevance per unit of each input
  const R_inputs = a.map((a_j, j) => a_j * c[j]);         // 4. the relevance of each input
  return {R: R_inputs, row: ledgerRow(b, z, s, R, R_inputs, epsilon)};
}

const RULES = {
  "0": (a, W, b, R) => propagate(a, W, b, R),

  "epsilon": (a, W, b, R, {epsilon}) => propagate(a, W, b, R, epsilon),

  "gamma": (a, W, b, R, {gamma}) => propagate(a, favoured(W, gamma), favouredVector(b, gamma), R),

  "gamma_generalized": (a, W, b, R, {gamma}) => {
    const z = plus(product(a, W), b);
    const up = R.map((R_k, k) => z[k] >= 0 ? R_k : 0), down = R.map((R_k, k) => R_k - up[k]);
    const above = favourPositive(a, W, b, up, gamma);
    if (down.every(R_k => R_k === 0)) return above;     // as below a ReLU: half the work
    return sum(above, favourPositive(a, minus(W), b.map(b_k => -b_k), down, gamma));
  },

  "alpha_beta": (a, W, b, R) => {             // alpha = 2, beta = 1
    const R_positive = RULES.z_plus(a, W, b, R.map(R_k => 2 * R_k));
    return sum(R_positive, propagateSum(
      [[a.map(positive), negativeOf(W)], [a.map(negative), positiveOf(W)]],
      b.map(negative), R.map(R_k => -R_k)));
  },

  "z_plus": (a, W, b, R) => propagateSum(
    [[a.map(positive), positiveOf(W)], [a.map(negative), negativeOf(W)]], b.map(positive), R),
};

// z of two terms (a, W): the four lines for one layer that has both, one below the other.
function propagateSum([[a, W], [other, W_other]], b, R) {
  if (other.every(a_j => a_j === 0)) return propagate(a, W, b, R);
  const D = a.length;
  const both = new Float64Array(2 * D);
  both.set(a);
  both.set(other, D);
  const {R: R_both, row} = propagate(both, stacked(W, W_other), b, R);
  return {R: a.map((_, j) => R_both[j] + R_both[D + j]), row};
}

// The four lines with positive contributions multiplied by 1 + gamma, for a of any sign.
function favourPositive(a, W, b, R, gamma) {
  return propagateSum([[a.map(positive), favoured(W, gamma)],
                       [a.map(negative), favouredNegative(W, gamma)]],
                      favouredVector(b, gamma), R);
}

// Where the relevance of a layer's outputs went: received = inputs + bias + epsilon + dropped.
function ledgerRow(b, z, s, R, R_inputs, epsilon) {
  return {received: total(R), inputs: total(R_inputs), bias: total(b.map((b_k, k) => b_k * s[k])),
          epsilon: total(z.map((z_k, k) => epsilon * sign(z_k) * s[k])),
          dropped: total(R.map((R_k, k) => stabilize(z[k], epsilon) === 0 ? R_k : 0))};
}

// From R at the output of layer `top` down to the pixels; a: what entered each layer. Gives the
// relevance of all that enters a layer, pixels first, and a row of the ledger for each layer.
function relevanceOf(layers, a, R, rule, parameters, top = layers.length - 1) {
  const relevance = [R], ledger = [];
  for (let l = top; l >= 0; l--) {
    const down = RULES[rule](a[l], layers[l].W, layers[l].b, relevance[0], parameters);
    relevance.unshift(down.R);
    ledger.unshift(down.row);
  }
  return {relevance, ledger};
}

function sign(z) { return z >= 0 ? 1 : -1; }            // of 0: +1

function stabilize(z, epsilon) { return z + epsilon * sign(z); }

function positive(x) { return Math.max(x, 0); }

function negative(x) { return Math.min(x, 0); }

function quotient(R, z) { return R.map((R_k, k) => z[k] === 0 ? 0 : R_k / z[k]); }

function plus(x, y) { return x.map((x_k, k) => x_k + y[k]); }

function total(x) { return x.reduce((sum, one) => sum + one, 0); }

function favouredVector(b, gamma) { return b.map(b_k => b_k + gamma * positive(b_k)); }

// Both results of two rules that share R between them.
function sum(one, other) {
  const row = {};
  for (const name in one.row) row[name] = one.row[name] + other.row[name];
  return {R: plus(one.R, other.R), row};
}

// Matrices. Plain loops, because they run at every stroke.

function product(a, W) {                    // a W; inputs that are 0 are skipped
  const z = new Float64Array(W.columns);
  for (let j = 0; j < W.rows; j++) {
    const a_j = a[j], start = j * W.columns;
    if (a_j !== 0) for (let k = 0; k < W.columns; k++) z[k] += a_j * W.values[start + k];
  }
  return z;
}

function transposedProduct(s, W, a) {       // s W^T; left at 0 where a is 0, where R is 0, too
  const c = new Float64Array(W.rows), some = Uint16Array.from(s.keys()).filter(k => s[k] !== 0);
  for (let j = 0; j < W.rows; j++) {
    if (a[j] === 0) continue;
    const start = j * W.columns;
    let c_j = 0;
    for (const k of some) c_j += s[k] * W.values[start + k];
    c[j] = c_j;
  }
  return c;
}

// A matrix of f(w), made once and kept with W until gamma changes.
function mapped(W, name, f, gamma = 0) {
  W.kept = W.kept || {};
  const before = W.kept[name];
  if (before && before.gamma === gamma) return before;
  const values = new Float64Array(W.values.length);
  for (let i = 0; i < values.length; i++) values[i] = f(W.values[i]);
  return W.kept[name] = {rows: W.rows, columns: W.columns, values, gamma};
}

function positiveOf(W) { return mapped(W, "positive", positive); }

function negativeOf(W) { return mapped(W, "negative", negative); }

function minus(W) { return mapped(W, "minus", w => -w); }

function favoured(W, gamma) {
  return mapped(W, "favoured", w => w > 0 ? w + gamma * w : w, gamma);
}

function favouredNegative(W, gamma) {
  return mapped(W, "favoured negative", w => w < 0 ? w + gamma * w : w, gamma);
}

function stacked(W, below) {
  const values = new Float64Array(W.values.length + below.values.length);
  values.set(W.values);
  values.set(below.values, W.values.length);
  return {rows: W.rows + below.rows, columns: W.columns, values};
}
