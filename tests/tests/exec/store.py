#!/usr/bin/env python3
"""A store of one server, and its client for Plumbline's `exec` adapter: an example of both.

    plumbline run --system exec --nodes 1 --knows cas --nemesis kill \
        --server-command 'python3 store.py serve {client} {data}' --client-command 'python3 store.py client'

Every write is appended to a file and synced before it is acknowledged; with `--forgetful` it is not, and what was
acknowledged is lost when the server is killed.
"""

import json
import os
import socket
import socketserver
import sys
import threading


class Store:
    """The state, and the file that it can be had from again."""

    def __init__(self, folder, forgetful):
        self.values, self.lock, self.forgetful = {}, threading.Lock(), forgetful
        self.log = open(os.path.join(folder, "log"), "ab+", buffering=0)
        self.log.seek(0)
        text = self.log.read()
        whole = text.rfind(b"\n") + 1  # what comes after it is torn: it was not acknowledged
        self.log.truncate(whole)
        for line in text[:whole].splitlines():
            key, value = json.loads(line)
            self.values[key] = value

    def set(self, key, value):
        self.values[key] = value
        if not self.forgetful:
            self.log.write(json.dumps([key, value]).encode() + b"\n")
            os.fsync(self.log.fileno())

    def answer(self, request):
        with self.lock:
            op, key = request["op"], request.get("key")
            if op == "get":
                return {"value": self.values.get(key)}
            if op == "put":
                self.set(key, request["value"])
                return {}
            if op == "cas":
                done = self.values.get(key) == request["expected"]
                if done:
                    self.set(key, request["new"])
                return {"done": done}
            if op == "status":
                return {"term": 1, "leads": True}
            return {"error": f"no such request: {op}", "certain": True}


def serve(address, folder, forgetful):
    """Answers every line with a line."""
    store = Store(folder, forgetful)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                request = json.loads(line)
                answer = dict(store.answer(request), id=request["id"])
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    host, port = address.rsplit(":", 1)
    Server((host, int(port)), Handler).serve_forever()


def client():
    """Passes lines on to a server, and says what is certain when that fails."""
    endpoint = os.environ["PLUMBLINE_ENDPOINTS"].split(",")[0]
    host, port = endpoint.rsplit(":", 1)
    server = None
    for line in sys.stdin:
        request = json.loads(line)
        sent = False
        try:
            if server is None:
                server = socket.create_connection((host, int(port)), timeout=1).makefile("rw")
            sent = True
            server.write(line)
            server.flush()
            answer = server.readline()
            if not answer:
                raise OSError("the connection was closed")
        except OSError as error:
            server = None
            answer = json.dumps({"id": request["id"], "error": str(error), "certain": not sent}) + "\n"
        sys.stdout.write(answer)
        sys.stdout.flush()


if sys.argv[1:] == ["client"]:
    client()
elif len(sys.argv) >= 4 and sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3], "--forgetful" in sys.argv)
else:
    sys.exit(__doc__)
