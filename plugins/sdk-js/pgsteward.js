// Writing pgsteward plugins in JavaScript: say what a rule reads, look at rows, report what is wrong.
//
//     export const rules = plugin({ id, version, rules: [{ id, title, from, needs, settings, evaluate }] });
//
// Neighbours: the contract (wit/plugin.wit) says what crosses; this file hides the wire. It wants no package.
// Two things to know. An unknown number is NaN, not null: every comparison with NaN is false, whereas `null < 5` is true.
// And each call runs in a fresh instance: nothing is remembered. There is no clock, no randomness and no network; `call.now`
// is the time. A name that is no need and no setting is an error, not undefined: a rule with a slip of the pen must not be quiet.

import host from "pgsteward:plugin/host@1.0.0";

/** A need that is read as text: `text("sessions.query")`. An unknown text is null. */
export const text = (input) => ({ ...need(input), text: true });

/** A need that the rule can do without: `optional("tables.vacuum_age")`. It is NaN or null where it is not there. */
export const optional = (input) => ({ ...need(input), optional: true });

/** Whether a number or text is known. */
export const known = (value) => value !== null && !Number.isNaN(value);

/** A text that goes into a summary or detail as it stands: its braces are doubled. For texts that came from a database. */
export const plain = (value) => String(value).replace(/[{}]/g, "$&$&");

const SEVERITIES = ["info", "warning", "critical"];

/** A text that can cross: half of a character that a cut left over is replaced. */
const whole = (value) => String(value).toWellFormed();

/** Lines in pgsteward's log. */
export const log = Object.fromEntries(["debug", "info", "warn", "error"].map((level) => [level, (message) => host.log(level, whole(message))]));

/** What a plugin exports as `rules`. What is not named below goes to the open list of the contract: `summary`, `tier`, `for`, ... */
export function plugin({ id, version, rules, ...extra }) {
  const find = (name) => rules.find((rule) => rule.id === name) ?? fail(`\`${name}\` is not a rule of this plugin`);
  // Made when the plugin is built, so that a slip shows then.
  const about = { id: said(id, "`id` of the plugin"), version: said(version, "`version` of the plugin"), rules: rules.map(describe), extra: texts(extra) };
  return {
    describe: () => about,
    validateSettings(name, settings) {
      const wrong = told(() => find(name).validate?.(values(settings)) ?? [], (reason) => [reason]);
      if (wrong.length > 0) throw wrong;
    },
    evaluate(name, input) {
      return told(() => {
        const call = new Call(find(name), input);
        call.rule.evaluate(call);
        return { findings: call.findings, unknown: call.unjudged, extra: [] };
      }, (reason) => reason);
    },
  };
}

/** One evaluation: what was read, and the answer as it grows. */
class Call {
  constructor(rule, input) {
    this.rule = rule;
    /** The settings by name. */
    this.settings = strict(values(input.settings), "is no setting of this rule");
    /** Facts about the target by name: `target`, `server_version_num`, `in_recovery`, ... */
    this.facts = values(input.extra);
    /** The tick's time, in seconds since 1970. */
    this.now = input.now;
    this.input = input;
    this.columns = columns(rule, input);
    this.findings = [];
    this.unjudged = [];
    this.firing = new Set(input.firing);
  }

  /** The rows of the rule's own frame whose required inputs are all known. */
  get rows() {
    const unknown = new Set();
    for (const { frame, optional, values } of this.columns) {
      if (optional || frame !== this.rule.from) continue;
      for (let row = 0; row < values.length; row++) if (Number.isNaN(values[row])) unknown.add(row);
    }
    const rows = this.rowsOf(this.rule.from);
    return unknown.size > 0 ? rows.filter((row) => !unknown.has(row.index)) : rows;
  }

  /** All rows of a frame that the rule reads; none when it is not there. A row has the rule's needs by their names, and `index`. */
  rowsOf(frame) {
    const read = this.columns.filter((column) => column.frame === frame);
    if (frame !== null && read.length === 0) fail(`no need of this rule reads \`${frame}\``);
    const { rows = 0 } = this.input.frames.find((one) => one.name === frame) ?? {};
    const Row = rowClass(frame, read, rows, frame === this.rule.from ? this.firing : new Set());
    return Array.from({ length: rows }, (_, index) => new Row(index));
  }

  /**
   * Reports a problem of a row, or with null of the whole server. The host fills in the summary: `{column}`, `{evidence}` and
   * `{setting}` become what they are in this row. `evidence`: `{metric, value, limit, unit}`; `actions`: `{kind, params, why, row}`
   * (docs/reference/actions.md); `links`: `{title, url}`.
   */
  report(row, severity, summary, { detail = "", evidence = [], actions = [], links = [] } = {}) {
    if (!SEVERITIES.includes(severity)) fail(`\`${severity}\` is no severity (${SEVERITIES.join(", ")})`);
    this.findings.push({
      row: this.place(row), severity, summary: whole(summary), detail: whole(detail), extra: [],
      evidence: evidence.map(({ metric, value, limit, unit = "" }) => ({ metric: whole(metric), value: Number(value), threshold: limit === undefined ? null : Number(limit), unit })),
      actions: actions.map(({ kind, params = {}, why = "", row }) => ({ kind: whole(kind), why: whole(why), row: this.place(row), params: entries(params), extra: [] })),
      links: links.map(({ title, url }) => ({ title: whole(title), url: whole(url) })),
    });
  }

  /** Says that a row cannot be judged though its required inputs are known: its alert keeps its state. */
  unknown(row) {
    this.unjudged.push(this.place(row));
  }

  /** Where a row stands in the rule's own frame; null for the whole server. */
  place(row) {
    if (row === null || row === undefined) return null;
    return row.constructor.frame === this.rule.from ? row.index : fail(`only a row of ${this.rule.from} can be reported, not one of ${row.constructor.frame}`);
  }
}

// --- The wire ---

function fail(message) {
  throw new Error(message);
}

/** Does something; an error is told in the contract's way instead of ending in a trap. What is thrown as a text is told as it stands. */
function told(work, shaped) {
  try {
    return work();
  } catch (error) {
    throw shaped(whole(error instanceof Error ? `${error.name}: ${error.message}${place(error)}` : error));
  }
}

/** Where in the author's file an error came up. */
function place(error) {
  const line = String(error.stack).split("\n").find((line) => line.includes(".js:") && !line.includes("pgsteward.js"));
  return line ? ` (${line.trim()})` : "";
}

/** An object of which reading a name that it does not have is an error. */
function strict(object, complaint) {
  const refuse = (_, name) => (typeof name === "symbol" ? undefined : fail(`\`${name}\` ${complaint}`));
  return Object.setPrototypeOf(object ?? {}, new Proxy({}, { get: refuse }));
}

// What a browser has and a plugin has not. A clock would be a trap without a reason; the console goes to pgsteward's log.
globalThis.console = { ...log, log: log.info };
globalThis.Date = class extends Date {
  constructor(...from) {
    super(...(from.length > 0 ? from : [fail("there is no clock: the time is `call.now`")]));
  }
  static now() {
    fail("there is no clock: the time is `call.now`");
  }
};
Math.random = () => fail("there is no randomness: the same input must give the same answer");

const need = (input) => (typeof input === "string" ? { input, optional: false, text: false } : input);

/** The needs of a rule with the values that were sent for them. */
function columns(rule, input) {
  return Object.entries(rule.needs).map(([name, wanted], at) => {
    const one = need(wanted);
    return { ...one, name, frame: one.input.replace(/^\w+\(/, "").split(".")[0], ...input.columns[at] };
  });
}

/** What a row of a frame can be asked. */
function rowClass(frame, read, rows, firing) {
  class Row {
    static frame = frame;
    constructor(index) {
      this.index = index;
    }
    get firing() {
      return firing.has(this.index);
    }
    toJSON() {
      return Object.fromEntries(read.map(({ name }) => [name, this[name]]));
    }
  }
  for (const column of read) {
    const { name, values, present, text } = column;
    const texts = text && present ? words(column, rows) : null;
    const get = texts ? function () { return texts()[this.index] ?? null; }
      : present ? function () { return values[this.index]; }
      : () => (text ? null : NaN);
    Object.defineProperty(Row.prototype, name, { get });
  }
  Object.setPrototypeOf(Row.prototype, strict(null, `is not among the needs of a row of ${frame}`));
  return Row;
}

/** The texts of a column, all at once when the first is looked at. */
function words({ input }, rows) {
  let found;
  return () => (found ??= host.text(input, Array.from({ length: rows }, (_, row) => row)));
}

function wire(value) {
  const tag = { number: "number", string: "text", boolean: "flag" }[typeof value] ?? fail(`${value} is no number, text or flag`);
  return { tag, val: tag === "text" ? whole(value) : value };
}

const entries = (map) => Object.entries(map).map(([key, value]) => ({ key, value: wire(value) }));
const texts = (map) => entries(Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)])));
const values = (list) => Object.fromEntries(list.map(({ key, value }) => [key, value.val]));

function describe({ id, title, from = null, needs, settings = {}, evaluate, validate, ...extra }) {
  if (typeof evaluate !== "function") fail(`rule \`${id}\` has no function \`evaluate\``);
  return {
    id: said(id, "`id` of a rule"), title: said(title, `\`title\` of rule ${id}`), from, extra: texts(extra),
    needs: Object.values(needs).map(need).map(({ input, optional }) => ({ input, optional })),
    settings: Object.entries(settings).map(([name, { default: value, range = null, unit = "", doc }]) =>
      ({ name, default: wire(value), range, unit, doc: said(doc, `\`doc\` of setting ${name}`) })),
  };
}

const said = (value, what) => (typeof value === "string" ? value : fail(`${what} must be a text`));
