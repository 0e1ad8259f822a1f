// Levels to pixels by the plain inverse, a row of patches at a time.

import { CodeRows } from "./patch_models.js";

/** Step indices by which the steps of weighted files are finer: see docs/FORMAT.md. */
const FINER = 96;

/** D of index `rate`, float32 [size][plane], of the lowest frequencies where coefficients are weighted: see docs/FORMAT.md. */
export function stepsOf(model, rate, weighted) {
  const s = weighted ? Math.max(rate - FINER, 0) : rate;
  return Float32Array.from({ length: 6 }, (_, i) => ((model.steps[i * 128 + (s & 127)] * 2 ** (s >> 7) + 8) / 16) | 0);
}

/** Reconstruction points of a step's octave, float32 [size][zone][magnitude]. */
export function pointsOf(places, s) {
  const found = new Float32Array(48), octave = s >> 7;
  for (let size = 0; size < 2; size++) found.set(places.subarray((size * 8 + octave) * 24, (size * 8 + octave + 1) * 24), 24 * size);
  return found;
}

/** What runs the plain inverse of a model. */
export const plainRows = (model, columns, planes, weighted) => new (model.codes ? CodeRows : PlainRows)(model, columns, planes, weighted);

/** Runs the plain inverse over rows of patches; holds one row of the image. */
class PlainRows {
  constructor(model, columns, planes, weighted) {
    Object.assign(this, { native: model.native, model, columns, planes, weighted });
    this.length = planes * 32 * 32 * columns;
    this.out = this.native.allocate(4 * this.length);
    this.points = this.native.allocate(4 * 48);
    this.units = this.native.allocate(4 * 6);
  }

  release() {
    this.native.free(this.out, this.points, this.units);
  }

  /**
   * Samples of columns `left` to `right - 1` of patches, float32 [planes][32][32 * columns]; valid until the next call.
   *
   * @param {object} strip of `decodeStrip`.
   * @param {number} row of patches in the strip.
   */
  row(strip, row, rate, left, right, places = this.model.places) {
    const { native, columns, planes, model } = this, first = row * strip.columns + left;
    native.view(Float32Array, this.points, 48).set(pointsOf(places, rate));
    native.view(Float32Array, this.units, 6).set(stepsOf(model, rate, this.weighted));
    native.calls.heq_plain(
      strip.levels + first * planes * 2048, strip.sizes + first, right - left, planes, model.transforms,
      this.points, this.units, this.weighted, this.out, 32 * 32 * columns, 32 * columns,
    );
    return native.view(Float32Array, this.out, this.length);
  }
}

/** Fill rows of RGBA that are lost from the nearest ones above and below; alpha is left alone. */
export function fillRows(data, width, lost) {
  const height = lost.length;
  for (let top = 0; top < height; top++) {
    if (!lost[top]) continue;
    let bottom = top;
    while (bottom < height && lost[bottom]) bottom++;
    const count = bottom - top + 1;
    for (let y = top; y < bottom; y++) {
      const weight = top === 0 ? count : bottom === height ? 0 : y - top + 1;
      for (let i = 4 * width * y; i < 4 * width * (y + 1); i++) {
        if (i % 4 === 3) continue;
        const x = i - 4 * width * y;
        const above = top ? data[4 * width * (top - 1) + x] : 128, below = bottom < height ? data[4 * width * bottom + x] : 128;
        data[i] = top === 0 && bottom < height ? below
          : Math.floor((above * (count - weight) + below * weight + (count >> 1)) / count);
      }
    }
    top = bottom;
  }
}
