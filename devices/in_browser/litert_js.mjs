// A .tflite file in the browser, by LiteRT.js in WebAssembly on one thread.

import { Tensor, loadAndCompile, loadLiteRt } from '@litertjs/core';

export async function load(url, inputs, outputs) {
  await loadLiteRt('/node_modules/@litertjs/core/wasm/litert_wasm_internal.js');
  const model = await loadAndCompile(url, { accelerator: 'wasm', cpuOptions: { numThreads: 1 } });
  const taken = inputs.map((name, position) => [name, of(model.getInputDetails(), name, position)]);
  const given = outputs.map((name, position) => [name, of(model.getOutputDetails(), name, position)]);
  return async (tensors) => {
    const feeds = {};
    for (const [name, { name: there, dtype }] of taken) feeds[there] = stored(tensors[name], dtype);
    const answered = await model.run(feeds);
    const answers = {};
    for (const [name, { name: there, shape }] of given) {
      answers[name] = { data: answered[there].toTypedArray().slice(), shape: [...shape] };
    }
    for (const tensor of [...Object.values(feeds), ...Object.values(answered)]) tensor.delete();
    return answers;
  };
}

/** A tensor of the file: by its name, or where the converter dropped names (args_0, output_0) by its position. */
function of(details, name, position) {
  return details.find((one) => one.name === name) ?? details.find((one) => one.name.endsWith(`_${position}`));
}

/** The numbers in the file's element type, which is int32 for PyTorch's int64. */
function stored({ data, shape }, dtype) {
  return new Tensor(dtype === 'int32' && data instanceof BigInt64Array ? Int32Array.from(data, Number) : data, shape);
}
