/** The pictures of one pair beside each other, with one zoom box for all, a swipe, and differences. */
const viewer = { set: 0, place: 0, order: [], box: { x: 0.5, y: 0.5 }, held: false, size: 4 };

/** Pictures of a pair by role, as addresses; they wait as text in the page until they are looked at. */
function picturesOf(set, pair) {
  const waiting = byId(`p${set}-${pair}`);
  const texts = waiting ? JSON.parse(waiting.textContent) : {};
  return Object.fromEntries(Object.entries(texts).map(([role, data]) => [role, `data:image/webp;base64,${data}`]));
}

function rolesOf(set) {
  return [["ir", "infrared"], ["vi", "visible"], ...content.sets[set].methods.map((method) => [String(method), content.methods[method]])];
}

function badge(role) {
  if (role === "ir" || role === "vi") return [];
  return [element("span", { class: "key", style: colour(Number(role)) }, String(Number(role) + 1))];
}

function load(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = address;
  });
}

/** Absolute difference of the grays of two pictures, as an address; black is none, white 128 levels or more. */
async function difference(address, other) {
  const images = await Promise.all([load(address), load(other)]);
  const [width, height] = [images[0].naturalWidth, images[0].naturalHeight];
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [first, second] = images.map((image) => {
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  });
  const gray = (data, i) => 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
  for (let i = 0; i < first.data.length; i += 4) {
    const apart = 2 * Math.abs(gray(first.data, i) - gray(second.data, i));
    first.data[i] = first.data[i + 1] = first.data[i + 2] = apart;
  }
  context.putImageData(first, 0, 0);
  return canvas.toDataURL();
}

function placeBoxes() {
  const part = 1 / viewer.size;
  const clamp = (value) => Math.min(1 - part / 2, Math.max(part / 2, value));
  viewer.box = { x: clamp(viewer.box.x), y: clamp(viewer.box.y) };
  const [left, top] = [viewer.box.x - part / 2, viewer.box.y - part / 2];
  for (const panel of byId("panels").children) {
    Object.assign(panel.querySelector(".view i").style, {
      left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * part}%`, height: `${100 * part}%`,
    });
    const lens = panel.querySelector(".lens");
    lens.style.backgroundSize = `${100 * viewer.size}% ${100 * viewer.size}%`;
    lens.style.backgroundPosition = `${(100 * left) / (1 - part)}% ${(100 * top) / (1 - part)}%`;
  }
}

function makePanel(role, name, address) {
  const image = element("img", { alt: name, draggable: "false" });
  const view = element("div", { class: "view", tabindex: "0", role: "application", "aria-label": `${name}: arrow keys move the zoom box` }, image, element("i"));
  const lens = element("div", { class: "lens", "aria-hidden": "true" });
  const panel = element("figure", { class: "panel", "data-role": role }, element("figcaption", {}, ...badge(role), name), view, lens);
  image.addEventListener("load", () => { lens.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`; });
  showIn(panel, address);
  view.addEventListener("pointermove", (event) => {
    if (viewer.held && !event.buttons) return;
    const frame = view.getBoundingClientRect();
    viewer.box = { x: (event.clientX - frame.left) / frame.width, y: (event.clientY - frame.top) / frame.height };
    placeBoxes();
  });
  view.addEventListener("click", () => {
    viewer.held = !viewer.held;
    byId("panels").classList.toggle("held", viewer.held);
  });
  view.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    viewer.box = { x: viewer.box.x + step[0] / 40, y: viewer.box.y + step[1] / 40 };
    placeBoxes();
  });
  return panel;
}

function showIn(panel, address) {
  panel.querySelector("img").src = address;
  panel.querySelector(".lens").style.backgroundImage = `url("${address}")`;
}

async function showPanels() {
  const { set } = viewer;
  const pair = viewer.order[viewer.place];
  const pictures = picturesOf(set, pair);
  const against = document.querySelector("input[name=show]:checked").value;
  const shown = rolesOf(set).filter(([role]) => pictures[role]);
  byId("panels").replaceChildren(...shown.map(([role, name]) => makePanel(role, name, pictures[role])));
  byId("panels").dataset.against = "";
  placeBoxes();
  if (against && pictures[against]) {
    for (const panel of [...byId("panels").children]) {
      const made = await difference(pictures[panel.dataset.role], pictures[against]);
      if (!panel.isConnected) return;
      showIn(panel, made);
    }
    byId("panels").dataset.against = against;
  }
}

function showSwipe() {
  const pictures = picturesOf(viewer.set, viewer.order[viewer.place]);
  const at = Number(byId("swipe-at").value);
  for (const [image, choice] of [["over", "left"], ["under", "right"]]) {
    const role = byId(choice).value;
    if (byId(image).dataset.shown !== `${viewer.set}/${viewer.order[viewer.place]}/${role}`) {
      byId(image).src = pictures[role] ?? "data:,";
      byId(image).alt = byId(choice).selectedOptions[0]?.textContent ?? "";
      byId(image).dataset.shown = `${viewer.set}/${viewer.order[viewer.place]}/${role}`;
    }
  }
  byId("over").style.clipPath = `inset(0 ${100 - at}% 0 0)`;
  byId("swipe").querySelector("i").style.left = `${at}%`;
}

function showPairScores() {
  const set = content.sets[viewer.set];
  const pair = viewer.order[viewer.place];
  const symbols = Object.keys(content.metrics);
  const head = element("tr", {}, element("th", { scope: "col" }, "Method"), ...symbols.map((symbol) => element("th", { scope: "col" }, symbol)));
  const best = symbols.map((symbol) => {
    const values = set.values[symbol][pair].filter((value) => value !== null);
    const { better } = content.metrics[symbol];
    return better === "none" || values.length < 2 ? NaN : Math[better === "higher" ? "max" : "min"](...values);
  });
  const rows = set.methods.map((method, column) => {
    const cells = symbols.map((symbol, i) => {
      const value = set.values[symbol][pair][column];
      return element("td", value === best[i] ? { class: "best" } : {}, element("span", { class: "mean" }, words(value)));
    });
    return element("tr", {}, element("th", { scope: "row" }, ...badge(String(method)), content.methods[method]), ...cells);
  });
  byId("pair-scores").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

function showPair(place) {
  const total = viewer.order.length;
  viewer.place = (place + total) % total;
  const pair = viewer.order[viewer.place];
  const set = content.sets[viewer.set];
  byId("pair").value = String(pair);
  byId("pair-name").textContent = `${set.title}, pair ${set.pairs[pair]} (${viewer.place + 1} of ${total})`;
  for (const thumb of byId("strip").children) {
    const current = thumb.dataset.pair === String(pair);
    thumb.setAttribute("aria-current", String(current));
    if (current) byId("strip").scrollLeft = thumb.offsetLeft - byId("strip").offsetLeft - byId("strip").clientWidth / 2 + 42;
  }
  showPanels();
  showSwipe();
  showPairScores();
}

/** Thumbnails get their pictures when they come into view. */
const thumbs = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    thumbs.unobserve(target);
    const pictures = picturesOf(viewer.set, Number(target.dataset.pair));
    const address = pictures.vi ?? pictures.ir;
    if (address) target.append(element("img", { src: address, alt: "", decoding: "async" }));
  }
}, { rootMargin: "200px" });

function orderPairs() {
  const set = content.sets[viewer.set];
  const pairs = set.pairs.map((_, i) => i);
  const [symbol, column] = byId("order").value.split("/");
  if (column) {
    const value = (pair) => set.values[symbol][pair][column] ?? Infinity;
    pairs.sort((a, b) => value(a) - value(b) || a - b);
  }
  viewer.order = pairs;
  byId("pair").replaceChildren(...pairs.map((pair) => element("option", { value: pair }, set.pairs[pair])));
  thumbs.disconnect();
  byId("strip").replaceChildren(...pairs.map((pair, place) => {
    const thumb = element("button", { type: "button", "data-pair": pair, "aria-label": `Pair ${set.pairs[pair]}`, title: set.pairs[pair] });
    thumb.addEventListener("click", () => showPair(place));
    return thumb;
  }));
  for (const thumb of byId("strip").children) thumbs.observe(thumb);
}

function openViewer(number) {
  viewer.set = number;
  const set = content.sets[number];
  const orders = Object.keys(content.metrics).map((symbol) => element("optgroup", { label: `lowest ${symbol} first` },
    ...set.methods.map((method, column) => element("option", { value: `${symbol}/${column}` }, `${symbol} of ${content.methods[method]}`))));
  byId("order").replaceChildren(element("option", { value: "" }, "by name"), ...orders);
  for (const [id, chosen] of [["left", "ir"], ["right", String(set.methods[0])]]) {
    byId(id).replaceChildren(...rolesOf(number).map(([role, name]) => element("option", { value: role }, name)));
    byId(id).value = chosen;
  }
  orderPairs();
  showPair(0);
}

byId("previous").addEventListener("click", () => showPair(viewer.place - 1));
byId("next").addEventListener("click", () => showPair(viewer.place + 1));
byId("pair").addEventListener("change", (event) => showPair(viewer.order.indexOf(Number(event.target.value))));
byId("order").addEventListener("change", () => { orderPairs(); showPair(0); });
byId("left").addEventListener("change", showSwipe);
byId("right").addEventListener("change", showSwipe);
byId("swipe-at").addEventListener("input", showSwipe);
byId("zoom").addEventListener("input", (event) => { viewer.size = Number(event.target.value); placeBoxes(); });
for (const choice of document.querySelectorAll("input[name=show]")) choice.addEventListener("change", showPanels);
for (const kind of ["pointerdown", "pointermove"]) {
  byId("swipe").addEventListener(kind, (event) => {
    if (kind === "pointermove" && !event.buttons) return;
    const frame = byId("swipe").getBoundingClientRect();
    byId("swipe-at").value = String((100 * (event.clientX - frame.left)) / frame.width);
    showSwipe();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input:not([type=radio]):not([type=range])")) return;
  const step = { n: 1, p: -1 }[event.key.toLowerCase()];
  if (step) showPair(viewer.place + step);
});
