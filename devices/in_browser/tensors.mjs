// Messages as devices/browser.py packs them: the length of a JSON text, the text, and the bytes of the tensors it names.

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array };
const ALIGNED = 8;

/** A message as what it tells, and instances: tensors by name, each with `data` and `shape`. */
export function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = after(4 + length);
  const instances = (told.instances ?? []).map((instance) =>
    Object.fromEntries(
      instance.map(({ name, dtype, shape }) => {
        const size = shape.reduce((product, one) => product * one, 1);
        const data = new ARRAYS[dtype](buffer, at, size);
        at = after(at + data.byteLength);
        return [name, { data, shape }];
      }),
    ),
  );
  return { told, instances };
}

/** A message that tells something and holds the tensors of one instance. */
export function packed(told, tensors) {
  const names = Object.keys(tensors);
  const described = names.map((name) => ({ name, dtype: dtypeOf(tensors[name].data), shape: tensors[name].shape }));
  const text = new TextEncoder().encode(JSON.stringify({ ...told, instances: names.length ? [described] : [] }));
  let size = after(4 + text.length);
  const places = names.map((name) => {
    const place = size;
    size = after(size + tensors[name].data.byteLength);
    return place;
  });
  const whole = new Uint8Array(size);
  new DataView(whole.buffer).setUint32(0, text.length, true);
  whole.set(text, 4);
  names.forEach((name, index) => {
    const { buffer, byteOffset, byteLength } = tensors[name].data;
    whole.set(new Uint8Array(buffer, byteOffset, byteLength), places[index]);
  });
  return whole;
}

const dtypeOf = (data) => Object.keys(ARRAYS).find((name) => data instanceof ARRAYS[name]);
const after = (place) => Math.ceil(place / ALIGNED) * ALIGNED;
