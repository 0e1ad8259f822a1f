// Two pictures of one image: a divider that slides over the whole, and both enlarged side by side.

const ORIGINAL = "";
const ZOOMS = { least: 1, most: 8 };

class Viewer {
  constructor(images) {
    Object.assign(this, { images, image: images[0], target: 0.25, zoom: 3, share: 50 });
    const rates = images.flatMap((image) => image.pictures.map((picture) => picture.bpp));
    this.least = Math.min(...rates);
    this.most = Math.max(...rates, this.least * 1.01);
    this.target = clamp(this.target, this.least, this.most);
    const names = this.image.pictures.map((picture) => picture.codec);
    this.codecs = [ORIGINAL, names.find((name) => name.startsWith("heq")) ?? names[0]];
    this.node = html("div", { class: "viewer" }, this.controls(), this.stage(), this.panes());
    this.update();
    new ResizeObserver(() => this.place()).observe(this.frame.parentNode);
    for (const pane of this.crops) new ResizeObserver(() => this.place()).observe(pane);
  }

  controls() {
    const names = [...new Set(this.images.flatMap((image) => image.pictures.map((p) => p.codec)))];
    const options = [[ORIGINAL, "original"], ...names.map((name) => [name, name])];
    const side = (k, label) =>
      choice(label, options, (name) => { this.codecs[k] = name; this.update(); }, this.codecs[k]);
    // The slider moves in the logarithm of the rate, where its steps look equal.
    const steps = 200;
    const rate = (step) => this.least * (this.most / this.least) ** (step / steps);
    this.rateText = html("output", {});
    this.rate = html("input", { type: "range", min: 0, max: steps, oninput: () => {
      this.target = rate(Number(this.rate.value));
      this.update();
    } });
    this.rate.value = Math.round(
      (steps * Math.log(this.target / this.least)) / Math.log(this.most / this.least));
    return html("div", { class: "controls" },
      choice("Image", this.images.map((image, k) => [k, image.name]),
        (k) => { this.image = this.images[k]; this.centre = null; this.update(); }),
      side(0, "Left"), side(1, "Right"),
      html("label", {}, html("span", {}, "About ", this.rateText), this.rate));
  }

  stage() {
    this.under = html("img", { alt: "", draggable: "false" });
    this.over = html("img", { alt: "", draggable: "false", class: "over" });
    this.outline = html("div", { class: "outline" });
    this.divider = html("div", {
      class: "divider", role: "slider", tabindex: 0, "aria-label": "Divider between the pictures",
      "aria-orientation": "horizontal", "aria-valuemin": 0, "aria-valuemax": 100,
      onkeydown: (event) => this.slideKey(event),
    });
    const follow = (event) => {
      const box = this.frame.getBoundingClientRect();
      this.slide(((event.clientX - box.left) / box.width) * 100);
    };
    this.frame = html("div", {
      class: "frame",
      onpointerdown: (event) => {
        if (event.button !== 0) return;
        this.frame.setPointerCapture(event.pointerId);
        this.divider.focus({ preventScroll: true });
        event.preventDefault();
        follow(event);
      },
      onpointermove: (event) => {
        if (this.frame.hasPointerCapture(event.pointerId)) follow(event);
      },
    }, this.under, this.over, this.outline, this.divider);
    this.captions = [html("p", {}), html("p", {})];
    return html("div", { class: "stage" }, this.frame,
      html("div", { class: "captions" }, ...this.captions));
  }

  slideKey(event) {
    const step = event.shiftKey ? 10 : 1;
    const targets = {
      ArrowLeft: this.share - step, ArrowDown: this.share - step, PageDown: this.share - 10,
      ArrowRight: this.share + step, ArrowUp: this.share + step, PageUp: this.share + 10,
      Home: 0, End: 100,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    this.slide(targets[event.key]);
  }

  /** Put the divider at this percentage of the width; the right picture shows beyond it. */
  slide(share) {
    this.share = clamp(share, 0, 100);
    this.over.style.clipPath = `inset(0 0 0 ${this.share}%)`;
    this.divider.style.left = `${this.share}%`;
    this.divider.setAttribute("aria-valuenow", Math.round(this.share));
    this.divider.setAttribute("aria-valuetext", `${Math.round(this.share)} % from the left`);
  }

  panes() {
    this.zoomText = html("output", {});
    this.zoomInput = html("input", {
      type: "range", min: ZOOMS.least, max: ZOOMS.most, step: 1,
      oninput: () => this.setZoom(Number(this.zoomInput.value)),
    });
    const pane = (side) => html("div", {
      class: "pane", role: "group", tabindex: 0,
      "aria-label": `${side} picture enlarged: drag or use the arrow keys to move, + and - to zoom`,
      onkeydown: (event) => this.panKey(event),
      onpointerdown: (event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        this.grip = [event.clientX, event.clientY];
      },
      onpointermove: (event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        const [x, y] = this.grip;
        this.grip = [event.clientX, event.clientY];
        this.pan((x - event.clientX) / this.zoom, (y - event.clientY) / this.zoom);
      },
    }, html("img", { alt: "", draggable: "false" }), html("span", {}));
    this.crops = [pane("Left"), pane("Right")];
    return html("div", { class: "crops" },
      html("div", { class: "controls" },
        html("label", {}, html("span", {}, "Zoom ", this.zoomText), this.zoomInput)),
      html("div", { class: "panes" }, ...this.crops));
  }

  panKey(event) {
    const step = event.shiftKey ? 32 : 4; // image pixels
    const moves = {
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    };
    if (event.key in moves) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.setZoom(this.zoom + 1);
    else if (event.key === "-") this.setZoom(this.zoom - 1);
    else return;
    event.preventDefault();
  }

  setZoom(zoom) {
    this.zoom = clamp(zoom, ZOOMS.least, ZOOMS.most);
    this.place();
  }

  pan(x, y) {
    this.centre = [this.centre[0] + x, this.centre[1] + y];
    this.place();
  }

  /** The picture of this codec whose rate lies nearest to the target, in the ratio of rates. */
  picture(codec) {
    const distance = (picture) => Math.abs(Math.log(picture.bpp / this.target));
    return this.image.pictures
      .filter((picture) => picture.codec === codec)
      .reduce((best, p) => (best && distance(best) <= distance(p) ? best : p), null);
  }

  update() {
    this.rateText.textContent = `${this.target.toFixed(3)} bpp`;
    this.rate.setAttribute("aria-valuetext", `${this.target.toFixed(3)} bits per pixel`);
    const pictures = this.codecs.map((codec) => (codec === ORIGINAL ? null : this.picture(codec)));
    for (const [k, picture] of pictures.entries()) {
      const missing = this.codecs[k] !== ORIGINAL && !picture;
      const source = missing ? null : (picture ?? this.image.original).src;
      const text = missing
        ? `No picture of ${this.codecs[k]} for this image in this page.`
        : picture ? this.describe(picture) : this.describeOriginal();
      const name = `${this.image.name}, ${text}`;
      for (const node of [k ? this.over : this.under, this.crops[k].firstChild]) {
        if (source) node.src = source;
        else node.removeAttribute("src");
        node.alt = name;
      }
      this.crops[k].lastChild.textContent = this.codecs[k] || "original";
      this.captions[k].replaceChildren(
        html("strong", {}, `${k ? "Right" : "Left"}: `), text);
    }
    const { width, height } = this.image;
    this.centre ??= [width / 2, height / 2];
    this.slide(this.share);
    this.place();
  }

  describeOriginal() {
    const { width, height, cut } = this.image;
    return cut ? `original, the middle ${width}×${height} of ${cut.join("×")} pixels` : "original";
  }

  describe(picture) {
    const off = Math.round((picture.bpp / this.target - 1) * 100);
    const note = Math.abs(off) >= 10 ? ` (${Math.abs(off)} % ${off > 0 ? "above" : "below"} the requested rate)` : "";
    const similarity = picture.ms_ssim === null ? "" : `, MS-SSIM ${figure(picture.ms_ssim, 4)}`;
    return `${picture.codec}, ${settingText(picture.setting_name, picture.setting)}: `
      + `${figure(picture.bpp, 4)} bpp${note}, PSNR ${figure(picture.psnr, 2)} dB${similarity}`;
  }

  /** Lay out the frame, the enlarged crops and the outline that shows where they are. */
  place() {
    const { width, height } = this.image;
    const room = this.frame.parentNode.clientWidth;
    if (room === 0) return;
    // Whole multiples where the picture is smaller than its place, so that its pixels stay square.
    // Not taller than a screen because of that.
    const most = Math.min(room / width, Math.max(1, 560 / height));
    const scale = room < width ? room / width : Math.floor(most);
    this.frame.classList.toggle("enlarged", scale >= 1);
    this.frame.style.width = `${width * scale}px`;
    this.frame.style.height = `${height * scale}px`;
    this.frame.nextSibling.style.maxWidth = `${Math.max(width * scale, 360)}px`;
    const [pane] = this.crops;
    const view = [pane.clientWidth / this.zoom, pane.clientHeight / this.zoom];
    // A picture smaller than the pane is centred in it, a larger one fills it.
    this.centre = this.centre.map((value, k) => {
      const size = k ? height : width;
      const half = Math.min(view[k], size) / 2;
      return clamp(value, half, size - half);
    });
    const [left, top] = this.centre.map((value, k) => value - view[k] / 2);
    for (const { firstChild: picture } of this.crops) {
      picture.style.width = `${width * this.zoom}px`;
      picture.style.height = `${height * this.zoom}px`;
      // Whole pixels of the screen's grid, or neighbouring image pixels differ in size.
      picture.style.left = `${Math.round(-left * this.zoom)}px`;
      picture.style.top = `${Math.round(-top * this.zoom)}px`;
    }
    const inside = [Math.max(0, left), Math.max(0, top)];
    const size = [Math.min(view[0], width), Math.min(view[1], height)];
    this.outline.style.left = `${inside[0] * scale}px`;
    this.outline.style.top = `${inside[1] * scale}px`;
    this.outline.style.width = `${size[0] * scale}px`;
    this.outline.style.height = `${size[1] * scale}px`;
    this.zoomText.textContent = `${this.zoom}×`;
    this.zoomInput.value = this.zoom;
  }
}

function drawViewer({ images, notes }) {
  const target = document.getElementById("viewer");
  target.append(...notes.map((note) => html("p", { class: "note" }, note)));
  if (images.length) target.append(new Viewer(images).node);
}
