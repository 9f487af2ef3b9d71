// A face under way to the style of any picture. value: {state: idle|running|done, name, picture, text, fraction, curve, refusal}; prop style.
const { el, svg, icon, button } = facelab;
const root = element.querySelector(".fl-stylise");
const MAX_BYTES = 60 * 2 ** 20, W = 300, H = 64;

const input = el("input", { type: "file", accept: "image/*,.heic,.avif", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const choose = el("button", { type: "button", class: "fl-button small", onclick: () => input.click() }, icon("upload"), "Choose a picture");
const said = el("p", { class: "fl-small fl-muted", role: "status" });
const frame = (label) => {
  const picture = el("img", { alt: label, hidden: true }), empty = el("div", { class: "fl-frame-empty" }, icon("image"));
  const node = el("figure", { class: "fl-pair-frame" }, el("div", { class: "fl-square" }, picture, empty), el("figcaption", {}, label));
  return { node, show: (source) => { picture.hidden = !source; empty.hidden = Boolean(source); if (source && picture.src !== source) picture.src = source; } };
};
const style = frame("Style"), face = frame("Face, live");
const pair = el("div", { class: "fl-pair" }, style.node, face.node);
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const line = svg("polyline", { class: "curve" });
const plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "fl-plot", role: "img", "aria-label": "Style loss by step" }, svg("line", { x1: 0, x2: W, y1: H - 1, y2: H - 1, class: "axis" }), line);
const plotBox = el("figure", { class: "fl-plot-box" }, el("figcaption", {}, el("b", {}, "Style loss"), el("span", { class: "fl-muted" }, "by step")), plot);
root.append(input, el("div", { class: "fl-row" }, choose), said, pair, progress, plotBox);

input.addEventListener("change", async () => {
  const file = input.files[0];
  input.value = "";
  if (!file) return;
  if (file.size > MAX_BYTES) { said.textContent = "Pictures of up to 60 MB can be opened. Make it smaller first."; return; }
  said.textContent = "Opening the picture …";
  try { trigger("take", { path: (await upload(file)).path, name: file.name }); } catch { said.textContent = "The picture did not get through. Choose it again."; }
});

const draw = () => {
  const value = props.value || {}, state = value.state || "idle", curve = value.curve || [];
  root.dataset.state = state;
  said.textContent = value.refusal || (value.name ? `${value.name} is open.` : "A painting, a fabric, a drawing: its colours and texture are taken, not what it shows.");
  style.show(props.style);
  face.show(value.picture);
  pair.hidden = !props.style;
  progress.hidden = state === "idle";
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${value.fraction || 0})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * (value.fraction || 0))));
  text.textContent = value.text || "";
  plotBox.hidden = curve.length < 2;
  const high = Math.max(...curve, 1e-6), x = (W * (value.fraction || 1)) / Math.max(curve.length - 1, 1);
  line.setAttribute("points", curve.map((loss, index) => `${(x * index).toFixed(1)},${(4 + (H - 8) * (1 - loss / high)).toFixed(1)}`).join(" "));
};
draw();
watch(["value", "style"], draw);
