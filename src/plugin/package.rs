//! One plugin file: the component, and what is packed beside its code.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pgsteward_sandbox::{Form, Inspection, Refused, componentize, inspect, sections, with_sections};

use super::PluginError;
use crate::model::Metric;
use crate::problem::Problem;
use crate::rules::{OWN_PACK, RuleFile, threshold};

/// Largest file that is opened, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// An opened plugin file.
#[derive(Debug, Clone)]
pub struct Package {
    /// The file, as people are shown it.
    pub source: String,
    /// All bytes of the file.
    pub file: Vec<u8>,
    /// The component to run: the file itself, or what was made of a core module.
    pub component: Vec<u8>,
    /// What could be read of the file; its `hash` is the plugin's.
    pub inspection: Inspection,
    /// Test files by the name they were packed under.
    pub tests: Vec<RuleFile>,
    /// Metrics with their SQL.
    pub metrics: Vec<Metric>,
    /// Its README, if one is packed.
    pub readme: Option<String>,
}

/// Opens a file.
///
/// # Errors
/// When it cannot be read, is no plugin, or holds a broken metric.
pub fn open(path: &Path) -> Result<Package, PluginError> {
    let read = |error| PluginError::Read(path.to_path_buf(), error);
    let told = std::fs::metadata(path).map_err(read)?.len();
    let mut file = Vec::new();
    if told <= MOST_BYTES {
        // A device tells no size, and has no end.
        File::open(path).and_then(|opened| opened.take(MOST_BYTES + 1).read_to_end(&mut file)).map_err(read)?;
    }
    let size = told.max(file.len() as u64);
    if size > MOST_BYTES {
        return Err(Refused::TooLarge(usize::try_from(size).unwrap_or(usize::MAX)).into());
    }
    from_bytes(&path.display().to_string(), file)
}

fn from_bytes(source: &str, file: Vec<u8>) -> Result<Package, PluginError> {
    let inspection = inspect(&file)?;
    let packed = sections(&file).map_err(PluginError::Content)?;
    let component = match inspection.form {
        Form::Component => file.clone(),
        Form::Module => componentize(&file).map_err(PluginError::Module)?,
    };
    let found = if inspection.form == Form::Module { inspect(&component)? } else { inspection.clone() };
    found.contract()?;
    let inspection = Inspection { imports: found.imports, exports: found.exports, ..inspection };
    let mut package = Package { source: source.into(), file, component, inspection, tests: Vec::new(), metrics: Vec::new(), readme: None };
    for (name, bytes) in packed {
        package.take(&name, bytes)?;
    }
    Ok(package)
}

impl Package {
    fn take(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), PluginError> {
        let text = String::from_utf8(bytes).map_err(|_| PluginError::Content(format!("`{name}` in it is not UTF-8")))?;
        let path = format!("{}:{name}", self.source);
        if name == "README.md" {
            self.readme = Some(text);
        } else if name.starts_with("metrics/") {
            self.metrics.push(metric(&path, &text)?);
        } else if name.ends_with(".test.yaml") {
            self.tests.push(RuleFile { path, text, pack: Some(OWN_PACK.into()) });
        }
        Ok(())
    }
}

fn metric(path: &str, text: &str) -> Result<Metric, PluginError> {
    let told = |problems: Vec<Problem>| PluginError::Content(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    threshold::metric_of(path, text).map_err(told)
}

/// A built component with what stands beside it in its project's folder, as if it were packed.
///
/// # Errors
/// When a file cannot be read or a metric is broken.
pub fn from_folder(mut package: Package, folder: &Path) -> Result<Package, PluginError> {
    (package.tests, package.metrics, package.readme) = (Vec::new(), Vec::new(), None);
    package.source = folder.display().to_string();
    for (name, bytes) in all_files(folder)? {
        package.take(&name, bytes)?;
    }
    Ok(package)
}

/// Packs files beside a component's code: tests, `metrics/*.yaml` and README.md of a plugin's folder.
///
/// # Errors
/// When a file cannot be read, or the component is none.
pub fn pack(component: &[u8], folder: &Path) -> Result<Vec<u8>, PluginError> {
    let files = all_files(folder)?;
    let component = match inspect(component)?.form {
        Form::Component => component.to_vec(),
        Form::Module => componentize(component).map_err(PluginError::Module)?,
    };
    let packed = with_sections(&component, &files).map_err(PluginError::Content)?;
    // Whatever is wrong with what was packed shows now and not at the operator's.
    from_bytes(&folder.display().to_string(), packed.clone())?;
    Ok(packed)
}

fn all_files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, PluginError> {
    let mut files = Vec::new();
    for (below, top) in [("", true), ("tests", false), ("metrics", false)] {
        files.extend(files_of(&folder.join(below), below, top)?);
    }
    files.sort();
    Ok(files)
}

/// The files of a folder that are packed, by the name they get.
fn files_of(folder: &Path, below: &str, top: bool) -> Result<Vec<(String, Vec<u8>)>, PluginError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(String::from) else { continue };
        let wanted = name.ends_with(".test.yaml") || (top && name == "README.md") || (below == "metrics" && name.ends_with(".yaml"));
        if wanted && path.is_file() {
            let place = if name.ends_with(".test.yaml") || top { name } else { format!("{below}/{name}") };
            files.push((place, std::fs::read(&path).map_err(|error| PluginError::Read(path.clone(), error))?));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::guest::Guest;

    const METRIC: &str = "name: queue\nsql: {14: SELECT 1}\ncolumns: {jobs: gauge}\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn what_is_packed_comes_out_whichever_way_it_is_opened() {
        let files =
            [("README.md", "hello"), ("a.test.yaml", "a"), ("tests/b.test.yaml", "b"), ("metrics/queue.yaml", METRIC), ("main.c", "x")];
        let folder = folder(&files);
        let packed = pack(&Guest::default().component(), folder.path()).unwrap();
        assert_eq!(pack(&packed, folder.path()).unwrap(), packed, "packing again changes nothing");
        let file = folder.path().join("packed.wasm");
        std::fs::write(&file, packed).unwrap();
        let opened = open(&file).unwrap();
        let beside = from_folder(opened.clone(), folder.path()).unwrap();
        for package in [opened, beside] {
            let texts: Vec<&str> = package.tests.iter().map(|test| test.text.as_str()).collect();
            assert_eq!((package.readme.as_deref(), texts, package.metrics.len()), (Some("hello"), vec!["a", "b"], 1));
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_when_it_is_packed() {
        let component = Guest::default().component();
        let broken = folder(&[("metrics/queue.yaml", "name: queue\n")]);
        let error = pack(&component, broken.path()).unwrap_err().to_string();
        assert!(error.contains(":metrics/queue.yaml:1:") && error.contains("`sql` is missing"), "{error}");
        std::fs::write(broken.path().join("metrics/queue.yaml"), b"\xff").unwrap();
        assert_eq!(pack(&component, broken.path()).unwrap_err().to_string(), "`metrics/queue.yaml` in it is not UTF-8");
        assert!(matches!(pack(b"\0asm", broken.path()), Err(PluginError::Refused(_))));
    }

    #[test]
    fn a_file_is_read_no_further_than_a_plugin_may_be_long() {
        let error = open(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, PluginError::Refused(Refused::TooLarge(_))), "{error}");
    }
}
