// A map of up to 100,000 dots, drawn into the pixels of a canvas: fast on every machine, also without a GPU.

const CELLS = 128; // of the grid, each way, in which dots are found
const REACH = 14; // pixels from the pointer within which a dot counts as pointed at
const CLICKED = 28; // and as clicked, also with a finger
const CLOSEST = 400;
const FAR = 0.02; // share of dots on each side that may lie outside at first
const CROWDED = 1.25; // how much larger the others must become for that

export class TextMap {
  // stage: an element with the canvases #points and #marks; on: {hover(dot), pick(dot), miss()}: dots by number
  constructor(stage, on) {
    this.stage = stage;
    this.on = on;
    this.dots = stage.querySelector("#points");
    this.marks = stage.querySelector("#marks");
    this.count = 0;
    this.marked = [];
    this.line = null;
    this.hovered = -1;
    this.view = { x: 0, y: 0, zoom: 1 };
    this.frames = 0;
    this._watch();
    new ResizeObserver(() => this._resize()).observe(stage);
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"])
      matchMedia(query).addEventListener("change", () => this.draw());
  }

  setPoints(xs, ys, scale) {
    this.count = xs.length;
    this.scale = scale;
    this.xs = Float32Array.from(xs);
    this.ys = Float32Array.from(ys);
    this.order = new Uint32Array(CELLS * CELLS + 1);
    this.cells = new Uint32Array(this.count);
    const cell = i => this._cell(this.ys[i]) * CELLS + this._cell(this.xs[i]);
    for (let i = 0; i < this.count; i++) this.order[cell(i) + 1]++;
    for (let c = 0; c < CELLS * CELLS; c++) this.order[c + 1] += this.order[c];
    const next = this.order.slice();
    for (let i = 0; i < this.count; i++) this.cells[next[cell(i)]++] = i;
    this.shown = new Uint8Array(this.count).fill(1);
    this.codes = new Uint8Array(this.count);
    this.hovered = -1;
    this._start();
  }

  // Begin with all but the few farthest dots, which may lie so far out that the others would be a speck.
  _start() {
    if (this.count < 2 / FAR) return this.whole();
    const [xs, ys] = [this.xs, this.ys].map(values => values.slice().sort());
    const low = Math.floor(this.count * FAR), high = this.count - 1 - low, edge = 1.15;
    const side = edge * Math.max(xs[high] - xs[low], ys[high] - ys[low], 1);
    if (this.scale < CROWDED * side) return this.whole();
    this.view = { x: (xs[low] + xs[high]) / 2, y: (ys[low] + ys[high]) / 2, zoom: this.scale / side };
    this.draw();
  }

  // codes: one of `colours` (strings "#rrggbb") for each dot; shown: 0 for dots that are only hinted at.
  setColours(codes, colours, shown) {
    this.codes = codes;
    this.colours = colours.map(rgb);
    this.shown = shown;
    this.draw();
  }

  setMarks(marks, line = null) {
    this.marked = marks;
    this.line = line;
    this._drawMarks();
  }

  whole() {
    this.view = { x: this.scale / 2, y: this.scale / 2, zoom: 1 };
    this.draw();
  }

  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this._data(px, py);
    this.view.zoom = Math.min(CLOSEST, Math.max(0.7, this.view.zoom * factor));
    const [nx, ny] = this._data(px, py);
    this.panBy((nx - x) * this._unit(), -(ny - y) * this._unit());
  }

  panBy(dx, dy) {
    const unit = this._unit(), hold = value => Math.min(this.scale, Math.max(0, value));
    this.view.x = hold(this.view.x - dx / unit);
    this.view.y = hold(this.view.y + dy / unit);
    this.draw();
  }

  // Bring a point into view without changing the zoom.
  reveal(x, y) {
    const [px, py] = this._pixel(x, y);
    if (px > 20 && px < this.width - 20 && py > 20 && py < this.height - 20) return;
    this.view.x = x;
    this.view.y = y;
    this.draw();
  }

  // The number of the nearest shown dot to a pixel, -1 if none is near.
  nearest(px, py, reach = REACH) {
    if (!this.count) return -1;
    const [x, y] = this._data(px, py), radius = reach / this._unit();
    let best = -1, least = radius * radius;
    for (let row = this._cell(y - radius); row <= this._cell(y + radius); row++)
      for (let column = this._cell(x - radius); column <= this._cell(x + radius); column++) {
        const cell = row * CELLS + column;
        for (let k = this.order[cell]; k < this.order[cell + 1]; k++) {
          const i = this.cells[k], distance = (this.xs[i] - x) ** 2 + (this.ys[i] - y) ** 2;
          if (distance < least && this.shown[i]) [least, best] = [distance, i];
        }
      }
    return best;
  }

  pixelOf(i) {
    return this._pixel(this.xs[i], this.ys[i]);
  }

  draw() {
    if (this._asked) return;
    this._asked = true;
    requestAnimationFrame(() => {
      this._asked = false;
      this._drawDots();
      this._drawMarks();
      this.frames++;
    });
  }

  _unit() {
    return Math.min(this.width, this.height) * 0.94 / (this.scale || 1) * this.view.zoom;
  }

  _pixel(x, y) {
    const unit = this._unit();
    return [(x - this.view.x) * unit + this.width / 2, this.height / 2 - (y - this.view.y) * unit];
  }

  _data(px, py) {
    const unit = this._unit();
    return [(px - this.width / 2) / unit + this.view.x, (this.height / 2 - py) / unit + this.view.y];
  }

  _cell(value) {
    return Math.min(CELLS - 1, Math.max(0, Math.floor(value / (this.scale + 1) * CELLS)));
  }

  _resize() {
    if (!this.stage.clientWidth || !this.stage.clientHeight) return;
    this.width = this.stage.clientWidth;
    this.height = this.stage.clientHeight;
    this.ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.dots, this.marks]) {
      canvas.width = Math.round(this.width * this.ratio);
      canvas.height = Math.round(this.height * this.ratio);
    }
    this.pen = this.dots.getContext("2d", { alpha: false });
    this.image = this.pen.createImageData(this.dots.width, this.dots.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.draw();
  }

  _drawDots() {
    if (!this.pixels) return;
    const style = getComputedStyle(this.stage);
    const paper = rgb(style.getPropertyValue("--card")), dim = rgb(style.getPropertyValue("--dim"));
    this.pixels.fill(packed(paper));
    if (this.count) {
      const size = Math.min(4.5, Math.max(1.1, 90 / Math.sqrt(this.count))) * Math.min(3, this.view.zoom ** 0.4);
      const disc = discOf(size * this.ratio);
      this._stamp(disc, 0, [dim]);
      this._stamp(disc, 1, this.colours ?? [[59, 111, 182]]);
    }
    this.pen.putImageData(this.image, 0, 0);
  }

  // Blend a disc into the pixels for every dot whose `shown` is `which`.
  _stamp(disc, which, colours) {
    const { pixels, xs, ys, codes, shown, ratio } = this, width = this.dots.width, height = this.dots.height;
    const unit = this._unit() * ratio, left = width / 2 - this.view.x * unit, top = height / 2 + this.view.y * unit;
    const { radius, dx, dy, alpha } = disc, length = dx.length;
    const offsets = Int32Array.from(dx, (x, k) => dy[k] * width + x);
    for (let i = 0; i < this.count; i++) {
      if (shown[i] !== which) continue;
      const px = (xs[i] * unit + left) | 0, py = (top - ys[i] * unit) | 0;
      if (px < radius || py < radius || px >= width - radius || py >= height - radius) continue;
      const colour = colours[which ? codes[i] : 0], r = colour[0], g = colour[1], b = colour[2];
      const middle = py * width + px;
      for (let k = 0; k < length; k++) {
        const place = middle + offsets[k], a = alpha[k], old = pixels[place], keep = 256 - a;
        pixels[place] = 0xff000000
          | ((((old >> 16) & 255) * keep + b * a) >> 8) << 16
          | ((((old >> 8) & 255) * keep + g * a) >> 8) << 8
          | (((old & 255) * keep + r * a) >> 8);
      }
    }
  }

  _drawMarks() {
    if (!this.width) return;
    const pen = this.marks.getContext("2d"), style = getComputedStyle(this.stage);
    const ink = style.getPropertyValue("--ink"), paper = style.getPropertyValue("--card");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    if (this.line) {
      const [from, to] = this.line.map(end => this._pixel(end.x, end.y));
      for (const [colour, thick] of [[paper, 5], [ink, 2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = thick;
        pen.setLineDash(thick === 2 ? [6, 5] : []);
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...to);
        pen.stroke();
      }
      pen.setLineDash([]);
    }
    const ring = (x, y, radius, filled) => {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.lineWidth = 5;
      pen.strokeStyle = paper;
      pen.stroke();
      pen.lineWidth = 2;
      pen.strokeStyle = ink;
      pen.stroke();
      if (filled) {
        pen.fillStyle = ink;
        pen.fill();
      }
    };
    pen.font = "600 14px system-ui, sans-serif";
    for (const mark of this.marked) {
      const [x, y] = this._pixel(mark.x, mark.y);
      ring(x, y, mark.small ? 6 : 8, mark.filled);
      if (!mark.label) continue;
      const right = x + 13 + pen.measureText(mark.label).width < this.width;
      pen.textAlign = right ? "left" : "right";
      pen.lineWidth = 4;
      pen.strokeStyle = paper;
      pen.strokeText(mark.label, x + (right ? 13 : -13), y + 5);
      pen.fillStyle = ink;
      pen.fillText(mark.label, x + (right ? 13 : -13), y + 5);
    }
    if (this.hovered >= 0) ring(...this.pixelOf(this.hovered), 7, false);
    if (this.aimed) {
      const x = this.width / 2, y = this.height / 2;
      pen.strokeStyle = ink;
      pen.lineWidth = 1.5;
      pen.beginPath();
      for (const [a, b, c, d] of [[-14, 0, -5, 0], [5, 0, 14, 0], [0, -14, 0, -5], [0, 5, 0, 14]]) {
        pen.moveTo(x + a, y + b);
        pen.lineTo(x + c, y + d);
      }
      pen.stroke();
    }
  }

  // Ring a dot; -1 for none.
  ring(i) {
    this.hovered = i;
    this._drawMarks();
  }

  _hover(i) {
    if (i === this.hovered) return;
    this.ring(i);
    this.on.hover(i);
  }

  _watch() {
    const stage = this.stage, held = new Map();
    let moved = 0, apart = 0;
    const at = event => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left - stage.clientLeft, event.clientY - box.top - stage.clientTop];
    };
    const spread = () => {
      const [[ax, ay], [bx, by]] = [...held.values()];
      return Math.hypot(ax - bx, ay - by);
    };
    stage.addEventListener("pointerdown", event => {
      stage.setPointerCapture(event.pointerId);
      held.set(event.pointerId, at(event));
      if (held.size === 1) moved = 0;
      if (held.size === 2) apart = spread();
      this._aim(false);
    });
    stage.addEventListener("pointermove", event => {
      const [x, y] = at(event), before = held.get(event.pointerId);
      if (!before) return this._hover(this.nearest(x, y));
      held.set(event.pointerId, [x, y]);
      moved += Math.hypot(x - before[0], y - before[1]);
      if (moved > 4) {
        stage.classList.add("held");
        this._hover(-1);
      }
      if (held.size === 2) {
        const now = spread(), points = [...held.values()];
        this.zoomBy(now / (apart || now), (points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2);
        apart = now;
      } else if (moved > 4) this.panBy(x - before[0], y - before[1]);
    });
    const release = event => {
      const was = held.get(event.pointerId);
      held.delete(event.pointerId);
      stage.classList.remove("held");
      if (event.type !== "pointerup" || !was || moved > 4 || held.size) return;
      const found = this.nearest(...at(event), CLICKED);
      if (found < 0) return this.on.miss();
      if (event.pointerType === "touch") this._hover(found); // a finger does not hover
      this.on.pick(found);
    };
    stage.addEventListener("pointerup", release);
    stage.addEventListener("pointercancel", release);
    stage.addEventListener("pointerleave", event => { if (event.pointerType !== "touch") this._hover(-1); });
    stage.addEventListener("wheel", event => {
      event.preventDefault();
      this._hover(-1);
      this.zoomBy(2 ** (-event.deltaY / (event.deltaMode ? 8 : 240)), ...at(event));
    }, { passive: false });
    stage.addEventListener("dblclick", event => this.zoomBy(2, ...at(event)));
    stage.addEventListener("focus", () => { if (stage.matches(":focus-visible")) this._aim(true); });
    stage.addEventListener("blur", () => this._aim(false));
    stage.addEventListener("keydown", event => this._key(event));
  }

  _aim(aimed) {
    this.aimed = aimed;
    this._drawMarks();
  }

  _key(event) {
    const step = 60, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) this.panBy(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0" || event.key === "Home") this.whole();
    else if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    this._aim(true);
    const found = this.nearest(this.width / 2, this.height / 2, 80);
    this._hover(found);
    if (event.key === "Enter" || event.key === " ") found < 0 ? this.on.miss() : this.on.pick(found);
  }
}

function rgb(hex) {
  const value = parseInt(hex.trim().slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

const packed = ([r, g, b]) => (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;

// The pixels of a disc, and how much of each it covers, 0 to 256.
function discOf(size) {
  const radius = Math.ceil(size), dx = [], dy = [], alpha = [];
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) {
      const cover = Math.min(1, Math.max(0, size + 0.5 - Math.hypot(x, y)));
      if (cover <= 0.05) continue;
      dx.push(x);
      dy.push(y);
      alpha.push(Math.round(cover * 215));
    }
  return { radius, dx, dy, alpha: Uint16Array.from(alpha) };
}
