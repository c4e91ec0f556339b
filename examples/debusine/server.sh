# On the server: database, web server, a user with a workspace, and its token in /etc/slipway-token.
apt-get install -qq -y --no-install-recommends -t trixie-backports \
  postgresql redis-server nginx debusine-server dbconfig-no-thanks > /dev/null
cd /
runuser -u postgres -- psql -qc 'CREATE ROLE "debusine-server" LOGIN' 2> /dev/null || true
runuser -u postgres -- createdb -E UTF8 -T template0 -O debusine-server debusine 2> /dev/null || true
cat > /etc/debusine/server/local.py <<END
from .defaults import CHANNEL_LAYERS
from .selected import *

DEBUSINE_FQDN = "debusine.example.org"
ALLOWED_HOSTS = ["*"]
CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": ["redis://localhost:6379"]}
END
printf 'server { listen 80 default_server; include /etc/nginx/snippets/debusine.conf; }\n' > /etc/nginx/sites-enabled/default
systemctl restart debusine-server-migrate
systemctl restart debusine-server debusine-server-celery debusine-server-scheduler debusine-server-provisioner nginx
debusine-admin user create slipway slipway@example.org > /dev/null 2>&1 || true
debusine-admin group create debusine/releasers
debusine-admin group members debusine/releasers --set slipway > /dev/null
debusine-admin workspace define --private --default-expiration-delay 30 debusine/slipway releasers
[ -s /etc/slipway-token ] || (umask 077 && debusine-admin create_token slipway --comment lab > /etc/slipway-token)
