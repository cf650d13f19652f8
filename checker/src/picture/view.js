"use strict";
// What is seen: a window onto the axis, rows, operations on a canvas. Knows nothing of the page around it.
class View {
  constructor(data, canvas, view, rows) {
    Object.assign(this, { data, canvas, view, rows, context: canvas.getContext("2d") });
    this.height = 24;
    this.gutter = 92;
    this.top = 20;
    this.axis = "events";
    this.key = -1;
    this.packed = new Set(data.process).size > 24;
    this.hits = new Set();
    this.order = null;
    this.selected = -1;
    this.conflict = new Set(data.conflict);
    this.prefix = data.keys.length > 1 ? data.keys.map((key) => key + " ") : [];
    this.lay();
    this.colours();
    this.fit();
  }

  // Rows: one per process, or packed: a process takes the row of one that is gone, as a client goes on under another number
  // after an operation of unknown outcome.
  lay() {
    const d = this.data, seen = new Map();
    d.inv.forEach((_, i) => {
      if (this.key >= 0 && d.key[i] !== this.key) return;
      if (!seen.has(d.process[i])) seen.set(d.process[i], []);
      seen.get(d.process[i]).push(i);
    });
    const processes = [...seen.keys()].sort((a, b) => a - b);
    this.lanes = [];
    this.laneOf = new Map();
    if (this.packed) processes.sort((a, b) => d.inv[seen.get(a)[0]] - d.inv[seen.get(b)[0]]);
    for (const process of processes) {
      const ops = seen.get(process), gone = d.gone[ops[ops.length - 1]];
      let at = this.packed ? this.lanes.findIndex((lane) => lane.free <= d.inv[ops[0]]) : -1;
      if (at < 0) at = this.lanes.push({ processes: [], closed: [], open: [], free: 0 }) - 1;
      const lane = this.lanes[at];
      lane.processes.push(process);
      for (const i of ops) (d.ret[i] < 0 ? lane.open : lane.closed).push(i);
      lane.free = gone < 0 ? Infinity : gone;
      this.laneOf.set(process, at);
    }
    this.last = 1;
    this.until = 1;
    d.inv.forEach((inv, i) => {
      this.last = Math.max(this.last, inv + 1, d.ret[i] + 1);
      if (d.began) this.until = Math.max(this.until, d.began[i], d.ended[i]);
    });
    this.first = d.inv.length ? d.inv[0] : 0;
    if (d.began) this.clock();
    this.mark();
  }

  // Time of each position, for points and bands between events.
  clock() {
    const d = this.data, at = new Float64Array(this.last - this.first + 1).fill(-1);
    d.inv.forEach((inv, i) => {
      at[inv - this.first] = d.began[i];
      if (d.ret[i] >= 0) at[d.ret[i] - this.first] = d.ended[i];
    });
    let now = 0;
    for (let i = 0; i < at.length; i++) { if (at[i] >= 0) now = at[i]; else at[i] = now; }
    this.times = at;
  }

  // A position, or a place between two, on the axis that is chosen.
  on(position) {
    if (this.axis === "events") return position - this.first;
    const whole = Math.max(0, Math.min(Math.floor(position) - this.first, this.times.length - 1));
    const next = Math.min(whole + 1, this.times.length - 1);
    return this.times[whole] + (this.times[next] - this.times[whole]) * (position - this.first - whole);
  }

  end() { return this.axis === "events" ? this.last - this.first : this.until * 1.002 + 1; }
  fit() { this.from = 0; this.to = this.end(); }
  width() { return Math.max(50, this.canvas.clientWidth - this.gutter); }
  x(value) { return this.gutter + ((value - this.from) / (this.to - this.from)) * this.width(); }
  value(x) { return this.from + ((x - this.gutter) / this.width()) * (this.to - this.from); }
  right(i) { return this.data.ret[i] < 0 ? Infinity : this.on(this.data.ret[i]); }

  zoom(factor, x = this.gutter + this.width() / 2) {
    const pin = this.value(x), least = this.axis === "events" ? 4 : 1000;
    const span = Math.min(this.end(), Math.max(least, (this.to - this.from) * factor));
    const share = (pin - this.from) / (this.to - this.from);
    this.show(pin - share * span, span);
  }

  show(from, span) {
    this.from = Math.max(0, Math.min(from, this.end() - span));
    this.to = this.from + span;
  }

  move(pixels) { this.show(this.from + (pixels / this.width()) * (this.to - this.from), this.to - this.from); }

  // Brings operations into view, with some air around them.
  reveal(ops, air = 0.6) {
    if (!ops.length) return;
    const a = Math.min(...ops.map((i) => this.on(this.data.inv[i])));
    const b = Math.max(...ops.map((i) => { const r = this.right(i); return r === Infinity ? this.on(this.data.inv[i]) : r; }));
    const least = this.axis === "events" ? 30 : (this.end() * 30) / Math.max(30, this.last - this.first);
    const span = Math.min(this.end(), Math.max(least, (b - a) * (1 + air)));
    this.show((a + b) / 2 - span / 2, span);
    const lane = Math.min(...ops.map((i) => this.laneOf.get(this.data.process[i]) ?? 0));
    const y = lane * this.height;
    if (y < this.view.scrollTop || y > this.view.scrollTop + this.view.clientHeight - 3 * this.height) {
      this.view.scrollTop = Math.max(0, y - this.view.clientHeight / 3);
    }
  }

  colours() {
    const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim();
    this.colour = Object.fromEntries(["paper", "ink", "faint", "line", "lane", "ok", "ok-edge", "fail", "fail-edge", "info",
      "info-edge", "hot", "hot-edge", "point", "band", "band-ink", "hit", "path", "accent"].map((n) => [n, read("--" + n)]));
  }

  draw() {
    const c = this.context, ratio = window.devicePixelRatio || 1, visible = this.view.clientHeight;
    const w = this.view.clientWidth, h = visible;
    this.canvas.style.width = w + "px";
    this.canvas.style.height = h + "px";
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(h * ratio);
    }
    // The canvas stays where it is while the rows scroll below it.
    this.rows.style.height = Math.max(0, this.top + this.lanes.length * this.height + 6 - h) + "px";
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = this.colour.paper;
    c.fillRect(0, 0, w, h);
    c.font = "12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace";
    c.textBaseline = "middle";
    this.drawBands(c, w, h);
    const first = Math.max(0, Math.floor((this.view.scrollTop - this.top) / this.height));
    const last = Math.min(this.lanes.length, Math.ceil((this.view.scrollTop + h) / this.height) + 1);
    c.save();
    c.beginPath();
    c.rect(this.gutter, this.top, w - this.gutter, h - this.top);
    c.clip();
    for (let at = first; at < last; at++) this.drawLane(c, w, at);
    this.drawOrder(c, w, first, last);
    c.restore();
    this.drawNames(c, first, last, h);
    this.drawAxis(c, w);
  }

  y(lane) { return this.top + lane * this.height - this.view.scrollTop; }

  drawLane(c, w, at) {
    const lane = this.lanes[at], y = this.y(at), mid = y + this.height / 2, ops = lane.closed;
    c.strokeStyle = this.colour.lane;
    c.lineWidth = 1;
    c.beginPath(); c.moveTo(this.gutter, mid); c.lineTo(w, mid); c.stroke();
    if (lane.open.length) this.drawTail(c, this.x(this.on(this.data.inv[lane.open[0]])), w, mid);
    // Closed ones do not overlap. What ends on a pixel that is full is stepped over, all of it at once.
    let n = this.firstAfter(ops, this.from);
    while (n < ops.length) {
      const i = ops[n], a = this.x(this.on(this.data.inv[i]));
      if (a > w) break;
      const b = this.x(this.right(i));
      this.drawOp(c, i, Math.max(a, this.gutter - 30), Math.max(b, a + 1.5), y);
      n = b - a < 1 ? Math.max(n + 1, this.firstAfter(ops, this.value(Math.ceil(b)))) : n + 1;
    }
    for (const i of lane.open) {
      const a = this.x(this.on(this.data.inv[i]));
      if (a > w) break;
      // Only its beginning is worth the ink, as long as the client did not go on.
      const gone = this.data.gone[i], b = gone < 0 ? w : this.x(this.on(gone));
      if (b >= this.gutter) this.drawOp(c, i, Math.max(a, this.gutter - 30), Math.max(a + 3, Math.min(b, w)), y);
    }
    let filled = -1;
    for (const i of lane.marked) {
      const a = this.x(this.on(this.data.inv[i]));
      if (a > w) break;
      const b = Math.min(w, this.data.ret[i] < 0 ? a + 40 : this.x(this.right(i)));
      if (b < this.gutter || (b <= filled && !this.conflict.has(i) && i !== this.selected)) continue;
      filled = Math.max(filled, Math.floor(b));
      this.drawOp(c, i, Math.max(a, this.gutter - 30), Math.max(b, a + 3), y);
    }
  }

  // The first of these operations that ends at that value or later.
  firstAfter(ops, value) {
    let low = 0, high = ops.length;
    while (low < high) { const m = (low + high) >> 1; if (this.right(ops[m]) < value) low = m + 1; else high = m; }
    return low;
  }

  // Those that must be seen however many there are: they are drawn last.
  mark(hits = this.hits) {
    this.hits = hits;
    const marked = new Set([...hits, ...this.conflict]);
    if (this.data.blocked !== undefined) marked.add(this.data.blocked);
    if (this.selected >= 0) marked.add(this.selected);
    for (const lane of this.lanes) lane.marked = [];
    for (const i of [...marked].sort((a, b) => a - b)) {
      if (this.key < 0 || this.data.key[i] === this.key) this.lanes[this.laneOf.get(this.data.process[i])].marked.push(i);
    }
  }

  // From the first that never ended, to the end: it may take effect at any later time.
  drawTail(c, a, w, mid) {
    c.fillStyle = this.colour["info-edge"];
    c.globalAlpha = 0.4;
    c.fillRect(Math.max(a, this.gutter), mid - 0.5, w, 1);
    c.globalAlpha = 1;
  }

  drawOp(c, i, a, b, y) {
    const d = this.data, k = d.kind[i], top = y + 3, tall = this.height - 6;
    let [fill, edge] = k === "o" ? ["ok", "ok-edge"] : k === "f" ? ["fail", "fail-edge"] : ["info", "info-edge"];
    if (this.conflict.has(i)) [fill, edge] = ["hot", "hot-edge"];
    if (i === d.blocked) [fill, edge] = ["hot-edge", "hot-edge"];
    c.fillStyle = this.colour[fill];
    c.strokeStyle = this.colour[edge];
    c.lineWidth = this.conflict.has(i) ? 2 : 1;
    c.fillRect(a, top, b - a, tall);
    if (b - a > 3) c.strokeRect(a + 0.5, top + 0.5, b - a - 1, tall - 1);
    if (this.hits.has(i) || i === this.selected) {
      c.strokeStyle = this.colour[i === this.selected ? "accent" : "hit"];
      c.lineWidth = 2.5;
      c.strokeRect(a - 1, top - 1, Math.max(3, b - a) + 2, tall + 2);
    }
    if (b - a > 26) {
      c.save();
      c.beginPath(); c.rect(a, top, b - a - 3, tall); c.clip();
      c.fillStyle = i === d.blocked ? this.colour.paper : k === "f" ? this.colour.faint : this.colour.ink;
      const key = this.key < 0 && d.key[i] >= 0 ? this.prefix[d.key[i]] || "" : "";
      c.fillText(key + d.text[i], Math.max(a, this.gutter) + 6, y + this.height / 2 + 0.5);
      c.restore();
    }
  }

  // Points of the selected order, joined where there are few enough to follow.
  drawOrder(c, w, first, last) {
    const o = this.order;
    if (!o || !o.points.length) return;
    let low = 0, high = o.points.length;
    while (low < high) { const m = (low + high) >> 1; if (this.on(o.points[m]) < this.from) low = m + 1; else high = m; }
    let end = low;
    while (end < o.points.length && this.on(o.points[end]) <= this.to && end - low <= w) end++;
    // More than there are pixels would be a wall.
    if (end - low > w) return;
    const few = end - low <= 400, place = (n) => {
      const lane = this.laneOf.get(this.data.process[o.ops[n]]);
      return lane === undefined ? null : [this.x(this.on(o.points[n])), this.y(lane) + this.height / 2, lane];
    };
    if (few) {
      c.strokeStyle = this.colour.path;
      c.lineWidth = 1;
      c.beginPath();
      let on = false;
      for (let n = Math.max(0, low - 1); n < Math.min(o.points.length, end + 1); n++) {
        const p = place(n);
        if (!p) continue;
        if (on) c.lineTo(p[0], p[1]); else c.moveTo(p[0], p[1]);
        on = true;
      }
      c.stroke();
    }
    c.fillStyle = this.colour.point;
    for (let n = low; n < end; n++) {
      const p = place(n);
      if (!p || p[2] < first || p[2] >= last) continue;
      c.fillRect(p[0] - 1, p[1] - this.height / 2 + 1, few ? 2.5 : 1, this.height - 2);
    }
  }

  drawBands(c, w, h) {
    const d = this.data;
    d.band_from.forEach((from, n) => {
      const a = this.x(this.on(from - 0.5)), b = d.band_to[n] < 0 ? w : this.x(this.on(d.band_to[n] - 0.5));
      if (b < this.gutter || a > w) return;
      const left = Math.max(a, this.gutter), wide = Math.max(2, Math.min(b, w) - left);
      c.fillStyle = this.colour.band;
      c.fillRect(left, this.top, wide, h - this.top);
      c.fillRect(left, 0, wide, this.top);
      if (wide > 30) {
        c.save();
        c.beginPath(); c.rect(left, 0, wide, this.top); c.clip();
        c.fillStyle = this.colour["band-ink"];
        c.fillText(`${d.band_name[n]} ${d.band_detail[n]}`, left + 5, this.top / 2 + 0.5);
        c.restore();
      }
    });
  }

  drawNames(c, first, last, h) {
    c.fillStyle = this.colour.paper;
    c.fillRect(0, 0, this.gutter - 4, h);
    c.fillStyle = this.colour.faint;
    c.fillText("process", 8, this.top / 2 + 0.5);
    c.save();
    c.beginPath(); c.rect(0, this.top, this.gutter, h); c.clip();
    for (let at = first; at < last; at++) c.fillText(this.name(at), 8, this.y(at) + this.height / 2 + 0.5);
    c.restore();
  }

  // Who works there at the left edge of the window.
  name(at) {
    const { processes } = this.lanes[at], d = this.data, lane = this.lanes[at];
    if (processes.length === 1) return String(processes[0]);
    const here = [...lane.open, ...lane.closed].reduce((best, i) => (this.on(d.inv[i]) <= this.to && (best < 0 || d.inv[i] > d.inv[best]) ? i : best), -1);
    return here < 0 ? String(processes[0]) : `${d.process[here]}`;
  }

  drawAxis(c, w) {
    c.strokeStyle = this.colour.line;
    c.beginPath(); c.moveTo(this.gutter - 4.5, 0); c.lineTo(this.gutter - 4.5, this.canvas.clientHeight); c.stroke();
    c.beginPath(); c.moveTo(0, this.top - 0.5); c.lineTo(w, this.top - 0.5); c.stroke();
  }

  // Who is under the pointer.
  at(x, y) {
    if (x < this.gutter || y < this.top) return -1;
    const lane = this.lanes[Math.floor((y - this.top + this.view.scrollTop) / this.height)];
    if (!lane) return -1;
    const slack = (3 / this.width()) * (this.to - this.from), v = this.value(x);
    const ops = lane.closed;
    let best = -1, distance = Infinity;
    const offer = (i, b) => {
      const a = this.on(this.data.inv[i]), off = v < a ? a - v : v > b ? v - b : 0;
      if (off <= slack && off < distance) { best = i; distance = off; }
    };
    for (let n = this.firstAfter(ops, v - slack); n < ops.length && this.on(this.data.inv[ops[n]]) <= v + slack; n++) offer(ops[n], this.right(ops[n]));
    for (const i of lane.open) offer(i, this.data.gone[i] < 0 ? Infinity : this.on(this.data.gone[i]));
    // The long tail of one that never ended, if nothing else is there.
    if (best < 0) for (const i of lane.open) if (this.on(this.data.inv[i]) <= v) best = i;
    return best;
  }

  bandAt(x, y) {
    if (y >= this.top || x < this.gutter) return -1;
    const d = this.data, v = this.value(x);
    return d.band_from.findIndex((from, n) => this.on(from - 0.5) <= v && (d.band_to[n] < 0 || v <= this.on(d.band_to[n] - 0.5)));
  }
}
