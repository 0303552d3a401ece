# The part of mysite/settings.py that belongs to nginx.conf, Caddyfile and the units.

DEBUG = False
ALLOWED_HOSTS = ["www.example.org"]
STATIC_ROOT = "/srv/mysite/static"

# The proxy sets this header itself, whatever a browser sends.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# Pages connect to their own origin, where the proxy leads /socket.io/ to the push server.
SERVERPUSH_URL = ""
# The units' StateDirectory, which both processes may write to.
SERVERPUSH_STATE_FILE = "/var/lib/mysite/serverpush.json"
