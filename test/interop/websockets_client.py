"""The Python package websockets, steered by JSON lines on standard input, telling
what happens in JSON lines on standard output. driver_test.go has the vocabulary;
ws_client.js is the same around another library."""

import asyncio
import base64
import http.client
import json
import sys
import urllib.parse

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode

connections = {}
tasks = set()


def tell(id, event, **more):
    print(json.dumps({"id": id, "event": event, **more}), flush=True)


def encode(data):
    return base64.b64encode(data).decode()


class Connection(ClientConnection):
    """Tells of pings, counts the bytes that arrive, and can be mute to pings."""

    received = 0
    id = None
    mute = False

    def data_received(self, data):
        self.received += len(data)
        if self.mute:
            # The protocol answers pings while it reads; nobody looks at its answers here.
            self.protocol.receive_data(data)
            self.protocol.data_to_send()
            return
        super().data_received(data)

    def process_event(self, event):
        if getattr(event, "opcode", None) is Opcode.PING:
            tell(self.id, "ping", data=encode(bytes(event.data)))
        super().process_event(event)


def extensions(offer):
    if offer is None:
        return []
    none_kept = bool(offer.get("no_context_takeover"))
    return [
        ClientPerMessageDeflateFactory(
            server_no_context_takeover=none_kept,
            client_no_context_takeover=none_kept,
            server_max_window_bits=offer.get("server_max_window_bits") or None,
            client_max_window_bits=offer.get("client_max_window_bits") or True,
        )
    ]


def used_socket(url):
    """A connection on which /health was asked already."""
    parts = urllib.parse.urlsplit(url)
    first = http.client.HTTPConnection(parts.hostname, parts.port)
    first.request("GET", "/health")
    first.getresponse().read()
    return first.sock


async def live(command):
    id, url = command["id"], command["url"]
    more = {}
    if command.get("keep_alive"):
        more["sock"] = used_socket(url)

    def made(*args, **kwargs):
        connection = Connection(*args, **kwargs)
        connection.id = id
        return connection

    try:
        connection = await connect(
            url,
            origin=command.get("origin") or None,
            compression=None,
            extensions=extensions(command.get("offer")),
            proxy=None,
            ping_interval=None,
            close_timeout=5,
            max_size=None,
            max_queue=None,
            create_connection=made,
            process_exception=lambda error: error,
            **more,
        )
    except InvalidStatus as refused:
        response = refused.response
        tell(id, "refused", code=response.status_code, reason=bytes(response.body).decode(),
             retry_after=response.headers.get("Retry-After", ""))
        return
    connection.mute = bool(command.get("mute"))
    connections[id] = connection
    tell(id, "open", extensions=connection.response.headers.get("Sec-WebSocket-Extensions", ""),
         same_port="sock" in more)
    try:
        while True:
            data = await connection.recv()
            text = isinstance(data, str)
            tell(id, "message", text=text, data=encode(data.encode() if text else data))
    except ConnectionClosed:
        tell(id, "close", code=connection.close_code, reason=connection.close_reason)


async def send(connection, command):
    parts = [base64.b64decode(part) for part in command["parts"]]
    if len(parts) == 1:
        await connection.send(parts[0], text=command["text"])
        return
    await connection.send(parts, text=command["text"])


async def ping(connection, command):
    data = base64.b64decode(command["parts"][0])
    await (await connection.ping(data))
    tell(command["id"], "pong", data=encode(data))


async def close(connection, command):
    if command.get("code"):
        await connection.close(command["code"], command.get("reason", ""))
        return
    # close() always sends a code; the layer below can do without.
    connection.protocol.send_close()
    connection.send_data()


async def raw(connection, command):
    connection.transport.write(base64.b64decode(command["parts"][0]))


async def wire(connection, command):
    tell(command["id"], "wire", received=connection.received)


OPERATIONS = {"send": send, "ping": ping, "close": close, "raw": raw, "wire": wire}


async def attempt(command):
    try:
        if command["op"] == "open":
            await live(command)
        else:
            await OPERATIONS[command["op"]](connections[command["id"]], command)
    except ConnectionClosed:
        pass  # whoever reads tells of it
    except Exception as error:
        tell(command["id"], "error", reason=f"{type(error).__name__}: {error}")


async def main():
    lines = asyncio.StreamReader(limit=1 << 28)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    last = {}
    while line := await lines.readline():
        command = json.loads(line)
        before = last.get(command["id"]) if command["op"] != "open" else None

        async def in_turn(command=command, before=before):
            if before:
                await before
            await attempt(command)

        task = asyncio.create_task(in_turn())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # Sends go out in the order they were asked for; pings and closes wait for answers, which nothing may wait for.
        last[command["id"]] = task if command["op"] == "send" else None


asyncio.run(main())
