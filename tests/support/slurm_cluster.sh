#!/usr/bin/env bash
# A real SLURM cluster of two nodes on this machine, for tests. Needs root, SLURM and munge (Debian: slurm-wlm, munge).
#   slurm_cluster.sh up FOLDER        start it; FOLDER is shared by the nodes; use it with SLURM_CONF=FOLDER/etc/slurm.conf
#   slurm_cluster.sh crash FOLDER N   node N dies with all that runs on it
#   slurm_cluster.sh node FOLDER N    start node N again
#   slurm_cluster.sh down FOLDER      stop everything
# Each node has its own hostname, process ids, /tmp, /var/tmp and /etc/slurm (namespaces). Memory limits are held by cgroups.
set -euo pipefail
folder=$(realpath -m "${2:?a folder}") etc=$folder/etc log=$folder/log run=$folder/run
export SLURM_CONF=$etc/slurm.conf
node() {
  local n=$1 own=$folder/nodes/$1
  mkdir -p "$own"/{tmp,vartmp}
  chmod 1777 "$own"/{tmp,vartmp}
  # a namespace that shares FOLDER, also where it lies under /tmp
  setsid nohup unshare --mount --uts --pid --fork --mount-proc bash -c "
    hostname node$n; mount --make-rprivate /; mount --bind '$etc' /etc/slurm
    case '$folder' in /tmp/*) mkdir -p '$own/tmp/${folder#/tmp/}'; mount --rbind '$folder' '$own/tmp/${folder#/tmp/}' ;; esac
    mount --bind '$own/vartmp' /var/tmp; mount --rbind '$own/tmp' /tmp; cd /
    echo $((n * 8000)) >/proc/sys/kernel/ns_last_pid
    slurmd -D -N node$n & while true; do sleep 1; done" >"$log/node$n.out" 2>&1 &
  echo $! >"$run/node$n.pid"
}
end() {
  [ -f "$1" ] && kill -KILL -- "-$(cat "$1")" 2>/dev/null
  rm -f "$1"
}
case ${1:-} in
up)
  mkdir -p "$etc" "$log" "$run" "$folder"/state/slurmd.node{1,2} /etc/slurm
  pgrep -x munged >/dev/null || { mkdir -p /run/munge && chown munge: /run/munge && setsid runuser -u munge -- munged; }
  printf '%s\n' CgroupPlugin=cgroup/v1 CgroupMountpoint=/sys/fs/cgroup CgroupAutomount=yes ConstrainRAMSpace=yes >"$etc/cgroup.conf"
  cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/state/slurmd.%n
SlurmctldPidFile=$run/slurmctld.daemon
SlurmdPidFile=$run/slurmd.%n.daemon
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/slurmd.%n.log
SwitchType=switch/none
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=2
ReturnToService=2
AccountingStorageType=accounting_storage/none
NodeName=node1 NodeAddr=127.0.0.1 Port=27001 CPUs=4 RealMemory=32000
NodeName=node2 NodeAddr=127.0.0.1 Port=27002 CPUs=4 RealMemory=32000
PartitionName=batch Nodes=node[1-2] Default=YES MaxTime=INFINITE DefaultTime=60 State=UP LLN=YES
CONF
  setsid nohup slurmctld -D >"$log/slurmctld.out" 2>&1 &
  echo $! >"$run/slurmctld.pid"
  node 1
  node 2
  for _ in $(seq 40); do
    [ "$(sinfo -h -o %D -t idle 2>/dev/null)" = 2 ] && exit
    sleep 1
  done
  tail "$log"/*.log >&2
  exit 1
  ;;
crash) end "$run/node${3:?a node}.pid" ;;
node) node "${3:?a node}" ;;
down) for name in node1 node2 slurmctld; do end "$run/$name.pid"; done ;;
*)
  sed -n 2,7p "$0"
  exit 2
  ;;
esac
