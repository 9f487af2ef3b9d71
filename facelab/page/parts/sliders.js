// Attributes as sliders in groups. value: {face, strengths: {id: number}, moving, preset, stamp}; props groups: [{title, sliders: [{id, title, low, high, help, off}]}], presets.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-sliders");
const LIMIT = 3, STEP = 0.05;

let strengths = {}, answered = {}, open = 0, rows = {}, resting, face = null;
const clean = () => Object.fromEntries(Object.entries(strengths).filter(([, value]) => value));
// Each state that the server hears of has a number; an answer to an earlier one does not move the sliders back.
let stamp = 0, told = null, heard = 0, refusals = 0;
// A slider that moves after another face was chosen, but before that face has come, moves for that face: it is told once it is here.
let awaited = null, ahead = {}, named = "", patience;
const tell = (moving, preset = "") => {
  if (awaited) {
    ahead = Object.fromEntries(known().filter((id) => (strengths[id] || 0) !== (answered[id] || 0)).map((id) => [id, strengths[id] || 0]));
    named = preset;
    return;
  }
  stamp += 1;
  props.value = told = { face, strengths: clean(), moving, preset, stamp };
  trigger("slide", {});
};
const move = () => { clearTimeout(resting); resting = null; tell(true); };
const settle = (preset = "") => { clearTimeout(resting); resting = null; tell(false, preset); };
const rest = (preset = "") => { clearTimeout(resting); resting = setTimeout(() => settle(preset), preset ? 0 : 350); };
root.addEventListener("focusout", () => { if (resting) settle(); });  // who goes on to another button has finished: no edit is lost
document.addEventListener("facelab:picked", ({ detail }) => {
  if (detail.picker !== "fl-picker-attributes-face" || !root.closest("#fl-sliders")) return;  // Video's sliders follow no picker
  if (resting) settle();
  awaited = detail.id && detail.id !== face ? detail.id : null;
  ahead = {};
  clearTimeout(patience);
  patience = setTimeout(() => { if (awaited) { awaited = null; settle(named); } }, 60000);  // a face that cannot come does not block the sliders
});

// The server was busy, and what waited behind what it refused is lost with it: it is told once more, a few times at most.
document.addEventListener("facelab:refused", () => {
  if (!told || told.stamp <= heard || !root.closest("#fl-sliders") || (refusals += 1) > 3) return;
  clearTimeout(resting);
  resting = setTimeout(settle, 3000 * refusals);
});

const tabs = el("div", { class: "fl-groups", role: "tablist", "aria-label": "Groups of attributes" });
const list = el("div", { class: "fl-slider-list", role: "tabpanel", id: `${element.id || "fl-sliders"}-list` });
const presets = el("select", { class: "fl-view-use", "aria-label": "Apply a preset", onchange: () => apply(presets.value) });
const name = el("input", { class: "fl-preset-name", "aria-label": "Name of the preset", placeholder: "Name of the preset", maxlength: "30", hidden: true, autocomplete: "off",
  onkeydown: (event) => { if (event.key === "Enter") keep(); if (event.key === "Escape") naming(false); } });
const saveIt = el("button", { type: "button", class: "fl-button small", onclick: () => (name.hidden ? naming(true) : keep()) }, "Save as preset");
const forget = button("Forget this preset", { class: "fl-icon-button", hidden: true, onclick: () => remove() }, icon("trash"));
const resetAll = el("button", { type: "button", class: "fl-link", onclick: () => { strengths = {}; update(); move(); rest(); } }, "Reset all");
const missing = el("p", { class: "fl-small fl-muted", role: "status", hidden: true });
const empty = el("p", { class: "fl-small fl-muted", hidden: true }, "This model has no directions yet. Make your own below.");
root.append(el("div", { class: "fl-groups-row" }, tabs), list, empty, el("div", { class: "fl-presets" }, presets, name, saveIt, forget, resetAll), missing);

// ---- presets live in this browser ----
const { stored, store } = facelab.presets;
const all = () => [...(props.presets || []), ...stored()];
let chosen = "";
const fillPresets = () => {
  presets.replaceChildren(el("option", { value: "" }, "Presets"), ...all().map((each) => el("option", { value: each.name }, each.name)));
  presets.value = all().some((each) => each.name === chosen) ? chosen : "";
  forget.hidden = !stored().some((each) => each.name === presets.value);
};
const apply = (which) => {
  const preset = all().find((each) => each.name === which), ids = known();
  chosen = which;
  fillPresets();
  missing.hidden = !preset || Object.keys(preset.strengths).every((id) => ids.includes(id));
  if (!preset) return;
  missing.textContent = `Part of “${which}” is left out: a direction of your own that is not here, or one of another model. Open its file in Attributes, under New direction.`;
  strengths = Object.fromEntries(Object.entries(preset.strengths).filter(([id]) => ids.includes(id)));
  update();
  rest(preset.name);
};
const known = () => (props.groups || []).flatMap((group) => group.sliders.map((each) => each.id));
const naming = (on) => { name.hidden = !on; presets.hidden = on; saveIt.textContent = on ? "Save" : "Save as preset"; if (on) { name.value = ""; name.focus(); } else presets.focus(); };
const keep = () => {
  const title = name.value.trim();
  if (!title) { name.focus(); return; }
  chosen = title;
  naming(false);
  facelab.presets.keep([{ name: title, strengths: clean() }]);
};
const remove = () => { chosen = ""; store(stored().filter((each) => each.name !== presets.value)); presets.focus(); };
document.addEventListener("facelab:presets", () => fillPresets());

// ---- sliders ----
const signed = (value) => (value ? (value > 0 ? "+" : "−") + Math.abs(value).toFixed(2) : "0");
const row = ({ id, title, low, high, help, off }) => {
  const slider = el("input", { type: "range", min: String(-LIMIT), max: String(LIMIT), step: String(STEP), class: "fl-range", "aria-label": `${title}: ${low} to ${high}`, title: help, disabled: Boolean(off) });
  const amount = el("output", { class: "fl-amount" });
  const reset = button(`Reset ${title}`, { class: "fl-icon-button tiny", onclick: () => { strengths[id] = 0; update(); move(); rest(); slider.focus(); } }, icon("reset"));
  slider.addEventListener("input", () => { strengths[id] = Number(slider.value); show(id); update(); move(); rest(); });
  slider.addEventListener("dblclick", () => { strengths[id] = 0; update(); move(); rest(); });
  rows[id] = { slider, amount, reset };
  return el("div", { class: off ? "fl-slider off" : "fl-slider", "data-id": id },
    el("div", { class: "fl-slider-head" }, el("b", {}, title), el("span", { class: "fl-slider-help" }, help), amount, reset),
    el("div", { class: "fl-slider-line" }, el("span", {}, low), slider, el("span", {}, high)));
};
const show = (id) => {
  const { slider, amount, reset } = rows[id] || {};
  if (!slider) return;
  const value = strengths[id] || 0, at = 50 + (50 * value) / LIMIT;
  slider.value = String(value);
  slider.setAttribute("aria-valuetext", signed(value));
  slider.style.setProperty("--from", `${Math.min(50, at)}%`);
  slider.style.setProperty("--to", `${Math.max(50, at)}%`);
  amount.textContent = signed(value);
  amount.classList.toggle("set", Boolean(value));
  reset.style.visibility = value ? "visible" : "hidden";
};
const update = () => {
  Object.keys(rows).forEach(show);
  [...tabs.children].forEach((tab, index) => tab.classList.toggle("set", (props.groups[index]?.sliders || []).some((each) => strengths[each.id])));
  const set = Object.keys(clean()).length > 0;
  resetAll.disabled = saveIt.disabled = !set;
};
const draw = () => {
  const groups = props.groups || [];
  open = Math.min(open, Math.max(groups.length - 1, 0));
  empty.hidden = groups.length > 0;
  tabs.parentElement.hidden = !groups.length;
  tabs.replaceChildren(...groups.map((group, index) => el("button", {
    type: "button", role: "tab", "aria-selected": String(index === open), tabindex: index === open ? "0" : "-1", "aria-controls": list.id,
    onclick: () => { open = index; draw(); tabs.children[open].focus(); },
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      open = (index + step + groups.length) % groups.length;
      draw();
      tabs.children[open].focus();
    },
  }, group.title)));
  rows = {};
  list.replaceChildren(...(groups[open]?.sliders || []).map(row));
  list.setAttribute("aria-label", groups[open]?.title || "Attributes");
  fillPresets();
  update();
};

draw();
watch("groups", draw);
watch("value", () => {
  const value = props.value || {};
  if (told && value.face === face && value.stamp != null && value.stamp < stamp) {  // it has taken the place of what was still to be told
    props.value = told;
    trigger("slide", {});
    return;
  }
  if (value.face !== face) { face = value.face; chosen = ""; fillPresets(); told = null; }
  if (value.stamp == null && !("moving" in value)) told = null;  // undo and redo: what was told before is not told again
  answered = value.strengths || {};
  if (!("moving" in value)) { heard = value.stamp || 0; refusals = 0; }
  strengths = { ...answered, ...ahead };
  update();
  if (face !== awaited) return;
  const late = Object.keys(ahead).length > 0;
  awaited = null;
  ahead = {};
  if (late) settle(named);
});
