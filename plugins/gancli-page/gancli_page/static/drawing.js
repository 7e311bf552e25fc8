// From latents or source images to pixels: the engine in a worker (or here, where a browser allows no worker), canvases, and files.
"use strict";

const Drawing = (() => {
  const text = (id) => document.getElementById(id).textContent;
  const facts = JSON.parse(text("model-facts")), program = JSON.parse(text("model-program"));
  const { channels, height, width } = facts.image;

  // draw(z of n images, labels), or (source image, null, its sides) -> promise of their numbers.
  function engine() {
    const waiting = new Map();
    let next = 0, worker;
    try {
      const source = URL.createObjectURL(new Blob([text("engine"), text("worker")], { type: "text/javascript" }));
      worker = new Worker(source);
    } catch {
      return here();
    }
    const ask = (message) => new Promise((resolve, reject) => {
      waiting.set(++next, { resolve, reject });
      worker.postMessage({ id: next, ...message });
    });
    worker.onmessage = ({ data: { id, images, failure } }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (failure) reject(new Error(failure));
      else resolve(images);
    };
    const ready = ask({ program, numbers: text("model-numbers") });
    let inner = async (...input) => {
      await ready;
      return ask({ input });
    };
    worker.onerror = (event) => {
      event.preventDefault();
      inner = here();
      for (const { reject } of waiting.values()) reject(new Error("the worker did not start"));
      waiting.clear();
    };
    return async (...input) => {
      const first = inner;
      try {
        return await first(...input);
      } catch (error) {
        if (inner === first) throw error;
        return inner(...input);  // the worker could not be used, and now the page computes by itself
      }
    };
  }

  function here() {
    const run = Kernels.compile(program, Kernels.decode(text("model-numbers"), program));
    return async (...input) => {
      await new Promise((resolve) => setTimeout(resolve));
      return run(...input);
    };
  }

  // One image of [-1, 1] as RGBA: a clamped array rounds as `gancli sample` does, half to even.
  function pixels(numbers, picture, [tall, wide] = [height, width]) {
    const area = tall * wide, first = picture * channels * area, image = new ImageData(wide, tall);
    const byte = (channel, i) => 127.5 * numbers[first + channel * area + i] + 127.5;
    const colours = channels < 3 ? [0, 0, 0] : [0, 1, 2], alpha = channels % 2 ? -1 : channels - 1;
    for (let i = 0; i < area; i++) {
      for (let k = 0; k < 3; k++) image.data[4 * i + k] = byte(colours[k], i);
      image.data[4 * i + 3] = alpha < 0 ? 255 : byte(alpha, i);
    }
    return image;
  }

  function canvas(element = document.createElement("canvas"), [tall, wide] = [height, width]) {
    element.width = wide;
    element.height = tall;
    element.classList.toggle("pixels", Math.max(wide, tall) <= 96);
    return element;
  }

  const paint = (element, image) => element.getContext("2d").putImageData(image, 0, 0);

  // The columns that make n images about square, as `gancli sample` lays them out.
  const columns = (n) => Math.max(1, Math.min(n, Math.ceil(Math.sqrt((n * height) / width))));

  // All images in one, with the gaps of `gancli sample`: two pixels, grey, or transparent where there is transparency.
  function sheet(images) {
    const across = columns(images.length), down = Math.ceil(images.length / across), gap = 2;
    const all = document.createElement("canvas"), context = all.getContext("2d");
    all.width = across * (width + gap) + gap;
    all.height = down * (height + gap) + gap;
    context.fillStyle = channels % 2 ? "rgb(128 128 128)" : "transparent";
    context.fillRect(0, 0, all.width, all.height);
    images.forEach((image, i) => {
      context.putImageData(image, gap + (i % across) * (width + gap), gap + Math.floor(i / across) * (height + gap));
    });
    return all;
  }

  function save(element, name) {
    element.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|-+$/g, "") || "image"}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  return { facts, program, draw: engine(), pixels, canvas, paint, columns, sheet, save };
})();
