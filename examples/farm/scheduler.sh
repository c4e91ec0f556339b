# On the scheduler: BuildGrid with its database, and a cache of artifacts behind nginx. Both speak TLS and want a token.
[ -x /usr/bin/buildbox-casd ] || {
  apt-get install -qq -y --no-install-recommends postgresql nginx-light openssl python3-venv > /dev/null
  install_buildbox
}
id buildgrid > /dev/null 2>&1 || useradd --system --create-home --home-dir /srv/buildgrid buildgrid
cd /
runuser -u postgres -- psql -qc 'CREATE ROLE buildgrid LOGIN' 2> /dev/null || true
runuser -u postgres -- createdb -O buildgrid buildgrid 2> /dev/null || true
[ -x /opt/buildgrid/bin/bgd ] || {
  python3 -m venv /opt/buildgrid
  /opt/buildgrid/bin/pip install -q --no-index --find-links "$WHEELS" --trusted-host "$GATEWAY" buildgrid
}
umask 077
[ -s /etc/farm/server.crt ] || (
  cd /etc/farm
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=the farm of a lab' \
    -keyout ca.key -out ca.crt 2> /dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=scheduler -keyout server.key -out server.csr 2> /dev/null
  printf 'subjectAltName=DNS:scheduler,IP:%s\n' "$ADDRESS" > names
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.crt 2> /dev/null
  openssl rand -hex 32 > secret
)
# Who releases and who works each have a token of their own.
for who in releases workers; do
  [ -s "/etc/farm/$who.token" ] || /opt/buildgrid/bin/python - "$who" > "/etc/farm/$who.token" <<'END'
import sys
import time

import jwt

with open("/etc/farm/secret") as file:
    secret = file.read().strip()
sys.stdout.write(jwt.encode({"sub": sys.argv[1], "exp": int(time.time()) + 30 * 86400}, secret, "HS256"))
END
done
printf %s "$(cat /etc/farm/secret)" > /etc/farm/buildgrid.secret
cat > /etc/farm/access.yml <<END
main:
  allow:
    - {subject: "^releases\$"}
    - {subject: "^workers\$"}
END
cat > /etc/farm/buildgrid.yml <<END
server:
  - !channel
    address: "0.0.0.0:50051"
    insecure-mode: false
    credentials: {tls-server-key: /etc/farm/server.key, tls-server-cert: /etc/farm/server.crt}
authorization: {method: jwt, secret: /etc/farm/buildgrid.secret, algorithm: hs256, acl-config: /etc/farm/access.yml}
connections:
  - !sql-connection &database
    connection-string: postgresql+psycopg:///buildgrid?host=/var/run/postgresql
storages:
  - !disk-storage &files
    path: /srv/buildgrid/files
caches:
  - !lru-action-cache &results
    storage: *files
    max-cached-refs: 10000
    allow-updates: true
schedulers:
  - !sql-scheduler &scheduler
    sql: *database
    storage: *files
    action-cache: *results
    property-set: !dynamic-property-set
      unique-property-keys: [OSFamily]
      match-property-keys: [OSFamily, ISA]
      wildcard-property-keys: [chrootRootDigest, unixUID, unixGID, network]
    bot-session-keepalive-timeout: 20
    max-job-attempts: 5
instances:
  - name: main
    services:
      - !action-cache
        cache: *results
      - !execution
        scheduler: *scheduler
        operation-stream-keepalive-timeout: 60
      - !cas
        storage: *files
      - !bytestream
        storage: *files
END
umask 022
chgrp -R buildgrid /etc/farm
chmod 0750 /etc/farm
chmod g+r /etc/farm/server.key /etc/farm/server.crt /etc/farm/*.yml /etc/farm/buildgrid.secret
install -d -o buildgrid /srv/buildgrid/files /srv/artifacts
runuser -u buildgrid -- /opt/buildgrid/bin/bgd migrate apply 'postgresql+psycopg:///buildgrid?host=/var/run/postgresql' > /dev/null
write_unit buildgrid postgresql.service buildgrid '/opt/buildgrid/bin/bgd server start /etc/farm/buildgrid.yml'
write_unit artifacts '' buildgrid '/usr/bin/buildbox-casd --bind=127.0.0.1:11001 --quota-high=20G /srv/artifacts'
(umask 077 && cat > /etc/nginx/conf.d/artifacts.conf <<END
server {
  listen 50052 ssl;
  http2 on;
  ssl_certificate /etc/farm/server.crt;
  ssl_certificate_key /etc/farm/server.key;
  client_max_body_size 0;
  client_body_timeout 1h;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  if (\$http_authorization != "Bearer $(cat /etc/farm/releases.token)") { return 401; }
  location / { grpc_pass grpc://127.0.0.1:11001; }
}
END
)
systemctl reload-or-restart nginx
