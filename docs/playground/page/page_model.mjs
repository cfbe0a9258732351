// The exported model, computed in this page by ONNX Runtime Web: WebAssembly on one thread, which needs no isolation.

const RUNTIME = new URL('../vendor/ort.wasm.bundle.min.mjs', import.meta.url).href;

/** Why the page has no model of its own, in words for its reader. */
export class NoModel extends Error {}

export class PageModel {
  #queue = Promise.resolve();

  /** Load the file that a description names, and let it answer once, so that no first time is told. */
  static async load(description) {
    const runtime = await loadRuntime();
    const file = await (await fetched(`models/${description.workload}/${description.exports.onnx.file}`)).arrayBuffer();
    const session = await runtime.InferenceSession.create(file, { executionProviders: ['wasm'] });
    const model = new PageModel(runtime, session, description);
    await model.predict(new Float32Array(model.values));
    return model;
  }

  constructor(runtime, session, description) {
    const [input] = description.inputs;
    Object.assign(this, { runtime, session });
    this.shape = [1, ...input.shape];
    this.values = this.shape.reduce((product, size) => product * size);
  }

  /** The probabilities of one input, and the milliseconds of the forward pass. One at a time, in their order. */
  predict(values) {
    const answer = this.#queue.then(() => this.#run(values));
    this.#queue = answer.catch(() => {});
    return answer;
  }

  async #run(values) {
    const input = new this.runtime.Tensor('float32', values, this.shape);
    const began = performance.now();
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    const ms = performance.now() - began;
    return { probabilities: [...outputs[this.session.outputNames[0]].data], ms };
  }
}

/** What `models/NAME/NAME.json` says of a model. */
export const described = async (name) => (await fetched(`models/${name}/${name}.json`)).json();

async function loadRuntime() {
  let runtime;
  try {
    runtime = await import(RUNTIME);
  } catch {
    throw new NoModel('The runtime of this page’s own model is not here: run scripts/playground, then load the page again.');
  }
  runtime.env.wasm.numThreads = 1;
  return runtime;
}

async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) throw new NoModel(`${path} is not here (${response.status}).`);
  return response;
}
