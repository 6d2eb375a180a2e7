//! The page in a real browser: what it looks like there can only be asked there.
//!
//! Owns: finding Chromium, opening the page at several widths, what must hold, pictures.
//! Leaves to others: the page.
//! Why this way: the page itself forbids scripts. So a copy without that policy is opened, with
//! one that measures what was laid out and tells the page around it, which Chromium prints.

use crate::setup;
use crate::status::{Ended, Status};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What browsers of this kind are called.
const PROGRAMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// How to get one.
const INSTALL: &str = "apt-get install -y --no-install-recommends chromium";

/// Widths of a phone, a tablet and a wide screen, in CSS pixels.
const WIDTHS: [u32; 3] = [390, 768, 1200];
/// Height of the window, in CSS pixels.
const HEIGHT: u32 = 2400;
/// The smallest letters that can be read, in CSS pixels.
const LETTERS: f64 = 9.0;

/// Tells the page around what was laid out.
const MEASURE: &str = r#"<script>
addEventListener("load", () => {
  const plots = [...document.querySelectorAll("figure > svg")];
  const box = e => e.getBoundingClientRect();
  const texts = [...document.querySelectorAll("figure > svg text")];
  const out = texts.filter(t => {
    const a = box(t), b = box(t.closest("svg"));
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  });
  const letters = texts.map(t => parseFloat(getComputedStyle(t).fontSize) *
    box(t.closest("svg")).width / t.closest("svg").viewBox.baseVal.width);
  const found = {
    inner: innerWidth,
    scroll: document.documentElement.scrollWidth,
    plots: plots.length,
    narrow: plots.filter(p => box(p).width < 300 || box(p).height < 30).length,
    outside: out.map(t => t.textContent),
    letters: Math.min(...letters),
    fetched: performance.getEntriesByType("resource").length,
    hidden: [...document.querySelectorAll("td")].filter(d => box(d).width == 0).length,
  };
  parent.postMessage(btoa(JSON.stringify(found)), "*");
});
</script></head>"#;

/// A page around the page. A browser's window has a least width, wider than a phone; a frame in it
/// has any. What is measured in the frame is written into the page around it, which Chromium prints.
fn framed(page: &str, width: u32) -> String {
    format!(
        "<!doctype html><html><head><script>addEventListener('message', e => \
         document.body.setAttribute('data-found', e.data));</script></head>\
         <body style='margin:0'><iframe src='{page}' \
         style='border:0;width:{width}px;height:{HEIGHT}px'></iframe></body></html>"
    )
}

/// What the browser found.
#[derive(Debug, Deserialize)]
struct Found {
    inner: f64,
    scroll: f64,
    plots: usize,
    narrow: usize,
    outside: Vec<String>,
    letters: f64,
    fetched: usize,
    hidden: usize,
}

/// Opens the page in a browser and checks it; `pictures` is where pictures and the print go, if
/// they are wanted.
///
/// # Errors
/// No browser (the error names the command that installs one), or something does not hold.
pub fn check(page: &Path, pictures: Option<&Path>) -> Result<()> {
    let browser = find(&std::env::var_os("PATH").unwrap_or_default())?;
    let html =
        std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let copy = folder.path().join("page.html");
    std::fs::write(&copy, measured(&html)?)?;
    for width in WIDTHS {
        let found = open(&browser, folder.path(), &copy, width)?;
        found
            .holds(&html, width)
            .with_context(|| format!("at {width} pixels: {found:?}"))?;
    }
    let pdf = pictures.unwrap_or(folder.path()).join("page.pdf");
    print(&browser, folder.path(), page, &pdf)?;
    if let Some(pictures) = pictures {
        for width in WIDTHS {
            let file = pictures.join(format!("page-{width}.png"));
            shoot(&browser, folder.path(), page, width, &file)?;
        }
    }
    Ok(())
}

fn find(path: &OsStr) -> Result<PathBuf> {
    let found = PROGRAMS
        .iter()
        .find_map(|program| setup::which_in(path, program));
    let text = || {
        let text = format!(
            "no Chromium is installed, in which the page is opened; to install it, run\n  {INSTALL}"
        );
        Ended::new(Status::Failed, text)
    };
    Ok(found.ok_or_else(text)?)
}

/// The page with the script that measures, without the policy that would forbid it.
fn measured(html: &str) -> Result<String> {
    let begin = html.find("<meta http-equiv=Content-Security-Policy");
    let begin = begin.context("the page has no policy: it was not written by this program")?;
    let end = begin + html[begin..].find('>').context("the page is cut")? + 1;
    let html = [&html[..begin], &html[end..]].concat();
    Ok(html.replacen("</head>", MEASURE, 1))
}

fn chromium(browser: &Path, folder: &Path, width: u32) -> Command {
    let mut command = Command::new(browser);
    // Its sandbox needs a user of its own, which root is not; the page is ours.
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
    ]);
    command.arg(format!(
        "--user-data-dir={}",
        folder.join("profile").display()
    ));
    command.arg(format!("--window-size={width},{HEIGHT}"));
    command.stdin(Stdio::null());
    command
}

fn url(page: &Path) -> Result<String> {
    let page = page
        .canonicalize()
        .with_context(|| format!("cannot find {}", page.display()))?;
    Ok(format!("file://{}", page.display()))
}

fn ran(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot run the browser")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the browser failed: {}\n{said}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What was laid out in a window of that width.
fn open(browser: &Path, folder: &Path, page: &Path, width: u32) -> Result<Found> {
    let around = folder.join("around.html");
    std::fs::write(&around, framed(&url(page)?, width))?;
    let mut command = chromium(browser, folder, width);
    let dom = ran(command.arg("--dump-dom").arg(url(&around)?))?;
    let marker = "data-found=\"";
    let begin = dom
        .find(marker)
        .context("the browser did not lay the page out")?
        + marker.len();
    let text = dom[begin..].split('"').next().unwrap_or_default();
    let json = base64(text).context("the browser's answer cannot be read")?;
    Ok(serde_json::from_slice(&json)?)
}

fn print(browser: &Path, folder: &Path, page: &Path, pdf: &Path) -> Result<()> {
    let mut command = chromium(browser, folder, 1200);
    command.arg("--no-pdf-header-footer");
    command
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(url(page)?);
    ran(&mut command)?;
    let bytes = std::fs::read(pdf).context("the browser has printed nothing")?;
    ensure!(
        bytes.starts_with(b"%PDF") && bytes.len() > 10_000,
        "what was printed is empty"
    );
    Ok(())
}

fn shoot(browser: &Path, folder: &Path, page: &Path, width: u32, file: &Path) -> Result<()> {
    let around = folder.join("around.html");
    std::fs::write(&around, framed(&url(page)?, width))?;
    let mut command = chromium(browser, folder, width);
    command
        .arg(format!("--screenshot={}", file.display()))
        .arg(url(&around)?);
    ran(&mut command).map(drop)
}

impl Found {
    fn holds(&self, html: &str, width: u32) -> Result<()> {
        ensure!(
            self.inner == f64::from(width),
            "the window is not as wide as was asked for"
        );
        ensure!(
            self.scroll <= self.inner,
            "the page is wider than its window"
        );
        ensure!(
            self.plots == html.matches("<figure>").count(),
            "plots are missing"
        );
        ensure!(self.narrow == 0, "plots are too small");
        ensure!(self.outside.is_empty(), "labels are cut off");
        ensure!(self.letters >= LETTERS, "letters are too small");
        ensure!(self.fetched == 0, "something was fetched");
        ensure!(self.hidden == 0, "numbers are hidden");
        Ok(())
    }
}

/// What `btoa` has written.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| -> Option<u32> {
        Some(u32::from(match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let mut bytes = Vec::new();
    for piece in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = piece
            .iter()
            .try_fold(0, |bits, c| Some(bits << 6 | digit(*c)?))?;
        let bits = bits << (6 * (4 - piece.len()));
        bytes.extend(&bits.to_be_bytes()[1..piece.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_wrote_is_read() {
        assert_eq!(base64("eyJhIjoxfQ==").unwrap(), b"{\"a\":1}");
        assert_eq!(base64("YWJj").unwrap(), b"abc");
        assert_eq!(base64("YWI=").unwrap(), b"ab");
        assert!(base64("a\"b").is_none());
    }

    #[test]
    fn without_a_browser_the_command_that_installs_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(folder.path().as_os_str()).unwrap_err().to_string();
        assert!(
            error.contains("apt-get install") && error.contains("chromium"),
            "{error}"
        );
        std::fs::write(folder.path().join("chromium"), "").unwrap();
        assert!(find(folder.path().as_os_str()).is_ok());
    }

    #[test]
    fn what_does_not_hold_is_said() {
        let good = || Found {
            inner: 390.0,
            scroll: 390.0,
            plots: 1,
            narrow: 0,
            outside: Vec::new(),
            letters: 11.0,
            fetched: 0,
            hidden: 0,
        };
        let page = "<figure>";
        assert!(good().holds(page, 390).is_ok());
        for (found, word) in [
            (
                Found {
                    inner: 500.0,
                    ..good()
                },
                "asked for",
            ),
            (
                Found {
                    scroll: 400.0,
                    ..good()
                },
                "wider",
            ),
            (Found { plots: 0, ..good() }, "missing"),
            (
                Found {
                    narrow: 1,
                    ..good()
                },
                "small",
            ),
            (
                Found {
                    outside: vec!["x".into()],
                    ..good()
                },
                "cut off",
            ),
            (
                Found {
                    letters: 7.0,
                    ..good()
                },
                "letters",
            ),
            (
                Found {
                    letters: f64::NAN,
                    ..good()
                },
                "letters",
            ),
            (
                Found {
                    fetched: 1,
                    ..good()
                },
                "fetched",
            ),
            (
                Found {
                    hidden: 1,
                    ..good()
                },
                "hidden",
            ),
        ] {
            let error = found.holds(page, 390).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_script_stands_where_the_policy_was_and_only_there() {
        let page = super::super::html(&crate::compare::tests::made_up(&[]));
        let copy = measured(&page).unwrap();
        assert!(copy.contains("postMessage") && !copy.contains("Content-Security-Policy"));
        assert!(measured("<html></html>").is_err());
    }
}
