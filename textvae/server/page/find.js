// Find: where a sentence lies, its neighbours, and whether the model knows it.
import { post } from "./api.js";
import { copyBar } from "./copy.js";
import { attempt, field, h, place, problemBox } from "./dom.js";

const HITS = 10;
const UNKNOWN = { true: 0.01, false: 0.25 }; // below these the command line warns too

export function findPanel(desk) {
  const text = h("textarea", { rows: 2, placeholder: "the staff was friendly" });
  const button = h("button", { className: "main" }, "Find");
  const problem = problemBox(), result = h("div", { className: "result" });
  let marks = [], asked = "";
  const form = h("form", { onsubmit: event => { event.preventDefault(); find(text.value); } },
    field("A sentence", text), h("div", { className: "row" }, button));
  text.addEventListener("keydown", event => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
  });

  async function find(sentence) {
    if (!sentence.trim()) return;
    asked = sentence;
    await attempt(button, problem, async () => {
      result.setAttribute("aria-busy", "true");
      const where = desk.filters?.where() ?? null;
      try {
        if (!desk.index) return await alone(sentence);
        const body = { text: sentence, k: HITS, ...(where && { where }) };
        const found = await post(`${desk.at()}/place`, body);
        marks = [...desk.map.of(found.neighbours), { x: found.x, y: found.y, filled: true, label: "your sentence" }].filter(mark => mark.x !== null);
        desk.map.refresh();
        if (found.x !== null) desk.map.map.reveal(found.x, found.y);
        const request = { path: `${desk.at()}/search`, body };
        result.replaceChildren(
          ...known(found.familiarity, found.calibrated, desk.info.split),
          h("h3", {}, `Its nearest texts${where ? " among those chosen" : ""}, with their closeness: 1 is the same`),
          h("ol", { className: "hits" }, found.neighbours.map(hit => row(desk, hit))),
          copyBar(found.neighbours.map(csvRow), request));
      } finally {
        result.removeAttribute("aria-busy");
      }
    });
  }

  async function alone(sentence) {
    const { rows } = await post("/v1/score", { texts: [sentence] });
    result.replaceChildren(...known(rows[0].familiarity));
  }

  return {
    element: h("div", {}, h("p", {}, "Type a sentence: it appears on the map where it lies, with the texts that are nearest in meaning."), form, problem, result),
    take: sentence => {
      text.value = sentence;
      find(sentence);
      return `Its neighbours are listed ${place()}.`;
    },
    sentence: () => text.value,
    offer: sentence => { if (!text.value.trim()) text.value = sentence; },
    again: () => { if (asked) find(asked); },
    moved: () => { if (asked) find(asked); },
    marks: () => [marks],
    reset: () => { marks = []; asked = ""; result.replaceChildren(); },
  };
}

// Metadata may have keys of the same names.
const csvRow = ({ id, score, text, metadata }) => Object.assign({ id, score, text }, metadata, { id, score, text });

export function row(desk, hit) {
  const facts = Object.entries(hit.metadata ?? {}).map(([name, value]) => h("span", {}, `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`));
  const use = (label, about, act) => h("button", { type: "button", className: "link", "aria-label": `${about}: ${hit.text}`, onclick: act }, label);
  const steps = desk.info.writes ? [
    use("Walk from here", "Start a walk here", () => { desk.panels.Walk.from(hit.text); desk.go("Walk"); }),
    use("Walk to here", "End the walk here", () => { desk.panels.Walk.to(hit.text); desk.go("Walk"); }),
    use("Rewrite", "Rewrite", () => { desk.panels.Rewrite.take(hit.text); desk.go("Rewrite"); }),
    mixButton(desk, hit.text),
  ] : [];
  const ring = id => () => desk.map?.point(id);
  return h("li", { onpointerenter: ring(hit.id), onpointerleave: ring(null), onfocusin: ring(hit.id), onfocusout: ring(null) },
    h("div", { className: "text" }, hit.text),
    h("div", { className: "meta" }, h("span", { title: "Closeness: larger is nearer" }, hit.score.toFixed(2)), facts),
    h("div", { className: "meta" }, steps));
}

export function mixButton(desk, text) {
  const button = h("button", { type: "button", className: "link", "aria-label": `Add to the mix: ${text}` }, "Add to mix");
  button.addEventListener("click", () => {
    desk.panels.Mix.take(text);
    button.textContent = "In the mix";
  });
  return button;
}

function known(familiarity, calibrated, split) {
  if (familiarity === null) return [];
  const title = h("h3", {}, "Does the model know this text?");
  if (calibrated === undefined) return [title, h("p", {}, `Familiarity: ${Math.round(100 * familiarity)} of 100.`)];
  if (split && !calibrated) // its slots bring back words of any kind
    return [title, h("p", { className: "familiarity" }, "It cannot tell: its familiarity was not measured in training.")];
  const percent = Math.round(100 * familiarity), unknown = familiarity < UNKNOWN[calibrated];
  const words = unknown
    ? "No. Its words or its kind are strange to the model: what is written from here will stray."
    : calibrated ? `Yes, better than ${percent}% of texts of the kind it was trained on.` : `${percent}% of its words come back when the model reads and writes it.`;
  return [
    title,
    h("p", { className: "familiarity" }, words),
    h("meter", { min: 0, max: 1, low: UNKNOWN[calibrated], value: familiarity, "aria-label": "Familiarity" }),
  ];
}
