// A drive seen from above: its way, where panoramas were taken, and where the person looks. North is up.
const SVG = "http://www.w3.org/2000/svg";
const METRES_PER_DEGREE = 111320;
const SIZE = 300;
const MARGIN = 24;

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Metres east and north of the drive's first place: a drive is small enough for a plane.
function metres(items) {
  const [longitude, latitude] = items[0].geometry.coordinates;
  const shrink = Math.cos((latitude * Math.PI) / 180);
  return items.map(({ geometry: { coordinates: [east, north] } }) => {
    const across = ((east - longitude + 540) % 360) - 180;
    return [across * shrink * METRES_PER_DEGREE, (north - latitude) * METRES_PER_DEGREE];
  });
}

function projection(places) {
  const [east, north] = [places.map((place) => place[0]), places.map((place) => place[1])];
  const middle = [(Math.min(...east) + Math.max(...east)) / 2, (Math.min(...north) + Math.max(...north)) / 2];
  const span = Math.max(Math.max(...east) - Math.min(...east), Math.max(...north) - Math.min(...north), 10);
  const scale = (SIZE - 2 * MARGIN) / span;
  return { scale, at: ([x, y]) => [SIZE / 2 + (x - middle[0]) * scale, SIZE / 2 - (y - middle[1]) * scale] };
}

// The round length whose bar is at most a third of the map.
function bar(scale) {
  const most = SIZE / 3 / scale;
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * power).find((length) => length <= most);
}

export class DriveMap {
  constructor(svg, items, onChoice) {
    const places = metres(items);
    const { scale, at } = projection(places);
    this.points = places.map(at);
    svg.setAttribute("viewBox", `0 0 ${SIZE} ${SIZE}`);
    svg.append(element("polyline", { class: "road", points: this.points.map((point) => point.join()).join(" ") }));
    this.sight = svg.appendChild(element("path", { class: "sight" }));
    svg.append(...items.flatMap((item, index) => this.heading(item, index)));
    this.places = items.map((item, index) => svg.appendChild(this.place(item, index, onChoice)));
    svg.append(...legend(scale));
  }

  // Where the car was headed, where that is known.
  heading({ properties }, index) {
    const heading = properties["panoveil:heading"];
    if (heading === undefined) return [];
    const [x, y] = this.points[index];
    const angle = (heading * Math.PI) / 180;
    return [element("line", { class: "heading", x1: x, y1: y, x2: x + 10 * Math.sin(angle), y2: y - 10 * Math.cos(angle) })];
  }

  place(item, index, onChoice) {
    const [x, y] = this.points[index];
    const dot = element("circle", { class: "place", cx: x, cy: y, r: 4.5, tabindex: -1 });
    dot.append(element("title", {}));
    dot.firstChild.textContent = item.properties["panoveil:capture_id"];
    dot.addEventListener("click", () => onChoice(index));
    return dot;
  }

  here(index) {
    this.places.forEach((place, other) => place.classList.toggle("here", other === index));
    this.sight.removeAttribute("d");
  }

  // `bearing` and `width` in degrees: where the person looks, clockwise from north, and how wide.
  look(index, bearing, width) {
    const [x, y] = this.points[index];
    const [left, right] = [bearing - width / 2, bearing + width / 2].map((angle) => (angle * Math.PI) / 180);
    const end = (angle) => `${x + 38 * Math.sin(angle)} ${y - 38 * Math.cos(angle)}`;
    this.sight.setAttribute("d", `M ${x} ${y} L ${end(left)} A 38 38 0 0 1 ${end(right)} Z`);
  }
}

function legend(scale) {
  const length = bar(scale);
  const [x, y] = [MARGIN / 2, SIZE - MARGIN / 2];
  const label = element("text", { x, y: y - 6 });
  label.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  const north = element("text", { x: SIZE - MARGIN, y: MARGIN });
  north.textContent = "N ↑";
  return [element("line", { class: "tick", x1: x, x2: x + length * scale, y1: y, y2: y }), label, north];
}
