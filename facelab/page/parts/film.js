// A film or a strip that a tab makes. value: {state: idle|running|done, text, fraction, picture, kinds: [[ending, words]]};
// props hint, parcel.
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-film");

const picture = el("img", { class: "fl-film-picture", alt: "The film" });
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text", role: "status" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const saves = el("div", { class: "fl-row fl-film-saves", role: "group", "aria-label": "Save the film" });
const box = el("div", { class: "fl-film-box" }, picture);  // a strip scrolls sideways, also by keyboard
root.append(progress, box, saves);

let parcel = null;
const draw = () => {
  const value = props.value || {}, state = value.state || "idle";
  root.dataset.state = state;
  root.hidden = state === "idle";
  progress.hidden = state === "idle" || (state === "done" && !value.text);
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${value.fraction || 0})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * (value.fraction || 0))));
  text.textContent = value.text || "";
  picture.hidden = state !== "done" || !value.picture;
  if (value.picture && picture.src !== value.picture) picture.src = value.picture;
  box.classList.toggle("wide", Boolean(value.wide));
  if (value.wide) { box.tabIndex = 0; box.setAttribute("role", "region"); box.setAttribute("aria-label", "Frames"); }
  saves.replaceChildren(...(state === "done" ? value.kinds || [] : []).map(([kind, words]) =>
    el("button", { type: "button", class: "fl-button small", onclick: () => trigger("save", { kind }) }, icon("save"), words)));
};

draw();
watch("value", draw);
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
