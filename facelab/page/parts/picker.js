// Faces of the library to choose from. value: {chosen: [ids], picked: how often somebody chose}; props title, info, place, several, letters, only, edited_here.
const { el, icon } = facelab;
const root = element.querySelector(".fl-picker");
const { title, info, place, several, letters, only, edited_here } = props;

const list = el("div", { class: "fl-picker-faces", role: several ? "group" : "radiogroup", "aria-label": title });
const tally = el("span", { class: "fl-count" });
const clear = el("button", { type: "button", class: "fl-link", hidden: true, onclick: () => { touched = true; picked += 1; choose([]); } }, "Clear");
const words = el("span");
const examples = el("button", { type: "button", class: "fl-mini", onclick: () => facelab.addExamples() }, "Add the examples");
const empty = el("div", { class: "fl-picker-empty" }, words, examples);
const NONE = { "": "Faces from your library appear here.", edits: "Faces that you have edited appear here.", photo: "Faces that you embed from a photo appear here." };
root.append(el("div", { class: "fl-picker-head" }, el("b", {}, title), several ? tally : "", several ? clear : ""),
  info ? el("p", { class: "fl-small fl-muted" }, info) : "", list, empty);

let subject = null, touched = false, carried = null;
const offered = () => (facelab.faces || []).filter((face) => !only || face[only]);
const cropOf = (id) => offered().find((face) => face.id === id)?.crop;
const versions = (one, other) => only === "photo" && cropOf(one) === cropOf(other);  // of one face of a photo: only one goes back
let picked = 0, mine = props.value?.chosen || [];  // only the browser chooses; the value is how the server reads it
const chosen = () => mine;
let telling, told = "";  // and how the chosen faces looked when the server heard of them
const looks = () => chosen().map((id) => offered().find((face) => face.id === id)?.picture).join();
const choose = (ids) => {
  mine = ids;
  draw();
  if (!several) document.dispatchEvent(new CustomEvent("facelab:picked", { detail: { picker: root.closest("[id^=fl-picker]")?.id, id: ids[0] } }));
  setTimeout(write, 20);
  tell(touched ? 40 : 160);  // several pickers of a tab choose at once: all of them first, then the server hears of it
};
const write = () => { props.value = { chosen: mine, picked }; };
const tell = (wait) => {
  clearTimeout(telling);
  telling = setTimeout(() => { write(); told = looks(); trigger("pick", {}); }, wait);
};
// An answer of the server that arrives while the tab is first drawn can put the old value back: then it is told again.
watch("value", () => {
  if (JSON.stringify(props.value?.chosen || []) === JSON.stringify(mine)) return;
  write();
  tell(40);
});
const pick = (id) => {
  touched = true;
  picked += 1;
  if (!several && place === 0) { facelab.subject = subject = id; document.dispatchEvent(new Event("facelab:subject")); }
  const others = chosen().filter((each) => each !== id && !versions(each, id));
  choose(several ? (chosen().includes(id) ? others : [...others, id]) : [id]);
};

// What is chosen before anybody chooses: the open face, or the ones of its model after it. Deleted faces are let go of.
const settle = () => {
  if (root.offsetParent === null) return;
  const faces = offered(), ids = faces.map((face) => face.id);
  const still = chosen().filter((id) => ids.includes(id));
  if (!several && place === 0 && facelab.subject && facelab.subject !== subject && ids.includes(facelab.subject)) {
    subject = facelab.subject;
    if (still[0] !== subject) { choose([subject]); return; }
  }
  const fresh = facelab.carried;  // what another tab sent here, for the main one of several-pickers
  if (several && (letters || only) && fresh && fresh !== carried && fresh.tab === facelab.openTab() && ids.includes(fresh.id)) {
    carried = fresh;
    if (!still.includes(fresh.id)) { pick(fresh.id); return; }
  }
  const open = faces.find((face) => face.id === facelab.subject) || faces[0], now = faces.find((face) => face.id === still[0]);
  if (!several && place >= 0 && open && (!now || (place && !touched && (now === open || now.model !== open.model)))) {
    const alike = faces.filter((face) => face.model === open.model), next = alike[(alike.indexOf(open) + place) % alike.length];
    const wanted = place && next === open ? [] : [next.id];
    if (wanted[0] !== chosen()[0]) { choose(wanted); return; }
  }
  if (only && !touched) {  // the open face and the newest edit of each other face of its photo, until somebody chooses otherwise
    const lead = faces.find((face) => face.id === facelab.subject) || faces.findLast((face) => face.edits) || faces[0];
    const newest = (face) => face === faces.findLast((each) => each.edits && each.crop === face.crop);
    const wanted = faces.filter((face) => face === lead || (several && face.of === lead.of && face.crop !== lead.crop && newest(face)));
    choose(wanted.map((face) => face.id));
    return;
  }
  if (still.length !== chosen().length) { choose(still); return; }
  draw();
  if (!edited_here && looks() !== told) tell(160);  // edited in another tab meanwhile, or nearer by now
};

const draw = () => {
  const faces = offered(), now = chosen();
  const focused = [...list.children].indexOf(document.activeElement);
  const lacking = place > 0 && faces.length > 0 && !now.length;
  empty.hidden = faces.length > 0 && !lacking;
  words.textContent = lacking ? "A second face is needed." : NONE[only];
  examples.hidden = Boolean(only) || !(lacking || place === 0 || several);
  list.hidden = !faces.length;
  tally.textContent = now.length ? String(now.length) : "";
  clear.hidden = !now.length;
  const stop = Math.max(faces.findIndex((face) => now.includes(face.id)), 0);
  list.replaceChildren(...faces.map((face, index) => el("button", {
    type: "button", class: "fl-pick", "data-name": face.name, role: several ? "checkbox" : "radio", "aria-checked": String(now.includes(face.id)),
    "aria-label": letters && now.includes(face.id) ? `${face.name}, ${String.fromCharCode(65 + now.indexOf(face.id))}` : face.name, title: faces.some((each) => each.model !== face.model) ? `${face.name}, ${face.maker}` : face.name, tabindex: several || index === stop ? "0" : "-1", onclick: () => pick(face.id),
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (index + step + faces.length) % faces.length;
      list.children[next].focus();
      if (!several) pick(faces[next].id);
    },
  }, el("img", { src: face.picture, alt: "" }), several && now.includes(face.id) ? el("span", { "aria-hidden": "true" }, letters ? String.fromCharCode(65 + now.indexOf(face.id)) : icon("check")) : "")));
  if (focused >= 0) list.children[Math.min(focused, list.children.length - 1)]?.focus({ preventScroll: true });
};

draw();
for (const event of ["facelab:faces", "facelab:subject"]) document.addEventListener(event, settle);
new ResizeObserver(settle).observe(root);
