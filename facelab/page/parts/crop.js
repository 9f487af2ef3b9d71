// The crop as the generator will see it, and its correction by hand. value: {picture, detail} or null.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-crop");

const picture = el("img", { class: "fl-crop-picture", alt: "The aligned face" });
const empty = el("div", { class: "fl-crop-empty" }, icon("face"), el("span", {}, "The aligned face appears here"));
const detail = el("p", { class: "fl-small fl-muted", role: "status" });

const NUDGE = 0.02, ZOOM = 1.05, TURN = 2;
const moves = [
  ["left", "Move the frame left (arrow left)", { dx: -NUDGE }, "ArrowLeft"],
  ["up", "Move the frame up (arrow up)", { dy: -NUDGE }, "ArrowUp"],
  ["down", "Move the frame down (arrow down)", { dy: NUDGE }, "ArrowDown"],
  ["right", "Move the frame right (arrow right)", { dx: NUDGE }, "ArrowRight"],
  ["minus", "Zoom out (minus)", { zoom: 1 / ZOOM }, "-"],
  ["plus", "Zoom in (plus)", { zoom: ZOOM }, "+"],
  ["turn-left", "Turn the face left ([)", { rotate: TURN }, "["],
  ["turn-right", "Turn the face right (])", { rotate: -TURN }, "]"],
];
const reset = () => trigger("reset", {});
const group = (title, ...names) => el("span", {}, el("em", { "aria-hidden": "true" }, title), ...names.map((name) => {
  const [, label, change] = moves.find((each) => each[0] === name);
  return button(label, { class: "fl-pad", onclick: () => trigger("adjust", change) }, icon(name));
}));
const pads = el("div", { class: "fl-pads", role: "group", "aria-label": "Correct the crop by hand" },
  el("span", {}, group("Move", "left", "up", "down", "right")),
  button("Reset all corrections (0)", { class: "fl-pad wide", onclick: reset }, "Reset"),
  el("span", {}, group("Zoom", "minus", "plus"), group("Turn", "turn-left", "turn-right")));
pads.addEventListener("keydown", (event) => {
  const key = event.key === "=" ? "+" : event.key;
  const move = moves.find((each) => each[3] === key);
  if (move) { event.preventDefault(); trigger("adjust", move[2]); }
  if (key === "0") reset();
});
root.append(el("div", { class: "fl-crop-frame" }, picture, empty), detail, pads);

const draw = () => {
  const value = props.value;
  picture.hidden = !value;
  empty.hidden = Boolean(value);
  if (value) picture.src = value.picture;
  detail.textContent = value?.detail || "";
  pads.querySelectorAll("button").forEach((each) => { each.disabled = !value; });
};

draw();
watch("value", draw);
