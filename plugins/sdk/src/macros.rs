//! `plugin!`: declares a plugin. It makes the structs of settings and rows, and a table of rules; what works with them is in `run`.
//!
//! Two walks over each rule's statements: `__items!` makes the structs, `__rule!` gathers one `Rule`. Every walk takes one statement
//! a step and ends in an arm that says what is allowed, so that a slip gives one sentence instead of a page.

/// Declares a plugin: its name and version, its rules, and for each rule what it reads, what may be set, and the function that judges.
/// The crate's front page shows it whole.
#[macro_export]
macro_rules! plugin {
    (plugin $id:literal { $($property:ident $text:expr;)* } $(rule $rule:literal { $($body:tt)* })+) => {
        const _: () = assert!($crate::is_id($id), "a plugin's name is lower-case letters, digits and `_`, a letter first, at most 63");
        $($crate::__items! { $($body)* })+

        /// The plugin as the host calls it.
        pub struct Plugin;

        impl Plugin {
            /// Its rules.
            pub const RULES: &'static [$crate::Rule] = &[$($crate::__rule!([id $rule] $($body)*)),+];
        }

        impl $crate::bindings::exports::pgsteward::plugin::rules::Guest for Plugin {
            fn describe() -> $crate::wire::PluginDef {
                $crate::describe($id, &[$((stringify!($property), $text)),*], Self::RULES)
            }

            fn validate_settings(rule: String, settings: Vec<$crate::wire::Entry>) -> Result<(), Vec<String>> {
                $crate::validate_settings(Self::RULES, &rule, &settings)
            }

            fn evaluate(rule: String, input: $crate::wire::Input) -> Result<$crate::wire::Evaluation, String> {
                $crate::evaluate(Self::RULES, &rule, input)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!(Plugin with_types_in $crate::bindings);
    };
    ($($other:tt)*) => {
        compile_error!("a plugin is declared as: plugin \"name\" { version \"1.0.0\"; summary \"..\"; } rule \"name\" { .. } and more rules");
    };
}

/// The structs of a rule.
#[doc(hidden)]
#[macro_export]
macro_rules! __items {
    () => {};
    (settings $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__settings! { $name [] $($body)* }
        $crate::__items! { $($rest)* }
    };
    (from $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__row! { $name $frame [] [] $($body)* }
        $crate::__items! { $($rest)* }
    };
    (also optional $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__row! { $name $frame [] [] $($body)* }
        $crate::__items! { $($rest)* }
    };
    (also $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__row! { $name $frame [] [] $($body)* }
        $crate::__items! { $($rest)* }
    };
    // Any other statement is the other walk's; skip to its end.
    (; $($rest:tt)*) => { $crate::__items! { $($rest)* } };
    ($skipped:tt $($rest:tt)*) => { $crate::__items! { $($rest)* } };
}

/// One rule's line in the table.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule {
    ([id $id:literal] title $title:literal; $($rest:tt)*) => {
        $crate::__rule!([$id; $title; [] ($crate::NoSettings) (()) [] []] $($rest)*)
    };
    ([$id:literal; $title:literal; [$($props:tt)*] $set:tt $from:tt $also:tt $require:tt] settings $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__rule!([$id; $title; [$($props)*] ($name) $from $also $require] $($rest)*)
    };
    ([$id:literal; $title:literal; $props:tt $set:tt $from:tt [$($also:tt)*] $require:tt] from $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__rule!([$id; $title; $props $set ($name) [$($also)*] $require] $($rest)*)
    };
    ([$id:literal; $title:literal; $props:tt $set:tt $from:tt [$($also:tt)*] $require:tt] also optional $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__rule!([$id; $title; $props $set $from [$($also)* ($name [] also_optional [.as_ref()] true)] $require] $($rest)*)
    };
    ([$id:literal; $title:literal; $props:tt $set:tt $from:tt [$($also:tt)*] $require:tt] also $frame:literal row $name:ident { $($body:tt)* } $($rest:tt)*) => {
        $crate::__rule!([$id; $title; $props $set $from [$($also)* ($name [&] also [] false)] $require] $($rest)*)
    };
    ([$id:literal; $title:literal; $props:tt $set:tt $from:tt $also:tt [$($require:tt)*]] require |$s:ident| $holds:expr, $else:literal; $($rest:tt)*) => {
        $crate::__rule!([$id; $title; $props $set $from $also [$($require)* ($s $holds, $else)]] $($rest)*)
    };
    ([$id:literal; $title:literal; $props:tt ($set:ty) ($from:ty) [] $require:tt] rows $judge:path;) => {
        $crate::__rule!(@done $id $title $props ($set) ($from) [] $require (|input| $crate::judge_rows::<$from, $set, _>(input, $judge)))
    };
    ([$id:literal; $title:literal; $props:tt ($set:ty) ($from:ty) [$(($name:ident [$($by:tt)?] $read:ident [$($lent:tt)*] $optional:literal))*] $require:tt] whole $judge:path;) => {
        $crate::__rule!(@done $id $title $props ($set) ($from) [$(($name $optional))*] $require (|input| {
            let mut given = $crate::Given::open(input);
            let settings = given.settings::<$set>()?;
            let own = given.own::<$from>()?;
            $judge(&own, $($($by)? given.$read::<$name>()?$($lent)*,)* &settings)
        }))
    };
    (@done $id:literal $title:literal [$(($key:expr, $text:expr))*] ($set:ty) ($from:ty) [$(($name:ident $optional:literal))*]
     [$(($s:ident $holds:expr, $else:literal))*] ($run:expr)) => {{
        const _: () = assert!($crate::is_id($id), "a rule's name is lower-case letters, digits and `_`, a letter first, at most 63");
        $(const _: () = assert!($crate::is_property($key), concat!("a rule has no property `", $key, "`"));)*
        $crate::Rule {
            id: $id,
            title: $title,
            frame: <$from as $crate::Row>::FRAME,
            needs: &[(<$from as $crate::Row>::NEEDS, false) $(, (<$name as $crate::Row>::NEEDS, $optional))*],
            properties: &[$(($key, $text)),*],
            settings: <$set as $crate::Settings>::defs,
            check: |entries| {
                let settings = <$set as $crate::Settings>::read(entries)?;
                #[allow(unused_mut, reason = "there may be nothing to check")]
                let mut wrong: Vec<String> = Vec::new();
                $({
                    let $s: &$set = &settings;
                    if !($holds) {
                        wrong.push($else.into());
                    }
                })*
                let _ = settings;
                if wrong.is_empty() { Ok(()) } else { Err(wrong) }
            },
            run: $run,
        }
    }};
    ([$id:literal; $title:literal; [$($props:tt)*] $set:tt $from:tt $also:tt $require:tt] $key:ident $text:literal; $($rest:tt)*) => {
        $crate::__rule!([$id; $title; [$($props)* (stringify!($key), $text)] $set $from $also $require] $($rest)*)
    };
    ([$id:literal; $title:literal; [$($props:tt)*] $set:tt $from:tt $also:tt $require:tt] label $key:literal $text:literal; $($rest:tt)*) => {
        $crate::__rule!([$id; $title; [$($props)* (concat!("label.", $key), $text)] $set $from $also $require] $($rest)*)
    };
    ([id $id:literal] $($rest:tt)*) => {
        compile_error!(concat!("rule \"", $id, "\" begins with: title \"..\";"))
    };
    ([$id:literal; $($state:tt)*]) => {
        compile_error!(concat!("rule \"", $id, "\" ends with `rows function;` (row by row) or `whole function;` (whole frames)"))
    };
    ([$id:literal; $($state:tt)*] rows $($rest:tt)*) => {
        compile_error!(concat!("rule \"", $id, "\": `rows function;` stands last, and not beside `also`; with other frames write `whole function;`"))
    };
    ([$id:literal; $($state:tt)*] whole $($rest:tt)*) => {
        compile_error!(concat!("rule \"", $id, "\": `whole function;` stands last"))
    };
    ([$id:literal; $($state:tt)*] $next:tt $($rest:tt)*) => {
        compile_error!(concat!("rule \"", $id, "\": `", stringify!($next), "` begins no statement; known: property \"text\"; label \"name\" \"text\"; \
            settings Name { .. } from \"frame\" row Name { .. } also [optional] \"frame\" row Name { .. } require |s| condition, \"else\"; \
            rows function; whole function;"))
    };
}

/// A struct of settings.
#[doc(hidden)]
#[macro_export]
macro_rules! __settings {
    ($set:ident [$($done:tt)*] number $name:ident = $default:expr, $range:expr, $unit:literal, $doc:literal; $($rest:tt)*) => {
        const _: () = assert!($crate::is_unit($unit), concat!("setting `", stringify!($name), "`: no such unit: ", $unit));
        $crate::__settings! { $set [$($done)* ($name f64, $default, { let range = $range; Some((*range.start(), *range.end())) }, $unit, $doc)] $($rest)* }
    };
    ($set:ident [$($done:tt)*] flag $name:ident = $default:expr, $doc:literal; $($rest:tt)*) => {
        $crate::__settings! { $set [$($done)* ($name bool, $default, None, "", $doc)] $($rest)* }
    };
    ($set:ident [$($done:tt)*] text $name:ident = $default:expr, $doc:literal; $($rest:tt)*) => {
        $crate::__settings! { $set [$($done)* ($name String, String::from($default), None, "", $doc)] $($rest)* }
    };
    ($set:ident [$(($name:ident $type:ty, $default:expr, $range:expr, $unit:literal, $doc:literal))*]) => {
        /// What operators may set.
        #[derive(Debug, Clone, PartialEq)]
        pub struct $set { $(#[doc = $doc] pub $name: $type),* }

        impl Default for $set {
            fn default() -> Self {
                Self { $($name: $default),* }
            }
        }

        impl $crate::Settings for $set {
            fn defs() -> Vec<$crate::wire::SettingDef> {
                let given = Self::default();
                vec![$($crate::wire::SettingDef {
                    name: stringify!($name).into(),
                    default: $crate::Setting::value(given.$name),
                    range: $range,
                    unit: $unit.into(),
                    doc: $doc.into(),
                }),*]
            }

            fn read(entries: &[$crate::wire::Entry]) -> Result<Self, Vec<String>> {
                let (mut given, mut wrong) = (Self::default(), Vec::new());
                $($crate::read_settings(entries, stringify!($name), &mut given.$name, &mut wrong);)*
                if wrong.is_empty() { Ok(given) } else { Err(wrong) }
            }
        }
    };
    ($set:ident [$($done:tt)*] $next:tt $($rest:tt)*) => {
        compile_error!(concat!("settings ", stringify!($set), ": `", stringify!($next), "` begins no setting; known: number name = 1.0, 0.0..=9.0, \"unit\", \"doc\"; \
            flag name = true, \"doc\"; text name = \"..\", \"doc\";"));
    };
}

/// A struct of columns: `[fields] [kind of the next] statements`.
#[doc(hidden)]
#[macro_export]
macro_rules! __row {
    // `firing` is no column: the host says which rows' alerts fire.
    ($row:ident $frame:literal [$($done:tt)*] [] firing $name:ident; $($rest:tt)*) => {
        $crate::__row! { $row $frame [$($done)* (firing $name bool)] [] $($rest)* }
    };
    ($row:ident $frame:literal $done:tt [] optional $kind:ident $($rest:tt)*) => {
        $crate::__row! { $row $frame $done [Option] $kind $($rest)* }
    };
    ($row:ident $frame:literal $done:tt $opt:tt gauge $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt f64, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt counter $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt f64, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt time $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt f64, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt flag $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt bool, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt label $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt $crate::Label, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt text $($rest:tt)*) => { $crate::__row! { @now $row $frame $done $opt $crate::Label, $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt rate $($rest:tt)*) => { $crate::__row! { @of rate $row $frame $done $opt $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt prev $($rest:tt)*) => { $crate::__row! { @of prev $row $frame $done $opt $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt delta $($rest:tt)*) => { $crate::__row! { @over delta $row $frame $done $opt $($rest)* } };
    ($row:ident $frame:literal $done:tt $opt:tt ago $($rest:tt)*) => { $crate::__row! { @over ago $row $frame $done $opt $($rest)* } };

    (@now $row:ident $frame:literal [$($done:tt)*] [$($opt:ident)?] $type:ty, $column:ident as $name:ident; $($rest:tt)*) => {
        $crate::__row! { $row $frame [$($done)* (take $name [$($opt)? $type] concat!($frame, ".", stringify!($column)))] [] $($rest)* }
    };
    (@now $row:ident $frame:literal $done:tt $opt:tt $type:ty, $column:ident; $($rest:tt)*) => {
        $crate::__row! { @now $row $frame $done $opt $type, $column as $column; $($rest)* }
    };
    (@of $fn:ident $row:ident $frame:literal [$($done:tt)*] [$($opt:ident)?] $column:ident as $name:ident; $($rest:tt)*) => {
        $crate::__row! { $row $frame [$($done)* (take $name [$($opt)? f64] concat!(stringify!($fn), "(", $frame, ".", stringify!($column), ")"))] [] $($rest)* }
    };
    (@of $fn:ident $row:ident $frame:literal $done:tt $opt:tt $column:ident; $($rest:tt)*) => {
        $crate::__row! { @of $fn $row $frame $done $opt $column as $column; $($rest)* }
    };
    (@over $fn:ident $row:ident $frame:literal [$($done:tt)*] [$($opt:ident)?] $column:ident $window:literal as $name:ident; $($rest:tt)*) => {
        $crate::__row! { $row $frame [$($done)* (take $name [$($opt)? f64] concat!(stringify!($fn), "(", $frame, ".", stringify!($column), ", ", $window, ")"))] [] $($rest)* }
    };
    (@over $fn:ident $row:ident $frame:literal $done:tt $opt:tt $column:ident $window:literal; $($rest:tt)*) => {
        $crate::__row! { @over $fn $row $frame $done $opt $column $window as $column; $($rest)* }
    };

    ($row:ident $frame:literal [$(($how:ident $name:ident $type:tt $($input:expr)?))*] []) => {
        #[doc = concat!("A row of `", $frame, "`.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct $row { $(#[doc = concat!("`", $($input,)? "`.")] pub $name: $crate::__type!($type)),* }

        impl $crate::Row for $row {
            const FRAME: &'static str = $frame;
            const NEEDS: &'static [$crate::Need] = &[$($($crate::Need { input: $input, optional: <$crate::__type!($type) as $crate::Field>::OPTIONAL },)?)*];

            #[inline]
            fn read(mut cells: $crate::Cells<'_>) -> Option<Self> {
                Some(Self { $($name: $crate::__cell!(cells $how)),* })
            }
        }
    };
    ($row:ident $frame:literal $done:tt $opt:tt $kind:tt $column:tt $($rest:tt)*) => {
        compile_error!(concat!("row ", stringify!($row), ": `", stringify!($kind), " ", stringify!($column), "` begins no column; a column is: \
            [optional] kind name [as field]; with the kinds gauge, counter, time, flag, label, text, rate, prev; or: [optional] delta name \"1h\" [as field]; \
            ago name \"1d\" [as field]; or: firing field;"));
    };
}

/// The type of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __type {
    (bool) => { bool };
    ([Option $type:ty]) => { Option<$type> };
    ([$type:ty]) => { $type };
}

/// Reads a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __cell {
    ($cells:ident take) => {
        $cells.take()?
    };
    ($cells:ident firing) => {
        $cells.firing()
    };
}
