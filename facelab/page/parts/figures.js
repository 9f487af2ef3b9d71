// A table of figures: a line each, models side by side. value: {models: [{title}], lines, real, about}, lines as JSON:
// [{title, help, why, real, cells: [{text, here, other, best}]}]; props progress {state: idle|running|refused, text, fraction}, parcel.
const { el, button, save } = facelab;
const root = element.querySelector(".fl-figures");

const REAL = "Real faces";
const about = el("p", { class: "fl-small fl-muted" });
const table = el("table", { role: "table" });  // roles, because a phone draws its rows as blocks
const box = el("div", { class: "fl-figures-scroll", tabindex: "0", role: "region", "aria-label": "Figures of each model" }, table);
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text", role: "status" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const why = el("ul", { class: "fl-figures-why" });
root.append(el("h2", {}, "Figures"), about, box, why, progress);

const cell = ({ text, here, other, best }, model) => el("td", { role: "cell", class: best ? "best" : "", "data-model": model },
  el("span", { class: here ? "fl-here" : "", title: here ? "Measured on this machine" : null }, text),
  best ? el("span", { class: "fl-hidden" }, "best") : null,
  other ? el("small", { class: "fl-here", title: "Measured on this machine" }, other) : null);
const draw = () => {
  const { models = [], lines: text = "[]", real = false, about: words = "" } = props.value || {};
  const lines = JSON.parse(text);
  root.hidden = !lines.length;
  about.textContent = words;
  about.hidden = !words;
  table.replaceChildren(
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, el("th", { scope: "col" }, el("span", { class: "fl-hidden" }, "Figure")),
      ...models.map(({ title }) => el("th", { scope: "col", role: "columnheader" }, title)),
      real ? el("th", { scope: "col", role: "columnheader" }, REAL, el("small", {}, "photos")) : null)),
    el("tbody", { role: "rowgroup" }, ...lines.map((line) => el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader" }, line.title, el("small", {}, line.help)),
      ...line.cells.map((each, index) => cell(each, models[index]?.title)),
      real ? el("td", { role: "cell", class: "real", "data-model": REAL }, line.real) : null))));
  explain(lines);
};
const explain = (lines) => {
  const reasons = new Map();
  for (const { title, why } of lines) if (why) reasons.set(why, [...(reasons.get(why) || []), title]);
  why.hidden = !reasons.size;
  why.replaceChildren(...[...reasons].map(([reason, titles]) => el("li", {}, el("b", {}, `${titles.join(", ")}: `), ...code(reason))));
};
const code = (words) => words.split("`").map((piece, index) => (index % 2 ? el("code", {}, piece) : piece));
const tell = () => {
  const { state = "idle", text: words = "", fraction = 0 } = props.progress || {};
  root.dataset.state = state;
  progress.hidden = !words;
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${fraction})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
  text.textContent = words;
  text.classList.toggle("bad", state === "refused");
};

let parcel = null;
draw();
tell();
watch("value", draw);
watch("progress", tell);
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
