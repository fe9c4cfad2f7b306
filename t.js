import { plugin, text } from "./sdk/pgsteward.js";
import p from "./package.json" with {type:"json"};
export const rules = plugin({ id: "t", version: "1.0.0", rules: [{ id: "t", title: "t", from: "tables", needs: {dead: "tables.dead"}, evaluate(call) { call.report(null,"info",`${p}`) } }] });
