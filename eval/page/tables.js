// Tables that sort by any column.

const collator = new Intl.Collator("en", { numeric: true });
const FIRST_ROWS = 100;

/**
 * A table that sorts by the column whose heading is pressed, first up, then down.
 *
 * `columns` are {key, label, digits?, show?}: with `digits` (null: as many as there are) the values
 * are numbers, sorted as such; without, they are text. Missing ones come last in both orders.
 * `show` makes the content of a cell from its row. `setRows` replaces the rows and keeps the order chosen.
 */
class SortedTable {
  constructor(name, columns, rows, sort) {
    Object.assign(this, { columns, sort, rows: [], limit: FIRST_ROWS });
    this.headings = columns.map((column) =>
      html("th", { scope: "col", class: "digits" in column ? "number" : null },
        html("button", { type: "button", onclick: () => this.press(column.key) }, column.label)),
    );
    this.body = html("tbody");
    this.more = html("button", { type: "button", class: "more", onclick: () => this.showAll() });
    const table = html("table", {}, html("thead", {}, html("tr", {}, ...this.headings)), this.body);
    // A region that scrolls sideways must be reachable without a pointer.
    const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": name };
    this.node = html("div", {}, html("div", region, table), this.more);
    this.setRows(rows);
  }

  setRows(rows) {
    this.rows = rows;
    this.limit = FIRST_ROWS;
    this.draw();
  }

  press(key) {
    const up = this.sort?.key === key && this.sort.order === "ascending";
    this.sort = { key, order: up ? "descending" : "ascending" };
    this.limit = FIRST_ROWS; // thousands of rows are slow to lay out again
    this.draw();
  }

  showAll() {
    this.limit = Infinity;
    this.draw();
  }

  sorted() {
    if (!this.sort) return this.rows;
    const { key, order } = this.sort;
    const sign = order === "ascending" ? 1 : -1;
    const number = "digits" in this.columns.find((column) => column.key === key);
    const missing = (row) => row[key] === null || row[key] === undefined;
    return [...this.rows].sort((a, b) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      if (!number) return sign * collator.compare(a[key], b[key]);
      const [x, y] = [Number(a[key]), Number(b[key])];
      return sign * ((x > y) - (x < y)); // a difference of infinite ones is no number
    });
  }

  draw() {
    for (const [k, column] of this.columns.entries()) {
      const own = this.sort?.key === column.key;
      this.headings[k].setAttribute("aria-sort", own ? this.sort.order : "none");
    }
    const rows = this.sorted();
    this.body.replaceChildren(...rows.slice(0, this.limit).map((row) => this.line(row)));
    this.more.hidden = rows.length <= this.limit;
    this.more.textContent = `Show all ${rows.length} rows`;
  }

  line(row) {
    const cells = this.columns.map((column, k) => {
      const number = "digits" in column;
      const text = number ? figure(row[column.key], column.digits) : String(row[column.key] ?? "");
      const content = column.show ? column.show(row) : [text];
      return k === 0
        ? html("th", { scope: "row" }, ...content)
        : html("td", { class: number ? "number" : null }, ...content);
    });
    return html("tr", {}, ...cells);
  }
}

const named = (curves, index) => [swatch(curves, index), ` ${curves[index].label}`];

function drawPoints(curves) {
  const rows = curves.flatMap((curve, index) =>
    curve.points.map((point) => ({
      index,
      name: curve.label,
      step: settingText(curve.setting_name, point.setting),
      ...point,
    })),
  );
  const columns = [
    { key: "name", label: "codec", show: (row) => named(curves, row.index) },
    { key: "step", label: "setting" },
    { key: "bpp", label: "bpp", digits: 4 },
    { key: "psnr", label: "PSNR, dB", digits: 2 },
    { key: "psnr_luma", label: "PSNR luma, dB", digits: 2 },
    { key: "ms_ssim", label: "MS-SSIM", digits: 4 },
    { key: "ms_ssim_db", label: "MS-SSIM, dB", digits: 2 },
    { key: "psnr_b8", label: "PSNR-B 8, dB", digits: 2 },
    { key: "psnr_b32", label: "PSNR-B 32, dB", digits: 2 },
    { key: "bef8", label: "BEF 8", digits: 2 },
    { key: "bef32", label: "BEF 32", digits: 2 },
    { key: "border_ratio", label: "border ratio", digits: 3 },
    { key: "encode_seconds", label: "encode, s", digits: 3 },
    { key: "decode_seconds", label: "decode, s", digits: 3 },
  ].filter(({ key }) => rows.some((row) => row[key] !== null && row[key] !== undefined));
  document.getElementById("points").append(new SortedTable("Points of the curves", columns, rows).node);
}

/** The BD-rate table: the page holds the rows of every anchor, measure and range. */
function drawSavings(curves, { anchor, measures, ranges, rows }) {
  const state = { anchor, measure: measures[0][0], range: ranges[0] };
  const current = () =>
    rows
      .filter((row) => Object.keys(state).every((key) => row[key] === state[key]))
      .map((row) => ({ ...row, name: curves[row.curve].label }));
  const columns = [
    { key: "name", label: "codec", show: (row) => named(curves, row.curve) },
    { key: "rate", label: "BD-rate, %", digits: 1 },
    { key: "quality", label: "BD, dB", digits: 2 },
    { key: "over_db", label: "over dB" },
    { key: "over_bpp", label: "over bpp" },
  ];
  const table = new SortedTable("BD-rate", columns, current());
  const update = (key) => (value) => {
    state[key] = key === "anchor" ? Number(value) : value;
    table.setRows(current());
  };
  document.getElementById("savings-controls").append(
    choice("Anchor", curves.map((curve, index) => [index, curve.label]), update("anchor"), anchor),
    choice("Measure", measures, update("measure")),
    choice("Range", ranges.map((range) => [range, range]), update("range")),
  );
  document.getElementById("savings-table").append(table.node);
}

function drawImages(columns, lists) {
  const rows = lists.map((list) =>
    Object.fromEntries(columns.map(({ key }, position) => [key, list[position]])));
  const state = { codec: "", image: "" };
  const table = new SortedTable("Every image", columns, rows, { key: "image", order: "ascending" });
  const names = (key) => {
    const values = [...new Set(rows.map((row) => row[key]))].sort(collator.compare);
    return [["", "all"], ...values.map((value) => [value, value])];
  };
  const filter = (key) => (value) => {
    state[key] = value;
    table.setRows(rows.filter((row) =>
      (!state.codec || row.codec === state.codec) && (!state.image || row.image === state.image)));
  };
  document.getElementById("images-controls").append(
    choice("Codec", names("codec"), filter("codec")),
    choice("Image", names("image"), filter("image")),
  );
  document.getElementById("images-table").append(table.node);
}
