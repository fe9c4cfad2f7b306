// All of the JavaScript kit in one rule; see ../README.md.
import { plugin, text, optional, known, plain, log } from "./sdk/pgsteward.js";

function evaluate(call) {
  const { limit, word, loud } = call.settings;
  const [server] = call.rowsOf("connections");
  let told = 0;

  for (const row of call.rows) {
    if (!row.query.includes(word) || (row.age < 5 && !row.firing)) continue;
    if (row.application === "undecided") {
      call.unknown(row);
      continue;
    }
    if (row.application === "impossible") throw "this cannot be";

    const many = server && known(server.clients) ? server.clients.toFixed(0) : "unknown";
    call.report(row, row.age > limit ? "warning" : "info", `{pid}: ${plain([...row.query].slice(0, 20).join(""))}`, {
      detail: `by ${known(row.application) ? plain(row.application) : "nobody"} with ${many} clients`,
      evidence: [
        { metric: "sessions.state_age", value: row.age, limit, unit: "s" },
        { metric: "sessions.xact_age", value: row.xact, unit: "s" },
      ],
      links: [{ title: "about sessions", url: "https://www.postgresql.org/docs/current/monitoring-stats.html" }],
      actions: [
        { kind: "note", params: { text: "look at it" } },
        { kind: "cancel_backend", why: "it may be in the way", params: { pid: 4711 } },
      ],
    });
    told += 1;
  }

  if (loud) {
    log.warn(`loud on ${call.facts.target ?? "nobody knows"}`);
    const evidence = [{ metric: "version", value: call.facts.server_version_num ?? NaN }];
    call.report(null, "info", `${told} of ${call.rowsOf("sessions").length} sessions`, { evidence });
  }
}

export const rules = plugin({
  id: "conformance_js",
  version: "1.0.0",
  rules: [{
    id: "conformance",
    title: "All of a kit",
    from: "sessions",
    needs: {
      query: text("sessions.query"), application: optional(text("sessions.application")), age: "sessions.state_age",
      xact: optional("sessions.xact_age"), clients: optional("connections.clients"),
    },
    settings: {
      limit: { default: 60, range: [1, 3600], unit: "s", doc: "warn above this" },
      word: { default: "slow", doc: "what to look for" },
      loud: { default: false, doc: "tell the sum too" },
    },
    tier: "advice",
    "label.team": "nobody",
    evaluate,
    validate: ({ word }) => (word === "" ? ["`word` must not be empty"] : []),
  }],
});
