// The viewer page: files that were dropped, opened, or written into it by `heqcodec view`.

import { fromBase64, inflate } from "../src/bytes.js";
import { imageData } from "../src/canvas.js";
import { decode, info } from "../src/decode.js";

const $ = (id) => document.getElementById(id);
const [stage, layers, under, over, strips, divider] = ["stage", "layers", "under", "over", "strips", "divider"].map($);
const embedded = JSON.parse($("embedded").textContent);
const files = [];
const view = { file: null, x: 0, y: 0, scale: 1, split: 0.5, fitted: true, images: new Map() };

// ---- Files

async function weights() {
  const found = {};
  for (const [name, text] of Object.entries(embedded.weights)) found[name] = await inflate(fromBase64(text), "gzip");
  return found;
}
let loadedWeights = null;

function add(name, bytes) {
  files.push({ name, bytes });
  const option = new Option(name, String(files.length - 1));
  $("files").append(option);
}

async function addAll(list) {
  const first = files.length;
  for (const file of list) add(file.name, new Uint8Array(await file.arrayBuffer()));
  if (files.length > first) await show(first);
}

/** What can be shown of a file: [value, label]. */
function choices({ coder, progressive }) {
  const made = [["plain", "plain"]];
  if (coder === "packed") for (let n = 1; n < 6; n++) made.push([`slices-${n}`, `slices 1 to ${n}`]);
  else if (progressive) made.push(["slices-1", "first part"]);
  return made;
}

async function show(number) {
  const file = files[number];
  $("files").value = String(number);
  say("");
  Object.assign(view, { file, images: new Map(), about: null });
  try {
    view.about = await info(file.bytes, { partial: true });
  } catch (error) {
    return refuse(error);
  }
  const { about } = view;
  const offered = choices(about);
  $("sides").hidden = offered.length < 2;
  for (const id of ["left", "right"]) {
    $(id).replaceChildren(...offered.map(([value, label]) => new Option(label, value)));
    $(id).value = "plain";
  }
  if (!(await paint("left", under))) return;
  await paint("right", over);
  $("hint").hidden = true;
  layers.hidden = false;
  markStrips();
  compare();
  fit();
  describe();
}

function refuse(error) {
  $("sides").hidden = true;
  layers.hidden = divider.hidden = true;
  $("hint").hidden = false;
  $("facts").textContent = view.file.name;
  say(error.message);
  controls();
  return false;
}

/** Decode what a side shows, once a file, and paint it. */
async function paint(side, canvas) {
  const value = $(side).value, { file, images } = view;
  try {
    if (!images.has(value)) {
      loadedWeights ??= await weights();
      say("Decoding…");
      const slices = value.startsWith("slices-") ? Number(value.slice(7)) : null;
      images.set(value, await decode(file.bytes, { partial: true, slices, weights: Object.keys(loadedWeights).length ? loadedWeights : undefined }));
      if (view.file !== file) return false;
      say("");
    }
  } catch (error) {
    return view.file === file && refuse(error);
  }
  const image = images.get(value);
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(imageData(image), 0, 0);
  return true;
}

function describe() {
  const { about, file } = view, image = view.images.get($("left").value);
  const parts = [
    file.name, `${about.width} × ${about.height}`, `${about.fileBytes.toLocaleString("en")} bytes`, `${about.bpp.toFixed(3)} bit/pixel`,
    about.coder + (about.progressive ? ", progressive" : ""),
  ];
  const list = (name, numbers) => numbers.length && parts.push(`${name}: ${numbers.join(", ")}`);
  list("damaged strips", image.damagedStrips);
  list("coarse strips", image.coarseStrips);
  list("strips not sent", image.unsentStrips);
  list("damaged chunks", image.damagedChunks);
  list("repaired", image.repaired);
  $("facts").textContent = parts.join(" · ");
  controls();
}

function controls() {
  const ready = !layers.hidden && view.images.size > 0;
  for (const id of ["in", "out", "fit", "full", "save", "left", "right", "marks"]) $(id).disabled = !ready;
  $("files").disabled = !files.length;
}

function say(text) {
  $("message").textContent = text;
}

// ---- Strips and damage

function markStrips() {
  const { about } = view, image = view.images.get("plain"), context = strips.getContext("2d");
  Object.assign(strips, { width: about.width, height: about.height });
  strips.hidden = !$("marks").checked;
  const rows = about.stripRows * 32, count = Math.ceil(about.height / rows), line = Math.max(1, Math.round(about.width / 800));
  const kinds = [[image.damagedStrips, "rgba(210, 40, 30, 0.35)"], [image.coarseStrips, "rgba(230, 150, 0, 0.3)"], [image.unsentStrips, "rgba(70, 110, 220, 0.3)"]];
  for (const [numbers, colour] of kinds) {
    context.fillStyle = colour;
    for (const number of numbers) context.fillRect(0, (number % count) * rows, about.width, rows);
  }
  context.fillStyle = "rgba(255, 220, 0, 0.9)";
  for (let index = 1; index < count; index++) context.fillRect(0, index * rows - (line >> 1), about.width, line);
}

// ---- Place, zoom and divider

function place() {
  const { x, y, scale } = view;
  layers.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  layers.classList.toggle("large", scale >= 2);
  $("zoom").textContent = `${Math.round(100 * scale)} %`;
  compare();
}

/** Clip the right image at the divider. */
function compare() {
  const apart = $("left").value !== $("right").value && !layers.hidden;
  over.hidden = divider.hidden = !apart;
  if (!apart) return;
  const at = view.split * stage.clientWidth;
  divider.style.left = `${at}px`;
  divider.setAttribute("aria-valuenow", String(Math.round(100 * view.split)));
  over.style.clipPath = `inset(0 0 0 ${Math.max(0, (at - view.x) / view.scale)}px)`;
}

function fit() {
  const { width, height } = view.about, scale = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1);
  Object.assign(view, { fitted: true, scale, x: (stage.clientWidth - width * scale) / 2, y: (stage.clientHeight - height * scale) / 2 });
  place();
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  if (layers.hidden) return;
  const scale = Math.min(Math.max(view.scale * factor, 1 / 32), 32), ratio = scale / view.scale;
  Object.assign(view, { fitted: false, scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio });
  place();
}

function move(dx, dy) {
  view.fitted = false;
  view.x += dx;
  view.y += dy;
  place();
}

function split(to) {
  view.split = Math.min(Math.max(to, 0), 1);
  compare();
}

const pointers = new Map();
stage.addEventListener("pointerdown", (event) => {
  if (event.target === divider) return;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event);
  stage.classList.add("dragged");
});
stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
  if (other) {
    const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY), box = stage.getBoundingClientRect();
    zoom(far(event) / Math.max(far(before), 1), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  } else move(event.clientX - before.clientX, event.clientY - before.clientY);
  pointers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    stage.classList.toggle("dragged", pointers.size > 0);
  });
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(2 ** (-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
divider.addEventListener("pointermove", (event) => {
  if (divider.hasPointerCapture(event.pointerId)) split((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
});

// ---- Controls

async function save() {
  const canvas = document.createElement("canvas"), image = view.images.get($("left").value);
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(imageData(image), 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: view.file.name.replace(/\.heq$/i, "") + ".png" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const step = (by) => files.length && show((Number($("files").value) + by + files.length) % files.length);
const KEYS = {
  "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: fit, 1: () => zoom(1 / view.scale), s: save,
  "[": () => split(view.split - 0.05), "]": () => split(view.split + 0.05), n: () => step(1), p: () => step(-1),
  m: () => $("marks").click(), ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
  const ready = !layers.hidden || ["n", "p"].includes(event.key);
  if (event.target === divider && event.key.startsWith("Arrow")) split(view.split + { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key] || 0);
  else if (ready && KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});
$("in").addEventListener("click", () => zoom(1.5));
$("out").addEventListener("click", () => zoom(1 / 1.5));
$("fit").addEventListener("click", fit);
$("full").addEventListener("click", () => zoom(1 / view.scale));
$("save").addEventListener("click", save);
$("marks").addEventListener("change", markStrips);
$("files").addEventListener("change", () => show(Number($("files").value)));
for (const [side, canvas] of [["left", under], ["right", over]]) {
  $(side).addEventListener("change", async () => {
    if (await paint(side, canvas)) compare();
    describe();
  });
}
$("open").addEventListener("change", () => addAll($("open").files));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    stage.classList.toggle("dropping", name === "dragover");
    if (name === "drop") addAll(event.dataTransfer.files);
  });
}
new ResizeObserver(() => (view.fitted && !layers.hidden ? fit() : compare())).observe(stage);

layers.hidden = $("sides").hidden = true;
controls();
for (const { name, data } of embedded.files) add(name, fromBase64(data));
if (files.length) show(0);
