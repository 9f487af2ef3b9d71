// The main picture of a tab. value: {number, picture, name, caption, moving, photo, detail, same (as before any edit), focus ([x, y, width] of a face)} or {hint, answer (the hint is the result)};
// props before, uses, keep, kept (a number once that is done), goto, history ({titles, at} or null), large (the file to save is made when it is asked for).
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-viewer");

const after = el("img", { class: "fl-view-after", alt: "The result", draggable: "false" });
const before = el("img", { class: "fl-view-before", alt: "Before the edit", draggable: "false" });
const divider = el("input", { type: "range", class: "fl-view-range", min: "0", max: "100", step: "1", value: "50", hidden: true,
  "aria-label": "Divider between before and after", oninput: () => place() });
const line = el("span", { class: "fl-view-line", hidden: true, "aria-hidden": "true" });
const tags = [el("span", { class: "fl-view-tag left", hidden: true }, "Before"), el("span", { class: "fl-view-tag right", hidden: true }, "After")];
const hint = el("span");
const empty = el("div", { class: "fl-frame-empty" }, icon("face"), hint);
const frame = el("div", { class: "fl-view-frame" }, after, before, line, ...tags, divider, empty);
const caption = el("p", { class: "fl-view-caption", role: "status" });

const isEmpty = () => !props.value?.picture;
let comparing = false, holding = false, near = false;
// How a photo is enlarged so that a face of it fills the frame: the point that stays, in percent, and how many times.
const look = () => {
  const [x, y, side] = props.value?.focus || [0.5, 0.5, 1], scale = near ? Math.min(Math.max(0.8 / side, 1), 8) : 1;
  const fixed = (middle) => (scale === 1 ? 50 : 100 * Math.min(Math.max((middle * scale - 0.5) / (scale - 1), 0), 1));
  return [fixed(x), scale, fixed(y)];
};
const place = () => {
  const at = Number(divider.value);
  const [left, scale] = look(), inside = left + (at - left) / scale;  // where the divider is in the enlarged picture
  before.style.clipPath = comparing && !holding ? `inset(0 ${100 - inside}% 0 0)` : "none";
  line.style.left = `${at}%`;
};
const show = () => {
  const [left, scale, top] = look();
  for (const picture of [after, before]) Object.assign(picture.style, { transformOrigin: `${left}% ${top}%`, transform: scale === 1 ? "" : `scale(${scale})` });
  closer.hidden = !props.value?.focus;
  closer.setAttribute("aria-pressed", String(near));
  const can = !isEmpty() && Boolean(props.before);
  const split = can && comparing && !holding;
  before.hidden = !can || !(comparing || holding);
  divider.hidden = line.hidden = tags[1].hidden = !split;
  tags[0].hidden = !can || before.hidden;
  compare.disabled = hold.disabled = !can;
  compare.setAttribute("aria-pressed", String(comparing));
  hold.setAttribute("aria-pressed", String(holding));
  place();
};
const holds = (on) => () => { if (on !== holding && (!on || props.before)) { holding = on; show(); } };

const tool = (name, label, act, more = {}) => button(label, { class: "fl-icon-button large", onclick: act, ...more }, icon(name));
const compare = tool("compare", "Compare before and after by a divider", () => { comparing = !comparing; show(); if (comparing) divider.focus({ preventScroll: true }); }, { "aria-pressed": "false" });
const closer = tool("closer", "Look at the face closely", () => { near = !near; show(); }, { "aria-pressed": "false", hidden: true });
const hold = tool("eye", "Hold to see the face before the edit (space key)", null, {
  "aria-pressed": "false",
  onkeydown: (event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); holds(true)(); } },
  onkeyup: holds(false), onblur: holds(false), onpointerdown: holds(true), onpointerup: holds(false), onpointerleave: holds(false), onpointercancel: holds(false),
  oncontextmenu: (event) => event.preventDefault(),
});
frame.addEventListener("pointerdown", (event) => { if (!comparing && event.target !== divider && event.pointerType === "mouse") holds(true)(); });
for (const end of ["pointerup", "pointerleave", "pointercancel"]) frame.addEventListener(end, holds(false));

const said = el("span", { class: "fl-view-said", role: "status" });
let saying;
const say = (text) => { said.textContent = text; clearTimeout(saying); saying = setTimeout(() => { said.textContent = ""; }, 2500); };
const png = async () => {
  if (props.value.picture.startsWith("data:image/png")) return facelab.blobOf(props.value.picture);
  const canvas = el("canvas", { width: after.naturalWidth, height: after.naturalHeight });
  canvas.getContext("2d").drawImage(after, 0, 0);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
};
const copyPicture = async () => {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": await png() })]);
    say("Copied");
  } catch { say("The browser does not let pictures be copied here"); }
};
const download = () => {
  if (props.large) { say("Making the full-size picture …"); trigger("fetch", {}); return; }
  facelab.save({ name: `${props.value.name}.png`, mime: "image/png", data: props.value.picture.split(",")[1] });
  say("Saved");
};
const shareIt = async () => {  // the file as it came, which says in its metadata how it was made
  const blob = facelab.blobOf(props.value.picture), ending = blob.type === "image/png" ? "png" : "jpg";
  try { await navigator.share({ files: [new File([blob], `${props.value.name}.${ending}`, { type: blob.type })] }); } catch { /* closed without sharing */ }
};
const canShare = (() => { try { return navigator.canShare?.({ files: [new File([""], "a.png", { type: "image/png" })] }); } catch { return false; } })();

const undo = tool("undo", "Undo", () => trigger("go", { by: -1 }));
const redo = tool("redo", "Redo", () => trigger("go", { by: 1 }));
const copies = [tool("copy", "Copy the picture", copyPicture), tool("save", "Download the picture (PNG)", download),
  canShare ? tool("share", "Share the picture", shareIt) : null].filter(Boolean);

const kinds = [["Photo", true, "The photo with the generator's change"], ["Generator", false, "The generator's own picture"]].map(([text, on, title]) =>
  el("button", { type: "button", role: "radio", title, onclick: () => pickKind(on), onkeydown: (event) => {
    if (event.key.startsWith("Arrow")) { event.preventDefault(); pickKind(!props.value.detail); kinds[props.value.detail ? 1 : 0].focus(); }
  } }, text));
const toggle = el("div", { class: "fl-view-toggle", role: "radiogroup", "aria-label": "What the picture shows" }, ...kinds);
const pickKind = (on) => { if (props.value.detail !== on) trigger("detail", { on }); };

const steps = el("ol", { class: "fl-view-steps", "aria-label": "History" });
const keep = el("button", { type: "button", class: "fl-button", onclick: () => trigger("keep", {}) }, icon("plus"), props.keep || "Keep in library");
const use = el("select", { class: "fl-view-use", "aria-label": "Use in another tab", onchange: () => { const tab = use.value; use.value = ""; trigger("use", { tab }); } },
  el("option", { value: "" }, "Use in …"), ...(props.uses || []).map(({ tab, title }) => el("option", { value: tab }, title)));
const act = el("div", { class: "fl-view-act" }, keep, use, said, toggle);
const bar = el("div", { class: "fl-view-bar" }, caption, el("span", { class: "fl-view-tools" }, undo, redo), el("span", { class: "fl-view-tools" }, closer, compare, hold), el("span", { class: "fl-view-tools" }, ...copies));
root.append(frame, bar, steps, act);

// While a slider moves the picture is a light one; once it rests, the exact one is asked for.
let goto = null, parcel = null, resting;
const draw = () => {
  const value = props.value || {}, nothing = isEmpty();
  after.hidden = nothing;
  empty.hidden = !nothing;
  hint.textContent = value.hint || "Choose a face to begin";
  empty.classList.toggle("answer", Boolean(value.answer));
  if (!nothing && after.src !== value.picture) after.src = value.picture;
  if (props.before) before.src = props.before;
  if (!value.moving || caption.textContent !== value.caption) caption.textContent = value.caption || "";
  caption.hidden = nothing;
  toggle.hidden = !value.photo;
  keep.hidden = !props.keep;
  use.hidden = !props.uses?.length;
  root.style.setProperty("--ratio", String(value.ratio || 1));
  kinds.forEach((kind, index) => {
    const on = Boolean(value.detail) === (index === 0);
    kind.setAttribute("aria-checked", String(on));
    kind.tabIndex = on ? 0 : -1;
  });
  [keep, use].forEach((each) => { each.disabled = nothing || value.moving; });
  copies.forEach((each) => { each.disabled = nothing || value.moving || value.same; });
  root.classList.toggle("nothing", nothing);
  clearTimeout(resting);
  if (value.moving && !props.history) resting = setTimeout(() => trigger("settle", {}), 350);
  if (!nothing) facelab.drawn = { tab: root.closest("[id^=fl-viewer]")?.id, number: value.number, moving: Boolean(value.moving), at: performance.now() };
  show();
};
const drawHistory = () => {
  const history = props.history, held = document.activeElement, at = [...steps.children].findIndex((item) => item.contains(held));
  undo.hidden = redo.hidden = !history;
  steps.hidden = !history || history.titles.length < 2;
  undo.disabled = !history || history.at === 0;
  redo.disabled = !history || history.at === history.titles.length - 1;
  if (!history) return;
  undo.title = undo.disabled ? "Undo" : `Undo ${history.titles[history.at]}`;
  redo.title = redo.disabled ? "Redo" : `Redo ${history.titles[history.at + 1]}`;
  steps.replaceChildren(...history.titles.map((title, index) => el("li", {}, el("button", {
    type: "button", class: index > history.at ? "fl-step later" : "fl-step", "aria-current": index === history.at ? "step" : null, onclick: () => trigger("go", { index }),
  }, title))));
  const current = steps.children[history.at];
  if (at >= 0) steps.children[Math.min(at, steps.children.length - 1)].firstChild.focus({ preventScroll: true });
  else if (held.disabled && (held === undo || held === redo)) (held === undo ? redo : undo).focus();  // the last one of its way
  if (current) steps.scrollLeft = current.offsetLeft - steps.clientWidth / 2;
};
const WRITTEN = "textarea, input:not([type=range], [type=radio], [type=checkbox])";  // has an undo of its own
(root.closest("[role=tabpanel]") || root).addEventListener("keydown", (event) => {
  if (!props.history || event.target.matches(WRITTEN) || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
  event.preventDefault();
  (event.shiftKey ? redo : undo).click();
});

// What a picture is made of has changed: it is asked for anew, in a hidden tab as soon as it is seen.
let stale = false;
const redraw = () => {
  stale = !root.offsetParent;
  if (!stale && !isEmpty() && !props.value.moving) trigger("detail", { on: null });
};
document.addEventListener("facelab:redraw", redraw);
new ResizeObserver(() => { if (stale) redraw(); }).observe(root);
draw();
drawHistory();
watch(["value", "before"], draw);
watch("history", drawHistory);
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; facelab.save(props.parcel); say("Saved"); } });
watch("kept", () => { if (props.kept) say("Kept in the library"); });
watch("goto", () => {
  if (!props.goto || props.goto.number === goto) return;
  goto = props.goto.number;
  facelab.subject = props.goto.id;
  facelab.carried = props.goto;
  facelab.goTo(props.goto.tab);
  document.dispatchEvent(new Event("facelab:faces"));
});
