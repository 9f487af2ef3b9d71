// A short video to follow: chosen, or filmed by the camera. value: {name}. Event "clip" {path, name}.
const { el, icon, button } = facelab;
const root = element.querySelector(".fl-clip");
const SECONDS = 5, MAX_BYTES = 100 * 2 ** 20;

const input = el("input", { type: "file", accept: "video/*,.gif", class: "fl-hidden", tabindex: "-1", "aria-hidden": "true" });
const status = el("p", { class: "fl-small fl-muted", role: "status" });
const film = el("video", { class: "fl-clip-film", muted: true, playsinline: true, hidden: true, "aria-label": "Camera" });
film.muted = true;
const choose = el("button", { type: "button", class: "fl-button small", onclick: () => input.click() }, icon("upload"), "Choose a video");
const camera = el("button", { type: "button", class: "fl-button small", onclick: () => record() }, icon("camera"), `Film ${SECONDS} seconds`);
root.append(input, el("div", { class: "fl-row" }, choose, navigator.mediaDevices?.getUserMedia && window.MediaRecorder ? camera : ""), film, status);

const take = async (file) => {
  if (!file) return;
  if (file.size > MAX_BYTES) { status.textContent = "Videos of up to 100 MB can be opened. Cut it shorter first."; return; }
  status.textContent = "Opening the video …";
  try { trigger("clip", { path: (await upload(file)).path, name: file.name || "camera" }); } catch { status.textContent = "The video did not get through. Choose it again."; }
};
input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });

const record = async () => {
  let stream;
  try { stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } }); } catch {
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
  recorder.start();
  for (let left = SECONDS; left > 0; left -= 1) {
    status.textContent = `Begin with a neutral face. ${left} …`;
    await new Promise((done) => { setTimeout(done, 1000); });
  }
  recorder.stop();
};

const draw = () => { status.textContent = props.value?.name ? `${props.value.name} is open.` : "Up to 20 seconds. Its first frame should be neutral."; };
draw();
watch("value", draw);
