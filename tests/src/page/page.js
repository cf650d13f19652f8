// One line through all charts at the moment under the pointer.
(() => {
  const charts = [...document.querySelectorAll("svg.chart[data-end]")];
  if (!charts.length) return;
  const left = 72, width = 1200, right = 16;
  const at = document.createElement("output");
  at.id = "at";
  at.hidden = true;
  document.body.append(at);
  const show = (share) => {
    for (const chart of charts) {
      const line = chart.querySelector(".cursor");
      if (share === null) { line.style.visibility = "hidden"; continue; }
      const x = left + (width - left - right) * share;
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.style.visibility = "visible";
    }
    at.hidden = share === null;
    if (share !== null) at.textContent = (share * Number(charts[0].dataset.end)).toFixed(2) + " s";
  };
  for (const chart of charts) {
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width * width - left) / (width - left - right);
      show(share >= 0 && share <= 1 ? share : null);
    });
    chart.addEventListener("pointerleave", () => show(null));
  }
  document.documentElement.dataset.charts = charts.length;
})();
