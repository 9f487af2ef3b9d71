// How trainings went: small plots over the images seen. value: {models: [{title, curves}]}, curves as JSON:
// [{name, points: [[images, value]]}]. What has hardly been noted, or does not change, is no curve.
const { el, svg } = facelab;
const root = element.querySelector(".fl-losses");
const W = 260, H = 120, L = 42, R = 8, T = 8, B = 20, WINDOW = 0.05, FEWEST = 10;
const TITLES = {
  loss: "Loss", mse: "Error of pixels", kl: "KL divergence", attributes: "Attributes", similarity: "Error of features",
  d_loss: "Discriminator", g_loss: "Generator", decoder_loss: "Decoder", encoder_loss: "Encoder",
  real_sign: "Sign of real faces, 1 if known", fake_sign: "Sign of drawn faces, −1 if known", distance: "Real minus drawn scores",
  penalty: "Gradient penalty", r1: "R1 penalty", path: "Path length", ada_p: "Augmentation", resolution: "Pixels a side",
  eyes_d_loss: "Second discriminator", eyes_g_loss: "Generator, by the second", eyes_sign: "Sign of real faces, by the second",
  real_error: "Error on real faces", fake_error: "Error on drawn faces", convergence: "Convergence measure", k: "Balance k",
};

const HELP = "What each training noted over the images it has seen. Two networks that compete come to no rest at 0: steady is good.";

const short = (value) => {
  const size = Math.abs(value);
  if (size >= 995e3) return `${Number((value / 1e6).toPrecision(2))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(2))} k`;
  return String(Number(value.toPrecision(2)));
};
const smooth = (points) => {
  const half = Math.max(1, Math.round(points.length * WINDOW / 2));
  return points.map(([x], index) => {
    const near = points.slice(Math.max(index - half, 0), index + half + 1);
    return [x, near.reduce((sum, [, y]) => sum + y, 0) / near.length];
  });
};
const words = (attributes, content) => Object.assign(svg("text", attributes), { textContent: content });
const plot = ({ name, points }, title) => {
  const sorted = points.map(([, y]) => y).sort((a, b) => a - b), at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  let low = at(0.01), high = at(0.99);  // what shoots out at the beginning is cut
  if (high - low < 1e-9) { low -= 1; high += 1; }
  const begin = points[0][0], end = points[points.length - 1][0], called = TITLES[name] || name.replaceAll("_", " ");
  const x = (images) => L + (W - L - R) * (images - begin) / Math.max(end - begin, 1);
  const y = (value) => T + (H - T - B) * (1 - Math.min(Math.max((value - low) / (high - low), 0), 1));
  const line = (curve, kind) => svg("polyline", { class: kind, points: curve.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") });
  const grid = [low, (low + high) / 2, high].flatMap((tick) => [svg("line", { x1: L, x2: W - R, y1: y(tick), y2: y(tick), class: "grid" }), words({ x: L - 5, y: y(tick) + 4, class: "y" }, short(tick))]);
  const last = points[points.length - 1][1];
  return el("figure", { class: "fl-plot-box" }, el("figcaption", {}, el("b", {}, called)),
    svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "fl-plot", role: "img", "aria-label": `${title}: ${called} from ${short(begin)} to ${short(end)} images, ${short(last)} at the end` },
      ...grid, words({ x: L, y: H - 5, class: "x first" }, short(begin)), words({ x: W - R, y: H - 5, class: "x last" }, `${short(end)} images`), line(points, "other"), line(smooth(points), "curve")));
};
const told = ({ points }) => points.length >= FEWEST && points.some(([, y]) => y !== points[0][1]);
const draw = () => {
  const models = props.value?.models || [];
  root.hidden = !models.length;
  root.replaceChildren(el("h2", {}, "Training"), el("p", { class: "fl-small fl-muted" }, HELP), ...models.map(({ title, curves: text }) => [title, JSON.parse(text).filter(told)]).map(([title, curves]) => el("section", {}, el("h3", {}, title),
    curves.length ? el("div", { class: "fl-losses-grid" }, ...curves.map((curve) => plot(curve, title)))
      : el("p", { class: "fl-small fl-muted" }, "No table of losses ships with this model."))));
};

draw();
watch("value", draw);
