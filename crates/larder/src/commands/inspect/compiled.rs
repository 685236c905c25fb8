//! `larder inspect --deep`: what is compiled into files, next to the packages that hold them.

use larder_lib::TreePath;
use larder_lib::deep::{Component, Contained, Source};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::ui::{self, BOLD, FAINT, RESET, YELLOW};

/// Prints what was found, by package and by file.
pub(super) fn print(found: &[Contained]) -> Result<(), Failure> {
    let total: usize = found.iter().map(|one| one.reading.components.len()).sum();
    ui::line(format_args!("{:13} {}", "compiled in:", ui::count(total, "component")))?;
    for one in found {
        ui::line(format_args!("  {BOLD}{}{RESET} {}", one.name, one.version))?;
        for file in one.reading.components.chunk_by(|a, b| a.file == b.file) {
            print_file(file)?;
        }
        for unread in &one.reading.unread {
            ui::line(format_args!("    /{}  {YELLOW}unread:{RESET} {}", shown(&unread.file), unread.reason))?;
        }
    }
    Ok(())
}

fn print_file(components: &[Component]) -> Result<(), Failure> {
    let Some(first) = components.first() else { return Ok(()) };
    // Most files are a single package's: those need one line.
    if let [only] = components
        && only.inside.is_none()
    {
        return Ok(ui::line(format_args!("    {}  {FAINT}/{}{RESET}", words(only), shown(&only.file)))?);
    }
    ui::line(format_args!("    /{}", shown(&first.file)))?;
    for component in components {
        let inside = component.inside.as_ref().map(|inside| format!("  {FAINT}in {inside}{RESET}"));
        ui::line(format_args!("      {}{}", words(component), inside.unwrap_or_default()))?;
    }
    Ok(())
}

pub(in crate::commands) fn words(component: &Component) -> String {
    let version = component.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("{} {}{version}", component.ecosystem.as_str(), component.name)
}

/// A path of somebody else's, which may hold anything but a NUL.
pub(in crate::commands) fn shown(path: &TreePath) -> String {
    path.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The field `compiled` as `docs/json.md` has it.
pub(super) fn document(found: &[Contained]) -> Value {
    let packages = found.iter().map(|one| {
        let components = one.reading.components.iter().map(|component| {
            json!({
                "file": format!("/{}", component.file),
                "inside": component.inside,
                "ecosystem": component.ecosystem.as_str(),
                "name": component.name,
                "version": component.version,
            })
        });
        let unread = one
            .reading
            .unread
            .iter()
            .map(|unread| json!({"file": format!("/{}", unread.file), "reason": unread.reason}));
        json!({
            "name": one.name.as_str(),
            "version": one.version,
            "digest": one.digest.to_string(),
            "kept": one.source == Source::Kept,
            "components": components.collect::<Vec<_>>(),
            "unread": unread.collect::<Vec<_>>(),
        })
    });
    packages.collect()
}
