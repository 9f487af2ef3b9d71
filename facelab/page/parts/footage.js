// A clip and what becomes of it. value: {state: idle|running|done|refused, text, fraction, picture}; props faces
// ([pictures] to choose from), chosen, film (the finished file, and whether it is marked for the eye), stale (whether another edit is chosen now). Events "choose" {index}, "stop".
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-footage");

const faces = el("div", { class: "fl-thumbs", role: "radiogroup", "aria-label": "Faces in this clip" });
const people = el("div", { class: "fl-footage-faces", hidden: true }, el("p", { class: "fl-label" }, "Whose face is edited?"), faces);
const bar = el("div", { class: "fl-bar-fill" });
const track = el("div", { class: "fl-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const text = el("span", { class: "fl-progress-text", role: "status" });
const stop = button("Stop", { class: "fl-mini", onclick: () => trigger("stop", {}) }, "Stop");
const progress = el("div", { class: "fl-progress" }, track, el("div", { class: "fl-progress-line" }, text, stop));
const drawn = el("img", { class: "fl-footage-picture", alt: "The frame that was drawn last", hidden: true });
const player = el("video", { class: "fl-footage-picture", controls: true, loop: true, playsinline: true, "aria-label": "The edited video" });
const sides = ["Edited", "Original"].map((words, index) => el("button", { type: "button", role: "radio", onclick: () => show(index) }, words));
const toggle = el("div", { class: "fl-view-toggle", role: "radiogroup", "aria-label": "Which video is shown" }, ...sides);
const download = el("button", { type: "button", class: "fl-button primary", onclick: () => save(film) }, icon("save"), "Download the video");
const result = el("div", { class: "fl-footage-result", hidden: true }, player, el("div", { class: "fl-view-bar" }, download, toggle));
root.append(people, progress, drawn, result);

let film = null, urls = [];
const show = (index) => {
  const at = player.currentTime, playing = !player.paused;
  player.src = urls[index];
  player.addEventListener("loadedmetadata", () => { player.currentTime = at; if (playing) player.play(); }, { once: true });
  sides.forEach((side, each) => { side.setAttribute("aria-checked", String(each === index)); side.tabIndex = each === index ? 0 : -1; });
};
toggle.addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const other = sides.find((side) => side.getAttribute("aria-checked") !== "true");
  show(sides.indexOf(other));
  other.focus();
});
player.addEventListener("error", () => { if (player.src === urls[1]) { toggle.hidden = true; show(0); } });  // a kind that browsers do not play

const take = () => {
  if (!props.film || props.film.number === film?.number) return;
  film = props.film;
  if (urls[0]) URL.revokeObjectURL(urls[0]);
  const bytes = Uint8Array.from(atob(film.data), (letter) => letter.charCodeAt(0));
  urls = [URL.createObjectURL(new Blob([bytes], { type: film.mime })), facelab.footage];
  toggle.hidden = !urls[1];
  show(0);
};
const offer = () => {
  const pictures = props.faces || [];
  people.hidden = pictures.length < 2;
  faces.replaceChildren(...pictures.map((picture, index) => el("button", {
    type: "button", class: "fl-thumb", role: "radio", "aria-checked": String(index === props.chosen), "aria-label": `Face ${index + 1} of ${pictures.length}`,
    tabindex: index === props.chosen ? "0" : "-1", onclick: () => { if (index !== props.chosen) trigger("choose", { index }); },
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = faces.children[(index + step + pictures.length) % pictures.length];
      next.focus();
      next.click();
    },
  }, el("img", { src: picture, alt: "" }), el("span", { "aria-hidden": "true" }, String(index + 1)))));
};
const draw = () => {
  const value = props.value || {}, state = value.state || "idle";
  const made = Boolean(props.film) && state !== "running";  // what is refused or stopped leaves the film before it
  const other = made && props.film.marked !== facelab.marked;  // it would leave as it was made
  root.dataset.state = state;
  progress.hidden = !value.text;
  track.hidden = stop.hidden = state !== "running";
  bar.style.transform = `scaleX(${value.fraction || 0})`;
  track.setAttribute("aria-valuenow", String(Math.round(100 * (value.fraction || 0))));
  const stale = made && state !== "refused" && props.stale;
  root.classList.toggle("other", Boolean(stale));
  if (stale) progress.hidden = false;
  text.textContent = stale ? "Another edit is chosen by now: make the video again to see it." : !other || state === "refused" ? value.text || "" : facelab.marked
    ? "This video was made before “made with AI” was ticked. Make it again to have that written on it."
    : "This video has “made with AI” written on it. Make it again to have it without.";
  text.classList.toggle("bad", state === "refused");
  drawn.hidden = state !== "running" || !value.picture;
  if (value.picture) drawn.src = value.picture;
  result.hidden = !made || other;
  if (result.hidden) player.pause();
  people.inert = state === "running";
};

draw();
offer();
watch(["value", "stale"], draw);
watch(["faces", "chosen"], offer);
watch("film", () => { take(); draw(); });
document.addEventListener("facelab:redraw", draw);
