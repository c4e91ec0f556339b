# What scheduler and workers need: buildbox, which Debian has in sid alone. The rest of sid stays where it is.
set -eu
export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/sources.list.d/sid.sources
apt-get update -qq
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: trixie' 'Created-By: Packages' | head -n 1)
cat > /etc/apt/sources.list.d/sid.sources <<END
Types: deb
URIs: $mirror
Suites: sid
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Check-Valid-Until: no
END
printf 'Package: *\nPin: release n=sid\nPin-Priority: 90\n' > /etc/apt/preferences.d/sid
apt-get update -qq
[ -x /usr/bin/buildbox-casd ] || apt-get install -qq -y --no-install-recommends -t sid buildbox > /dev/null
install -d -m 0755 /etc/farm
write_unit() { # NAME AFTER USER COMMAND
  cat > "/etc/systemd/system/$1.service" <<END
[Unit]
After=network.target $2
# It may be started as often as this is run.
StartLimitIntervalSec=0

[Service]
User=$3
ExecStart=$4
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
END
  systemctl daemon-reload
  systemctl enable -q "$1"
  systemctl restart "$1"
}
