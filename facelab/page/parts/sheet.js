// Pictures in rows and columns, each to be taken. value: {title, columns, cells: [{picture, label}], heads, sides, chosen, text, fraction, running,
// of: the ids of the faces that it is made of}.
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-sheet");

const title = el("b");
const text = el("span", { class: "fl-small fl-muted", role: "status" });
const stop = button("Stop", { class: "fl-mini", hidden: true, onclick: () => trigger("stop", {}) }, "Stop");
const keepIt = button("Save all as one picture (PNG)", { class: "fl-icon-button", onclick: () => trigger("save", {}) }, icon("save"));
const grid = el("div", { class: "fl-sheet-grid" });
root.append(el("div", { class: "fl-sheet-head" }, title, text, stop, keepIt), el("div", { class: "fl-sheet-scroll" }, grid));

let parcel = null, drawing = false;
const hide = () => {
  const { cells, running, of, text: said } = props.value || {};
  const gone = (of || []).some((id) => !(facelab.faces || []).some((face) => face.id === id));
  root.hidden = gone || (!cells?.length && !running && !said);
};
const draw = () => {
  const value = props.value || {}, cells = value.cells || [];
  hide();
  title.textContent = value.title || "";
  text.textContent = value.text || "";
  stop.hidden = !value.running;
  keepIt.hidden = !cells.length || value.running;
  const heads = value.heads || [], sides = value.sides || [];
  grid.style.setProperty("--columns", String((value.columns || 1) + (sides.length ? 1 : 0)));
  grid.classList.toggle("framed", heads.length > 0);
  const head = (each) => el("span", { class: "fl-sheet-side" }, el("img", { src: each.picture, alt: each.label, title: each.label }));
  const columns = value.columns || 1, nodes = [];
  if (heads.length) nodes.push(el("span", { class: "fl-sheet-corner" }), ...heads.map(head));
  cells.forEach((cell, index) => {
    if (sides.length && index % columns === 0) nodes.push(head(sides[index / columns]));
    nodes.push(button(cell.label, { class: "fl-sheet-cell", "aria-pressed": String(index === value.chosen), onclick: () => pick(index) }, el("img", { src: cell.picture, alt: "" })));
  });
  grid.replaceChildren(...nodes);
  if (drawing && !value.running) root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  drawing = Boolean(value.running);
};
const pick = (index) => {
  grid.querySelectorAll(".fl-sheet-cell").forEach((cell, number) => cell.setAttribute("aria-pressed", String(number === index)));
  root.closest("[role=tabpanel]")?.querySelector(".fl-view-frame")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  trigger("choose", { index });
};

draw();
watch("value", draw);
document.addEventListener("facelab:faces", hide);
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
