#!/usr/bin/env bash
# sge.sh - a real Grid Engine 8.1.9 (Debian's, taken out of its packages and not installed) on ONE machine. Run as root.
#   sge.sh start|stop|status|clean         sge.sh exec COMMAND...   (where the rig is the only Grid Engine)
# Its commands for everybody else: put $RIG/bin first in PATH.
# Knobs (environment): RIG=DIR SLOTS=8 MEM=12G
#
# Grid Engine refuses a host whose address is called localhost, so it lives in a mount namespace with an /etc/hosts of
# its own. Nothing is installed because Slurm's PBS commands are called qsub too, and no machine can have both.
set -euo pipefail
RIG=${RIG:-${TMPDIR:-/var/tmp}/tradewind-sge}; SLOTS=${SLOTS:-8}; MEM=${MEM:-12G}
HOST=$(hostname -s); HERE=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
LIBRARY=/usr/lib/gridengine; SHARE=/usr/share/gridengine
export SGE_ROOT=$RIG/root SGE_CELL=default SGE_QMASTER_PORT=16444 SGE_EXECD_PORT=16445
PATH=$LIBRARY:$PATH
PIDS=("$RIG/spool/execd/$HOST/execd.pid" "$RIG/spool/qmaster/qmaster.pid")
say() { echo "[sge-rig] $*"; }
up() { local pid; pid=$(cat "${PIDS[1]}" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"; }
inside() { local pid; pid=$(up) || { say "isn't running"; return 1; }; nsenter -t "$pid" -m --wd="$PWD" -- "$@"; }
wait_for() { local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -le $end ] || { say "timed out: $*"; return 1; }; sleep .2; done; }

fetch() {
  [ -x "$RIG/packages/$LIBRARY/sge_qmaster" ] && return 0
  mkdir -p "$RIG/packages"; apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    libjemalloc2 libmunge2 libtirpc3 libhwloc15 libdb5.3 libpam0g >/dev/null
  local work; work=$(mktemp -d)
  (cd "$work" && apt-get download -qq gridengine-master gridengine-exec gridengine-client gridengine-common
   for package in *.deb; do dpkg -x "$package" "$RIG/packages"; done)
  rm -rf "$work"
}

lay_out() {
  mkdir -p "$LIBRARY" "$SHARE" "$RIG"/{bin,spool/db,spool/qmaster/job_scripts,spool/execd,root/default/common}
  printf '127.0.0.1 %s\n127.0.0.1 localhost\n' "$HOST" > "$RIG/hosts"
  ln -sfn "$SHARE/util" "$SGE_ROOT/util"; ln -sfn "$LIBRARY" "$SGE_ROOT/lib"
  echo "$HOST" > "$SGE_ROOT/default/common/act_qmaster"
  cat > "$SGE_ROOT/default/common/bootstrap" <<E
admin_user              none
default_domain          none
ignore_fqdn             false
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         $RIG/spool/db
binary_path             $LIBRARY
qmaster_spool_dir       $RIG/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
E
  local command
  for command in qsub qstat qdel qconf qhost qacct qalter qmod qhold qrls; do
    printf '#!/bin/sh\nexec bash %q exec %s "$@"\n' "$HERE" "$command" > "$RIG/bin/$command"; chmod 755 "$RIG/bin/$command"
  done
}

# What follows runs in the namespace.
set_up() {
  mount --bind "$RIG/hosts" /etc/hosts
  mount --bind "$RIG/packages$LIBRARY" "$LIBRARY"; mount --bind "$RIG/packages$SHARE" "$SHARE"
  [ -e "$RIG/spool/db/sge" ] || {
    local spool=$SHARE/default-configuration
    spoolinit berkeleydb libspoolb "$RIG/spool/db" init
    sed "s#^execd_spool_dir.*#execd_spool_dir $RIG/spool/execd#;s/^min_\([ug]id\).*/min_\1 0/;s/^reporting_params.*/reporting_params accounting=true reporting=false flush_time=00:00:02 joblog=false sharelog=00:00:00/;s/^execd_params.*/execd_params ENABLE_ADDGRP_KILL=true/" \
      "$spool" > "$RIG/global"
    spooldefaults configuration "$RIG/global"; spooldefaults complexes "$SHARE/util/resources/centry"
    spooldefaults usersets "$SHARE/util/resources/usersets"; spooldefaults managers root
  } >/dev/null
  sge_qmaster </dev/null; wait_for 10 qconf -sh
  configure; sge_execd </dev/null
  # Its queues take jobs once the host has reported its load, half a minute later at the worst.
  wait_for 60 bash -c "qstat -f | grep '@$HOST ' | grep -q . && ! qstat -f | grep '@$HOST ' | grep -q ' [a-zA-Z]*u[a-zA-Z]*$'"; qhost
}

configure() {
  local all=$RIG/wanted; mkdir -p "$all"
  (qconf -ah "$HOST"; qconf -as "$HOST") >/dev/null 2>&1 || true
  qconf -sc | sed 's/^\(mem_free .*YES  *\)NO /\1YES/;s/^#.*//' | grep . > "$all/complexes"
  grep -q '^gpu ' "$all/complexes" || echo "gpu gpu INT <= YES YES 0 0" >> "$all/complexes"
  quietly qconf -Mc "$all/complexes"
  printf '%s\n' "hostname $HOST" "load_scaling NONE" "complex_values mem_free=$MEM,gpu=2" "user_lists NONE" \
    "xuser_lists NONE" "projects NONE" "xprojects NONE" "usage_scaling NONE" "report_variables NONE" > "$all/host"
  quietly qconf -Ae "$all/host"; quietly qconf -Me "$all/host"
  environment smp '$pe_slots'; environment mpi '$fill_up'
  queue main.q "$SLOTS" 24:00:00; queue short.q 2 0:5:0
  qconf -ssconf | sed 's/^schedule_interval.*/schedule_interval 0:0:2/;s/^flush_\(submit\|finish\)_sec.*/flush_\1_sec 1/' \
    > "$all/scheduler"
  quietly qconf -Msconf "$all/scheduler"
}
quietly() { "$@" >/dev/null 2>&1 || true; }
environment() {
  printf '%s\n' "pe_name $1" "slots 999" "user_lists NONE" "xuser_lists NONE" "start_proc_args NONE" "stop_proc_args NONE" \
    "allocation_rule $2" "control_slaves FALSE" "job_is_first_task TRUE" "urgency_slots min" "accounting_summary FALSE" \
    "qsort_args NONE" > "$RIG/wanted/pe"
  quietly qconf -Ap "$RIG/wanted/pe"
}
queue() {
  local limit kind
  { printf '%s\n' "qname $1" "hostlist $HOST" "seq_no 0" "load_thresholds NONE" "suspend_thresholds NONE" "nsuspend 1" \
      "suspend_interval 00:05:00" "priority 0" "min_cpu_interval 00:05:00" "processors UNDEFINED" "qtype BATCH" \
      "ckpt_list NONE" "pe_list smp mpi" "rerun FALSE" "slots $2" "tmpdir /tmp" "shell /bin/sh" "prolog NONE" "epilog NONE" \
      "shell_start_mode unix_behavior" "starter_method NONE" "suspend_method NONE" "resume_method NONE" \
      "terminate_method NONE" "notify 00:00:20" "owner_list NONE" "user_lists NONE" "xuser_lists NONE" \
      "subordinate_list NONE" "complex_values NONE" "projects NONE" "xprojects NONE" "calendar NONE" \
      "initial_state default" "s_rt INFINITY" "h_rt $3"
    for kind in cpu fsize data stack core rss vmem; do for limit in s h; do echo "${limit}_$kind INFINITY"; done; done
  } > "$RIG/wanted/queue"
  qconf -Aq "$RIG/wanted/queue" >/dev/null 2>&1 || quietly qconf -Mq "$RIG/wanted/queue"
}

start() {
  [ "$(id -u)" = 0 ] || { say "run as root"; exit 1; }
  up >/dev/null && { say "is up already"; return 0; }
  fetch; lay_out
  unshare -m bash "$HERE" set-up
  say "up; PATH=$RIG/bin:\$PATH"
}
stop() {
  local file pid
  if up >/dev/null; then quietly inside qdel -u '*'; wait_for 20 bash -c "[ -z \"\$(bash '$HERE' exec qstat -u '*')\" ]" || true; fi
  for file in "${PIDS[@]}"; do
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null && wait_for 10 bash -c "! kill -0 $pid" || kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
  done
  say down
}

case "${1:-}" in
  start) start ;; set-up) set_up ;; stop) stop ;; clean) stop; rm -rf "$RIG" ;;
  status) inside qhost -q; inside qstat -f ;; exec) shift; inside "$@" ;;
  *) sed -n '2,8p' "$0"; exit 2 ;;
esac
