// Weights of patches, and how they go over into weights of pixels; see docs/DECODER.md.

const PATCH = 32, HIDDEN = 48, HINTS = 17, INPUTS = 2 * HINTS + 2, RAMP = 8;

/** Mean squared difference of each patch of frames [planes][32 rows][32 columns], within 0..1. */
export function patchEnergy(frame, base, planes, rows, columns) {
  const wide = PATCH * columns, sums = new Float64Array(rows * columns), limit = (x) => Math.min(Math.max(x, 0), 1);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    for (let y = 0; y < PATCH * rows; y++) {
      for (let x = 0; x < wide; x++, i++) sums[(y >> 5) * columns + (x >> 5)] += (limit(frame[i]) - limit(base[i])) ** 2;
    }
  }
  return sums.map((sum) => sum / (planes * PATCH * PATCH));
}

const LUMA_MEANS = 1.002 / Math.sqrt(24), CHROMA_MEANS = 1.002 / Math.sqrt(48);
/** Of the hints those of the lowest bands, with which the means are counted, and what means alone come to. */
const LOWEST = new Map([[1, LUMA_MEANS], [6, LUMA_MEANS], [11, CHROMA_MEANS], [14, CHROMA_MEANS]]);

/** Whether 3 x 3 patches, by the means of their hints, have no level but means, and one means of quarters. */
function flatQuarters(means) {
  const [quarters] = means;
  return quarters > 0 && means.every((mean, hint) => hint === 0 || mean <= (LOWEST.get(hint) ?? 0) * (1 + quarters));
}

/** Weights of patches, 0 to 1.2. hints: [17][patches]. */
export function trustWeights({ first, first_bias: bias, second, second_bias: last, least = [0, 0] }, hints, steps, energies, columns) {
  const patches = energies.length, rows = patches / columns, given = new Float64Array(INPUTS), means = new Array(HINTS);
  const within = (place, count) => Math.min(Math.max(place, 0), count - 1);
  return Float32Array.from({ length: patches }, (_, patch) => {
    const row = Math.floor(patch / columns), step = steps[row], relative = energies[patch] * (255 / (2 * 2 ** (step / 128))) ** 2;
    if (255 ** 2 * energies[patch] < least[0] ** 2 && relative < least[1] ** 2) return 0;
    given[0] = (2 * step) / 1024 - 1;
    for (let hint = 0; hint < HINTS; hint++) {
      let sum = 0;
      for (let y = row - 1; y <= row + 1; y++) {
        for (let x = (patch % columns) - 1; x <= (patch % columns) + 1; x++) {
          sum += hints[hint * patches + within(y, rows) * columns + within(x, columns)];
        }
      }
      given[1 + hint] = 2 * hints[hint * patches + patch] - 1;
      means[hint] = sum / 9;
      given[1 + HINTS + hint] = 2 * means[hint] - 1;
    }
    if (flatQuarters(means)) return 0;
    given[INPUTS - 1] = Math.log10(1e-4 + relative) / 2 + 1;
    let weight = last[0];
    for (let j = 0; j < HIDDEN; j++) {
      let sum = bias[j];
      for (let k = 0; k < INPUTS; k++) sum += first[j * INPUTS + k] * given[k];
      if (sum > 0) weight += second[j] * sum;
    }
    return Math.min(Math.max(weight, 0), 1.2);
  });
}

/** Along rows: [rows][columns] to [columns * 32][rows], each pixel from its patch's weight and those beside it. */
function alongRows(weights, rows, columns, mix) {
  const out = new Float32Array(rows * columns * PATCH);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const at = r * columns + c, own = weights[at], before = c ? weights[at - 1] : null, after = c + 1 < columns ? weights[at + 1] : null;
      for (let i = 0; i < PATCH; i++) out[(c * PATCH + i) * rows + r] = mix(own, before, after, i);
    }
  }
  return out;
}

const bothWays = (weights, rows, columns, mix) => alongRows(alongRows(weights, rows, columns, mix), PATCH * columns, rows, mix);

/** Weights of patches to pixels, linear between the middles of patches. */
export function between(weights, rows, columns) {
  return bothWays(weights, rows, columns, (own, before, after, i) => {
    const place = (i + 0.5) / PATCH - 0.5;
    return place < 0 ? own * (1 + place) - (before ?? own) * place : own * (1 - place) + (after ?? own) * place;
  });
}

/** Weights of patches to pixels, fading over 8 pixels of their neighbours. */
export function spread(weights, rows, columns) {
  const near = (distance) => Math.max(1 - (distance + 0.5) / RAMP, 0);
  return bothWays(weights, rows, columns, (own, before, after, i) =>
    Math.max(own, (before ?? 0) * near(i), (after ?? 0) * near(PATCH - 1 - i)));
}
