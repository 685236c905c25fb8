//! Numbers that are fixed for good: Debian's own allocations, and ours for names that many packages declare.
//!
//! A row, once released, never changes and is never reused: files in volumes belong to these numbers. Adding a row
//! for a name that had a derived number needs a new version of the composer.

/// `passwd.master` of bookworm's base-passwd, for images without that package.
pub(super) const PASSWD: &str = "\
root:*:0:0:root:/root:/bin/bash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:*:2:2:bin:/bin:/usr/sbin/nologin
sys:*:3:3:sys:/dev:/usr/sbin/nologin
sync:*:4:65534:sync:/bin:/bin/sync
games:*:5:60:games:/usr/games:/usr/sbin/nologin
man:*:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:*:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:*:8:8:mail:/var/mail:/usr/sbin/nologin
news:*:9:9:news:/var/spool/news:/usr/sbin/nologin
uucp:*:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin
proxy:*:13:13:proxy:/bin:/usr/sbin/nologin
www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin
backup:*:34:34:backup:/var/backups:/usr/sbin/nologin
list:*:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
irc:*:39:39:ircd:/run/ircd:/usr/sbin/nologin
_apt:*:42:65534::/nonexistent:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

/// `group.master` of the same.
pub(super) const GROUP: &str = "\
root:*:0:
daemon:*:1:
bin:*:2:
sys:*:3:
adm:*:4:
tty:*:5:
disk:*:6:
lp:*:7:
mail:*:8:
news:*:9:
uucp:*:10:
man:*:12:
proxy:*:13:
kmem:*:15:
dialout:*:20:
fax:*:21:
voice:*:22:
cdrom:*:24:
floppy:*:25:
tape:*:26:
sudo:*:27:
audio:*:29:
dip:*:30:
www-data:*:33:
backup:*:34:
operator:*:37:
list:*:38:
irc:*:39:
src:*:40:
shadow:*:42:
utmp:*:43:
video:*:44:
sasl:*:45:
plugdev:*:46:
staff:*:50:
games:*:60:
users:*:100:
nogroup:*:65534:
";

/// Numbers for users and groups of these names, sorted by name, one number for both.
///
/// 60000 to 64999 are Debian's global allocations (`/usr/share/doc/base-passwd/README`). 101 to 999 are ours: Debian
/// gives such names the next free number at installation, which depends on the order of packages.
pub(super) const NUMBERS: &[(&str, u32)] = &[
    ("Debian-exim", 101),
    ("Debian-snmp", 102),
    ("_chrony", 103),
    ("_flatpak", 104),
    ("_gitea", 105),
    ("_graphite", 106),
    ("_rpc", 107),
    ("_ssh", 108),
    ("_tor", 109),
    ("alias", 64010),
    ("amavis", 110),
    ("arpwatch", 111),
    ("asterisk", 64020),
    ("avahi", 112),
    ("avahi-autoipd", 113),
    ("bind", 114),
    ("bitlbee", 115),
    ("cacti", 116),
    ("ceph", 64045),
    ("cinder", 64061),
    ("clamav", 117),
    ("colord", 118),
    ("consul", 119),
    ("couchdb", 120),
    ("crontab", 121),
    ("cups-pk-helper", 122),
    ("cyrus", 123),
    ("davfs2", 124),
    ("debian-spamd", 125),
    ("debian-tor", 126),
    ("debian-transmission", 127),
    ("dhcpcd", 128),
    ("dhcpd", 129),
    ("dictd", 130),
    ("dnscrypt-proxy", 131),
    ("dnsmasq", 132),
    ("docker", 133),
    ("dovecot", 134),
    ("dovenull", 135),
    ("ejabberd", 136),
    ("epmd", 137),
    ("etcd", 138),
    ("fetchmail", 139),
    ("freerad", 140),
    ("freeswitch", 141),
    ("frr", 142),
    ("frrvty", 143),
    ("ftn", 64000),
    ("ftp", 144),
    ("fwupd-refresh", 145),
    ("gdm", 146),
    ("geoclue", 147),
    ("gitdaemon", 148),
    ("gitlog", 149),
    ("glance", 64062),
    ("gnocchi", 64065),
    ("grafana", 150),
    ("grsec-sock-all", 64041),
    ("grsec-sock-clt", 64042),
    ("grsec-sock-srv", 64043),
    ("grsec-tpe", 64040),
    ("haclient", 64035),
    ("hacluster", 64035),
    ("haproxy", 151),
    ("i2psvc", 152),
    ("icecast2", 153),
    ("icinga", 154),
    ("influxdb", 155),
    ("input", 156),
    ("jetty", 157),
    ("kamailio", 158),
    ("kea", 159),
    ("knot", 160),
    ("kvm", 161),
    ("libvirt", 162),
    ("libvirt-qemu", 64055),
    ("lightdm", 163),
    ("logcheck", 164),
    ("lpadmin", 165),
    ("memcache", 166),
    ("messagebus", 167),
    ("minidlna", 168),
    ("mlocate", 169),
    ("mopidy", 170),
    ("mosquitto", 171),
    ("mpd", 172),
    ("mumble-server", 173),
    ("munge", 174),
    ("munin", 175),
    ("mysql", 64001),
    ("nagios", 176),
    ("netdata", 177),
    ("netdev", 178),
    ("netplan", 63434),
    ("nginx", 179),
    ("nova", 64060),
    ("nsd", 180),
    ("nslcd", 181),
    ("ntpsec", 182),
    ("nut", 183),
    ("opendkim", 184),
    ("opendmarc", 185),
    ("openldap", 186),
    ("opensmtpd", 187),
    ("opensmtpq", 188),
    ("opensrf", 64050),
    ("pdns", 189),
    ("plocate", 190),
    ("polkitd", 191),
    ("postdrop", 192),
    ("postfix", 193),
    ("postgres", 194),
    ("postgrey", 195),
    ("postsrsd", 196),
    ("privoxy", 197),
    ("prometheus", 198),
    ("prosody", 199),
    ("pulse", 200),
    ("pulse-access", 201),
    ("qmail", 64010),
    ("qmaild", 64011),
    ("qmaill", 64016),
    ("qmailp", 64017),
    ("qmailq", 64015),
    ("qmailr", 64013),
    ("qmails", 64012),
    ("quassel", 202),
    ("rabbitmq", 203),
    ("radicale", 204),
    ("radvd", 205),
    ("redis", 206),
    ("redsocks", 207),
    ("render", 208),
    ("rtkit", 209),
    ("rwhod", 210),
    ("saned", 211),
    ("sbuild", 212),
    ("scanner", 213),
    ("sddm", 214),
    ("sgx", 215),
    ("slurm", 64030),
    ("smmsp", 216),
    ("smmta", 217),
    ("snort", 218),
    ("solr", 219),
    ("speech-dispatcher", 220),
    ("sshd", 221),
    ("ssl-cert", 222),
    ("sssd", 223),
    ("statd", 224),
    ("strongswan", 225),
    ("stunnel4", 226),
    ("swift", 227),
    ("systemd-coredump", 228),
    ("systemd-journal", 229),
    ("systemd-journal-remote", 230),
    ("systemd-journal-upload", 231),
    ("systemd-network", 232),
    ("systemd-oom", 233),
    ("systemd-resolve", 234),
    ("systemd-timesync", 235),
    ("tac-plus", 64005),
    ("tcpdump", 236),
    ("telnetd", 237),
    ("tftp", 238),
    ("tinyproxy", 239),
    ("tomcat", 240),
    ("tss", 241),
    ("unbound", 242),
    ("usbmux", 243),
    ("uuidd", 244),
    ("valkey", 245),
    ("varnish", 246),
    ("varnishlog", 247),
    ("vcache", 248),
    ("vchkpw", 64025),
    ("vdr", 249),
    ("vpopmail", 64025),
    ("wireshark", 250),
    ("xrdp", 251),
    ("zabbix", 252),
    ("znc", 253),
];

/// The number of a name in the table.
pub(super) fn number(name: &str) -> Option<u32> {
    NUMBERS.binary_search_by_key(&name, |&(known, _)| known).ok().map(|row| NUMBERS[row].1)
}

#[cfg(test)]
mod tests {
    use super::NUMBERS;
    use std::collections::BTreeMap;

    #[test]
    fn the_table_is_sorted_and_gives_a_number_twice_only_to_names_that_go_together() {
        assert!(NUMBERS.is_sorted_by(|a, b| a.0 < b.0));
        let mut shared: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for &(name, number) in NUMBERS {
            assert!((101..1000).contains(&number) || (60000..65000).contains(&number), "{name}");
            shared.entry(number).or_default().push(name);
        }
        shared.retain(|_, names| names.len() > 1);
        let expected = [
            (64010, vec!["alias", "qmail"]),
            (64025, vec!["vchkpw", "vpopmail"]),
            (64035, vec!["haclient", "hacluster"]),
        ];
        assert_eq!(shared, BTreeMap::from(expected));
    }
}
