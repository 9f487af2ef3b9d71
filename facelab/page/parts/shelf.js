// Directions of the visitor's own. value: {items: [{id, title}]}; prop parcel.
const { el, icon, button, save } = facelab;
const root = element.querySelector(".fl-shelf");

const input = el("input", { type: "file", accept: ".npz", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const status = el("p", { class: "fl-small", role: "status" });
input.addEventListener("change", async () => {
  const file = input.files[0];
  input.value = "";
  if (!file) return;
  try { trigger("bring", { path: (await upload(file)).path }); } catch { status.textContent = "The file did not get through. Choose it again."; }
});
const list = el("ul", { class: "fl-shelf-items" });
const open = el("button", { type: "button", class: "fl-button small", onclick: () => input.click() }, icon("upload"), "Open a saved direction");
root.append(list, open, input, status);

let parcel = null, removed = false;
const ask = (bin, id, title) => {
  const item = bin.parentElement, before = [...item.children];
  const keep = button(`Keep ${title}`, { class: "fl-mini", onclick: () => { item.replaceChildren(...before); bin.focus(); } }, "Keep");
  item.replaceChildren(before[0], button(`Delete ${title} for good`, { class: "fl-mini danger", onclick: () => { removed = true; trigger("remove", { id }); } }, "Delete"), keep);
  keep.focus();
};
const draw = () => {
  const items = props.value?.items || [];
  status.textContent = items.length ? "Its slider is in the group Own." : "";
  list.hidden = !items.length;
  list.replaceChildren(...items.map(({ id, title }) => el("li", {}, el("b", {}, title),
    button(`Save ${title} as a file`, { class: "fl-icon-button", onclick: () => trigger("save", { id }) }, icon("save")),
    button(`Delete ${title}`, { class: "fl-icon-button", onclick: ({ currentTarget }) => ask(currentTarget, id, title) }, icon("trash")))));
  if (removed) (list.querySelector("button") || open).focus();  // the keyboard goes on from here
  removed = false;
};

draw();
watch("value", draw);
watch("parcel", () => { if (props.parcel && props.parcel.number !== parcel) { parcel = props.parcel.number; save(props.parcel); } });
