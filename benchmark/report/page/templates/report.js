// Charts, table and dialog of the runs. The numbers stand once in the page, as columns over the runs; a run is its number i there.
// Whatever a user named is put into the page as text (textContent), never as HTML.
const data = JSON.parse(document.getElementById("report-data").textContent);
const metrics = Object.keys(data.metrics);
const numbers = new Map(data.keys.map((key, i) => [key, i]));
const dark = matchMedia("(prefers-color-scheme: dark)");
const print = matchMedia("print");
const dialog = document.getElementById("run-dialog");
const tip = document.getElementById("run-tip");
const MISSING = "–";
const PRINTED = 1000; // rows of the table of runs that go to paper

const at = (column, i) => column.levels[column.codes[i]];
const run = (name, i) => at(data.runs[name], i);
const value = (metric, i, part = "value") => data.values[metric][part]?.[i] ?? null;
const model = (i) => data.models[run("model", i)].title;
const settings = (i) => Object.entries(data.hyperparameters).map(([name, column]) => [name, at(column, i)]).filter(([, text]) => text !== undefined);
const status = (i) => run("status", i) + (run("reason", i) ? `: ${run("reason", i)}` : "");
const number = (x, digits = 4) => (x === null ? MISSING : String(Number(x.toPrecision(digits))).replace("-", "−"));
const address = (i) => `#run=${encodeURIComponent(data.keys[i])}`;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// ---- Charts -------------------------------------------------------------------------------------------------------------------

function theme() {
  const [ink, quiet, grid] = dark.matches ? ["#eeeeee", "#b5b9be", "#3a3f45"] : ["#1b1b1b", "#55595e", "#e3e5e8"];
  const font = "system-ui, sans-serif";
  return {
    background: "transparent", font, view: { stroke: null },
    axis: { labelColor: quiet, titleColor: quiet, gridColor: grid, domainColor: quiet, tickColor: quiet, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", labelPadding: 5 },
    legend: { labelColor: ink, titleColor: quiet, labelFontSize: 11 },
    range: { category: dark.matches ? ["#56b4e9", "#e69f00", "#2fc08f", "#d98cbb", "#f0e442", "#bbbbbb"] : ["#0173b2", "#d55e00", "#029e73", "#cc78bc", "#ca9161", "#555555"] },
    style: {
      quartiles: { fillOpacity: 0.6, stroke: ink, strokeWidth: 1 },
      whisker: { color: ink, strokeWidth: 1 },
      median: { color: ink, strokeWidth: 2 },
      run: { shape: "circle", filled: true, color: ink },
      dot: { shape: "circle", filled: true },
      best: { shape: "circle", filled: false, color: dark.matches ? "white" : "black", strokeWidth: 1.4, size: 70, opacity: 1 },
      reference: { color: quiet, strokeWidth: 1, strokeDash: [5, 4] },
    },
  };
}

// Sideways, the runs of a box are spread by a hash of their numbers: the same run always lies there.
function spread(i) {
  let hash = Math.imul(i + 1, 0x45d9f3b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return 0.42 * (((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32 - 0.5);
}

function rows(panel) {
  const shown = panel.runs === "all" ? data.keys.map((_, i) => i) : panel.runs;
  const best = new Set(panel.best);
  const column = (source) => (typeof source === "string" ? (i) => value(source, i) : (i, place) => source[place]);
  const y = column(panel.y);
  const x = panel.x ? column(panel.x) : (i) => panel.places[run("model", i)] + spread(i);
  const found = shown.map((i, place) => ({ i, x: x(i, place), y: y(i, place), c: data.models[run("model", i)].colour, best: best.has(i) }));
  return found.filter((row) => row.x !== null && row.y !== null);
}

async function draw(place, spec, name, values) {
  place.view?.finalize();
  const options = { mode: "vega-lite", renderer: "canvas", actions: false, defaultStyle: false, hover: false, tooltip: false, config: theme() };
  const result = await vegaEmbed(place, { ...spec, datasets: { ...spec.datasets, [name]: values } }, options);
  place.view = result.view;
  // Where there is less room the labels have more lines, and need more height than Vega gave them at first.
  const fit = () => place.view === result.view && result.view.resize().runAsync();
  result.view.addSignalListener("width", () => setTimeout(fit));
  await fit();
}

// Searched by distance, not by what a pixel hits: a dot is small for a finger, and ten thousand of them cost nothing.
function nearest(place, event, reach) {
  const box = place.querySelector("canvas").getBoundingClientRect();
  const [left, top] = place.view.origin();
  const [x, y] = [place.view.scale("x"), place.view.scale("y")];
  let found = null;
  for (const row of place.rows) {
    const [a, b] = [box.left + left + x(row.x), box.top + top + y(row.y)];
    const distance = Math.hypot(a - event.clientX, b - event.clientY);
    if (distance < (found?.distance ?? reach)) found = { row, distance, x: a, y: b };
  }
  return found;
}

function point(place, panel, event) {
  const found = place.view && nearest(place, event, 14);
  place.style.cursor = found ? "pointer" : "";
  place.ring.hidden = tip.hidden = !found;
  if (!found) return;
  const { i } = found.row;
  const box = place.getBoundingClientRect();
  Object.assign(place.ring.style, { left: `${found.x - box.left}px`, top: `${found.y - box.top}px` });
  const said = (source, axis, x) => `${typeof source === "string" ? data.metrics[source] : axis}: ${number(x)}`;
  const scores = [...(panel.x ? [said(panel.x, panel.axes[0], found.row.x)] : []), said(panel.y, panel.axes[1], found.row.y)];
  const hyperparameters = settings(i).map(([name, text]) => element("div", {}, `${name} ${text}`));
  tip.replaceChildren(
    element("strong", {}, model(i)), element("div", { className: "quiet" }, `${data.keys[i]}, seed ${run("seed", i)}`),
    ...scores.map((text) => element("div", {}, text)), element("div", { className: "settings" }, ...hyperparameters));
  const width = document.documentElement.clientWidth;
  const above = found.y > tip.offsetHeight + 20;
  tip.style.left = `${Math.max(4, Math.min(found.x + 12, width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${above ? found.y - tip.offsetHeight - 12 : found.y + 12}px`;
}

function panels(chart) {
  for (const panel of data.charts[chart.id]) {
    const place = element("div", { className: "panel" });
    place.ring = element("div", { className: "ring", hidden: true });
    const frame = element("div", { className: "frame" }, place, place.ring);
    chart.append(element("div", {}, ...(panel.title ? [element("h3", {}, panel.title)] : []), frame));
    if (!panel.y.length) { place.replaceWith(element("p", { className: "quiet" }, "No run has a value here.")); continue; }
    place.redraw = async () => { place.rows = rows(panel); await draw(place, panel.spec, "points", place.rows); };
    place.addEventListener("pointermove", (event) => point(place, panel, event));
    place.addEventListener("pointerleave", () => { place.ring.hidden = tip.hidden = true; });
    place.addEventListener("click", (event) => {
      const found = place.view && nearest(place, event, 20);
      place.ring.hidden = tip.hidden = true;
      if (found) go(found.row.i);
    });
  }
}

// A chart is drawn when the reader comes near it.
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    Promise.all([...target.querySelectorAll(".panel")].map((place) => place.redraw())).catch((error) => {
      target.closest("figure").classList.remove("live"); // the picture is there
      console.error(error);
    });
  }
}, { rootMargin: "600px" });
for (const swatch of document.querySelectorAll(".swatch")) swatch.style.background = data.models[swatch.dataset.model].colour;
for (const chart of document.querySelectorAll(".chart")) { panels(chart); observer.observe(chart); }

function recolour() {
  document.documentElement.classList.toggle("dark", dark.matches); // what the table's style sheet looks at
  for (const place of document.querySelectorAll(".panel, .curves")) if (place.view) place.redraw();
}
dark.addEventListener("change", recolour);
recolour();

// ---- One run ------------------------------------------------------------------------------------------------------------------

function table(heads, body) {
  const cells = (name, texts) => texts.map((text, place) => element(name, { className: place && heads.length > 2 ? "number" : "" }, text));
  const head = element("thead", {}, element("tr", {}, ...cells("th", heads)));
  return element("div", { className: "wide" }, element("table", {}, head, element("tbody", {}, ...body.map((row) => element("tr", {}, ...cells("td", row))))));
}

function curves(lines) {
  const groups = new Map();
  for (const line of lines) {
    const group = line[0].split("/")[0];
    groups.set(group, [...(groups.get(group) ?? []), line]);
  }
  const titles = { loss: "Losses", critic_curve: "The critic that is trained beside the run" };
  return [...groups].map(([group, mine]) => {
    const place = element("div", { className: "curves" });
    const values = mine.flatMap(([name, xs, ys]) => xs.map((x, k) => ({ x, y: ys[k], name: name.slice(group.length + 1) || name })));
    place.redraw = () => draw(place, data.curves, "curves", values);
    return element("div", {}, element("h3", {}, titles[group] ?? group), place);
  });
}

function show(i) {
  const key = data.keys[i];
  const facts = { study: run("study", i), model: model(i), setting: run("setting", i), seed: run("seed", i), status: status(i), seconds: number(data.seconds[i]) };
  const scores = metrics.filter((metric) => value(metric, i) !== null).map((metric) => [
    data.metrics[metric], number(value(metric, i)),
    value(metric, i, "low") === null ? MISSING : `${number(value(metric, i, "low"))} to ${number(value(metric, i, "high"))}`,
    number(value(metric, i, "second"))]);
  const stored = document.querySelector(`script[data-run="${CSS.escape(key)}"]`);
  const details = stored ? JSON.parse(stored.textContent) : { curves: [], pictures: {} };
  const drawn = curves(details.curves);
  const pictures = Object.entries(details.pictures).map(([kind, src]) =>
    element("figure", {}, element("img", { src, alt: `${kind} of ${key}`, className: "pixels" }), element("figcaption", {}, kind)));
  const left = `Curves and pictures of this run were left out to keep the page small; they are in its folder, runs/${key}`;
  dialog.replaceChildren(
    element("header", {}, element("h2", { id: "run-key" }, key), element("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    element("dl", {}, ...Object.entries(facts).map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(text))))),
    scores.length ? table(["metric", "value", "95 % interval", "second evaluation"], scores) : element("p", {}, "This run has no values."),
    table(["hyperparameter", "value"], settings(i)),
    ...(stored ? [element("div", { className: "pair" }, ...drawn), element("div", { className: "pair" }, ...pictures)] : [element("p", { className: "quiet" }, left)]));
  dialog.shown = i;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  for (const place of dialog.querySelectorAll(".curves")) place.redraw();
}

// The address says which run is open: it can be sent to somebody, and Back closes it.
function go(i) {
  history.pushState({ pushed: true }, "", address(i));
  follow();
}
function named(hash) {
  try { return hash.startsWith("#run=") ? numbers.get(decodeURIComponent(hash.slice(5))) : undefined; }
  catch { return undefined; } // an address that was cut off in the middle of a letter
}
function follow() {
  const i = named(location.hash);
  if (i === undefined) dialog.close();
  else if (!dialog.open || dialog.shown !== i) show(i);
}
addEventListener("popstate", follow);
addEventListener("hashchange", follow);
dialog.addEventListener("close", () => {
  if (dialog.open) return; // opened again before this was told
  for (const place of dialog.querySelectorAll(".curves")) place.view?.finalize();
  dialog.replaceChildren();
  if (!location.hash.startsWith("#run=")) return;
  if (history.state?.pushed) history.back();
  else history.replaceState(null, "", location.href.split("#")[0]);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside it
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#run="]');
  const i = link ? named(link.hash) : undefined;
  if (i === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  go(i);
}, true);

// ---- All runs -----------------------------------------------------------------------------------------------------------------

// Numbers in their order, and what is missing last in both directions.
const last = (sign) => (a, b) => (a === null) - (b === null) || sign * (a - b);
DataTable.type("value", { className: "number", order: { asc: last(1), desc: last(-1) } });
const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const texts = (say) => ({ type: "string", data: (i, kind) => (kind === "display" ? escaped(say(i)) : say(i)) });
const values = (get) => ({ type: "value", data: (i, kind) => (kind === "display" || kind === "filter" ? number(get(i)) : get(i)) });
const many = document.querySelectorAll("#runs-table th").length - metrics.length > 5;
const columns = [
  { type: "string", data: (i, kind) => (kind === "display" ? `<a href="${escaped(address(i))}">${escaped(data.keys[i])}</a>` : data.keys[i]) },
  texts(model),
  ...(many ? [texts((i) => run("setting", i))] : []),
  values((i) => run("seed", i)),
  texts(status),
  ...metrics.map((metric) => values((i) => value(metric, i))),
  { ...texts((i) => settings(i).map((pair) => pair.join(" ")).join(", ")), className: "settings", orderable: true },
];
const listed = new DataTable("#runs-table", {
  data: data.keys.map((_, i) => i), columns, deferRender: true, autoWidth: false, pageLength: 25, order: [],
  layout: { topStart: document.querySelector(".filters"), topEnd: "search", bottomStart: "info", bottomEnd: "paging" },
  language: { search: "Search", info: "_START_ to _END_ of _TOTAL_ runs", infoEmpty: "no runs", infoFiltered: "(of _MAX_)", zeroRecords: "No run is like this", emptyTable: "There are no runs" },
});
for (const name of ["model", "status"]) {
  const choice = document.getElementById(`filter-${name}`);
  listed.search.fixed(name, (text, i) => !choice.value || run(name, i) === choice.value);
  choice.addEventListener("change", () => listed.draw());
}
listed.on("click", "tbody tr", (event) => {
  const i = listed.row(event.currentTarget).data();
  if (i !== undefined && !getSelection().toString()) go(i);
});

// Paper has no pages to turn: all rows, if they are not too many, and the small print.
print.addEventListener("change", () => {
  if (print.matches && data.keys.length <= PRINTED) listed.page.len(-1).draw();
  if (!print.matches) { listed.page.len(25).draw(); dispatchEvent(new Event("resize")); } // a chart that was hidden has lost its width
  for (const notes of document.querySelectorAll("details")) notes.open = print.matches;
  const note = document.getElementById("not-printed");
  note.hidden = !(print.matches && data.keys.length > PRINTED);
  note.textContent = `These are 25 of ${data.keys.length} runs; records.csv, beside the page, has all of them.`;
});
follow();
