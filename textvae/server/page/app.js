// The page: what the server has, the map, and the tools beside it.
import { at, get } from "./api.js";
import { byId, h, say } from "./dom.js";
import { findPanel } from "./find.js";
import { mapPanel } from "./mapping.js";
import { mixPanel } from "./mix.js";
import { rewritePanel } from "./rewrite.js";
import { tabs } from "./tabs.js";
import { varyPanel } from "./vary.js";
import { walkPanel } from "./walk.js";

async function start() {
  const info = await get("/v1/info");
  const desk = { info, index: null, filters: null, map: null, panels: {}, at: () => at(desk.index.name) };
  byId("about").textContent = `Model ${info.model}: a text is ${info.latent_dim} numbers${info.split ? " and its wording" : ""}.`;
  document.title = `textvae: ${info.model}`;
  const makers = { Find: findPanel };
  if (info.writes) Object.assign(makers, { Walk: walkPanel, Rewrite: rewritePanel, Mix: mixPanel, Vary: varyPanel });
  for (const [name, make] of Object.entries(makers)) desk.panels[name] = make(desk);
  desk.go = tabs(byId("tools").querySelector("[role=tablist]"), byId("panels"), desk.panels, (name, last) => {
    const sentence = desk.panels[last]?.sentence?.().trim();
    if (sentence) desk.panels[name].offer?.(sentence);
    desk.map?.tell(name);
  });
  if (!info.indexes.length) {
    document.querySelector("main").classList.add("alone");
    byId("tools").append(h("p", { className: "quiet small" }, "This server has no index, so there is no map and nothing to find. Start it with --index NAME=FOLDER."));
    desk.go(info.writes ? "Vary" : "Find");
    return;
  }
  const select = byId("index");
  select.append(...info.indexes.map(each => h("option", { value: each.name }, `${each.name} (${each.size.toLocaleString("en")})`)));
  byId("choice").hidden = info.indexes.length < 2;
  byId("map").hidden = false;
  desk.map = mapPanel(desk);
  const choose = async () => {
    desk.index = info.indexes.find(each => each.name === select.value);
    for (const panel of Object.values(desk.panels)) panel.reset?.();
    await desk.map.load();
  };
  select.addEventListener("change", () => choose().catch(show));
  desk.go("Find");
  await choose();
}

function show(error) {
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
  say(error.message);
}

start().catch(show);
