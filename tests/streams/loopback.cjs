// Preloaded into kinesis-local, which listens on every address and cannot be told otherwise: whatever listens, listens on the loopback.
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  if (first !== null && typeof first === "object") return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
  return listen.call(this, { port: first, host: "127.0.0.1" }, ...rest.filter((argument) => typeof argument === "function"));
};
