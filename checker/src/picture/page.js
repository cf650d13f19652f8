"use strict";
// The page around the view: orders, search, hover, keys.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  const box = get("view"), overview = get("overview"), tip = get("tip");
  const view = new View(data, get("canvas"), box, get("rows"));
  const tall = Math.max(120, Math.round(window.innerHeight * 0.62));
  const size = () => { box.style.height = Math.min(tall, view.top + view.lanes.length * view.height + 8) + "px"; };
  size();
  if (data.left_out > 0) {
    get("left-out").hidden = false;
    get("left-out").textContent = `${data.left_out} operations of this history are not on the page.`;
  }

  // Each operation takes effect as soon as it may: after all before it in the order were invoked.
  const orders = [];
  const add = (name, ops, states, start) => {
    const slots = [], points = [], index = new Map();
    let latest = -1;
    ops.forEach((i) => { latest = Math.max(latest, data.inv[i]); slots.push(latest); });
    for (let n = 0; n < slots.length;) {
      let end = n;
      while (end < slots.length && slots[end] === slots[n]) end++;
      for (let k = n; k < end; k++) points.push(slots[n] + (k - n + 1) / (end - n + 1));
      n = end;
    }
    ops.forEach((i, n) => index.set(i, n));
    orders.push({ name, ops, states, points, index, start });
  };
  // The linearizations of several keys make one picture: point by point in time.
  const merged = () => {
    const all = [];
    data.orders.forEach((o) => {
      let latest = -1;
      o.ops.forEach((i, n) => {
        latest = Math.max(latest, data.inv[i]);
        all.push({ i, latest, n, before: n ? o.states[n - 1] : o.skipped ? -1 : 0, after: o.states[n] });
      });
    });
    all.sort((a, b) => a.latest - b.latest || a.n - b.n);
    add("all keys", all.map((e) => e.i), all.map((e) => e.after), 0);
    orders[orders.length - 1].befores = all.map((e) => e.before);
  };
  if (data.blocked === undefined && data.orders.length > 1) merged();
  data.orders.forEach((o) => {
    const name = data.blocked === undefined ? (o.key === undefined ? "linearization" : `key ${o.key}`) : `longest order${o.key === undefined ? "" : `, key ${o.key}`}`;
    add(name, o.ops, o.states, o.skipped ? -1 : 0);
    if (data.blocked === undefined) return;
    data.ways.forEach((way) => {
      const last = way.states.length ? data.states[way.states[way.states.length - 1]] : "";
      add(`… then ${way.ops.map((i) => data.text[i]).join(", ")} (state ${last})`, o.ops.concat(way.ops), o.states.concat(way.states), o.skipped ? -1 : 0);
    });
  });
  orders.forEach((o, n) => get("order").add(new Option(o.name.length > 70 ? o.name.slice(0, 69) + "…" : o.name, n)));
  get("order").add(new Option("none", -1));
  data.keys.forEach((key, n) => get("key").add(new Option(key, n)));
  if (data.keys.length < 2) get("key").parentElement.hidden = true;
  if (data.began) get("axis").add(new Option("time", "time")); else get("axis").parentElement.hidden = true;
  view.order = orders[0] || null;

  let queued = false;
  const redraw = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; view.draw(); drawOverview(); });
  };

  // Density, the conflict and the window, over the whole length.
  const drawOverview = () => {
    const c = overview.getContext("2d"), ratio = window.devicePixelRatio || 1, w = overview.clientWidth, h = overview.clientHeight;
    overview.width = Math.round(w * ratio);
    overview.height = Math.round(h * ratio);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const counts = new Uint32Array(w + 1), scale = w / view.end();
    data.inv.forEach((inv) => { counts[Math.min(w, Math.floor(view.on(inv) * scale))]++; });
    const most = counts.reduce((a, b) => Math.max(a, b), 1);
    c.fillStyle = view.colour["ok-edge"];
    counts.forEach((n, x) => { if (n) c.fillRect(x, h - 3 - (n / most) * (h - 12), 1, 3 + (n / most) * (h - 12)); });
    c.fillStyle = view.colour.band;
    data.band_from.forEach((from, n) => {
      const a = view.on(from) * scale, b = data.band_to[n] < 0 ? w : view.on(data.band_to[n]) * scale;
      c.fillRect(a, 0, Math.max(1, b - a), h);
    });
    c.fillStyle = view.colour.hit;
    view.hits.forEach((i) => c.fillRect(view.on(data.inv[i]) * scale, 0, 1.5, 6));
    c.fillStyle = view.colour["hot-edge"];
    data.conflict.forEach((i) => c.fillRect(view.on(data.inv[i]) * scale - 1, 0, 3, h));
    c.strokeStyle = view.colour.ink;
    c.lineWidth = 1.5;
    c.strokeRect(view.from * scale + 1, 1, Math.max(4, (view.to - view.from) * scale - 2), h - 2);
  };

  const state = (n) => (n === undefined || n < 0 ? "(not on the page)" : data.states[n]);
  const describe = (i) => {
    const kinds = { o: "ok", f: "fail: it did not happen", i: "info: unknown, may take effect at any later time, or never", n: "no completion: may take effect at any later time, or never" };
    const lines = [`${data.text[i]}${data.key[i] < 0 ? "" : `   key ${data.keys[data.key[i]]}`}`];
    lines.push(`process ${data.process[i]}, lines ${data.line[i]}–${data.end_line[i] || "…"}, ${kinds[data.kind[i]]}`);
    if (data.began) {
      const ms = (ns) => (ns / 1e6).toFixed(3);
      lines.push(`from ${ms(data.began[i])} ms${data.ended[i] < 0 ? "" : ` to ${ms(data.ended[i])} ms (${ms(data.ended[i] - data.began[i])} ms)`}`);
    }
    const o = view.order, at = o ? o.index.get(i) : undefined;
    if (at !== undefined) {
      const before = o.befores ? o.befores[at] : at ? o.states[at - 1] : o.start;
      lines.push(`number ${at + 1} of ${o.ops.length} in the order`, `state before  ${state(before)}`, `state after   ${state(o.states[at])}`);
    } else if (o) {
      lines.push("not in the selected order");
    }
    if (i === data.blocked) lines.push("cannot be linearized");
    else if (view.conflict.has(i)) lines.push("part of the minimal conflict");
    return lines.join("\n");
  };

  const select = (i, reveal) => {
    view.selected = i;
    view.mark();
    get("details").textContent = i < 0 ? "" : describe(i);
    if (reveal && i >= 0) {
      if (view.key >= 0 && data.key[i] !== view.key) { get("key").value = ""; view.key = -1; view.lay(); size(); }
      view.reveal([i]);
    }
    redraw();
  };

  // Search: every word must be there.
  let found = [], current = -1, texts = null;
  const search = () => {
    const words = get("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    texts = texts || data.text.map((text, i) => ` ${text} ${data.key[i] < 0 ? "" : data.keys[data.key[i]]} process ${data.process[i]} line ${data.line[i]} `.toLowerCase());
    const phrase = words.join(" ");
    found = [];
    if (words.length) {
      texts.forEach((text, i) => { if (text.includes(` ${phrase} `)) found.push(i); });
      if (!found.length) texts.forEach((text, i) => { if (words.every((word) => text.includes(word))) found.push(i); });
    }
    view.mark(new Set(found));
    current = -1;
    get("found").textContent = words.length ? `${found.length} found` : "";
    if (found.length) step(1); else redraw();
  };
  const step = (by) => {
    if (!found.length) return;
    current = (current + by + found.length) % found.length;
    get("found").textContent = `${current + 1} of ${found.length}`;
    select(found[current], true);
  };
  let timer = 0;
  get("find").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 150); });
  get("find").addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); step(e.shiftKey ? -1 : 1); } });
  get("next").onclick = () => step(1);
  get("previous").onclick = () => step(-1);

  const conflict = () => { view.reveal(data.conflict); redraw(); };
  if (data.conflict.length) { get("conflict").hidden = false; get("conflict").onclick = conflict; }
  get("in").onclick = () => { view.zoom(0.5); redraw(); };
  get("out").onclick = () => { view.zoom(2); redraw(); };
  get("all").onclick = () => { view.fit(); redraw(); };
  get("order").onchange = (e) => { view.order = orders[e.target.value] || null; select(view.selected); };
  get("key").onchange = (e) => { view.key = e.target.value === "" ? -1 : Number(e.target.value); view.lay(); size(); box.scrollTop = 0; redraw(); };
  get("pack").value = view.packed ? "packed" : "";
  get("pack").onchange = (e) => { view.packed = e.target.value !== ""; view.lay(); size(); box.scrollTop = 0; redraw(); };
  get("axis").onchange = (e) => {
    const middle = (view.from + view.to) / 2 / view.end(), share = (view.to - view.from) / view.end();
    view.axis = e.target.value;
    view.show((middle - share / 2) * view.end(), share * view.end());
    redraw();
  };
  document.addEventListener("click", (e) => {
    const line = e.target instanceof Element && e.target.closest("[data-line]");
    if (!line) return;
    const i = data.line.indexOf(Number(line.dataset.line));
    if (i >= 0) { select(i, true); get("timeline").scrollIntoView({ block: "start" }); }
  });

  // Pointer: drag moves, click selects, hover tells.
  let drag = null;
  const local = (e) => { const r = get("canvas").getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  box.addEventListener("pointerdown", (e) => { if (e.button === 0 && e.target === get("canvas")) { drag = { x: e.clientX, y: e.clientY, moved: false }; box.setPointerCapture(e.pointerId); } });
  box.addEventListener("pointermove", (e) => {
    const [x, y] = local(e);
    if (drag) {
      const dx = e.clientX - drag.x, dy = e.clientY - drag.y;
      if (!drag.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
      Object.assign(drag, { x: e.clientX, y: e.clientY, moved: true });
      box.classList.add("moving");
      tip.hidden = true;
      view.move(-dx);
      box.scrollTop -= dy;
      redraw();
      return;
    }
    const i = view.at(x, y), band = view.bandAt(x, y);
    tip.hidden = i < 0 && band < 0;
    if (tip.hidden) return;
    tip.textContent = i >= 0 ? describe(i) : `${data.band_name[band]} ${data.band_detail[band]}\nfrom line ${data.band_line[band]}`;
    tip.style.left = Math.max(8, Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (e.clientY + 18 + tip.offsetHeight > window.innerHeight ? e.clientY - tip.offsetHeight - 12 : e.clientY + 18) + "px";
  });
  box.addEventListener("pointerup", (e) => { if (drag && !drag.moved) select(view.at(...local(e))); drag = null; box.classList.remove("moving"); });
  box.addEventListener("pointercancel", () => { drag = null; box.classList.remove("moving"); });
  box.addEventListener("pointerleave", () => { tip.hidden = true; });
  box.addEventListener("wheel", (e) => {
    const sideways = Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey;
    e.preventDefault();
    if (sideways) view.move(e.deltaX || e.deltaY); else view.zoom(Math.exp(e.deltaY * 0.0016), local(e)[0]);
    redraw();
  }, { passive: false });
  box.addEventListener("scroll", redraw);
  const jump = (e) => { const r = overview.getBoundingClientRect(), span = view.to - view.from; view.show(((e.clientX - r.left) / r.width) * view.end() - span / 2, span); redraw(); };
  overview.addEventListener("pointerdown", (e) => { overview.setPointerCapture(e.pointerId); jump(e); });
  overview.addEventListener("pointermove", (e) => { if (e.buttons & 1) jump(e); });
  document.addEventListener("keydown", (e) => {
    if (e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement || e.ctrlKey || e.metaKey || e.altKey) return;
    const keys = { "+": () => view.zoom(0.5), "=": () => view.zoom(0.5), "-": () => view.zoom(2), 0: () => view.fit(), c: () => view.reveal(data.conflict),
      ArrowLeft: () => view.move(-view.width() / 6), ArrowRight: () => view.move(view.width() / 6), Escape: () => select(-1) };
    if (!Object.hasOwn(keys, e.key)) return;
    e.preventDefault();
    keys[e.key]();
    redraw();
  });
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { view.colours(); redraw(); });

  // The address may say where to begin: #line=120, #find=write 7, #all.
  view.draw();
  const wish = decodeURIComponent(location.hash.slice(1));
  if (wish.startsWith("line=")) { const i = data.line.indexOf(Number(wish.slice(5))); if (i >= 0) select(i, true); }
  else if (wish.startsWith("find=")) { get("find").value = wish.slice(5); search(); }
  else if (wish !== "all" && data.conflict.length) { select(data.blocked ?? -1); view.reveal(data.conflict); }
  redraw();
  window.timeline = { view, select, redraw }; // For the console.
  document.documentElement.dataset.ready = String(data.inv.length);
})();
