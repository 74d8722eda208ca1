// Commands to a device. Nothing is thrown: the answer says what became of it.

const PATIENCE = 15e3; // ms; the server answers before, if it is there

// send returns {ok, message, code, operation}: ok when the device has accepted it, else why not, in its own words.
export async function send(id, input, body = {}) {
  const path = ['devices', id, ...input.split('/')].map(encodeURIComponent).join('/');
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      keepalive: true, // goes out even if the page is closed right after
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answer = await response.json().catch(() => null);
    const message = answer?.error?.message ?? (response.ok ? '' : `the dashboard answered ${response.status}`);
    return { ok: response.ok, message, code: answer?.error?.code, operation: response.ok || response.status === 409 ? answer : null };
  } catch (error) {
    const message = error.name === 'TimeoutError' ? `no answer for ${PATIENCE / 1000} s` : 'the dashboard cannot be reached';
    return { ok: false, message, code: '', operation: null };
  }
}

// details returns what the dashboard has in memory of a device, or null.
export async function details(id) {
  try {
    const response = await fetch(`devices/${encodeURIComponent(id)}`);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
