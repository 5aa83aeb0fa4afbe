// Rewrite: sliders of attributes, the changed words shown, and new sliders from pasted examples.
import { post } from "./api.js";
import { copyBar } from "./copy.js";
import { shownDiff } from "./diff.js";
import { attempt, field, h, latest, place, problemBox } from "./dom.js";
import { mixButton } from "./find.js";

const CARE = { quick: 1, careful: 8, thorough: 32 };
const PAUSE = 350; // milliseconds of rest before a moved slider is answered

export function rewritePanel(desk) {
  const text = h("textarea", { rows: 2, placeholder: "the room was small and the food was cold" });
  const sliders = h("div", {}), problem = problemBox(), result = h("div", { className: "result" });
  const care = h("select", { onchange: () => soon() }, Object.entries(CARE).map(([name, value]) => h("option", { value, selected: value === CARE.careful }, `${name} (${value})`)));
  const moved = new Map(); // attribute name -> {strength, keep}
  let timer = 0;
  text.addEventListener("input", soon);

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(() => write(), PAUSE);
  }

  function add(attribute) {
    const { name, positive, negative, accuracy } = attribute;
    const state = { strength: 0, keep: false, positive, negative };
    const value = h("output", {}, "as it is");
    const slider = h("input", { type: "range", min: -2, max: 2, step: 0.25, value: 0, "aria-label": name });
    const keep = h("input", { type: "checkbox" });
    slider.addEventListener("input", () => {
      state.strength = Number(slider.value);
      value.textContent = state.strength ? `${state.strength > 0 ? "+" : "\u2212"}${Math.abs(state.strength)}` : "as it is";
      slider.setAttribute("aria-valuetext", `${state.strength}, towards ${state.strength < 0 ? negative : positive}`);
      soon();
    });
    keep.addEventListener("change", () => { state.keep = keep.checked; soon(); });
    moved.set(name, state);
    const sure = accuracy === null ? "" : `, right on ${Math.round(100 * accuracy)}% of its examples`;
    sliders.append(h("div", { className: "slider" },
      h("div", { className: "ends" }, h("span", {}, h("b", {}, name), sure), value),
      slider,
      h("div", { className: "ends" }, h("span", {}, `\u2190 ${negative}`), h("label", { className: "quiet" }, keep, " hold while others move"), h("span", {}, `${positive} \u2192`))));
    none.hidden = true;
    return slider;
  }

  const side = name => moved.get(name)[moved.get(name).strength < 0 ? "negative" : "positive"];
  const write = latest(async () => {
    const attributes = [...moved].filter(([, state]) => state.strength).map(([name, { strength }]) => ({ name, strength }));
    const keep = [...moved].filter(([, state]) => state.keep && !state.strength).map(([name]) => name);
    const source = text.value;
    if (!source.trim() || !attributes.length) return result.replaceChildren();
    const body = { texts: [source], attributes, candidates: Number(care.value), ...(keep.length && { keep }) };
    result.setAttribute("aria-busy", "true");
    await attempt(null, problem, async () => {
      const [found] = (await post("/v1/shift", body)).results;
      const chances = Object.entries(found.probabilities).map(([name, chance]) => [`probability of ${name}, ${side(name)}`, `${Math.round(100 * chance)}%`]);
      const facts = [
        ["goal", found.reached ? "reached, as the model reads it" : "not reached: 90% is asked for; move the slider farther, or choose more effort"], ...chances,
        ["words kept", `${Math.round(100 * found.similarity)}%`],
        ["naturalness", `${found.naturalness.toFixed(2)}, your sentence ${found.naturalness_before.toFixed(2)} (higher is likelier, as the model sees it)`],
      ];
      const same = found.text.trim() === source.trim();
      result.replaceChildren(
        h("p", { className: "big text" }, found.text),
        same ? h("p", { className: "quiet" }, "Nothing had to change.") : h("p", { className: "text diff", "aria-label": "Changed words" }, shownDiff(source, found.text)),
        h("dl", { className: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
        h("div", { className: "row" }, copyBar([csvRow(found)], { path: "/v1/shift", body }), mixButton(desk, found.text)));
    });
    result.removeAttribute("aria-busy");
  });

  const none = h("p", { className: "quiet" }, "There is no slider yet: make one below from examples.");
  const panel = h("div", {},
    h("p", {}, "Move one slider or several: the sentence is rewritten that way, and changed words are shown."),
    h("div", { className: "stack" }, field("A sentence", text), none, sliders, h("label", { className: "quiet small" }, "Effort, in rewrites that are tried ", care)),
    problem, result, maker(desk, attribute => { add(attribute).focus(); soon(); }));
  desk.info.attributes.forEach(add);
  return {
    element: panel,
    sentence: () => text.value,
    offer: sentence => { if (!text.value.trim()) text.value = sentence; },
    take: sentence => {
      text.value = sentence;
      soon();
      return moved.size ? `Now move a slider ${place()}.` : `Now make a slider ${place()}.`;
    },
  };
}

function csvRow({ source, text, reached, probability, similarity, naturalness, probabilities }) {
  const each = Object.fromEntries(Object.entries(probabilities).map(([name, value]) => [`probability of ${name}`, value]));
  return { source, text, reached, probability, similarity, naturalness, ...each };
}

// The form that makes a slider from pasted lines.
function maker(desk, made) {
  const lines = area => area.value.split("\n").map(line => line.trim()).filter(Boolean);
  const name = h("input", { type: "text", placeholder: "polite", pattern: "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}", required: true, autocomplete: "off" });
  const has = h("textarea", { rows: 6, placeholder: "could you please open the window?" });
  const lacks = h("textarea", { rows: 6, placeholder: "open the window." });
  const counted = h("p", { className: "quiet small" }, "");
  const problem = problemBox(), done = h("p", { role: "status" });
  const button = h("button", { className: "main" }, "Make the slider");
  const count = () => {
    const [up, down] = [lines(has).length, lines(lacks).length], few = Math.min(up, down) < 10;
    counted.textContent = `${up} and ${down} lines${few ? "; ten or more of each work best" : ""}.`;
  };
  has.addEventListener("input", count);
  lacks.addEventListener("input", count);
  count();
  const form = h("form", { onsubmit: event => {
    event.preventDefault();
    attempt(button, problem, async () => {
      done.textContent = "";
      const body = { name: name.value.trim(), positive: lines(has), negative: lines(lacks) };
      if (Math.min(body.positive.length, body.negative.length) < 2) throw new Error("Paste at least two lines on each side, one sentence a line.");
      const attribute = await post("/v1/attributes", body);
      made(attribute);
      done.textContent = `The slider "${attribute.name}" is above now.`;
    });
  } }, field("Name", name), h("div", { className: "pair" }, field("Lines that have it", has), field("Lines that lack it", lacks)), counted, problem, h("div", { className: "row" }, button), done);
  const closed = h("p", { className: "quiet" }, "This server may only be read: start it with --writable to make sliders.");
  return h("details", { open: !desk.info.attributes.length }, h("summary", {}, "Make a slider from examples"), desk.info.writable ? form : closed);
}
