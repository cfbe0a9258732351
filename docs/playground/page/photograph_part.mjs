// The part of the page where a photograph is chosen, dropped or taken from the examples.

import { Asking } from './asking.mjs';
import { SIDE, requestOf, squareOf, valuesOf } from './photograph.mjs';

const TOP = 5; // classes of a thousand
const SAMPLE = 'chelsea.png';

export class PhotographPart {
  #chosen = 0;

  constructor(panel, served, models) {
    this.asking = new Asking(panel, 'imagenet', served, models, TOP);
    const find = (selector) => panel.querySelector(selector);
    this.canvas = find('.photograph');
    this.fault = find('.fault');
    const drop = find('.drop');
    const chooser = find('input[type=file]');
    chooser.addEventListener('change', () => chooser.files.length && this.#take(chooser.files[0]));
    find('.sample').addEventListener('click', async () => this.#take(await (await fetch(SAMPLE)).blob(), 'The cat Chelsea'));
    for (const kind of ['dragenter', 'dragover']) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add('over');
      });
    }
    for (const kind of ['dragleave', 'drop']) drop.addEventListener(kind, () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) this.#take(file);
      else this.fault.textContent = 'That is no file.';
    });
  }

  open() {
    this.asking.load();
  }

  async #take(blob, name = blob.name) {
    const number = ++this.#chosen; // of two, the later one is shown, whichever is read sooner
    this.fault.textContent = '';
    let square;
    try {
      square = await squareOf(blob);
    } catch {
      if (number === this.#chosen) this.fault.textContent = `${name} is no picture that this browser can read.`;
      return;
    }
    if (number !== this.#chosen) return;
    const shown = new ImageData(SIDE, SIDE);
    for (let at = 0; at < SIDE * SIDE; at++) shown.data.set([...square.subarray(at * 3, at * 3 + 3), 255], at * 4);
    this.canvas.getContext('2d').putImageData(shown, 0, 0);
    this.canvas.setAttribute('aria-label', `${name}, 224 by 224 pixels`);
    let body;
    this.asking.ask(valuesOf(square), () => (body ??= requestOf(square)));
  }
}
