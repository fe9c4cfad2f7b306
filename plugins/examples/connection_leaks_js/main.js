// Names the applications that take connections and do not give them back.
import { plugin, text, plain } from "./sdk/pgsteward.js";

// One application under many names is one application: pods ("web-5d8f7b9c4-x2k9p"), workers ("worker 12", "job:3").
// Clients choose these names, so no pattern has a repeat inside a repeat: that would take for ever on a name made for it.
function family(name) {
  const short = name
    .replace(/-[0-9a-f]{6,10}-[0-9a-z]{5}$/, "")
    .replace(/[-_ :#./\d]*\d$/, "")
    .trim();
  return short || name || "(no name)";
}

// The clients by application, each with those that sat idle for long.
function families(rows, idleFor) {
  const found = new Map();
  for (const row of rows.filter((row) => row.backend_type === "client backend")) {
    const name = family(row.application ?? "");
    const one = found.get(name) ?? { name, all: 0, left: 0, oldest: 0, from: new Map() };
    found.set(name, one);
    one.all += 1;
    if (row.state !== "idle" || !(row.state_age >= idleFor)) continue;
    one.left += 1;
    one.oldest = Math.max(one.oldest, row.state_age);
    const who = `${row.role ?? "?"} on ${row.database ?? "?"} from ${row.client ?? "?"}`;
    one.from.set(who, (one.from.get(who) ?? 0) + 1);
  }
  return [...found.values()].sort((a, b) => b.left - a.left || (a.name < b.name ? -1 : 1));
}

const described = ({ name, left, all }) => `${plain(name)} (${left} of ${all})`;
const places = ({ name, from }) => {
  const most = [...from].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3);
  return `${plain(name)}: ${most.map(([who, count]) => `${count} as ${plain(who)}`).join("; ")}.`;
};

function evaluate(call) {
  const { idle_for, least, share, crit } = call.settings;
  const [server] = call.rowsOf("connections");
  if (!server) return;
  const usable = server.max_connections - server.reserved;
  const leaking = families(call.rowsOf("sessions"), idle_for).filter((one) => one.left >= least && (100 * one.left) / one.all >= share);
  if (leaking.length === 0) return;

  const left = leaking.reduce((sum, one) => sum + one.left, 0);
  const taken = usable > 0 ? (100 * left) / usable : NaN;
  const more = leaking.length > 3 ? `, and ${leaking.length - 3} more` : "";
  call.report(null, taken > crit ? "critical" : "warning", `connections left idle by ${leaking.slice(0, 3).map(described).join(", ")}${more}`, {
    detail: leaking.slice(0, 10).map(places).join(" "),
    evidence: [
      { metric: "left idle", value: left, limit: least },
      { metric: "share of usable connections", value: taken, limit: crit, unit: "%" },
      { metric: "longest idle", value: Math.max(...leaking.map((one) => one.oldest)), limit: idle_for, unit: "s" },
    ],
    actions: [{ kind: "note", params: { text: "Return connections to the pool in a finally block, and give the pool a maximum and an idle timeout." } }],
  });
}

export const rules = plugin({
  id: "connection_leaks_js",
  version: "1.0.0",
  summary: "connection leaks, by application",
  rules: [{
    id: "connection_leak",
    title: "An application leaves connections open",
    category: "connections",
    for: "10m",
    runbook: "Why: a connection that is taken and not given back counts against max_connections until the process ends.\nDo: look for a code path (an error, an early return) that never closes; idle_session_timeout (14+) ends what is left.\nFalse alarm: a pool that is meant to be as large at night; raise `least` for it.",
    needs: {
      application: text("sessions.application"), role: text("sessions.role"), database: text("sessions.database"), client: text("sessions.client"),
      backend_type: text("sessions.backend_type"), state: text("sessions.state"), state_age: "sessions.state_age",
      max_connections: "connections.max_connections", reserved: "connections.reserved",
    },
    settings: {
      idle_for: { default: 1800, range: [60, 604800], unit: "s", doc: "idle for so long counts as left" },
      least: { default: 10, range: [2, 10000], doc: "fewer left connections are no leak" },
      share: { default: 50, range: [1, 100], unit: "%", doc: "share of the application's connections that must be left" },
      crit: { default: 50, range: [1, 100], unit: "%", doc: "critical above this share of all usable connections" },
    },
    evaluate,
  }],
});
