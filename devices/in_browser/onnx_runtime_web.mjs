// An ONNX file in the browser, by ONNX Runtime Web in WebAssembly on one thread.

import { InferenceSession, Tensor, env } from 'onnxruntime-web';

export async function load(url) {
  env.wasm.numThreads = 1;
  const file = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const session = await InferenceSession.create(file, { executionProviders: ['wasm'] });
  return async (tensors) => {
    const feeds = {};
    for (const name of session.inputNames) feeds[name] = new Tensor(tensors[name].data, tensors[name].shape);
    const answered = await session.run(feeds);
    const outputs = {};
    for (const name of session.outputNames) outputs[name] = { data: answered[name].data, shape: answered[name].dims };
    return outputs;
  };
}
