// Where the page begins: it asks what there is to be asked, and opens one part for each kind of input.

import { DigitsPart } from './digits_part.mjs';
import { PhotographPart } from './photograph_part.mjs';
import { served } from './servers.mjs';
import { Tabs } from './tabs.mjs';

const [known, models] = await Promise.all([served(), fetch('models/index.json').then((response) => response.json())]);
const parts = {
  digits: new DigitsPart(document.querySelector('#digits'), known, models),
  imagenet: new PhotographPart(document.querySelector('#imagenet'), known, models),
};
new Tabs(document.querySelector('[role=tablist]'), (name) => parts[name].open());
