//! Every operator over every pair of types: a value of the right kind, or an error. Never a silent `false`.

use super::*;

const VALUES: [(&str, &str); 14] = [
    ("column", "tables.dead"),
    ("counter", "tables.seq_scan"),
    ("mask", "tables.vacuum_running"),
    ("text column", "tables.table"),
    ("int", "7"),
    ("float", "7.5"),
    ("bool", "true"),
    ("text", "\"7\""),
    ("unit", "()"),
    ("map", "#{a: 7}"),
    ("list", "[7]"),
    ("row", "tables.top(\"dead\")"),
    ("frame", "tables"),
    ("settings", "settings"),
];

const OPERATORS: [&str; 17] = ["+", "-", "*", "/", "%", ">", ">=", "<", "<=", "==", "!=", "&", "|", "and", "or", "&&", "||"];

/// What a pair may give; `None` when it must be an error. Written down apart from the implementation.
fn expected(op: &str, left: &str, right: &str) -> Option<&'static str> {
    let number = |t: &str| matches!(t, "int" | "float" | "unit");
    let column = |t: &str| matches!(t, "column" | "counter");
    let is = |a: &str, b: &str| (left == a && right == b) || (left == b && right == a);
    let both = |t: &str| left == t && right == t;
    let numeric = |t: &str| matches!(t, "int" | "float");
    match op {
        "-" if both("counter") => None,
        "+" if both("text")
            || (left == "text" || right == "text") && [left, right].iter().all(|t| matches!(*t, "text" | "int" | "float" | "bool")) =>
        {
            Some("string")
        }
        "+" | "-" | "*" | "/" | "%" => match () {
            () if (column(left) && (column(right) || number(right))) || (number(left) && column(right)) => Some("column"),
            () if number(left) && number(right) => Some("scalar"),
            () => None,
        },
        ">" | ">=" | "<" | "<=" => match () {
            () if (column(left) && (column(right) || numeric(right))) || (numeric(left) && column(right)) => Some("mask"),
            () if (numeric(left) && numeric(right)) || both("text") => Some("bool"),
            () => None,
        },
        "==" | "!=" => match () {
            () if (column(left) && (column(right) || numeric(right))) || (numeric(left) && column(right)) => Some("mask"),
            () if both("mask") || both("text column") || is("mask", "bool") || is("text column", "text") => Some("mask"),
            () if (numeric(left) && numeric(right)) || both("text") || both("bool") => Some("bool"),
            // Asking whether something is there.
            () if (left == "unit" || right == "unit")
                && ![left, right].iter().any(|t| column(t) || matches!(*t, "mask" | "text column")) =>
            {
                Some("bool")
            }
            () => None,
        },
        "&" | "|" | "and" | "or" => match () {
            () if both("mask") || is("mask", "bool") => Some("mask"),
            () if both("bool") => Some("bool"),
            () => None,
        },
        // The right side is not looked at once the left one has decided, unless it is written out.
        "||" if left == "bool" && !matches!(right, "int" | "float" | "text" | "unit" | "map" | "list") => Some("bool"),
        _ if both("bool") => Some("bool"),
        _ => None,
    }
}

fn kind_of(type_name: &str) -> &str {
    match type_name {
        "i64" | "f64" | "()" => "scalar",
        other => other,
    }
}

#[test]
fn each_pair_gives_a_value_of_its_kind_or_an_error() {
    let engine = Engine::new(Limits::default());
    let tables: [RowOf<'_>; 2] = [&[("dead", N(5.0))], &[("table", S("b")), ("dead", Null)]];
    let mut wrong = Vec::new();
    let mut checked = 0;
    for op in OPERATORS {
        for (left, left_text) in VALUES {
            for (right, right_text) in VALUES {
                checked += 1;
                let source = format!("finding(#{{summary: type_of({left_text} {op} {right_text})}});");
                let rule = parse_only(&engine, &source);
                let found = rule.and_then(|rule| rule(World::empty().with("tables", &tables)));
                let found = found.as_deref().map(kind_of).ok();
                if found != expected(op, left, right) {
                    wrong.push(format!("{left} {op} {right}: {found:?}, expected {:?}", expected(op, left, right)));
                }
            }
        }
    }
    assert_eq!(checked, OPERATORS.len() * VALUES.len() * VALUES.len());
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}

type Evaluate = Box<dyn FnOnce(World) -> Result<String, String>>;

/// Compiles; an error at load is an error too.
fn parse_only(engine: &Arc<Engine>, source: &str) -> Result<Evaluate, String> {
    let rule = compile_script(engine, header(&["tables"], &[]), source, "r", 1, &catalog());
    let rule = rule.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    Ok(Box::new(move |world| match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => Ok(evaluation.findings[0].summary.clone()),
        other => Err(other.reason()),
    }))
}
