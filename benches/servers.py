#!/usr/bin/env python3
"""What looking costs, on a small and a big server: CPU and memory of `check` and of a service, CPU of the server, bytes on
the wire, and the private memory of the backend that is asked. Needs a release build, PostgreSQL server binaries with pg_stat_statements,
psql, and Linux; with CHECK_POSTGRES=/path/to/check_postgres.pl its actions run between ours.

usage: benches/servers.py PG_BINDIR [small|big|all]     (as root the server runs as `postgres`)
"""
import os, pwd, re, resource, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

BIN, WHAT = sys.argv[1], (sys.argv[2:] or ['all'])[0]
OURS = os.environ.get('PGSTEWARD', os.path.join(os.environ.get('CARGO_TARGET_DIR', 'target'), 'release', 'pgsteward'))
LAB = tempfile.mkdtemp(prefix='pgsteward-bench-')
os.chmod(LAB, 0o755)
DATA, PORT, TICK = f'{LAB}/data', 55977, os.sysconf('SC_CLK_TCK')
median = statistics.median
# Frames that are not due at every tick, and those of them that cost most.
RARE = ['tables', 'indexes', 'sizes', 'sequences', 'statement_texts', 'settings', 'extensions', 'freeze', 'io', 'temp', 'wal']
HEAVY = ['tables', 'indexes', 'sizes', 'statement_texts']


def as_server(*command):
    root = os.geteuid() == 0
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd='/', user='postgres' if root else None)


def psql(sql, database='postgres'):
    command = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', LAB, '-p', str(PORT), '-U', 'postgres', '-Atc', sql, database]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def start():
    if os.geteuid() == 0:
        os.chown(LAB, pwd.getpwnam('postgres').pw_uid, -1)
    as_server(f'{BIN}/initdb', '-D', DATA, '-U', 'postgres', '-A', 'trust', '--no-sync')
    with open(f'{DATA}/postgresql.conf', 'a') as conf:
        conf.write(f"""port = {PORT}
unix_socket_directories = '{LAB}'
shared_buffers = 512MB
fsync = off
autovacuum = off
track_io_timing = on
max_locks_per_transaction = 256
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.max = 5500
pg_stat_statements.track = all
""")
    as_server(f'{BIN}/pg_ctl', '-D', DATA, '-l', f'{LAB}/log', '-w', 'start')
    psql('CREATE ROLE steward LOGIN; GRANT pg_monitor TO steward; CREATE EXTENSION pg_stat_statements')


def tables(database, count):
    psql(f'CREATE DATABASE {database}')
    for first in range(1, count + 1, 500):
        psql(f"""DO $$ BEGIN FOR i IN {first}..{min(first + 499, count)} LOOP
            EXECUTE format('CREATE TABLE t_%s (id int PRIMARY KEY, customer_id int, status text, amount numeric, created timestamptz DEFAULT now())', i);
            EXECUTE format('INSERT INTO t_%s SELECT g, g %% 7, ''s'' || g %% 3, g FROM generate_series(1, %s) g', i, CASE WHEN i % 10 = 1 THEN 200 ELSE 5 END);
            EXECUTE format('CREATE INDEX ON t_%s (customer_id)', i);
        END LOOP; END $$""", database)
    psql('ANALYZE', database)


def statements(database, count):
    psql('SELECT pg_stat_statements_reset()')
    psql(f"""DO $$ BEGIN FOR i IN 1..{count} LOOP
        EXECUTE format('SELECT o.id, o.customer_id, o.status, o.amount AS a%s FROM t_%s o WHERE o.customer_id = 3 ORDER BY o.created DESC LIMIT 10', i, i);
    END LOOP; END $$""", database)
    return psql('SELECT count(*) FROM pg_stat_statements')


def children(pid):
    return [int(c) for t in os.listdir(f'/proc/{pid}/task') for c in open(f'/proc/{pid}/task/{t}/children').read().split()]


def live_ms(pid):
    try:
        return int(open(f'/proc/{pid}/schedstat').read().split()[0]) / 1e6
    except OSError:
        return 0.0


def postmaster():
    return int(open(f'{DATA}/postmaster.pid').readline())


def server_ms():
    """CPU of the postmaster, its children, and the children it has reaped."""
    pid = postmaster()
    text = open(f'/proc/{pid}/stat').read()
    fields = text[text.rindex(')') + 2:].split()
    return (int(fields[13]) + int(fields[14])) * 1000 / TICK + live_ms(pid) + sum(live_ms(c) for c in children(pid))


def run(*command):
    """CPU in ms, peak memory in MB and exit code of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    del before
    return (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


class Proxy:
    """Counts what a server sends through a TCP port."""
    def __init__(self):
        self.sent, self.listener = 0, socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(f'{LAB}/.s.PGSQL.{PORT}')
            for source, target, counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pump, args=(source, target, counted), daemon=True).start()

    def pump(self, source, target, counted):
        try:
            while data := source.recv(1 << 16):
                self.sent += len(data) if counted else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def private_mb(stop, peak):
    """The largest private memory of any session of ours while it runs."""
    while not stop.is_set():
        for child in children(postmaster()):
            try:
                if b'steward' in open(f'/proc/{child}/cmdline', 'rb').read():
                    peak[0] = max(peak[0], int(re.search(r'RssAnon:\s+(\d+)', open(f'/proc/{child}/status').read())[1]) / 1024)
            except (OSError, TypeError):
                pass
        time.sleep(0.005)


def small():
    tables('small', 50)
    dsn = f'host={LAB} port={PORT} user=steward dbname=small'
    peer, ours, theirs = os.environ.get('CHECK_POSTGRES'), [], {}
    actions = ['connection', 'backends', 'bloat', 'hitratio', 'last_vacuum', 'last_analyze', 'dbstats', 'database_size', 'table_size',
               'index_size', 'total_relation_size', 'locks', 'query_time', 'txn_idle', 'txn_wraparound', 'autovac_freeze', 'wal_files',
               'sequence', 'commitratio']
    limits = {'size': ['--warning=10 GB', '--critical=20 GB'], 'ratio': ['--warning=10%', '--critical=5%'],
              'time': ['--warning=2 minutes', '--critical=5 minutes'], 'idle': ['--warning=2 minutes', '--critical=5 minutes']}
    for _ in range(7):
        ours.append(run(OURS, 'check', dsn, '--interval', '100ms'))
        for action in actions if peer else []:
            extra = next((v for k, v in limits.items() if action.endswith(k)), [])
            theirs.setdefault(action, []).append(run('perl', peer, f'--action={action}', f'--host={LAB}', f'--port={PORT}',
                                                     '--dbuser=postgres', '--dbname=small', *extra))
    print(f'small (50 tables): check, whole process, median of 7: {median(o[0] for o in ours):.0f} ms CPU, {median(o[1] for o in ours):.1f} MB')
    if theirs:
        each = {a: median(t[0] for t in times) for a, times in theirs.items()}
        print(f'   check_postgres in the same run: one action {median(each.values()):.0f} ms CPU (median), the {len(each)} actions together '
              f'{sum(each.values()):.0f} ms, {median(t[1] for times in theirs.values() for t in times):.1f} MB')


def ours_ms(pid):
    """CPU of all threads of a process so far."""
    return sum(int(open(f'/proc/{pid}/task/{t}/schedstat').read().split()[0]) for t in os.listdir(f'/proc/{pid}/task')) / 1e6


def ticks(count, collect, proxy=None):
    """The first ticks of a service with an empty store: for each the server's CPU in ms, ours in ms, and our peak memory in
    MB; with a proxy MB on the wire and MB of private memory of the backend instead. Apart, because a proxy in Python makes
    an answer come late, and a backend that often waits needs more CPU."""
    config = f'{LAB}/config.yaml'
    shutil.rmtree(f'{LAB}/state', ignore_errors=True)
    place = f'host=127.0.0.1 port={proxy.port}' if proxy else f'host={LAB} port={PORT}'
    with open(config, 'w') as out:
        out.write(f"""version: 1
state_dir: {LAB}/state
targets: [{{name: big, dsn: "{place} user=steward dbname=big sslmode=disable", budget: {{server_cpu: 100%, connections: 3, statement_timeout: 20s, lock_timeout: 100ms}}}}]
schedule: {{every: 4s, collect: {{{collect}}}}}
channels: {{journal: {{kind: log, file: {LAB}/alerts.jsonl}}}}
""")
    stop, peak, samples = threading.Event(), [0.0], []
    watcher = threading.Thread(target=private_mb, args=(stop, peak))
    if proxy:
        watcher.start()
    before = (proxy.sent,) if proxy else (server_ms(), 0.0)
    service = subprocess.Popen([OURS, 'run', '--config', config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in service.stderr:
        if ' tick ' not in line or 'reached=true' not in line:
            continue
        time.sleep(0.5)
        now = (proxy.sent,) if proxy else (server_ms(), ours_ms(service.pid))
        if proxy:
            samples.append(((now[0] - before[0]) / 1e6, peak[0]))
        else:
            memory = int(re.search(r'VmHWM:\s+(\d+)', open(f'/proc/{service.pid}/status').read())[1]) / 1024
            samples.append((now[0] - before[0], now[1] - before[1], memory))
        before, peak[0] = now, 0.0
        if len(samples) == count:
            break
    service.terminate()
    service.wait()
    stop.set()
    if proxy:
        watcher.join()
    return samples


def show(name, cost, wire):
    server, ours, memory = ([s[i] for s in cost] for i in range(3))
    print(f'   {name}, median of {len(cost)}: server {median(server):.0f} ms CPU ({min(server):.0f} to {max(server):.0f}), ours '
          f'{median(ours):.0f} ms CPU, {median(memory):.0f} MB; {median(w[0] for w in wire):.2f} MB on the wire, '
          f'backend at most {max(w[1] for w in wire):.1f} MB private')


def big():
    tables('big', 10_000)
    print(f'big (10,000 tables, 20,000 indexes, {statements("big", 5000)} statements)')

    def due(without=None):
        return ', '.join(f'{name}: 1s' for name in RARE if name != without)
    proxy = Proxy()
    ticks(1, due())  # warms the server's caches
    full = [ticks(6, due()) for _ in range(5)]
    usual = ticks(14, '')
    wire_full, wire_usual = ticks(6, due(), proxy), ticks(6, '', proxy)
    kept = [s for run in full for s in run[1:]]
    show('everything due, new sessions (the first tick)', [run[0] for run in full], wire_full[:1])
    show('everything due, in kept sessions', kept, wire_full[1:])
    show('a usual tick, in kept sessions', usual[2:], wire_usual[2:])
    for name in HEAVY:
        without = ticks(12, due(name))[2:]
        print(f'   of it `{name}`: {median(s[0] for s in kept) - median(s[0] for s in without):.0f} ms')


try:
    start()
    if WHAT in ('small', 'all'):
        small()
    if WHAT in ('big', 'all'):
        big()
finally:
    subprocess.run(['pkill', '-INT', '-F', f'{DATA}/postmaster.pid'], check=False)
    time.sleep(1)
    shutil.rmtree(LAB, ignore_errors=True)
