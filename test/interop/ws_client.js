// The npm package ws, steered by JSON lines on standard input, telling what
// happens in JSON lines on standard output. driver_test.go has the vocabulary;
// websockets_client.py is the same around another library.
'use strict';

const http = require('node:http');
const readline = require('node:readline');
const WebSocket = require('ws');

const connections = new Map();

function tell(id, event, more) {
  process.stdout.write(JSON.stringify({ id, event, ...more }) + '\n');
}

// deflate turns the offer into the options of ws. false: none is made.
function deflate(offer) {
  if (!offer) return false;
  const options = { threshold: 0 }; // deflate whatever is sent, however short
  if (offer.server_max_window_bits) options.serverMaxWindowBits = offer.server_max_window_bits;
  if (offer.client_max_window_bits) options.clientMaxWindowBits = offer.client_max_window_bits;
  if (offer.no_context_takeover) {
    options.serverNoContextTakeover = true;
    options.clientNoContextTakeover = true;
  }
  return options;
}

function open(command, agent, usedPort) {
  const id = command.id;
  const socket = new WebSocket(command.url, {
    agent,
    autoPong: !command.mute,
    origin: command.origin || undefined,
    perMessageDeflate: deflate(command.offer),
  });
  connections.set(id, socket);
  let extensions = '';
  let refused = false;
  socket.on('upgrade', (response) => {
    extensions = response.headers['sec-websocket-extensions'] || '';
  });
  socket.on('unexpected-response', (request, response) => {
    refused = true;
    const body = [];
    response.on('data', (chunk) => body.push(chunk));
    response.on('end', () => {
      tell(id, 'refused', { code: response.statusCode, reason: Buffer.concat(body).toString(), retry_after: response.headers['retry-after'] || '' });
      request.destroy();
    });
  });
  socket.on('open', () => {
    tell(id, 'open', { extensions, same_port: socket._socket.localPort === usedPort });
  });
  socket.on('message', (data, binary) => tell(id, 'message', { text: !binary, data: data.toString('base64') }));
  socket.on('ping', (data) => tell(id, 'ping', { data: data.toString('base64') }));
  socket.on('pong', (data) => tell(id, 'pong', { data: data.toString('base64') }));
  socket.on('error', (error) => refused || tell(id, 'error', { reason: error.message }));
  socket.on('close', (code, reason) => refused || tell(id, 'close', { code, reason: reason.toString() }));
}

// openLater asks /health first and upgrades on the connection that this used.
function openLater(command) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const url = new URL(command.url.replace(/^ws/, 'http'));
  url.pathname = '/health';
  url.search = '';
  http.get(url, { agent }, (response) => {
    const port = response.socket.localPort;
    response.resume();
    // The agent takes the socket back only after this event.
    response.on('end', () => setImmediate(() => open(command, agent, port)));
  });
}

function send(socket, command) {
  const parts = command.parts.map((part) => Buffer.from(part, 'base64'));
  parts.forEach((part, i) => {
    socket.send(part, { binary: !command.text, fin: i === parts.length - 1 });
  });
}

const operations = {
  open: (_, command) => (command.keep_alive ? openLater(command) : open(command)),
  send,
  ping: (socket, command) => socket.ping(Buffer.from(command.parts[0], 'base64')),
  close: (socket, command) => (command.code ? socket.close(command.code, command.reason) : socket.close()),
  raw: (socket, command) => socket._socket.write(Buffer.from(command.parts[0], 'base64')),
  wire: (socket, command) => tell(command.id, 'wire', { received: socket._socket.bytesRead }),
};

const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => {
  const command = JSON.parse(line);
  operations[command.op](connections.get(command.id), command);
});
input.on('close', () => process.exit(0));
