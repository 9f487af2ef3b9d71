// Faces as points of the sphere: a photo on its way there, its numbers as coloured cells, and what was measured between them.
// value: {vectors: [{title, cells: [-100..100]}], rows: [[what, how much, verdict]]}. Event "photo" {path, name}.
const { el, svg, icon } = facelab;
const root = element.querySelector(".fl-circle");
const MAX_BYTES = 60 * 2 ** 20, COLUMNS = 16;

const input = el("input", { type: "file", accept: "image/*,.heic,.heif,.avif", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const choose = el("button", { type: "button", class: "fl-button small", onclick: () => input.click() }, icon("upload"), "Take a photo's face");
const said = el("p", { class: "fl-small fl-muted", role: "status" });
const vectors = el("div", { class: "fl-vectors" });
const table = el("dl", { class: "fl-vector-rows" });
root.append(input, el("div", { class: "fl-row" }, choose, said), vectors, table);

input.addEventListener("change", async () => {
  const file = input.files[0];
  input.value = "";
  if (!file) return;
  if (file.size > MAX_BYTES) { said.textContent = "Photos of up to 60 MB can be opened. Save it smaller first."; return; }
  said.textContent = "Looking for the face …";
  try { trigger("photo", { path: (await upload(file)).path, name: file.name || "photo" }); } catch { said.textContent = "The photo did not get through. Choose it again."; }
});

const picture = ({ title, cells }) => el("figure", { class: "fl-vector" },
  svg("svg", { viewBox: `0 0 ${COLUMNS} ${Math.ceil(cells.length / COLUMNS)}`, role: "img", "aria-label": `The vector of ${title}` },
    ...cells.map((value, index) => svg("rect", { x: index % COLUMNS, y: Math.floor(index / COLUMNS), width: 1.02, height: 1.02, class: value < 0 ? "minus" : "plus", "fill-opacity": (Math.abs(value) / 100).toFixed(2) }))),
  el("figcaption", {}, title));

const draw = () => {
  const value = props.value || {}, shown = value.vectors || [], rows = value.rows || [];
  said.textContent = value.refusal || (shown.length ? "Each square is a number of the vector: its colour the sign, its strength the size." : "From the photo straight to its vector, without embedding.");
  said.classList.toggle("bad", Boolean(value.refusal));
  vectors.hidden = !shown.length;
  vectors.replaceChildren(...shown.map(picture));
  table.hidden = !rows.length;
  table.replaceChildren(...rows.flatMap(([what, amount, verdict]) => [el("dt", {}, what), el("dd", {}, el("b", {}, amount), ` · ${verdict}`)]));
};
draw();
watch("value", draw);
