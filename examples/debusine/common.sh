# What server and workers need. Debusine takes no address whose name has no dot.
set -eu
export DEBIAN_FRONTEND=noninteractive
grep -q ' debusine\.example\.org$' /etc/hosts || echo "$(getent hosts debusine | cut -d' ' -f1) debusine.example.org" >> /etc/hosts
cat > /etc/apt/sources.list.d/backports.sources <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt-get update -qq
