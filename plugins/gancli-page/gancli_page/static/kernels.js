// The operations of gancli_page/replay.py on typed arrays, and a program that is made of them.
// An array holds one image behind the other; shapes are those of one image. Every entry of OPERATIONS takes a step and
// what is known of its arguments ({shape, data}, where only constants have data) and returns the function that runs it:
// (n, out, ...arguments) fills `out`.
"use strict";

const Kernels = (() => {
  const size = (shape) => shape.reduce((a, b) => a * b, 1);

  // C[i, j] = sum over k of A[i, k] B[j, k]: two rows and four columns at a time, which is what fits into the registers.
  // A begins at `a`, C at `c`, whose rows are `pitch` apart. Where fewer are left, the last one is computed again.
  function dots(A, a, rows, B, b, columns, depth, C, c, pitch = columns) {
    for (let j = 0; j < columns; j += 4) {
      const j1 = Math.min(j + 1, columns - 1), j2 = Math.min(j + 2, columns - 1), j3 = Math.min(j + 3, columns - 1);
      const b0 = b + j * depth, b1 = b + j1 * depth, b2 = b + j2 * depth, b3 = b + j3 * depth;
      for (let i = 0; i < rows; i += 2) {
        const i1 = Math.min(i + 1, rows - 1), a0 = a + i * depth, a1 = a + i1 * depth;
        let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
        for (let k = 0; k < depth; k++) {
          const x = A[a0 + k], y = A[a1 + k], p = B[b0 + k], q = B[b1 + k], r = B[b2 + k], s = B[b3 + k];
          s00 += x * p; s01 += x * q; s02 += x * r; s03 += x * s;
          s10 += y * p; s11 += y * q; s12 += y * r; s13 += y * s;
        }
        const u = c + i * pitch, v = c + i1 * pitch;
        C[v + j] = s10; C[v + j1] = s11; C[v + j2] = s12; C[v + j3] = s13;
        C[u + j] = s00; C[u + j1] = s01; C[u + j2] = s02; C[u + j3] = s03;
      }
    }
  }

  function linear(step, x, weight, bias) {
    const [columns, depth] = weight.shape, rows = size(x.shape) / depth;
    return (n, out, input) => {
      dots(input, 0, n * rows, weight.data, 0, columns, depth, out, 0);
      if (bias) for (let at = 0; at < out.length;) for (let j = 0; j < columns; j++) out[at++] += bias.data[j];
    };
  }

  function addPerChannel(out, bias, area) {
    for (let at = 0, channel = 0; at < out.length; channel = (channel + 1) % bias.length) {
      const value = bias[channel];
      for (const end = at + area; at < end; at++) out[at] += value;
    }
  }

  // Calls visit(pixel of the small side, pixel of the large side, tap) wherever a kernel touches: the pixels of the large
  // side at stride * position + dilation * tap - padding. In a convolution the input is the large side.
  function touches({ stride, padding, dilation }, [height, width], [tall, wide], [kh, kw], visit) {
    for (let y = 0; y < height; y++) for (let i = 0; i < kh; i++) {
      const Y = y * stride[0] + i * dilation[0] - padding[0];
      if (Y < 0 || Y >= tall) continue;
      for (let x = 0; x < width; x++) for (let j = 0; j < kw; j++) {
        const X = x * stride[1] + j * dilation[1] - padding[1];
        if (X >= 0 && X < wide) visit(y * width + x, Y * wide + X, i * kw + j);
      }
    }
  }

  // The same as three flat lists, so that the work per image has no conditions left.
  function touchList(step, small, large, kernel) {
    const small_ = [], large_ = [], taps = [];
    touches(step, small, large, kernel, (s, l, t) => { small_.push(s); large_.push(l); taps.push(t); });
    return [small_, large_, taps].map((list) => Int32Array.from(list));
  }

  // Patches of the input as rows, for some lines of the output at a time, then one product with the kernels per group.
  function conv2d({ shape, stride, padding, dilation, groups }, x, weight, bias) {
    const [channels, tall, wide] = x.shape, [outputs, height, width] = shape;
    const [, inputs, kh, kw] = weight.shape, taps = kh * kw, area = height * width, depth = inputs * taps;
    const lines = Math.min(height, Math.max(1, Math.floor(2 ** 18 / (width * depth)))), share = outputs / groups;
    const patches = new Float32Array(lines * width * depth);
    return (n, out, input) => {
      for (let image = 0; image < n; image++) for (let group = 0; group < groups; group++) {
        for (let top = 0; top < height; top += lines) {
          const bottom = Math.min(height, top + lines);
          for (let channel = 0; channel < inputs; channel++) for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) {
            const plane = (image * channels + group * inputs + channel) * tall * wide;
            for (let y = top, at = (channel * kh + i) * kw + j; y < bottom; y++) {
              const Y = y * stride[0] + i * dilation[0] - padding[0], line = plane + Y * wide, inside = Y >= 0 && Y < tall;
              for (let column = 0, X = j * dilation[1] - padding[1]; column < width; column++, X += stride[1], at += depth) {
                patches[at] = inside && X >= 0 && X < wide ? input[line + X] : 0;
              }
            }
          }
          const target = (image * outputs + group * share) * area + top * width;
          dots(weight.data, group * share * depth, share, patches, 0, (bottom - top) * width, depth, out, target, area);
        }
      }
      if (bias) addPerChannel(out, bias.data, area);
    };
  }

  // One product of the kernels with the pixels per group, whose numbers are then added where they belong.
  function convTranspose2d(step, x, weight, bias) {
    const [channels, height, width] = x.shape, [outputs, tall, wide] = step.shape;
    const [, share, kh, kw] = weight.shape, inputs = channels / step.groups, taps = kh * kw, area = height * width;
    const [from, at, tap] = touchList(step, [height, width], [tall, wide], [kh, kw]);
    const kernels = transposed(weight.data, step.groups, inputs, share * taps);
    const pixels = new Float32Array(channels * area), products = new Float32Array(share * taps * area);
    return (n, out, input) => {
      out.fill(0);
      for (let image = 0; image < n; image++) {
        const whole = input.subarray(image * channels * area, (image + 1) * channels * area);
        pixels.set(transposed(whole, step.groups, inputs, area));
        for (let group = 0; group < step.groups; group++) {
          const rows = share * taps;
          dots(kernels, group * rows * inputs, rows, pixels, group * area * inputs, area, inputs, products, 0);
          for (let channel = 0; channel < share; channel++) {
            const plane = (image * outputs + group * share + channel) * tall * wide, first = channel * taps * area;
            for (let t = 0; t < at.length; t++) out[plane + at[t]] += products[first + tap[t] * area + from[t]];
          }
        }
      }
      if (bias) addPerChannel(out, bias.data, tall * wide);
    };
  }

  // (groups, rows, columns) -> (groups, columns, rows)
  function transposed(data, groups, rows, columns) {
    const turned = new Float32Array(data.length);
    for (let group = 0, at = 0; group < groups; group++) for (let row = 0; row < rows; row++) {
      const first = group * rows * columns + row;
      for (let column = 0; column < columns; column++, at++) turned[first + column * rows] = data[at];
    }
    return turned;
  }

  function normalise({ chunks, eps }, x) {
    const chunk = size(x.shape) / chunks;
    return (n, out, input) => {
      for (let start = 0; start < input.length; start += chunk) {
        let mean = 0, variance = 0;
        for (let i = start; i < start + chunk; i++) mean += input[i];
        mean /= chunk;
        for (let i = start; i < start + chunk; i++) variance += (input[i] - mean) ** 2;
        const scale = 1 / Math.sqrt(variance / chunk + eps);
        for (let i = start; i < start + chunk; i++) out[i] = (input[i] - mean) * scale;
      }
    };
  }

  // out[i] = input[map[i]] for every image, or 0 where the map says -1.
  function moved(map, before) {
    return (n, out, input) => {
      for (let image = 0, at = 0; image < n; image++) {
        const first = image * before;
        for (let i = 0; i < map.length; i++, at++) out[at] = map[i] < 0 ? 0 : input[first + map[i]];
      }
    };
  }

  // All sums of one number per axis, the last axis fastest; -1 wherever one of them is.
  function sums(axes) {
    let map = [0];
    for (const axis of axes) map = map.flatMap((sum) => axis.map((term) => (sum < 0 || term < 0 ? -1 : sum + term)));
    return Int32Array.from(map);
  }

  const strides = (shape) => shape.map((_, axis) => size(shape.slice(axis + 1)));
  const range = (n, factor) => Array.from({ length: n }, (_, i) => i * factor);

  // Where the numbers of `shape` lie in an array of shape `small`, whose axes of length 1 (or missing in front) stand still.
  function stretched(small, shape) {
    const padded = [...Array(shape.length - small.length).fill(1), ...small], steps = strides(padded);
    return sums(shape.map((length, axis) => range(length, padded[axis] === 1 ? 0 : steps[axis])));
  }

  // out[plane, y, x] = input[plane, rows[y], columns[x]], or 0 where one of them is -1.
  function byLines([, tall, wide], rows, columns) {
    return (n, out, input) => {
      for (let at = 0, plane = 0; at < out.length; plane += tall * wide) for (const row of rows) {
        const line = plane + row * wide;
        for (const column of columns) out[at++] = row < 0 || column < 0 ? 0 : input[line + column];
      }
    };
  }

  function pad({ shape, sides: [left, , top], mode }, x) {
    const from = (length, before, after) => Int32Array.from({ length: after }, (_, i) => {
      const at = i - before, last = length - 1;
      if (at >= 0 && at <= last) return at;
      return mode === "constant" ? -1 : mode === "edge" ? Math.min(last, Math.max(0, at)) : last - Math.abs(last - Math.abs(at));
    });
    return byLines(x.shape, from(x.shape[1], top, shape[1]), from(x.shape[2], left, shape[2]));
  }

  function nearest({ shape, factors: [down, across] }, x) {
    const from = (length, factor) => Int32Array.from({ length }, (_, i) => Math.floor(i / factor));
    return byLines(x.shape, from(shape[1], down), from(shape[2], across));
  }

  // (c r r, h, w) -> (c, h r, w r), or the other way round.
  function shuffle({ shape, r, inverse }, x) {
    const [channels, height, width] = inverse ? shape : x.shape;
    return (n, out, input) => {
      for (let plane = 0, at = 0; plane < n * channels; plane++) {
        const square = plane % (r * r), first = Math.floor(plane / (r * r)) * r * r * height * width;
        const corner = first + Math.floor(square / r) * width * r + (square % r);
        for (let y = 0; y < height; y++) for (let column = 0; column < width; column++, at++) {
          const pixel = corner + (y * width * r + column) * r;
          if (inverse) out[at] = input[pixel];
          else out[pixel] = input[at];
        }
      }
    };
  }

  function resample(step, x, rows, columns) {
    const [tall, wide] = x.shape.slice(-2), [height, width] = step.shape.slice(-2);
    const vertical = sparse(rows), horizontal = sparse(columns), half = new Float32Array(height * wide);
    return (n, out, input) => {
      const planes = input.length / (tall * wide);
      for (let plane = 0; plane < planes; plane++) {
        half.fill(0);
        for (const [to, from, weight] of vertical) {
          const source = (plane * tall + from) * wide;
          for (let x = 0; x < wide; x++) half[to * wide + x] += weight * input[source + x];
        }
        const target = plane * height * width;
        out.fill(0, target, target + height * width);
        for (const [to, from, weight] of horizontal) {
          for (let y = 0; y < height; y++) out[target + y * width + to] += weight * half[y * wide + from];
        }
      }
    };
  }

  // The entries of a matrix that are not zero: [row, column, value].
  function sparse({ shape: [, columns], data }) {
    return Array.from(data, (value, i) => [Math.floor(i / columns), i % columns, value]).filter((entry) => entry[2]);
  }

  function reduce({ axes, mean, shape }, x) {
    const steps = strides(x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length)));
    const map = sums(x.shape.map((length, axis) => range(length, axes.includes(axis) ? 0 : steps[axis])));
    const after = size(shape), total = new Float64Array(after), divisor = mean ? map.length / after : 1;
    return (n, out, input) => {
      for (let image = 0; image < n; image++) {
        total.fill(0);
        for (let i = 0; i < map.length; i++) total[map[i]] += input[image * map.length + i];
        for (let i = 0; i < after; i++) out[image * after + i] = total[i] / divisor;
      }
    };
  }

  function cat({ axis }, ...parts) {
    const lengths = parts.map((part) => size(part.shape.slice(axis))), whole = lengths.reduce((a, b) => a + b);
    const outer = size(parts[0].shape.slice(0, axis));
    return (n, out, ...inputs) => {
      let first = 0;
      inputs.forEach((input, k) => {
        const length = lengths[k], same = Boolean(parts[k].data);
        for (let row = 0; row < n * outer; row++) {
          const from = (same ? row % outer : row) * length;
          out.set(input.subarray(from, from + length), row * whole + first);
        }
        first += length;
      });
    };
  }

  function embedding(step, label, table) {
    const width = size(table.shape.slice(1));
    return (n, out, labels) => {
      for (let image = 0; image < n; image++) {
        out.set(table.data.subarray(labels[image] * width, (labels[image] + 1) * width), image * width);
      }
    };
  }

  function matmul(step, a, b) {
    const [rows, depth] = a.shape, columns = b.shape[1];
    return (n, out, left, right) => {
      const turned = transposed(right, n, depth, columns);
      for (let image = 0; image < n; image++) {
        const first = image * depth * columns;
        dots(left, image * rows * depth, rows, turned, first, columns, depth, out, image * rows * columns);
      }
    };
  }

  function softmax({ shape }) {
    const length = shape[shape.length - 1];
    return (n, out, input) => {
      for (let start = 0; start < input.length; start += length) {
        let largest = -Infinity, total = 0;
        for (let i = start; i < start + length; i++) largest = Math.max(largest, input[i]);
        for (let i = start; i < start + length; i++) total += out[i] = Math.exp(input[i] - largest);
        for (let i = start; i < start + length; i++) out[i] /= total;
      }
    };
  }

  // Abramowitz and Stegun, 1964, 7.1.26: within 1.5e-7.
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - series * Math.exp(-x * x));
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const UNARY = {
    abs: () => Math.abs,
    clamp: ({ low, high }) => (x) => Math.min(high, Math.max(low, x)),
    cos: () => Math.cos,
    elu: ({ alpha, scale, input_scale }) => (x) => scale * (x > 0 ? x : alpha * Math.expm1(x * input_scale)),
    exp: () => Math.exp,
    gelu: () => (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    gelu_tanh: () => (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    leaky_relu: ({ slope }) => (x) => (x > 0 ? x : slope * x),
    log: () => Math.log,
    neg: () => (x) => -x,
    power: ({ exponent }) => (exponent === 2 ? (x) => x * x : (x) => Math.pow(x, exponent)),
    relu: () => (x) => (x > 0 ? x : 0),
    sigmoid: () => sigmoid,
    silu: () => (x) => x * sigmoid(x),
    sin: () => Math.sin,
    softplus: ({ beta }) => (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x * beta))) / beta,
    tanh: () => Math.tanh,
  };
  const BINARY = {
    add: (x, y) => x + y,
    div: (x, y) => x / y,
    maximum: Math.max,
    minimum: Math.min,
    mul: (x, y) => x * y,
    sub: (x, y) => x - y,
  };

  function unary(make) {
    return (step) => {
      const f = make(step);
      return (n, out, input) => { for (let i = 0; i < out.length; i++) out[i] = f(input[i]); };
    };
  }

  function binary(f) {
    return ({ shape }, a, b) => {
      const length = size(shape), plain = (x) => !x.data && size(x.shape) === length;
      const straight = plain(a) && plain(b), one = stretched(a.shape, shape), two = stretched(b.shape, shape);
      const aStep = a.data ? 0 : size(a.shape), bStep = b.data ? 0 : size(b.shape);
      return (n, out, x, y) => {
        if (straight) {
          for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[i]);
          return;
        }
        for (let image = 0, at = 0; image < n; image++) {
          const p = image * aStep, q = image * bStep;
          for (let i = 0; i < length; i++, at++) out[at] = f(x[p + one[i]], y[q + two[i]]);
        }
      };
    };
  }

  // What a step makes, where its shape is not stored: of an image, by default, another one of the same shape.
  const along = (length, kernel, { stride, padding, dilation }, k) =>
    Math.floor((length + 2 * padding[k] - dilation[k] * (kernel - 1) - 1) / stride[k]) + 1;
  const SHAPES = {
    cat: ({ axis }, ...parts) => parts[0].shape.with(axis, parts.reduce((sum, part) => sum + part.shape[axis], 0)),
    conv2d: (step, { shape: [, h, w] }, { shape: [outputs, , kh, kw] }) => [outputs, along(h, kh, step, 0), along(w, kw, step, 1)],
    conv_transpose2d: ({ stride, padding, dilation, output_padding, groups }, x, weight) => {
      const side = (k) => (x.shape[k + 1] - 1) * stride[k] - 2 * padding[k]
        + dilation[k] * (weight.shape[k + 2] - 1) + output_padding[k] + 1;
      return [weight.shape[1] * groups, side(0), side(1)];
    },
    pad: ({ sides: [left, right, top, bottom] }, { shape: [c, h, w] }) => [c, h + top + bottom, w + left + right],
    reduce: ({ axes }, { shape }) => shape.map((length, axis) => (axes.includes(axis) ? 1 : length)),
    nearest: ({ factors: [down, across] }, { shape: [c, h, w] }) => [c, h * down, w * across],
    shuffle: ({ r, inverse }, { shape: [c, h, w] }) => (inverse ? [c * r * r, h / r, w / r] : [c / (r * r), h * r, w * r]),
  };
  const widest = (step, ...args) => args.reduce((a, b) => (size(b.shape) > size(a.shape) ? b : a)).shape;

  const each = (table, make) => Object.fromEntries(Object.entries(table).map(([name, f]) => [name, make(f)]));
  const OPERATIONS = {
    ...each(UNARY, unary),
    ...each(BINARY, binary),
    cat,
    conv2d,
    conv_transpose2d: convTranspose2d,
    embedding,
    gather: ({ axes }, x) => moved(sums(axes), size(x.shape)),
    linear,
    matmul,
    nearest,
    normalise,
    pad,
    reduce,
    resample,
    reshape: () => null,
    shuffle,
    softmax,
  };

  // A program with its constants, for n images: (z, labels), or (source images, null, their sides).
  function compile(program, numbers) {
    const constants = [];
    let used = 0, sides = null, run = null;
    for (const shape of program.constants) {
      constants.push({ shape, data: numbers.subarray(used, (used += size(shape))) });
    }
    if (!program.source) return prepare(program, constants, [program.latent_dim]);
    return function translate(sources, _, [height, width]) {
      const m = program.pads ? program.multiple : 1, tall = Math.ceil(height / m) * m, wide = Math.ceil(width / m) * m;
      if (String(sides) !== String([tall, wide])) {
        sides = [tall, wide];
        run = prepare(program, constants, [program.source[0], tall, wide]);
      }
      const fill = (data, from, shape, sides) => {
        const filled = new Float32Array(data.length / (from[0] * from[1]) * shape[0] * shape[1]);
        pad({ shape: [1, ...shape], sides: [0, 0, 0, 0], mode: "edge", ...sides }, { shape: [1, ...from] })(0, filled, data);
        return filled;
      };
      return fill(run(fill(sources, [height, width], [tall, wide]), null), [tall, wide], [height, width]);
    };
  }

  // A program for inputs of one shape. Memory is used again as soon as nobody reads what it holds.
  function prepare(program, constants, input) {
    const known = [{ shape: input }, { shape: [] }], owners = [0, 1], last = [];
    const find = (argument) => (argument === null ? null : argument < 0 ? constants[-1 - argument] : known[argument]);
    const steps = program.steps.map((stored, number) => {
      const args = stored.args.map(find);
      const infer = SHAPES[stored.op] ?? (stored.op in BINARY ? widest : (step, x) => x.shape);
      const step = { ...stored, shape: stored.shape ?? infer(stored, ...args) };
      const run = OPERATIONS[step.op](step, ...args);
      known.push({ shape: step.shape });
      owners.push(run ? number + 2 : owners[step.args[0]]);
      for (const a of step.args) if (a !== null && a >= 0) last[owners[a]] = number;
      return { run, args: step.args, length: size(step.shape) };
    });
    last[owners.at(-1)] = Infinity;
    const free = new Map();
    return function draw(z, labels) {
      const n = z.length / size(input), values = [z, labels];
      steps.forEach(({ run, args, length }, number) => {
        const inputs = args.map((a) => (a === null ? null : a < 0 ? constants[-1 - a].data : values[a]));
        const buffer = run ? free.get(n * length)?.pop() ?? new Float32Array(n * length) : inputs[0];
        if (run) run(n, buffer, ...inputs);
        values.push(buffer);
        for (const owner of new Set(args.filter((a) => a !== null && a >= 0).map((a) => owners[a]))) {
          if (owner < 2 || last[owner] !== number) continue;
          if (!free.has(values[owner].length)) free.set(values[owner].length, []);
          free.get(values[owner].length).push(values[owner]);
        }
      });
      const images = values.at(-1), copy = images.slice();
      if (owners.at(-1) >= 2) free.set(images.length, [...(free.get(images.length) ?? []), images]);
      return copy;
    };
  }

  // Base64 as the numbers of all constants, one behind the other: the inverse of Program.packed in program.py.
  function decode(text, { bits, constants }) {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    const rounded = (shape) => bits < 32 && shape.length > 1, middle = 2 ** (bits - 1), view = new DataView(bytes.buffer);
    const floats = constants.reduce((sum, shape) => sum + (rounded(shape) ? shape[0] : size(shape)), 0);
    const numbers = new Float32Array(constants.reduce((sum, shape) => sum + size(shape), 0));
    let at = 0, float = 0, byte = 4 * floats, held = 0, count = 0;
    const next = () => view.getFloat32(4 * float++, true);
    for (const shape of constants) {
      if (!rounded(shape)) {
        for (const end = at + size(shape); at < end;) numbers[at++] = next();
        continue;
      }
      for (let row = 0; row < shape[0]; row++) {
        const step = next();
        for (const end = at + size(shape.slice(1)); at < end;) {
          for (; count < bits; count += 8) held = (held << 8) | bytes[byte++];
          count -= bits;
          numbers[at++] = ((held >> count) - middle) * step;
          held &= (1 << count) - 1;
        }
      }
    }
    return numbers;
  }

  return { compile, decode, OPERATIONS };
})();
