# On a worker: it asks the scheduler for jobs, and keeps the files that they need.
[ -x /usr/bin/buildbox-worker ] || install_buildbox
(umask 077 && printf '%s\n' "$CA" > /etc/farm/ca.crt && printf %s "$TOKEN" > /etc/farm/token)
install -d /srv/files
write_unit files '' root "/usr/bin/buildbox-casd --cas-remote=https://scheduler:50051 --cas-instance=main \
  --cas-server-cert=/etc/farm/ca.crt --cas-access-token=/etc/farm/token --bind=unix:/run/files.sock \
  --quota-high=20G --findmissingblobs-cache-ttl=60 /srv/files"
write_unit worker files.service root "/usr/bin/buildbox-worker --cas-remote=unix:/run/files.sock \
  --bots-remote=https://scheduler:50051 --bots-instance=main --bots-server-cert=/etc/farm/ca.crt \
  --bots-access-token=/etc/farm/token --platform OSFamily=linux --platform ISA=x86-64 --platform ISA=x86-32 \
  --concurrent-jobs=1 --buildbox-run=/usr/bin/buildbox-run-bubblewrap $(hostname)"
