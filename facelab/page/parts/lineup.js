// Models' faces side by side. value: {sheets: [{name, title, about, picture}]}.
const { el } = facelab;
const root = element.querySelector(".fl-lineup");
const empty = el("p", { class: "fl-muted", hidden: true }, "Choose a model above.");
root.append(empty);

const known = new Map();
const draw = () => {
  const sheets = props.value?.sheets || [];
  empty.hidden = sheets.length > 0;
  const nodes = sheets.map(({ name, title, about, picture }) => {
    if (!known.has(name)) {
      const image = el("img", { alt: `Random faces of ${title}` });
      known.set(name, { image, node: el("figure", { class: "fl-lineup-sheet", "data-model": name }, image, el("figcaption", {}, el("b", {}, title), el("span", { class: "fl-muted fl-small" }, about))) });
    }
    const { image, node } = known.get(name);
    if (image.src !== picture) image.src = picture;
    return node;
  });
  root.replaceChildren(empty, ...nodes);
};

draw();
watch("value", draw);
