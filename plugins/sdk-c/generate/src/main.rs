//! Makes the C binding of the plugin contract (`plugin.h`, `plugin.c`, `plugin_component_type.o` in the folder above) with
//! the library behind `wit-bindgen c`. Only who changes the contract or the version of wit-bindgen runs it; the files it
//! makes are kept in git, so that an author needs nothing but a C compiler. `pgsteward.h` beside them is by hand.

use std::path::PathBuf;

use anyhow::Context;
use wit_bindgen_core::{Files, wit_parser::Resolve};

/// Shorter names in C than `pgsteward_plugin_types_`, `pgsteward_plugin_host_` and `exports_pgsteward_plugin_rules_`.
const NAMES: [(&str, &str); 3] =
    [("pgsteward:plugin/types@1.0.0", "wire"), ("pgsteward:plugin/host@1.0.0", "host"), ("pgsteward:plugin/rules@1.0.0", "rules")];

fn main() -> anyhow::Result<()> {
    for (name, contents) in binding()?.iter() {
        let path = kit().join(name);
        std::fs::write(&path, contents).with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    Ok(())
}

/// The folder that the binding stands in.
fn kit() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn binding() -> anyhow::Result<Files> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(kit().join("../wit/v1/plugin.wit")).context("the contract cannot be read")?;
    let world = resolve.select_world(&[package], Some("plugin")).context("the contract has no world `plugin`")?;

    let rename = NAMES.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec();
    let options = wit_bindgen_c::Opts { rename, ..Default::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).context("the binding cannot be made")?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binding_in_git_is_the_contracts() {
        let made = binding().unwrap();
        assert_eq!(made.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["plugin.c", "plugin.h", "plugin_component_type.o"]);
        for (name, contents) in made.iter() {
            assert!(
                std::fs::read(kit().join(name)).unwrap() == contents,
                "`{name}` is old: `cargo run` in plugins/sdk-c/generate makes it anew"
            );
        }
    }
}
