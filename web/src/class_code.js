// The code of nqe-vgg (coder 0): the class of a patch and bits of its coefficients, to their expected values; see
// docs/FORMAT.md and docs/DECODER.md.

export const CLASSES = 32;
const CLASS_BITS = 5, MOST_BITS = 8, CELLS = 128;

/** Coefficients that a code may hold, by plane, row and column of the transform. */
function findPlaces() {
  const places = [];
  for (let i = 0; i < 3072; i++) if (((i >> 5) & 31) + (i & 31) <= (i < 1024 ? 16 : 8)) places.push(i);
  return places;
}

/** Reads codes; what it found of the last one stands in its arrays. */
export class ClassCodeReader {
  /** @param {object} tables `scales` and `gains` of the encoder, `points` of the decoder. */
  constructor(tables) {
    Object.assign(this, { tables, places: findPlaces(), orders: new Map(), label: 0 });
    this.luma = this.places.filter((place) => place < 1024).length;
    this.words = new Uint8Array(this.places.length);
    this.counts = new Uint8Array(this.places.length);
  }

  /** The coefficient of each bit of a class, most important first. */
  order(label, planes) {
    const key = 4 * label + planes;
    if (!this.orders.has(key)) {
      const { scales, gains } = this.tables, count = planes === 1 ? this.luma : this.places.length, bits = [];
      for (let i = 0; i < count; i++) {
        for (let bit = 0; bit < MOST_BITS; bit++) bits.push({ i, priority: 8 * scales[label * this.places.length + i] + gains[bit] });
      }
      bits.sort((a, b) => b.priority - a.priority || a.i - b.i);
      this.orders.set(key, bits.slice(0, 512 - CLASS_BITS).map(({ i }) => i));
    }
    return this.orders.get(key);
  }

  /** Read the code of a patch into `values`, float32 [planes][32][32], which holds zeros. */
  read(code, planes, values) {
    const { words, counts, tables, places } = this, label = (this.label = code[0] >> (8 - CLASS_BITS));
    words.fill(0);
    counts.fill(0);
    const order = this.order(label, planes), bits = Math.min(8 * code.length - CLASS_BITS, order.length);
    for (let n = 0; n < bits; n++) {
      const i = order[n], at = n + CLASS_BITS;
      words[i] = 2 * words[i] + ((code[at >> 3] >> (7 - (at & 7))) & 1);
      counts[i]++;
    }
    for (let i = 0; i < places.length; i++) {
      if (!counts[i]) continue;
      // The first bit is the sign, those behind it the cell.
      const top = 1 << (counts[i] - 1), scale = tables.scales[label * places.length + i];
      const size = tables.points[(counts[i] - 1) * CELLS + (words[i] & (top - 1))] * 2 ** (scale >> 1) * (scale & 1 ? 45 / 32 : 1);
      values[places[i]] = words[i] >= top ? -size : size;
    }
  }

  hints(hints) {
    hints.fill(0);
    hints[this.label] = 1;
  }
}
