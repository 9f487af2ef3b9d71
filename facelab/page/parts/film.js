// A film that a tab makes, and the strip of its frames. value: {state: idle|running|kept|done, text, fraction, picture, frames,
// kinds: [[ending, words]], of: {picker: id of the face that it chose}}; props wide, parcel.
// "kept" is a film that came to nothing: the one before stays.
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-film");

const picture = el("img", { class: "fl-film-picture", alt: "The film" });
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text", role: "status" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const saves = el("div", { class: "fl-row fl-film-saves", role: "group", "aria-label": "Save the film" });
const frames = el("div", { class: "fl-film-frames", role: "group", "aria-label": "Frames" });
root.append(progress, el("div", { class: "fl-film-box" }, picture, frames), saves);
root.classList.toggle("wide", Boolean(props.wide));

// As few rows as can be of at most so many pictures, all about as long.
const columns = (count, most) => Math.ceil(count / Math.ceil(count / most));
let parcel = null, shown = "", film = { state: "idle" };
const picked = {};  // by picker, since the page was opened
const draw = () => {
  const told = props.value || {};
  if (told.state === "done" || told.state === "idle") film = told;
  const before = told.state === "kept" && film.state === "done";
  const value = before ? { ...film, text: told.text ? `${told.text} This is the film before.` : film.text }
    : told.state === "kept" ? { ...told, state: told.text ? "done" : "idle" } : told;
  const of = value.state === "done" ? Object.entries(value.of || {}) : [];
  const gone = of.some(([, id]) => !facelab.faces.some((face) => face.id === id));
  const other = of.some(([picker, id]) => (picked[`fl-picker-${picker}`] || id) !== id);
  const state = gone ? "idle" : value.state || "idle";
  root.classList.toggle("other", other);
  root.dataset.state = state;
  root.hidden = state === "idle";
  progress.hidden = state === "idle" || (state === "done" && !value.text);
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${value.fraction || 0})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * (value.fraction || 0))));
  text.textContent = `${value.text || ""}${other ? " · other faces are chosen now" : ""}`;
  picture.hidden = state !== "done" || !value.picture;
  if (value.picture && picture.src !== value.picture) picture.src = value.picture;
  const strip = (state === "done" && value.frames) || [];
  frames.hidden = !strip.length;
  frames.style.setProperty("--columns", String(columns(strip.length, picture.hidden ? 12 : 5)));
  frames.style.setProperty("--columns-narrow", String(columns(strip.length, 4)));
  frames.replaceChildren(...strip.map((src, index) => el("img", { src, alt: `Frame ${index + 1} of ${strip.length}` })));
  saves.replaceChildren(...(state === "done" ? value.kinds || [] : []).map(([kind, words]) =>
    el("button", { type: "button", class: "fl-button small", onclick: () => trigger("save", { kind }) }, icon("save"), words)));
  if (state !== shown && state !== "idle") root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  shown = state;
};

draw();
watch("value", draw);
document.addEventListener("facelab:faces", draw);
document.addEventListener("facelab:picked", ({ detail }) => { picked[detail.picker] = detail.id; draw(); });
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
