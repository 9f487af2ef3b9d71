// Where a photo comes in: drop, choose, paste, camera, or an example face. value: {compact, refusal, number}.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-dropzone");
const ACCEPT = "image/*,.heic,.heif,.avif,.tif,.tiff,.bmp,.gif,.webp";
const MAX_BYTES = 60 * 2 ** 20;

const input = el("input", { type: "file", accept: ACCEPT, class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const status = el("p", { class: "fl-drop-status", role: "status" });
const area = el("div", { class: "fl-drop-area" });
const camera = el("div", { class: "fl-camera", hidden: true });
const examples = el("div", { class: "fl-examples", role: "group", "aria-label": "Example faces" });
root.append(input, area, camera, examples);

let choice = 0;  // the newest one counts, however long the upload of one before it takes
const take = async (file) => {
  if (!file || root.classList.contains("busy")) return;
  if (file.size > MAX_BYTES) {
    status.textContent = `${file.name} is ${Math.round(file.size / 2 ** 20)} MB; photos of up to 60 MB can be opened. Save it smaller first.`;
    status.classList.add("bad");
    return;
  }
  busy(`Opening ${file.name || "photo"} …`);
  const mine = (choice += 1);
  try {
    const { path } = await upload(file);
    if (mine !== choice) { trigger("discard", { path }); return; }
    trigger("photo", { path, name: file.name || "photo" });
  } catch (error) {
    if (mine === choice) idle("The upload did not get through. Check the connection and choose the photo again.", true);
  }
};

let patience;
const busy = (text) => {
  root.classList.add("busy");
  status.textContent = text;
  status.classList.remove("bad");
  clearTimeout(patience);
  patience = setTimeout(() => idle("This takes longer than it should. Try again, or a smaller photo.", true), 90000);
};
const idle = (text = "", bad = false) => {
  clearTimeout(patience);
  root.classList.remove("busy");
  status.textContent = text;
  status.classList.toggle("bad", bad);
};

input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
const choose = () => input.click();

let close = () => {};  // lets go of the camera
const openCamera = async () => {
  close();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1920 } } });
    if (!shown()) { stream.getTracks().forEach((track) => track.stop()); return; }  // allowed after another tab was opened
    const video = el("video", { autoplay: true, muted: true, playsinline: true, "aria-label": "Camera" });
    video.srcObject = stream;
    close();  // asked for twice, before the browser had been allowed to
    close = () => {
      const held = camera.contains(document.activeElement);
      stream.getTracks().forEach((track) => track.stop());
      camera.replaceChildren();
      camera.hidden = true;
      close = () => {};
      if (held) area.querySelector("button")?.focus();
    };
    const shoot = () => {
      if (!video.videoWidth) return;  // nothing is seen yet
      const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => take(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
      close();
    };
    camera.replaceChildren(video, el("div", { class: "fl-row" },
      button("Take the picture", { class: "fl-button primary", onclick: shoot }, icon("camera"), "Take the picture"),
      button("Cancel", { class: "fl-button", onclick: close }, "Cancel")));
    camera.hidden = false;
  } catch {
    idle("The camera cannot be used here. Allow it in the browser, or choose a photo instead.", true);
  }
};

const buttons = (compact) => [
  button(compact ? "Another photo" : "Choose a photo", { class: compact ? "fl-button" : "fl-button primary", onclick: choose },
    icon("upload"), compact ? "Another photo" : "Choose a photo"),
  navigator.mediaDevices?.getUserMedia
    ? button("Use the camera", { class: "fl-button", onclick: openCamera }, icon("camera"), "Use the camera") : null,
].filter(Boolean);

const draw = () => {
  const compact = Boolean(props.value?.compact), held = [area, examples].find((each) => each.contains(document.activeElement));
  root.classList.toggle("compact", compact);
  idle(props.value?.refusal || "", Boolean(props.value?.refusal));
  area.replaceChildren(
    ...(compact ? [] : [
      el("div", { class: "fl-drop-mark", "aria-hidden": "true" }, icon("face")),
      el("h2", {}, "Start with a portrait"),
      el("p", { class: "fl-muted" }, "Drop a photo here, paste it, or choose one. Every face in it will be found."),
    ]),
    el("div", { class: "fl-row" }, ...buttons(compact)),
    ...(compact ? [] : [el("p", { class: "fl-small fl-muted" }, "JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF or GIF, up to 60 MB. It stays in memory and goes when you close the page.")]),
    status,
  );
  const faces = props.examples || [];
  examples.hidden = !faces.length;
  examples.replaceChildren(
    el("p", { class: "fl-label" }, compact ? "Examples" : "No photo at hand? Start with a face that does not exist"),
    el("div", { class: "fl-example-row" }, ...faces.map((face) =>
      button(`Use example: ${face.title}`, { class: "fl-example", onclick: () => { choice += 1; busy("Opening the example …"); trigger("example", { id: face.id }); } },
        el("img", { src: face.picture, alt: "" })))),
  );
  held?.querySelector("button")?.focus({ preventScroll: true });
};

const shown = () => element.offsetParent !== null;
const isFile = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
document.addEventListener("dragover", (event) => { if (isFile(event)) { event.preventDefault(); if (shown()) root.classList.add("over"); } });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) root.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  if (!isFile(event)) return;
  event.preventDefault();
  root.classList.remove("over");
  if (shown()) take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
  if (file && shown()) take(file);
});

new ResizeObserver(() => { if (!shown()) close(); }).observe(root);
draw();
watch("value", draw);
