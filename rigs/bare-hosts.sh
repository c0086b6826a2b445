#!/usr/bin/env bash
# Bare machines on this one: a network, mount, process and host-name namespace each, reached through a real sshd.
#
#   bare-hosts.sh up [N]     make N hosts (3), named bare1 … bareN at 10.83.0.11 …; prints what a client needs
#   bare-hosts.sh down       end all of it
#   bare-hosts.sh reboot I   kill everything on host I, and start it again with an empty /tmp
#   bare-hosts.sh cut I | mend I   take its cable out, put it back
#   bare-hosts.sh slow I MBIT   let no more than so many megabits a second reach host I
#   bare-hosts.sh run I COMMAND…   run something on host I as its root, past sshd
#
# Each has its own /root (its home), /tmp and /dev/shm, and Debian's own python3 without any package. Nothing of this
# machine's homes, data or package directories is seen. NAT lets them reach the world; 10.83.0.1 is this machine.
# Needs root, iproute2, iptables, util-linux, openssh-server and python3 of Debian. RIG=DIR says where it keeps its things.
# For two at a time on one machine, give one another DIR, RIG_NET=10.84.0, and RIG_NAME of at most 6 letters;
# else the second one is refused: the bridge says whose it is.
set -euo pipefail
RIG=${RIG:-/var/tmp/tradewind-bare-hosts}
NET=${RIG_NET:-10.83.0}
NAME=${RIG_NAME:-bare}
BRIDGE=tw${NAME}0

say() { echo "[bare-hosts] $*" >&2; }
address() { echo "$NET.$((10 + $1))"; }
pid_of() { cat "$RIG/bare$1/pid" 2>/dev/null || true; }
# One that ended and that nobody collected is still listed.
is_up() { local pid; pid=$(pid_of "$1"); [ -n "$pid" ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status"; }

owner() { cat "/sys/class/net/$BRIDGE/ifalias" 2>/dev/null || true; }

# What it was before the first of several such rigs came, for the last one to put back; each has a line of its own.
FORWARDING=/run/tradewind-bare-hosts
forwarding() {
  mkdir -p "$FORWARDING"
  (
    flock 9
    if [ "$1" = begin ]; then
      [ -e "$FORWARDING/was" ] || cat /proc/sys/net/ipv4/ip_forward > "$FORWARDING/was"
      echo "$RIG" > "$FORWARDING/of-$NAME"
      echo 1 > /proc/sys/net/ipv4/ip_forward
    elif [ -e "$FORWARDING/of-$NAME" ]; then
      rm -f "$FORWARDING/of-$NAME"
      # One whose bridge is gone was ended by something else, as by a restart of the machine.
      for other in "$FORWARDING"/of-*; do
        [ -e "$other" ] || continue
        [ -e "/sys/class/net/tw${other##*/of-}0" ] && exit 0
        rm -f "$other"
      done
      cat "$FORWARDING/was" > /proc/sys/net/ipv4/ip_forward
      rm -f "$FORWARDING/was"
    fi
  ) 9> "$FORWARDING/lock"
}

network() {
  # Making the bridge is what one of two who try at once can do.
  if ! ip link add "$BRIDGE" type bridge 2>/dev/null; then
    [ "$(owner)" != "$RIG" ] || return 0
    [ -e "/sys/class/net/$BRIDGE" ] || { say "no bridge can be made here: it takes root and its kernel module"; exit 1; }
    say "there are such hosts already, with their things in $(owner): end them (RIG=$(owner) $0 down), or wait"
    rmdir --ignore-fail-on-non-empty "$RIG"
    exit 3
  fi
  ip link set "$BRIDGE" alias "$RIG"
  ip addr add "$NET.1/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  forwarding begin
  iptables -t nat -A POSTROUTING -s "$NET.0/24" ! -d "$NET.0/24" -j MASQUERADE
  iptables -A FORWARD -s "$NET.0/24" -j ACCEPT
  iptables -A FORWARD -d "$NET.0/24" -j ACCEPT
}

keys() {
  [ -s "$RIG/id" ] || ssh-keygen -q -t ed25519 -N '' -C bare-hosts -f "$RIG/id"
}

start() {
  local i=$1 name=bare$1 there=$RIG/bare$1
  mkdir -p "$there"/{root,tmp,nothing,etc}
  chmod 700 "$there/root"; chmod 1777 "$there/tmp"
  [ -s "$there/etc/host_key" ] || ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$there/etc/host_key"
  cp "$RIG/id.pub" "$there/etc/authorized_keys"
  cat > "$there/etc/sshd_config" <<CONFIG
Port 22
ListenAddress $(address "$i")
HostKey /run/bare/etc/host_key
AuthorizedKeysFile /run/bare/etc/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
Subsystem sftp internal-sftp
MaxStartups 100
MaxSessions 100
LogLevel ERROR
CONFIG
  # It gets its binds in this order: what is bound later may hide what the former came from.
  cat > "$there/etc/init" <<INIT
set -e
hostname $name
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/bare /run/sshd
mount --bind "$there" /run/bare
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
for hidden in /* /var/tmp /usr/local /usr/lib/python3/dist-packages; do
  case "\$hidden" in
    /bin | /boot | /dev | /etc | /lib* | /proc | /root | /run | /sbin | /sys | /tmp | /usr | /var) continue ;;
  esac
  if [ -d "\$hidden" ]; then mount --bind /run/bare/nothing "\$hidden"; fi
done
mount --bind /run/bare/root /root
mount --bind /run/bare/tmp /tmp
umount -l /run/bare/nothing 2>/dev/null || true
cd /
export HOME=/root
# This first process collects the orphans, so it stays a shell.
/usr/sbin/sshd -D -e -f /run/bare/etc/sshd_config </dev/null &
trap 'exit 0' TERM
while kill -0 \$! 2>/dev/null; do wait -n || true; done
INIT
  local space=$NAME$i
  if ! ip netns list | grep -qw "$space"; then
    ip netns add "$space"
    ip link add "tw$NAME-$i" type veth peer name eth0 netns "$space"
    ip link set "tw$NAME-$i" master "$BRIDGE" up
    ip -n "$space" link set lo up
    ip -n "$space" addr add "$(address "$i")/24" dev eth0
    ip -n "$space" link set eth0 up
    ip -n "$space" route add default via "$NET.1"
  fi
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 ip netns exec "$space" \
    setsid unshare --mount --propagation private --uts --pid --fork --kill-child --mount-proc \
    bash "$there/etc/init" > "$there/log" 2>&1 < /dev/null &
  echo $! > "$there/pid"
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/$(address "$i")/22") 2>/dev/null && return
    sleep 0.05
  done
  say "$name didn't come up:"; cat "$there/log" >&2; return 1
}

stop() {
  local pid; pid=$(pid_of "$1")
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true  # unshare, whose child it takes along
  for _ in $(seq 100); do is_up "$1" || break; sleep 0.05; done
  rm -f "$RIG/bare$1/pid"
}

hosts() { for there in "$RIG"/bare*/; do [ -d "$there" ] && basename "$there" | tr -d 'a-z'; done; }

up() {
  mkdir -p "$RIG"; chmod 755 "$RIG"
  network; keys
  for i in $(seq "${1:-3}"); do is_up "$i" || start "$i"; done
  : > "$RIG/known_hosts"
  for i in $(hosts); do
    echo "$(address "$i") $(cut -d' ' -f1,2 "$RIG/bare$i/etc/host_key.pub")" >> "$RIG/known_hosts"
    echo "bare$i $(address "$i")"
  done
  echo "key $RIG/id"
  echo "known_hosts $RIG/known_hosts"
}

down() {
  local of; of=$(owner)
  if [ -n "$of" ] && [ "$of" != "$RIG" ]; then
    say "the hosts that are there are of $of; nothing was ended"
    return 0
  fi
  for i in $(hosts); do
    stop "$i"
    ip netns del "$NAME$i" 2>/dev/null || true
    ip link del "tw$NAME-$i" 2>/dev/null || true
  done
  iptables -t nat -D POSTROUTING -s "$NET.0/24" ! -d "$NET.0/24" -j MASQUERADE 2>/dev/null || true
  iptables -D FORWARD -s "$NET.0/24" -j ACCEPT 2>/dev/null || true
  iptables -D FORWARD -d "$NET.0/24" -j ACCEPT 2>/dev/null || true
  ip link del "$BRIDGE" 2>/dev/null || true
  forwarding end
  rm -rf "$RIG"
}

case ${1:-} in
  up) up "${2:-3}" ;;
  down) down ;;
  reboot) stop "$2"; rm -rf "$RIG/bare$2/tmp"; start "$2" ;;
  cut) ip link set "tw$NAME-$2" down ;;
  mend) ip link set "tw$NAME-$2" up ;;
  slow) tc qdisc replace dev "tw$NAME-$2" root tbf rate "$3mbit" burst 256kb latency 50ms ;;
  run)
    i=$2; shift 2
    # unshare's one child is the first process of the host.
    exec nsenter --target "$(cat "/proc/$(pid_of "$i")/task/$(pid_of "$i")/children" | cut -d' ' -f1)" \
      --mount --uts --net --pid --root --wd=/ "$@" ;;
  *) sed -n '2,16p' "$0"; exit 2 ;;
esac
