# On a worker: it asks the server for work as soon as the server knows it.
apt-get install -qq -y --no-install-recommends -t trixie-backports \
  debusine-worker sbuild mmdebstrap autopkgtest uidmap dpkg-dev > /dev/null
mkdir -p /etc/debusine/worker
printf '[General]\napi-url = http://debusine.example.org/api\nlog-file =\nlog-level = INFO\n' > /etc/debusine/worker/config.ini
# Tarballs of environments are made for a day in the lab, and xz would take most of their time.
mkdir -p /etc/systemd/system/debusine-worker.service.d
printf '[Service]\nEnvironment=XZ_DEFAULTS=-0\n' > /etc/systemd/system/debusine-worker.service.d/xz.conf
systemctl daemon-reload
chown -R debusine-worker: /etc/debusine/worker
systemctl restart debusine-worker
