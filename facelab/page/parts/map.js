// Drawn faces in a plane. value: {state: idle|running|done|refused, text, fraction}; props faces {number, model, method, sprite,
// columns, places ([[x, y] in 0..1] as JSON), seen (base64, a byte for each face and attribute), note}, models, methods, attributes, count.
// Events "ask" {model, method}, "stop", "keep" {model, index}, "morph" {model, first, second}.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-map");
const LOW = [66, 124, 186], MIDDLE = [150, 150, 146], HIGH = [226, 132, 42];  // no, unclear, yes: told apart by colour-blind people, too
const REACH = 16, MARGIN = 22, FACE = 34, TIP = 112;

// ---- what there is to choose ----
const choice = (label, options, onchange) => {
  const menu = el("select", { class: "fl-view-use", onchange }, ...options.map(({ name, title }) => el("option", { value: name }, title)));
  return { menu, node: el("label", { class: "fl-map-choice" }, el("span", { class: "fl-label" }, label), menu) };
};
const model = choice("Model", props.models, () => ask());
const attribute = choice("Colour", props.attributes.map((title, index) => ({ name: String(index), title })).sort((a, b) => a.title.localeCompare(b.title)), () => { legend(); paint(); });
attribute.menu.value = String(props.attributes.indexOf("Smiling"));
const toggle = (label, options, choose) => {
  const sides = options.map(({ name, title }) => el("button", { type: "button", role: "radio", "data-name": name, onclick: () => set(name, true) }, title));
  const set = (name, told) => {
    sides.forEach((side) => { const on = side.dataset.name === name; side.setAttribute("aria-checked", String(on)); side.tabIndex = on ? 0 : -1; });
    node.dataset.chosen = name;
    if (told) choose(name);
  };
  const node = el("div", { class: "fl-view-toggle", role: "radiogroup", "aria-label": label, onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = sides[(sides.findIndex((side) => side.tabIndex === 0) + step + sides.length) % sides.length];
    next.focus();
    next.click();
  } }, ...sides);
  set(options[0].name, false);
  return { node, now: () => node.dataset.chosen };
};
const method = toggle("How the map is made", props.methods, () => ask());
const style = toggle("What the map shows", [{ name: "dots", title: "Dots" }, { name: "faces", title: "Faces" }], () => paint());
model.node.hidden = props.models.length < 2;

// ---- the plane ----
const canvas = el("canvas", { "aria-hidden": "true" });
const tip = el("div", { class: "fl-map-tip", hidden: true }, el("i"), el("span"));
const plane = el("div", { class: "fl-map-plane", tabindex: "0", role: "application", "aria-describedby": "fl-map-help" }, canvas, tip);
const begin = el("button", { type: "button", class: "fl-button primary", onclick: () => ask(true) }, icon("grid"), "Draw the map");
const start = el("div", { class: "fl-map-start" }, el("p", {}, `Draws ${props.count.toLocaleString("en")} faces and puts each near to those whose latents are near. It takes a moment the first time; then the map is here for everybody.`), begin);
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text", role: "status" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const scale = el("div", { class: "fl-map-scale" });
const said = el("p", { class: "fl-hidden", role: "status" });
const note = el("p", { class: "fl-small fl-muted" });

// ---- the two that were picked ----
const slots = ["A", "B"].map((letter) => {
  const picture = el("i"), words = el("span", { class: "fl-small fl-muted" });
  const keep = el("button", { type: "button", class: "fl-mini", onclick: () => trigger("keep", { model: faces.model, index: picks["AB".indexOf(letter)] }) }, "Keep");
  return { picture, words, keep, node: el("div", { class: "fl-map-slot" }, el("b", {}, letter), picture, words, keep) };
});
const morph = el("button", { type: "button", class: "fl-button primary", onclick: () => trigger("morph", { model: faces.model, first: picks[0], second: picks[1] }) }, icon("film"), "Morph A into B");
const help = el("p", { class: "fl-small fl-muted", id: "fl-map-help" }, "Point at a dot to see its face; click two for a morph. With the keyboard: arrow keys, then Enter.");
root.append(el("h2", {}, "The latent space"),
  el("div", { class: "fl-map-choices" }, model.node, attribute.node, method.node, style.node),
  el("div", { class: "fl-map-both" },
    el("div", { class: "fl-map-main" }, plane, start, progress, scale, note),
    el("div", { class: "fl-map-side" }, ...slots.map((slot) => slot.node), morph, help)), said);

let faces = null, seen = null, sheet = null, source = "", shown = null, picks = [], at = null, size = 0;
const name = () => props.attributes[Number(attribute.menu.value)];
const sure = (index) => seen[index * props.attributes.length + Number(attribute.menu.value)] / 255;
const colour = (value) => {
  const [from, to, t] = value < 0.5 ? [LOW, MIDDLE, 2 * value] : [MIDDLE, HIGH, 2 * value - 1];
  return `rgb(${from.map((low, index) => Math.round(low + (to[index] - low) * t)).join(" ")})`;
};
const place = (index) => faces.places[index].map((each, axis) => MARGIN + (axis ? 1 - each : each) * (size - 2 * MARGIN));
const ask = (anyway = false) => { if (anyway || faces) trigger("ask", { model: model.menu.value, method: method.now() }); };
const show = (node, index, side) => {
  const { columns } = faces;
  Object.assign(node.style, { width: `${side}px`, height: `${side}px`, backgroundImage: `url(${source})`, backgroundSize: `${columns * side}px auto`,
    backgroundPosition: `${-(index % columns) * side}px ${-Math.floor(index / columns) * side}px` });
};
const told = (index) => `${name()}: ${Math.round(100 * sure(index))}%`;

const paint = () => {
  if (!faces || !plane.clientWidth) return;
  size = plane.clientWidth;
  const ratio = devicePixelRatio || 1, pen = canvas.getContext("2d"), css = getComputedStyle(plane);
  canvas.width = canvas.height = Math.round(size * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const radius = size > 480 ? 4.5 : 3.5, dot = (index, wide) => { pen.beginPath(); pen.arc(...place(index), wide, 0, 7); };
  const order = faces.places.map((_, index) => index);
  pen.lineWidth = 1;
  pen.strokeStyle = css.getPropertyValue("--fl-well");
  for (const index of order) { dot(index, radius); pen.fillStyle = colour(sure(index)); pen.fill(); pen.stroke(); }
  if (style.now() === "faces" && sheet?.complete) {
    const side = sheet.naturalWidth / faces.columns, taken = [];
    for (const index of order) {
      const [x, y] = place(index);
      if (taken.some(([a, b]) => Math.abs(a - x) < FACE + 3 && Math.abs(b - y) < FACE + 3)) continue;
      taken.push([x, y]);
      pen.fillStyle = colour(sure(index));
      pen.fillRect(x - FACE / 2 - 2, y - FACE / 2 - 2, FACE + 4, FACE + 4);
      pen.drawImage(sheet, index % faces.columns * side, Math.floor(index / faces.columns) * side, side, side, x - FACE / 2, y - FACE / 2, FACE, FACE);
    }
  }
  const ink = css.getPropertyValue("--fl-ink"), surface = css.getPropertyValue("--fl-surface");
  if (picks.length === 2) { pen.beginPath(); pen.moveTo(...place(picks[0])); pen.lineTo(...place(picks[1])); pen.lineWidth = 2; pen.strokeStyle = ink; pen.setLineDash([2, 5]); pen.lineCap = "round"; pen.stroke(); pen.setLineDash([]); }
  if (at !== null) { dot(at, radius + 4); pen.lineWidth = 2.5; pen.strokeStyle = ink; pen.stroke(); }
  picks.forEach((index, number) => {
    dot(index, 11);
    pen.fillStyle = ink;
    pen.fill();
    pen.fillStyle = surface;
    pen.font = "700 13px ui-sans-serif, system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText("AB"[number], place(index)[0], place(index)[1] + 0.5);
  });
};
const legend = () => {
  if (!faces) return;
  const having = faces.places.filter((_, index) => sure(index) > 0.5).length;
  scale.replaceChildren(el("span", {}, "no"), el("i", { style: `background: linear-gradient(90deg, ${[0, 0.5, 1].map(colour).join(",")})` }), el("span", {}, "yes"),
    el("span", { class: "fl-muted" }, `${name()}, as the judge sees it: ${Math.round(100 * having / faces.places.length)}% of these faces`));
};
const hover = (index, speak = false) => {
  if (index === at) return;
  at = index;
  tip.hidden = at === null;
  if (at !== null) {
    const [x, y] = place(at);
    show(tip.firstChild, at, TIP);
    tip.lastChild.textContent = told(at);
    const left = x + 16 + TIP + 12 > size ? x - 16 - TIP - 12 : x + 16;
    tip.style.transform = `translate(${Math.max(left, 4)}px, ${Math.min(Math.max(y - 66, 4), size - TIP - 44)}px)`;
    if (speak) said.textContent = `Face ${at + 1} of ${faces.places.length}. ${told(at)}`;
  }
  requestAnimationFrame(paint);
};
const pick = (index) => {
  picks = picks.includes(index) ? picks.filter((each) => each !== index) : [...picks, index].slice(-2);
  said.textContent = picks.includes(index) ? `Face ${index + 1} is ${"AB"[picks.indexOf(index)]}.` : `Face ${index + 1} is not chosen any more.`;
  fill();
  paint();
};
const fill = () => {
  slots.forEach(({ picture, words, keep, node }, number) => {
    const index = picks[number], there = index !== undefined;
    node.classList.toggle("there", there);
    keep.hidden = !there;
    words.textContent = there ? `Face ${index + 1}` : number ? "The second click" : "The first click";
    if (there) show(picture, index, 64);
    else picture.removeAttribute("style");
    keep.setAttribute("aria-label", `Keep face ${there ? index + 1 : ""} in the library`);
  });
  morph.disabled = picks.length < 2;
};

// ---- pointing, by hand and by keyboard ----
const nearest = ({ clientX, clientY }) => {
  if (!faces) return null;
  const box = plane.getBoundingClientRect(), x = clientX - box.left, y = clientY - box.top;
  let best = null, least = REACH ** 2;
  faces.places.forEach((_, index) => { const [a, b] = place(index), far = (a - x) ** 2 + (b - y) ** 2; if (far < least) { least = far; best = index; } });
  return best;
};
plane.addEventListener("pointermove", (event) => hover(nearest(event)));
plane.addEventListener("pointerleave", () => hover(null));
plane.addEventListener("click", (event) => { const index = nearest(event); if (index !== null) { hover(index); pick(index); } });
plane.addEventListener("focus", () => { if (faces && at === null && plane.matches(":focus-visible")) hover(picks[0] ?? 0, true); });
plane.addEventListener("blur", () => hover(null));
plane.addEventListener("keydown", (event) => {
  const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!faces || !(way || ["Enter", " ", "Escape"].includes(event.key))) return;
  event.preventDefault();
  if (event.key === "Escape") { picks = []; fill(); paint(); return; }
  if (at === null) { hover(0, true); return; }
  if (!way) { pick(at); return; }
  const [x, y] = place(at);
  let best = null, least = Infinity;
  faces.places.forEach((_, index) => {
    const [a, b] = place(index), along = (a - x) * way[0] + (b - y) * way[1], aside = Math.abs((a - x) * way[1]) + Math.abs((b - y) * way[0]);
    if (index !== at && along > 0.5 && along + 2 * aside < least) { least = along + 2 * aside; best = index; }
  });
  if (best !== null) hover(best, true);
});

const draw = () => {
  const { state = "idle", text: words = "", fraction = 0 } = props.value || {};
  root.dataset.state = state;
  progress.hidden = !words;
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${fraction})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
  text.textContent = words;
  text.classList.toggle("bad", state === "refused");
  begin.disabled = state === "running";
  start.hidden = Boolean(faces);
  plane.classList.toggle("empty", !faces);
  plane.setAttribute("aria-label", faces ? `Map of ${faces.places.length} faces` : "No map yet");
  plane.tabIndex = faces ? 0 : -1;
  if (state !== "running" && faces) { model.menu.value = faces.model; }
};
const take = () => {
  if (!props.faces || props.faces.number === shown) return;
  const same = faces?.model === props.faces.model;
  faces = { ...props.faces, places: JSON.parse(props.faces.places) };
  shown = faces.number;
  seen = Uint8Array.from(atob(faces.seen), (letter) => letter.charCodeAt(0));
  URL.revokeObjectURL(source);
  source = URL.createObjectURL(facelab.blobOf(faces.sprite));  // short, wherever it is named
  sheet = Object.assign(new Image(), { src: source, onload: paint });
  if (!same) picks = [];
  at = null;
  tip.hidden = true;
  note.textContent = faces.note;
  draw();
  legend();
  fill();
  paint();
};

fill();
draw();
watch("value", draw);
watch("faces", take);
new ResizeObserver(paint).observe(plane);
new MutationObserver(paint).observe(document.body, { attributeFilter: ["class"] });
