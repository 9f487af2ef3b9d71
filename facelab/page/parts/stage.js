// The photo with every face that was found. value: {number, size, boxes, chosen, quad, note, empty}; props photo, thumbs.
const { el, svg, icon, button } = facelab;
const root = element.querySelector(".fl-stage");

const note = el("p", { class: "fl-note", role: "status" });
const image = el("img", { class: "fl-photo", alt: "Your photo", draggable: "false" });
const lines = svg("svg", { class: "fl-lines", "aria-hidden": "true", preserveAspectRatio: "none" });
const boxes = el("div", { class: "fl-boxes" });
const pad = el("button", { type: "button", class: "fl-eye-pad", hidden: true,
  "aria-label": "Click the middle of one eye, then of the other. With the keyboard: arrow keys move the cross, Enter places it." });
const cross = el("span", { class: "fl-cross", "aria-hidden": "true" });
const frame = el("div", { class: "fl-frame" }, image, lines, boxes, pad);
const thumbs = el("div", { class: "fl-thumbs", role: "radiogroup", "aria-label": "Faces in this photo" });
const byHand = el("button", { type: "button", class: "fl-button", "aria-pressed": "false" }, icon("eye"), "Align by two clicks on the eyes");
const turn = el("button", { type: "button", class: "fl-button", title: "Turn the photo a quarter to the right", onclick: () => trigger("turn", {}) }, icon("turn-right"), "Turn the photo");
root.append(note, frame, el("div", { class: "fl-stage-foot" }, thumbs, el("div", { class: "fl-row" }, byHand, turn)));

let eyes = null;  // null: choosing faces; a list: the eyes clicked so far
let at = [0.5, 0.4];  // where the keyboard's cross stands, in fractions of the photo
let photo = null;

const percent = (x, y) => `left:${(100 * x).toFixed(3)}%;top:${(100 * y).toFixed(3)}%`;

const showEyes = () => {
  const active = eyes !== null;
  byHand.setAttribute("aria-pressed", String(active));
  byHand.lastChild.textContent = active ? "Cancel aligning by hand" : "Align by two clicks on the eyes";
  pad.hidden = !active;
  boxes.hidden = active;
  pad.replaceChildren(...(eyes || []).map(([x, y]) => el("span", { class: "fl-eye-mark", style: percent(x, y) })), cross);
  cross.style.cssText = percent(...at);
  note.classList.toggle("bad", Boolean(props.value?.empty) && !eyes?.length);
  note.textContent = !active ? props.value?.note || ""
    : eyes.length === 0 ? (props.value?.empty ? props.value.note : "Click the middle of one eye …") : "… and now the other eye.";
};

const place = (x, y) => {
  if (eyes === null) return;
  eyes.push([x, y]);
  if (eyes.length < 2) { showEyes(); return; }
  const [width, height] = props.value.size;
  trigger("eyes", { photo, points: eyes.map(([px, py]) => [px * width, py * height]) });
  eyes = null;
  showEyes();
  byHand.focus();
};

pad.addEventListener("click", (event) => {
  if (event.detail === 0) { place(...at); return; }  // Enter or space
  const area = pad.getBoundingClientRect();
  place((event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height);
});
pad.addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 0.05 : 0.01;
  const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (event.key === "Escape") { eyes = null; showEyes(); byHand.focus(); }
  if (!move) return;
  event.preventDefault();
  at = at.map((value, axis) => Math.min(Math.max(value + move[axis], 0), 1));
  cross.style.cssText = percent(...at);
});
byHand.addEventListener("click", () => { eyes = eyes === null ? [] : null; showEyes(); if (eyes) pad.focus({ preventScroll: true }); });

const pick = (index) => { if (index !== props.value.chosen) trigger("choose", { photo, index }); };

const draw = () => {
  const value = props.value;
  if (!value) return;
  const [width, height] = value.size;
  if (value.number !== photo) {
    photo = value.number;
    eyes = value.boxes.length ? null : [];
  }
  if (image.getAttribute("src") !== props.photo) image.setAttribute("src", props.photo || "");
  image.width = width;
  image.height = height;
  frame.style.setProperty("--ratio", width / height);
  lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
  lines.replaceChildren(...(value.quad ? [
    svg("polygon", { points: value.quad.map((corner) => corner.join(",")).join(" "), class: "under" }),
    svg("polygon", { points: value.quad.map((corner) => corner.join(",")).join(" "), class: "over" }),
  ] : []));
  const several = value.boxes.length > 1;
  boxes.replaceChildren(...value.boxes.map(([left, top, right, bottom], index) =>
    el("button", {
      type: "button", class: "fl-box", tabindex: "-1", "aria-label": `Face ${index + 1} of ${value.boxes.length}`,
      "aria-pressed": String(index === value.chosen), onclick: () => pick(index),
      style: `${percent(left / width, top / height)};width:${(100 * (right - left)) / width}%;height:${(100 * (bottom - top)) / height}%`,
    }, several ? el("span", {}, String(index + 1)) : null)));
  const focused = [...thumbs.children].indexOf(document.activeElement);
  thumbs.hidden = !several;
  thumbs.replaceChildren(...value.boxes.map((_, index) =>
    el("button", {
      type: "button", class: "fl-thumb", role: "radio", "aria-checked": String(index === value.chosen),
      "aria-label": `Face ${index + 1} of ${value.boxes.length}`, onclick: () => pick(index),
      tabindex: index === (value.chosen ?? 0) ? "0" : "-1",
      onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (index + step + value.boxes.length) % value.boxes.length;
        thumbs.children[next].focus();
        pick(next);
      },
    }, el("img", { src: props.thumbs?.[index] || "", alt: "" }), el("span", { "aria-hidden": "true" }, String(index + 1)))));
  if (focused >= 0) thumbs.children[Math.min(value.chosen ?? focused, thumbs.children.length - 1)]?.focus();
  showEyes();
};

draw();
watch(["value", "photo", "thumbs"], draw);
