//! How Postgres gets onto this system: the exact command for it, and the one case in which the program runs it itself
//! (root on a Debian-like system). It does not decide whether that is wanted.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::ClusterError;

/// Debian's own names; a lock held by another apt is waited for instead of failing at once.
const APT_STEPS: [&[&str]; 2] = [&["update", "-qq"], &["install", "-y", "--no-install-recommends", "postgresql"]];

/// A sentence for people that names one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HowToInstall {
    command: Option<String>,
}

impl HowToInstall {
    /// The command for the system on which this runs.
    pub fn here() -> Self {
        let os_release = std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        Self::for_system(std::env::consts::OS, &os_release, super::run_as::is_root())
    }

    /// `os` as in `std::env::consts::OS`, `os_release` the text of that file (empty where there is none).
    pub fn for_system(os: &str, os_release: &str, root: bool) -> Self {
        let command = match os {
            "macos" => Some("brew install postgresql@17"),
            "freebsd" => Some("pkg install -y postgresql17-server"),
            _ => os_ids(os_release).iter().find_map(|id| linux_command(id)),
        };
        let needs_sudo = !root && os != "macos";
        Self {
            command: command.map(|text| {
                if needs_sudo {
                    text.split(" && ").map(|step| format!("sudo {step}")).collect::<Vec<_>>().join(" && ")
                } else {
                    text.to_owned()
                }
            }),
        }
    }
}

impl fmt::Display for HowToInstall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "Install it with: {command}"),
            None => write!(
                f,
                "Install the PostgreSQL server package of this system, or set PG_BIN to the folder that holds \
                 `initdb` and `postgres`"
            ),
        }
    }
}

/// `ID` first, then the words of `ID_LIKE`: the most particular name wins.
fn os_ids(os_release: &str) -> Vec<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|text| text.trim().trim_matches(['"', '\'']).to_owned())
            .unwrap_or_default()
    };
    format!("{} {}", value("ID"), value("ID_LIKE")).split_whitespace().map(str::to_owned).collect()
}

fn linux_command(id: &str) -> Option<&'static str> {
    Some(match id {
        "debian" | "ubuntu" => "apt-get update && apt-get install -y postgresql",
        "fedora" | "rhel" | "centos" | "rocky" | "almalinux" => "dnf install -y postgresql-server",
        "amzn" => "dnf install -y postgresql15-server",
        "arch" => "pacman -S --noconfirm postgresql",
        "alpine" => "apk add postgresql",
        "suse" | "opensuse" => "zypper install -y postgresql-server",
        "gentoo" => "emerge dev-db/postgresql",
        _ => return None,
    })
}

/// Whether this program may and can install by itself: root, with apt.
pub(super) fn can_install() -> bool {
    super::run_as::is_root() && Path::new("/usr/bin/apt-get").exists()
}

/// Installs Debian's `postgresql`, having said so. Nothing of apt reaches our standard output, which is for results.
pub(super) fn install(notice: fn(&str)) -> Result<(), ClusterError> {
    notice(
        "no PostgreSQL server found: installing the package `postgresql` with apt-get \
         (forbid this with --no-install)",
    );
    for arguments in APT_STEPS {
        let text = format!("apt-get {}", arguments.join(" "));
        let failed = |detail: String| ClusterError::Install { command: text.clone(), detail };
        let output = Command::new("/usr/bin/apt-get")
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(last_lines(&said, 5)));
        }
    }
    Ok(())
}

/// The last `count` lines: where a tool's reason for failing usually stands.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::HowToInstall;

    #[test]
    fn names_the_exact_command_of_each_system() {
        let cases = [
            ("linux", "ID=debian\n", true, "apt-get update && apt-get install -y postgresql"),
            (
                "linux",
                "NAME=x\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                false,
                "sudo apt-get update && sudo apt-get install -y postgresql",
            ),
            ("linux", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", true, "dnf install -y postgresql-server"),
            ("linux", "ID=arch\n", false, "sudo pacman -S --noconfirm postgresql"),
            ("linux", "ID=alpine\n", true, "apk add postgresql"),
            ("macos", "", false, "brew install postgresql@17"),
        ];
        for (os, os_release, root, expected) in cases {
            let how = HowToInstall::for_system(os, os_release, root).to_string();
            assert_eq!(how, format!("Install it with: {expected}"));
        }
        let unknown = HowToInstall::for_system("linux", "ID=plan9\n", true).to_string();
        assert!(unknown.contains("PG_BIN"), "{unknown}");
    }
}
