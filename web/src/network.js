// PURENET by onnxruntime-web: levels to pixels in overlapping tiles, with trust and guard; see docs/DECODER.md.

import { HeqError } from "./errors.js";
import { weights } from "./model.js";
import { CodeTile, PATCH, RateTile } from "./tile.js";

const TILE = 24, GUARD_REACH = 32;

const sessions = new Map();

/** A decoder's network, loaded once. */
export async function loadNetwork(decoder, model, options) {
  const runtime = options.onnxruntime ?? (await importRuntime());
  const name = `${model.name} ${decoder}`, key = `${name} ${options.executionProviders ?? ""}`;
  if (!sessions.has(key)) {
    const loading = weights(name, options).then((graph) =>
      runtime.InferenceSession.create(graph, { executionProviders: options.executionProviders ?? ["wasm"], graphOptimizationLevel: "all" }));
    sessions.set(key, loading.catch((error) => {
      sessions.delete(key);
      throw error instanceof HeqError ? error : new HeqError(`The network of the decoder ${decoder} of ${model.name} could not be loaded: ${error.message}`, { cause: error });
    }));
  }
  const session = await sessions.get(key), radius = model.radius[decoder];
  if (!model.codes) return { runtime, session, Tile: RateTile, reach: radius + GUARD_REACH, ...model.networks[decoder] };
  return { runtime, session, Tile: CodeTile, reach: radius + (model.codes.refused ? GUARD_REACH : 0) };
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
  const { reach } = network, halo = Math.ceil(reach / PATCH);
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
        const tile = new network.Tile(model, network, header, rows, around);
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
