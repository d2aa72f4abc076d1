"use strict";
// The state of the page, and what changes it. Every change ends in `update`.

const {layers} = decodeNetwork(WRITTEN.network), TEST_DIGITS = decodeDigits(WRITTEN.digits);
const PREDICTED = "predicted", NONE = "none";
const state = {
  ink: new Float64Array(SHEET * SHEET),     // the sheet
  pen: [SHEET / 2, SHEET / 2], isDown: false, hasKeys: false,   // the pen that keys move
  last: null,                               // where mouse or finger last touched the sheet
  digit: null,                              // the test digit on the sheet, as the network saw it
  chosen: null,                             // {layer, neuron}
};

// What is explained: R at the logits, and its name. "4 and not 9" starts with +z_4 and -z_9.
function question(logits) {
  const chosen = element("target").value, other = element("other").value;
  const target = chosen === PREDICTED ? indexOfLargest(logits) : Number(chosen);
  const start = new Float64Array(logits.length);
  start[target] = logits[target];
  if (other === NONE || Number(other) === target)
    return {start, classes: [target], title: `the logit of ${target}`, short: `${target}`};
  start[Number(other)] = -logits[Number(other)];
  return {start, classes: [target, Number(other)], title: `z${target} \u2212 z${other}`,
          short: `${target} and not ${other}`};
}

function parameters() {
  return {epsilon: Number(element("epsilon").value), gamma: Number(element("gamma").value)};
}

function update() {
  const pixels = state.digit || likeMnist(state.ink), a = forward(layers, pixels);
  const logits = a[a.length - 1], probabilities = softmax(logits), isEmpty = !pixels.some(x => x > 0);
  const {start, classes, title, short} = question(logits), rule = element("rule").value;
  const {relevance, ledger} = relevanceOf(layers, a, start, rule, parameters());
  paintSheet();
  paint(element("seen"), pixels, inkColour);
  showHeatmap(relevance[0], isEmpty ? "Relevance: none, the sheet is empty" : `Why ${short}? Relevance of each pixel`);
  showOutputs(logits, probabilities, classes);
  showLedger(ledger, title);
  showNeurons(relevance, state.chosen, choose);
  showNeuron(a, relevance, rule);
  showControls(rule, logits, classes, isGammaMade(rule, a, relevance));
  const predicted = indexOfLargest(logits);
  say("said", isEmpty ? "The sheet is empty. Draw a digit." :
    `The network reads ${predicted === 8 ? "an" : "a"} ${predicted} (probability ${number(100 * probabilities[predicted], 1)} %).`);
}

// LRP-gamma assumes a >= 0, and z >= 0 where R is not 0, in every layer: see utils/assumptions.py.
function isGammaMade(rule, a, relevance) {
  return rule !== "gamma" || layers.every(({W, b}, l) => a[l].every(a_j => a_j >= 0) &&
    plus(product(a[l], W), b).every((z_k, k) => z_k >= 0 || relevance[l + 1][k] === 0));
}

function showControls(rule, logits, classes, isMade) {
  say("about-rule", ABOUT[rule]);
  for (const name of ["epsilon", "gamma"]) {
    say(`${name}-value`, number(parameters()[name]));
    element(name).parentElement.hidden = !(name === rule || (name === "gamma" && rule === "gamma_generalized"));
  }
  const isSame = Number(element("other").value) === classes[0];     // Number("none") is NaN
  say("warning", isSame ? `Both choices are ${classes[0]}. For "why this and not that", choose two different digits.` :
    isMade ? "" : classes.some(k => logits[k] < 0) ?
      "LRP-gamma is made for a logit above 0; this one is below. Take generalized LRP-gamma." :
      "LRP-gamma is made for activations and sums above 0; some here are below. Take generalized LRP-gamma.");
}

// The pixels that a hidden neuron hands its relevance to: down from R at that neuron alone.
function showNeuron(a, relevance, rule) {
  const figure = element("of-neuron").parentElement.parentElement;
  figure.hidden = !state.chosen;
  if (!state.chosen) return;
  const {layer, neuron} = state.chosen, start = new Float64Array(relevance[layer + 1].length);
  start[neuron] = relevance[layer + 1][neuron];
  const own = relevanceOf(layers, a, start, rule, parameters(), layer);
  showHeatmap(own.relevance[0], `Neuron ${neuron} of hidden layer ${layer + 1} outputs ${number(a[layer + 1][neuron])}, ` +
    `received ${number(start[neuron])}, and hands ${number(total(own.relevance[0]))} to these pixels.`,
    "of-neuron", "neuron-low", "neuron-high", "neuron-caption");
}

function choose(layer, neuron) {
  state.chosen = {layer, neuron};
  update();
}

function paintSheet() {
  paint(element("sheet"), state.ink, inkColour);
  if (state.hasKeys) {
    const context = element("sheet").getContext("2d");
    context.strokeStyle = rgb(state.isDown ? FOR : AGAINST);
    context.lineWidth = 3;
    context.beginPath();
    context.arc(...state.pen, radius(), 0, 2 * Math.PI);
    context.stroke();
  }
}

// Drawing

function erases() { return element("erases").checked; }

function radius() { return erases() ? ERASER : PEN; }

function draw(from, to) {
  state.digit = null;
  stroke(state.ink, from, to, radius(), erases());
  soon();
}

let isDue = false;

function soon() {                           // at most one update a frame of the screen
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; update(); });
}

function placeOf(event) {
  const box = element("sheet").getBoundingClientRect();
  return [(event.clientX - box.left) * SHEET / box.width, (event.clientY - box.top) * SHEET / box.height];
}

function onPress(event) {
  event.preventDefault();
  element("sheet").setPointerCapture(event.pointerId);
  state.hasKeys = false;
  state.last = placeOf(event);
  draw(state.last, state.last);
}

function onMove(event) {
  if (!state.last) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const one of events.length ? events : [event]) {
    const place = placeOf(one);
    draw(state.last, place);
    state.last = place;
  }
}

function onKey(event) {
  const step = event.shiftKey ? 3 * SCALE : SCALE;
  const way = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[event.key];
  if (!way && event.key !== " ") return;
  event.preventDefault();
  state.hasKeys = true;
  const from = state.pen;
  if (way) state.pen = state.pen.map((x, i) => Math.min(Math.max(x + way[i], 0), SHEET - 1));
  else state.isDown = !state.isDown;
  if (state.isDown) draw(from, state.pen);
  else soon();
}

function clearSheet() {
  state.ink = new Float64Array(SHEET * SHEET);
  Object.assign(state, {digit: null, isDown: false, pen: [SHEET / 2, SHEET / 2]});
  update();
}

function take(pixels) {
  state.digit = pixels;
  state.ink = enlarged(pixels);
  update();
}

// The page as it begins

function options(select, all) {
  element(select).replaceChildren(...all.map(([value, text]) => make("option", {value}, text)));
}

function begin() {
  const classes = layers[layers.length - 1].b.length, each = Array.from({length: classes}, (_, k) => [k, `${k}`]);
  options("target", [[PREDICTED, "the predicted digit"], ...each]);
  options("other", [[NONE, "no other"], ...each]);
  element("digits").replaceChildren(...TEST_DIGITS.map(({label, pixels}) => {
    const canvas = make("canvas");
    paint(canvas, pixels, inkColour);
    const button = make("button", {type: "button", onclick: () => take(pixels)}, canvas);
    button.setAttribute("aria-label", `Test digit: ${label}`);
    return button;
  }));
  for (const id of ["target", "other", "rule", "epsilon", "gamma"]) element(id).addEventListener("input", soon);
  element("clear").addEventListener("click", clearSheet);
  element("erases").addEventListener("input", soon);
  const sheet = element("sheet");
  sheet.addEventListener("pointerdown", onPress);
  sheet.addEventListener("pointermove", onMove);
  for (const name of ["pointerup", "pointercancel"]) sheet.addEventListener(name, () => { state.last = null; });
  sheet.addEventListener("keydown", onKey);
  sheet.addEventListener("blur", () => { state.hasKeys = false; soon(); });
  element("code").textContent = propagate.toString();
  element("gamma-code").textContent = RULES.gamma.toString().replace(/\s+/g, " ");
  take(TEST_DIGITS[WRITTEN.digits.first].pixels);
}

begin();
