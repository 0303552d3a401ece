// Milliseconds.
const LONGEST_RETRY = 600_000;

/** What one token lets the page follow: a channel or a route. */
class Subscription {
  // Its channel's id or its route, as the server says.
  place = null;
  // How often in a row the server could not say whether it takes it.
  failures = 0;
  // Where the log stood when the server last took it.
  #position = null;

  constructor(token, name, fn, since) {
    Object.assign(this, { token, name, fn, since });
  }

  /**
   * What to ask the server for from now on. A safe position counts only if it came after the
   * server's answer: what was missed is sent next after that, and may have been lost on the way.
   * @param {string|null} safe the last safe position of the connection before this one
   */
  begin(safe) {
    if (safe !== null && this.#position !== null && safe > this.#position) this.since = safe;
    this.#position = null;
    return this.since;
  }

  taken(answer) {
    this.failures = 0;
    this.place = answer.channel ?? answer.route;
    this.#position = answer.position;
    // One that has no place of its own to begin at begins here.
    this.since ??= answer.position;
  }

  /** The server does not let the page follow it. */
  refused() {
    this.place = null;
  }

  /** What was missed is gone, and the page has been told: it goes on from here. */
  goOn() {
    if (this.#position !== null) this.since = this.#position;
  }
}

/** The channels and routes that a page follows, and who handles what comes from them. */
export class Subscriptions {
  #all = new Set();
  // Those that the server has yet to answer on this connection.
  #asked = new Set();
  // Those that have ended, of which the server is yet to be told.
  #ended = new Set();
  #processors = new Map();

  /**
   * @param {object} options
   * @param {(name: string, data: object, answered: (answer: object) => void) => void} options.ask
   *   emits an event, if connected
   * @param {(code: string, message: string) => void} options.onRefused
   * @param {(present: object, channel: string) => void} options.onPresent who is there, as of now
   * @param {number} [options.retryAfter] milliseconds, at most, until one is tried again that
   *   failed; doubled by each time that it fails next
   */
  constructor({ ask, onRefused, onPresent, retryAfter = 10_000 }) {
    Object.assign(this, { ask, onRefused, onPresent, retryAfter });
  }

  get size() {
    return this.#all.size;
  }

  /**
   * @param {string} token
   * @param {object} options
   * @param {string} [options.name] the page's own name for it
   * @param {(data: any, meta: object) => void} [options.fn]
   * @param {string|number} [options.since] where to begin; now, if there is none
   * @returns {() => void} ends it
   */
  add(token, { name, fn, since }) {
    if (typeof token !== "string" || token === "")
      throw new TypeError(`serverpush.subscribe: ${JSON.stringify(token)} is no token`);
    const subscription = new Subscription(token, name, fn, since);
    this.#all.add(subscription);
    this.#subscribe(subscription, null);
    return () => this.#end(subscription);
  }

  /**
   * @param {string} name the page's own name of a channel, or its id
   * @param {string} type of the data that is to be processed
   * @param {(data: any, meta: object) => void} fn
   */
  process(name, type, fn) {
    const key = JSON.stringify([name, type]);
    this.#processors.set(key, [...(this.#processors.get(key) ?? []), fn]);
  }

  /**
   * A new connection is there: subscribe to all.
   * @param {string|null} safe the last safe position of the one before
   */
  connected(safe) {
    this.#asked.clear();
    this.#ended.clear();
    for (const each of this.#all) this.#subscribe(each, safe);
  }

  /** The page was loaded again: what it shows is of `since`. */
  renewed(since) {
    for (const each of this.#all) each.since = since;
  }

  /** A channel's history is gone. */
  missed(place) {
    for (const each of this.#all) if (each.place === place) each.goOn();
  }

  /** @returns {(() => void)[]} what a message's handlers are to do */
  handlers(name, data, meta) {
    const place = meta?.channel ?? meta?.route;
    // Who is there has its channel in meta too, but nobody sent it there.
    if (place === undefined || name === "presence") return [];
    const those = [...this.#all].filter((each) => each.place === place);
    const names = new Set([place, ...those.map((each) => each.name)]);
    const keys = [...names].map((each) => JSON.stringify([each, data?.type]));
    const processors = keys.flatMap((key) => this.#processors.get(key) ?? []);
    const fns = those.flatMap(({ fn }) => fn ?? []);
    return [...fns, ...processors].map((fn) => () => fn(data, meta));
  }

  #subscribe(subscription, safe) {
    const since = subscription.begin(safe);
    const asked = { channel: subscription.token, ...(since === undefined ? {} : { since }) };
    this.#asked.add(subscription);
    this.ask("subscribe", asked, (answer) => this.#answered(subscription, answer));
  }

  #answered(subscription, answer) {
    this.#asked.delete(subscription);
    if (answer?.ok) subscription.taken(answer);
    else if (answer?.code !== "server_error") subscription.refused();
    if (this.#all.has(subscription)) this.#follow(subscription, answer);
    this.#leaveEnded();
  }

  #follow(subscription, answer) {
    if (answer?.ok) {
      // Whoever came or went while the page was away is not told again.
      if (answer.present) this.onPresent(answer.present, answer.channel);
    } else if (answer?.code === "server_error") {
      if (subscription.failures === 0) this.onRefused(answer.code, `${answer.error}; trying again`);
      this.#retry(subscription);
    } else this.onRefused(answer?.code, answer?.error);
  }

  // The server could not find out for now; another connection subscribes by itself.
  #retry(subscription) {
    const wait = Math.min(this.retryAfter * 2 ** subscription.failures++, LONGEST_RETRY) * Math.random();
    setTimeout(() => this.#all.has(subscription) && this.#subscribe(subscription, null), wait);
  }

  #end(subscription) {
    if (!this.#all.delete(subscription)) return;
    this.#ended.add(subscription);
    this.#leaveEnded();
  }

  // Only the server's answers tell which tokens are for the same place.
  #leaveEnded() {
    if (this.#asked.size > 0) return;
    const followed = new Set([null, ...[...this.#all].map(({ place }) => place)]);
    for (const { token, place } of this.#ended) {
      if (!followed.has(place)) this.ask("unsubscribe", { channel: token }, () => {});
      followed.add(place);
    }
    this.#ended.clear();
  }
}
