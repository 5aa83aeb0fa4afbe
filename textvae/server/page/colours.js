// Colours of the fields of a map: twelve for groups, a scale for numbers, both legible on light and dark.

export const GROUPS = ["#3b6fb6", "#d9822b", "#2f9e77", "#b5508f", "#7a5fc7", "#2aa5b8", "#cf4a4a", "#b59a1c", "#7c9a3e", "#4f5d75", "#9a6240", "#e58bb5"];
export const OTHERS = "#a5adb7";
const STOPS = ["#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39"];
export const STEPS = 32;

export function scale() {
  const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  return Array.from({ length: STEPS }, (_, step) => {
    const along = step / (STEPS - 1) * (STOPS.length - 1), low = Math.min(STOPS.length - 2, Math.floor(along));
    const mixed = [0, 1, 2].map(i => Math.round(channel(STOPS[low], i) * (1 + low - along) + channel(STOPS[low + 1], i) * (along - low)));
    return "#" + mixed.map(value => value.toString(16).padStart(2, "0")).join("");
  });
}

// {codes, colours} for a field of the map, and for no field.
export function colouring(field, count) {
  if (!field) return { codes: new Uint8Array(count), colours: [GROUPS[0]] };
  if (field.kind === "groups") {
    const grey = Math.min(field.values.length, GROUPS.length);
    const codes = Uint8Array.from(field.codes, code => (code < 0 || code >= grey ? grey : code));
    return { codes, colours: [...GROUPS.slice(0, grey), OTHERS] };
  }
  const range = field.high - field.low || 1;
  const codes = Uint8Array.from(field.numbers, value => value === null ? STEPS : Math.round((value - field.low) / range * (STEPS - 1)));
  return { codes, colours: [...scale(), OTHERS] };
}
