// Latents addressed by seed, as gancli/randomness/latents.py has them: Philox4x32-10 (Salmon et al., 2011) and Box-Muller.
"use strict";

const Latents = (() => {
  const WEYL_0 = 0x9e3779b9, WEYL_1 = 0xbb67ae85, TWO_PI = 2 * Math.PI;

  // The upper half of the 64-bit product of two 32-bit words.
  function high(a, b) {
    const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
    const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
    const carried = aLow * bHigh + (middle & 0xffff);
    return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carried / 65536)) >>> 0;
  }

  // Ten rounds: key of two words, counter of four -> four random words.
  function philox4x32([k0, k1], [c0, c1, c2, c3]) {
    for (let round = 0; round < 10; round++) {
      const low0 = Math.imul(c0, 0xd2511f53) >>> 0, high0 = high(c0, 0xd2511f53);
      const low1 = Math.imul(c2, 0xcd9e8d57) >>> 0, high1 = high(c2, 0xcd9e8d57);
      [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
      k0 = (k0 + WEYL_0) >>> 0;
      k1 = (k1 + WEYL_1) >>> 0;
    }
    return [c0, c1, c2, c3];
  }

  // Four normals of one block of a latent.
  function normals(key, block) {
    const u = philox4x32(key, [block, 0, 0, 0]).map((word) => (word + 0.5) / 4294967296);
    return [0, 2].flatMap((pair) => {
      const radius = Math.sqrt(-2 * Math.log(u[pair])), angle = TWO_PI * u[pair + 1];
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  }

  // z ~ N(0, I) of one seed, a BigInt in [0, 2^64).
  function latent(seed, dimensions) {
    const key = [Number(seed & 0xffffffffn), Number(seed >> 32n)], z = new Float32Array(dimensions);
    for (let block = 0; 4 * block < dimensions; block++) {
      z.set(normals(key, block).slice(0, dimensions - 4 * block), 4 * block);
    }
    return z;
  }

  // Spherical interpolation (Shoemake, 1985), with the length going from one to the other; a straight line where the two
  // are parallel or opposite and no great circle is defined.
  function slerp(from, to, t) {
    let dot = 0, fromSquared = 0, toSquared = 0;
    for (let i = 0; i < from.length; i++) {
      dot += from[i] * to[i];
      fromSquared += from[i] * from[i];
      toSquared += to[i] * to[i];
    }
    const cosine = dot / Math.sqrt(fromSquared * toSquared);
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine))), sine = Math.sin(angle);
    const straight = !(sine > 1e-4);
    const a = straight ? 1 - t : Math.sin((1 - t) * angle) / sine, b = straight ? t : Math.sin(t * angle) / sine;
    return from.map((value, i) => a * value + b * to[i]);
  }

  return { philox4x32, latent, slerp };
})();
