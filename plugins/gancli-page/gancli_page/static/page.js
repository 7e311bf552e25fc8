// The page: samples, one image, its latent, and the interpolation.
"use strict";

const LAST_SEED = 2n ** 63n - 1n, LIMIT = 3, SECONDS_PER_SEED = 2;
const STRIP = [-3, -1.5, 0, 1.5, 3];
const PICTURES = ["picture", "echo"];  // the second stays in sight beside the sliders where there is one column only
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
const classes = facts.classes.length;

const state = {
  seed: 0n,         // of the first image
  images: [],       // ImageData of every image
  request: 0,       // number of the newest grid: an older one stops
  chosen: 0,        // position of the chosen image
  target: 0n,       // the seed that the image has, or that the walk is on its way to
  changed: false,   // whether the latent is no longer that of a seed
  z: new Float32Array(facts.latent_dim),
  label: 0,
  playing: false,
};

const count = () => Number(find("count").value);
const latentOf = (seed) => Latents.latent(seed, facts.latent_dim);
const labelOf = (i) => (find("class").value === "" ? i % classes : Number(find("class").value));
const titleOf = (seed, label) => `Seed ${seed}${classes ? `, class ${facts.classes[label]}` : ""}`;

// Samples

function buildGrid(n) {
  find("grid").replaceChildren(...Array.from({ length: n }, (_, i) => {
    const cell = Drawing.canvas();
    cell.id = `sample-${i}`;
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-selected", "false");
    cell.addEventListener("click", () => choose(i));
    return cell;
  }));
  find("grid").style.gridTemplateColumns = `repeat(${Drawing.columns(n)}, minmax(0, 1fr))`;
}

// Generates all samples, a few at a time, so that a slow model shows what it has. The first is timed.
async function drawGrid() {
  const mine = ++state.request, n = count(), cells = find("grid").children, started = performance.now();
  if (cells.length !== n) buildGrid(n);
  const images = [];
  let share = 1;
  while (images.length < n) {
    const first = images.length, size = Math.min(share, n - first), before = performance.now();
    const z = new Float32Array(size * facts.latent_dim), labels = Int32Array.from({ length: size }, (_, i) => labelOf(first + i));
    for (let i = 0; i < size; i++) z.set(latentOf(state.seed + BigInt(first + i)), i * facts.latent_dim);
    const numbers = await Drawing.draw(z, labels);
    if (mine !== state.request) return;
    for (let i = 0; i < size; i++) {
      images.push(Drawing.pixels(numbers, i));
      Drawing.paint(cells[first + i], images[first + i]);
      cells[first + i].setAttribute("aria-label", titleOf(state.seed + BigInt(first + i), labels[i]));
    }
    share = Math.max(1, Math.round((size * 100) / Math.max(1, performance.now() - before)));
  }
  state.images = images;
  const took = Math.round(performance.now() - started).toLocaleString("en");
  say(`${plural(n, "image")}, seeds ${state.seed} to ${state.seed + BigInt(n - 1)}, generated in ${took} ms`);
}

function show() {
  choose(Math.min(state.chosen, count() - 1), false);
  return drawGrid().catch(fail);
}

function setSeed(seed) {
  const last = LAST_SEED - BigInt(count()) + 1n;
  state.seed = seed < 0n ? 0n : seed > last ? last : seed;
  find("seed").value = state.seed;
  readSeed();
}

// What is typed is either generated or reported as invalid.
function readSeed() {
  const typed = find("seed").value.trim(), last = LAST_SEED - BigInt(count()) + 1n;
  const valid = /^\d{1,19}$/.test(typed) && BigInt(typed) <= last;
  find("seed").setAttribute("aria-invalid", String(!valid));
  find("seed-error").textContent = valid ? "" : `A seed is a whole number from 0 to ${last}.`;
  if (!valid) return;
  state.seed = BigInt(typed);
  show();
}

function randomSeed() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  setSeed(BigInt(number));
}

// One image

function choose(i, aloud = true) {
  const cells = find("grid").children;
  if (cells.length !== count()) buildGrid(count());
  cells[state.chosen]?.setAttribute("aria-selected", "false");
  state.chosen = i;
  cells[i].setAttribute("aria-selected", "true");
  find("grid").setAttribute("aria-activedescendant", cells[i].id);
  state.target = state.seed + BigInt(i);
  state.label = classes ? labelOf(i) : 0;
  state.z = latentOf(state.target);
  state.changed = false;
  if (aloud) say(titleOf(state.target, state.label));
  if (state.playing) walk.aim();
  const drawn = drawPicture();
  drawn.then(drawStrips).catch(fail);
  return drawn;
}

// Generates from the newest latent; those that arrive meanwhile are skipped.
let drawing = null, outdated = false;
function drawPicture() {
  describe();
  outdated = true;
  drawing ??= (async () => {
    while (outdated) {
      outdated = false;
      const numbers = await Drawing.draw(state.z.slice(), Int32Array.of(state.label));
      for (const id of PICTURES) Drawing.paint(find(id), Drawing.pixels(numbers, 0));
    }
  })().catch(fail).finally(() => { drawing = null; });
  return drawing;
}

function describe() {
  const where = titleOf(state.target, state.label);
  const said = state.playing ? `On the way to ${where.toLowerCase()}` : state.changed ? `Near ${where.toLowerCase()}` : where;
  find("caption").textContent = said;
  find("picture").setAttribute("aria-label", said);
  const words = ["gancli sample", `--run ${shellWord(facts.run)}`, `--seed ${state.target}`, "-n 1"];
  if (classes) words.push(`--class ${state.label}`);
  showCommand(words);
  find("reset").disabled = !state.changed;
  showSliders();
}

// Latent

// How far z is along a direction: its scalar product with that unit vector.
const along = (z, direction) => direction.reduce((sum, part, i) => sum + part * z[i], 0);
const moved = (z, direction, to) => {
  const by = to - along(z, direction);
  return z.map((part, i) => part + by * direction[i]);
};

// A slider for each of the directions that change images most, with images of what it does.
const sliders = facts.directions.map((direction, k) => {
  const label = document.createElement("label"), value = document.createElement("output"), strip = Drawing.canvas();
  const input = Object.assign(document.createElement("input"), { type: "range", min: -LIMIT, max: LIMIT, step: 0.01 });
  strip.width *= STRIP.length;
  strip.setAttribute("aria-hidden", "true");
  input.setAttribute("aria-label", `Direction ${k + 1}`);
  input.addEventListener("input", () => changeLatent(() => { state.z = moved(state.z, direction, Number(input.value)); }));
  label.append(element("span", k + 1), input, value, strip);
  find("sliders").append(label);
  return { input, value, direction, strip };
});

// The strips are of the seed's latent; the newest request alone goes on, direction by direction.
let strips = 0;
async function drawStrips() {
  const mine = ++strips, z = state.z.slice(), labels = Int32Array.from(STRIP, () => state.label);
  for (const { direction, strip } of sliders) {
    const points = new Float32Array(STRIP.length * facts.latent_dim);
    STRIP.forEach((to, i) => points.set(moved(z, direction, to), i * facts.latent_dim));
    const numbers = await Drawing.draw(points, labels);
    if (mine !== strips) return;
    const pen = strip.getContext("2d");
    STRIP.forEach((_, i) => pen.putImageData(Drawing.pixels(numbers, i), i * strip.width / STRIP.length, 0));
  }
}

// The sliders show at most LIMIT; the numbers beside them are the latent itself.
function showSliders() {
  sliders.forEach(({ input, value, direction }) => {
    const shown = along(state.z, direction).toFixed(2);
    if (value.textContent === shown) return;
    input.value = shown;
    value.textContent = shown.replace("-", "\u2212");
  });
}

function changeLatent(change) {
  walk.pause();
  change();
  state.changed = true;
  drawPicture();
}

// A step in a random direction that keeps z as likely as it was: z cos a + noise sin a.
function shake() {
  const words = crypto.getRandomValues(new Uint32Array(2));
  const noise = Latents.latent(BigInt(words[0]) << 31n ^ BigInt(words[1]), facts.latent_dim);
  changeLatent(() => { state.z = state.z.map((value, i) => 0.95 * value + Math.sqrt(1 - 0.95 ** 2) * noise[i]); });
}

// Interpolation

const walk = {
  from: state.z,
  to: state.z,
  t: 0,

  // From where the image is to the seed after it.
  aim() {
    this.from = state.z;
    state.target = state.target === LAST_SEED ? 0n : state.target + 1n;
    this.to = latentOf(state.target);
    this.t = 0;
  },

  async play() {
    state.playing = true;
    this.button();
    this.aim();
    say(`Interpolating to ${titleOf(state.target, state.label).toLowerCase()}`);
    let last = performance.now();
    while (state.playing) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      this.t += ((now - last) / 1000) * (2 ** Number(find("speed").value) / SECONDS_PER_SEED);
      last = now;
      if (!state.playing) return;
      if (this.t >= 1) {
        state.z = this.to;
        await drawPicture();
        if (!state.playing) return;
        this.aim();
      } else if (!stillness.matches) {
        state.z = Latents.slerp(this.from, this.to, this.t);
        await drawPicture();
      }
    }
  },

  pause() {
    if (!state.playing) return;
    state.playing = false;
    state.changed = true;
    this.button();
    describe();
    say(`Interpolation paused, ${find("caption").textContent.toLowerCase()}`);
  },

  toggle() {
    if (state.playing) this.pause();
    else this.play().catch(fail);
  },

  button() {
    find("play").setAttribute("aria-pressed", String(state.playing));
    find("play").querySelector("span").textContent = state.playing ? "Pause" : "Interpolate";
  },
};

// Keyboard and buttons

function moveWithKey(event) {
  const across = Drawing.columns(count());
  const pages = { PageUp: -1, PageDown: 1 }[event.key];
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  const goal = { Home: 0, End: count() - 1 }[event.key] ?? (step && state.chosen + step);
  if (pages) setSeed(state.seed + BigInt(pages * count()));
  else if (goal === undefined) return;
  else if (goal >= 0 && goal < count()) choose(goal);
  event.preventDefault();
}

function playWithSpace(event) {
  const usesSpace = event.target.closest("button, select, input:not([type=range]), summary, a");
  if (event.key !== " " || usesSpace || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (!event.repeat) walk.toggle();
}

function tellSpeed() {
  const seconds = SECONDS_PER_SEED / 2 ** Number(find("speed").value);
  find("speed").setAttribute("aria-valuetext", `${seconds.toFixed(1)} seconds from seed to seed`);
}

function connect() {
  find("request").addEventListener("submit", (event) => { event.preventDefault(); readSeed(); });
  find("seed").addEventListener("input", readSeed);
  find("count").addEventListener("change", () => setSeed(state.seed));
  find("class").addEventListener("change", () => {
    state.label = labelOf(state.chosen);
    drawPicture();
    drawGrid().catch(fail);
  });
  find("previous").addEventListener("click", () => setSeed(state.seed - BigInt(count())));
  find("next").addEventListener("click", () => setSeed(state.seed + BigInt(count())));
  find("random").addEventListener("click", randomSeed);
  find("grid").addEventListener("keydown", moveWithKey);
  document.addEventListener("keydown", playWithSpace);
  find("play").addEventListener("click", () => walk.toggle());
  find("speed").addEventListener("input", tellSpeed);
  find("shake").addEventListener("click", shake);
  find("reset").addEventListener("click", () => { walk.pause(); choose(state.chosen); });
  find("save-grid").addEventListener("click", () => Drawing.save(Drawing.sheet(state.images), `${facts.run}-seed-${state.seed}-grid`));
  find("save-picture").addEventListener("click", () => Drawing.save(find("picture"), `${facts.run}-${find("caption").textContent}`));
}

introduce([
  ["Images", sizeOf(facts.image)],
  ["Latent", plural(facts.latent_dim, "dimension")],
]);
find("class-field").hidden = !classes;
find("class").append(new Option("All in turn", ""), ...facts.classes.map((text, k) => new Option(text, String(k))));
tellSpeed();
for (const id of PICTURES) Drawing.canvas(find(id));
connect();
show();
