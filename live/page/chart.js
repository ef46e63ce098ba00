// A chart is an SVG with axes, one path for each curve, and dots on those of tests.

const svg = (name, attributes = {}, text) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};

// Around the curves, in pixels.
const left = 46, right = 14, above = 10, below = 38;

// ticks returns round numbers from low to high, about as many as n.
function ticks(low, high, n) {
  const raw = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.999);
  const list = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) list.push(Number((i * step).toPrecision(12)));
  return list;
}

const label = (y) => (y !== 0 && (y >= 1e5 || y < 1e-3) ? y.toExponential(0) : String(y));

// top returns where the y axis ends. A few values far above all others, as at the
// start of a training, would press the rest to the ground: they are cut off.
function top(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.min(sorted.at(-1) * 1.05, 3 * sorted[Math.floor(0.98 * (sorted.length - 1))]) || 1;
}

export class Chart {
  // figure gets the chart, and a key that names the curves: [class, name] of each.
  constructor(figure, curves) {
    this.curves = curves;
    this.values = [];
    this.marks = [];
    this.svg = svg("svg", { role: "img", "aria-label": figure.textContent.trim() + " by passes" });
    const key = document.createElement("ul");
    key.className = "key";
    for (const [style, name] of [...curves, ["change", "change of the rate"]]) {
      const li = document.createElement("li"), line = svg("svg", { viewBox: "0 0 26 10" });
      line.append(svg("path", { class: style, d: "M0 5H26" }));
      if (style.startsWith("test")) line.append(svg("circle", { class: "dot", cx: 13, cy: 5, r: 3 }));
      li.append(line, name);
      key.append(li);
      this.last = li;
    }
    figure.append(this.svg, key);
    new ResizeObserver(() => this.render()).observe(this.svg);
  }

  // draw takes the points of each curve, [x, y], y null where there is none, and
  // where on the x axis to set marks.
  draw(values, marks) {
    this.values = values;
    this.marks = marks;
    this.last.hidden = marks.length === 0;
    this.render();
  }

  render() {
    const { width, height } = this.svg.getBoundingClientRect();
    const all = this.values.flat().filter(([, y]) => y !== null);
    if (width < left + right + 20 || all.length === 0) return;
    const maxX = all.reduce((max, [x]) => Math.max(max, x), 0) || 1;
    const maxY = top(all.map(([, y]) => y));
    const X = (x) => left + (x / maxX) * (width - left - right);
    const Y = (y) => height - below - (Math.min(y, maxY) / maxY) * (height - above - below);

    const parts = [];
    for (const y of ticks(0, maxY, 6)) {
      parts.push(svg("path", { class: "grid", d: `M${left} ${Y(y)}H${width - right}` }));
      parts.push(svg("text", { x: left - 6, y: Y(y) + 4, "text-anchor": "end" }, label(y)));
    }
    for (const x of ticks(0, maxX, Math.max(2, Math.floor(width / 110)))) {
      parts.push(svg("text", { x: X(x), y: height - below + 16, "text-anchor": "middle" }, x));
    }
    parts.push(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "passes over the training images"));
    for (const x of this.marks) parts.push(svg("path", { class: "change", d: `M${X(x)} ${above}V${height - below}` }));
    this.values.forEach((points, i) => {
      const [style, name] = this.curves[i];
      let d = "", pen = "M";
      const dots = [];
      for (const [x, y] of points) {
        if (y === null) {
          pen = "M";
          continue;
        }
        d += pen + X(x).toFixed(1) + " " + Y(y).toFixed(1);
        pen = "L";
        if (style.startsWith("test")) {
          const dot = svg("circle", { class: "dot", cx: X(x), cy: Y(y), r: 3 });
          dot.append(svg("title", {}, `${name}, pass ${x.toFixed(2)}: ${y.toPrecision(4)}`));
          dots.push(dot);
        }
      }
      parts.push(svg("path", { class: style, d, "data-points": points.length }), ...dots);
    });
    this.svg.replaceChildren(...parts);
  }
}
