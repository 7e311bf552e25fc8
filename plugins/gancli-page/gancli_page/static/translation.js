// The page of a translator: an image that is dropped, chosen, pasted or filmed, and its translation beside it.
"use strict";

const { multiple, pads, source: [channels, height, width] } = Drawing.program;
const TRAINED = Math.max(height, width), USUAL = 512;
const SIDES = [...new Set([TRAINED, 128, 256, USUAL, 1024])].filter((side) => side >= TRAINED).sort((a, b) => a - b);

const scratch = document.createElement("canvas");

const state = {
  source: null,    // what is translated: {image, name, size: [height, width]}
  film: null,      // the camera's stream
  running: null,   // a translation that is being computed
  outdated: false, // whether there is a newer source
};

// The size that an image is shown in: its own, unless that is longer than was chosen or no multiple of what the network takes.
function fitted([tall, wide]) {
  const scale = Math.min(1, (Number(find("size").value) || Infinity) / Math.max(tall, wide));
  const side = (length) => Math.max(1, Math.round(length * scale));
  const whole = (length) => Math.max(multiple, length - (length % multiple));
  return pads || !multiple ? [side(tall), side(wide)] : [whole(side(tall)), whole(side(wide))];
}

// Draws an image onto a canvas and returns its bytes; where the model knows no transparency, on white.
function draw(image, canvas, [h, w]) {
  const pen = Drawing.canvas(canvas, [h, w]).getContext("2d", { willReadFrequently: true });
  if (channels % 2) {
    pen.fillStyle = "white";
    pen.fillRect(0, 0, w, h);
  }
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, w, h);
  return pen.getImageData(0, 0, w, h).data;
}

// Bytes of RGBA to the numbers that the network takes: planes in [-1, 1]. Grey is Pillow's, which is ITU-R 601-2.
function planes(bytes) {
  const area = bytes.length / 4, numbers = new Float32Array(channels * area);
  for (let i = 0; i < area; i++) {
    const [red, green, blue, alpha] = bytes.subarray(4 * i, 4 * i + 4);
    const grey = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
    const values = channels < 3 ? [grey, alpha] : [red, green, blue, alpha];
    for (let k = 0; k < channels; k++) numbers[k * area + i] = (values[k] - 127.5) / 127.5;
  }
  return numbers;
}

// Translates the newest source; while one is being translated, those in between are left out.
function translate() {
  state.outdated = true;
  state.running ??= (async () => {
    while (state.outdated && state.source) {
      state.outdated = false;
      const { source } = state, size = fitted(source.size), started = performance.now();
      const sides = multiple ? size : [height, width], bytes = draw(source.image, find("before"), size);
      if (!state.film) say(`Translating ${source.name}`);
      const numbers = planes(multiple ? bytes : draw(source.image, scratch, sides));
      const images = Drawing.pixels(await Drawing.draw(numbers, null, sides), 0, sides);
      const after = Drawing.canvas(find("after"), size);
      if (multiple) {
        Drawing.paint(after, images);
      } else {
        Drawing.paint(Drawing.canvas(scratch, sides), images);
        after.getContext("2d").drawImage(scratch, 0, 0, size[1], size[0]);
      }
      find("save").disabled = false;
      const took = Math.round(performance.now() - started).toLocaleString("en"), [h, w] = source.size;
      const scaled = size[0] === h && size[1] === w ? "" : `, from ${w} × ${h}`;
      say(`${source.name}: ${size[1]} × ${size[0]}${scaled}, translated in ${took} ms`);
    }
  })().catch(fail).finally(() => { state.running = null; });
  return state.running;
}

async function take(file) {
  if (!file) return;
  film(false);
  try {
    const image = await createImageBitmap(file);
    state.source = { image, name: file.name || "image", size: [image.height, image.width] };
  } catch {
    say(`${file.name} is not an image that this browser reads.`);
    return;
  }
  showCommand(["gancli translate", shellWord(state.source.name), `--run ${shellWord(facts.run)}`, "-o translated.png"]);
  translate();
}

// Switches the camera on or off.
async function film(on) {
  find("camera").setAttribute("aria-pressed", String(on));
  const video = find("video");
  if (!on) {
    state.film?.getTracks().forEach((track) => track.stop());
    state.film = null;
    return;
  }
  try {
    state.film = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    film(false);
    say(`The camera cannot be used: ${error.message}`);
    return;
  }
  const mine = state.film;
  video.srcObject = mine;
  await video.play();
  if (SIDES.includes(Number(find("size").value))) find("size").value = SIDES[0];  // the fastest
  while (state.film === mine) {
    state.source = { image: video, name: "camera", size: [video.videoHeight, video.videoWidth] };
    await translate();
    await new Promise(requestAnimationFrame);
  }
}

function connect() {
  find("file").addEventListener("change", ({ target }) => take(target.files[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  find("size").addEventListener("change", translate);
  find("camera").addEventListener("click", () => film(!state.film).catch(fail));
  find("save").addEventListener("click", () => Drawing.save(find("after"), `${facts.run}-${state.source.name.replace(/\.\w+$/, "")}`));
}

introduce([["Images", `${sizeOf({ channels, height, width })}, to ${sizeOf(facts.image)}`]]);
find("size").append(...SIDES.map((side) => new Option(`${side} pixels`, String(side))), new Option("as it is", ""));
find("size").value = String(Math.max(USUAL, TRAINED));
find("limits").textContent = [
  multiple ? `The network takes any size; it was trained at ${width} × ${height}.`
    : `The network takes ${width} × ${height} only: images are scaled to it, and translations back.`,
  channels % 2 ? "Transparent images are composited onto white." : "Browsers round the colours of transparent pixels.",
].join(" ");
showCommand(["gancli translate IMAGE", `--run ${shellWord(facts.run)}`, "-o translated.png"]);
for (const id of ["before", "after"]) Drawing.canvas(find(id), [height, width]);
connect();
