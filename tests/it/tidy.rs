//! The house rules that neither the compiler nor Cargo holds.

use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 7] = ["domain", "commands", "projections", "sagas", "adapters", "api", "tests"];
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every Rust file with its path from the root and its text.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let paths = MEMBERS.iter().flat_map(|member| files(&root.join(member), "rs"));
    paths
        .map(|path| (path.strip_prefix(&root).unwrap().display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The part of a file before its inline tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

#[track_caller]
fn none(rule: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

/// Lines of shipped code in `folders` that hold one of `words`, comments left out.
fn lines_with(folders: &[&str], words: &[&str]) -> Vec<String> {
    let mut offenders = vec![];
    for (path, text) in sources() {
        if is_test(&path) || !folders.iter().any(|folder| path.starts_with(&format!("{folder}/"))) {
            continue;
        }
        for (number, line) in shipped(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                offenders.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    offenders
}

#[test]
fn every_file_says_what_it_owns() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    none("a file opens with `//!` lines that say what it owns", silent.map(|(path, _)| path).collect());
}

#[test]
fn files_stay_small() {
    let large =
        sources().into_iter().filter(|(path, text)| !is_test(path) && shipped(text).lines().count() > LINES_MAX);
    none("a file has at most 600 lines, tests apart", large.map(|(path, _)| path).collect());
}

#[test]
fn no_floats_near_money() {
    none("amounts are integers and rates decimals", lines_with(&["domain", "commands", "sagas"], &["f32", "f64"]));
}

#[test]
fn the_domain_knows_no_clock_no_chance_and_no_outside() {
    let words = [
        "SystemTime::now",
        "Utc::now",
        "Instant::now",
        "now_v7",
        "new_v4",
        "async ",
        "std::fs",
        "std::env",
        "tracing::",
    ];
    none("domain is pure", lines_with(&["domain"], &words));
}

#[test]
fn sql_stands_in_projections_and_adapters_only() {
    none("no SQL here", lines_with(&["domain", "commands", "sagas", "api"], &["sqlx::query", "sqlx::raw"]));
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "#[ignore"];
    let marks: Vec<String> = marks.iter().map(|mark| (*mark).to_owned()).collect();
    let found = sources().into_iter().filter(|(path, _)| !path.ends_with("tidy.rs"));
    let found = found.filter(|(_, text)| marks.iter().any(|mark| text.contains(mark.as_str())));
    none("unfinished", found.map(|(path, _)| path).collect());
}

#[test]
fn imports_point_inwards() {
    let forbidden = [
        ("domain", vec!["commands", "projections", "sagas", "adapters", "api", "tokio", "sqlx", "tracing"]),
        ("commands", vec!["projections", "sagas", "adapters", "api", "sqlx", "axum"]),
        ("projections", vec!["sagas", "adapters", "api", "axum"]),
        ("sagas", vec!["projections", "adapters", "api", "sqlx", "axum"]),
        ("adapters", vec!["api"]),
        ("api", vec!["adapters", "sagas"]),
    ];
    let mut offenders = vec![];
    for (member, names) in forbidden {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
        let listed = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        offenders.extend(listed.filter(|name| names.contains(name)).map(|name| format!("{member} imports {name}")));
    }
    none("imports point inwards", offenders);
}

#[test]
fn a_migration_says_why() {
    let migrations = files(&root().join("migrations"), "sql");
    let silent = migrations.iter().filter(|path| !fs::read_to_string(path).unwrap().starts_with("--"));
    none("a migration opens with a comment", silent.map(|path| path.display().to_string()).collect());
}

#[test]
fn the_architecture_page_stays_short() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(page.lines().count() <= 160, "ARCHITECTURE.md has more than 160 lines");
    let missing = page.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs") || name.ends_with('/'));
    let missing = missing.filter(|name| !root().join(name).exists()).map(str::to_owned);
    none("ARCHITECTURE.md names what is not there", missing.collect());
}
