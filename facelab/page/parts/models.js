// Which model new faces are made with. value: {model}; prop models: [{name, title, about}].
const { el } = facelab;
const root = element.querySelector(".fl-models");
const about = el("span", { class: "fl-models-about" });
const menu = el("select", { class: "fl-view-use", "aria-label": "Model for new faces", onchange: () => { explain(); trigger("choose", { model: menu.value }); } },
  ...props.models.map(({ name, title }) => el("option", { value: name }, title)));
root.append(el("label", {}, el("span", { class: "fl-label" }, "Model for new faces"), menu), about);

const explain = () => { about.textContent = props.models.find(({ name }) => name === menu.value)?.about || ""; };
const draw = () => { menu.value = props.value?.model || props.models[0].name; explain(); };
// In a session that begins in the place of one that has ended, new faces are made as on a new page.
const usual = props.value?.model || props.models[0].name;
document.addEventListener("facelab:lost", () => { if (menu.value !== usual) { menu.value = usual; menu.dispatchEvent(new Event("change")); } });
draw();
watch("value", draw);
