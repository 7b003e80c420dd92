//! Where the server binaries of this system are, and which of several fits a data directory. Starts nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ClusterError;
use super::install::{self, HowToInstall};

/// Older servers lack `DROP DATABASE ... WITH (FORCE)` and are out of support.
const MAJOR_MIN: u32 = 13;

/// A folder that holds `initdb` and `postgres` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

impl Binaries {
    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// The binaries for a cluster of version `wanted`, or the first found for a new one. Installs them where that is
/// allowed (`install`) and possible.
pub(super) fn find(
    data_dir: &Path,
    wanted: Option<u32>,
    may_install: bool,
    notice: fn(&str),
) -> Result<Binaries, ClusterError> {
    let mut found = all();
    // A package would not be looked for where `PG_BIN` points elsewhere.
    if found.is_empty() && may_install && install::can_install() && pg_bin().is_none() {
        install::install(notice)?;
        found = all();
    }
    let Some(first) = found.first() else {
        return Err(ClusterError::NoBinaries {
            looked_in: candidates().iter().map(|folder| folder.display().to_string()).collect(),
            how: HowToInstall::here(),
        });
    };
    let Some(wanted) = wanted else {
        return Ok(first.clone());
    };
    match found.iter().find(|binaries| binaries.major == wanted) {
        Some(binaries) => Ok(binaries.clone()),
        None => Err(ClusterError::VersionMismatch {
            data_dir: data_dir.to_owned(),
            wanted,
            found: found.iter().map(|b| b.major.to_string()).collect(),
            how: HowToInstall::here(),
        }),
    }
}

/// Every usable set on this system, in order of preference, each once.
fn all() -> Vec<Binaries> {
    let mut found: Vec<Binaries> = Vec::new();
    for folder in candidates() {
        if let Some(binaries) = probe(&folder)
            && !found.contains(&binaries)
        {
            found.push(binaries);
        }
    }
    found
}

/// `PG_BIN` alone if it is set; else the newest of Debian's versioned folders, `pg_config`, `PATH`, and where
/// Homebrew and the packages of other systems put them.
fn candidates() -> Vec<PathBuf> {
    if let Some(folder) = pg_bin() {
        return vec![folder];
    }
    let mut folders = newest_first("/usr/lib/postgresql", "", "bin");
    folders.extend(pg_config_bindir());
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|f| f.join("postgres").exists()));
    }
    folders.extend(newest_first("/usr", "pgsql-", "bin"));
    folders.extend(newest_first("/usr/libexec", "postgresql", ""));
    folders.extend(newest_first("/opt/homebrew/opt", "postgresql@", "bin"));
    folders.extend(newest_first("/usr/local/opt", "postgresql@", "bin"));
    folders
}

fn pg_bin() -> Option<PathBuf> {
    std::env::var_os("PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folders `{parent}/{prefix}{number}/{below}`, the highest number first.
fn newest_first(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(below)))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// A folder counts when `postgres --version` answers with a version that we support and `initdb` lies beside it.
/// Links are followed first, because `PATH` often holds a link to `postgres` alone.
fn probe(folder: &Path) -> Option<Binaries> {
    let postgres = folder.join("postgres").canonicalize().ok()?;
    let folder = postgres.parent()?.to_owned();
    if !folder.join("initdb").exists() {
        return None;
    }
    let output = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
    (major >= MAJOR_MIN).then_some(Binaries { folder, major })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15, `... 18beta1` is 18.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{newest_first, parse_major};

    #[test]
    fn reads_the_major_version_of_releases_and_betas() {
        let cases = [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 13.22", Some(13)),
            ("something else", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_major(text), expected, "{text}");
        }
    }

    #[test]
    fn orders_versioned_folders_by_number_not_by_letters() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        for name in ["9", "15", "100", "doc"] {
            std::fs::create_dir(parent.path().join(name)).expect("a folder");
        }
        let found = newest_first(parent.path().to_str().expect("UTF-8"), "", "bin");
        let names: Vec<_> = found.iter().map(|f| f.strip_prefix(parent.path()).expect("inside").to_owned()).collect();
        assert_eq!(names, ["100/bin", "15/bin", "9/bin"].map(std::path::PathBuf::from));
    }
}
