//! The rules that come with the program: the repository's `rules/` folder, embedded by `build.rs`.

use super::RuleFile;

static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped_rules.rs"));

/// Every file under `rules/`, tests (`<rule>.test.yaml`) included, sorted by path.
#[must_use]
pub fn shipped() -> Vec<RuleFile> {
    let file = |(path, text): &(&str, &str)| RuleFile {
        path: (*path).to_string(),
        text: (*text).to_string(),
        pack: path.starts_with("rules/classic/").then(|| "classic".to_string()),
    };
    FILES.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_file_has_its_test_beside_it() {
        let files = shipped();
        let is_test = |path: &str| path.ends_with(".test.yaml");
        assert!(files.iter().any(|f| !is_test(&f.path)), "no shipped rule");
        for file in files.iter().filter(|f| !is_test(&f.path) && f.pack.is_none()) {
            let stem = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem);
            let test = format!("{stem}.test.yaml");
            assert!(files.iter().any(|f| f.path == test), "{} has no {test}", file.path);
        }
    }

    #[test]
    fn the_classic_folder_is_a_pack() {
        for file in shipped() {
            assert_eq!(file.pack.is_some(), file.path.starts_with("rules/classic/"), "{}", file.path);
        }
    }
}
