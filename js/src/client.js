import { Connection } from "./connection.js";
import { Events } from "./events.js";
import { Gate } from "./gate.js";
import { Lifecycle } from "./lifecycle.js";
import { canComeAgain, readPage, samePage, sameRendering, serverAddress } from "./page.js";
import { Refresher } from "./refresh.js";
import { isMessage, Replay } from "./replay.js";
import { Subscriptions } from "./subscriptions.js";
import { parse, swapDocument } from "./swap.js";

const REFUSED_TOKEN = ["token_expired", "session_mismatch", "bad_token"];
// Until this age in milliseconds, what a page shows of a channel is what it was rendered with.
const YOUNG = 30_000;
// A page that says nothing of itself may subscribe to channels all the same.
const NO_PAGE = { server: null };

function randomName() {
  // randomUUID is there on HTTPS and localhost only.
  const numbers = window.crypto.getRandomValues(new Uint32Array(4));
  return [...numbers].map((each) => each.toString(36)).join("");
}

/** Keeps one page live: reads its record, connects, applies events, refreshes. */
export class Client {
  state = "offline";
  #page = null;
  // The token of the same page with the dependencies that it has by now.
  #renewed = null;
  #replay = null;
  #connection = null;
  #running = false;
  #connectionState = "offline";
  #subscribed = false;
  #failing = false;
  // A refresh that the page was told of and has not had: stopping does not end it.
  #owed = false;
  #user = undefined;
  // The page's scripts hold tokens that are of no use any more: a fetched page does not run them.
  #loads = false;
  // By which the push server knows this page again when it comes back.
  tab = randomName();

  /**
   * @param {object} [options]
   * @param {DOMStringMap} [options.dataset] of the script element: `server`, `port`
   * @param {object} [options.refresher] options of Refresher
   * @param {(url: string) => void} [options.navigate]
   * @param {() => number} [options.age] of the page since it was asked for, in milliseconds
   */
  constructor({ dataset, refresher, navigate, age = () => performance.now() } = {}) {
    this.dataset = dataset;
    this.age = age;
    this.navigate = navigate ?? ((url) => window.location.replace(url));
    this.events = new Events(window);
    this.gate = new Gate((...message) => this.#hand(...message));
    this.subscriptions = new Subscriptions({
      ask: (...args) => this.#connection?.ask(...args),
      onRefused: (code, message) => this.#notSubscribed(code, message),
      onPresent: (present, channel) => this.gate.pass("presence", present, { channel }),
    });
    this.refresher = new Refresher({
      onPage: (html) => this.#refreshed(html),
      onMoved: (url) => this.navigate(url),
      onFailing: (failing) => this.#setFailing(failing),
      onFetching: (fetching) => (fetching ? this.gate.shut() : this.gate.open()),
      ...refresher,
    });
    this.lifecycle = new Lifecycle(window, {
      suspend: () => this.#connection?.stop("pagehide"),
      resume: () => this.#connection?.start(),
      check: () => this.#connection?.check(),
      networkLost: () => this.#connection?.networkLost(),
    });
  }

  /**
   * Go live. A page that is started again goes on where it stopped.
   * @returns {boolean} false if the page has nothing to be live about
   */
  start() {
    if (this.#running) return true;
    const isWanted = this.subscriptions.size > 0 || this.#user !== undefined;
    const page = readPage(document, window.location) ?? this.#page ?? (isWanted ? NO_PAGE : null);
    if (!page) {
      console.debug("serverpush: this page has no updates");
      return false;
    }
    this.#running = true;
    this.lifecycle.start();
    if (this.#page && samePage(page, this.#page)) {
      this.#connect();
      if (this.#owed) this.refresher.request();
    } else this.#adopt(page);
    return true;
  }

  /**
   * Follow channels or routes; goes live if the page is not.
   * @param {string|Object<string, string>} tokens one, or several by names of the page's own
   * @param {(data: any, meta: object) => void} [fn]
   * @param {object} [options]
   * @param {string|number|null} [options.since] replay what came after it; if there is none, what
   *   came after the page was rendered, or nothing if that is long ago; null for nothing
   * @returns {() => void} ends it
   */
  subscribe(tokens, fn, { since = this.#since() } = {}) {
    const named = typeof tokens === "object" && tokens !== null ? Object.entries(tokens) : [[undefined, tokens]];
    const options = { fn, since: since ?? undefined };
    const stops = named.map(([name, token]) => this.subscriptions.add(token, { ...options, name }));
    this.#startIfParsed();
    return () => stops.forEach((stop) => stop());
  }

  /** Connect as the user whose token this is: for a page or a client without a session. */
  setUser(token) {
    this.#user = token || undefined;
    if (!this.#running) this.#startIfParsed();
    else if (this.#connection) {
      this.#disconnect("user");
      this.#connect();
    }
  }

  // Before, its record may be yet to come; then the page starts by itself.
  #startIfParsed() {
    if (document.readyState !== "loading") this.start();
  }

  #since() {
    if (this.age() > YOUNG) return undefined;
    return (this.#page ?? readPage(document, window.location))?.since;
  }

  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.lifecycle.stop();
    this.refresher.stop();
    this.#failing = false;
    this.#disconnect("stopped");
  }

  #adopt(page) {
    this.#page = page;
    this.#renewed = null;
    this.#owed = false;
    // What is shown now is of another time, if it was shown before.
    if (this.#replay) this.subscriptions.renewed(page.since);
    this.#replay = this.#replay?.renewed(page.since) ?? new Replay(page.since);
    this.#connect();
  }

  #connect() {
    this.#connection = new Connection({
      address: serverAddress(this.#page, this.dataset, window.location),
      auth: () => this.#auth(),
      onEvent: (name, args) => this.#received(name, args),
      onState: (state, reason) => this.#changed(state, reason),
      onRefused: (code, message) => this.#refused(code, message),
    });
    this.#connection.start();
  }

  #disconnect(reason) {
    this.#connection?.stop(reason);
    this.#connection = null;
    this.#show();
  }

  #auth() {
    const { url, query } = this.#page;
    const page = this.#renewed ?? this.#page.token;
    const user = this.#user;
    const since = this.#replay.since;
    const entries = Object.entries({ page, url, query, user, since, tab: this.tab });
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  #received(name, [data, meta]) {
    if (name === "serverpush:ready") {
      // It comes again to a quiet page; of channels, yet to be subscribed to, it says nothing.
      if (!this.#subscribed) this.subscriptions.connected(this.#replay.safe);
      this.#subscribed = true;
      this.server = data?.server;
      this.#replay.ready(data?.position, data?.live);
    } else if (name === "serverpush:refresh") this.#refresh(data ?? {});
    else if (name === "serverpush:logout") this.#logout(data ?? {});
    else if (!name.startsWith("serverpush:")) this.#update(name, data, meta);
  }

  #update(name, data, meta) {
    if (typeof meta?.page === "string" && this.#page.token) this.#renewed = meta.page;
    if (!this.#replay.take(meta)) return;
    // What a message's handlers show, a page that is swapped in would not have, and they run once.
    if (isMessage(meta)) this.gate.pass(name, data, meta);
    else this.#hand(name, data, meta);
  }

  #hand(name, data, meta) {
    for (const handle of this.subscriptions.handlers(name, data, meta)) this.events.guard(handle);
    this.events.update(name, data, meta);
  }

  #notSubscribed(code, message) {
    if (code !== "token_expired") console.error(`serverpush: can't subscribe: ${message}`);
    if (!REFUSED_TOKEN.includes(code)) return;
    this.#loads = true;
    this.#refresh({ reason: code });
  }

  get #hasTokens() {
    return this.subscriptions.size > 0 || this.#user !== undefined;
  }

  #refresh(data) {
    const place = data.channel ?? data.route;
    if (place !== undefined) this.subscriptions.missed(place);
    const isAllowed = this.events.control("refresh", data);
    // One that can't be had again by its URL, such as the answer to a POST, is left alone.
    if (!isAllowed || !this.#canComeAgain) {
      if (place === undefined) this.#replay.restart();
    } else {
      this.#owed = true;
      this.refresher.request(data.within);
    }
  }

  get #canComeAgain() {
    return canComeAgain(this.#page);
  }

  #logout(data) {
    this.#disconnect("logout");
    this.#loads ||= this.#hasTokens;
    this.#user = undefined;
    if (this.events.control("logout", data) && this.#canComeAgain) {
      this.#owed = true;
      this.refresher.requestNow();
    }
  }

  #refused(code, message) {
    if (code === "too_many_connections") return "later";
    if (REFUSED_TOKEN.includes(code)) {
      this.#loads ||= this.#hasTokens;
      this.#refresh({ reason: code });
    } else if (code === "page_not_found") console.warn(`serverpush: the push server knows no such page: ${message}`);
    else if (code === "origin_refused")
      console.error(
        `serverpush: the push server refuses ${window.location.origin}; name it in SERVERPUSH_ALLOWED_ORIGINS`,
      );
    else return "retry";
    return "stop";
  }

  #refreshed(html) {
    if (this.#loads) return this.#load();
    try {
      return this.#replace(parse(html));
    } catch (error) {
      console.error("serverpush: can't swap the page in, loading it instead:", error);
      return this.#load();
    }
  }

  #load() {
    this.#disconnect("refresh");
    this.navigate(window.location.href.split("#")[0]);
    return true;
  }

  #replace(parsed) {
    const page = readPage(parsed, window.location);
    if (page && this.#page && sameRendering(page, this.#page)) return false;
    this.#disconnect("refresh");
    swapDocument(parsed);
    if (page) this.#adopt(page);
    else this.#page = null;
    return true;
  }

  #changed(state, reason) {
    const before = this.#connectionState;
    this.#connectionState = state;
    if (state !== "connected") this.#subscribed = false;
    this.#show();
    if (state === "connected") this.events.control("connect", {});
    else if (before === "connected") this.events.control("disconnect", { reason });
  }

  #setFailing(failing) {
    this.#failing = failing;
    this.#show();
  }

  #show() {
    this.state = this.#failing ? "offline" : (this.#connection?.state ?? "offline");
    document.documentElement.dataset.serverpush = this.state;
  }
}
