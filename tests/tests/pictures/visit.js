"use strict";
(() => {
  const note = (name, value) => { document.documentElement.dataset[name] = value; };
  const { view } = window.timeline, { data } = view;
  const get = (id) => document.getElementById(id);
  const canvas = get("canvas"), box = get("view");
  const time = (act) => { const t = performance.now(); act(); return (performance.now() - t).toFixed(1); };
  // What is on the canvas there, and a colour as it would be there.
  const pixel = (x, y) => {
    const ratio = window.devicePixelRatio || 1;
    return [...canvas.getContext("2d").getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data].slice(0, 3);
  };
  const shade = (name) => {
    const c = document.createElement("canvas").getContext("2d");
    c.fillStyle = view.colour[name];
    c.fillRect(0, 0, 1, 1);
    return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const near = (a, b) => a.every((part, n) => Math.abs(part - b[n]) < 12);
  const light = (colour) => colour[0] + colour[1] + colour[2] > 380;
  const move = (x, y) => {
    const r = canvas.getBoundingClientRect();
    box.dispatchEvent(new PointerEvent("pointermove", { clientX: r.left + x, clientY: r.top + y, bubbles: true }));
  };
  const type = (text) => { get("find").value = text; get("find").dispatchEvent(new Event("input")); };
  const change = (id, value) => { get(id).value = value; get(id).dispatchEvent(new Event("change")); };
  const centre = (i) => [view.x(view.on(data.inv[i])), view.y(view.laneOf.get(data.process[i]))];
  const alone = (i) => { view.reveal([i]); view.draw(); };

  note("headings", [...document.querySelectorAll("h2")].map((h) => h.textContent).join(", "));
  const picture = document.querySelector(".picture svg");
  const onScreen = !data.conflict.length || (picture.getBoundingClientRect().top < 500 && picture.querySelectorAll("rect, line, path").length > 3);
  const inView = data.conflict.every((i) => view.on(data.inv[i]) >= view.from && view.on(data.inv[i]) <= view.to);
  const close = !data.conflict.length || view.to - view.from < view.end() / 10;
  note("first", onScreen && inView && close ? "yes" : "no");
  view.draw();
  const body = getComputedStyle(document.body), parts = (text) => text.match(/\d+/g).map(Number);
  const pages = [parts(body.backgroundColor), pixel(view.gutter + 2, view.top / 2 - 4), pixel(2, 2)];
  const inks = [parts(body.color), shade("ink")];
  note("dark", pages.every((c) => !light(c)) && inks.every(light) ? "yes" : pages.every(light) && !inks.some(light) ? "no" : "mixed");
  note("resources", performance.getEntriesByType("resource").length);
  document.addEventListener("securitypolicyviolation", () => note("network", "refused"));
  fetch("http://127.0.0.1:9/").catch(() => {});

  view.fit();
  note("drawAll", time(() => view.draw()));
  type("put no-such-value");
  const steps = [
    () => { note("nothing", get("found").textContent); type("process 3"); },
    () => { note("several", /^1 of \d{2,}$/.test(get("found").textContent) ? "yes" : get("found").textContent); type("put 77"); },
    () => {
      note("found", get("found").textContent);
      note("selected", get("details").textContent.replaceAll("\n", " | "));
      note("drawNear", time(() => view.draw()));
      const i = view.selected, [left, top] = centre(i);
      move(left + 3, top + 12);
      note("tip", get("tip").hidden ? "hidden" : get("tip").textContent.replaceAll("\n", " | "));
      // Bars, points, tails, bands: by what is on the canvas.
      const other = data.inv.findIndex((_, n) => n > i + 50 && data.kind[n] === "o" && !view.conflict.has(n));
      window.timeline.select(-1);
      view.order = null;
      alone(other);
      const [x, y] = centre(other), right = view.x(view.right(other));
      let inside = 0;
      for (let at = x + 2; at < right - 1; at++) if (near(pixel(at, y + 5), shade("ok"))) inside++;
      note("bar", inside > (right - x) / 2 - 2 ? "drawn" : `${inside} of ${right - x}`);
      change("order", "0");
      const order = view.order, n = Math.floor(order.ops.length / 2), at = order.ops[n];
      alone(at);
      const px = view.x(view.on(order.points[n])), py = view.y(view.laneOf.get(data.process[at])) + view.height / 2;
      note("point", [-1, 0, 1].some((d) => near(pixel(px + d, py + 7), shade("point"))) ? "drawn" : `${pixel(px, py + 7)}`);
      view.order = null;
      // One that never ended, long after its client went on: a thin line, to the end of time.
      const lost = data.inv.findIndex((_, k) => k > 200 && data.kind[k] === "i" && data.gone[k] >= 0);
      change("pack", "");
      view.show(view.on(data.gone[lost]) + 1000, 200);
      view.draw();
      box.scrollTop = view.laneOf.get(data.process[lost]) * view.height;
      view.draw();
      const my = view.y(view.laneOf.get(data.process[lost])) + view.height / 2 - 0.5;
      let tail = 0;
      for (let k = view.gutter + 5; k < view.gutter + 400; k++) {
        const [red, , blue] = pixel(k, my);
        if (red - blue > 8) tail++;
      }
      note("tail", tail > 30 ? "drawn" : `${tail} of 395`);
      view.show(view.on(data.band_from[0]) - 20, 400);
      view.draw();
      const bx = view.x(view.on(data.band_from[0])) + 12;
      note("band", !near(pixel(bx, 2), shade("paper")) && near(pixel(view.gutter + 4, 2), shade("paper")) ? "drawn" : `${pixel(bx, 2)}`);
      move(bx, 5);
      note("bandTip", get("tip").hidden ? "hidden" : get("tip").textContent.replaceAll("\n", " | "));
      // Other orders.
      note("orders", get("order").options.length);
      change("order", "0");
      const one = view.order.ops.join();
      change("order", "1");
      note("otherOrder", view.order.ops.join() !== one ? "yes" : "no");
      window.timeline.select(view.order.ops[0]);
      change("order", "-1");
      note("noOrder", view.order === null && !get("details").textContent.includes("state before") ? "not in any order" : get("details").textContent);
      view.show(view.on(data.inv[i]) - 20, 60);
      const before = view.to - view.from, r = canvas.getBoundingClientRect();
      box.dispatchEvent(new WheelEvent("wheel", { deltaY: 400, clientX: r.left + 300, clientY: r.top + 60, cancelable: true }));
      note("zoomed", (view.to - view.from) / before);
      change("axis", "time");
      note("axis", view.axis);
      note("done", "yes");
    },
  ];
  const next = () => { const step = steps.shift(); if (step) { step(); setTimeout(next, 400); } };
  setTimeout(next, 400);
})();
