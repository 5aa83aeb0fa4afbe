// Requests to the server, and the same requests as curl and Python.
import { byId } from "./dom.js";

const KEPT = "textvae-key";

export const key = () => sessionStorage.getItem(KEPT);

async function askForKey() {
  const door = byId("door");
  if (!door.open) door.showModal();
  await new Promise(done => door.addEventListener("close", done, { once: true }));
  sessionStorage.setItem(KEPT, byId("key").value);
}

async function send(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key()) headers.Authorization = `Bearer ${key()}`;
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
}

export async function call(method, path, body) {
  let response = await send(method, path, body);
  while (response.status === 401) {
    await askForKey();
    response = await send(method, path, body);
  }
  const content = await response.json().catch(() => null);
  if (!response.ok) throw new Error(content?.error?.message ?? `The server answered ${response.status}.`);
  return content;
}

export const get = path => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const at = name => `/v1/indexes/${encodeURIComponent(name)}`;

// A value as a Python literal; JSON's strings and numbers are Python's.
function python(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, held]) => `${JSON.stringify(name)}: ${python(held)}`).join(", ")}}`;
}

export function asCurl({ path, body }) {
  const secret = key() ? ' -H "Authorization: Bearer $TEXTVAE_KEY"' : "";
  const data = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl -s ${location.origin}${path}${secret} -H 'Content-Type: application/json' -d '${data}'\n`;
}

export function asPython({ path, body }) {
  const secret = key() ? ', "Authorization": "Bearer " + os.environ["TEXTVAE_KEY"]' : "";
  return [
    key() ? "import json\nimport os" : "import json",
    "from urllib.request import Request, urlopen\n",
    `asked = ${python(body)}`,
    `headers = {"Content-Type": "application/json"${secret}}`,
    `request = Request(${JSON.stringify(location.origin + path)}, json.dumps(asked).encode(), headers)`,
    "print(json.load(urlopen(request)))\n",
  ].join("\n");
}
