// A panorama in tiles, read in parts: the coarse ones out of a PMTiles archive, the finest out of the panorama's own JPEG, band by band.
// services/anonymizer/derivatives.py says how both are made.
const JPEG = { type: "image/jpeg" };
const END_OF_IMAGE = new Uint8Array([0xff, 0xd9]);

// Says as tiles, of which there are none, what is fetched as a whole.
export function whole(href) {
  return { width: 512, cols: 2, rows: 1, baseUrl: href, tileUrl: () => null };
}

export class Pyramid {
  static async open(tiles, panorama) {
    const archive = new pmtiles.PMTiles(tiles);
    const { panoveil } = await archive.getMetadata();
    return new Pyramid(archive, panoveil, tiles, panorama);
  }

  constructor(archive, facts, name, source) {
    Object.assign(this, { archive, facts, name, source });
    this.bands = new Map();
  }

  // What the viewer asks for: level 0 is zoom 1, for zoom 0 is half a tile.
  panorama(baseUrl) {
    const zooms = Array.from({ length: this.facts.zoom }, (_, level) => level + 1);
    const levels = zooms.map((zoom) => ({ width: this.facts.tile * 2 ** zoom, cols: 2 ** zoom, rows: 2 ** (zoom - 1) }));
    return { baseUrl, levels, tileUrl: (x, y, level) => `${this.name}#${level + 1}/${x}/${y}` };
  }

  holds(url) {
    return url.startsWith(`${this.name}#`);
  }

  async image(url) {
    const [zoom, x, y] = url.slice(this.name.length + 1).split("/").map(Number);
    if (zoom === this.facts.zoom) return this.finest(x, y);
    const tile = await this.archive.getZxy(zoom, x, y);
    return createImage(new Blob([tile.data], JPEG));
  }

  // A tile of the panorama's own pixels, cut out of the bands that it lies in.
  async finest(x, y) {
    const { tile, height, bands } = this.facts;
    const canvas = Object.assign(document.createElement("canvas"), { width: tile, height: tile });
    const context = canvas.getContext("2d");
    const last = Math.min((y + 1) * tile, height) - 1;
    const numbers = range(Math.floor((y * tile) / bands.rows), Math.floor(last / bands.rows));
    const pictures = await Promise.all(numbers.map((number) => this.band(number)));
    pictures.forEach((picture, index) => context.drawImage(picture, -x * tile, numbers[index] * bands.rows - y * tile));
    return canvas;
  }

  band(number) {
    if (!this.bands.has(number)) this.bands.set(number, this.decode(number));
    return this.bands.get(number);
  }

  async decode(number) {
    const { bands, height } = this.facts;
    const header = Uint8Array.from(atob(bands.header), (letter) => letter.charCodeAt(0));
    new DataView(header.buffer).setUint16(bands.height_at, Math.min(bands.rows, height - number * bands.rows));
    const scan = await part(this.source, ...bands.spans[number]);
    return createImageBitmap(new Blob([header, scan, END_OF_IMAGE], JPEG));
  }
}

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

async function part(url, first, end) {
  const answer = await fetch(url, { headers: { Range: `bytes=${first}-${end - 1}` } });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  const data = await answer.arrayBuffer();
  return answer.status === 206 ? data : data.slice(first, end);
}

async function createImage(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}
