"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const phone = matchMedia("(max-width: 640px)").matches;
  const coarse = phone || matchMedia("(pointer: coarse)").matches;
  const styles = () => getComputedStyle(document.documentElement);
  /* The page's colours are put in, for light and for dark. */
  function coloured(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((one) => coloured(one, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
    }
    return value;
  }
  const axis = (own) => ({
    gridcolor: "var(--line)", linecolor: "var(--line)", tickcolor: "var(--line)", automargin: true, ...own,
    title: { font: { size: 13 }, standoff: 10, ...((own || {}).title || {}) },
  });
  function draw(element) {
    const chart = payload.charts[element.dataset.chart];
    if (!chart) { element.hidden = true; return; }
    const style = styles();
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.getPropertyValue("--sans"), size: 12, color: "var(--muted)" },
      hoverlabel: { align: "left", bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12 } },
      hovermode: "closest", dragmode: coarse ? false : "zoom", margin: { l: 56, r: 16, t: 12, b: 48 },
      legend: { orientation: "h", x: 0, y: phone ? -0.25 : -0.2, yanchor: "top", font: { size: 11.5 } },
      ...chart.layout,
    };
    for (const name of ["xaxis", "yaxis"]) layout[name] = axis(layout[name]);
    Plotly.react(element, coloured(chart.data, style), coloured(layout, style), { responsive: true, displaylogo: false, displayModeBar: false });
  }
  const charts = [...document.querySelectorAll("[data-chart]")];
  charts.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
})();
