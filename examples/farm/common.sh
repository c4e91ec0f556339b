# What scheduler and workers need.
set -eu
export DEBIAN_FRONTEND=noninteractive
# buildbox, which Debian has in sid alone. Whatever comes from Debian 13 is installed before, as it wants sid's C library.
install_buildbox() {
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: trixie' 'Created-By: Packages' | head -n 1)
  cat > /etc/apt/sources.list.d/sid.sources <<END
Types: deb
URIs: $mirror
Suites: sid
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
Check-Valid-Until: no
END
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends -t sid buildbox > /dev/null
  rm /etc/apt/sources.list.d/sid.sources
}
rm -f /etc/apt/sources.list.d/sid.sources
apt-get update -qq
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
