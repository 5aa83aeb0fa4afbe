// Elements made from strings; texts of strangers only ever become text nodes.

export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list" && name !== "form") made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
}

export const byId = id => document.getElementById(id);

export function field(label, control) {
  return h("label", { className: "field" }, h("span", {}, label), control);
}

// Where the tools are, for texts: on narrow screens below the map.
export const place = () => (matchMedia("(max-width: 56rem)").matches ? "below" : "on the right");

export function say(text) {
  byId("said").textContent = text;
}

// Run an async action: the button rests meanwhile, an error is shown in the panel and not thrown.
export async function attempt(button, problem, action) {
  problem.hidden = true;
  if (button) button.disabled = true;
  try {
    return await action();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    if (button) button.disabled = false;
  }
}

export const problemBox = () => h("p", { className: "problem", role: "alert", hidden: true });

// Only the latest of several calls runs next: `run` gets the newest value once the call before has ended.
export function latest(run) {
  let running = false, waiting = null;
  return async function ask(value) {
    waiting = { value };
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const next = waiting.value;
        waiting = null;
        await run(next);
      }
    } finally {
      running = false;
    }
  };
}
