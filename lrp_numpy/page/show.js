"use strict";
// What the page shows of a result; nothing here computes relevance.

const ABOUT = {
  "0": "LRP-0 shares in proportion to each contribution, nothing else. Where contributions nearly cancel, relevance is " +
       "huge on both sides.",
  "epsilon": "LRP-epsilon makes each denominator larger by epsilon. Sums near 0 then pass on less: the stabilizer keeps " +
       "it, see the ledger.",
  "gamma": "LRP-gamma multiplies positive weights and biases by 1 + gamma. The larger gamma, the less negative evidence is left.",
  "gamma_generalized": "Generalized LRP-gamma multiplies contributions with the sign of their sum by 1 + gamma: for " +
       "outputs of either sign.",
  "alpha_beta": "LRP-alpha-beta treats positive and negative contributions separately: the first share twice the " +
       "relevance, the second once, with a minus.",
  "z_plus": "LRP-z+ counts positive contributions only. Where LRP-gamma applies, z+ is its limit for an ever larger gamma.",
};
const PARTS = {inputs: "the pixels", bias: "the biases", epsilon: "epsilon", dropped: "dropped"};
const MOST_NEURONS = 12;

function element(id) { return document.getElementById(id); }

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The text of an element; left alone if it is the same, so that a screen reader does not repeat it.
function say(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function barCell(from, to, low, high, kind = "") {
  const share = x => 100 * (x - low) / (high - low), left = share(Math.min(from, to));
  const part = make("i", {className: kind});
  part.style.left = `${left}%`;
  part.style.width = `${share(Math.max(from, to)) - left}%`;
  return make("td", {}, make("div", {className: "bar"}, part));
}

function showOutputs(logits, probabilities, chosen) {
  element("outputs").tBodies[0].replaceChildren(...Array.from(logits, (logit, k) => make(
    "tr", {className: chosen.includes(k) ? "chosen" : ""},
    make("th", {scope: "row"}, String(k)), make("td", {}, number(logit)),
    make("td", {}, `${number(100 * probabilities[k], 1)} %`), barCell(0, probabilities[k], 0, 1))));
}

// The parts one after another, from 0 to their sum: a bar begins where the one above it ends.
function showLedger(ledger, title) {
  const parts = {inputs: ledger[0].inputs};
  for (const name of ["bias", "epsilon", "dropped"]) parts[name] = total(ledger.map(row => row[name]));
  const ends = [0];
  for (const name in parts) ends.push(ends[ends.length - 1] + parts[name]);
  const low = Math.min(...ends), high = Math.max(...ends, low + 1e-9);
  const rows = Object.keys(parts).map((name, i) => make("tr", {},
    make("th", {scope: "row"}, PARTS[name]), make("td", {}, number(parts[name])),
    barCell(ends[i], ends[i + 1], low, high, parts[name] < 0 ? "against" : "for")));
  const received = ledger[ledger.length - 1].received;
  rows.push(make("tr", {className: "sum"}, make("th", {scope: "row"}, title),
                 make("td", {}, number(received)), barCell(0, received, low, high)));
  element("ledger").tBodies[0].replaceChildren(...rows);
  say("ledger-caption", `Where the ${number(received)} of ${title} went`);
  return parts;
}

function showHeatmap(R, caption, canvas = "heatmap", low = "low", high = "high", text = "heatmap-caption") {
  const limit = paintRelevance(element(canvas), R);
  say(low, number(-limit, 3));
  say(high, `+${number(limit, 3)}`);
  say(text, caption);
  element(canvas).setAttribute("aria-label", caption);
}

// A row of buttons for each hidden layer: its neurons with the most relevance. relevance: of what
// enters each layer, pixels first; chosen: {layer, neuron} or null; choose: called with both.
function showNeurons(relevance, chosen, choose) {
  const groups = [];
  for (let layer = 0; layer < relevance.length - 2; layer++) {
    const R = relevance[layer + 1], limit = symmetricLimit(R);
    const most = Array.from(R.keys()).sort((i, j) => Math.abs(R[j]) - Math.abs(R[i]));
    const buttons = most.slice(0, MOST_NEURONS).filter(neuron => R[neuron] !== 0).map(neuron => {
      const button = make("button", {type: "button", onclick: () => choose(layer, neuron)},
                          `${neuron}: ${number(R[neuron])}`);
      const isChosen = chosen && chosen.layer === layer && chosen.neuron === neuron;
      button.setAttribute("aria-pressed", Boolean(isChosen));
      Object.assign(button.dataset, {layer, neuron});
      button.style.setProperty("--share", rgb(relevanceColour(R[neuron] / limit)));
      return button;
    });
    const title = make("h3", {id: `layer-${layer}`}, `Hidden layer ${layer + 1}: neuron and its relevance`);
    const group = make("div", {role: "group"}, ...buttons);
    group.setAttribute("aria-labelledby", title.id);
    groups.push(title, group);
  }
  const {layer, neuron} = document.activeElement ? document.activeElement.dataset : {};
  element("neurons").replaceChildren(...groups);
  const again = neuron && element("neurons").querySelector(`[data-layer="${layer}"][data-neuron="${neuron}"]`);
  if (again) again.focus();
}
