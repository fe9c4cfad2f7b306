// What {{name}} looks for, and how it tells.
import { plugin, optional } from "./sdk/pgsteward.js";

function evaluate(call) {
  const { share, least } = call.settings;
  // The rows in which every required input is known. An optional number that is not there is NaN.
  for (const row of call.rows) {
    const now = 100 * (row.dead / (row.dead + row.live));
    const limit = row.firing ? 0.8 * share : share; // slower to end than to begin
    if (!(now > limit) || row.dead < least || row.running === 1) continue;

    // The host fills in the braces: columns of the row, evidence and settings, each in its unit.
    call.report(row, "warning", "{dead share} of {schema}.{table} is dead rows, {tables.dead}", {
      evidence: [
        { metric: "dead share", value: now, limit, unit: "%" },
        { metric: "tables.dead", value: row.dead, limit: least, unit: "rows" },
      ],
      actions: [{ kind: "vacuum", why: "makes their space usable again" }],
    });
  }
}

export const rules = plugin({
  id: "{{name}}",
  version: "0.1.0",
  rules: [{
    id: "{{name}}",
    title: "Much of a table is dead rows",
    from: "tables",
    needs: { dead: "tables.dead", live: "tables.live", running: optional("tables.vacuum_running") },
    settings: {
      share: { default: 20, range: [1, 100], unit: "%", doc: "warn above this share of dead rows" },
      least: { default: 10000, range: [0, 1e9], unit: "rows", doc: "fewer dead rows are left alone" },
    },
    category: "vacuum",
    tier: "ticket",
    for: "10m",
    runbook: "Do: see whether autovacuum keeps up with this table.",
    evaluate,
  }],
});
