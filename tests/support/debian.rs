//! Debian's packages, fetched through `apt-get` as a user would, and unpacked into the cache folder: nothing is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder with the packages' trees, fetched first if it is not there; `program` is a file in it.
pub fn tree(name: &str, packages: &[&str], program: &str) -> Result<PathBuf, String> {
    let told = |error: std::io::Error| error.to_string();
    let cache = pgsteward::demo::fetch::cache().with_file_name(name);
    std::fs::create_dir_all(&cache).map_err(told)?;
    let _one_at_a_time = std::fs::File::create(cache.join(".lock")).and_then(|file| file.lock().map(|()| file)).map_err(told)?;
    let place = cache.join("tree");
    if !place.join(program).is_file() {
        let staging = tempfile::tempdir_in(&cache).map_err(told)?;
        std::fs::rename(fetch(staging.path(), packages)?, &place).map_err(told)?;
    }
    Ok(place)
}

fn fetch(staging: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    run(Command::new("apt-get").args(["-qq", "-o", "APT::Sandbox::User=root", "download"]).args(packages).current_dir(staging))?;
    let entries = std::fs::read_dir(staging).map_err(|error| error.to_string())?;
    let tree = staging.join("tree");
    for package in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "deb")) {
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&tree))?;
    }
    Ok(tree)
}

/// Runs it to its end; what it says when it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    output.status.success().then_some(()).ok_or(format!("{name}: {said}"))
}
