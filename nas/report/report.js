"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const { offers, resolved, stops, names, labels, words, files, pictured } = payload.choice;

  /* One trial is chosen: its dots, cards, rows, pictures and operations show it together. */
  const { columns, rows, name } = payload.table;
  const at = Object.fromEntries(columns.map((column, index) => [column.name, index]));
  const byNumber = new Map(rows.map((row) => [row[at.trial], row]));
  const onFront = offers.map((offer) => offer.trial);
  let chosen = null;
  function mark(element) {
    if (!element.data || !element.closest("#front")) return;
    const trace = element.data.findIndex((one) => one.name === "Pareto front");
    if (trace < 0) return;
    const sizes = [...element.data[trace].customdata].map((trial) => (trial === chosen ? 17 : 10));
    Plotly.restyle(element, { "marker.size": [sizes] }, [trace]);
  }
  drawWhenNear((element) => charts.draw(element).then(() => {
    mark(element);
    if (element.linked || !element.on) return;
    element.linked = true;
    element.on("plotly_click", ({ points }) => {
      const trial = points.map((point) => point.customdata).find(Number.isInteger);
      if (trial !== undefined) pick(trial);
    });
  }));
  const marked = () => document.querySelectorAll("tr[data-trial], article[data-trial]");
  function choose(trial) {
    chosen = trial;
    for (const element of marked()) {
      const own = Number(element.dataset.trial) === chosen;
      element.classList.toggle("chosen", own);
      own ? element.setAttribute("aria-current", "true") : element.removeAttribute("aria-current");
    }
    if (stages.length && pictured.includes(chosen)) { right.value = `t${chosen}`; show(); }
    if (apart && [...apart.options].some((option) => Number(option.value) === chosen)) { apart.value = chosen; takeApart(); }
    charts.all.filter((element) => element.drawn).forEach(mark);
  }
  /* What the reader picks by hand is told at the foot of the page, with ways to its other places. */
  const bar = document.getElementById("chosen");
  function tell() {
    const row = byNumber.get(chosen);
    const label = labels[chosen] || (row && row[at.label]) || "";
    bar.querySelector("p").textContent = `Trial ${chosen} · ${label}${words[chosen] ? ": " + words[chosen] : row ? " · " + row[at.state] : ""}`;
    const places = [
      ["Pictures", pictured.includes(chosen) && "#pictures"],
      ["Why slow", apart && Number(apart.value) === chosen && "#slow"],
      ["Front", onFront.includes(chosen) && "#front-table"],
      ["The file", files[chosen]],
      ["How it was timed", document.querySelector(`#evidence [data-trial="${chosen}"]`) && "#evidence"],
    ].filter(([, place]) => place);
    bar.querySelector("nav").replaceChildren(...places.map(([text, place]) => {
      const link = document.createElement("a");
      link.href = place;
      link.textContent = text;
      return link;
    }));
    bar.hidden = false;
  }
  function pick(trial) {
    picked = trial;
    choose(trial);
    tell();
    keep();
  }
  let picked = null;
  document.getElementById("unchoose").addEventListener("click", () => { bar.hidden = true; picked = null; keep(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-trial]");
    const row = event.target.closest("a, button, input, summary, details table") ? null : event.target.closest("tr[data-trial], article.pick");
    if (!link && !row) return;
    if (link) event.preventDefault();
    pick(Number((link || row).dataset.trial));
  });
  for (const chart of document.querySelectorAll("figure.front")) {
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: -1, ArrowLeft: 1 }[event.key];
      if (!step || !onFront.length) return;
      event.preventDefault();
      const here = onFront.indexOf(chosen);
      pick(onFront[Math.min(onFront.length - 1, Math.max(0, (here < 0 ? 0 : here) + step))]);
    });
  }

  /* Pictures: two versions on top of each other. */
  const [left, right] = ["left", "right"].map((id) => document.getElementById(id));
  const stages = [...document.querySelectorAll(".stage")];
  function show() {
    const errors = document.getElementById("errors").checked;
    for (const stage of stages) {
      stage.classList.toggle("errors", errors);
      for (const image of stage.querySelectorAll("img")) {
        const [isLeft, isRight] = [image.dataset.key === left.value, image.dataset.key === right.value];
        image.classList.toggle("show", isRight || (isLeft && !errors) || (errors && image.dataset.key === "sharp"));
        image.classList.toggle("over", isLeft && !errors && left.value !== right.value);
        const said = `${image.dataset.name}${image.dataset.quality ? " · " + image.dataset.quality : ""}`;
        if (isLeft) stage.querySelector(".corner.left").textContent = errors ? "" : said;
        if (isRight) stage.querySelector(".corner.right").textContent = errors ? `${said}, less sharp` : said;
      }
    }
  }
  if (stages.length) {
    for (const select of [left, right, document.getElementById("errors")]) select.addEventListener("change", show);
    for (const stage of stages) {
      const slider = stage.querySelector("input");
      slider.addEventListener("input", () => stage.style.setProperty("--cut", `${slider.value}%`));
    }
    for (const button of document.querySelectorAll(".zoom")) {
      button.addEventListener("click", () => {
        const on = button.closest("figure").classList.toggle("big");
        button.setAttribute("aria-pressed", String(on));
      });
    }
    document.body.classList.add("ready");
    show();
  }

  /* One model is taken apart at a time; all of them are printed. */
  const apart = document.getElementById("slow-model");
  function takeApart() {
    for (const article of document.querySelectorAll("article.slow")) article.hidden = article.dataset.trial !== apart.value;
  }
  if (apart) {
    apart.addEventListener("change", takeApart);
    addEventListener("beforeprint", () => document.querySelectorAll("article.slow").forEach((article) => { article.hidden = false; }));
    addEventListener("afterprint", takeApart);
    takeApart();
  }

  /* The raw file of a latency: from the page itself, or else from beside it. */
  const raw = document.getElementById("raw");
  for (const link of document.querySelectorAll("a[data-raw]")) {
    link.addEventListener("click", (event) => {
      const held = payload.raw[link.dataset.raw];
      if (!held) return;
      event.preventDefault();
      raw.querySelector("h3").textContent = link.dataset.raw;
      raw.querySelector("pre").textContent = JSON.stringify(held, null, 1);
      raw.showModal();
    });
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
  function within() {
    const limits = budgets();
    const choice = bestWithin(offers, limits, resolved);
    document.getElementById("choice").textContent = reason(limits, choice);
    choose(choice && choice.model.trial);
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
    if (picked !== null) named.push(["trial", picked]);
    history.replaceState(null, "", fragmentOf(Object.fromEntries(named)));
  }
  function restore() {
    if (location.hash.length > 1 && !location.hash.includes("=")) return; // a section's link
    const given = budgetsIn(location.hash, [...fields.map((field) => field.dataset.device), "trial"]);
    fields.forEach((field, index) => {
      field.value = given[field.dataset.device] ?? "";
      place(field, sliders[index]);
    });
    if (fields.length) within();
    const trial = new URLSearchParams(location.hash.slice(1)).get("trial");
    if (trial !== null && byNumber.has(Number(trial))) { picked = Number(trial); choose(picked); tell(); }
  }
  function change() {
    picked = null;
    bar.hidden = true;
    within();
    keep();
  }
  fields.forEach((field, index) => {
    const slider = sliders[index];
    const values = stops[field.dataset.metric];
    slider.addEventListener("input", () => {
      field.value = Number(slider.value) < values.length ? values[Number(slider.value)] : "";
      say(slider);
      change();
    });
    field.addEventListener("input", () => { place(field, slider); change(); });
    say(slider);
  });
  addEventListener("hashchange", restore);
  if (fields.length) within();
  restore();

  /* The table of all trials: sorted, filtered, a page at a time. */
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
    } else if (column.name === "trial") {
      const link = document.createElement("a");
      link.href = `#trial=${value}`;
      link.dataset.trial = value;
      link.textContent = value;
      td.append(link);
    } else td.textContent = value;
    if (column.name === "label" && row[at.note]) {
      const note = document.createElement("small");
      note.textContent = row[at.note];
      td.append(note);
    }
    const disturbed = row[at[`${column.name}.taken_on_busy_processor`]];
    if (disturbed) {
      td.textContent += "!";
      td.title = `taken on a busy processor: ${disturbed}`;
    }
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
      tr.dataset.trial = row[at.trial];
      tr.classList.toggle("chosen", row[at.trial] === chosen);
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
