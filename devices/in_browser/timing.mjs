// The time of a forward pass in a page, whose clock ticks in steps of 5 microseconds at best.

const LEAST_MS = 1;

/**
 * Time passes over instances that take turns. A sample is so many passes of one instance that it takes a millisecond,
 * divided by their number, so that the steps of the clock do not show.
 */
export async function timed(forward, instances, warmupMs, durationMs) {
  let once = Infinity;
  for (const end = performance.now() + warmupMs; performance.now() < end; ) {
    for (const one of instances) once = Math.min(once, await taken(forward, one, 1));
  }
  const passes = Math.max(1, Math.ceil(LEAST_MS / Math.max(once, 0.005)));
  const samples = [];
  for (const end = performance.now() + durationMs; performance.now() < end || samples.length < 2 * instances.length; ) {
    for (const one of instances) samples.push((await taken(forward, one, passes)) / passes);
  }
  samples.sort((a, b) => a - b);
  const middle = samples.length >> 1;
  const median = samples.length % 2 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  return { forward_ms: median, calls: samples.length * passes };
}

async function taken(forward, instance, passes) {
  const start = performance.now();
  for (let pass = 0; pass < passes; pass += 1) await forward(instance);
  return performance.now() - start;
}
