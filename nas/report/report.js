"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const phone = matchMedia("(max-width: 640px)").matches;
  const coarse = phone || matchMedia("(pointer: coarse)").matches;

  /* Charts: the page's colours are put in, for light and for dark. */
  const styles = () => getComputedStyle(document.documentElement);
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
  function layoutOf(chart, style) {
    const axis = (own) => ({
      gridcolor: "var(--line)", linecolor: "var(--line)", tickcolor: "var(--line)", automargin: true, ...own,
      title: { font: { size: 13 }, standoff: 10, ...(own.title || {}) },
    });
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: styles().getPropertyValue("--sans"), size: 12, color: "var(--muted)" },
      hoverlabel: { align: "left", bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--dot)", activecolor: "var(--ink)" },
      hovermode: "closest", dragmode: coarse ? false : "zoom",
      margin: { l: 56, r: 16, t: 20, b: 48 },
      legend: phone
        ? { orientation: "h", x: 0, y: -0.22, yanchor: "top", font: { size: 11 } }
        : { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      ...chart.layout,
    };
    for (const name of ["xaxis", "yaxis"]) layout[name] = axis(layout[name] || {});
    return coloured(layout, style);
  }
  function draw(element) {
    const chart = payload.charts[element.dataset.chart];
    if (!chart) { element.hidden = true; return; }
    const style = styles();
    const config = { responsive: true, displaylogo: false, displayModeBar: coarse ? false : "hover", modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    if (element.closest(".small")) config.displayModeBar = false;
    element.drawn = true;
    Plotly.react(element, coloured(chart.data, style), layoutOf(chart, style), config).then(() => mark(element));
  }
  const charts = [...document.querySelectorAll("[data-chart]")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting && !entry.target.drawn) draw(entry.target);
  }, { rootMargin: "600px" });
  charts.forEach((element) => near.observe(element));
  addEventListener("beforeprint", () => charts.filter((element) => !element.drawn).forEach(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.filter((element) => element.drawn).forEach(draw));

  /* Pictures: two versions on top of each other, and a budget that chooses the model. */
  const list = document.getElementById("versions");
  const versions = list ? JSON.parse(list.textContent) : [];
  let chosen = null;
  function mark(element) {
    if (chosen === null || !element.data || !element.closest("#front")) return;
    const trace = element.data.findIndex((one) => one.customdata);
    if (trace < 0) return;
    const sizes = [...element.data[trace].customdata].map((trial) => (trial === chosen ? 17 : 10));
    Plotly.restyle(element, { "marker.size": [sizes] }, [trace]);
  }
  if (versions.length) {
    const [left, right, budget] = ["left", "right", "budget"].map((id) => document.getElementById(id));
    const stages = [...document.querySelectorAll(".stage")];
    const show = () => {
      for (const stage of stages) {
        for (const image of stage.querySelectorAll("img")) {
          const [isLeft, isRight] = [image.dataset.key === left.value, image.dataset.key === right.value];
          image.classList.toggle("show", isLeft || isRight);
          image.classList.toggle("over", isLeft && left.value !== right.value);
          const words = `${image.dataset.name}${image.dataset.quality ? " · " + image.dataset.quality : ""}`;
          if (isLeft) stage.querySelector(".corner.left").textContent = words;
          if (isRight) stage.querySelector(".corner.right").textContent = words;
        }
      }
    };
    const say = () => {
      const version = versions[Number(budget.value)];
      const cost = version.latency_ms;
      document.getElementById("budget-text").textContent = cost === null ? `trial ${version.trial}` : `${cost.toPrecision(3)} ms`;
      document.getElementById("budget-model").textContent = `Trial ${version.trial}, ${version.label}: ${version.words}`;
      budget.setAttribute("aria-valuetext", `trial ${version.trial}`);
      chosen = version.trial;
      charts.filter((element) => element.drawn).forEach(mark);
    };
    budget.addEventListener("input", () => { right.value = versions[Number(budget.value)].key; say(); show(); });
    right.addEventListener("change", () => {
      const place = versions.findIndex((version) => version.key === right.value);
      if (place >= 0) { budget.value = place; say(); }
      show();
    });
    left.addEventListener("change", show);
    for (const stage of stages) {
      const slider = stage.querySelector("input");
      slider.addEventListener("input", () => stage.style.setProperty("--cut", `${slider.value}%`));
    }
    document.body.classList.add("ready");
    say(); show();
  }

  /* The table of all trials: sorted, filtered, a page at a time. */
  const { columns, rows, name } = payload.table;
  const PAGE = 50;
  const visible = columns.map((column, index) => ({ ...column, index })).filter((column) => !column.hidden);
  const head = document.querySelector("#all thead");
  const body = document.querySelector("#all tbody");
  let order = { index: 0, down: false };
  let page = 0;
  const numeric = (column) => "digits" in column || column.name === "trial";
  function text(value, column) {
    if (value === null || value === undefined) return "";
    if (!("digits" in column)) return String(value);
    if (column.digits >= 0) return value.toFixed(column.digits);
    return Math.abs(value) >= 1000 || Number.isInteger(value) ? Math.round(value).toLocaleString("en").replaceAll(",", "\u202f") : value.toPrecision(3);
  }
  function compare(a, b) {
    const [x, y] = [a[order.index], b[order.index]];
    if (x === null || y === null) return (x === null) - (y === null) || a[0] - b[0];
    const sign = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
    return (order.down ? -sign : sign) || a[0] - b[0];
  }
  function cell(row, column) {
    const td = document.createElement("td");
    const value = text(row[column.index], column);
    if (column.name === "state") {
      const tag = document.createElement("span");
      tag.className = `tag ${value === "complete" ? "plain" : value}`;
      tag.textContent = value;
      td.append(tag);
    } else td.textContent = value;
    td.className = numeric(column) ? "r" : column.name === "label" ? "name" : column.name;
    return td;
  }
  function fill() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = rows.filter((row) => {
      const all = row.join(" ").toLowerCase();
      return words.every((word) => all.includes(word));
    }).sort(compare);
    const pages = Math.max(1, Math.ceil(wanted.length / PAGE));
    page = Math.min(page, pages - 1);
    const part = wanted.slice(page * PAGE, (page + 1) * PAGE);
    body.replaceChildren(...part.map((row) => {
      const tr = document.createElement("tr");
      tr.append(...visible.map((column) => cell(row, column)));
      return tr;
    }));
    const from = wanted.length ? page * PAGE + 1 : 0;
    document.getElementById("shown").textContent = `${from}–${page * PAGE + part.length} of ${wanted.length}`;
    document.getElementById("before").disabled = page === 0;
    document.getElementById("next").disabled = page >= pages - 1;
    document.querySelector(".pager").hidden = pages < 2;
    for (const th of head.querySelectorAll("th")) {
      const own = Number(th.dataset.index) === order.index;
      th.setAttribute("aria-sort", own ? (order.down ? "descending" : "ascending") : "none");
    }
  }
  const line = document.createElement("tr");
  for (const column of visible) {
    const th = document.createElement("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    th.dataset.index = column.index;
    if (numeric(column)) th.className = "r";
    button.addEventListener("click", () => {
      order = { index: column.index, down: order.index === column.index ? !order.down : column.name === "psnr_db" || column.name === "ssim" };
      page = 0;
      fill();
    });
    th.append(button);
    if (column.unit) {
      const unit = document.createElement("small");
      unit.textContent = column.unit;
      th.append(unit);
    }
    line.append(th);
  }
  head.append(line);
  document.getElementById("filter").addEventListener("input", () => { page = 0; fill(); });
  document.getElementById("before").addEventListener("click", () => { page -= 1; fill(); });
  document.getElementById("next").addEventListener("click", () => { page += 1; fill(); });
  fill();

  /* Downloads: made here, from what the page holds. */
  function save(content, kind, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: kind }));
    link.download = `${name}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const quoted = (value) => {
    const plain = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  document.getElementById("csv").addEventListener("click", () => {
    const lines = [columns.map((column) => column.name), ...rows].map((row) => row.map(quoted).join(","));
    save(lines.join("\r\n") + "\r\n", "text/csv", "csv");
  });
  document.getElementById("json").addEventListener("click", () => {
    const objects = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column.name, row[index]])));
    save(JSON.stringify(objects, null, 1) + "\n", "application/json", "json");
  });
})();
