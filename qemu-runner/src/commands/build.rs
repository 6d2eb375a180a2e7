//! `cargo norma build`: the images, where they are and how large.

use super::data;
use crate::context::Context;
use crate::images;
use crate::setup;
use crate::status::Status;

/// Builds all images and prints a line for each: name, bytes without symbols, path.
///
/// # Errors
/// The target cannot be installed, or an image does not compile.
pub fn run(context: &Context) -> anyhow::Result<Status> {
    setup::ensure_target(context)?;
    let images = images::build(context)?;
    for image in images.iter() {
        data(&format!(
            "{:<12} {:>9} bytes  {}",
            image.name,
            image.stripped_bytes,
            image.elf.display()
        ));
    }
    Ok(Status::Pass)
}
