// Socket.IO on Node: POST /publish sends one event to all.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { Server } = createRequire(`${process.env.MODULES}/`)("socket.io");
const event = JSON.parse(process.env.EVENT);

const http = createServer((request, response) => {
  if (request.method === "POST" && request.url === "/publish") {
    io.emit("bench", event);
    response.end();
  }
});
const io = new Server(http);
http.listen(0, "127.0.0.1", () => console.log(`ready ${http.address().port}`));
