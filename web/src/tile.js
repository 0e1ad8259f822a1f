// A window of patches: what PURENET takes, and what becomes of its frame; see docs/DECODER.md.

import { HeqLimitError } from "./errors.js";
import { pointsOf, stepsOf } from "./frame.js";
import { RATES } from "./patch_models.js";
import { between, patchEnergy, spread, trustWeights } from "./trust.js";

export const PATCH = 32;
const LEVELS = PATCH * PATCH, KNOTS = 9, HINTS = 17;
const LUMA_ENDS = [6, 24, 64, 128, 256], CHROMA_ENDS = [12, 64, 256];

/** What tiles of all models have; a model's own adds `base`, `hints`, `rateWeights`, `refine` and `violation`. */
class Tile {
  /** @param {object[]} rows of the window: the strip of each, null where it is lost, and the row in it. */
  constructor(model, network, header, rows, around) {
    this.rows = rows.length;
    this.columns = around.right - around.left;
    this.wide = PATCH * this.columns;
    this.area = this.wide * PATCH * this.rows;
    Object.assign(this, { model, native: model.native, network, header, planes: header.channels, strips: rows, around });
    this.known = rows.map(({ strip }) => strip !== null);
    this.pointers = [];
  }

  release() {
    this.native.free(...this.pointers);
  }

  allocate(bytes) {
    const pointer = this.native.allocate(bytes);
    this.pointers.push(pointer);
    return pointer;
  }

  /** float32 [planes][32 rows][32 columns] / 255, not limited. */
  async decode() {
    const base = this.base(), hints = this.hints(), { runtime, session } = this.network, patches = this.rows * this.columns;
    const given = this.given(hints), weights = this.rateWeights();
    const inputs = {
      base: new runtime.Tensor("float32", this.threePlanes(base), [1, 3, PATCH * this.rows, this.wide]),
      hints: new runtime.Tensor("float32", given, [1, given.length / patches, this.rows, this.columns]),
      rate_weights: new runtime.Tensor("float32", weights.values, [weights.rows, weights.values.length / weights.rows]),
    };
    let found;
    try {
      found = (await session.run(inputs)).frame;
    } catch (error) {
      throw new HeqLimitError(`onnxruntime could not run the network: ${error.message}`, { cause: error });
    }
    let frame = await found.getData();
    if (this.planes === 1) {
      const { area } = this;
      frame = Float32Array.from({ length: area }, (_, i) => (frame[i] + frame[area + i] + frame[2 * area + i]) / 3);
    } else frame = Float32Array.from(frame);
    this.refine(frame, base, hints);
    return frame;
  }

  /** Samples at `out` in WebAssembly's memory as a base / 255, [planes][32 rows][32 columns]; lost rows are grey. */
  scaled(out) {
    const { native, planes, area, wide } = this;
    const base = native.view(Float32Array, out, planes * area).map((sample) => sample / 255);
    for (let r = 0; r < this.rows; r++) {
      if (this.known[r]) continue;
      for (let plane = 0; plane < planes; plane++) base.fill(128 / 255, plane * area + PATCH * wide * r, plane * area + PATCH * wide * (r + 1));
    }
    return base;
  }

  threePlanes(base) {
    if (this.planes === 3) return base;
    const three = new Float32Array(3 * this.area);
    for (let plane = 0; plane < 3; plane++) three.set(base, plane * this.area);
    return three;
  }

  /** Patches that the file cannot describe take the plain inverse: from `trusted` to `refused`, more and more of it. */
  guard(frame, base, trusted, refused) {
    const { native, rows, columns, planes, area, wide } = this, doubts = new Float32Array(rows * columns);
    const samples = this.allocate(4 * planes * area), view = native.view(Float32Array, samples, planes * area);
    for (let i = 0; i < planes * area; i++) view[i] = 255 * Math.min(Math.max(frame[i], 0), 1);
    for (let r = 0; r < rows; r++) {
      if (!this.known[r]) continue;
      for (let c = 0; c < columns; c++) {
        const sum = this.violation(samples + 4 * PATCH * (r * wide + c), r, c);
        doubts[r * columns + c] = Math.min(Math.max((sum - trusted) / (refused - trusted), 0), 1);
      }
    }
    if (!doubts.some((doubt) => doubt > 0)) return;
    const weight = spread(doubts, rows, columns);
    for (let r = 0; r < rows; r++) if (!this.known[r]) weight.fill(0, PATCH * wide * r, PATCH * wide * (r + 1));
    for (let plane = 0, at = 0; plane < planes; plane++) for (let i = 0; i < area; i++, at++) frame[at] += weight[i] * (base[at] - frame[at]);
  }
}

/** Of files of a variable rate: levels, with trust and guard. */
export class RateTile extends Tile {
  constructor(...given) {
    super(...given);
    this.steps = nearestSteps(this.strips);
  }

  /** Where the levels of a row of patches begin, and their sizes. */
  levelsOf(r) {
    const { strip, row } = this.strips[r], first = row * strip.levels.columns + this.around.left;
    return { levels: strip.levels.levels + 2048 * this.planes * first, sizes: strip.levels.sizes + first };
  }

  /** The plain inverse. */
  base() {
    const { native, planes, area, wide, columns, model, header: { weighted } } = this;
    const out = this.allocate(4 * planes * area), points = this.allocate(4 * 48), units = this.allocate(4 * 6);
    for (let r = 0; r < this.rows; r++) {
      if (!this.known[r]) continue;
      const rate = this.steps[r], { levels, sizes } = this.levelsOf(r);
      native.view(Float32Array, points, 48).set(pointsOf(this.network.places, rate));
      native.view(Float32Array, units, 6).set(stepsOf(model, rate, weighted));
      native.calls.heq_plain(levels, sizes, columns, planes, model.transforms, points, units, weighted, out + 4 * PATCH * wide * r, area, wide);
    }
    this.units = units;
    return this.scaled(out);
  }

  rateWeights() {
    const same = this.steps.every((step) => step === this.steps[0]), rows = same ? 1 : this.rows;
    const values = new Float32Array(rows * KNOTS);
    for (let r = 0; r < rows; r++) for (let k = 0; k < KNOTS; k++) values[r * KNOTS + k] = Math.max(0, 1 - Math.abs(this.steps[r] / 128 - k));
    return { values, rows };
  }

  /** float32 [17][rows][columns]: sizes, and statistics of the levels. */
  hints() {
    const { native, planes, columns } = this, patches = this.rows * columns, hints = new Float32Array(HINTS * patches);
    for (let r = 0; r < this.rows; r++) {
      if (!this.known[r]) continue;
      const at = this.levelsOf(r);
      const levels = native.view(Int16Array, at.levels, columns * planes * 1024), sizes = native.view(Uint8Array, at.sizes, columns);
      for (let c = 0; c < columns; c++) {
        const patch = r * columns + c;
        hints[patch] = sizes[c];
        let hint = 1;
        const put = (plane, ends, least) => {
          let i = (c * planes + plane) * 1024, start = 0;
          for (const end of ends) {
            let count = 0;
            for (const stop = i + 4 * (end - start); i < stop; i++) count += levels[i] >= least || levels[i] <= -least;
            hints[hint++ * patches + patch] = Math.sqrt(count / (4 * (end - start)));
            start = end;
          }
        };
        put(0, LUMA_ENDS, 1);
        put(0, LUMA_ENDS, 2);
        for (let plane = 1; plane < planes; plane++) put(plane, CHROMA_ENDS, 1);
      }
    }
    return hints;
  }

  /** Of the hints older networks take the sizes alone. */
  given(hints) {
    return hints.subarray(0, this.network.hints * this.rows * this.columns);
  }

  refine(frame, base, hints) {
    this.follow(frame, base, hints);
    this.guard(frame, base, 0.1, 0.4);
  }

  /** Follow the network's correction as far as it is trusted. */
  follow(frame, base, hints) {
    const { rows, columns, planes, area } = this;
    const energies = patchEnergy(frame, base, planes, rows, columns);
    const given = trustWeights(this.network.trust, hints, this.steps, energies, columns);
    for (let r = 0; r < rows; r++) if (!this.known[r]) given.fill(1, r * columns, (r + 1) * columns);
    const weight = between(given, rows, columns);
    for (let plane = 0, at = 0; plane < planes; plane++) {
      for (let i = 0; i < area; i++, at++) frame[at] = base[at] + weight[i] * (frame[at] - base[at]);
    }
  }

  violation(samples, r, c) {
    const { native, model, planes, area, wide, columns, header: { weighted } } = this, at = this.levelsOf(r), size = native.view(Uint8Array, at.sizes, columns)[c];
    native.view(Float32Array, this.units, 6).set(stepsOf(model, this.steps[r], weighted));
    return native.calls.heq_violation(samples, area, wide, at.levels + 2048 * planes * c, size, planes, model.transforms, this.units, weighted);
  }
}

/** Of files of a constant rate: codes, with a guard where they bound coefficients. */
export class CodeTile extends Tile {
  code(r, c) {
    const { strip, row } = this.strips[r];
    return strip.levels.code(row, this.around.left + c);
  }

  /** The plain inverse; finds the hints, too. */
  base() {
    const { native, planes, area, wide, columns, model } = this, { codes } = model, size = planes * LEVELS, count = codes.hintCount;
    const out = this.allocate(4 * planes * area), values = this.allocate(4 * size * columns), hints = new Float32Array(count);
    this.found = new Float32Array(count * this.rows * columns);
    for (let r = 0; r < this.rows; r++) {
      if (!this.known[r]) continue;
      const view = native.view(Float32Array, values, size * columns).fill(0);
      for (let c = 0; c < columns; c++) {
        codes.values(this.code(r, c), planes, view.subarray(size * c, size * (c + 1)));
        codes.hints(hints);
        for (let hint = 0; hint < count; hint++) this.found[(hint * this.rows + r) * columns + c] = hints[hint];
      }
      native.calls.heq_inverse(values, columns, planes, model.transforms, out + 4 * PATCH * wide * r, area, wide);
    }
    this.values = values;
    return this.scaled(out);
  }

  hints() {
    return this.found;
  }

  given(hints) {
    return hints;
  }

  /** A code of a length in between is treated like the next one that the network knows. */
  rateWeights() {
    const { rate } = this.header, index = RATES.findIndex((known) => rate <= known), values = new Float32Array(RATES.length);
    values[index < 0 ? RATES.length - 1 : index] = 1;
    return { values, rows: 1 };
  }

  refine(frame, base) {
    const { trusted, refused } = this.model.codes;
    if (refused) this.guard(frame, base, trusted, refused);
  }

  violation(samples, r, c) {
    const { native, model, planes, area, wide, values } = this;
    native.calls.heq_forward(samples, area, wide, planes, model.transforms, values);
    return model.codes.violation(this.code(r, c), planes, native.view(Float32Array, values, planes * LEVELS));
  }
}

/** Steps of rows; those that are lost have that of the nearest one that is not, above rather than below. */
function nearestSteps(rows) {
  return rows.map((_, r) => {
    for (let far = 0; far < rows.length; far++) {
      for (const other of [r - far, r + far]) if (rows[other]?.strip) return rows[other].strip.rate;
    }
    return 0;
  });
}

