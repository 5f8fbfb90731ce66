"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const { offers, resolved, stops, names, labels, words, pictured } = payload.choice;

  /* The front's charts show the chosen model as a larger dot. */
  let chosen = null;
  function mark(element) {
    if (!element.data || !element.closest("#front")) return;
    const trace = element.data.findIndex((one) => one.customdata);
    if (trace < 0) return;
    const sizes = [...element.data[trace].customdata].map((trial) => (trial === chosen ? 17 : 10));
    Plotly.restyle(element, { "marker.size": [sizes] }, [trace]);
  }
  drawWhenNear((element) => charts.draw(element).then(() => mark(element)));

  /* Pictures: two versions on top of each other. */
  const [left, right] = ["left", "right"].map((id) => document.getElementById(id));
  const stages = [...document.querySelectorAll(".stage")];
  function show() {
    for (const stage of stages) {
      for (const image of stage.querySelectorAll("img")) {
        const [isLeft, isRight] = [image.dataset.key === left.value, image.dataset.key === right.value];
        image.classList.toggle("show", isLeft || isRight);
        image.classList.toggle("over", isLeft && left.value !== right.value);
        const said = `${image.dataset.name}${image.dataset.quality ? " · " + image.dataset.quality : ""}`;
        if (isLeft) stage.querySelector(".corner.left").textContent = said;
        if (isRight) stage.querySelector(".corner.right").textContent = said;
      }
    }
  }
  if (stages.length) {
    for (const select of [left, right]) select.addEventListener("change", show);
    for (const stage of stages) {
      const slider = stage.querySelector("input");
      slider.addEventListener("input", () => stage.style.setProperty("--cut", `${slider.value}%`));
    }
    document.body.classList.add("ready");
    show();
  }

  /* A budget for each device chooses a model of the front: in the chart, the table, the pictures. */
  const fields = [...document.querySelectorAll("#budget [type=number]")];
  const sliders = [...document.querySelectorAll("#budget [type=range]")];
  function budgets() {
    const given = fields.filter((field) => field.value !== "" && Number.isFinite(field.valueAsNumber));
    return Object.fromEntries(given.map((field) => [field.dataset.metric, field.valueAsNumber]));
  }
  function reason(limits, choice) {
    if (choice === null) {
      const least = Object.keys(limits).map((metric) => `${stops[metric][0]} ms on ${names[metric]}`);
      return `No model of the front is that fast everywhere. The fastest of each device: ${least.join(", ")}.`;
    }
    const { model, sharpest } = choice;
    const equal = model === sharpest ? "" : ` Trial ${sharpest.trial}, ${words[sharpest.trial]}, is not better for certain, and slower.`;
    const seen = !pictured.length || pictured.includes(model.trial) ? "" : " No pictures were made with it.";
    return `Trial ${model.trial}, ${labels[model.trial]}: ${words[model.trial]}.${equal}${seen}`;
  }
  function choose() {
    const limits = budgets();
    const choice = bestWithin(offers, limits, resolved);
    chosen = choice && choice.model.trial;
    document.getElementById("choice").textContent = reason(limits, choice);
    for (const row of document.querySelectorAll("#front-table tr[data-trial]")) {
      row.classList.toggle("chosen", Number(row.dataset.trial) === chosen);
    }
    if (stages.length && pictured.includes(chosen)) { right.value = `t${chosen}`; show(); }
    charts.all.filter((element) => element.drawn).forEach(mark);
  }
  const say = (slider) => {
    const values = stops[slider.dataset.metric];
    const at = Number(slider.value);
    slider.setAttribute("aria-valuetext", at < values.length ? `at most ${values[at]} ms` : "any latency");
  };
  /* The address has the budgets, so that a link or a reload shows the same choice. */
  function place(field, slider) {
    const values = stops[field.dataset.metric];
    const given = budgets()[field.dataset.metric];
    const fits = given === undefined ? values.length + 1 : values.filter((value) => value <= given).length;
    slider.value = Math.max(0, fits - 1);
    say(slider);
  }
  function keep() {
    const given = budgets();
    const named = fields.filter((field) => field.dataset.metric in given)
      .map((field) => [field.dataset.device, given[field.dataset.metric]]);
    history.replaceState(null, "", fragmentOf(Object.fromEntries(named)));
    choose();
  }
  function restore() {
    if (location.hash.length > 1 && !location.hash.includes("=")) return choose(); // a section's link
    const given = budgetsIn(location.hash, fields.map((field) => field.dataset.device));
    fields.forEach((field, index) => {
      field.value = given[field.dataset.device] ?? "";
      place(field, sliders[index]);
    });
    choose();
  }
  fields.forEach((field, index) => {
    const slider = sliders[index];
    const values = stops[field.dataset.metric];
    slider.addEventListener("input", () => {
      field.value = Number(slider.value) < values.length ? values[Number(slider.value)] : "";
      say(slider);
      keep();
    });
    field.addEventListener("input", () => { place(field, slider); keep(); });
    say(slider);
  });
  addEventListener("hashchange", () => { if (fields.length) restore(); });
  if (fields.length) restore();

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
