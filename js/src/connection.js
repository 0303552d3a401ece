import { io } from "socket.io-client";

import { Backoff } from "./backoff.js";

// Only until the server's handshake names its own, in milliseconds.
const DEFAULT_PATIENCE = 45_000;
// A connection that lasted this long, in milliseconds, was a good one.
const STEADY = 5_000;

/**
 * One page's connection, which comes back by itself until it is stopped.
 *
 * `refused(code, message)` answers what to do about a refusal: "stop", "later"
 * (the server is full) or "retry".
 */
export class Connection {
  state = "offline";
  #socket = null;
  #timer = null;
  #running = false;
  #ready = false;
  #refusedForNow = false;
  #transports = ["websocket", "polling"];
  #readyAt = 0;
  #heardAt = 0;
  #patience = DEFAULT_PATIENCE;

  /**
   * @param {object} options
   * @param {{origin: string, path: string}} options.address
   * @param {() => object} options.auth asked at each attempt
   * @param {(name: string, args: any[]) => void} options.onEvent
   * @param {(state: string, reason?: string) => void} options.onState
   * @param {(code: string, message: string) => string} options.onRefused
   * @param {Backoff} [options.backoff] after a failure
   * @param {Backoff} [options.slowBackoff] while the server is full
   * @param {number} [options.timeout] milliseconds an attempt may take
   */
  constructor({ address, auth, onEvent, onState, onRefused, backoff, slowBackoff, timeout = 20_000 }) {
    Object.assign(this, { address, auth, onEvent, onState, onRefused, timeout });
    // However long the server was away, all are back within four seconds of its return.
    this.backoff = backoff ?? new Backoff({ min: 500, max: 2_500 });
    this.slowBackoff = slowBackoff ?? new Backoff({ min: 10_000, max: 120_000 });
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#setState("connecting");
    this.#open();
  }

  /** @param {string} [reason] given to `disconnect` handlers */
  stop(reason = "stopped") {
    if (!this.#running) return;
    this.#running = false;
    this.#close();
    this.#setState("offline", reason);
  }

  /**
   * Emit an event, if the server is ready for one; whoever asks is asked again by `onEvent`
   * of the next `serverpush:ready`.
   * @param {string} name
   * @param {object} data
   * @param {(answer: any) => void} answered not called where the connection is lost meanwhile
   */
  ask(name, data, answered) {
    const socket = this.#socket;
    if (!this.#ready) return;
    socket.emit(name, data, (answer) => socket === this.#socket && answered(answer));
  }

  /** Look whether the connection is still there; if it is being waited for, try at once. */
  check() {
    if (!this.#running) return;
    if (this.#timer !== null && !this.#refusedForNow) this.#reopen("connecting");
    else if (this.#socket && Date.now() - this.#heardAt > this.#patience) this.#reopen("connecting", "silence");
  }

  /** The browser says that the network is gone; hearing anything at all disproves it. */
  networkLost() {
    if (this.#running) this.#setState("offline", "network");
  }

  // A handler of the state's change may have stopped or started us meanwhile.
  #open() {
    if (!this.#running || this.#socket) return;
    const socket = io(this.address.origin, {
      path: this.address.path,
      transports: this.#transports,
      tryAllTransports: true,
      withCredentials: true,
      auth: (send) => send(this.auth()),
      forceNew: true,
      autoConnect: false,
      reconnection: false,
      timeout: this.timeout,
    });
    this.#socket = socket;
    this.#heardAt = Date.now();
    socket.on("connect_error", (error) => this.#failed(error));
    socket.on("disconnect", (reason) => this.#lost(reason));
    socket.onAny((name, ...args) => this.#received(name, args));
    socket.connect();
    const engine = socket.io.engine;
    engine.on("handshake", (handshake) => {
      this.#patience = handshake.pingInterval + handshake.pingTimeout;
    });
    engine.on("heartbeat", () => this.#heard());
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#refusedForNow = false;
    this.#ready = false;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.off();
    socket.offAny();
    socket.disconnect();
  }

  #reopen(state, reason) {
    this.#close();
    this.#setState(state, reason);
    this.#open();
  }

  #received(name, args) {
    if (name === "serverpush:ready") {
      this.#ready = true;
      this.#readyAt = Date.now();
      this.slowBackoff.reset();
      this.onEvent(name, args);
      this.#heard();
    } else {
      this.onEvent(name, args);
    }
  }

  #heard() {
    this.#heardAt = Date.now();
    if (this.#ready) this.#setState("connected");
  }

  #lost(reason) {
    if (this.#ready && Date.now() - this.#readyAt >= STEADY) this.backoff.reset();
    this.#close();
    this.#setState("connecting", reason);
    this.#retryAfter(this.backoff.next());
  }

  #failed(error) {
    this.#close();
    // Where WebSockets vanish without an error, the other transport never got its turn.
    if (error.message === "timeout") this.#transports.reverse();
    const code = error.data?.code;
    const verdict = code ? this.onRefused(code, error.data.message ?? error.message) : "retry";
    if (verdict === "stop") {
      this.stop(code);
      return;
    }
    this.#setState("offline", code ?? error.message);
    this.#refusedForNow = verdict === "later";
    this.#retryAfter((this.#refusedForNow ? this.slowBackoff : this.backoff).next());
  }

  #retryAfter(wait) {
    if (!this.#running || this.#socket) return;
    this.#timer = setTimeout(() => this.#reopen(this.state), wait);
  }

  #setState(state, reason) {
    if (state === this.state) return;
    this.state = state;
    this.onState(state, reason);
  }
}
