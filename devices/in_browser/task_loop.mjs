// Takes one task after the other from devices/browser.py, does it and brings the outcome, until the browser is ended.

import { packed, unpacked } from './tensors.mjs';
import { timed } from './timing.mjs';

let forward = null;

const TASKS = {
  /** Import a runtime and load the file: what a page does before its first answer. */
  async load({ runtime, inputs, outputs }) {
    const start = performance.now();
    const { load } = await import(`./${runtime}.mjs`);
    forward = await load('/export', inputs, outputs);
    return { told: { seconds: (performance.now() - start) / 1000 } };
  },

  /** Answer one instance. */
  async answer(_, [tensors]) {
    return { told: {}, tensors: await forward(tensors) };
  },

  /** Time passes of one instance, over instances that take turns. */
  async time({ warmup_s: warmup, seconds }, instances) {
    return { told: await timed(forward, instances, warmup * 1000, seconds * 1000) };
  },
};

for (;;) {
  const { told: task, instances } = unpacked(await (await fetch('/task')).arrayBuffer());
  let outcome;
  try {
    outcome = await TASKS[task.name](task, instances);
  } catch (error) {
    outcome = { told: { refused: `${error?.name ?? 'Error'}: ${error?.message ?? error}` } };
  }
  await fetch('/outcome', { method: 'POST', body: packed(outcome.told, outcome.tensors ?? {}) });
}
