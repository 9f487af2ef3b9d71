// A short video: dropped, chosen, or filmed by the camera. value: {number, name, about, refused: why it was not opened}; props seconds (that the camera films at
// most), sound (whether it listens), hint. Event "clip" {path, name}.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-clip");
const SECONDS = props.seconds || 5, MAX_BYTES = 100 * 2 ** 20;

const input = el("input", { type: "file", accept: "video/*,.gif", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const status = el("p", { class: "fl-small fl-muted", role: "status" });
const film = el("video", { class: "fl-clip-film", muted: true, playsinline: true, hidden: true, "aria-label": "Camera" });
film.muted = true;
const choose = el("button", { type: "button", class: "fl-button small", onclick: () => input.click() }, icon("upload"), "Choose a video");
const camera = el("button", { type: "button", class: "fl-button small", onclick: () => record() }, icon("camera"), `Film ${SECONDS} seconds`);
const enough = el("button", { type: "button", class: "fl-button small", hidden: true }, "That is enough");
root.append(input, el("div", { class: "fl-row" }, choose, navigator.mediaDevices?.getUserMedia && window.MediaRecorder ? camera : "", enough), film, status);

let pending = null, opening;  // one at a time
const wait = (on) => {
  clearTimeout(opening);
  opening = on ? setTimeout(() => wait(false), 180000) : null;
  camera.disabled = choose.disabled = on;
};
const take = async (file) => {
  if (!file || opening) return;
  if (file.size > MAX_BYTES) { status.textContent = "Videos of up to 100 MB can be opened. Cut it shorter first."; return; }
  pending = file;
  wait(true);
  status.textContent = "Opening the video …";
  try { trigger("clip", { path: (await upload(file)).path, name: file.name || "camera" }); } catch {
    wait(false);
    status.textContent = "The video did not get through. Choose it again.";
  }
};
input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });

const record = async () => {
  let stream;
  const video = { facingMode: "user", width: { ideal: 1280 } };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video, audio: Boolean(props.sound) }).catch(() => navigator.mediaDevices.getUserMedia({ video }));
  } catch {
    status.textContent = "The camera cannot be used here. Allow it in the browser, or choose a video instead.";
    return;
  }
  film.srcObject = stream;
  film.hidden = false;
  camera.disabled = choose.disabled = true;
  await film.play();
  const parts = [], recorder = new MediaRecorder(stream, { videoBitsPerSecond: 4e6 });
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    stream.getTracks().forEach((track) => track.stop());
    film.hidden = true;
    camera.disabled = choose.disabled = false;
    const mp4 = recorder.mimeType.includes("mp4");
    take(new File(parts, mp4 ? "camera.mp4" : "camera.webm", { type: recorder.mimeType }));
  });
  let over = false;
  enough.onclick = () => { over = true; };
  recorder.start();
  for (let left = 4 * SECONDS; left > 0 && !over; left -= 1) {
    status.textContent = `${props.sound ? "Filming." : "Begin with a neutral face."} ${Math.ceil(left / 4)} …`;
    await new Promise((done) => { setTimeout(done, 250); });
    enough.hidden = left > 4 * SECONDS - 4;  // a second at least, or there is nothing to open
  }
  enough.hidden = true;
  recorder.stop();
};

// A file that is dropped anywhere on the tab.
const shown = () => element.offsetParent !== null;
if (props.sound) document.addEventListener("drop", (event) => {
  const file = [...(event.dataTransfer?.files || [])].find((each) => each.type.startsWith("video/"));
  if (file && shown()) { event.preventDefault(); take(file); }
});

const hint = props.hint || "Up to 20 seconds. Its first frame should be neutral.";
const draw = () => {
  const { name, about, refused } = props.value || {};
  wait(false);
  if (refused) pending = null;
  status.textContent = refused || (name ? `${name}${about ? `: ${about}` : " is open."}` : hint);
  if (!name || !props.sound || !pending) return;
  if (facelab.footage) URL.revokeObjectURL(facelab.footage);
  facelab.footage = URL.createObjectURL(pending);  // to compare the edited video with
  pending = null;
};
draw();
watch("value", draw);
