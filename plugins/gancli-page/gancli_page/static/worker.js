// What runs beside the page, after latents.js and kernels.js: it keeps the program and generates what it is sent.
"use strict";

let draw = null;

onmessage = ({ data: { id, program, numbers, input } }) => {
  try {
    if (program) {
      draw = Kernels.compile(program, Kernels.decode(numbers, program));
      postMessage({ id });
    } else {
      const images = draw(...input);
      postMessage({ id, images }, [images.buffer]);
    }
  } catch (error) {
    postMessage({ id, failure: String(error) });
  }
};
