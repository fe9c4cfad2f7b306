#!/usr/bin/env python3
"""pgsteward's deliveries beside Alertmanager's, in one run, by one webhook receiver that counts what it takes.

usage: benches/alertmanager.py ALERTMANAGER DELIVERY ALERTS [N=10000]

ALERTMANAGER is its program; DELIVERY and ALERTS are the programs of `cargo bench --no-run` (`--bench delivery`, `--bench alerts`).
Each alert is a group of its own on both sides, so one notice each. Told twice: accepted deliveries of an alert beyond the first.
"""
import collections
import datetime
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

AM, DELIVERY, ALERTS = sys.argv[1:4]
N = int(sys.argv[4]) if len(sys.argv) > 4 else 10_000


class Receiver:
    """Takes webhook bodies and counts alerts by fingerprint; answers 500 while told to."""

    def __init__(self):
        self.seen, self.refused, self.first, self.fails_until = collections.Counter(), 0, None, 0.0
        lock, me = threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fails = time.time() < me.fails_until
                with lock:
                    if fails:
                        me.refused += 1
                    else:
                        me.first = me.first or time.time()
                        for alert in json.loads(body)["alerts"]:
                            me.seen[alert["fingerprint"]] += 1
                self.send_response(500 if fails else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size, daemon_threads = 1024, True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settle(self, quiet=8, most=180):
        """Until nothing has come for a while."""
        last, since, began = None, time.time(), time.time()
        while time.time() - began < most and time.time() - since < quiet:
            now = (sum(self.seen.values()), self.refused)
            if now != last:
                last, since = now, time.time()
            time.sleep(0.1)

    def shows(self, expected):
        taken = sum(self.seen.values())
        return f"taken {taken}, told twice {taken - len(self.seen)}, lost {expected - len(self.seen)}, answered with 500: {self.refused}"


def cpu_us(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
        except OSError:
            pass
    return total / 1e3


def peak_mb(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


class Alertmanager:
    def __init__(self, receiver):
        self.folder = tempfile.mkdtemp()
        # Below the ports that clients are given: a client that asks one of those too early is connected to itself.
        self.port = 10_000 + receiver.port % 20_000
        route = "{receiver: w, group_by: [alertname, id], group_wait: 0s, group_interval: 5s, repeat_interval: 4h}"
        hook = f"{{url: 'http://127.0.0.1:{receiver.port}/', send_resolved: false}}"
        with open(f"{self.folder}/am.yml", "w") as config:
            config.write(f"route: {route}\nreceivers: [{{name: w, webhook_configs: [{hook}]}}]\n")
        self.start()

    def start(self):
        arguments = [f"--config.file={self.folder}/am.yml", f"--storage.path={self.folder}/data", "--cluster.listen-address=", "--log.level=error"]
        arguments.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self.process = subprocess.Popen([AM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(400):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5)
            except OSError:
                time.sleep(0.05)
        sys.exit("Alertmanager does not start")

    def feed(self, count=N):
        end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for first in range(0, count, 500):
            alerts = [
                {
                    "labels": {"alertname": "TableBloat", "id": f"a{n}", "severity": "warning", "server": "db1", "relname": f"t_{n}"},
                    "annotations": {"summary": f"table t_{n} has 31 % dead rows"},
                    "endsAt": end,
                }
                for n in range(first, min(first + 500, count))
            ]
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=60).read()

    def stop(self):
        self.process.kill()
        self.process.wait()


def sender(receiver, folder, count=N):
    return subprocess.Popen([DELIVERY, "sender", folder, str(receiver.port), str(count)], stdout=subprocess.PIPE, text=True)


def all_well():
    receiver = Receiver()
    am = Alertmanager(receiver)
    before = cpu_us(am.process.pid)
    am.feed()
    receiver.settle()
    fed = cpu_us(am.process.pid)
    print(f"  Alertmanager  {(fed - before) / N:.0f} us of CPU an alert, {peak_mb(am.process.pid):.0f} MB at most; {receiver.shows(N)}")
    am.feed()
    receiver.settle(4)
    print(f"  Alertmanager  fed the same again: {(cpu_us(am.process.pid) - fed) / N:.1f} us an alert")
    am.stop()
    receiver = Receiver()
    print(f"  pgsteward     {sender(receiver, tempfile.mkdtemp()).communicate()[0].strip()}; {receiver.shows(N)}")
    print("  pgsteward     " + "\n                ".join(subprocess.run([ALERTS, str(N)], capture_output=True, text=True).stdout.strip().splitlines()))


def receiver_fails():
    receiver = Receiver()
    am = Alertmanager(receiver)
    receiver.fails_until = time.time() + 30
    am.feed()
    time.sleep(30)
    receiver.settle(12)
    print(f"  Alertmanager  {receiver.shows(N)}")
    am.stop()
    receiver = Receiver()
    receiver.fails_until = time.time() + 30
    process = sender(receiver, tempfile.mkdtemp())
    process.communicate()
    print(f"  pgsteward     {receiver.shows(N)}")


def killed():
    half = N // 2
    receiver = Receiver()
    am = Alertmanager(receiver)
    am.feed(half)
    am.stop()
    am.start()
    receiver.settle()
    print(f"  Alertmanager  killed when it had accepted {half}: {receiver.shows(half)}")
    am.feed(half)
    receiver.settle()
    print(f"  Alertmanager  and fed the same again by its client: {receiver.shows(half)}")
    am.stop()
    receiver, folder = Receiver(), tempfile.mkdtemp()
    process = sender(receiver, folder)
    while sum(receiver.seen.values()) < half:
        time.sleep(0.001)
    process.kill()
    process.wait()
    sender(receiver, folder, 0).communicate()
    print(f"  pgsteward     killed when {half} of {N} were taken, and started again: {receiver.shows(N)}")


for title, scenario in [("All well", all_well), ("The receiver says 500 for 30 s", receiver_fails), ("kill -9", killed)]:
    print(f"{title}, {N} alerts", flush=True)
    scenario()
