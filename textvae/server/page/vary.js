// Vary: the meaning is kept, the wording drawn.
import { post } from "./api.js";
import { copyBar } from "./copy.js";
import { attempt, field, h, place, problemBox } from "./dom.js";
import { mixButton } from "./find.js";

export function varyPanel(desk) {
  const text = h("textarea", { rows: 2, placeholder: "the waiter was rude" });
  const n = h("input", { type: "number", min: 1, max: 50, value: 5 });
  const seed = h("input", { type: "number", min: 0, max: 4294967295, value: 0 });
  const [spread, spreadField] = dial("Spread: 0 stays close, 3 goes far", 0, 3, 0.1, 1);
  const [wording, wordingField] = dial("Wording kept: 0 is free, 1 near a copy", 0, 1, 0.1, 0.5);
  const button = h("button", { className: "main" }, "Vary");
  const more = h("button", { type: "button", hidden: true, onclick: () => { seed.value = Number(seed.value) + 1; form.requestSubmit(); } }, "Others");
  const problem = problemBox(), result = h("div", { className: "result" });
  const form = h("form", { onsubmit: event => {
    event.preventDefault();
    if (!text.value.trim()) return;
    attempt(button, problem, async () => {
      const body = { text: text.value, n: Number(n.value), spread: Number(spread.value), seed: Number(seed.value) };
      if (desk.info.split) body.wording = Number(wording.value);
      result.setAttribute("aria-busy", "true");
      try {
        const { texts } = await post("/v1/vary", body);
        result.replaceChildren(
          h("ol", { className: "hits" }, texts.map(each => h("li", {}, h("div", { className: "text" }, each), h("div", { className: "meta" }, mixButton(desk, each))))),
          copyBar(texts.map(each => ({ text: each })), { path: "/v1/vary", body }));
        more.hidden = false;
      } finally {
        result.removeAttribute("aria-busy");
      }
    });
  } },
  field("A sentence", text), spreadField, desk.info.split ? wordingField : null,
  h("div", { className: "row" }, field("How many", n), field("Seed: the same gives the same", seed)),
  h("div", { className: "row" }, button, more));
  text.addEventListener("keydown", event => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
  });
  return {
    element: h("div", {}, h("p", {}, "Keep what a sentence means and draw other wordings of it."), form, problem, result),
    sentence: () => text.value,
    offer: sentence => { if (!text.value.trim()) text.value = sentence; },
    take: sentence => {
      text.value = sentence;
      form.requestSubmit();
      return `Its variations are listed ${place()}.`;
    },
  };
}

function dial(label, min, max, step, value) {
  const input = h("input", { type: "range", min, max, step, value }), shown = h("output", {}, value.toFixed(1));
  input.addEventListener("input", () => { shown.textContent = Number(input.value).toFixed(1); });
  return [input, field(label, h("div", { className: "ends" }, input, shown))];
}
