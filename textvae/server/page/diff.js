// Word-level differences: longest common subsequence of words, case kept.
import { h } from "./dom.js";

export function wordDiff(before, after) {
  const a = before.split(/\s+/).filter(Boolean), b = after.split(/\s+/).filter(Boolean);
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const parts = [];
  const add = (kind, word) => {
    const last = parts.at(-1);
    if (last?.kind === kind) last.words.push(word);
    else parts.push({ kind, words: [word] });
  };
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) { add("same", a[i++]); j++; }
    else if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) add("gone", a[i++]);
    else add("added", b[j++]);
  }
  return parts;
}

export function shownDiff(before, after) {
  const tags = { same: "span", gone: "del", added: "ins" };
  return wordDiff(before, after).flatMap(({ kind, words }) => [h(tags[kind], {}, words.join(" ")), " "]);
}
