// Mix: one text from several, weighed; and A - B + C.
import { post } from "./api.js";
import { copyBar } from "./copy.js";
import { attempt, field, h, place, problemBox, say } from "./dom.js";

export function mixPanel(desk) {
  const picks = []; // {text, weight}
  const list = h("ul", { className: "hits" }), empty = h("p", { className: "quiet" }, "Nothing is in the mix yet.");
  const own = h("input", { type: "text", placeholder: "or type a sentence and press Enter" });
  const blend = h("button", { type: "button", className: "main" }, "Write one text");
  const problem = problemBox(), result = h("div", { className: "result" });
  const clear = h("button", { type: "button", onclick: () => { picks.length = 0; draw(); } }, "Empty the mix");
  const choices = h("datalist", { id: "mixed" });

  function draw() {
    empty.hidden = picks.length > 0;
    blend.disabled = picks.length < 2;
    clear.hidden = !picks.length;
    desk.go?.label("Mix", picks.length ? `Mix (${picks.length})` : "Mix");
    choices.replaceChildren(...picks.map(({ text }) => h("option", { value: text })));
    list.replaceChildren(...picks.map(pick => {
      const weight = h("input", { type: "range", min: 0, max: 2, step: 0.1, value: pick.weight, "aria-label": `Weight of: ${pick.text}` });
      const shown = h("output", {}, pick.weight.toFixed(1));
      weight.addEventListener("input", () => { pick.weight = Number(weight.value); shown.textContent = pick.weight.toFixed(1); });
      const drop = h("button", { type: "button", className: "link", "aria-label": `Remove: ${pick.text}`, onclick: () => { picks.splice(picks.indexOf(pick), 1); draw(); } }, "Remove");
      return h("li", {}, h("div", { className: "text" }, pick.text), h("div", { className: "ends" }, "weight", weight, shown, drop));
    }));
  }

  const counted = () => `${picks.length} ${picks.length === 1 ? "text is" : "texts are"} in the mix${picks.length > 1 ? `: write one text from them ${place()}` : ""}.`;

  function take(text) {
    const clean = text.trim();
    if (!clean) return counted();
    if (!picks.some(pick => pick.text === clean)) picks.push({ text: clean, weight: 1 });
    draw();
    say(counted());
    return counted();
  }

  own.addEventListener("keydown", event => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    take(own.value);
    own.value = "";
  });

  blend.addEventListener("click", () => attempt(blend, problem, async () => {
    take(own.value);
    own.value = "";
    const body = { texts: picks.map(pick => pick.text), weights: picks.map(pick => pick.weight) };
    const { text } = await post("/v1/blend", body);
    answer(result, text, { path: "/v1/blend", body });
  }));

  function answer(box, text, request) {
    box.replaceChildren(h("p", { className: "big text" }, text), copyBar([{ text }], request));
  }

  const terms = Object.fromEntries(["a", "b", "c"].map(name => [name, h("input", { type: "text", required: true, list: "mixed", autocomplete: "off" })]));
  const sum = h("button", { className: "main" }, "Write A \u2212 B + C");
  const wrong = problemBox(), sums = h("div", { className: "result" });
  const sumForm = h("form", { onsubmit: event => {
    event.preventDefault();
    attempt(sum, wrong, async () => {
      // the server's analogy is c + (b - a): "c is to the answer as a is to b"
      const body = { a: terms.b.value, b: terms.a.value, c: terms.c.value };
      const { text } = await post("/v1/analogy", body);
      answer(sums, text, { path: "/v1/analogy", body });
      if (text.trim() === terms.a.value.trim()) sums.prepend(h("p", { className: "quiet" }, "The sum is written as A itself: the step from B to C is too small to change it."));
    });
  } }, field("A", terms.a), field("\u2212 B: what is taken away", terms.b), field("+ C: what is put in its place", terms.c), h("div", { className: "row" }, sum));

  draw();
  return {
    element: h("div", {},
      h("p", {}, "Put texts into the mix, by clicking dots or \u201cAdd to mix\u201d, and write one text from what they have in common."),
      empty, list, own, h("div", { className: "row spaced" }, blend, clear), problem, result,
      h("h3", {}, "A \u2212 B + C"),
      h("p", { className: "quiet" }, "Take A, take away what makes it B, add what makes it C. Texts of the mix are offered as you type."),
      sumForm, wrong, sums, choices),
    take,
    marks: () => [[]],
  };
}
