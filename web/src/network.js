// PURENET by onnxruntime-web: levels to pixels in overlapping tiles, with trust and guard; see docs/DECODER.md.

import { HeqError, HeqLimitError } from "./errors.js";
import { pointsOf, stepsOf } from "./frame.js";
import { weights } from "./model.js";
import { between, patchEnergy, spread, trustWeights } from "./trust.js";

const TILE = 24, GUARD_REACH = 32, KNOTS = 9, HINTS = 17, PATCH = 32;
const TRUSTED = 0.1, REFUSED = 0.4;
const LUMA_ENDS = [6, 24, 64, 128, 256], CHROMA_ENDS = [12, 64, 256];

const sessions = new Map();

/** A decoder's network, loaded once. */
export async function loadNetwork(name, model, options) {
  const runtime = options.onnxruntime ?? (await importRuntime());
  const key = `${name} ${options.executionProviders ?? ""}`;
  if (!sessions.has(key)) {
    const loading = weights(name, options).then((graph) =>
      runtime.InferenceSession.create(graph, { executionProviders: options.executionProviders ?? ["wasm"], graphOptimizationLevel: "all" }));
    sessions.set(key, loading.catch((error) => {
      sessions.delete(key);
      throw error instanceof HeqError ? error : new HeqError(`The network of the decoder ${name} could not be loaded: ${error.message}`, { cause: error });
    }));
  }
  return { runtime, session: await sessions.get(key), radius: model.networks[name].radius, trust: model.networks[name].trust, places: model.networks[name].places };
}

async function importRuntime() {
  try {
    return await import("onnxruntime-web");
  } catch (error) {
    throw new HeqError("Decoders with a network need onnxruntime-web; install it, or give the module as onnxruntime.", { cause: error });
  }
}

/** The strips around the tile that is decoded: those above are released, so few are held. */
class HeldStrips {
  constructor(source, header) {
    Object.assign(this, { source, header, held: new Map() });
  }

  /** The strip of a row of patches, null where it is lost, and the row in it. */
  row(row) {
    const index = Math.floor(row / this.header.stripRows);
    if (!this.held.has(index)) this.held.set(index, this.source.read(index));
    return { strip: this.held.get(index), row: row - index * this.header.stripRows };
  }

  keepFrom(row) {
    const first = Math.floor(row / this.header.stripRows);
    for (const [index, strip] of this.held) if (index < first) {
      strip?.levels.release();
      this.held.delete(index);
    }
  }

  release() {
    for (const strip of this.held.values()) strip?.levels.release();
    this.held.clear();
  }
}

/** RGBA of a box, and which of its rows are lost. */
export async function networkBox(source, model, header, box, network, progress) {
  const [x, y, width, height] = box, data = new Uint8ClampedArray(4 * width * height).fill(128), lost = new Uint8Array(height);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  const reach = network.radius + GUARD_REACH, halo = Math.ceil(reach / PATCH);
  const window = {
    top: Math.max(0, Math.floor((y - reach) / PATCH)), bottom: Math.min(header.rows, Math.ceil((y + height + reach) / PATCH)),
    left: Math.max(0, Math.floor((x - reach) / PATCH)), right: Math.min(header.columns, Math.ceil((x + width + reach) / PATCH)),
  };
  const tiles = [];
  for (let top = window.top; top < window.bottom; top += TILE) {
    for (let left = window.left; left < window.right; left += TILE) {
      const core = { top, left, bottom: Math.min(top + TILE, window.bottom), right: Math.min(left + TILE, window.right) };
      const around = {
        top: Math.max(top - halo, window.top), bottom: Math.min(core.bottom + halo, window.bottom),
        left: Math.max(left - halo, window.left), right: Math.min(core.right + halo, window.right),
      };
      tiles.push({ core, around });
    }
  }
  const strips = new HeldStrips(source, header);
  try {
    for (let done = 0; done < tiles.length; done++) {
      const { core, around } = tiles[done];
      strips.keepFrom(around.top);
      const rows = [];
      for (let row = around.top; row < around.bottom; row++) rows.push(strips.row(row));
      for (let row = core.top; row < core.bottom; row++) {
        if (!rows[row - around.top].strip) lost.fill(1, Math.min(Math.max(PATCH * row - y, 0), height), Math.min(Math.max(PATCH * row + PATCH - y, 0), height));
      }
      const inside = PATCH * core.top < y + height && PATCH * core.bottom > y && PATCH * core.left < x + width && PATCH * core.right > x;
      if (inside && rows.some(({ strip }) => strip)) {
        const tile = new Tile(model, network, header.channels, rows, around);
        try {
          paintTile(data, box, await tile.decode(), core, around, header.channels);
        } finally {
          tile.release();
        }
      }
      progress?.(done + 1, tiles.length);
    }
  } finally {
    strips.release();
  }
  return { data, lost };
}

/** The core of a tile into RGBA. */
function paintTile(data, [x, y, width, height], frame, core, around, planes) {
  const wide = PATCH * (around.right - around.left), area = wide * PATCH * (around.bottom - around.top);
  const from = Math.max(y, PATCH * core.top), to = Math.min(y + height, PATCH * core.bottom);
  const begin = Math.max(x, PATCH * core.left), end = Math.min(x + width, PATCH * core.right);
  for (let row = from; row < to; row++) {
    let at = 4 * ((row - y) * width + begin - x), i = (row - PATCH * around.top) * wide + begin - PATCH * around.left;
    for (let column = begin; column < end; column++, i++, at += 4) {
      data[at] = 255 * frame[i];
      data[at + 1] = planes === 1 ? data[at] : 255 * frame[area + i];
      data[at + 2] = planes === 1 ? data[at] : 255 * frame[2 * area + i];
    }
  }
}

/** A window of patches: what the network takes, and what becomes of its frame. */
class Tile {
  constructor(model, network, planes, rows, around) {
    this.rows = rows.length;
    this.columns = around.right - around.left;
    this.wide = PATCH * this.columns;
    this.area = this.wide * PATCH * this.rows;
    Object.assign(this, { model, native: model.native, network, planes, strips: rows, around });
    this.known = rows.map(({ strip }) => strip !== null);
    this.steps = nearestSteps(rows);
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

  /** Where the levels of a row of patches begin, and their sizes. */
  levelsOf(r) {
    const { strip, row } = this.strips[r], first = row * strip.levels.columns + this.around.left;
    return { levels: strip.levels.levels + 2048 * this.planes * first, sizes: strip.levels.sizes + first };
  }

  /** float32 [planes][32 rows][32 columns] / 255, not limited. */
  async decode() {
    const base = this.base(), hints = this.hints(), { runtime, session } = this.network;
    const inputs = {
      base: new runtime.Tensor("float32", this.threePlanes(base), [1, 3, PATCH * this.rows, this.wide]),
      hints: new runtime.Tensor("float32", hints.subarray(0, this.rows * this.columns), [1, 1, this.rows, this.columns]),
      rate_weights: this.rateWeights(runtime),
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
    this.follow(frame, base, hints);
    this.guard(frame, base);
    return frame;
  }

  /** The plain inverse / 255, [planes][32 rows][32 columns]. */
  base() {
    const { native, planes, area, wide, columns, model } = this;
    const out = this.allocate(4 * planes * area), points = this.allocate(4 * 48), units = this.allocate(4 * 6);
    for (let r = 0; r < this.rows; r++) {
      if (!this.known[r]) continue;
      const rate = this.steps[r], { levels, sizes } = this.levelsOf(r);
      native.view(Float32Array, points, 48).set(pointsOf(this.network.places, rate));
      native.view(Float32Array, units, 6).set(stepsOf(model, rate));
      native.calls.heq_plain(levels, sizes, columns, planes, model.transforms, points, units, out + 4 * PATCH * wide * r, area, wide);
    }
    const base = native.view(Float32Array, out, planes * area).map((sample) => sample / 255);
    for (let r = 0; r < this.rows; r++) {
      if (this.known[r]) continue;
      for (let plane = 0; plane < planes; plane++) base.fill(128 / 255, plane * area + PATCH * wide * r, plane * area + PATCH * wide * (r + 1));
    }
    this.units = units;
    return base;
  }

  threePlanes(base) {
    if (this.planes === 3) return base;
    const three = new Float32Array(3 * this.area);
    for (let plane = 0; plane < 3; plane++) three.set(base, plane * this.area);
    return three;
  }

  rateWeights(runtime) {
    const same = this.steps.every((step) => step === this.steps[0]), rows = same ? 1 : this.rows;
    const given = new Float32Array(rows * KNOTS);
    for (let r = 0; r < rows; r++) for (let k = 0; k < KNOTS; k++) given[r * KNOTS + k] = Math.max(0, 1 - Math.abs(this.steps[r] / 128 - k));
    return new runtime.Tensor("float32", given, [rows, KNOTS]);
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

  /** Patches that the file cannot describe take the plain inverse. */
  guard(frame, base) {
    const { native, model, rows, columns, planes, area, wide } = this, doubts = new Float32Array(rows * columns);
    const samples = this.allocate(4 * planes * area), view = native.view(Float32Array, samples, planes * area);
    for (let i = 0; i < planes * area; i++) view[i] = 255 * Math.min(Math.max(frame[i], 0), 1);
    for (let r = 0; r < rows; r++) {
      if (!this.known[r]) continue;
      const at = this.levelsOf(r);
      native.view(Float32Array, this.units, 6).set(stepsOf(model, this.steps[r]));
      for (let c = 0; c < columns; c++) {
        const size = native.view(Uint8Array, at.sizes, columns)[c];
        const sum = native.calls.heq_violation(
          samples + 4 * PATCH * (r * wide + c), area, wide, at.levels + 2048 * planes * c, size, planes, model.transforms, this.units,
        );
        doubts[r * columns + c] = Math.min(Math.max((sum - TRUSTED) / (REFUSED - TRUSTED), 0), 1);
      }
    }
    if (!doubts.some((doubt) => doubt > 0)) return;
    const weight = spread(doubts, rows, columns);
    for (let r = 0; r < rows; r++) if (!this.known[r]) weight.fill(0, PATCH * wide * r, PATCH * wide * (r + 1));
    for (let plane = 0, at = 0; plane < planes; plane++) for (let i = 0; i < area; i++, at++) frame[at] += weight[i] * (base[at] - frame[at]);
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

