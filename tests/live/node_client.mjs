// Node's own client: connects with the auth given, prints each event as a line of JSON.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../js/package.json", import.meta.url));
const { io } = require("socket.io-client");

const [url, auth] = process.argv.slice(2);
const socket = io(url, { auth: JSON.parse(auth), reconnection: false });
socket.onAny((name, ...args) => console.log(JSON.stringify([name, args])));
socket.on("connect_error", (error) => {
  console.log(JSON.stringify(["connect_error", [error.message, error.data ?? null]]));
});
