// "Copy as text, CSV, curl, Python", below every result.
import { asCurl, asPython } from "./api.js";
import { h, say } from "./dom.js";

function asCsv(rows) {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const cell = value => {
    const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return value === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map(row => names.map(name => row[name]))].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { value: text, className: "unseen" }); // a plain http page of another machine has no clipboard
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("The browser refused to copy.");
}

// rows: objects with a text; request: {path, body} of the call that made them.
export function copyBar(rows, request) {
  const forms = {
    Text: () => rows.map(row => row.text).join("\n") + "\n",
    CSV: () => asCsv(rows),
    curl: () => asCurl(request),
    Python: () => asPython(request),
  };
  const buttons = Object.entries(forms).map(([name, form]) => {
    const button = h("button", { type: "button", className: "link" }, name);
    button.addEventListener("click", async () => {
      try {
        await toClipboard(form());
        button.textContent = "Copied";
        say(`Copied as ${name}.`);
      } catch (error) {
        button.textContent = "Not copied";
        say(error.message);
      }
      setTimeout(() => { button.textContent = name; }, 1500);
    });
    return button;
  });
  return h("div", { className: "copy", role: "group", "aria-label": "Copy the result" }, "Copy as", buttons);
}
