import { Client } from "./client.js";
import { swap } from "./swap.js";

/* global VERSION */

function install() {
  // An element with this id would be window.serverpush too.
  if (typeof window.serverpush?.on === "function") return;
  const client = new Client({ dataset: document.currentScript?.dataset });
  const waiting = new AbortController();
  const start = () => {
    waiting.abort();
    return client.start();
  };
  window.serverpush = {
    version: VERSION,
    on: (name, fn) => client.events.on(name, fn),
    subscribe: (tokens, fn, options) => client.subscribe(tokens, fn, options),
    registerProcessor: (name, type, fn) => client.subscriptions.process(name, type, fn),
    user: (token) => client.setUser(token),
    swap,
    start,
    stop() {
      waiting.abort();
      client.stop();
    },
    get state() {
      return client.state;
    },
    get server() {
      return client.server;
    },
    get connected() {
      return client.state === "connected";
    },
  };
  if (isParsed()) start();
  else {
    // Deferred scripts that come after this one have handlers to bind first.
    document.addEventListener("DOMContentLoaded", start, { signal: waiting.signal });
    window.addEventListener("load", start, { signal: waiting.signal });
  }
}

/** Whether DOMContentLoaded has come: in the state before "complete" it may have or not. */
function isParsed() {
  const [navigation] = performance.getEntriesByType?.("navigation") ?? [];
  return document.readyState === "complete" || navigation?.domContentLoadedEventStart > 0;
}

install();
