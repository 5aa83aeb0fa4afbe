// Walk: from one sentence to another; the sentence in between is written while the slider is dragged.
import { post } from "./api.js";
import { copyBar } from "./copy.js";
import { attempt, field, h, latest, place, problemBox } from "./dom.js";
import { mixButton } from "./find.js";

const STEPS = 40; // places of the slider
const LISTED = 7;

export function walkPanel(desk) {
  const ends = { a: h("textarea", { rows: 2 }), b: h("textarea", { rows: 2 }) };
  const slider = h("input", { type: "range", min: 0, max: STEPS, step: 1, value: 0, disabled: true, "aria-label": "Position on the way" });
  const written = h("p", { className: "big steady text", "aria-live": "polite" });
  const problem = problemBox(), copy = h("div", {}), list = h("div", {});
  const result = h("div", { className: "result" }, h("div", { className: "ends" }, "start", slider, "end"), written, copy);
  const all = h("button", { type: "button", disabled: true }, `Write ${LISTED} steps`);
  const places = { a: null, b: null };
  const cache = new Map();
  let next = "a", version = 0;

  for (const name of ["a", "b"]) {
    ends[name].addEventListener("input", enable);
    ends[name].addEventListener("change", () => { places[name] = null; changed(); });
  }
  slider.addEventListener("input", () => {
    desk.map?.refresh();
    show(Number(slider.value), true);
  });
  slider.addEventListener("change", () => show(Number(slider.value), false));
  all.addEventListener("click", () => attempt(all, problem, steps));

  function set(name, text, where = null) {
    ends[name].value = text;
    places[name] = where;
    changed();
  }

  // While an end is typed, so that the key Tab and the pointer find the slider.
  function enable() {
    slider.disabled = all.disabled = !(ends.a.value.trim() && ends.b.value.trim());
    return !all.disabled;
  }

  function changed() {
    version++;
    cache.clear();
    list.replaceChildren();
    copy.replaceChildren();
    written.textContent = "";
    const ready = enable();
    if (!desk.index) return ready && show(Number(slider.value), false);
    slider.value = 0;
    for (const name of ["a", "b"]) locate(name);
    desk.map.refresh();
    if (ready) show(0, false);
  }

  async function locate(name) {
    const text = ends[name].value, now = version;
    if (places[name] || !text.trim()) return;
    const { x, y } = await post(`${desk.at()}/place`, { text, k: 1 }).catch(() => ({ x: null }));
    if (now !== version || x === null) return;
    places[name] = { x, y };
    desk.map.map.reveal(x, y);
    desk.map.refresh();
  }

  // While the slider moves a model with slots writes one draft; at rest it writes several and takes the best.
  // The ends are asked for as a path of two texts, which is written from exact latents: they are the sentences themselves.
  const body = (step, quick) => ({
    a: ends.a.value, b: ends.b.value,
    ...(step % STEPS ? { at: [step / STEPS], ...(quick && { drafts: 1 }) } : { n: 2 }),
  });
  const keyOf = (step, quick) => `${step} ${quick}`;

  const write = latest(async ({ step, quick }) => {
    const now = version;
    await attempt(null, problem, async () => {
      const { texts } = await post("/v1/interpolate", body(step, quick));
      if (now !== version) return;
      cache.set(keyOf(step, quick), texts[step === STEPS ? 1 : 0]);
      display(step, quick);
    });
    if (!problem.hidden) result.removeAttribute("aria-busy");
  });

  function show(step, quick) {
    quick &&= desk.info.split;
    slider.setAttribute("aria-valuetext", `${Math.round(100 * step / STEPS)}% of the way`);
    if (cache.has(keyOf(step, quick))) return display(step, quick);
    result.setAttribute("aria-busy", "true");
    write({ step, quick });
  }

  function display(step, quick) {
    const text = cache.get(keyOf(step, quick));
    if (Number(slider.value) === step) result.removeAttribute("aria-busy");
    written.textContent = text;
    copy.replaceChildren(h("div", { className: "row" },
      copyBar([{ position: step / STEPS, text }], { path: "/v1/interpolate", body: body(step, quick) }), mixButton(desk, text)));
  }

  async function steps() {
    const asked = { a: ends.a.value, b: ends.b.value, n: LISTED };
    const { texts, positions } = await post("/v1/interpolate", asked);
    const rows = texts.map((text, i) => ({ position: positions[i], text }));
    list.replaceChildren(
      h("ol", { className: "hits" }, texts.map(text => h("li", { className: "text" }, text))),
      copyBar(rows, { path: "/v1/interpolate", body: asked }));
  }

  const swap = h("button", { type: "button", onclick: () => {
    [ends.a.value, ends.b.value] = [ends.b.value, ends.a.value];
    [places.a, places.b] = [places.b, places.a];
    changed();
  } }, "Swap");

  return {
    element: h("div", {},
      h("p", {}, "Choose two sentences, by clicking two dots or by typing, and move the slider from one to the other: the sentence is written on the way."),
      h("div", { className: "stack" }, field("Start", ends.a), field("End", ends.b)), problem, result,
      h("div", { className: "row" }, all, swap), list),
    take: (text, where) => {
      if (next === "a" && where && ends.b.value) { // a third dot begins another walk
        ends.b.value = "";
        places.b = null;
      }
      set(next, text, where);
      next = next === "a" ? "b" : "a";
      return ends.a.value && ends.b.value ? `Now drag the slider ${place()}.` : "The start is set: click the dot where the walk ends.";
    },
    from: text => { set("a", text); next = "b"; },
    to: text => { set("b", text); next = "a"; },
    marks: () => {
      const { a, b } = places, t = Number(slider.value) / STEPS;
      const marks = [a && { ...a, filled: true, label: "start" }, b && { ...b, filled: true, label: "end" }].filter(Boolean);
      if (a && b) marks.push({ x: a.x + t * (b.x - a.x), y: a.y + t * (b.y - a.y) });
      return [marks, a && b ? [a, b] : null];
    },
    moved: () => { places.a = places.b = null; for (const name of ["a", "b"]) locate(name); },
    reset: () => { places.a = places.b = null; },
  };
}
