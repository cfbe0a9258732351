// The servers behind this page: the page's own small server passes a prediction on to each, and takes the time.

/** Those that may be asked, and what is known of their models; none where the page lies on a static host. */
export async function served() {
  try {
    return await (await fetch('served.json')).json();
  } catch {
    return { servers: [], workloads: {} };
  }
}

/**
 * Ask one server for one prediction.
 *
 * Returns what an answer card shows: `probabilities` where there are such, else `fault` with the reason; `raw` is the
 * body as it came, `times` are milliseconds by what they were taken of.
 */
export async function ask(server, workload, body, labels, signal) {
  const began = performance.now();
  let exchange;
  try {
    const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body, signal };
    const response = await fetch(`predict/${server.key}/${workload}`, request);
    exchange = await response.json();
    if (!response.ok) return { fault: `the playground passed nothing on: ${exchange.error}`, times: {} };
  } catch (error) {
    if (signal.aborted) throw error;
    return { fault: 'the playground’s own server is gone: start loadtest playground again', times: {} };
  }
  const whole = performance.now() - began;
  const answered = exchange.status !== 0;
  const outcome = {
    raw: exchange.answer,
    status: exchange.status,
    times: answered ? { 'to its answer': exchange.exchange_ms, 'with the way from this page and back': whole } : {},
  };
  if (exchange.status !== 200) return { ...outcome, fault: told(exchange, workload, server) };
  const probabilities = read(exchange.answer, labels.length);
  return probabilities ? { ...outcome, probabilities } : { ...outcome, fault: 'its answer holds no probabilities: see below' };
}

/** Why there is no prediction, in words. */
function told({ status, fault, answer }, workload, server) {
  if (status === 0) {
    if (fault.startsWith('ConnectionRefused')) return 'is not up';
    if (fault.startsWith('TimeoutError')) return 'did not answer in time';
    return `gave no answer: ${fault}`;
  }
  if (status === 404) return `does not serve ${workload}`;
  if (status === 401 || status === 403) return `asks for a token: start the playground with the one that it was started with`;
  return `answered with an error, ${status}: ${answer.slice(0, 160)}`;
}

/** The first prediction of an answer; null where it is no list of so many numbers, 0 where it is not known how many. */
function read(text, count) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    return null;
  }
  const row = answer?.predictions?.[0];
  const fits = Array.isArray(row) && row.length > 0 && (count === 0 || row.length === count);
  return fits && row.every(Number.isFinite) ? row : null;
}

const LONGEST = 8000; // characters of a command that a terminal takes in one line

/** The command that asks the server itself, past this page; a long body comes from a file beside it. */
export function curl(server, workload, body) {
  const variable = server.token_variable;
  const token = variable ? ` -H "Authorization: Bearer \${${variable}:-$(cat "$${variable}_FILE")}"` : '';
  const data = body.length > LONGEST ? `@${workload}.request.json` : `'${body}'`;
  return `curl -H 'Content-Type: application/json'${token} -d ${data} ${server.urls[workload]}`;
}

export const isLong = (body) => body.length > LONGEST;
