import { Backoff, Throttle } from "./backoff.js";
import { Memory } from "./memory.js";

const JITTER = 3_000;

/** Fetches the page again: one fetch at a time, jittered, and never in a tight loop. */
export class Refresher {
  #timer = null;
  #fetching = null;

  /**
   * @param {object} options
   * @param {(html: string) => boolean} options.onPage the page has come; answers whether it is a new one
   * @param {(url: string) => void} options.onMoved it is elsewhere now: at a login page, say
   * @param {(failing: boolean) => void} options.onFailing whether the page can't be had for now
   * @param {(fetching: boolean) => void} options.onFetching whether the page is being fetched
   * @param {number} [options.jitter] milliseconds over which refreshes are spread
   * @param {Backoff} [options.backoff] after a failure
   * @param {Throttle} [options.throttle]
   * @param {() => number} [options.random] from 0 to 1
   */
  constructor({
    onPage,
    onMoved,
    onFailing,
    onFetching,
    jitter = JITTER,
    backoff,
    throttle,
    random = Math.random,
  }) {
    Object.assign(this, { onPage, onMoved, onFailing, onFetching, jitter, random });
    this.backoff = backoff ?? new Backoff({ min: 2_000, max: 300_000 });
    this.throttle = throttle ?? new Throttle({ memory: new Memory(window) });
    // Refreshes before a logout are no reason to show what is no longer to be seen.
    this.urgent = new Throttle();
  }

  /**
   * Ask for a refresh; one that is already under way serves this one too.
   * @param {number} [within] seconds over which the server wants it spread, as many are told
   */
  request(within = 0) {
    if (this.#timer !== null || this.#fetching !== null) return;
    this.#hold(Math.max(this.jitter, 1_000 * within) * this.random(), this.throttle);
  }

  /** Ask for one at once; what is being fetched may be from before the reason for this one. */
  requestNow() {
    this.stop();
    this.#hold(0, this.urgent);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#fetching?.abort();
    this.#fetching = null;
    this.onFetching(false);
  }

  #hold(wait, throttle) {
    const held = throttle.next(Date.now());
    if (held) this.onFailing(true);
    this.#schedule(wait + held);
  }

  #schedule(wait) {
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #run() {
    this.#timer = null;
    const fetching = (this.#fetching = new AbortController());
    this.onFetching(true);
    const outcome = await fetchPage(fetching.signal);
    if (fetching.signal.aborted) return;
    this.#fetching = null;
    const failed = outcome.failed ?? this.#handOver(outcome);
    this.onFetching(false);
    if (failed) {
      console.warn(`serverpush: can't refresh the page: ${failed}`);
      this.onFailing(true);
      this.#schedule(this.backoff.next());
    } else {
      this.backoff.reset();
      this.onFailing(false);
    }
  }

  /** Why what has come is of no use, if so. */
  #handOver({ moved, html }) {
    if (moved) this.onMoved(moved);
    else if (!this.onPage(html)) return "a cache answers with the page that is already shown";
    return null;
  }
}

async function fetchPage(signal) {
  const url = window.location.href.split("#")[0];
  try {
    return await readResponse(await get(url, { signal }), url);
  } catch (error) {
    if (!signal.aborted && (await isRedirect(url, signal))) return { moved: url };
    return { failed: error.message };
  }
}

function get(url, options) {
  return fetch(url, {
    cache: "no-store",
    credentials: "same-origin",
    headers: { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" },
    ...options,
  });
}

async function readResponse(response, url) {
  if (response.redirected && response.url.split("#")[0] !== url) return { moved: response.url };
  if (!response.ok) return { failed: `the server answers ${response.status}` };
  const type = response.headers.get("Content-Type") ?? "";
  if (!/html/i.test(type)) return { failed: `the server answers ${type || "without a type"}, not HTML` };
  return { html: await response.text() };
}

// A redirect to another origin can't be followed from here, only by the browser itself.
async function isRedirect(url, signal) {
  try {
    return (await get(url, { signal, redirect: "manual" })).type === "opaqueredirect";
  } catch {
    return false;
  }
}
