// The faces a visitor has made, shared by all tabs. value: {session, faces: [{id, name, picture, saved, open}]}; props parcel, presets ({number, items} of a project), gone (what to say where a session ended).
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-library");

const count = el("span", { class: "fl-count" });
const list = el("ul", { class: "fl-faces", tabindex: "-1" });
const status = el("p", { class: "fl-hidden", role: "status" });
const said = el("p", { class: "fl-library-said", role: "alert" });
const input = el("input", { type: "file", accept: ".npz,.facelab,.npy,.pt", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
input.addEventListener("change", async () => {
  const file = input.files[0];
  input.value = "";
  said.textContent = "";
  if (!file) return;
  status.textContent = `Opening ${file.name} …`;
  try { trigger("bring", { path: (await upload(file)).path, name: file.name }); } catch { said.textContent = "The file did not get through, or is larger than this page opens. Choose it again."; }
});
const saveAll = button("Save all as a project (.facelab); photos are not in it", { class: "fl-icon-button", onclick: () => trigger("project", { presets: facelab.presets.stored() }) }, icon("save"));
const marks = el("input", { type: "checkbox", onchange: () => {
  facelab.marked = marks.checked;
  trigger("mark", { on: marks.checked });
  setTimeout(() => document.dispatchEvent(new Event("facelab:redraw")), 200);
} });
const marking = el("label", { class: "fl-marking" }, marks, el("span", {}, "Write “made with AI” on what I save"));
const examples = button("Add the examples", { class: "fl-icon-button", onclick: () => facelab.addExamples() }, icon("plus"));
root.append(
  el("div", { class: "fl-library-head" }, el("h2", {}, "Library"), count,
    examples, saveAll, button("Open a face (FACE.npz), a project (.facelab) or latents (.npy, .pt)", { class: "fl-icon-button", onclick: () => input.click() }, icon("upload"))),
  input, status, said, list, marking);

const card = (face) => {
  const name = el("input", {
    class: "fl-name", "data-control": "name", value: face.name, "aria-label": `Name of ${face.name}`, maxlength: "40", spellcheck: "false", autocomplete: "off",
    onchange: () => { if (name.value.trim()) trigger("rename", { id: face.id, name: name.value }); else name.value = face.name; },
    onkeydown: (event) => { if (event.key === "Enter") name.blur(); if (event.key === "Escape") { name.value = face.name; name.blur(); } },
  });
  const tools = el("div", { class: "fl-tools" });
  const usual = () => tools.replaceChildren(
    button(`Save ${face.name} as a face file (FACE.npz)`, { class: "fl-icon-button", "data-control": "npz", onclick: () => trigger("download", { id: face.id, kind: "npz" }) }, icon("file")),
    button(`Save the picture of ${face.name} (PNG)`, { class: "fl-icon-button", "data-control": "png", onclick: () => trigger("download", { id: face.id, kind: "png" }) }, icon("image")),
    button(`Delete ${face.name}`, { class: "fl-icon-button", "data-control": "remove", onclick: ask }, icon("trash")));
  const ask = () => {
    const keep = button(`Keep ${face.name}`, { class: "fl-mini", "data-control": "remove", onclick: () => { usual(); tools.lastChild.focus(); } }, "Keep");
    tools.replaceChildren(
      button(`Delete ${face.name} for good`, { class: "fl-mini danger", "data-control": "remove", onclick: () => trigger("remove", { id: face.id }) }, "Delete"), keep);
    keep.focus();
  };
  usual();
  const open = face.id === facelab.subject;
  return el("li", { class: open ? "fl-face open" : "fl-face", "data-id": face.id },
    button(`Show ${face.name}`, { class: "fl-face-picture", "data-control": "show", "aria-pressed": String(open), onclick: () => show(face.id) },
      el("img", { src: face.picture, alt: "" })),
    el("div", { class: "fl-face-side" }, name, ...notes(face), tools));
};

// Whose face it is where there are several models, and that it still gets better.
const notes = (face) => [
  (props.value?.faces || []).some((each) => each.model !== face.model) ? face.maker : "",
  face.running ? "getting nearer …" : "",
].filter(Boolean).map((words) => el("span", { class: "fl-face-note" }, words));

// Where a face is edited, a click makes it the tab's face; beside Upload and Embed it shows the face there.
const editing = () => !["upload", "embed"].includes(facelab.openTab());
const show = (id) => {
  facelab.subject = id;
  if (!editing()) trigger("open", { id });
  draw();
};

let parcel = null, known = new Set(), opened = null, session = "";
const draw = () => {
  const faces = props.value?.faces || [];
  examples.hidden = saveAll.hidden = marking.hidden = !faces.length;
  count.textContent = faces.length ? String(faces.length) : "";
  const lost = known.size > 1 && props.value?.session !== session;
  if (lost || faces.length) said.textContent = lost ? props.gone : "";
  if (lost) { marks.checked = facelab.marked = false; document.dispatchEvent(new Event("facelab:lost")); }  // as in the session that begins now
  session = props.value?.session;
  const held = document.activeElement;  // what has the focus has it again afterwards, with a name being typed in it
  const at = [...list.children].findIndex((item) => item.contains(held)), id = list.children[at]?.dataset.id;
  facelab.unsaved = faces.filter((face) => !face.saved).length;
  const now = faces.find((face) => face.open)?.id, added = faces.filter((face) => known.size && !known.has(face.id)), fresh = added[0];
  if (now && now !== opened) facelab.subject = now;
  else if (fresh && (!facelab.subject || !editing())) facelab.subject = fresh.id;
  opened = now;
  list.replaceChildren(...(faces.length ? faces.map(card) : [el("li", { class: "fl-empty" },
    el("p", {}, "Faces that you embed are kept here until you close the page."),
    el("button", { type: "button", class: "fl-button", onclick: () => facelab.addExamples() }, icon("plus"), "Add the examples"))]));
  if (fresh) status.textContent = added.length > 1 ? `${added.length} faces were added to the library.` : `${fresh.name} is in the library.`;
  for (const face of added) list.querySelector(`[data-id="${face.id}"]`)?.classList.add("fresh");
  if (at >= 0) {
    const next = list.children[Math.min(at, list.children.length - 1)];  // of a face that was deleted
    const again = list.querySelector(`[data-id="${id}"] [data-control="${held.dataset.control}"]`) || next.querySelector("button");
    if (again.matches(".fl-name")) again.value = held.value;
    again.focus({ preventScroll: true });
    if (again.matches(".fl-name")) again.setSelectionRange(held.selectionStart, held.selectionEnd);
  }
  known = new Set(["", ...faces.map((face) => face.id)]);
  facelab.faces = faces;
  document.dispatchEvent(new Event("facelab:faces"));
};
facelab.addExamples = () => trigger("examples", {});

draw();
watch("value", draw);
document.addEventListener("facelab:subject", () => root.querySelectorAll(".fl-face").forEach((item) => {
  const open = item.dataset.id === facelab.subject;
  item.classList.toggle("open", open);
  item.querySelector(".fl-face-picture").setAttribute("aria-pressed", String(open));
}));
let presets = null;
watch("presets", () => { if (props.presets && props.presets.number !== presets) { presets = props.presets.number; if (props.presets.items.length) facelab.presets.keep(props.presets.items); } });
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
