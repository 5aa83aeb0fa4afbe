// Tabs as ARIA has them: one is in the tab order, arrows move between them.
import { h } from "./dom.js";

// panels: {name: {element}}; opened(name, name of the one before) is called; returns a function that opens one by name,
// with another, `label`, that writes on its tab.
export function tabs(list, place, panels, opened) {
  const names = Object.keys(panels), buttons = {};
  let last = null;
  const label = (name, text) => {
    const span = buttons[name].firstChild;
    span.textContent = span.dataset.label = text;
  };
  const open = (name, focus = false) => {
    for (const each of names) {
      const on = each === name;
      buttons[each].setAttribute("aria-selected", String(on));
      buttons[each].tabIndex = on ? 0 : -1;
      panels[each].element.hidden = !on;
    }
    if (focus) buttons[name].focus();
    opened(name, last);
    last = name;
  };
  for (const name of names) {
    const id = `tab-${name.toLowerCase()}`;
    buttons[name] = h("button", { type: "button", role: "tab", id, "aria-controls": `panel-${name.toLowerCase()}`, onclick: () => open(name) }, h("span", {}));
    label(name, name);
    const panel = panels[name].element;
    panel.id = `panel-${name.toLowerCase()}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    list.append(buttons[name]);
    place.append(panel);
  }
  list.addEventListener("keydown", event => {
    const now = names.findIndex(name => buttons[name] === document.activeElement);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: names.length - 1 }[event.key];
    if (next === undefined || now < 0) return;
    event.preventDefault();
    open(names[(next + names.length) % names.length], true);
  });
  return Object.assign(open, { label });
}
