// One embedding, live. value: {state, title, picture, fraction, progress, left, numbers, curve, split, others, strip}; prop target.
// curve: [[step, loss]], and others, curves of a recovery's restarts, both as JSON. strip: [{step, picture}], the faces on the way.
const { el, svg, icon } = facelab;
const root = element.querySelector(".fl-embedding");

const frame = (label, hint) => {
  const picture = el("img", { alt: label, hidden: true });
  const empty = el("div", { class: "fl-frame-empty" }, icon("face"), el("span", {}, hint));
  const node = el("figure", { class: "fl-pair-frame" }, el("div", { class: "fl-square" }, picture, empty), el("figcaption", {}, label));
  return { node, show: (source) => { picture.hidden = !source; empty.hidden = Boolean(source); if (source && picture.src !== source) picture.src = source; } };
};
const target = frame("Target", "Choose a face in Upload & align, or open one in the library");
const result = frame("Generator's face", "Appears here, live");

const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const progress = el("span", { class: "fl-progress-text" });
const left = el("span", { class: "fl-muted" });
const state = el("p", { class: "fl-hidden", role: "status" });

const NUMBERS = [
  ["loss", "Loss", "Difference to the target; lower is closer."],
  ["psnr", "PSNR", "Likeness of the pixels; above 25 it is close."],
  ["identity", "Identity distance", "Below 0.6 it is the same person."],
  ["latent", "Latent distance", "From the mean face; nearer is easier to edit."],
];
const tiles = Object.fromEntries(NUMBERS.map(([key, label, help]) => {
  const value = el("dd", { class: "fl-value", "data-number": key }, "–");
  return [key, { value, node: el("div", { class: "fl-tile" }, el("dt", {}, label), value, el("dd", { class: "fl-help" }, help)) }];
}));

let W = 600;
const H = 150, L = 46, R = 12, T = 12, B = 26;
const plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "fl-plot", role: "img", "aria-label": "Loss by step" });
const plotBox = el("figure", { class: "fl-plot-box" },
  el("figcaption", {}, el("b", {}, "Loss"), el("span", { class: "fl-muted" }, "by step, logarithmic")), plot);

const strip = el("ol", { class: "fl-strip", "aria-label": "Faces on the way" });
const stripBox = el("figure", { class: "fl-plot-box", hidden: true },
  el("figcaption", {}, el("b", {}, "On the way"), el("span", { class: "fl-muted" }, "the best search every 100 steps")), strip);

root.append(
  el("div", { class: "fl-pair" }, target.node, result.node),
  el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, progress, left)), state,
  el("dl", { class: "fl-tiles" }, ...NUMBERS.map(([key]) => tiles[key].node)),
  plotBox, stripBox,
);

const short = (value) => String(Number(value.toPrecision(2)));

// At most about `count` round numbers between low and high, in steps of 1, 2 or 5 times a power of ten.
const rounds = (low, high, count) => {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= rough);
  const values = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high * 1.0001; tick += step) values.push(Number(tick.toPrecision(6)));
  return values;
};
const ticks = (low, high) => {
  const values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
    for (const digit of [1, 2, 5]) { const tick = digit * 10 ** power; if (tick >= low && tick <= high) values.push(tick); }
  return values.length >= 3 ? values : rounds(low, high, 3);
};

const drawStrip = (pictures) => {
  stripBox.hidden = !(pictures?.length > 1);
  strip.replaceChildren(...(pictures || []).map(({ step, picture }) =>
    el("li", {}, el("img", { src: picture, alt: `Step ${step}`, width: "64", height: "64" }), el("span", {}, String(step)))));
};

const drawPlot = (curve, total, split, others = []) => {
  W = Math.max(plotBox.clientWidth || W, 240);
  plot.setAttribute("viewBox", `0 0 ${W} ${H}`);
  plotBox.hidden = curve?.length === 1 && total === 1;  // the encoder's one step
  if (!curve?.length) {
    plot.replaceChildren(svg("line", { x1: L, x2: W - R, y1: H - B, y2: H - B, class: "axis" }),
      Object.assign(svg("text", { x: (W + L) / 2, y: H / 2, class: "hint" }), { textContent: "The loss is drawn here while a face is embedded" }));
    return;
  }
  const losses = [curve, ...others].flatMap((each) => each.map(([, loss]) => loss)).filter((loss) => loss > 0);
  const low = Math.min(...losses) * 0.9, high = Math.max(...losses) * 1.1;
  const x = (step) => L + ((W - L - R) * step) / Math.max(total, 1);
  const y = (loss) => T + (H - T - B) * (1 - Math.log(loss / low) / Math.log(high / low));
  const text = (attributes, content) => Object.assign(svg("text", attributes), { textContent: content });
  const grid = ticks(low, high).flatMap((tick) => [
    svg("line", { x1: L, x2: W - R, y1: y(tick), y2: y(tick), class: "grid" }), text({ x: L - 6, y: y(tick) + 4, class: "y" }, short(tick))]);
  const steps = rounds(0, total, W > 420 ? 6 : 4).map((step) => text({ x: x(step), y: H - 8, class: step > 0.97 * total ? "x last" : "x" }, String(step)));
  const phases = split && split < total ? [svg("line", { x1: x(split), x2: x(split), y1: T, y2: H - B, class: "split" }),
    text({ x: x(split) + 5, y: T + 11, class: "phase" }, "refinement")] : [];
  const line = (points, name) => svg("polyline", { points: points.map(([step, loss]) => `${x(step).toFixed(1)},${y(Math.max(loss, low)).toFixed(1)}`).join(" "), class: name });
  const [lastStep, lastLoss] = curve[curve.length - 1];
  plot.replaceChildren(...grid, svg("line", { x1: L, x2: W - R, y1: H - B, y2: H - B, class: "axis" }), ...steps, ...phases,
    ...others.map((each) => line(each, "other")), line(curve, "curve"),
    svg("circle", { cx: x(lastStep), cy: y(lastLoss), r: 3.5, class: "now" }));
};

const drawLoss = () => {
  const { curve = "[]", total, split, others = "[]" } = props.value || {};
  drawPlot(JSON.parse(curve), total, split, JSON.parse(others));
};

let last = null;
const draw = () => {
  const value = props.value || {};
  root.dataset.state = value.state || "idle";
  target.show(props.target);
  result.show(value.picture);
  if (value.picture && value.picture !== last) { last = value.picture; facelab.previews = (facelab.previews || 0) + 1; }
  const whole = Math.round(100 * (value.fraction || 0));
  bar.style.transform = `scaleX(${value.fraction || 0})`;
  track.setAttribute("aria-valuenow", String(whole));
  progress.textContent = value.progress || (props.target ? "Ready when you are" : "No face is chosen yet");
  left.textContent = value.left || "";
  if (state.textContent !== (value.title || "")) state.textContent = value.title || "";
  for (const [key, { value: node }] of Object.entries(tiles)) {
    node.textContent = value.numbers?.[key] ?? "–";
    node.parentElement.classList.toggle("good", Boolean(value.good?.includes(key)));
  }
  drawLoss();
  drawStrip(value.strip);
};

draw();
watch(["value", "target"], draw);
new ResizeObserver(drawLoss).observe(plotBox);
