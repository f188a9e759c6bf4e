#!/bin/sh
# Undo a restore in place: the kept volume gets its claim's name back, the restored volume is kept instead.
#   sh demo/undo.sh NAMESPACE RESTORE
set -eu
namespace=$1 restore=$2
k="kubectl -n $namespace"
of() { $k get "$1" "$2" -o "jsonpath=$3"; }

# The names, from the Restore's status.
workload=$(of pgr "$restore" '{.status.workload.name}') replicas=$(of pgr "$restore" '{.status.workload.replicas}')
claim=$(of pgr "$restore" '{.status.claim}') kept=$(of pgr "$restore" '{.status.keptClaim}')
old=$(of pgr "$restore" '{.status.oldVolume}') new=$(of pgr "$restore" '{.status.newVolume}')
mode=$(of pvc "$claim" '{.spec.accessModes[0]}') class=$(of pvc "$claim" '{.spec.storageClassName}')
size=$(of pvc "$claim" '{.spec.resources.requests.storage}')
reclaim=$(kubectl get pv "$old" -o 'jsonpath={.spec.persistentVolumeReclaimPolicy}')

# 1. From here on no volume goes with its claim.
kubectl patch pv "$old" "$new" -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'

# 2. PostgreSQL stops.
$k scale statefulset "$workload" --replicas=0
$k wait pod "$workload-0" --for=delete --timeout=300s

# 3. Both claims go, their volumes stay; each volume is promised to its new claim, and that claim is made.
$k delete pvc "$claim" "$kept"
bind() {
  kubectl patch pv "$1" --type merge -p \
    '{"spec":{"claimRef":{"namespace":"'"$namespace"'","name":"'"$2"'","uid":null,"resourceVersion":null}}}'
  kubectl wait pv "$1" --for=jsonpath='{.status.phase}'=Available --timeout=60s
  $k apply -f - <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: $2
spec:
  accessModes: [$mode]
  storageClassName: $class
  volumeName: $1
  resources:
    requests: {storage: $size}
YAML
  $k wait pvc "$2" --for=jsonpath='{.status.phase}'=Bound --timeout=60s
}
bind "$old" "$claim"
bind "$new" "$claim-undone-$restore"

# 4. PostgreSQL starts on the old volume, and the volumes get their reclaim policy back.
$k scale statefulset "$workload" --replicas="$replicas"
$k rollout status statefulset "$workload" --timeout=300s
kubectl patch pv "$old" "$new" -p '{"spec":{"persistentVolumeReclaimPolicy":"'"$reclaim"'"}}'

# 5. A full backup of what runs now.
$k apply -f - <<YAML
apiVersion: pgwarden.io/v1alpha1
kind: Backup
metadata:
  name: $restore-undone
spec:
  repository: $(of pgr "$restore" '{.spec.repository}')
  type: full
YAML
$k wait pgb "$restore-undone" --for=jsonpath='{.status.phase}'=Completed --timeout=600s
