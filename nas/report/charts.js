"use strict";
/* The charts of every page: `charts.all` are its elements, `charts.draw` draws one. */
const charts = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const drawings = read("payload").charts;
  const allowed = read("chart-config");
  const phone = matchMedia("(max-width: 640px)").matches;
  const coarse = phone || matchMedia("(pointer: coarse)").matches;
  const styles = () => getComputedStyle(document.documentElement);

  /* The page's colours are put in, for light and for dark. */
  function coloured(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "number" ? value : value.map((one) => coloured(one, style));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
    }
    return value;
  }
  const axis = (own = {}) => ({
    gridcolor: "var(--line)", linecolor: "var(--line)", tickcolor: "var(--line)", automargin: true, ...own,
    title: { font: { size: 13 }, standoff: 10, ...(own.title || {}) },
  });
  function layoutOf(chart, style) {
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.getPropertyValue("--sans"), size: 12, color: "var(--muted)" },
      hoverlabel: { align: "left", bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--dot)", activecolor: "var(--ink)" },
      hovermode: "closest", dragmode: coarse ? false : "zoom",
      margin: { l: 56, r: 16, t: 20, b: 48 },
      legend: phone
        ? { orientation: "h", x: 0, y: -0.22, yanchor: "top", font: { size: 11 } }
        : { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      ...chart.layout,
    };
    for (const name of ["xaxis", "yaxis"]) layout[name] = axis(layout[name]);
    return coloured(layout, style);
  }
  function draw(element) {
    const chart = drawings[element.dataset.chart];
    if (!chart) { element.hidden = true; return Promise.resolve(); }
    const style = styles();
    const bar = coarse || element.closest(".small, .still") ? false : "hover";
    element.drawn = true;
    return Plotly.react(element, coloured(chart.data, style), layoutOf(chart, style), { ...allowed, displayModeBar: bar });
  }
  const all = [...document.querySelectorAll("[data-chart]")];
  return { all, draw };
})();
/* Calls `draw` for charts that come near, for all before printing, and again where light turns dark. */
function drawWhenNear(draw) {
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting && !entry.target.drawn) draw(entry.target);
  }, { rootMargin: "600px" });
  charts.all.forEach((element) => near.observe(element));
  addEventListener("beforeprint", () => charts.all.filter((element) => !element.drawn).forEach(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.all.filter((element) => element.drawn).forEach(draw));
}
