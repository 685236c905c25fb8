//! The install rules of a record.

use super::super::fields::{Fields, Members, Read};
use super::super::{AlternativeRule, DiversionRule, Follower, GroupRule, InstallRules, LinkRule, ScriptTier, UserRule};
use super::unique;
use crate::tree::MAX_TARGET;

pub(super) fn members(install: &InstallRules) -> Members {
    let mut out = Members::default();
    out.text_set("replaces_files_of", &install.replaces_files_of);
    out.object_set("users", &install.users, write_user);
    out.object_set("groups", &install.groups, |group, out| {
        out.put("name", group.name.as_str());
        out.id_if("gid", group.gid);
    });
    out.object_set("alternatives", &install.alternatives, write_alternative);
    out.object_set("diversions", &install.diversions, |diversion, out| {
        out.path("path", &diversion.path);
        out.path("to", &diversion.to);
    });
    out.object_set("links", &install.links, |link, out| {
        out.path("path", &link.path);
        out.put("target", link.target.as_str());
    });
    out.text_set("shells", &install.shells);
    match &install.script {
        ScriptTier::None => {}
        ScriptTier::Declared => out.put("script", "declared"),
        ScriptTier::Captured(refused) => {
            out.put("script", "captured");
            out.text_set("refused", refused);
        }
        ScriptTier::Skipped(reasons) => {
            out.put("script", "skipped");
            out.text_set("skipped", reasons);
        }
    }
    out
}

pub(super) fn read(fields: &mut Fields) -> Read<InstallRules> {
    let (script, skipped, refused) = (fields.text_if("script")?, fields.texts("skipped")?, fields.texts("refused")?);
    let script = match (script.as_deref(), skipped.is_empty(), refused.is_empty()) {
        (None, true, true) => ScriptTier::None,
        (Some("declared"), true, true) => ScriptTier::Declared,
        (Some("captured"), true, _) => ScriptTier::Captured(refused),
        (Some("skipped"), _, true) => ScriptTier::Skipped(skipped),
        _ => {
            let rule = "it must be \"declared\", \"captured\" with what was `refused`, or \"skipped\" with the reasons in `skipped`";
            return Err(fields.wrong("script", rule));
        }
    };
    let rules = InstallRules {
        replaces_files_of: fields.texts("replaces_files_of")?,
        users: fields.objects("users", read_user)?,
        groups: fields.objects("groups", read_group)?,
        alternatives: fields.objects("alternatives", read_alternative)?,
        diversions: fields.objects("diversions", read_diversion)?,
        links: fields.objects("links", read_link)?,
        shells: fields.texts("shells")?,
        script,
    };
    unique(fields, "users", &rules.users, |user| &user.name)?;
    unique(fields, "groups", &rules.groups, |group| &group.name)?;
    unique(fields, "diversions", &rules.diversions, |diversion| &diversion.path)?;
    unique(fields, "links", &rules.links, |link| &link.path)?;
    if rules.shells.iter().any(|shell| !shell.starts_with('/') || !is_line_field(shell)) {
        return Err(fields.wrong("shells", "a shell must be an absolute path without `:` and control characters"));
    }
    Ok(rules)
}

fn write_user(user: &UserRule, out: &mut Members) {
    out.put("name", user.name.as_str());
    out.id_if("uid", user.uid);
    out.put("group", user.group.as_str());
    out.put("home", user.home.as_str());
    out.put("shell", user.shell.as_str());
    out.text_or_empty("comment", &user.comment);
    out.text_set("supplementary", &user.supplementary);
}

fn read_user(fields: &mut Fields) -> Read<UserRule> {
    let user = UserRule {
        name: read_account(fields, "name")?,
        uid: fields.id_if("uid")?,
        group: read_account(fields, "group")?,
        home: fields.text("home")?,
        shell: fields.text("shell")?,
        comment: fields.text_or_empty("comment")?,
        supplementary: fields.texts("supplementary")?,
    };
    for (key, text) in [("home", &user.home), ("shell", &user.shell), ("comment", &user.comment)] {
        if !is_line_field(text) {
            return Err(fields.wrong(key, "it must not contain `:` or control characters"));
        }
    }
    if !user.supplementary.iter().all(|group| is_account(group)) {
        return Err(fields.wrong("supplementary", "one of its items is not a group's name"));
    }
    Ok(user)
}

fn read_group(fields: &mut Fields) -> Read<GroupRule> {
    Ok(GroupRule { name: read_account(fields, "name")?, gid: fields.id_if("gid")? })
}

/// A user's or group's name, which ends up between the colons of a line in `/etc/passwd` or `/etc/group`.
fn read_account(fields: &mut Fields, key: &str) -> Read<String> {
    let name = fields.text(key)?;
    if is_account(&name) { Ok(name) } else { Err(fields.wrong(key, "it is not a name of a user or group")) }
}

fn is_account(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && is_line_field(name) && !name.contains(['/', ',', ' '])
}

/// Whether a text can stand between the colons of a line.
fn is_line_field(text: &str) -> bool {
    !text.contains(|c: char| c == ':' || c.is_control())
}

fn write_alternative(alternative: &AlternativeRule, out: &mut Members) {
    out.put("name", alternative.name.as_str());
    out.path("link", &alternative.link);
    out.path("path", &alternative.path);
    // A text, because records have no negative numbers.
    out.display("priority", alternative.priority);
    out.object_set("followers", &alternative.followers, |follower, out| {
        out.put("name", follower.name.as_str());
        out.path("link", &follower.link);
        out.path("path", &follower.path);
    });
}

fn read_alternative(fields: &mut Fields) -> Read<AlternativeRule> {
    Ok(AlternativeRule {
        name: read_word(fields)?,
        link: fields.path("link")?,
        path: fields.path("path")?,
        priority: fields.parsed("priority")?,
        followers: fields.objects("followers", |fields| {
            Ok(Follower { name: read_word(fields)?, link: fields.path("link")?, path: fields.path("path")? })
        })?,
    })
}

/// The name of an alternative, which becomes a file name in `/etc/alternatives`.
fn read_word(fields: &mut Fields) -> Read<String> {
    let name = fields.text("name")?;
    match name.is_empty()
        || name.starts_with('.')
        || name.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace())
    {
        false => Ok(name),
        true => Err(fields.wrong("name", "it is not a name of an alternative")),
    }
}

fn read_diversion(fields: &mut Fields) -> Read<DiversionRule> {
    Ok(DiversionRule { path: fields.path("path")?, to: fields.path("to")? })
}

fn read_link(fields: &mut Fields) -> Read<LinkRule> {
    let link = LinkRule { path: fields.path("path")?, target: fields.text("target")? };
    match (1..=MAX_TARGET).contains(&link.target.len()) && !link.target.contains('\0') {
        true => Ok(link),
        false => Err(fields.wrong("target", "a link's text is 1 to 4095 bytes without NUL")),
    }
}
