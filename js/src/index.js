import { Client } from "./client.js";
import { swap } from "./swap.js";

/* global VERSION */

function install() {
  // An element with this id would be window.serverpush too.
  if (typeof window.serverpush?.on === "function") return;
  const client = new Client({ dataset: document.currentScript?.dataset });
  const start = () => client.start();
  window.serverpush = {
    version: VERSION,
    on: (name, fn) => client.events.on(name, fn),
    swap,
    start,
    stop() {
      document.removeEventListener("DOMContentLoaded", start);
      client.stop();
    },
    get state() {
      return client.state;
    },
    get connected() {
      return client.state === "connected";
    },
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start, { once: true });
  else start();
}

install();
