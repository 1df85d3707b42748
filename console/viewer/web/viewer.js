// Walks along a drive: a panorama, where it was taken, and what is known of it.
import { Viewer } from "@photo-sphere-viewer/core";
import { EquirectangularTilesAdapter } from "./vendor/psv/tiles.module.js";
import { DriveMap } from "./map.js";
import { Pyramid, whole } from "./pyramid.js";

const byId = (id) => document.getElementById(id);
const radians = (degrees) => (degrees * Math.PI) / 180;
const degrees = (radians) => (radians * 180) / Math.PI;

function complain(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
}

async function drive() {
  const answer = await fetch("drive.geojson");
  if (!answer.ok) throw new Error(await answer.text());
  const { features } = await answer.json();
  if (!features.length) throw new Error("Nothing of this drive is published.");
  return features;
}

function facts(item) {
  const { properties, geometry } = item;
  const [longitude, latitude] = geometry.coordinates;
  const heading = properties["panoveil:heading"] ?? null;
  return {
    Capture: properties["panoveil:capture_id"],
    Time: properties.datetime.replace("T", " ").replace(/\.(\d)\d*Z/, ".$1 UTC"),
    Position: `${latitude.toFixed(6)}, ${longitude.toFixed(6)}`,
    Heading: heading === null ? "unknown" : `${heading.toFixed(1)}°`,
    Recipe: properties["panoveil:recipe_id"],
  };
}

function list(element, pairs) {
  element.replaceChildren(
    ...Object.entries(pairs).flatMap(([name, value]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      text.textContent = value;
      return [term, text];
    }),
  );
}

// Turns a panorama that was not levelled: its middle looks `pitch` above the horizon, its right side hangs by `roll`.
function upright(properties) {
  const [pitch, roll] = ["pitch", "roll"].map((name) => radians(properties[`panoveil:${name}`] ?? 0));
  return { pan: 0, tilt: -pitch, roll };
}

class Walk {
  constructor(items) {
    this.items = items;
    this.at = 0; // where the person wants to be
    this.shown = null; // where they are
    this.walking = false;
    this.viewer = null;
    this.bearing = null; // where they look, in radians clockwise from north: it stays as they walk on
    this.map = new DriveMap(byId("map"), items, (at) => this.go(at));
    byId("drive").textContent = items[0].properties["panoveil:capture_id"].split("/").slice(0, 2).join("/");
    byId("previous").onclick = () => this.go(this.at - 1);
    byId("next").onclick = () => this.go(this.at + 1);
    addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.go(this.at + step);
    }
  }

  heading(at) {
    return radians(this.items[at].properties["panoveil:heading"] ?? 0);
  }

  // Whoever wants to go on while the next panorama is still coming is taken there when it has come.
  async go(at) {
    if (at < 0 || at >= this.items.length) return;
    this.at = at;
    this.tell(this.items[at]);
    if (this.walking) return;
    this.walking = true;
    try {
      while (this.shown !== this.at) await this.step(this.at);
      byId("trouble").hidden = true;
    } catch (error) {
      complain(`The panorama cannot be shown: ${error.message}`);
    }
    this.walking = false;
  }

  async step(at) {
    this.bearing ??= this.heading(at);
    await this.show(this.items[at], this.bearing - this.heading(at));
    this.shown = at;
    this.look();
  }

  tell(item) {
    byId("count").textContent = `Panorama ${this.at + 1} of ${this.items.length}`;
    byId("previous").disabled = this.at === 0;
    byId("next").disabled = this.at === this.items.length - 1;
    list(byId("facts"), facts(item));
    this.map.here(this.at);
    location.replace(`#${item.properties["panoveil:capture_id"].split("/")[2]}`);
  }

  // Only what is looked at is fetched, where the panorama comes in tiles; else all of it.
  async show(item, yaw) {
    const { tiles, thumbnail, panorama } = item.assets;
    this.pyramid = tiles ? await Pyramid.open(tiles.href, panorama.href) : null;
    const shown = this.pyramid ? this.pyramid.panorama(thumbnail?.href) : whole(panorama.href);
    const sphereCorrection = upright(item.properties);
    if (this.viewer) {
      const position = { yaw, pitch: this.viewer.getPosition().pitch };
      await this.viewer.setPanorama(shown, { position, sphereCorrection, transition: false, showLoader: false });
    } else {
      await this.open(shown, yaw, sphereCorrection);
    }
  }

  async open(panorama, defaultYaw, sphereCorrection) {
    const adapter = EquirectangularTilesAdapter.withConfig({ baseBlur: false });
    const container = byId("panorama");
    const navbar = ["zoom", "move", "fullscreen"];
    this.viewer = new Viewer({ container, adapter, panorama, defaultYaw, sphereCorrection, navbar, keyboard: false });
    const { textureLoader } = this.viewer;
    const load = textureLoader.loadImage.bind(textureLoader);
    textureLoader.loadImage = (url, ...rest) => (this.pyramid?.holds(url) ? this.pyramid.image(url) : load(url, ...rest));
    for (const what of ["position-updated", "zoom-updated"]) this.viewer.addEventListener(what, () => this.look());
    await new Promise((ready, failed) => {
      this.viewer.addEventListener("ready", ready, { once: true });
      this.viewer.addEventListener("panorama-error", ({ error }) => failed(error), { once: true });
    });
  }

  look() {
    if (this.shown === null) return;
    this.bearing = this.heading(this.shown) + this.viewer.getPosition().yaw;
    if (this.shown === this.at) this.map.look(this.at, degrees(this.bearing), this.viewer.state.hFov);
  }
}

try {
  const items = await drive();
  const walk = (window.walk = new Walk(items));
  const named = items.findIndex((item) => item.properties["panoveil:capture_id"].endsWith(`/${location.hash.slice(1)}`));
  await walk.go(Math.max(0, named));
  document.body.dataset.ready = "yes";
} catch (error) {
  complain(error.message);
}
