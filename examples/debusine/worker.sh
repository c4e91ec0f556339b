# On a worker: it asks the server for work as soon as the server knows it.
apt-get install -qq -y --no-install-recommends -t trixie-backports \
  debusine-worker sbuild mmdebstrap autopkgtest uidmap dpkg-dev > /dev/null
mkdir -p /etc/debusine/worker
printf '[General]\napi-url = http://debusine.example.org/api\nlog-file =\nlog-level = INFO\n' > /etc/debusine/worker/config.ini
# The tarball of an environment is made for a day in the lab, and xz would take most of its time.
printf '#!/bin/sh\nexec /usr/bin/xz -0 "$@"\n' > /usr/local/bin/xz
chmod 755 /usr/local/bin/xz
chown -R debusine-worker: /etc/debusine/worker
systemctl restart debusine-worker
