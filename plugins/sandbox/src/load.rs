//! Takes compiled code back. The one place of the program where code from a file is trusted: it must be a file that the
//! host itself wrote, in a folder that only the host can write to.

use std::path::Path;

use wasmtime::component::Linker;

use crate::compile::{component, unseal};
use crate::store::State;
use crate::v1::bindings::{Plugin, PluginPre};
use crate::words::one_line;
use crate::{Engine, Refused};

/// Why compiled code cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is there, but of another engine or damaged: compile again.
    #[error("the compiled code cannot be loaded: {0}")]
    Stale(String),
    /// The component does not have the shape that its contract says.
    #[error("it does not keep to the plugin contract: {0}")]
    Shape(String),
    /// It is no plugin.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// A component, ready to be called.
#[derive(Clone)]
pub struct Component {
    pub(crate) engine: Engine,
    pub(crate) pre: PluginPre<State>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Component")
    }
}

impl Component {
    /// Loads compiled code from a file that only the host can have written.
    ///
    /// # Errors
    /// When it is of another engine, damaged, or of another shape than the contract.
    pub fn from_compiled(engine: &Engine, path: &Path) -> Result<Self, LoadError> {
        let stale = |error: &dyn std::fmt::Display| LoadError::Stale(format!("{error:#}"));
        let sealed = std::fs::read(path).map_err(|error| stale(&error))?;
        let code = unseal(&sealed).ok_or_else(|| LoadError::Stale("the file is damaged".into()))?;
        #[allow(unsafe_code, reason = "wasmtime trusts compiled code; the host compiled it and keeps it where nobody else writes")]
        let component = unsafe { wasmtime::component::Component::deserialize(&engine.inner, code) };
        Self::ready(engine, &component.map_err(|error| stale(&error))?)
    }

    /// Compiles in this process: for the author's own machine and for tests, where nobody is hostile.
    ///
    /// # Errors
    /// When it is no plugin.
    pub fn from_component(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::ready(engine, &component(engine, bytes)?)
    }

    fn ready(engine: &Engine, component: &wasmtime::component::Component) -> Result<Self, LoadError> {
        let shape = |error: wasmtime::Error| LoadError::Shape(one_line(&format!("{error:#}")));
        let mut linker = Linker::<State>::new(&engine.inner);
        Plugin::add_to_linker::<_, wasmtime::component::HasSelf<_>>(&mut linker, |state| state).map_err(shape)?;
        let pre = linker.instantiate_pre(component).and_then(PluginPre::new).map_err(shape)?;
        Ok(Self { engine: engine.clone(), pre })
    }
}
