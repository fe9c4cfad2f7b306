//! Where a command works: its config, if one was given, and the store of its state folder. What several subcommands ask
//! of both stands here too, such as whether a name is known to either.
//!
//! A store is made by `run`, and by the one command that may come before it, `silence start`. Without a config nobody
//! knows whether the folder is that of the service, so nothing is made there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::shared::load_config;
use crate::alert::OWN_TARGET;
use crate::app::setup;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::env::Env;
use crate::model::Catalog;
use crate::problem::Level;
use crate::store::Store;
use crate::text::safe;

/// Where a command works.
pub struct Place {
    /// The config, if one was given.
    pub config: Option<Config>,
    /// Where variables are looked up.
    pub env: Env,
}

impl Place {
    /// The place of a command that was given this config.
    pub fn of(config: Option<&Path>) -> Result<Self> {
        let env = Env::real();
        Ok(Self { config: config.map(|path| load_config(path, &env, Level::Error)).transpose()?, env })
    }

    /// The config, for what cannot do without.
    pub fn config(&self) -> Result<&Config> {
        self.config.as_ref().context("which channels? `--config FILE` names them")
    }

    /// The store of a service on this machine, if there is one.
    pub fn existing_store(&self) -> Result<Option<Store>> {
        existing_store(self.config.as_ref(), &self.env)
    }

    /// The store of a service on this machine, to read from.
    pub fn read_store(&self) -> Result<Store> {
        self.existing_store()?.with_context(|| self.no_store())
    }

    /// The same for the short writes that may happen beside the service.
    pub fn written_store(&self) -> Result<Store> {
        let path = self.store_path()?;
        if !path.exists() {
            bail!(self.no_store());
        }
        open(&path)
    }

    /// The same, and made where there is none yet: what is said before the first `run` holds from its first tick on.
    pub fn made_store(&self) -> Result<Store> {
        let path = self.store_path()?;
        if !path.exists() {
            if self.config.is_none() {
                bail!(self.no_store());
            }
            ours(&path)?;
        }
        open(&path)
    }

    fn store_path(&self) -> Result<PathBuf> {
        let dir = config::state_dir(self.config.as_ref(), &self.env).context("the state folder cannot be used")?;
        Ok(setup::store_path(&dir))
    }

    fn no_store(&self) -> String {
        let Ok(path) = self.store_path() else { return "there is no store, and no folder for one".into() };
        let makes = if self.config.is_some() {
            "`pgsteward run` with this config makes one, where $STATE_DIRECTORY is the same"
        } else {
            "`pgsteward run --config FILE` makes one; give its `--config` here too"
        };
        format!("there is no store yet at `{}`: {makes}", path.display())
    }

    /// Refuses a channel that neither the config nor the store has heard of. One that is gone from the config may be asked
    /// about, and is no name to choose.
    pub fn know_channel(&self, name: &str, store: &Store) -> Result<()> {
        let mut heard_of: BTreeSet<String> = store.channel_health(Clock::System.now())?.into_keys().collect();
        heard_of.extend(store.last_deliveries()?.into_keys());
        let configured = self.config.as_ref().map(|config| config.channels.keys().cloned().collect());
        if heard_of.contains(name) { Ok(()) } else { self.know("channel", name, &configured.unwrap_or(heard_of)) }
    }

    /// Refuses a target that neither the config nor the store has heard of.
    pub fn know_target(&self, name: &str, store: &Store) -> Result<()> {
        let configured = self.config.iter().flat_map(|config| &config.targets).map(|target| target.target.name.clone());
        let mut known: BTreeSet<String> = configured.chain(store.targets()?.into_iter().map(|target| target.name)).collect();
        known.insert(OWN_TARGET.into());
        self.know("target", name, &known)
    }

    fn know(&self, what: &str, name: &str, known: &BTreeSet<String>) -> Result<()> {
        let whose = if self.config.is_some() { "the config" } else { "the store" };
        if known.contains(name) { Ok(()) } else { Err(unknown(what, name, whose, known.iter())) }
    }
}

/// That there is no such thing, and what there is: the one that was probably meant first.
pub fn unknown<'a>(what: &str, name: &str, whose: &str, known: impl Iterator<Item = &'a String> + Clone) -> anyhow::Error {
    let known = known.map(String::as_str);
    let near = Catalog::nearest(known.clone(), name);
    let all: Vec<String> = near.into_iter().chain(known.filter(|other| Some(*other) != near)).map(safe).collect();
    let all = if all.is_empty() { "none".into() } else { all.join(", ") };
    anyhow::anyhow!("there is no {what} `{}`; {whose} has: {all}", safe(name))
}

/// The store of a config's state folder, if there is one.
pub fn existing_store(config: Option<&Config>, env: &Env) -> Result<Option<Store>> {
    let Ok(dir) = config::state_dir(config, env) else { return Ok(None) };
    let path = setup::store_path(&dir);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Store::open_read_only(&path).with_context(|| format!("the store `{}` cannot be read", path.display()))?))
}

fn open(path: &Path) -> Result<Store> {
    Store::open(path).with_context(|| format!("the store `{}` cannot be written", path.display()))
}

/// A store is its owner's only: made by somebody else it would lock the service out.
#[cfg(unix)]
fn ours(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Some(dir) = path.parent() else { return Ok(()) };
    let owner = std::fs::metadata(dir).with_context(|| format!("`{}` cannot be looked at", dir.display()))?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        bail!(
            "there is no store yet, and the state folder `{}` belongs to user {owner}: run this as that user (`sudo -u '#{owner}' ..`)",
            dir.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn ours(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_comes_first() {
        let known = ["broken", "mail", "pager"].map(String::from);
        let said = |name: &str| unknown("channel", name, "the config", known.iter()).to_string();
        assert_eq!(said("pagr"), "there is no channel `pagr`; the config has: pager, broken, mail");
        assert_eq!(said("fax"), "there is no channel `fax`; the config has: broken, mail, pager");
        assert_eq!(unknown("channel", "fax", "the store", [].iter()).to_string(), "there is no channel `fax`; the store has: none");
    }
}
