// Preloaded by the Observatory, which asks a name on the ports 80 and 443: go to the host that is graded.
import net from "node:net";

const { GRADE_ADDRESS, GRADE_HTTP, GRADE_HTTPS } = process.env;
const ports = { 80: GRADE_HTTP, 443: GRADE_HTTPS };
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...words) {
  const options = Array.isArray(words[0]) ? words[0][0] : words[0];
  options.host = GRADE_ADDRESS;
  options.port = Number(ports[options.port] ?? options.port);
  return connect.apply(this, words);
};
