// The page asks the server about once a second what is new and draws that.
import { Chart } from "./chart.js";

const $ = (id) => document.getElementById(id);
const every = 1000; // milliseconds

// The token comes behind the # of the address, which no request carries. It is
// kept for as long as the tab, and taken out of the address bar.
const token = (() => {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem("token") || "";
})();

async function ask(path, options = {}) {
  if (token) options.headers = { ...options.headers, Authorization: "Bearer " + token };
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(70_000) });
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
    throw Object.assign(new Error(error), { status: answer.status });
  }
  return answer;
}

const get = async (path) => (await ask(path)).json();

// picture shows an image, which is fetched here since an <img> sends no token.
async function picture(img, path) {
  const url = URL.createObjectURL(await (await ask(path)).blob());
  img.onload = () => URL.revokeObjectURL(url);
  img.src = url;
}

function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function row(...cells) {
  const tr = element("tr");
  tr.append(...cells.map((c) => element("td", c)));
  return tr;
}

const grouped = (n) => n.toLocaleString("en-US");
const percent = (x) => (x === null ? "–" : (100 * x).toFixed(2) + "%");
const short = (x) => (x === null ? "–" : String(Number(x.toPrecision(4))));

function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (n >= size) return (n / size).toFixed(1) + " " + unit;
  }
  return n + " B";
}

function duration(seconds) {
  if (seconds === null) return "–";
  const s = Math.round(seconds);
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([n, unit]) => n + " " + unit).join(" ");
}

// Series is the points of a curve that came so far: [epoch, loss, top-1, top-5].
class Series {
  version = 0;
  points = [];
  take({ version, from, points }) {
    this.version = version;
    this.points.length = from;
    for (const p of points) this.points.push(p);
    return points.length > 0 || from === 0;
  }
  get have() { return this.version + "," + this.points.length; }
}

const train = new Series(), test = new Series();
const column = (series, i, scale = 1) => series.points.map((p) => [p[0], p[i] === null ? null : scale * p[i]]);
const loss = new Chart($("loss"), [["train", "training"], ["test", "test"]]);
const error = new Chart($("error"), [["train", "training"], ["test", "test"], ["test top5", "test, top-5"]]);

function charts(changes) {
  const marks = changes.map((c) => c.pass);
  loss.draw([column(train, 1), column(test, 1)], marks);
  error.draw([column(train, 2, 100), column(test, 2, 100), column(test, 3, 100)], marks);
}

let run; // what stays as it is
let shown = { kernels: "", mistakes: "", changes: "", memory: "" };

// once calls draw if what it draws has changed.
function once(part, value, draw) {
  const text = JSON.stringify(value);
  if (shown[part] === text) return;
  shown[part] = text;
  $(part).hidden = false;
  draw(value);
}

async function start() {
  run = await get("api/run");
  document.title = run.name + " – alexnet";
  $("name").textContent = run.name;
  $("text").textContent = run.text;
  $("facts").replaceChildren(...run.facts.map((f) => row(f.name, f.value)));
  for (const name of run.layers) $("layer").append(new Option(name, name));
  if (token) $("orders").disabled = false;
  else say("To use these, open the address that the terminal printed, whole.");
}

async function update() {
  if (!run) await start();
  const s = await get(`api/state?train=${train.have}&test=${test.have}`);
  const isNew = [train.take(s.train), test.take(s.test)].includes(true);
  const any = train.points.length > 0;

  $("step").replaceChildren(grouped(s.step), " ", element("small", "of " + grouped(s.steps)));
  $("pass").replaceChildren(any ? (s.pass ?? 0).toFixed(2) : "–", " ", element("small", run.passes ? "of " + grouped(run.passes) : ""));
  $("left").textContent = duration(s.seconds_left);
  $("speed").textContent = any ? grouped(Math.round(s.images_per_second)) : "–";
  $("rate").textContent = any ? short(s.rate) : "–";
  $("best").textContent = test.points.length ? percent(Math.min(...test.points.map((p) => p[2] ?? 1))) : "–";
  $("progress").value = s.steps ? s.step / s.steps : 0;

  if (isNew) charts(s.changes);
  if (s.kernels.layer) once("kernels", s.kernels, kernels);
  if (s.mistakes.step) once("mistakes", s.mistakes, mistakes);
  if (s.changes.length) once("changes", s.changes, (list) =>
    $("changes-list").replaceChildren(...list.toReversed().map((c) => row(grouped(c.step), c.layer || "all", short(c.rate), c.why))));
  if (s.memory.length) once("memory", s.memory, (list) =>
    $("memory-list").replaceChildren(...list.map((m) => row(m.device, bytes(m.state), bytes(m.work), bytes(m.state + m.work)))));

  if (s.testing) status(`testing: ${grouped(s.testing.done)} of ${grouped(s.testing.total)} images`);
  else status(s.started ? "training" : "getting ready");
}

function kernels({ step, layer }) {
  $("kernels-of").textContent = `${layer}, after step ${grouped(step)}`;
  picture($("kernels-picture"), "api/kernels.png").catch(() => {}); // the next one will do
}

function mistakes({ step, list }) {
  $("mistakes-of").textContent = list.length ? `the last of the test after step ${grouped(step)}` : `none in the test after step ${grouped(step)}`;
  $("mistakes-list").replaceChildren(...list.map((m) => {
    const f = element("figure"), img = element("img"), caption = element("figcaption");
    img.alt = `test image ${m.image}`;
    img.title = img.alt;
    caption.append(m.label, element("br"), "taken for ", element("b", m.given), ` (${Math.round(100 * m.probability)}%)`);
    f.append(img, caption);
    picture(img, `api/images/${m.image}`).catch((e) => { img.alt = e.message; });
    return f;
  }));
}

function status(text, trouble = false) {
  if ($("status").textContent !== text) $("status").textContent = text;
  $("status").classList.toggle("trouble", trouble);
}

function say(text, trouble = false) {
  $("answer").textContent = text;
  $("answer").classList.toggle("trouble", trouble);
}

async function order(what, done) {
  $("orders").disabled = true;
  say("waiting for the step, or the test, to end…");
  try {
    const { step } = await (await ask("api/order", { method: "POST", body: JSON.stringify(what) })).json();
    say(`${done} after step ${grouped(step)}`);
  } catch (e) {
    say(e.message, true);
  }
  $("orders").disabled = false;
}

$("divide").onclick = () => {
  const layer = $("layer").value;
  order({ divide: 10, layer }, layer ? `rate of ${layer} divided by 10` : "rate divided by 10");
};
$("checkpoint").onclick = () => order({ checkpoint: true }, "checkpoint saved");
$("stop").onclick = () => {
  if (confirm("Save a checkpoint and stop the training?")) order({ stop: true }, "saved and stopped");
};

for (;;) {
  try {
    await update();
  } catch (e) {
    if (e.status) status(e.message, true);
    else status("no answer: the training has ended, or the connection is broken", true);
  }
  await new Promise((done) => setTimeout(done, every));
}
