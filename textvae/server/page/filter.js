// Filters on metadata: the values chosen for each field, as a condition of the server and as a test of dots.

const WORDS = new Set(["and", "or", "not", "in", "contains", "is", "null", "true", "false"]);

function named(field) {
  const plain = /^[A-Za-z_]\w*$/.test(field) && !WORDS.has(field.toLowerCase());
  return plain ? field : `"${field.replaceAll('"', '""')}"`;
}

const literal = value => typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);

export class Filters {
  constructor() {
    this.chosen = new Map(); // field name -> Set of values
  }

  has(field, value) {
    return this.chosen.get(field)?.has(value) ?? false;
  }

  toggle(field, value) {
    const values = this.chosen.get(field) ?? new Set();
    values.has(value) ? values.delete(value) : values.add(value);
    values.size ? this.chosen.set(field, values) : this.chosen.delete(field);
  }

  // The condition, null if there is none.
  where() {
    const parts = [...this.chosen].map(([field, values]) => `${named(field)} in (${[...values].map(literal).join(", ")})`);
    return parts.join(" and ") || null;
  }

  // 1 for each dot that meets the condition.
  shown(fields, count) {
    const shown = new Uint8Array(count).fill(1);
    for (const [name, values] of this.chosen) {
      const field = fields.find(each => each.name === name);
      if (field?.kind !== "groups") continue;
      const kept = field.values.map(value => values.has(value));
      for (let i = 0; i < count; i++) if (!kept[field.codes[i]]) shown[i] = 0;
    }
    return shown;
  }
}
