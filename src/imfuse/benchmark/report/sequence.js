/** The pictures of one frame side by side, and the curves with a line where it is. */
const byId = (id) => document.getElementById(id);
const colour = (method) => `hsl(${(method * 137) % 360} 70% 45%)`;

function line(attributes) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const all = { fill: "none", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke", ...attributes };
  for (const [name, value] of Object.entries(all)) path.setAttribute(name, value);
  return path;
}

function show() {
  const frame = Number(byId("frame").value);
  const last = content.frames.length - 1;
  byId("name").textContent = content.frames[frame];
  for (const image of document.querySelectorAll("img")) image.src = content.panels[image.dataset.panel].files[frame];
  const curves = content.curves[byId("measure").value];
  const highest = Math.max(...curves.map((curve) => Math.max(...curve))) || 1;
  byId("highest").textContent = highest.toFixed(3);
  const x = (number) => (1000 * number) / last;
  const drawn = curves.map((curve, method) => {
    // The first value is the change to the second frame.
    const points = curve.map((value, i) => `${x(i + 1)} ${155 - (150 * value) / highest}`);
    return line({ d: `M${points.join("L")}`, stroke: colour(method) });
  });
  byId("curves").replaceChildren(...drawn, line({ d: `M${x(frame)} 0V160`, stroke: "gray" }));
}

for (const key of document.querySelectorAll("[data-key]")) key.style.color = colour(Number(key.dataset.key));
byId("frame").addEventListener("input", show);
byId("measure").addEventListener("input", show);
show();
