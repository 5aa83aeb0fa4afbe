// The map beside the tools: colours, filters, texts on hover, marks of what the tools do.
import { get } from "./api.js";
import { colouring, OTHERS } from "./colours.js";
import { byId, h, say } from "./dom.js";
import { Filters } from "./filter.js";
import { TextMap } from "./map.js";

const HINTS = {
  Find: "Each dot is a text, and alike texts lie near each other. Point at a dot to read it, click it to find its neighbours.",
  Walk: "Click two dots: the first is the start of the walk, the second its end.",
  Rewrite: "Click a dot to rewrite its text.",
  Mix: "Click dots to put their texts into the mix.",
  Vary: "Click a dot to vary its text.",
};
const MOST_CHIPS = 12;
const WAIT = 2500; // milliseconds before a map that is being computed is asked for again
const KEPT_TEXTS = 2000;

export function mapPanel(desk) {
  const stage = byId("stage"), tip = byId("tip"), chips = byId("chips"), select = byId("colour");
  const texts = new Map();
  let data = null, rows = new Map(), tool = "Find", everything = false, wanted = -1;
  desk.filters = new Filters();
  const map = new TextMap(stage, { hover, pick, miss });
  byId("closer").onclick = () => map.zoomBy(1.6);
  byId("farther").onclick = () => map.zoomBy(1 / 1.6);
  byId("whole").onclick = () => map.whole();
  select.onchange = () => { everything = false; colour(); };

  async function item(i) {
    const id = data.ids[i];
    if (!texts.has(id)) {
      const { items } = await get(`${desk.at()}/items?ids=${encodeURIComponent(id)}`);
      if (texts.size > KEPT_TEXTS) texts.clear();
      texts.set(id, items[0]);
    }
    return texts.get(id);
  }

  async function hover(i) {
    wanted = i;
    tip.hidden = true;
    if (i < 0) return;
    await new Promise(done => setTimeout(done, 30));
    if (wanted !== i) return;
    const found = await item(i).catch(() => null);
    if (wanted !== i || !found) return;
    tip.textContent = found.text;
    tip.hidden = false;
    const [x, y] = map.pixelOf(i);
    tip.style.left = `${Math.max(4, Math.min(x + 14, stage.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y > tip.offsetHeight + 24 ? y - tip.offsetHeight - 14 : y + 16}px`;
    if (document.activeElement === stage) say(found.text);
  }

  async function pick(i) {
    const found = await item(i).catch(error => { say(error.message); return null; });
    if (!found) return;
    const told = desk.panels[tool].take(found.text, { x: data.x[i], y: data.y[i] });
    byId("hint").textContent = told;
    say(told);
  }

  function miss() {
    if (!data?.ids.length) return;
    const told = "No dot is near there: point at a dot until its text shows, then click.";
    byId("hint").textContent = told;
    say(told);
  }

  async function load(again = false) {
    const answer = await get(`${desk.at()}/map`);
    if (!again) {
      texts.clear();
      desk.filters.chosen.clear();
      select.replaceChildren(h("option", { value: "" }, "nothing"), ...answer.fields.map(each => h("option", { value: each.name }, each.name)));
      select.value = answer.fields.find(each => each.kind === "groups" && each.values.length > 1)?.name ?? "";
    }
    const changed = !data || !again || data.method !== answer.method;
    data = answer;
    if (changed) {
      rows = new Map(data.ids.map((id, i) => [id, i]));
      map.setPoints(data.x, data.y, data.scale);
      map.setMarks([]);
    }
    colour();
    if (changed && again) for (const panel of Object.values(desk.panels)) panel.moved?.();
    tell(tool);
    byId("map-title").textContent = data.ids.length < data.total
      ? `Map of ${data.ids.length.toLocaleString("en")} of ${data.total.toLocaleString("en")} texts` : `Map of ${data.total.toLocaleString("en")} texts`;
    stage.setAttribute("aria-label", `Map of ${data.ids.length} texts`);
    if (data.pending) setTimeout(() => load(true).catch(() => {}), WAIT);
  }

  function colour() {
    const field = data.fields.find(each => each.name === select.value);
    const { codes, colours } = colouring(field, data.ids.length);
    map.setColours(codes, colours, desk.filters.shown(data.fields, data.ids.length));
    const shown = [];
    for (const [name, values] of desk.filters.chosen)
      if (name !== field?.name) for (const value of values) shown.push(chip(name, value, null, `${name}: ${value}`));
    if (field?.kind === "groups") {
      const most = everything ? field.values.length : MOST_CHIPS;
      field.values.slice(0, most).forEach((value, i) => shown.push(chip(field.name, value, i < colours.length - 1 ? colours[i] : OTHERS, String(value))));
      if (field.values.length > most)
        shown.push(h("button", { type: "button", className: "chip", onclick: () => { everything = true; colour(); } }, `${field.values.length - most} more`));
    } else if (field) {
      const bar = h("span", { className: "scale" });
      bar.style.background = `linear-gradient(90deg, ${colours.slice(0, -1).join(", ")})`;
      shown.push(h("span", { className: "ends" }, field.low.toLocaleString("en"), bar, field.high.toLocaleString("en")));
    }
    if (desk.filters.chosen.size)
      shown.push(h("button", { type: "button", className: "link", onclick: () => { desk.filters.chosen.clear(); colour(); desk.panels.Find.again(); } }, "Show all"));
    chips.replaceChildren(...shown);
  }

  function chip(field, value, colour_, label) {
    const dot = colour_ && h("span", { className: "dot" });
    if (dot) dot.style.background = colour_;
    const made = h("button", { type: "button", className: "chip", "aria-pressed": String(desk.filters.has(field, value)) }, dot, label);
    made.addEventListener("click", () => {
      desk.filters.toggle(field, value);
      colour();
      [...chips.querySelectorAll("button")].find(each => each.textContent === label)?.focus();
      desk.panels.Find.again();
    });
    return made;
  }

  function tell(name) {
    tool = name;
    const rough = data?.pending ? " This is a first sketch; a clearer map is being computed." : "";
    byId("hint").textContent = data && !data.ids.length ? "An index of fewer than three texts has no map." : HINTS[name] + rough;
    refresh();
  }

  function refresh() {
    const panel = desk.panels[tool];
    panel.marks ? show(...panel.marks()) : map.setMarks([]);
  }

  function show(marks, line) {
    const placed = marks.filter(mark => mark.x !== null && mark.x !== undefined);
    map.setMarks(placed, line);
  }

  return {
    load, tell, refresh, map,
    // Where hits lie, as marks.
    of: hits => hits.map(hit => rows.get(hit.id)).filter(i => i !== undefined).map(i => ({ x: data.x[i], y: data.y[i], small: true })),
    // Ring the dot of an id, or none.
    point: id => map.ring(rows.get(id) ?? -1),
  };
}
