#!/bin/sh
# Issues a certificate for a worker or a caller, by the authority in the current folder (ca.key, ca.pem):
#
#   sh issue.sh NAME SAN [DAYS]      e.g.  sh issue.sh worker DNS:workers.my-app 30
#
# makes NAME.key and NAME.pem, in the place of those that are there. Each of them is replaced in one step, so that
# who reads it gets the old one or the new one.
set -eu
umask 077

[ $# -ge 2 ] && [ -r ca.key ] || { echo "usage: issue.sh NAME SAN [DAYS], beside ca.key and ca.pem" >&2; exit 2; }
name=$1
san=$2
days=${3:-30}
new=$(mktemp -d ./.new-XXXXXX)
trap 'rm -rf "$new"' EXIT

cat > "$new/extensions" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = $san
END
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
  -keyout "$new/key" -out "$new/request" 2> "$new/log" || { cat "$new/log" >&2; exit 1; }
openssl x509 -req -in "$new/request" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" \
  -extfile "$new/extensions" -out "$new/cert" 2> "$new/log" || { cat "$new/log" >&2; exit 1; }

# Until both are there, a program that watches them keeps the last two that belong together.
mv "$new/key" "$name.key"
mv "$new/cert" "$name.pem"
openssl x509 -in "$name.pem" -noout -subject -enddate
