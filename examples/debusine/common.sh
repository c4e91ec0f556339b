# What server and workers need. Debusine takes no address whose name has no dot.
set -eu
export DEBIAN_FRONTEND=noninteractive
grep -q ' debusine\.example\.org$' /etc/hosts || echo "$(getent hosts debusine | cut -d' ' -f1) debusine.example.org" >> /etc/hosts
# From where this host takes the rest of Debian. A new disk has no package lists, and what a run that failed wrote may be in the way.
rm -f /etc/apt/sources.list.d/backports.sources
apt-get update -qq
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: trixie' 'Created-By: Packages' | head -n 1)
cat > /etc/apt/sources.list.d/backports.sources <<END
Types: deb
URIs: $mirror
Suites: trixie-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
apt-get update -qq
