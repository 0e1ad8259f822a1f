// The models of a constant rate, nqe-t and nqe-vgg: codes of patches to coefficients, and what PURENET takes besides.

import { ClassCodeReader, CLASSES } from "./class_code.js";
import { HeqFormatError } from "./errors.js";
import { PatchCodeReader, ZONES } from "./patch_code.js";

const LEVELS = 1024, GAINS = [1, 1.25, 0.75], CENTROID = 0.42, LEAST_STEP = 2048;
export const RATES = [64, 128, 256, 512];

/** The codes of a strip. */
export class CodeStrip {
  constructor(payload, rows, columns, bytes) {
    if (payload.length !== rows * columns * bytes) {
      throw new HeqFormatError(`a payload of ${payload.length} bytes holds no codes of ${rows} x ${columns} patches of ${bytes} bytes.`);
    }
    Object.assign(this, { payload, columns, bytes });
  }

  code(row, column) {
    const at = (row * this.columns + column) * this.bytes;
    return this.payload.subarray(at, at + this.bytes);
  }

  release() {}
}

/** nqe-t: intervals of coefficients, of which the plain inverse takes the middles and the guard the ends. */
class TransformCodes {
  constructor(tables) {
    this.reader = new PatchCodeReader(tables);
    Object.assign(this, { hintCount: ZONES, trusted: 2, refused: 6 });
  }

  values(code, planes, values) {
    const { reader } = this, { cells, low, width, negative } = reader;
    reader.read(code, planes);
    for (let i = 0; i < planes * LEVELS; i++) {
      const cell = cells[i], size = (low[cell] + CENTROID * width[cell]) / GAINS[i >> 10];
      values[i] = negative[cell] ? -size : size;
    }
  }

  hints(hints) {
    this.reader.hints(hints);
  }

  /** How far coefficients [planes][32][32] are from what a code can describe, in squared steps. */
  violation(code, planes, found) {
    const { reader } = this, { cells, low, width, negative } = reader;
    reader.read(code, planes);
    let sum = 0;
    for (let i = 0; i < planes * LEVELS; i++) {
      const cell = cells[i], value = found[i] * GAINS[i >> 10], wide = width[cell] || reader.unseen(cell);
      const along = !width[cell] ? Math.abs(value) : negative[cell] ? -value : value;
      const outside = Math.max(low[cell] - along, along - low[cell] - wide, 0) / Math.max(wide, LEAST_STEP);
      sum += outside * outside;
    }
    return sum;
  }
}

/** nqe-vgg: expected values; a code does not say what a patch must keep to. */
class ClassCodes {
  constructor(tables) {
    this.reader = new ClassCodeReader(tables);
    this.hintCount = CLASSES;
  }

  values(code, planes, values) {
    this.reader.read(code, planes, values);
    for (let i = LEVELS; i < planes * LEVELS; i++) values[i] /= GAINS[i >> 10];
  }

  hints(hints) {
    this.reader.hints(hints);
  }
}

/** What reads the codes of a model, from its tensors. */
export const codesOf = (tables) => (tables.points ? new ClassCodes(tables) : new TransformCodes(tables));

/** W of the transform of both: 8 T. */
export const matrixOf = ({ coarse, fine }) => Array.from({ length: 32 }, (_, u) =>
  Array.from({ length: 32 }, (__, x) => (4 * coarse[32 * u + x] + fine[32 * u + x]) / 8));

/** Runs the plain inverse over rows of patches of such files, as `PlainRows` of frame.js. */
export class CodeRows {
  constructor(model, columns, planes) {
    Object.assign(this, { model, native: model.native, columns, planes });
    this.length = planes * LEVELS * columns;
    this.out = this.native.allocate(4 * this.length);
    this.values = this.native.allocate(4 * this.length);
  }

  release() {
    this.native.free(this.out, this.values);
  }

  row(strip, row, rate, left, right) {
    const { native, columns, planes, model } = this, size = planes * LEVELS;
    const values = native.view(Float32Array, this.values, this.length).fill(0);
    for (let column = left; column < right; column++) {
      model.codes.values(strip.code(row, column), planes, values.subarray(size * (column - left), size * (column - left + 1)));
    }
    native.calls.heq_inverse(this.values, right - left, planes, model.transforms, this.out, LEVELS * columns, 32 * columns);
    return native.view(Float32Array, this.out, this.length);
  }
}
