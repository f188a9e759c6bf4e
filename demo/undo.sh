#!/bin/sh
# Undo a restore in place: the kept volume gets its claim's name back, the restored volume is kept instead.
#   sh demo/undo.sh NAMESPACE RESTORE
# For a StatefulSet, a Deployment and a PostgresCluster, whose replicas go first and whose autofail is off afterwards.
set -eu
namespace=$1 restore=$2
k="kubectl -n $namespace"
of() { $k get "$1" "$2" -o "jsonpath=$3"; }

# The names, from the Restore's status.
repository=$(of pgr "$restore" '{.spec.repository}') replicas=$(of pgr "$restore" '{.status.workload.replicas}')
kind=$(of pgr "$restore" '{.status.workload.kind}') name=$(of pgr "$restore" '{.status.workload.name}')
claim=$(of pgr "$restore" '{.status.claim}') kept=$(of pgr "$restore" '{.status.keptClaim}')
old=$(of pgr "$restore" '{.status.oldVolume}') new=$(of pgr "$restore" '{.status.newVolume}')
cluster=$(of "$kind" "$name" '{.metadata.labels.pgwarden\.io/cluster}')
reclaim=$(kubectl get pv "$old" -o 'jsonpath={.spec.persistentVolumeReclaimPolicy}')
claim_file=$(mktemp)
trap 'rm "$claim_file"' EXIT

# 1. Of a PostgresCluster: nobody takes over, and nobody follows. From here on no volume goes with its claim.
if [ -n "$cluster" ]; then
  test "$(of pgc "$cluster" '{.status.primary}')" = "$name" || { echo "$name is not the primary" >&2; exit 1; }
  $k patch pgc "$cluster" --type merge -p '{"spec":{"autofail":false}}'
  $k wait pgc "$cluster" --for=jsonpath='{.status.autofail}'=off --timeout=300s
  $k delete deployment,pvc -l "pgwarden.io/cluster=$cluster,pgwarden.io/instance,pgwarden.io/instance!=$name"
fi
kubectl patch pv "$old" "$new" -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'

# 2. PostgreSQL stops.
$k scale "$kind" "$name" --replicas=0
$k wait pod -l "pgwarden.io/repository=$repository" --for=delete --timeout=300s

# 3. Both claims go, their volumes stay; each volume is promised to its new claim, and that claim is made: like the one
#    of its name, in the old one's class and size.
$k get pvc "$claim" -o json > "$claim_file"
like_kept='{"spec":{"storageClassName":"'$(of pvc "$kept" '{.spec.storageClassName}')'","resources":{"requests":{
  "storage":"'$(of pvc "$kept" '{.spec.resources.requests.storage}')'"}}}}'
$k delete pvc "$claim" "$kept"
bind() {
  kubectl patch pv "$1" --type merge -p \
    '{"spec":{"claimRef":{"namespace":"'"$namespace"'","name":"'"$2"'","uid":null,"resourceVersion":null}}}'
  kubectl wait pv "$1" --for=jsonpath='{.status.phase}'=Available --timeout=60s
  made=$(kubectl patch --local -f "$claim_file" --type merge -o json -p "$3")
  made=$(printf '%s' "$made" | kubectl patch --local -f - --type merge -o json -p '{"metadata":{"uid":null,
    "resourceVersion":null,"creationTimestamp":null,"finalizers":null,"annotations":{
    "pv.kubernetes.io/bind-completed":null,"pv.kubernetes.io/bound-by-controller":null}},
    "spec":{"volumeName":"'"$1"'"},"status":null}')
  printf '%s' "$made" | $k create -f -
  $k wait pvc "$2" --for=jsonpath='{.status.phase}'=Bound --timeout=60s
}
bind "$old" "$claim" "$like_kept"
bind "$new" "$claim-undone-$restore" \
  '{"metadata":{"name":"'"$claim-undone-$restore"'","labels":null,"ownerReferences":null}}'

# 4. PostgreSQL starts on the old volume, and the volumes get their reclaim policy back.
$k scale "$kind" "$name" --replicas="$replicas"
$k rollout status "$kind" "$name" --timeout=300s
kubectl patch pv "$old" "$new" -p '{"spec":{"persistentVolumeReclaimPolicy":"'"$reclaim"'"}}'

# 5. The archive has the restore's timeline, too, and later restores and replicas follow the newest: so PostgreSQL ends a
#    recovery along its own one, and begins a newer one.
container=$(of pgr "$restore" '{.status.plan}' | sed 's/.*"container":"\([^"]*\)".*/\1/')
sql() { $k exec "$kind/$name" -c "$container" -- psql -X -q -A -t -U postgres "$@" 2> /dev/null; }
timeline=$(until sql -c 'SELECT timeline_id FROM pg_control_checkpoint()'; do sleep 1; done)
sql -c "ALTER SYSTEM SET recovery_target_timeline = 'current'" \
  -c "COPY (SELECT) TO '$(sql -c 'SHOW data_directory')/recovery.signal'"
$k delete pod -l "pgwarden.io/repository=$repository"
until [ "$(sql -c "SELECT timeline_id > $timeline FROM pg_control_checkpoint()")" = t ]; do sleep 1; done
sql -c 'ALTER SYSTEM RESET recovery_target_timeline'

# 6. A full backup of what runs now. Then, of a PostgresCluster: spec.autofail may be true again, and replicas are made.
$k apply -f - <<YAML
apiVersion: pgwarden.io/v1alpha1
kind: Backup
metadata:
  name: $restore-undone
spec:
  repository: $repository
  type: full
YAML
$k wait pgb "$restore-undone" --for=jsonpath='{.status.phase}'=Completed --timeout=600s
